package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

const (
	watchPatience = 5 * time.Second
	syncWatch     = 424242424242 // the id of the watch that each stream has of our own
)

var syncKey = []byte("sync/")

// watchStream collects what one stream delivers, told apart by watch id: how watches mix on a stream, and how events are
// packed into responses, is up to the server.
type watchStream struct {
	sync.Mutex
	send    pb.Watch_WatchClient
	end     context.CancelFunc
	side    *side
	items   map[int64][]string // by watch id, in order
	last    map[int64]*pb.WatchResponse
	alive   map[int64]*pb.WatchCreateRequest // created and not cancelled by us
	dead    map[int64]bool                   // of these, those that were told of a compaction
	synced  int64                            // revision of the last sync that was seen
	created int                              // replies to creates
	cancels map[int64]int                    // replies to cancels
	asked   []*pb.WatchCreateRequest
	changed chan struct{}
	isHalf  bool
	isLost  bool // a watch was ended because its permission ended: known difference "watch permission"
}

func (s *side) openStream(i int, as string) flat {
	if s.streams[i] != nil {
		return flat{"watch=open"}
	}
	ctx, end := context.WithCancel(context.Background())
	send, err := pb.NewWatchClient(s.conn).Watch(s.signed(ctx, as))
	if err != nil {
		end()
		return flattenError(err)
	}
	w := &watchStream{
		send: send, end: end, side: s, items: map[int64][]string{}, last: map[int64]*pb.WatchResponse{},
		alive: map[int64]*pb.WatchCreateRequest{}, dead: map[int64]bool{}, cancels: map[int64]int{},
		changed: make(chan struct{}, 1),
	}
	s.streams[i] = w
	go w.receive()
	return w.create(&pb.WatchCreateRequest{Key: syncKey, WatchId: syncWatch})
}

func (s *side) closeStream(i int) flat {
	if w := s.streams[i]; w != nil {
		w.end()
		s.streams[i] = nil
	}
	return flat{"watch=closed"}
}

func (w *watchStream) receive() {
	for {
		resp, err := w.send.Recv()
		w.Lock()
		if err != nil {
			w.items[-2] = append(w.items[-2], strings.Join(flattenError(err), " "))
		} else {
			w.take(resp)
		}
		w.Unlock()
		select {
		case w.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (w *watchStream) take(resp *pb.WatchResponse) {
	id := resp.WatchId
	if id == syncWatch {
		for _, ev := range resp.Events {
			w.synced = max(w.synced, ev.Kv.ModRevision)
		}
	} else if len(resp.Events) > 0 {
		w.takeEvents(id, resp)
	} else {
		w.items[id] = append(w.items[id], strings.Join(flatten(resp, w.side), " "))
	}
	switch {
	case resp.Created:
		req := w.asked[w.created]
		w.created++
		if !resp.Canceled {
			w.alive[id] = req
		}
	case resp.Canceled && resp.CancelReason != "":
		w.isLost = true
	case resp.Canceled && resp.CompactRevision != 0:
		w.dead[id] = true
	case resp.Canceled:
		w.cancels[id]++
	}
}

func (w *watchStream) takeEvents(id int64, resp *pb.WatchResponse) {
	before := w.last[id]
	w.last[id] = resp
	first, last := resp.Events[0], resp.Events[len(resp.Events)-1]
	if before != nil && !before.Fragment && before.Events[len(before.Events)-1].Kv.ModRevision == first.Kv.ModRevision {
		w.items[id] = append(w.items[id], fmt.Sprintf("revision %d was split", first.Kv.ModRevision))
	}
	if resp.Header.Revision < last.Kv.ModRevision {
		w.items[id] = append(w.items[id], fmt.Sprintf("header %d is older than the event", resp.Header.Revision))
	}
	rest := proto.Clone(resp).(*pb.WatchResponse)
	rest.Events, rest.Header, rest.WatchId, rest.Fragment = nil, nil, 0, false
	if more := flatten(rest, nil); len(more) > 0 {
		w.items[id] = append(w.items[id], strings.Join(more, " "))
	}
	for _, ev := range resp.Events {
		w.items[id] = append(w.items[id], eventText(ev, w.side))
	}
}

func eventText(ev *mvccpb.Event, from *side) string {
	return ev.Type.String() + " " + strings.Join(flatten(ev, from), " ")
}

// await waits until holds, which is asked with the lock held, or patience ends.
func (w *watchStream) await(holds func() bool) bool {
	timeout := time.NewTimer(watchPatience)
	defer timeout.Stop()
	for {
		w.Lock()
		ok := holds()
		w.Unlock()
		if ok {
			return true
		}
		select {
		case <-w.changed:
		case <-timeout.C:
			return false
		}
	}
}

func (w *watchStream) create(req *pb.WatchCreateRequest) flat {
	w.Lock()
	w.asked = append(w.asked, req)
	wanted := len(w.asked)
	w.Unlock()
	err := w.send.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: req}})
	if err != nil {
		return flat{"watch=cannot send"}
	}
	if !w.await(func() bool { return w.created >= wanted || len(w.items[-2]) > 0 }) {
		return flat{"watch=no reply"}
	}
	return flat{"watch=created"}
}

func (w *watchStream) cancel(id int64) flat {
	w.Lock()
	wanted := w.cancels[id]
	if w.alive[id] != nil {
		wanted++
	}
	delete(w.alive, id)
	delete(w.dead, id)
	w.Unlock()
	err := w.send.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
		CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
	if err != nil {
		return flat{"watch=cannot send"}
	}
	if !w.await(func() bool { return w.cancels[id] >= wanted || len(w.items[-2]) > 0 }) {
		return flat{"watch=no reply"}
	}
	return flat{"watch=cancelled"}
}

func (w *watchStream) progress() flat {
	w.Lock()
	wanted := len(w.items[-1]) + 1
	w.Unlock()
	err := w.send.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
		ProgressRequest: &pb.WatchProgressRequest{}}})
	if err != nil {
		return flat{"watch=cannot send"}
	}
	if !w.await(func() bool { return len(w.items[-1]) >= wanted || len(w.items[-2]) > 0 }) {
		return flat{"watch=no reply"}
	}
	return flat{"watch=progress"}
}

// differs compares two streams as they stand.
func (w *watchStream) differs(tenure *watchStream) *difference {
	w.Lock()
	defer w.Unlock()
	tenure.Lock()
	defer tenure.Unlock()
	ids := map[int64]bool{}
	for id := range w.items {
		ids[id] = true
	}
	for id := range tenure.items {
		ids[id] = true
	}
	for id := range ids {
		a, b := w.items[id], tenure.items[id]
		if !slices.Equal(a, b) {
			return itemsDiffer(id, a, b)
		}
	}
	return nil
}

func itemsDiffer(id int64, a, b []string) *difference {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i < len(a) && i < len(b) {
		d := compare("watch", strings.Split(a[i], " "), strings.Split(b[i], " "))
		d.etcd, d.tenure = fmt.Sprintf("watch %d: %s", id, a[i]), fmt.Sprintf("watch %d: %s", id, b[i])
		return d
	}
	word := func(list []string) string {
		if i < len(list) {
			return strings.Split(pathOf(list[i]), " ")[0]
		}
		return "nothing"
	}
	return &difference{
		kind:   "watch " + word(a) + " / " + word(b),
		etcd:   fmt.Sprintf("watch %d: item %d: %s", id, i, lineAt(a, i)),
		tenure: fmt.Sprintf("watch %d: item %d: %s", id, i, lineAt(b, i)),
	}
}
