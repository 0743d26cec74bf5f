package main

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	callPatience = 20 * time.Second
	// Names of leases whose ids the servers draw are counted from here; in requests they stand for the id.
	leaseNames = int64(7_000_000_000_000_000)
	nStreams   = 3
)

// side is one server as a run sees it: the leases that it drew, its open streams.
type side struct {
	*server
	nameOf  map[int64]int64 // drawn id -> name
	idOf    map[int64]int64
	keep    pb.Lease_LeaseKeepAliveClient
	endKeep context.CancelFunc
	streams [nStreams]*watchStream
}

func newSide(s *server) *side {
	return &side{server: s, nameOf: map[int64]int64{}, idOf: map[int64]int64{}}
}

func (s *side) close() {
	for i := range s.streams {
		s.closeStream(i)
	}
	if s.keep != nil {
		s.endKeep()
	}
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
		}
		return true
	})
}

// call does a unary step and answers what came, flat, and the reply itself when there is one.
func (s *side) call(st step) (flat, proto.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	reply := newReply(st.op)
	if err := s.conn.Invoke(ctx, st.op, s.withIDs(st.msg), reply); err != nil {
		return flattenError(err), nil
	}
	if grant, ok := reply.(*pb.LeaseGrantResponse); ok && st.lease != 0 {
		s.nameOf[grant.ID], s.idOf[st.lease] = st.lease, grant.ID
	}
	return flatten(reply, s.nameOf), reply
}

// briefLease grants and revokes.
func (s *side) briefLease(st step) flat {
	st.op = pathGrant
	out, reply := s.call(st)
	if grant, ok := reply.(*pb.LeaseGrantResponse); ok {
		revoked, _ := s.call(step{op: pathRevoke, msg: &pb.LeaseRevokeRequest{ID: grant.ID}})
		out = append(out, revoked...)
	}
	return out
}

func (s *side) keepAlive(st step) flat {
	var err error
	if s.keep == nil {
		var ctx context.Context
		ctx, s.endKeep = context.WithCancel(context.Background())
		if s.keep, err = pb.NewLeaseClient(s.conn).LeaseKeepAlive(ctx); err != nil {
			return flattenError(err)
		}
	}
	stuck := time.AfterFunc(callPatience, s.endKeep)
	defer stuck.Stop()
	if err = s.keep.Send(s.withIDs(st.msg).(*pb.LeaseKeepAliveRequest)); err == nil {
		var reply *pb.LeaseKeepAliveResponse
		if reply, err = s.keep.Recv(); err == nil {
			return flatten(reply, s.nameOf)
		}
	}
	s.endKeep()
	s.keep = nil
	return flattenError(err)
}
