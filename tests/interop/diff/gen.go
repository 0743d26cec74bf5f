package main

import (
	"bytes"
	"math"
	"math/rand"

	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// gen draws steps. It looks at the revisions that the run has come to, so that requests meet what is there; what it draws
// is concrete, so that a run can be played again, or part of it.
type gen struct {
	*rand.Rand
	r      *run
	set    settings
	names  int64   // of leases, given out so far
	leases []int64 // that may be there: chosen ids, and names of drawn ones

	kinds    []choice // what is drawn from
	withAuth bool
	granted  []*authpb.Permission
	ends     map[string]map[string]bool // by role and key: the ends of ranges that were granted
	alarmed  int
	alarm    *pb.AlarmRequest
	queue    []step // to be played first
}

type choice struct {
	weight int
	draw   func(*gen) step
}

var choices = []choice{
	{20, (*gen).rangeStep},
	{20, (*gen).putStep},
	{7, (*gen).deleteStep},
	{20, (*gen).txnStep},
	{1, (*gen).compactStep},
	{4, (*gen).grantStep},
	{1, (*gen).briefLeaseStep},
	{2, (*gen).revokeStep},
	{3, (*gen).timeToLiveStep},
	{1, func(g *gen) step { return step{op: pathLeases, msg: &pb.LeaseLeasesRequest{}} }},
	{2, (*gen).keepAliveStep},
	{2, func(g *gen) step { return step{op: opOpen, stream: g.Intn(nStreams)} }},
	{5, (*gen).watchStep},
	{2, (*gen).cancelStep},
	{1, func(g *gen) step { return step{op: opProgress, stream: g.Intn(nStreams)} }},
	{4, func(g *gen) step { return step{op: opSync} }},
}

func newGen(seed int64, r *run, set settings) *gen {
	g := &gen{Rand: rand.New(rand.NewSource(seed)), r: r, set: set}
	g.kinds = append(g.kinds, choices...)
	g.kinds = append(g.kinds, adminChoices...)
	if set.hash { // no lease id is drawn
		g.kinds = append(g.kinds, queueChoices...)
	}
	if set.auth {
		g.withAuth = true
		g.kinds = append(g.kinds, authChoices...)
		g.queue = g.prelude()
	}
	return g
}

func (g *gen) next() step {
	if len(g.queue) > 0 {
		s := g.queue[0]
		g.queue = g.queue[1:]
		if g.r.authOn {
			s.as = "root"
		}
		return s
	}
	for {
		s := g.draw()
		if isSkipped(shortName(s.op)) || (s.op == pathHashKV && !g.set.hash) {
			continue
		}
		if p, ok := s.msg.(*pb.AuthRoleGrantPermissionRequest); ok && p.Perm != nil {
			if g.isGrantedBesideOthers(p) {
				continue
			}
			g.granted = append(g.granted, p.Perm)
		}
		if g.withAuth && s.op == opProgress {
			continue // known difference "progress": a stream that was opened with a token of old has no watch
		}
		if g.withAuth && (s.op == opOpen || s.op == opWatch) && !g.r.authOn {
			continue // known difference "watch permission": who watches before it is switched on
		}
		if g.withAuth && g.r.authOn && (s.op == opOpen || !strings.HasPrefix(s.op, "watch ")) {
			s = g.signed(s)
			if s.op == opOpen {
				s.as = "root" // known difference "watch permission": others may lose it while they watch
			}
		}
		return s
	}
}

func isSkipped(name string) bool {
	return slices.Contains(strings.Split(*flagSkip, ","), name)
}

func (g *gen) draw() step {
	if g.Intn(150) == 0 {
		return step{op: opClose, stream: g.Intn(nStreams)}
	}
	if g.Intn(400) == 0 {
		return step{op: opHalfClose, stream: g.Intn(nStreams)}
	}
	total := 0
	for _, c := range g.kinds {
		total += c.weight
	}
	at := g.Intn(total)
	for _, c := range g.kinds {
		if at -= c.weight; at < 0 {
			return c.draw(g)
		}
	}
	panic("unreachable")
}

func pick[T any](g *gen, of ...T) T { return of[g.Intn(len(of))] }

// oneIn is true once in n times.
func (g *gen) oneIn(n int) bool { return g.Intn(n) == 0 }

// ---- values ----

func (g *gen) key() []byte {
	if g.oneIn(40) {
		return pick(g, []byte{}, []byte{0}, []byte{0xff}, []byte{0xff, 0xff}, []byte("a\x00"), []byte("a\x00\x00"), []byte{0, 0})
	}
	if g.oneIn(3) {
		return []byte{byte('a' + g.Intn(4)), byte('a' + g.Intn(4))}
	}
	return []byte{byte('a' + g.Intn(6))}
}

// rangeEnd may lie before the key, but not with authentication: whether etcd permits such a range depends on the shape of
// the tree that it keeps permissions in: known difference "empty range".
func (g *gen) rangeEnd(key []byte) []byte {
	end := g.anyEnd(key)
	if g.withAuth && len(end) > 0 && !bytes.Equal(end, []byte{0}) && bytes.Compare(end, key) <= 0 {
		return nil
	}
	return end
}

func (g *gen) anyEnd(key []byte) []byte {
	switch g.Intn(8) {
	case 0, 1:
		return nil
	case 2:
		return []byte{0}
	case 3:
		if len(key) > 0 && key[len(key)-1] < 0xff {
			end := append([]byte{}, key...)
			end[len(end)-1]++
			return end
		}
		return []byte{0}
	case 4:
		return append(append([]byte{}, key...), 0)
	case 5:
		return key
	default:
		return g.key()
	}
}

func (g *gen) value() []byte {
	switch {
	case g.oneIn(200):
		return make([]byte, g.Intn(2*g.set.requestBytes))
	case g.oneIn(10):
		return nil
	case g.oneIn(10):
		return make([]byte, g.Intn(2000))
	}
	return []byte{byte('0' + g.Intn(10))}
}

// revision is mostly one that there is.
func (g *gen) revision() int64 {
	switch g.Intn(12) {
	case 0:
		return pick(g, -1, math.MinInt64, math.MaxInt64, -g.r.rev)
	case 1:
		return g.r.rev + int64(g.Intn(3))
	case 2:
		return g.r.compacted + int64(g.Intn(3)) - 1
	case 3:
		return int64(g.Intn(3))
	default:
		return max(g.r.rev-int64(g.Intn(30)), 0)
	}
}

func (g *gen) leaseID() int64 {
	if g.oneIn(6) || len(g.leases) == 0 {
		return pick(g, 0, 1, -1, 12345, math.MaxInt64, math.MinInt64, leaseNames+999)
	}
	return pick(g, g.leases...)
}

// ---- KV ----

func (g *gen) rangeReq() *pb.RangeRequest {
	key := g.key()
	r := &pb.RangeRequest{Key: key, RangeEnd: g.rangeEnd(key)}
	if g.oneIn(4) {
		r.Limit = pick[int64](g, 1, 2, 3, 5, 100, -1, math.MaxInt64, math.MinInt64, math.MaxInt64-1)
	}
	if g.oneIn(4) {
		r.Revision = g.revision()
	}
	if g.oneIn(4) {
		r.SortOrder = pb.RangeRequest_SortOrder(g.Intn(3))
		r.SortTarget = pb.RangeRequest_SortTarget(g.Intn(5))
	}
	if g.oneIn(60) {
		r.SortOrder = pb.RangeRequest_SortOrder(pick(g, 3, -1, math.MaxInt32))
	}
	if g.oneIn(60) {
		r.SortTarget = pb.RangeRequest_SortTarget(pick(g, 5, -1, math.MinInt32))
	}
	r.Serializable = g.oneIn(4)
	r.KeysOnly = g.oneIn(8)
	r.CountOnly = g.oneIn(8)
	for _, bound := range []*int64{&r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision} {
		if g.oneIn(20) {
			*bound = g.revision()
		}
	}
	return r
}

// narrow keeps a range so small that etcd's order of equal keys is known, for where known difference "order" is not seen.
func narrow(r *pb.RangeRequest) {
	if sortFields[r.SortTarget] != "" && len(r.RangeEnd) > 0 && len(r.Key) > 0 {
		r.Key = r.Key[:1]
		r.RangeEnd = []byte{r.Key[0] + 1}
	}
}

func (g *gen) putReq() *pb.PutRequest {
	p := &pb.PutRequest{Key: g.key(), Value: g.value(), PrevKv: g.oneIn(3)}
	if g.oneIn(4) {
		p.Lease = g.leaseID()
	}
	if g.oneIn(12) {
		p.IgnoreValue = true
		if !g.oneIn(5) {
			p.Value = nil
		}
	}
	if g.oneIn(12) {
		p.IgnoreLease = true
		if !g.oneIn(5) {
			p.Lease = 0
		}
	}
	return p
}

func (g *gen) deleteReq() *pb.DeleteRangeRequest {
	key := g.key()
	d := &pb.DeleteRangeRequest{Key: key, PrevKv: g.oneIn(2)}
	if g.oneIn(3) {
		d.RangeEnd = g.rangeEnd(key)
	}
	return d
}

func (g *gen) rangeStep() step  { return step{op: pathRange, msg: g.rangeReq()} }
func (g *gen) putStep() step    { return step{op: pathPut, msg: g.putReq()} }
func (g *gen) deleteStep() step { return step{op: pathDelete, msg: g.deleteReq()} }

func (g *gen) compactStep() step {
	rev := g.revision()
	if g.oneIn(2) {
		rev = g.r.rev - int64(g.Intn(100))
	}
	return step{op: pathCompact, msg: &pb.CompactionRequest{Revision: rev, Physical: g.oneIn(2)}}
}

// ---- transactions ----

func (g *gen) txnStep() step {
	t := g.txnReq(0)
	if g.oneIn(40) { // around the bound on operations
		n := g.set.maxTxnOps - 1 + g.Intn(3)
		for len(t.Success) < n {
			t.Success = append(t.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{
				RequestRange: &pb.RangeRequest{Key: g.key()}}})
		}
	}
	return step{op: pathTxn, msg: t}
}

func (g *gen) txnReq(depth int) *pb.TxnRequest {
	t := &pb.TxnRequest{}
	for n := g.Intn(3); n > 0; n-- {
		t.Compare = append(t.Compare, g.compare())
	}
	for n := g.Intn(4); n > 0; n-- {
		t.Success = append(t.Success, g.op(depth))
	}
	for n := g.Intn(4); n > 0; n-- {
		t.Failure = append(t.Failure, g.op(depth))
	}
	avoidOverlooked(t.Success)
	avoidOverlooked(t.Failure)
	return t
}

// avoidOverlooked takes out what etcd lets pass though it changes a key twice in one revision: deletes to the end of all
// keys beside puts (which ends it with a fatal error once that revision is compacted and read), and deletes in a nested
// transaction behind another one. Tenure refuses both: known difference "overlap".
func avoidOverlooked(ops []*pb.RequestOp) {
	nested := 0
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil && len(d.RangeEnd) == 1 && d.RangeEnd[0] == 0 {
			d.RangeEnd = []byte{0xff, 0xff, 0xff}
		}
		if t := op.GetRequestTxn(); t != nil {
			if nested++; nested > 1 {
				withoutDeletes(t.Success)
				withoutDeletes(t.Failure)
			}
		}
	}
}

func withoutDeletes(ops []*pb.RequestOp) {
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil {
			op.Request = &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: d.Key, RangeEnd: d.RangeEnd}}
		}
		if t := op.GetRequestTxn(); t != nil {
			withoutDeletes(t.Success)
			withoutDeletes(t.Failure)
		}
	}
}

func (g *gen) op(depth int) *pb.RequestOp {
	switch n := g.Intn(12); {
	case g.oneIn(80):
		return &pb.RequestOp{}
	case n < 4:
		r := g.rangeReq()
		narrow(r)
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
	case n < 8:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: g.putReq()}}
	case n < 10 || depth >= 3:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.deleteReq()}}
	default:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: g.txnReq(depth + 1)}}
	}
}

func (g *gen) compare() *pb.Compare {
	c := &pb.Compare{Key: g.key(), Result: pb.Compare_CompareResult(g.Intn(4)), Target: pb.Compare_CompareTarget(g.Intn(5))}
	if g.oneIn(4) {
		c.RangeEnd = g.rangeEnd(c.Key)
	}
	if g.oneIn(30) {
		c.Result = pb.Compare_CompareResult(pick(g, 4, -1, math.MaxInt32))
	}
	if g.oneIn(30) {
		c.Target = pb.Compare_CompareTarget(pick(g, 5, -1, math.MaxInt32))
	}
	fits := int(c.Target)
	if g.oneIn(12) {
		fits = g.Intn(7)
	}
	switch fits {
	case 0:
		c.TargetUnion = &pb.Compare_Version{Version: int64(g.Intn(4)) - 1}
	case 1:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: g.revision()}
	case 2:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: g.revision()}
	case 3:
		c.TargetUnion = &pb.Compare_Value{Value: g.value()}
	case 4:
		id := g.leaseID()
		if id >= leaseNames && c.Result != pb.Compare_NOT_EQUAL { // how drawn ids compare is up to chance
			c.Result = pb.Compare_EQUAL
		}
		c.TargetUnion = &pb.Compare_Lease{Lease: id}
	}
	return c
}

// ---- leases ----

func (g *gen) grantStep() step {
	ttl := pick[int64](g, 100000, 3600, 9_000_000_000)
	if g.oneIn(8) {
		ttl = pick[int64](g, 9_000_000_001, math.MaxInt64)
	}
	if g.oneIn(2) && !g.set.hash {
		g.names++
		g.leases = append(g.leases, leaseNames+g.names)
		return step{op: pathGrant, lease: leaseNames + g.names, msg: &pb.LeaseGrantRequest{TTL: ttl}}
	}
	id := pick[int64](g, int64(g.Intn(30)), int64(g.Intn(30)), -int64(g.Intn(5)), math.MaxInt64, math.MinInt64)
	if id == 0 {
		id = 77
	}
	g.leases = append(g.leases, id)
	return step{op: pathGrant, msg: &pb.LeaseGrantRequest{TTL: ttl, ID: id}}
}

func (g *gen) briefLeaseStep() step {
	return step{op: opBriefLease, msg: &pb.LeaseGrantRequest{
		TTL: pick[int64](g, 0, 1, 2, 3, -1, math.MinInt64, 30), ID: pick[int64](g, 1, 40, 41, -40)}}
}

func (g *gen) revokeStep() step {
	return step{op: pathRevoke, msg: &pb.LeaseRevokeRequest{ID: g.leaseID()}}
}

func (g *gen) timeToLiveStep() step {
	return step{op: pathTimeToLive, msg: &pb.LeaseTimeToLiveRequest{ID: g.leaseID(), Keys: g.oneIn(2)}}
}

func (g *gen) keepAliveStep() step {
	return step{op: opKeepAlive, msg: &pb.LeaseKeepAliveRequest{ID: g.leaseID()}}
}

// ---- watches ----

func (g *gen) watchStep() step {
	w := &pb.WatchCreateRequest{Key: g.key(), PrevKv: g.oneIn(2), ProgressNotify: g.oneIn(4), Fragment: g.oneIn(4)}
	if g.oneIn(2) {
		w.RangeEnd = g.rangeEnd(w.Key)
	}
	if g.oneIn(3) {
		w.StartRevision = g.revision()
	}
	for n := g.Intn(8) - 5; n > 0; n-- {
		w.Filters = append(w.Filters, pb.WatchCreateRequest_FilterType(pick(g, 0, 1, 2, -1)))
	}
	if g.oneIn(4) {
		w.WatchId = pick[int64](g, 1, 2, 3, 4, 5, -1, -5, 100, 101, math.MaxInt64, math.MinInt64)
	}
	return step{op: opWatch, stream: g.Intn(nStreams), msg: w}
}

func (g *gen) cancelStep() step {
	id := pick[int64](g, int64(g.Intn(6)), int64(g.Intn(20)), 100, 101, -1, -5, math.MaxInt64, math.MinInt64)
	return step{op: opCancel, stream: g.Intn(nStreams), msg: &pb.WatchCancelRequest{WatchId: id}}
}
