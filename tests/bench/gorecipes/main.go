// Recipes per second by Go's clientv3, its concurrency package and its recipes: the same work as recipes.c. Each client has a
// connection of its own.
//
//	gorecipes -port N -op election|stm|queue|barrier -clients N -seconds S
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
	recipe "go.etcd.io/etcd/contrib/recipes"
)

func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e3
}

// cycle is one of the recipe by client i.
func cycle(op string, i int, c *clientv3.Client, s *concurrency.Session) error {
	ctx := context.Background()
	own := fmt.Sprintf("bench-%03d", i) // none begins with another: a barrier of Go's would wait for both
	switch op {
	case "election": // a term of one election that all want
		e := concurrency.NewElection(s, "/election/bench")
		if err := e.Campaign(ctx, own); err != nil {
			return err
		}
		return e.Resign(ctx)
	case "stm": // one more, in a key of its own
		_, err := concurrency.NewSTM(c, func(m concurrency.STM) error {
			was, _ := strconv.Atoi(m.Get("stm/" + own))
			m.Put("stm/"+own, strconv.Itoa(was+1))
			return nil
		})
		return err
	case "queue": // one in, one out, of a queue that all use
		q := recipe.NewQueue(c, "/queues/bench/")
		if err := q.Enqueue(own); err != nil {
			return err
		}
		_, err := q.Dequeue()
		return err
	case "barrier": // held and released, of its own
		b := recipe.NewBarrier(c, "/barriers/"+own)
		if err := b.Hold(); err != nil {
			return err
		}
		if err := b.Release(); err != nil {
			return err
		}
		return b.Wait()
	}
	return fmt.Errorf("no such op: %s", op)
}

func main() {
	port := flag.Int("port", 2379, "")
	op := flag.String("op", "stm", "")
	clients := flag.Int("clients", 1, "")
	seconds := flag.Float64("seconds", 2, "")
	flag.Parse()
	var cycles int64
	var wait sync.WaitGroup
	var begin, end time.Time
	start := make(chan struct{})
	for i := 0; i < *clients; i++ {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("http://127.0.0.1:%d", *port)}, DialTimeout: 5 * time.Second})
		if err != nil {
			log.Fatal(err)
		}
		var s *concurrency.Session
		if *op == "election" {
			if s, err = concurrency.NewSession(c, concurrency.WithTTL(30)); err != nil {
				log.Fatal(err)
			}
		}
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			<-start
			for time.Now().Before(end) {
				if err := cycle(*op, i, c, s); err != nil {
					log.Fatal(err)
				}
				if now := time.Now(); now.After(begin) && now.Before(end) {
					atomic.AddInt64(&cycles, 1)
				}
			}
			if s != nil {
				s.Close()
			}
			c.Close()
		}(i)
	}
	before := cpu()
	begin = time.Now().Add(time.Duration(*seconds * 0.2e9))
	end = begin.Add(time.Duration(*seconds * 1e9))
	close(start)
	wait.Wait()
	fmt.Printf("{\"op\":\"%s\",\"clients\":%d,\"cycles\":%d,\"per_s\":%.0f,\"client_us_per_cycle\":%.1f}\n", *op, *clients, cycles,
		float64(cycles) / *seconds, (cpu()-before)/float64(cycles+1))
}
