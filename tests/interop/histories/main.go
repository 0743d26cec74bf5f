// Command histories lets clients work on `tenure serve` while it is killed with -9 and started again, and has porcupine look
// for an order of what they did in which each saw what it had to see (KV1, KV3).
//
//	histories --tenure PROGRAM [--time D] [--seed N]
//
// A write whose outcome nobody knows may take effect at any time after it began, or never. Prints TAP.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"tenure.example/interop/proc"
)

var (
	flagTenure = flag.String("tenure", "build/tenure", "tenure")
	flagTime   = flag.Duration("time", 15*time.Second, "how long clients work")
	flagSeed   = flag.Int64("seed", time.Now().UnixNano()%1e6, "of what they do")
)

const (
	clients = 8
	keys    = 4
)

type kind int

const (
	get kind = iota
	put
	del
	cas
)

type input struct {
	kind     kind
	key      int
	old, new string
}

// output of a read is the value; of a compare-and-swap whether it took place; a write's unknown outcome is told apart.
type output struct {
	value   string
	done    bool
	unknown bool
	rev     int64 // of the answer's header, for writes
	modRev  int64 // of the key, for reads
}

// register is one key: "" while it is not there.
var register = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, keys)
		for _, op := range history {
			k := op.Input.(input).key
			parts[k] = append(parts[k], op)
		}
		return parts
	},
	Init: func() []any { return []any{""} },
	Step: func(state, in, out any) []any {
		value, i, o := state.(string), in.(input), out.(output)
		after := value
		switch i.kind {
		case get:
			if o.value != value {
				return nil
			}
			return []any{value}
		case put:
			after = i.new
		case del:
			after = ""
		case cas:
			if !o.unknown && o.done != (value == i.old) {
				return nil
			}
			if value == i.old {
				after = i.new
			}
		}
		if o.unknown {
			return []any{value, after}
		}
		return []any{after}
	},
	Equal: func(a, b any) bool { return a.(string) == b.(string) },
}

// ---- clients ----

type history struct {
	sync.Mutex
	begun time.Time
	ops   []porcupine.Operation
}

func (h *history) now() int64 { return time.Since(h.begun).Nanoseconds() }

func (h *history) add(op porcupine.Operation) {
	h.Lock()
	defer h.Unlock()
	h.ops = append(h.ops, op)
}

func keyOf(k int) []byte { return []byte("k" + strconv.Itoa(k)) }

func connect(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.2, MaxDelay: 50 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
}

func do(ctx context.Context, kv pb.KVClient, i input) (output, error) {
	switch i.kind {
	case get:
		r, err := kv.Range(ctx, &pb.RangeRequest{Key: keyOf(i.key)})
		if err != nil || len(r.Kvs) == 0 {
			return output{}, err
		}
		return output{value: string(r.Kvs[0].Value), modRev: r.Kvs[0].ModRevision}, nil
	case put:
		r, err := kv.Put(ctx, &pb.PutRequest{Key: keyOf(i.key), Value: []byte(i.new)})
		return output{rev: r.GetHeader().GetRevision()}, err
	case del:
		r, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: keyOf(i.key)})
		if r.GetDeleted() == 0 {
			return output{}, err
		}
		return output{rev: r.GetHeader().GetRevision()}, err
	default:
		compare := &pb.Compare{Key: keyOf(i.key), Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte(i.old)}}
		if i.old == "" {
			compare = &pb.Compare{Key: keyOf(i.key), Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{}}
		}
		r, err := kv.Txn(ctx, &pb.TxnRequest{Compare: []*pb.Compare{compare}, Success: []*pb.RequestOp{{
			Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: keyOf(i.key), Value: []byte(i.new)}}}}})
		if !r.GetSucceeded() {
			return output{}, err
		}
		return output{done: true, rev: r.Header.Revision}, err
	}
}

func work(h *history, id int, addr string, until time.Time) error {
	conn, err := connect(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	rng := rand.New(rand.NewSource(*flagSeed*100 + int64(id)))
	seen := make([]string, keys)
	for n := 0; time.Now().Before(until); n++ {
		i := input{kind: kind(rng.Intn(4)), key: rng.Intn(keys), new: fmt.Sprintf("%d.%d", id, n)}
		if i.kind == del && rng.Intn(3) > 0 {
			i.kind = get
		}
		i.old = seen[i.key]
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		call := h.now()
		out, err := do(ctx, kv, i)
		end := h.now()
		cancel()
		if err != nil {
			time.Sleep(time.Duration(rng.Intn(20)) * time.Millisecond)
			if i.kind == get {
				continue
			}
			out, end = output{unknown: true}, math.MaxInt64
		}
		if i.kind == get {
			seen[i.key] = out.value
		}
		h.add(porcupine.Operation{ClientId: len(h.ops), Input: i, Call: call, Output: out, Return: end})
		time.Sleep(time.Duration(rng.Intn(3000)) * time.Microsecond)
	}
	return nil
}

// ---- the run ----

func record() (*history, int, error) {
	s, err := proc.Start(*flagTenure)
	if err != nil {
		return nil, 0, err
	}
	defer s.End()
	h := &history{begun: time.Now()}
	until := h.begun.Add(*flagTime)
	var wg sync.WaitGroup
	errs := make(chan error, clients)
	for id := 0; id < clients; id++ {
		wg.Add(1)
		go func() { defer wg.Done(); errs <- work(h, id, s.Addr, until) }()
	}
	rng := rand.New(rand.NewSource(*flagSeed))
	kills := 0
	for time.Now().Before(until.Add(-time.Second)) {
		time.Sleep(time.Duration(200+rng.Intn(800)) * time.Millisecond)
		s.Kill()
		kills++
		if err := s.Begin(); err != nil {
			return nil, 0, err
		}
	}
	wg.Wait()
	for id := 0; id < clients; id++ {
		if err := <-errs; err != nil {
			return nil, 0, err
		}
	}
	if err := s.Ready(); err != nil {
		return nil, 0, err
	}
	return h, kills, final(h, s.Addr)
}

// final reads each key once more: what was acknowledged before must be there now.
func final(h *history, addr string) error {
	conn, err := connect(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for k := 0; k < keys; k++ {
		call := h.now()
		out, err := do(context.Background(), pb.NewKVClient(conn), input{key: k})
		if err != nil {
			return err
		}
		h.add(porcupine.Operation{ClientId: len(h.ops), Input: input{key: k}, Call: call, Output: out, Return: h.now()})
	}
	return nil
}

// checkRevisions: no two writes share a revision, and what a read says of a key's revision is what its writer was told (KV2).
func checkRevisions(h *history) error {
	writer := map[int64]input{}
	for _, op := range h.ops {
		i, o := op.Input.(input), op.Output.(output)
		if o.rev == 0 || i.kind == get {
			continue
		}
		if other, taken := writer[o.rev]; taken {
			return fmt.Errorf("revision %d was given to %+v and to %+v", o.rev, other, i)
		}
		writer[o.rev] = i
	}
	for _, op := range h.ops {
		i, o := op.Input.(input), op.Output.(output)
		if w, known := writer[o.modRev]; i.kind == get && known && o.value != "" && (w.new != o.value || w.key != i.key) {
			return fmt.Errorf("a read says that revision %d put %q, which was %+v", o.modRev, o.value, w)
		}
	}
	return nil
}

func check(ops []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register.ToModel(), ops, 60*time.Second)
}

// broken is the beginning of the history, with one read that goes back to what another read had seen overwritten.
func broken(h *history) []porcupine.Operation {
	const length = 400
	var ops []porcupine.Operation
	for _, op := range h.ops[:min(length, len(h.ops))] {
		if op.Return != math.MaxInt64 {
			ops = append(ops, op)
		}
	}
	first, second := map[int]porcupine.Operation{}, map[int]porcupine.Operation{}
	for n, op := range ops {
		i, o := op.Input.(input), op.Output.(output)
		if i.kind != get {
			continue
		}
		old, isSecond := first[i.key]
		later, isThird := second[i.key]
		switch {
		case isThird && op.Call > later.Return:
			ops[n].Output = old.Output
			return ops
		case isSecond && !isThird && op.Call > old.Return && o.value != old.Output.(output).value:
			second[i.key] = op
		case !isSecond && o.value != "":
			first[i.key] = op
		}
	}
	return ops
}

func main() {
	flag.Parse()
	h, kills, err := record()
	if err != nil {
		fmt.Fprintf(os.Stderr, "histories: %v\n", err)
		os.Exit(2)
	}
	unknown := 0
	for _, op := range h.ops {
		if op.Output.(output).unknown {
			unknown++
		}
	}
	fmt.Printf("# seed %d: %d operations, %d with an unknown outcome, %d kills\n", *flagSeed, len(h.ops), unknown, kills)
	proc.Run([]proc.Case{
		{Name: "what clients saw under kills is linearizable, and nothing acknowledged is lost (KV1, KV3)", Run: func() error {
			if got := check(h.ops); got != porcupine.Ok {
				return fmt.Errorf("porcupine: %s", got)
			}
			return nil
		}},
		{Name: "revisions are given once, and stay what they were (KV2)", Run: func() error { return checkRevisions(h) }},
		{Name: "a history with one stale read is found", Run: func() error {
			if got := check(broken(h)); got != porcupine.Illegal {
				return fmt.Errorf("porcupine: %s", got)
			}
			return nil
		}},
	})
}
