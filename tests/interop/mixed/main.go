// Command mixed has users of every make stand in one lock's queue and in one election at once: Go's concurrency package, the
// v3lock and v3election services through Go's stubs and through libtenure, etcdctl, libtenure's own, `tenure lock` and `tenure
// elect`, and plain transactions by python3-etcd3. It counts hand-overs, kills holders, restarts the server, and judges what all
// have noted and what the store remembers. Prints TAP.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tenure.example/interop/proc"
)

var (
	flagTenure   = flag.String("tenure", "build/tenure", "tenure")
	flagEtcds    = flag.String("etcds", "", "the etcds beside it, by commas: NAME=PROGRAM")
	flagEtcdctl  = flag.String("etcdctl", "etcdctl", "etcdctl")
	flagHolder   = flag.String("holder", "build/tests/interop/holder", "the user of libtenure")
	flagPlain    = flag.String("plain", "tests/interop/plain.py", "the user of plain transactions")
	flagPython   = flag.String("python", "/usr/bin/python3", "the Python that has Debian's python3-etcd3")
	flagTurns    = flag.Int("turns", 300, "hand-overs, of both queues together")
	flagKills    = flag.Int("kills", 4, "holders that are killed")
	flagRestarts = flag.Int("restarts", 1, "restarts of the server by kill -9")
	flagLimit    = flag.Duration("limit", 2*time.Minute, "for one engine")
)

// An arena is one name with all who want it, in a folder of its own.
type arena struct {
	server *proc.Serve
	name   string // the prefix of the keys, without the last slash
	dir    string
	elects bool
	log    *os.File

	mu     sync.Mutex
	kinds  map[string]string // id -> make
	errors map[string]int    // make -> failed calls
	seen   int               // bytes of the log that were counted
	turns  int
	killed int
}

func newArena(s *proc.Serve, name string, elects bool) (*arena, error) {
	a := &arena{server: s, name: name, elects: elects, kinds: map[string]string{}, errors: map[string]int{}}
	a.dir = filepath.Join(s.Dir, "arena"+strings.ReplaceAll(name, "/", "-"))
	if err := os.Mkdir(a.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	a.log, err = os.OpenFile(filepath.Join(a.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return a, err
}

// note is one write at the end of the log, so its lines have the order of what they tell.
func (a *arena) note(what, id string, token int64) {
	if _, err := fmt.Fprintf(a.log, "%s %s %d\n", what, id, token); err != nil {
		panic(err)
	}
}

func (a *arena) failed(id string, err error) {
	a.mu.Lock()
	a.errors[a.kinds[id]]++
	a.mu.Unlock()
	fmt.Fprintf(os.Stderr, "# %s %s: %v\n", a.name, id, err)
}

func (a *arena) there(what string) bool {
	_, err := os.Stat(filepath.Join(a.dir, what))
	return err == nil
}

func (a *arena) stopped() bool { return a.there("stop") }

func (a *arena) touch(what string) error { return os.WriteFile(filepath.Join(a.dir, what), nil, 0o600) }

// count answers how often somebody entered until now.
func (a *arena) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, err := os.Open(filepath.Join(a.dir, "log"))
	if err != nil {
		return a.turns
	}
	defer f.Close()
	part := make([]byte, 1<<20)
	n, _ := f.ReadAt(part, int64(a.seen))
	a.seen += n
	a.turns += strings.Count(string(part[:n]), "leave ") // a line that was cut is counted with the next part, or not: it is no matter
	return a.turns
}

// begin starts all users; each ends when there is a file "stop".
func (a *arena) begin(wait *sync.WaitGroup) {
	url := "http://" + a.server.Addr
	lock, v3, cli := "lock", "v3lock", "lock"
	if a.elects {
		lock, v3, cli = "elect", "v3elect", "elect"
	}
	start := func(kind string, run func(id string)) {
		id := fmt.Sprintf("%s-%d", strings.ReplaceAll(kind, " ", "-"), len(a.kinds))
		a.mu.Lock()
		a.kinds[id] = kind
		a.mu.Unlock()
		wait.Add(1)
		go func() {
			defer wait.Done()
			run(id)
		}()
	}
	for range 2 {
		start("Go", func(id string) { a.goUser(id, false) })
		start("libtenure", func(id string) { a.process(id, true, *flagHolder, lock, url, a.name, a.dir, id) })
	}
	start("v3 Go", func(id string) { a.goUser(id, true) })
	start("v3 libtenure", func(id string) { a.process(id, true, *flagHolder, v3, url, a.name, a.dir, id) })
	start("tenure "+cli, func(id string) {
		a.process(id, false, *flagTenure, cli, "--prefix", "--ttl", fmt.Sprintf("%ds", ttl), a.name, "--", *flagHolder, "inside", url, a.dir, id)
	})
	if a.elects {
		start("etcdctl elect", a.etcdctlElects)
	} else {
		start("etcdctl lock", func(id string) {
			a.process(id, false, *flagEtcdctl, "lock", "--ttl", fmt.Sprint(ttl), a.name, *flagHolder, "inside", url, a.dir, id)
		})
	}
	start("plain Python", func(id string) { a.process(id, true, *flagPython, *flagPlain, a.server.Addr, a.name, a.dir, id) })
}

// run has n hand-overs pass in both arenas, with the kills and restarts spread over them.
func run(s *proc.Serve, arenas []*arena) error {
	var wait sync.WaitGroup
	for _, a := range arenas {
		a.begin(&wait)
	}
	total := func() (n int) {
		for _, a := range arenas {
			n += a.count()
		}
		return n
	}
	began, kills, restarts := time.Now(), 0, 0
	var err error
	for n := 0; n < *flagTurns && err == nil; n = total() {
		if time.Since(began) > *flagLimit {
			err = fmt.Errorf("%d of %d hand-overs within %v", n, *flagTurns, *flagLimit)
		}
		if kills < *flagKills && n > (kills+1)*(*flagTurns)/(*flagKills+2) {
			a := arenas[kills%len(arenas)]
			err = a.touch("die." + a.victim(kills))
			kills++
		}
		if restarts < *flagRestarts && n > (restarts+1)*(*flagTurns)/(*flagRestarts+1) {
			restarts++
			s.Kill()
			if err = s.Begin(); err == nil {
				err = s.Ready()
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, a := range arenas {
		a.touch("stop")
	}
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(90 * time.Second):
		return fmt.Errorf("not all ended (%v)", err)
	}
	killed := 0
	for _, a := range arenas {
		killed += a.killed
	}
	fmt.Printf("# %d hand-overs, %d of %d holders killed, %d restarts in %.1f s\n", total(), killed, kills, restarts, time.Since(began).Seconds())
	if err == nil && *flagKills > 0 && killed == 0 {
		err = fmt.Errorf("no holder was killed")
	}
	return err
}

func engine(program string) func() error {
	return func() error {
		s, err := proc.Start(program)
		if err != nil {
			return err
		}
		defer s.End()
		lock, err := newArena(s, "/locks/mixed", false)
		if err != nil {
			return err
		}
		election, err := newArena(s, "/election/mixed", true)
		if err != nil {
			return err
		}
		if err := run(s, []*arena{lock, election}); err != nil {
			return err
		}
		for _, a := range []*arena{lock, election} {
			if err := a.judge(); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
		}
		return nil
	}
}

func main() {
	flag.Parse()
	var cases []proc.Case
	for _, peer := range append([]string{"tenure=" + *flagTenure}, strings.Split(*flagEtcds, ",")...) {
		what, program, named := strings.Cut(peer, "=")
		if !named {
			continue
		}
		path, err := exec.LookPath(program)
		if err != nil {
			fmt.Printf("# there is no %s\n", program)
			continue
		}
		name := fmt.Sprintf("%d hand-overs between users of every make on %s", *flagTurns, what)
		cases = append(cases, proc.Case{Name: name, Run: engine(path)})
	}
	cases = append(cases, proc.Case{Name: "the judge finds what is wrong", Run: judgeTheJudge})
	proc.Run(cases)
}
