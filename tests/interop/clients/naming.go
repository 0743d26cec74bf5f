package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func tenure(words ...string) *exec.Cmd {
	cmd := exec.Command(*flagTenure, words...)
	cmd.Env = append(os.Environ(), "TENURE_ENDPOINTS=http://"+server.Addr)
	return cmd
}

// registered is a gRPC service that says of itself that it is well, kept in the registry by `tenure service register`.
func registered(name, instance string) (*exec.Cmd, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go s.Serve(listener)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	cmd := tenure("service", "register", name, "--id", instance, "--address", "127.0.0.1", "--port", port, "--grpc", "",
		"--zone", "eu", "--tag", "t")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	return cmd, s.Stop, err
}

// until asks again and again, for what no event tells here.
func until(what string, holds func() (bool, error)) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok, err := holds(); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("did not come: %s", what)
}

// Go's resolver finds what tenure registered, its balancer calls all of them, and one that drains is not there any more.
func goResolvesOurs(c *clientv3.Client) error {
	var all []*exec.Cmd
	for _, instance := range []string{"a", "b"} {
		cmd, stop, err := registered("go-finds", instance)
		if err != nil {
			return err
		}
		defer stop()
		all = append(all, cmd)
	}
	manager, err := endpoints.NewManager(c, "go-finds")
	if err != nil {
		return err
	}
	count := func(n int) error {
		return until(fmt.Sprintf("%d endpoints", n), func() (bool, error) {
			m, err := manager.List(ctx)
			return len(m) == n, err
		})
	}
	builder, err := resolver.NewBuilder(c)
	if err != nil {
		return err
	}
	if err := count(2); err != nil {
		return err
	}
	conn, err := grpc.NewClient("etcd:///go-finds", grpc.WithResolvers(builder),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	call := func() error {
		r, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
		return errors.Join(err, expect(err != nil || r.Status == grpc_health_v1.HealthCheckResponse_SERVING, "it is not well"))
	}
	for i := 0; i < 20; i++ {
		if err := call(); err != nil {
			return err
		}
	}
	if out, err := tenure("service", "drain", "go-finds", "a").CombinedOutput(); err != nil {
		return fmt.Errorf("drain: %w %s", err, out)
	}
	if err := errors.Join(count(1), call()); err != nil {
		return err
	}
	for _, cmd := range all {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			return err
		}
	}
	return count(0)
}

// tenure finds what Go registered, whatever its Metadata.
func weFindGos(c *clientv3.Client) error {
	manager, err := endpoints.NewManager(c, "go-says")
	if err != nil {
		return err
	}
	for key, e := range map[string]endpoints.Endpoint{
		"go-says/a": {Addr: "10.0.0.1:80"},
		"go-says/b": {Addr: "[::1]:81", Metadata: map[string]any{"zone": "eu", "weight": 3}},
		"go-says/c": {Addr: "10.0.0.3:82", Metadata: "words"},
	} {
		if err := manager.AddEndpoint(ctx, key, e); err != nil {
			return err
		}
	}
	out, err := tenure("service", "list", "go-says", "--prefix", "").CombinedOutput()
	if err != nil {
		return fmt.Errorf("list: %w %s", err, out)
	}
	for _, line := range []string{"go-says a 10.0.0.1:80 passing 1 -", "go-says b [::1]:81 passing 3 eu", "go-says c 10.0.0.3:82 passing 1 -"} {
		if !strings.Contains(strings.Join(strings.Fields(string(out)), " "), line) {
			return fmt.Errorf("no '%s' in %s", line, out)
		}
	}
	if err := manager.DeleteEndpoint(ctx, "go-says/a"); err != nil {
		return err
	}
	out, err = tenure("service", "pick", "go-says", "--prefix", "", "--zone", "eu").CombinedOutput()
	return errors.Join(err, expect(string(out) == "[::1]:81\n", "picked %s", out))
}
