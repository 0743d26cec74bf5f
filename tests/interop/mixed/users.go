package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	epb "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	lpb "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
)

const (
	ttl      = 4 // seconds; who stops for longer loses it in the middle, which looks like an overlap
	patience = time.Minute
	pause    = 100 * time.Millisecond // after what failed
)

// ---- what every holder does ----

// countOne adds one under the guard of the own key; it notes when that did not happen, or is not known to have.
func (a *arena) countOne(ctx context.Context, c *clientv3.Client, id, key string, token int64) {
	count := a.name + ".count"
	r, err := c.Get(ctx, count)
	if err != nil {
		a.note("unsure", id, token)
		return
	}
	was := 0
	if len(r.Kvs) > 0 {
		was, _ = strconv.Atoi(strings.Fields(string(r.Kvs[0].Value))[0])
	}
	done, err := c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", token)).
		Then(clientv3.OpPut(count, fmt.Sprintf("%d %d", was+1, token))).Commit()
	if err != nil {
		a.note("unsure", id, token)
	} else if !done.Succeeded {
		a.note("lost", id, token)
	}
}

func (a *arena) inside(ctx context.Context, c *clientv3.Client, id, key string, token int64) {
	a.note("enter", id, token)
	a.countOne(ctx, c, id, key, token)
	a.note("leave", id, token)
}

// ---- Go's own, and the services by Go's stubs ----

func (a *arena) goUser(id string, services bool) {
	c, err := a.server.Client()
	if err != nil {
		a.failed(id, err)
		return
	}
	defer c.Close()
	for !a.stopped() {
		if err := a.goSession(id, c, services); err != nil {
			a.failed(id, err)
			time.Sleep(pause)
		}
	}
}

// goSession takes turns on one session until something fails; then the session goes, and with it the key.
func (a *arena) goSession(id string, c *clientv3.Client, services bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := concurrency.NewSession(c, concurrency.WithTTL(ttl), concurrency.WithContext(ctx))
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Orphan()
		c.Revoke(bounded, s.Lease())
	}()
	turn := a.goTurn
	if services {
		turn = a.serviceTurn
	}
	for n := 0; n < 50 && !a.stopped(); n++ {
		if err := turn(ctx, id, c, s); err != nil {
			return err
		}
	}
	return nil
}

func (a *arena) goTurn(ctx context.Context, id string, c *clientv3.Client, s *concurrency.Session) error {
	if a.elects {
		e := concurrency.NewElection(s, a.name)
		if err := e.Campaign(ctx, id); err != nil {
			return err
		}
		a.inside(ctx, c, id, e.Key(), e.Rev())
		return e.Resign(ctx)
	}
	m := concurrency.NewMutex(s, a.name)
	if err := m.Lock(ctx); err != nil {
		return err
	}
	return a.insideAndUnlock(ctx, c, id, m.Key(), func() error { return m.Unlock(ctx) })
}

func (a *arena) insideAndUnlock(ctx context.Context, c *clientv3.Client, id, key string, unlock func() error) error {
	r, err := c.Get(ctx, key)
	if err != nil {
		return err
	}
	if len(r.Kvs) == 0 {
		return fmt.Errorf("%s is gone", key)
	}
	a.inside(ctx, c, id, key, r.Kvs[0].CreateRevision)
	return unlock()
}

func (a *arena) serviceTurn(ctx context.Context, id string, c *clientv3.Client, s *concurrency.Session) error {
	if a.elects {
		e := epb.NewElectionClient(c.ActiveConnection())
		r, err := e.Campaign(ctx, &epb.CampaignRequest{Name: []byte(a.name), Lease: int64(s.Lease()), Value: []byte(id)})
		if err != nil {
			return err
		}
		a.inside(ctx, c, id, string(r.Leader.Key), r.Leader.Rev)
		_, err = e.Resign(ctx, &epb.ResignRequest{Leader: r.Leader})
		return err
	}
	l := lpb.NewLockClient(c.ActiveConnection())
	r, err := l.Lock(ctx, &lpb.LockRequest{Name: []byte(a.name), Lease: int64(s.Lease())})
	if err != nil {
		return err
	}
	return a.insideAndUnlock(ctx, c, id, string(r.Key), func() error {
		_, err := l.Unlock(ctx, &lpb.UnlockRequest{Key: r.Key})
		return err
	})
}

// ---- processes ----

func (a *arena) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TENURE_ENDPOINTS=http://"+a.server.Addr, "ETCDCTL_ENDPOINTS=http://"+a.server.Addr)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// process runs a user again and again: it ends by itself after one turn, or, endless, when there is "stop". When it says that
// it waits to be killed, it is.
func (a *arena) process(id string, endless bool, program string, args ...string) {
	for !a.stopped() {
		cmd := a.command(program, args...)
		if err := cmd.Start(); err != nil {
			a.failed(id, err)
			return
		}
		if killed, err := a.await(id, cmd); err != nil && !killed {
			a.failed(id, err)
			time.Sleep(pause)
		} else if killed {
			a.note("killed", id, 0)
			a.mu.Lock()
			a.killed++
			a.mu.Unlock()
		} else if endless {
			return
		}
	}
}

// await answers the end of the process, and whether it was killed because it had been told to wait for that.
func (a *arena) await(id string, cmd *exec.Cmd) (bool, error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	dying := filepath.Join(a.dir, "dying."+id)
	for {
		select {
		case err := <-ended:
			return false, err
		case <-time.After(20 * time.Millisecond):
		}
		if os.Remove(dying) == nil {
			err := a.kill(cmd)
			return true, errors.Join(err, <-ended)
		}
	}
}

// kill is -9 of the process; what `tenure lock` runs is its guardian's to end, what etcdctl runs is nobody's.
func (a *arena) kill(cmd *exec.Cmd) error {
	if filepath.Base(cmd.Path) == "tenure" {
		return cmd.Process.Kill()
	}
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// victim is a process that will kill no others: which one is drawn from how many were before.
func (a *arena) victim(n int) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id, kind := range a.kinds {
		if kind != "Go" && kind != "v3 Go" && kind != "etcdctl elect" {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids[rand.New(rand.NewSource(int64(n))).Intn(len(ids))]
}

// etcdctlElects: `etcdctl elect` runs no command; it says its key when it leads, and resigns at SIGINT.
func (a *arena) etcdctlElects(id string) {
	c, err := a.server.Client()
	if err != nil {
		a.failed(id, err)
		return
	}
	defer c.Close()
	for !a.stopped() {
		if err := a.etcdctlTerm(id, c); err != nil {
			a.failed(id, err)
			time.Sleep(pause)
		}
	}
}

func (a *arena) etcdctlTerm(id string, c *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := a.command(*flagEtcdctl, "elect", a.name, id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	key, err := bufio.NewReader(out).ReadString('\n')
	if key = strings.TrimSpace(key); err == nil {
		var r *clientv3.GetResponse
		if r, err = c.Get(ctx, key); err == nil && len(r.Kvs) > 0 {
			a.inside(ctx, c, id, key, r.Kvs[0].CreateRevision)
		}
	}
	cmd.Process.Signal(syscall.SIGINT)
	cmd.Wait()
	return err
}
