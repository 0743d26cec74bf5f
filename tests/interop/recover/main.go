// Command recover writes and reads through Go's client, one call after the other, and says when each was answered: what
// holder/recover.c does through libtenure. Each call may take two seconds. It goes on until its input ends.
//
//	recover ENDPOINTS
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const limit = 2 * time.Second

func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		log.Fatal(err)
	}
	return ts.Nano() / 1e6
}

func again(what string, call func(ctx context.Context) error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		if call(ctx) == nil {
			fmt.Printf("%s %d\n", what, now())
		}
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
}

func main() {
	c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(os.Args[1], ","), DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		log.Fatal(err)
	}
	go again("put", func(ctx context.Context) error { _, err := c.Put(ctx, "recover/go", "x"); return err })
	go again("get", func(ctx context.Context) error { _, err := c.Get(ctx, "recover/go"); return err })
	io.Copy(io.Discard, os.Stdin)
}
