// Command diff plays the same random requests on etcd and on `tenure serve` and compares every reply, event and error.
//
//	diff --etcd PROGRAM --tenure PROGRAM [--seeds N] [--first-seed N] [--steps N] [--time-limit D] [--shrink D]
//
// Each seed gets two fresh servers and its own settings. The first difference of a seed ends it; differences of one kind
// are shrunk once, to the shortest sequence that shows them. Prints TAP: one line a seed.
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"
	"time"
)

var (
	flagEtcd   = flag.String("etcd", "build/interop/etcd", "current etcd")
	flagTenure = flag.String("tenure", "build/tenure", "tenure")
	flagFolder = flag.String("folder", "", "where servers keep their data")
	flagSeeds  = flag.Int("seeds", 4, "how many")
	flagFirst  = flag.Int64("first-seed", 1, "the first of them")
	flagSteps  = flag.Int("steps", 500, "of each seed")
	flagLimit  = flag.Duration("time-limit", time.Hour, "seeds that have not begun by then are skipped")
	flagShrink = flag.Duration("shrink", time.Minute, "time to look for a shorter sequence; 0: none")
	flagSkip   = flag.String("skip", "", "methods to leave out, or Auth, with commas")
	flagSeen   = flag.Bool("seen", false, "print how often each method ended in which way")
)

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "diff: "+format+"\n", args...)
	os.Exit(2)
}

func settingsOf(seed int64) settings {
	set := settings{maxTxnOps: 128, requestBytes: 1536 * 1024}
	switch seed % 4 {
	case 1:
		set.maxTxnOps = 8
	case 2:
		set.requestBytes = 10_000
	}
	set.hash = seed%2 == 0
	set.auth = seed%3 == 0 && !isSkipped("Auth")
	return set
}

// play runs one seed; answers the steps played and the difference that ended it.
func play(seed int64, seen map[string]int) ([]step, *difference, error) {
	set := settingsOf(seed)
	p, err := startPair(set)
	if err != nil {
		return nil, nil, err
	}
	defer p.stop()
	r := newRun(p)
	defer r.close()
	g := newGen(seed, r, set)
	var steps []step
	var d *difference
	for d == nil && len(steps) < *flagSteps {
		s := g.next()
		steps = append(steps, s)
		d = r.do(s)
	}
	if d == nil {
		d = r.sync()
	}
	for what, n := range r.seen {
		seen[what] += n
	}
	return steps, d, nil
}

func report(seed int64, steps []step, d *difference, shrunk map[string]bool) {
	fmt.Printf("# seed %d, step %d: %v\n", seed, len(steps), d)
	if shrunk[d.kind] || *flagShrink == 0 {
		return
	}
	shrunk[d.kind] = true
	short, d := shrink(settingsOf(seed), steps, d)
	fmt.Printf("# shortest found, %d of %d steps (settings %+v):\n", len(short), len(steps), settingsOf(seed))
	for _, s := range short[max(0, len(short)-30):] {
		fmt.Printf("#   %v\n", s)
	}
	fmt.Printf("# %v\n", d)
}

func main() {
	flag.Parse()
	begun := time.Now()
	seen, shrunk := map[string]int{}, map[string]bool{}
	failed, total := false, 0
	fmt.Printf("1..%d\n", *flagSeeds)
	for i := 0; i < *flagSeeds; i++ {
		seed := *flagFirst + int64(i)
		if time.Since(begun) > *flagLimit {
			fmt.Printf("ok %d - seed %d # SKIP out of time\n", i+1, seed)
			continue
		}
		steps, d, err := play(seed, seen)
		if err != nil {
			fatal("%v", err)
		}
		total += len(steps)
		if d != nil {
			failed = true
			report(seed, steps, d, shrunk)
			fmt.Printf("not ok %d - seed %d: etcd and tenure differ at step %d\n", i+1, seed, len(steps))
			continue
		}
		fmt.Printf("ok %d - seed %d: %d steps alike\n", i+1, seed, len(steps))
	}
	fmt.Printf("# %d steps in %.0f s\n", total, time.Since(begun).Seconds())
	for _, k := range knownDifferences {
		fmt.Printf("# known difference '%s' met %d times\n", k.name, k.met)
	}
	if *flagSeen {
		printSeen(seen)
	}
	if failed {
		os.Exit(1)
	}
}

func printSeen(seen map[string]int) {
	var all []string
	for what := range seen {
		all = append(all, what)
	}
	sort.Strings(all)
	for _, what := range all {
		fmt.Printf("# %6d %s\n", seen[what], what)
	}
}
