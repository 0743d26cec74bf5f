// Package proc runs `tenure serve`, or etcd, for the programs beside it, and counts their cases in TAP.
package proc

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Serve is one server with a folder of its own; it keeps its port over restarts.
type Serve struct {
	Program, Dir, Addr string
	cmd                *exec.Cmd
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Start starts a fresh one and waits until it serves.
func Start(program string) (*Serve, error) {
	dir, err := os.MkdirTemp("", "tenure-interop.")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Serve{Program: program, Dir: dir, Addr: fmt.Sprintf("127.0.0.1:%d", port)}
	if err := s.Begin(); err != nil {
		s.End()
		return nil, err
	}
	return s, s.Ready()
}

// Begin starts the process on the data that is there.
func (s *Serve) Begin() error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	url := "http://" + s.Addr
	args := []string{"--data-dir", filepath.Join(s.Dir, "data"), "--listen-client-urls", url}
	if filepath.Base(s.Program) == "tenure" {
		args = append([]string{"serve"}, args...)
	} else {
		peer, err := freePort()
		if err != nil {
			return err
		}
		to := fmt.Sprintf("http://127.0.0.1:%d", peer)
		args = append(args, "--advertise-client-urls", url, "--listen-peer-urls", to, "--initial-advertise-peer-urls", to,
			"--initial-cluster", "default="+to)
	}
	s.cmd = exec.Command(s.Program, args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	return s.cmd.Start()
}

// Ready waits until it answers.
func (s *Serve) Ready() error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err = c.Get(ctx, "ready?"); err != nil {
		text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
		return fmt.Errorf("tenure does not serve: %w\n%s", err, text)
	}
	return nil
}

// Kill is -9.
func (s *Serve) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// End ends it and removes what it left.
func (s *Serve) End() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.Kill()
	}
	os.RemoveAll(s.Dir)
}

// Client is Go's own.
func (s *Serve) Client() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{s.Addr}, DialTimeout: 20 * time.Second, Logger: zap.NewNop()})
}

// Case is one line of TAP.
type Case struct {
	Name string
	Run  func() error
}

// Run runs all and exits 1 when one failed.
func Run(cases []Case) {
	fmt.Printf("1..%d\n", len(cases))
	failed := false
	for i, c := range cases {
		begun := time.Now()
		if err := c.Run(); err != nil {
			failed = true
			fmt.Printf("# %v\nnot ok %d - %s\n", err, i+1, c.Name)
		} else {
			fmt.Printf("ok %d - %s\n", i+1, c.Name)
		}
		fmt.Printf("# %.1f s\n", time.Since(begun).Seconds())
	}
	if failed {
		os.Exit(1)
	}
}
