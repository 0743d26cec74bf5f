package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ---- what was noted ----

type turn struct {
	id      string
	token   int64
	counted bool // not noted as lost or unsure, nor killed
}

// refused are the turns, "ID TOKEN", of those who believed that they were in while their key was gone, and whom the store therefore did
// not let count. Go's Campaign does not look at its own key when its wait is over; nobody who stops for longer than its lease can.
func refused(text string) map[string]bool {
	turns := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		if turn, is := strings.CutPrefix(line, "lost "); is {
			turns[turn] = true
		}
	}
	return turns
}

// readLog answers the turns in their order, without those that were refused; an error where one began before the last one had
// ended, or with a token that is not greater. Who was killed has left when nobody else came before it was dead.
func readLog(text string) ([]turn, error) {
	var turns []turn
	open := false // the last turn goes on
	none := refused(text)
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if _, turn, _ := strings.Cut(line, " "); none[turn] {
			continue
		}
		word := strings.Fields(line)
		if len(word) != 3 {
			return nil, fmt.Errorf("the log has a line %q", line)
		}
		what, id := word[0], word[1]
		token, err := strconv.ParseInt(word[2], 10, 64)
		if err != nil {
			return nil, err
		}
		var last *turn
		if len(turns) > 0 {
			last = &turns[len(turns)-1]
		}
		switch {
		case what == "enter" && open:
			return nil, fmt.Errorf("overlap: %s enters by %d while %s is in by %d", id, token, last.id, last.token)
		case what == "enter" && last != nil && token <= last.token:
			return nil, fmt.Errorf("the token %d of %s comes after %d of %s", token, id, last.token, last.id)
		case what == "enter":
			turns, open = append(turns, turn{id, token, true}), true
		case last == nil:
			return nil, fmt.Errorf("%q before anybody entered", line)
		case what == "killed" && last.id == id && open:
			last.counted, open = false, false
		case what == "killed": // between two turns
		case last.token != token || last.id != id:
			return nil, fmt.Errorf("overlap: %q while %s is in by %d", line, last.id, last.token)
		case what == "leave":
			open = false
		case what == "ended":
			last.counted, open = false, false
		default: // unsure
			last.counted = false
		}
	}
	return turns, nil
}

// ---- what the store remembers ----

type span struct{ made, gone int64 } // revisions; gone 0: it is still there

type past struct {
	keys   []span          // of the queue, by when they were made
	counts map[int64]int64 // token -> the revision at which its holder counted
	values []int           // of the counter, in order
}

func remember(c *clientv3.Client, name string) (*past, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	now, err := c.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	p, live := &past{counts: map[int64]int64{}}, map[string]int{}
	// One more write ends the watch for certain.
	end, err := c.Put(ctx, name+".end", "")
	if err != nil {
		return nil, err
	}
	_ = now
	for r := range c.Watch(ctx, name, clientv3.WithPrefix(), clientv3.WithRev(1)) {
		if r.Err() != nil {
			return nil, r.Err()
		}
		for _, ev := range r.Events {
			key, at := string(ev.Kv.Key), ev.Kv.ModRevision
			switch {
			case at >= end.Header.Revision:
				return p, nil
			case key == name+".count":
				var value int
				var token int64
				if _, err := fmt.Sscan(string(ev.Kv.Value), &value, &token); err != nil {
					return nil, err
				}
				if _, twice := p.counts[token]; twice {
					return nil, fmt.Errorf("the holder of %d counted twice", token)
				}
				p.counts[token], p.values = at, append(p.values, value)
			case !strings.HasPrefix(key, name+"/"):
			case ev.Type == clientv3.EventTypeDelete:
				p.keys[live[key]].gone = at
			case ev.IsCreate():
				live[key] = len(p.keys)
				p.keys = append(p.keys, span{made: at})
			}
		}
	}
	return nil, errors.New("the watch of the past ended")
}

// exclusive: the counter grew by one each time, within the life of its writer's key and after that of all made before it.
func (p *past) exclusive(turns []turn) error {
	for i, value := range p.values {
		if value != i+1 {
			return fmt.Errorf("the counter has %d as its value number %d", value, i+1)
		}
	}
	gone := map[int64]int64{} // token -> the newest end of a key made before it, and whether one has none
	newest := int64(0)
	own := map[int64]span{}
	for _, k := range p.keys {
		gone[k.made], own[k.made] = newest, k
		if k.gone == 0 {
			newest = 1 << 62
		}
		newest = max(newest, k.gone)
	}
	for _, t := range turns {
		at, counted := p.counts[t.token]
		k, made := own[t.token]
		switch {
		case !made:
			return fmt.Errorf("no key was made at %d, the token of %s", t.token, t.id)
		case t.counted && !counted:
			return fmt.Errorf("%s counted by %d, and the store has forgotten it", t.id, t.token)
		case counted && (at <= k.made || (k.gone != 0 && at >= k.gone)):
			return fmt.Errorf("%s counted at %d, its key stood from %d to %d", t.id, at, k.made, k.gone)
		case counted && at <= gone[t.token]:
			return fmt.Errorf("%s counted at %d by %d, before the end of one before it at %d", t.id, at, t.token, gone[t.token])
		}
	}
	return nil
}

// ahead: over how many hand-overs a turn waited: those that counted between the making of its key and its own count.
func (p *past) ahead(token int64) int {
	n, own := 0, p.counts[token]
	for _, at := range p.counts {
		if at > token && at < own {
			n++
		}
	}
	return n
}

// ---- the judgement ----

func (a *arena) judge() error {
	text, err := os.ReadFile(filepath.Join(a.dir, "log"))
	if err != nil {
		return err
	}
	turns, err := readLog(string(text))
	if err != nil {
		kept := filepath.Join(os.TempDir(), "mixed-"+filepath.Base(a.dir)+".log")
		os.WriteFile(kept, text, 0o600)
		return fmt.Errorf("%w; all of it is in %s", err, kept)
	}
	c, err := a.server.Client()
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := remember(c, a.name)
	if err != nil {
		return err
	}
	if err := p.exclusive(turns); err != nil {
		return err
	}
	return a.shares(turns, p, len(refused(string(text))))
}

// shares prints each make's part; nobody may be without any, or wait for more turns than there are others.
func (a *arena) shares(turns []turn, p *past, refusals int) error {
	share, longest, users := map[string]int{}, map[string]int{}, map[string]int{}
	for _, kind := range a.kinds {
		users[kind]++
	}
	for _, t := range turns {
		kind := a.kinds[t.id]
		share[kind]++
		if t.counted {
			longest[kind] = max(longest[kind], p.ahead(t.token))
		}
	}
	kinds := make([]string, 0, len(users))
	for kind := range users {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	if refusals > 0 {
		fmt.Printf("# %-16s %d turns of holders whose key was gone, refused by the store\n", a.name, refusals)
	}
	var wrong []error
	for _, kind := range kinds {
		fmt.Printf("# %-16s %-14s %d users, %5d turns, longest wait %d turns, %d calls failed\n", a.name, kind, users[kind], share[kind],
			longest[kind], a.errors[kind])
		if share[kind] == 0 && *flagTurns >= 1000 { // a slice may be over before Python has begun
			wrong = append(wrong, fmt.Errorf("%s never had it", kind))
		}
		if longest[kind] > len(a.kinds) {
			wrong = append(wrong, fmt.Errorf("%s waited for %d turns of %d users", kind, longest[kind], len(a.kinds)))
		}
	}
	return errors.Join(wrong...)
}

// judgeTheJudge gives it pasts that it must not pass.
func judgeTheJudge() error {
	for _, bad := range []string{
		"enter a 5\nenter b 7\nleave a 5\nleave b 7",             // two at once
		"enter a 5\nleave a 5\nenter b 4\nleave b 4",             // a smaller token
		"enter a 5\nleave a 5\nenter b 5\nleave b 5",             // the same
		"enter a 5\nkilled a 0\nenter b 7\nleave a 5",            // one goes on after it was killed
		"enter a 5\nkilled b 0\nenter b 7\nleave b 7",            // another one was killed
		"enter a 5\nleave a 5\nenter b 7\nunsure a 5\nleave b 7", // late
	} {
		if _, err := readLog(bad); err == nil {
			return fmt.Errorf("this passes: %q", bad)
		}
	}
	good, err := readLog("enter a 5\nleave a 5\nenter b 7\nkilled b 0\nleave b 7\nenter c 9\nenter d 6\nlost d 6\nunsure c 9\nleave c 9\nleave d 6")
	if err != nil || len(good) != 3 || good[1].counted || good[2].counted {
		return fmt.Errorf("a good log is judged %v, %v", good, err)
	}
	turns := []turn{{"a", 5, true}, {"b", 7, true}}
	keys := []span{{5, 10}, {7, 14}}
	for name, p := range map[string]*past{
		"a step of two":               {keys, map[int64]int64{5: 9, 7: 12}, []int{1, 3}},
		"before the one before ended": {keys, map[int64]int64{5: 9, 7: 10}, []int{1, 2}},
		"behind the own end":          {keys, map[int64]int64{5: 11, 7: 12}, []int{1, 2}},
		"a key that never was":        {keys[:1], map[int64]int64{5: 9, 7: 12}, []int{1, 2}},
		"a count that is not there":   {keys, map[int64]int64{5: 9}, []int{1}},
	} {
		if p.exclusive(turns) == nil {
			return fmt.Errorf("this passes: %s", name)
		}
	}
	return (&past{keys, map[int64]int64{5: 9, 7: 12}, []int{1, 2}}).exclusive(turns)
}
