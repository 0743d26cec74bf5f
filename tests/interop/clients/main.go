// Command clients runs Go's own etcd client and what is built on it (sessions, mutexes, elections, transactional memory,
// recipes, leasing, namespaces, mirrors, naming) on `tenure serve`, alone, beside `tenure lock`, and over a kill -9. Prints TAP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"

	"tenure.example/interop/proc"
)

var flagTenure = flag.String("tenure", "build/tenure", "tenure")

const patience = 30 * time.Second

var (
	server *proc.Serve
	ctx    = context.Background()
)

// together runs f n times at once, each with a client of its own.
func together(n int, f func(i int, c *clientv3.Client) error) error {
	errs := make(chan error, n)
	for i := 0; i < n; i++ {
		go func() {
			c, err := server.Client()
			if err == nil {
				err = f(i, c)
				c.Close()
			}
			errs <- err
		}()
	}
	var all []error
	for i := 0; i < n; i++ {
		select {
		case err := <-errs:
			all = append(all, err)
		case <-time.After(patience):
			return fmt.Errorf("%d of %d did not end", n-i, n)
		}
	}
	return errors.Join(all...)
}

func alone(f func(c *clientv3.Client) error) func() error {
	return func() error { return together(1, func(_ int, c *clientv3.Client) error { return f(c) }) }
}

func expect(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func number(c *clientv3.Client, key string) (int, error) {
	r, err := c.Get(ctx, key)
	if err != nil || len(r.Kvs) == 0 {
		return 0, err
	}
	return strconv.Atoi(string(r.Kvs[0].Value))
}

// ---- sessions, locks, elections ----

func sessions(c *clientv3.Client) error {
	s, err := concurrency.NewSession(c, concurrency.WithTTL(2))
	if err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // more than the TTL: it is kept alive
	ttl, err := c.TimeToLive(ctx, s.Lease())
	if err != nil || ttl.TTL <= 0 {
		return fmt.Errorf("the session's lease: %v %v", ttl, err)
	}
	if _, err := c.Revoke(ctx, s.Lease()); err != nil {
		return err
	}
	select {
	case <-s.Done():
		return nil
	case <-time.After(patience):
		return errors.New("a session whose lease was revoked is not done")
	}
}

func mutexes() error {
	const each, n = 25, 6
	err := together(n, func(_ int, c *clientv3.Client) error {
		s, err := concurrency.NewSession(c)
		if err != nil {
			return err
		}
		defer s.Close()
		for i := 0; i < each; i++ {
			m := concurrency.NewMutex(s, "mutex")
			if err := m.Lock(ctx); err != nil {
				return err
			}
			was, err := number(c, "count")
			if err != nil {
				return err
			}
			done, err := c.Txn(ctx).If(m.IsOwner()).Then(clientv3.OpPut("count", strconv.Itoa(was+1))).Commit()
			if err != nil || !done.Succeeded {
				return fmt.Errorf("the holder could not write: %v", err)
			}
			if err := m.Unlock(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return alone(func(c *clientv3.Client) error {
		got, err := number(c, "count")
		return errors.Join(err, expect(got == n*each, "%d instead of %d", got, n*each))
	})()
}

func tryLock(c *clientv3.Client) error {
	one, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	two, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	first, second := concurrency.NewMutex(one, "try"), concurrency.NewMutex(two, "try")
	if err := first.TryLock(ctx); err != nil {
		return err
	}
	if err := second.TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
		return fmt.Errorf("TryLock of what is held: %v", err)
	}
	if err := one.Close(); err != nil {
		return err
	}
	return second.Lock(ctx)
}

func elections() error {
	const n = 4
	leaders := make(chan string, 2*n)
	watching := make(chan struct{})
	go alone(func(c *clientv3.Client) error {
		s, err := concurrency.NewSession(c)
		if err != nil {
			return err
		}
		seen := concurrency.NewElection(s, "election").Observe(ctx)
		close(watching)
		for r := range seen {
			leaders <- string(r.Kvs[0].Value)
		}
		return nil
	})()
	<-watching
	var mu sync.Mutex
	leading, terms := 0, 0
	err := together(n, func(i int, c *clientv3.Client) error {
		s, err := concurrency.NewSession(c)
		if err != nil {
			return err
		}
		defer s.Close()
		e := concurrency.NewElection(s, "election")
		if err := e.Campaign(ctx, fmt.Sprint("c", i)); err != nil {
			return err
		}
		mu.Lock()
		leading, terms = leading+1, terms+1
		alone := leading == 1
		mu.Unlock()
		if err := e.Proclaim(ctx, fmt.Sprint("p", i)); err != nil {
			return err
		}
		r, err := e.Leader(ctx)
		if err != nil || string(r.Kvs[0].Value) != fmt.Sprint("p", i) {
			return fmt.Errorf("the leader is %v, %v", r, err)
		}
		mu.Lock()
		leading--
		mu.Unlock()
		if err := e.Resign(ctx); err != nil {
			return err
		}
		return expect(alone, "two led at a time")
	})
	if err != nil {
		return err
	}
	select {
	case <-leaders:
		return expect(terms == n, "%d terms", terms)
	case <-time.After(patience):
		return errors.New("the observer saw nobody")
	}
}

func transactionalMemory() error {
	const accounts, each, n = 5, 20, 4
	name := func(i int) string { return fmt.Sprint("account", i) }
	if err := alone(func(c *clientv3.Client) error {
		for i := 0; i < accounts; i++ {
			if _, err := c.Put(ctx, name(i), "100"); err != nil {
				return err
			}
		}
		return nil
	})(); err != nil {
		return err
	}
	levels := []concurrency.Isolation{concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads}
	err := together(n, func(i int, c *clientv3.Client) error {
		for k := 0; k < each; k++ {
			from, to := name((i+k)%accounts), name((i+2*k+1)%accounts)
			if from == to {
				continue
			}
			_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
				a, _ := strconv.Atoi(s.Get(from))
				b, _ := strconv.Atoi(s.Get(to))
				s.Put(from, strconv.Itoa(a-1))
				s.Put(to, strconv.Itoa(b+1))
				return nil
			}, concurrency.WithIsolation(levels[k%2]))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return alone(func(c *clientv3.Client) error {
		sum := 0
		for i := 0; i < accounts; i++ {
			v, err := number(c, name(i))
			if err != nil {
				return err
			}
			sum += v
		}
		return expect(sum == accounts*100, "the sum is %d", sum)
	})()
}

// ---- recipes ----

func recipes() error {
	const n = 4
	var mu sync.Mutex
	got := map[string]bool{}
	if err := together(n, func(i int, c *clientv3.Client) error {
		if err := recipe.NewQueue(c, "queue").Enqueue(fmt.Sprint("job", i)); err != nil {
			return err
		}
		job, err := recipe.NewQueue(c, "queue").Dequeue()
		mu.Lock()
		defer mu.Unlock()
		got[job] = true
		return err
	}); err != nil || len(got) != n {
		return fmt.Errorf("the queue: %v %v", got, err)
	}
	if err := together(n, func(_ int, c *clientv3.Client) error {
		s, err := concurrency.NewSession(c)
		if err != nil {
			return err
		}
		b := recipe.NewDoubleBarrier(s, "double", n)
		if err := b.Enter(); err != nil {
			return err
		}
		return b.Leave()
	}); err != nil {
		return fmt.Errorf("the double barrier: %w", err)
	}
	inside := 0
	return together(n, func(i int, c *clientv3.Client) error {
		s, err := concurrency.NewSession(c)
		if err != nil {
			return err
		}
		defer s.Close()
		m := recipe.NewRWMutex(s, "rw")
		if i%2 == 0 {
			if err := m.RLock(); err != nil {
				return err
			}
			return m.RUnlock()
		}
		if err := m.Lock(); err != nil {
			return err
		}
		mu.Lock()
		inside++
		two := inside > 1
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		inside--
		mu.Unlock()
		return errors.Join(m.Unlock(), expect(!two, "two writers at a time"))
	})
}

// ---- what wraps a client ----

func wrappers(c *clientv3.Client) error {
	ns := namespace.NewKV(c.KV, "ns/")
	if _, err := ns.Put(ctx, "a", "1"); err != nil {
		return err
	}
	r, err := c.Get(ctx, "ns/a")
	if err != nil || len(r.Kvs) != 1 {
		return fmt.Errorf("namespace: %v %v", r, err)
	}
	lkv, closeLeasing, err := leasing.NewKV(c, "leasing/")
	if err != nil {
		return err
	}
	defer closeLeasing()
	for _, value := range []string{"1", "2"} {
		if _, err := lkv.Put(ctx, "leased", value); err != nil {
			return err
		}
		if r, err := lkv.Get(ctx, "leased"); err != nil || string(r.Kvs[0].Value) != value {
			return fmt.Errorf("leasing: %v %v", r, err)
		}
	}
	syncer := mirror.NewSyncer(c, "ns/", 0)
	base, errs := syncer.SyncBase(ctx)
	n := 0
	for r := range base {
		n += len(r.Kvs)
	}
	if err := <-errs; err != nil || n != 1 {
		return fmt.Errorf("mirror: %d keys, %v", n, err)
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	updates := syncer.SyncUpdates(within)
	if _, err := c.Put(ctx, "ns/b", "2"); err != nil {
		return err
	}
	up := <-updates
	return expect(len(up.Events) == 1 && string(up.Events[0].Kv.Key) == "ns/b", "mirror: %v", up)
}

// ---- beside `tenure lock`, and over a kill ----

func besideTenureLock() error {
	const each, n = 10, 3
	file := filepath.Join(server.Dir, "shared")
	if err := os.WriteFile(file, []byte("0\n"), 0o600); err != nil {
		return err
	}
	increment := func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		was, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
		return os.WriteFile(file, []byte(strconv.Itoa(was+1)+"\n"), 0o600)
	}
	script := fmt.Sprintf("n=$(cat %s); sleep 0.001; echo $((n+1)) >%s", file, file)
	err := together(2*n, func(i int, c *clientv3.Client) error {
		if i%2 == 0 {
			for k := 0; k < each; k++ {
				cmd := exec.Command(*flagTenure, "lock", "shared", "--", "sh", "-c", script)
				cmd.Env = append(os.Environ(), "TENURE_ENDPOINTS=http://"+server.Addr)
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("tenure lock: %w %s", err, out)
				}
			}
			return nil
		}
		s, err := concurrency.NewSession(c)
		if err != nil {
			return err
		}
		defer s.Close()
		for k := 0; k < each; k++ {
			m := concurrency.NewMutex(s, "/locks/shared")
			if err := m.Lock(ctx); err != nil {
				return err
			}
			if err := errors.Join(increment(), m.Unlock(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
	text, _ := os.ReadFile(file)
	return errors.Join(err, expect(strings.TrimSpace(string(text)) == strconv.Itoa(2*n*each), "%s instead of %d", text, 2*n*each))
}

func overAKill(c *clientv3.Client) error {
	s, err := concurrency.NewSession(c, concurrency.WithTTL(20))
	if err != nil {
		return err
	}
	m := concurrency.NewMutex(s, "kept")
	if err := m.Lock(ctx); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen := c.Watch(within, "w", clientv3.WithCreatedNotify())
	<-seen
	if _, err := c.Put(ctx, "w", "before"); err != nil {
		return err
	}
	server.Kill()
	if err := server.Begin(); err != nil {
		return err
	}
	if err := server.Ready(); err != nil {
		return err
	}
	if _, err := c.Put(ctx, "w", "after"); err != nil {
		return err
	}
	var values []string
	for len(values) < 2 {
		r, open := <-seen
		if !open || r.Err() != nil {
			return fmt.Errorf("the watch ended: %v, saw %v", r.Err(), values)
		}
		for _, ev := range r.Events {
			values = append(values, string(ev.Kv.Value))
		}
	}
	done, err := c.Txn(ctx).If(m.IsOwner()).Commit()
	if err != nil || !done.Succeeded {
		return fmt.Errorf("the lock is gone: %v", err)
	}
	if _, err := c.KeepAliveOnce(ctx, s.Lease()); err != nil {
		return err
	}
	return expect(strings.Join(values, " ") == "before after", "the watch saw %v", values)
}

func main() {
	flag.Parse()
	var err error
	if server, err = proc.Start(*flagTenure); err != nil {
		fmt.Fprintf(os.Stderr, "clients: %v\n", err)
		os.Exit(2)
	}
	defer server.End()
	proc.Run([]proc.Case{
		{Name: "Go: a session is kept alive, and done when its lease is gone", Run: alone(sessions)},
		{Name: "Go: mutexes exclude each other, and their holder's writes count", Run: mutexes},
		{Name: "Go: TryLock tells that another has it", Run: alone(tryLock)},
		{Name: "Go: one leads at a time, and observers see it", Run: elections},
		{Name: "Go: transactional memory keeps the sum", Run: transactionalMemory},
		{Name: "Go: queues, barriers and read-write locks", Run: recipes},
		{Name: "Go: namespaces, leasing and mirrors", Run: alone(wrappers)},
		{Name: "Go's mutex and tenure lock stand in one queue", Run: besideTenureLock},
		{Name: "Go's resolver and balancer call what tenure service registered, and not what it drains", Run: alone(goResolvesOurs)},
		{Name: "tenure service finds what Go's naming registered", Run: alone(weFindGos)},
		{Name: "Go: lock, lease and watch go on over a kill -9", Run: alone(overAKill)},
	})
}
