package main

import (
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"google.golang.org/protobuf/proto"
)

const lagPatience = 200 * time.Millisecond // etcd looks after such watches every 100 ms

// run plays steps on a pair of servers and compares as it goes.
type run struct {
	etcd, tenure *side
	authOn       bool
	leaders      []*v3electionpb.LeaderKey // that campaigns were told, the last ones
	unsynced     bool                      // the last sync was not possible
	lagging      time.Time                 // until then a watch that began in the past may not have caught up
	rev          int64                     // of the store, as far as replies told
	compacted    int64
	seen         map[string]int // method and outcome -> how often
}

func newRun(p *pair) *run {
	return &run{etcd: newSide(p.etcd), tenure: newSide(p.tenure), rev: 1, seen: map[string]int{}}
}

func (r *run) close() {
	r.etcd.close()
	r.tenure.close()
}

// both does something on the two sides at once.
func both[T any](r *run, f func(*side) T) (T, T) {
	done := make(chan T, 1)
	go func() { done <- f(r.etcd) }()
	tenure := f(r.tenure)
	return <-done, tenure
}

// do plays one step; nil: the answers were equal.
func (r *run) do(s step) *difference {
	switch s.op {
	case opSync:
		return r.sync()
	case pathCompact:
		if d := r.catchUp(); d != nil { // whether a watch that lags sees what is compacted now is a matter of time
			return d
		}
	}
	if strings.HasPrefix(s.op, "watch ") {
		return r.doWatch(s)
	}
	var etcd, tenure flat
	switch s.op {
	case opKeepAlive:
		etcd, tenure = both(r, func(x *side) flat { return x.keepAlive(s) })
	case opBriefLease:
		etcd, tenure = both(r, func(x *side) flat { return x.briefLease(s) })
	default:
		etcd, tenure = r.call(s)
	}
	r.count(s, etcd)
	if d := compare(shortName(s.op), etcd, tenure); d != nil && !isKnown(s, etcd, tenure) {
		return d
	}
	return nil
}

func (r *run) call(s step) (flat, flat) {
	var reply proto.Message
	etcd, tenure := both(r, func(x *side) flat {
		f, m := x.call(s)
		if x == r.etcd {
			reply = m
		}
		return f
	})
	if h, ok := reply.(interface{ GetHeader() *pb.ResponseHeader }); ok && reply != nil {
		r.rev = max(r.rev, h.GetHeader().GetRevision())
		switch {
		case s.op == pathCampaign:
			r.leaders = append(r.leaders[max(0, len(r.leaders)-4):], reply.(*v3electionpb.CampaignResponse).Leader)
		case s.op == pathCompact:
			r.compacted = s.msg.(*pb.CompactionRequest).Revision
		case s.op == pathAuthEnable:
			r.authOn = true
		case s.op == pathAuthDisable:
			r.authOn = false
		}
	}
	return etcd, tenure
}

func (r *run) count(s step, outcome flat) {
	what := "OK"
	if len(outcome) == 2 && strings.HasPrefix(outcome[0], "status=") {
		what = outcome[0][len("status="):] + " " + outcome[1][len("text="):]
	}
	r.seen[shortName(s.op)+": "+what]++
}

func shortName(op string) string {
	return op[strings.LastIndexByte(op, '/')+1:]
}

// ---- watches ----

func (r *run) anyStream() bool {
	for _, w := range r.etcd.streams {
		if w != nil {
			return true
		}
	}
	return false
}

func (r *run) doWatch(s step) *difference {
	if s.op != opOpen && r.etcd.streams[s.stream] == nil {
		return nil // left over when the opening was left out
	}
	if s.op != opOpen && s.op != opWatch {
		if d := r.catchUp(); d != nil {
			return d
		}
	}
	if s.op != opOpen && r.etcd.streams[s.stream] == nil {
		return nil // it was closed meanwhile
	}
	if s.op == opProgress && r.isObstructed(s.stream) || s.op != opClose && r.unsynced {
		return nil
	}
	etcd, tenure := both(r, func(x *side) flat { return x.watchStep(s) })
	if w, ok := s.msg.(*pb.WatchCreateRequest); ok && w.StartRevision > 0 {
		r.lagging = time.Now().Add(lagPatience)
	}
	r.count(s, etcd)
	return compare(s.op, etcd, tenure)
}

func (x *side) watchStep(s step) flat {
	w := x.streams[s.stream]
	switch s.op {
	case opOpen:
		return x.openStream(s.stream, s.as)
	case opClose:
		return x.closeStream(s.stream)
	case opHalfClose:
		w.isHalf = true
		w.send.CloseSend()
		return flat{"watch=half-closed"}
	}
	if w.isHalf {
		return flat{"watch=half-closed"}
	}
	switch s.op {
	case opWatch:
		return w.create(s.msg.(*pb.WatchCreateRequest))
	case opCancel:
		return w.cancel(s.msg.(*pb.WatchCancelRequest).WatchId)
	default:
		return w.progress()
	}
}

// isObstructed tells whether etcd answers no progress request on the stream: known difference "progress".
func (r *run) isObstructed(i int) bool {
	w := r.etcd.streams[i]
	w.Lock()
	defer w.Unlock()
	for _, req := range w.alive {
		if req.StartRevision > r.rev {
			return true
		}
	}
	return len(w.dead) > 0 || len(w.alive) == 0
}

// sync makes a change that each stream must hear of, waits for it, and compares what the streams have told by then.
func (r *run) sync() *difference {
	if !r.anyStream() {
		return nil
	}
	change := step{op: pathPut, msg: &pb.PutRequest{Key: syncKey}}
	if r.authOn {
		change.as = "root"
	}
	etcd, tenure := r.call(change)
	if d := compare("watch sync", etcd, tenure); d != nil {
		return d
	}
	if r.unsynced = strings.HasPrefix(etcd[0], "status="); r.unsynced { // nobody may write now
		return nil
	}
	for i := range r.etcd.streams {
		if r.etcd.streams[i] == nil {
			continue
		}
		etcd, tenure := both(r, func(x *side) bool {
			w := x.streams[i]
			return w.await(func() bool {
				return w.isLost || w.alive[syncWatch] == nil || w.synced >= r.rev || len(w.items[-2]) > 0
			})
		})
		if r.isLost(i) {
			both(r, func(x *side) flat { return x.closeStream(i) })
			r.seen["a watch lost its permission"]++
			continue
		}
		if !etcd || !tenure {
			return &difference{kind: "watch sync", etcd: heard(etcd), tenure: heard(tenure)}
		}
		if d := r.settle(r.etcd.streams[i], r.tenure.streams[i]); d != nil && !r.isLost(i) {
			return d
		}
	}
	return nil
}

// catchUp waits until each watch has seen all. One that began in the past and finds nothing tells nothing: time has to do.
func (r *run) catchUp() *difference {
	time.Sleep(time.Until(r.lagging))
	return r.sync()
}

func heard(ok bool) string {
	if ok {
		return "the change was told"
	}
	return "the change was not told"
}

func (r *run) isLost(i int) bool {
	w := r.tenure.streams[i]
	w.Lock()
	defer w.Unlock()
	return w.isLost
}

// settle waits until two streams have told the same; what lags catches up within a fraction of a second.
func (r *run) settle(etcd, tenure *watchStream) *difference {
	until := time.Now().Add(watchPatience)
	for {
		d := etcd.differs(tenure)
		if d == nil || time.Now().After(until) {
			return d
		}
		time.Sleep(5 * time.Millisecond)
	}
}
