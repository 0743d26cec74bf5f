package main

import (
	"context"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	callPatience = 20 * time.Second
	// Names of leases whose ids the servers draw are counted from here; in requests they stand for the id.
	leaseNames = int64(7_000_000_000_000_000)
	nStreams   = 3

	queuePatience = 300 * time.Millisecond
	queueSettles  = 200 * time.Millisecond
)

// side is one server as a run sees it: the leases that it drew, its open streams.
type side struct {
	*server
	nameOf  map[int64]int64 // drawn id -> name
	idOf    map[int64]int64
	tokens  map[string]string
	member  uint64
	keep    pb.Lease_LeaseKeepAliveClient
	endKeep context.CancelFunc
	streams [nStreams]*watchStream
}

func newSide(s *server) *side {
	x := &side{server: s, nameOf: map[int64]int64{}, idOf: map[int64]int64{}, tokens: map[string]string{}}
	x.call(step{op: pb.Cluster_MemberList_FullMethodName, msg: &pb.MemberListRequest{}}) // tells the id of the member
	return x
}

func (s *side) close() {
	for i := range s.streams {
		s.closeStream(i)
	}
	if s.keep != nil {
		s.endKeep()
	}
}

func (s *side) leaseName(id int64) (int64, bool) {
	if s == nil {
		return 0, false
	}
	name, drawn := s.nameOf[id]
	return name, drawn
}

// withIDs puts drawn ids in the place of names.
func (s *side) withIDs(m proto.Message) proto.Message {
	m = proto.Clone(m)
	s.putIDs(m.ProtoReflect())
	return m
}

func (s *side) putIDs(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList() && fd.Message() != nil:
			for i := 0; i < v.List().Len(); i++ {
				s.putIDs(v.List().Get(i).Message())
			}
		case fd.IsList() || fd.IsMap():
		case fd.Message() != nil:
			s.putIDs(v.Message())
		case fd.Kind() == protoreflect.Int64Kind && (fd.Name() == "lease" || fd.Name() == "ID"):
			if id, ok := s.idOf[v.Int()]; ok {
				m.Set(fd, protoreflect.ValueOfInt64(id))
			}
		case fd.Kind() == protoreflect.Uint64Kind && v.Uint() == selfID:
			m.Set(fd, protoreflect.ValueOfUint64(s.member))
		}
		return true
	})
}

// call does a unary step and answers what came, flat, and the reply itself when there is one.
func (s *side) call(st step) (flat, proto.Message) {
	if st.op == pathLock || st.op == pathCampaign {
		return s.wait(st)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	if st.op == pathRangeStream {
		return s.rangeStream(s.signed(ctx, st.as), st.msg)
	}
	reply := newReply(st.op)
	if err := s.conn.Invoke(s.signed(ctx, st.as), st.op, s.withIDs(st.msg), reply); err != nil {
		return flattenError(err), nil
	}
	if h, ok := reply.(interface{ GetHeader() *pb.ResponseHeader }); ok && s.member == 0 {
		s.member = h.GetHeader().GetMemberId()
	}
	if a, ok := reply.(*pb.AuthenticateResponse); ok {
		s.tokens[st.msg.(*pb.AuthenticateRequest).Name] = a.Token
	}
	if grant, ok := reply.(*pb.LeaseGrantResponse); ok && st.lease != 0 {
		s.nameOf[grant.ID], s.idOf[st.lease] = st.lease, grant.ID
	}
	return flatten(reply, s), reply
}

// wait does what may have to wait for others. It gives up soon, by cancelling, and lets the server take its key away.
func (s *side) wait(st step) (flat, proto.Message) {
	ctx, cancel := context.WithCancel(context.Background()) // no deadline that the server would see
	defer cancel()
	defer time.AfterFunc(queuePatience, cancel).Stop()
	reply := newReply(st.op)
	err := s.conn.Invoke(s.signed(ctx, st.as), st.op, s.withIDs(st.msg), reply)
	if ctx.Err() != nil {
		time.Sleep(queueSettles)
		s.leaveQueue(st)
		return flat{"status=waits"}, nil
	}
	if err != nil {
		return flattenError(err), nil
	}
	return flatten(reply, s), reply
}

// leaveQueue takes away the key of one who gave up, which tenure leaves when it stood there before: known difference "leaving
// a queue". Either way it is gone by one revision then.
func (s *side) leaveQueue(st step) {
	q := st.msg.(interface {
		GetName() []byte
		GetLease() int64
	})
	key := fmt.Appendf(nil, "%s/%x", q.GetName(), q.GetLease())
	s.call(step{op: pathDelete, as: st.as, msg: &pb.DeleteRangeRequest{Key: key}})
}

// signed puts the user's token along; one that has none yet is as good as a bad one.
func (s *side) signed(ctx context.Context, user string) context.Context {
	if user == "" {
		return ctx
	}
	token := s.tokens[user]
	if token == "" {
		token = "bad.1"
	}
	return metadata.AppendToOutgoingContext(ctx, "token", token)
}

// rangeStream puts the parts together: how many there are is up to the server.
func (s *side) rangeStream(ctx context.Context, req proto.Message) (flat, proto.Message) {
	stream, err := pb.NewKVClient(s.conn).RangeStream(ctx, req.(*pb.RangeRequest))
	if err != nil {
		return flattenError(err), nil
	}
	all, last := &pb.RangeResponse{}, false
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return flattenError(err), nil
		}
		if last {
			return flat{"a part after the one with the header"}, nil
		}
		r := part.RangeResponse
		all.Kvs = append(all.Kvs, r.Kvs...)
		all.Header, all.More, all.Count = r.Header, r.More, r.Count
		last = r.Header != nil
	}
	return flatten(all, s), all
}

// briefLease grants and revokes.
func (s *side) briefLease(st step) flat {
	st.op = pathGrant
	out, reply := s.call(st)
	if grant, ok := reply.(*pb.LeaseGrantResponse); ok {
		revoked, _ := s.call(step{op: pathRevoke, as: st.as, msg: &pb.LeaseRevokeRequest{ID: grant.ID}})
		out = append(out, revoked...)
	}
	return out
}

func (s *side) keepAlive(st step) flat {
	var err error
	if s.keep == nil {
		var ctx context.Context
		ctx, s.endKeep = context.WithCancel(context.Background())
		if s.keep, err = pb.NewLeaseClient(s.conn).LeaseKeepAlive(s.signed(ctx, st.as)); err != nil {
			return flattenError(err)
		}
	}
	stuck := time.AfterFunc(callPatience, s.endKeep)
	defer stuck.Stop()
	if err = s.keep.Send(s.withIDs(st.msg).(*pb.LeaseKeepAliveRequest)); err == nil {
		var reply *pb.LeaseKeepAliveResponse
		if reply, err = s.keep.Recv(); err == nil {
			return flatten(reply, s)
		}
	}
	s.endKeep()
	s.keep = nil
	return flattenError(err)
}
