// Command stock puts into a server all that a move has to carry (keys with a history, leases, users, roles), and takes
// stock: it says, as JSON, what a server holds. Two servers that hold the same have the same stock.
//
//	stock fill --endpoints URL --keys N --revisions N --leases N --users N
//	stock take --endpoints URL[,URL…]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	patience = 10 * time.Minute // a hash over a large file is one call
	maxBytes = 1 << 30
)

// connect answers a client of these endpoints, as that user if it has a name.
func connect(endpoints []string, user, password string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, Username: user, Password: password, Logger: zap.NewNop(),
		DialTimeout: 30 * time.Second, MaxCallRecvMsgSize: maxBytes})
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: stock fill|take --endpoints URLS …")
	}
	flags := flag.NewFlagSet("stock", flag.ExitOnError)
	endpoints := flags.String("endpoints", "", "the servers")
	amount := Amount{}
	flags.IntVar(&amount.Keys, "keys", 1000, "keys that live in the end")
	flags.IntVar(&amount.Revisions, "revisions", 1500, "revisions in all")
	flags.IntVar(&amount.Leases, "leases", 50, "leases")
	flags.IntVar(&amount.Users, "users", 5, "users besides root")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
	defer cancel()
	urls := strings.Split(*endpoints, ",")
	switch os.Args[1] {
	case "fill":
		return fill(ctx, urls, amount)
	case "take":
		stock, err := take(ctx, urls)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(stock)
	}
	return fmt.Errorf("stock does not know %q", os.Args[1])
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "stock:", err)
		os.Exit(1)
	}
}
