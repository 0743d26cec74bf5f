// Lock cycles per second by Go's clientv3 and its concurrency package: the same work as locks.c, for the rows of the
// benchmark that name Go's client. Each client has a connection and a session of its own.
//
//	golock -port N -clients N -seconds S [-distinct]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
)

func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e3
}

func main() {
	port := flag.Int("port", 2379, "")
	clients := flag.Int("clients", 2, "")
	seconds := flag.Float64("seconds", 2, "")
	distinct := flag.Bool("distinct", false, "")
	flag.Parse()
	ctx := context.Background()
	begin := time.Now().Add(time.Duration(*seconds * 0.2e9))
	end := begin.Add(time.Duration(*seconds * 1e9))
	var cycles int64
	var wait sync.WaitGroup
	for i := 0; i < *clients; i++ {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("http://127.0.0.1:%d", *port)}, DialTimeout: 5 * time.Second})
		if err != nil {
			log.Fatal(err)
		}
		s, err := concurrency.NewSession(c, concurrency.WithTTL(30))
		if err != nil {
			log.Fatal(err)
		}
		name := "/locks/bench"
		if *distinct {
			name = fmt.Sprintf("/locks/bench-%d", i)
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			for time.Now().Before(end) {
				m := concurrency.NewMutex(s, name)
				if err := m.Lock(ctx); err != nil {
					log.Fatal(err)
				}
				if now := time.Now(); now.After(begin) && now.Before(end) {
					atomic.AddInt64(&cycles, 1)
				}
				if err := m.Unlock(ctx); err != nil {
					log.Fatal(err)
				}
			}
			s.Close()
			c.Close()
		}()
	}
	before := cpu()
	wait.Wait()
	fmt.Printf("{\"op\":\"lock\",\"clients\":%d,\"cycles\":%d,\"per_s\":%.0f,\"client_us_per_cycle\":%.1f}\n", *clients, cycles,
		float64(cycles)/ *seconds, (cpu()-before)/float64(cycles+1))
}
