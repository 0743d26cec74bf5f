package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// settings are what both servers of a pair are started with; seeds vary them, so that limits are met with small requests.
type settings struct {
	maxTxnOps    int
	requestBytes int
	hash         bool // whether hashes are compared, for which no lease id may be drawn by the server
	auth         bool // whether the steps have to do with it
}

func (s settings) flags() []string {
	return []string{
		fmt.Sprintf("--max-txn-ops=%d", s.maxTxnOps),
		fmt.Sprintf("--max-request-bytes=%d", s.requestBytes),
	}
}

// server is one process with an empty data folder, and a connection to it.
type server struct {
	name string
	dir  string
	cmd  *exec.Cmd
	addr string
	peer string // URL that etcd gives itself
	conn *grpc.ClientConn
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal("no free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func etcdArgs(dir string, port int, peer string) []string {
	client := fmt.Sprintf("http://127.0.0.1:%d", port)
	return []string{
		"--data-dir=" + filepath.Join(dir, "data"), "--unsafe-no-fsync", "--log-level=error",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--bcrypt-cost=4",
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
	}
}

func tenureArgs(dir string, port int, _ string) []string {
	return []string{
		"serve", "--data-dir=" + filepath.Join(dir, "data"), "--listen-client-urls=" + fmt.Sprintf("http://127.0.0.1:%d", port),
	}
}

// dial connects without waiting; a server that is still starting is asked again soon.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.2, MaxDelay: 100 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
}

// startServer starts one and waits until it answers a linearizable read.
func startServer(name, program string, args func(dir string, port int, peer string) []string, set settings) (*server, error) {
	dir, err := os.MkdirTemp(*flagFolder, "tenure-diff.")
	if err != nil {
		return nil, err
	}
	port := freePort()
	s := &server{name: name, dir: dir, addr: fmt.Sprintf("127.0.0.1:%d", port), peer: fmt.Sprintf("http://127.0.0.1:%d", freePort())}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.Command(program, append(args(dir, port, s.peer), set.flags()...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if s.conn, err = dial(s.addr); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err = pb.NewKVClient(s.conn).Range(ctx, &pb.RangeRequest{Key: []byte("ready?")}, grpc.WaitForReady(true))
	}
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.stop()
		return nil, fmt.Errorf("%s does not serve: %v\n%s", name, err, text)
	}
	return s, nil
}

func (s *server) stop() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.RemoveAll(s.dir)
}

// pair is etcd and tenure, both fresh.
type pair struct{ etcd, tenure *server }

func startPair(set settings) (*pair, error) {
	etcd, err := startServer("etcd", *flagEtcd, etcdArgs, set)
	if err != nil {
		return nil, err
	}
	tenure, err := startServer("tenure", *flagTenure, tenureArgs, set)
	if err != nil {
		etcd.stop()
		return nil, err
	}
	return &pair{etcd, tenure}, nil
}

func (p *pair) stop() {
	p.etcd.stop()
	p.tenure.stop()
}
