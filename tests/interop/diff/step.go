package main

import (
	"fmt"
	"regexp"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// step is one thing done to both servers. A run is a list of them; each stands for itself, so that any may be left out.
type step struct {
	op     string // a unary method's path, or one of the op… below
	stream int    // of the op… that concern one watch stream
	as     string // the user whose token goes along
	lease  int64  // the name of a lease whose id the server draws
	msg    proto.Message
}

const (
	opKeepAlive  = "LeaseKeepAlive"    // one message on the stream that the run keeps for it, and its answer
	opBriefLease = "LeaseGrant+Revoke" // a lease with a small TTL, revoked before it can run out
	opOpen       = "watch open"        // a stream, with the watch that sync goes by
	opWatch      = "watch create"
	opCancel     = "watch cancel"
	opProgress   = "watch progress"
	opHalfClose  = "watch half-close"
	opClose      = "watch close"
	opSync       = "watch sync" // a put that all streams must see; then what they saw is compared
)

const (
	pathRange      = pb.KV_Range_FullMethodName
	pathPut        = pb.KV_Put_FullMethodName
	pathDelete     = pb.KV_DeleteRange_FullMethodName
	pathTxn        = pb.KV_Txn_FullMethodName
	pathCompact    = pb.KV_Compact_FullMethodName
	pathGrant      = pb.Lease_LeaseGrant_FullMethodName
	pathRevoke     = pb.Lease_LeaseRevoke_FullMethodName
	pathTimeToLive = pb.Lease_LeaseTimeToLive_FullMethodName
	pathLeases     = pb.Lease_LeaseLeases_FullMethodName
)

var zeros = regexp.MustCompile(`(\\x00){5,}`)

// newReply makes the empty answer of a method, "/package.Service/Method".
func newReply(path string) proto.Message {
	service, method, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		fatal("%s: %v", path, err)
	}
	m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	t, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		fatal("%s: %v", path, err)
	}
	return t.New().Interface()
}

func (s step) String() string {
	text := s.op
	if strings.HasPrefix(s.op, "watch ") && s.op != opSync {
		text += fmt.Sprintf(" [stream %d]", s.stream)
	}
	if s.msg != nil {
		body := strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(s.msg)), " ")
		body = zeros.ReplaceAllStringFunc(body, func(s string) string { return fmt.Sprintf("<%d zeros>", len(s)/4) })
		text += " {" + body + "}"
	}
	if s.as != "" {
		text += " as " + s.as
	}
	if s.lease != 0 {
		text += fmt.Sprintf(" -> lease %d", s.lease)
	}
	return text
}
