// Command beside runs the recipes of Go's client (barriers, queues, read-write locks, transactional memory) against libtenure's on
// the same names, each making what the other waits for. Prints TAP.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
	"golang.org/x/sync/errgroup"

	"tenure.example/interop/proc"
)

var (
	flagTenure = flag.String("tenure", "build/tenure", "tenure")
	flagEtcds  = flag.String("etcds", "", "the etcds beside it, by commas: NAME=PROGRAM")
	flagOurs   = flag.String("ours", "build/tests/interop/ours", "a step of ours")
)

const patience = 30 * time.Second

// A place is a server with a client of Go's on it.
type place struct {
	*proc.Serve
	c *clientv3.Client
}

func within(what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s did not end", what)
	}
}

func expect(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// A step of ours that goes on.
type step struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	what string
}

func (p *place) begin(what string, args ...string) (*step, error) {
	cmd := exec.Command(*flagOurs, append([]string{what, "http://" + p.Addr}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &step{cmd, in, bufio.NewReader(out), "ours " + what}, cmd.Start()
}

func (s *step) line() (string, error) {
	text, err := s.out.ReadString('\n')
	return strings.TrimSpace(text), err
}

// end lets it go on to its end; what it said, but for what was read.
func (s *step) end() (string, error) {
	s.in.Close()
	text, _ := io.ReadAll(s.out)
	if err := s.cmd.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", s.what, err, text)
	}
	return strings.TrimSpace(string(text)), nil
}

func (p *place) ours(what string, args ...string) (string, error) {
	s, err := p.begin(what, args...)
	if err != nil {
		return "", err
	}
	return s.end()
}

func (p *place) session() (*concurrency.Session, error) { return concurrency.NewSession(p.c) }

// ---- barriers ----

func (p *place) goHoldsOursWaits() error {
	b := recipe.NewBarrier(p.c, "/barriers/one")
	if err := b.Hold(); err != nil {
		return err
	}
	if text, err := p.ours("barrier-hold", "one"); err == nil {
		return fmt.Errorf("ours holds what Go holds: %s", text)
	}
	s, err := p.begin("barrier-wait", "one")
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { _, err := s.end(); ended <- err }()
	select {
	case err := <-ended:
		return fmt.Errorf("ours did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := b.Release(); err != nil {
		return err
	}
	return within("ours waits", func() error { return <-ended })
}

func (p *place) oursHoldsGoWaits() error {
	b := recipe.NewBarrier(p.c, "/barriers/two")
	for _, release := range []func() error{
		func() error { _, err := p.ours("barrier-release", "two"); return err },
		b.Release,
	} {
		if _, err := p.ours("barrier-hold", "two"); err != nil {
			return err
		}
		if b.Hold() == nil {
			return errors.New("Go holds what ours holds")
		}
		waited := make(chan error, 1)
		go func() { waited <- b.Wait() }()
		select {
		case err := <-waited:
			return fmt.Errorf("Go did not wait: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		if err := release(); err != nil {
			return err
		}
		if err := within("Go waits", func() error { return <-waited }); err != nil {
			return err
		}
	}
	return nil
}

// doubleBarrier: two of Go's and two of ours come and go together, twice.
func (p *place) doubleBarrier() error {
	for range 2 {
		var all errgroup.Group
		entered, leave := make(chan string, 4), make(chan struct{})
		left := make(chan string, 4)
		for i := range 2 {
			all.Go(func() error {
				s, err := p.session()
				if err != nil {
					return err
				}
				defer s.Close()
				b := recipe.NewDoubleBarrier(s, "/barriers/round", 4)
				if err := b.Enter(); err != nil {
					return err
				}
				entered <- fmt.Sprint("Go ", i)
				<-leave
				if err := b.Leave(); err != nil {
					return err
				}
				left <- fmt.Sprint("Go ", i)
				return nil
			})
			all.Go(func() error {
				s, err := p.begin("double-barrier", "round", "4")
				if err != nil {
					return err
				}
				if text, err := s.line(); err != nil || text != "in" {
					return fmt.Errorf("ours: %s %v", text, err)
				}
				entered <- fmt.Sprint("ours ", i)
				<-leave
				text, err := s.end()
				left <- fmt.Sprint("ours ", i)
				return errors.Join(err, expect(text == "out", "ours: %s", text))
			})
		}
		for range 4 {
			select {
			case <-entered:
			case <-time.After(patience):
				return errors.New("not all entered")
			}
		}
		close(leave)
		if err := within("the round", all.Wait); err != nil {
			return err
		}
	}
	return nil
}

// ---- queues ----

// oneOrder: what both put comes out in one order, whoever takes it.
func (p *place) oneOrder() error {
	q := recipe.NewQueue(p.c, "/queues/order/")
	for i := range 8 {
		var err error
		if i%2 == 0 {
			err = q.Enqueue(strconv.Itoa(i))
		} else {
			_, err = p.ours("put", "order", strconv.Itoa(i))
		}
		if err != nil {
			return err
		}
	}
	for i := range 8 {
		var got string
		err := within("a take", func() (err error) {
			if i/2%2 == 0 {
				got, err = q.Dequeue()
			} else {
				got, err = p.ours("take", "order")
			}
			return err
		})
		if err != nil || got != strconv.Itoa(i) {
			return fmt.Errorf("item %d: got %q, %v", i, got, err)
		}
	}
	return nil
}

// waitingTakers: who waits gets what the other puts, and each item goes to one.
func (p *place) waitingTakers() error {
	const n = 12
	got := make(chan string, 2*n)
	var all errgroup.Group
	for i := range n {
		all.Go(func() error {
			var text string
			var err error
			if i%2 == 0 {
				text, err = recipe.NewQueue(p.c, "/queues/waited/").Dequeue()
			} else {
				text, err = p.ours("take", "waited")
			}
			got <- text
			return err
		})
	}
	for i := range n {
		var err error
		if i%3 == 0 {
			err = recipe.NewQueue(p.c, "/queues/waited/").Enqueue(strconv.Itoa(i))
		} else {
			_, err = p.ours("put", "waited", strconv.Itoa(i))
		}
		if err != nil {
			return err
		}
	}
	if err := within("the takers", all.Wait); err != nil {
		return err
	}
	seen := map[string]bool{}
	for range n {
		seen[<-got] = true
	}
	return expect(len(seen) == n, "%d items went to %d takers", len(seen), n)
}

// byPriority: Go takes what ours put, and ours what Go put. Beside ours of the same priority Go may refuse to put, because it counts in
// the keys, where ours draws; what it did put is taken.
func (p *place) byPriority() error {
	q := recipe.NewPriorityQueue(p.c, "/queues/first")
	for _, item := range [][2]string{{"later", "7"}, {"sooner", "3"}, {"last", "9"}} {
		if _, err := p.ours("put-first", "first", item[0], item[1]); err != nil {
			return err
		}
	}
	if err := q.Enqueue("soonest", 1); err != nil {
		return err
	}
	wanted := []string{"soonest", "sooner", "later"}
	if refused := q.Enqueue("beside", 3); refused == nil {
		wanted = []string{"soonest", "sooner or beside", "sooner or beside", "later"}
	}
	wanted = append(wanted, "last")
	for i, want := range wanted {
		var got string
		err := within("a take", func() (err error) {
			if i%2 == 0 {
				got, err = p.ours("take-first", "first")
			} else {
				got, err = q.Dequeue()
			}
			return err
		})
		if err != nil || !strings.Contains(want, got) || got == "" {
			return fmt.Errorf("got %q, wanted %q: %v", got, want, err)
		}
	}
	return nil
}

// ---- the rest ----

// memory: both count in one key, and no addition is lost.
func (p *place) memory() error {
	const each, n = 40, 3
	var all errgroup.Group
	for range n {
		all.Go(func() error { _, err := p.ours("add", "sum", strconv.Itoa(each)); return err })
		all.Go(func() error {
			for range each {
				_, err := concurrency.NewSTM(p.c, func(s concurrency.STM) error {
					was, _ := strconv.Atoi(s.Get("sum"))
					s.Put("sum", strconv.Itoa(was+1))
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := within("the sum", all.Wait); err != nil {
		return err
	}
	r, err := p.c.Get(context.Background(), "sum")
	if err != nil {
		return err
	}
	return expect(string(r.Kvs[0].Value) == strconv.Itoa(2*n*each), "%s instead of %d", r.Kvs[0].Value, 2*n*each)
}

// readWrite: Go's RWMutex has other keys. Ours refuses a name under which they lie; Go's writer waits for ours.
func (p *place) readWrite() error {
	s, err := p.session()
	if err != nil {
		return err
	}
	defer s.Close()
	m := recipe.NewRWMutex(s, "/locks/rw")
	if err := m.Lock(); err != nil {
		return err
	}
	for _, what := range []string{"lock", "read"} {
		step, err := p.begin(what, "rw")
		if err != nil {
			return err
		}
		text, _ := step.line()
		step.in.Close()
		step.cmd.Wait()
		if text == "held" || text == "" {
			return fmt.Errorf("ours is to refuse to %s beside Go's RWMutex: %q", what, text)
		}
	}
	if err := m.Unlock(); err != nil {
		return err
	}
	ours, err := p.begin("lock", "rw")
	if err != nil {
		return err
	}
	if text, err := ours.line(); err != nil || text != "held" {
		return fmt.Errorf("ours: %s %v", text, err)
	}
	locked := make(chan error, 1)
	go func() { locked <- m.Lock() }()
	select {
	case err := <-locked:
		return fmt.Errorf("Go's writer did not wait for ours: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if _, err := ours.end(); err != nil {
		return err
	}
	return within("Go's writer", func() error { return errors.Join(<-locked, m.Unlock()) })
}

func on(program string, f func(*place) error) func() error {
	return func() error {
		s, err := proc.Start(program)
		if err != nil {
			return err
		}
		defer s.End()
		c, err := s.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		return f(&place{s, c})
	}
}

func main() {
	flag.Parse()
	var cases []proc.Case
	for _, peer := range append([]string{"tenure=" + *flagTenure}, strings.Split(*flagEtcds, ",")...) {
		what, program, named := strings.Cut(peer, "=")
		path, err := exec.LookPath(program)
		if !named || err != nil {
			continue
		}
		for _, c := range []struct {
			name string
			run  func(*place) error
		}{
			{"Go holds a barrier, ours waits", (*place).goHoldsOursWaits},
			{"ours holds a barrier, Go waits, both release it", (*place).oursHoldsGoWaits},
			{"a double barrier of Go's and ours", (*place).doubleBarrier},
			{"a queue has one order for Go and ours", (*place).oneOrder},
			{"takers of Go and ours wait for what both put", (*place).waitingTakers},
			{"a priority queue is taken from by Go and ours", (*place).byPriority},
			{"transactional memory of Go and ours loses nothing", (*place).memory},
			{"Go's RWMutex and ours do not share a name", (*place).readWrite},
		} {
			cases = append(cases, proc.Case{Name: c.name + " [" + what + "]", Run: on(path, c.run)})
		}
	}
	proc.Run(cases)
}
