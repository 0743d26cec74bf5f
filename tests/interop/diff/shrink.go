package main

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shrinker looks for the shortest sequence that still shows a difference: steps are left out, many at once at first, then
// fields of those that remain.
type shrinker struct {
	set   settings
	kind  string
	until time.Time
	tries int
	spare chan *pair
}

// shows plays steps on fresh servers and answers the difference when it is the one looked for.
func (s *shrinker) shows(steps []step) *difference {
	s.tries++
	var p *pair
	select {
	case p = <-s.spare:
	default:
		var err error
		if p, err = startPair(s.set); err != nil {
			return nil
		}
	}
	go func() {
		if next, err := startPair(s.set); err == nil {
			select {
			case s.spare <- next:
			default:
				next.stop()
			}
		}
	}()
	defer p.stop()
	r := newRun(p)
	defer r.close()
	for i, st := range steps {
		if d := r.do(st); d != nil && i <= len(steps) {
			if d.kind == s.kind {
				return d
			}
			return nil
		}
	}
	if d := r.sync(); d != nil && d.kind == s.kind {
		return d
	}
	return nil
}

func without(steps []step, from, n int) []step {
	return append(append([]step{}, steps[:from]...), steps[from+n:]...)
}

// dropKinds leaves out all steps of a kind, but for the last step: what takes time first.
func (s *shrinker) dropKinds(steps []step) []step {
	for _, prefix := range []string{"watch ", opKeepAlive, pathRange, pathLeases, pathTimeToLive, pathCompact, "/etcdserverpb.Lease/",
		pathDelete, "/etcdserverpb.Maintenance/", "/etcdserverpb.Cluster/", pathTxn, pathPut, "LeaseGrant"} {
		var shorter []step
		for i, st := range steps {
			if !strings.HasPrefix(st.op, prefix) || i == len(steps)-1 {
				shorter = append(shorter, st)
			}
		}
		if len(shorter) < len(steps) && s.shows(shorter) != nil {
			steps = shorter
		}
	}
	return steps
}

func (s *shrinker) dropSteps(steps []step) []step {
	for n := max(len(steps)/2, 1); n >= 1; n /= 2 {
		for from := len(steps) - n; from >= 0 && time.Now().Before(s.until); {
			if shorter := without(steps, from, n); s.shows(shorter) != nil {
				steps = shorter
			}
			from = min(from-n, len(steps)-n)
			if from < 0 && from > -n && n > 1 {
				from = 0
			}
		}
	}
	return steps
}

// candidates are copies of a message with one field, or one element of a list, left out.
func candidates(m proto.Message) []proto.Message {
	var all []proto.Message
	var visit func(path []func(protoreflect.Message) protoreflect.Message)
	at := func(root protoreflect.Message, path []func(protoreflect.Message) protoreflect.Message) protoreflect.Message {
		for _, down := range path {
			root = down(root)
		}
		return root
	}
	visit = func(path []func(protoreflect.Message) protoreflect.Message) {
		here := at(m.ProtoReflect(), path)
		here.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			clone := proto.Clone(m)
			at(clone.ProtoReflect(), path).Clear(fd)
			all = append(all, clone)
			if fd.IsList() {
				for i := 0; i < v.List().Len(); i++ {
					clone := proto.Clone(m)
					list := at(clone.ProtoReflect(), path).Mutable(fd).List()
					for j := i; j+1 < list.Len(); j++ {
						list.Set(j, list.Get(j+1))
					}
					list.Truncate(list.Len() - 1)
					all = append(all, clone)
					if fd.Message() != nil {
						visit(append(path[:len(path):len(path)], func(p protoreflect.Message) protoreflect.Message {
							return p.Mutable(fd).List().Get(i).Message()
						}))
					}
				}
			} else if fd.Message() != nil {
				visit(append(path[:len(path):len(path)], func(p protoreflect.Message) protoreflect.Message {
					return p.Mutable(fd).Message()
				}))
			}
			return true
		})
	}
	visit(nil)
	return all
}

func (s *shrinker) dropFields(steps []step) []step {
	for again := true; again; {
		again = false
		for i := range steps {
			if steps[i].msg == nil {
				continue
			}
			for _, m := range candidates(steps[i].msg) {
				if time.Now().After(s.until) {
					return steps
				}
				smaller := append([]step{}, steps...)
				smaller[i].msg = m
				if s.shows(smaller) != nil {
					steps, again = smaller, true
					break
				}
			}
		}
	}
	return steps
}

// shrink answers the shorter sequence and the difference as it shows there.
func shrink(set settings, steps []step, d *difference) ([]step, *difference) {
	s := &shrinker{set: set, kind: d.kind, until: time.Now().Add(*flagShrink), spare: make(chan *pair, 1)}
	defer func() {
		select {
		case p := <-s.spare:
			p.stop()
		case <-time.After(5 * time.Second):
		}
	}()
	if s.shows(steps) == nil {
		return steps, d
	}
	steps = s.dropKinds(steps)
	steps = s.dropSteps(steps)
	steps = s.dropFields(steps)
	if again := s.shows(steps); again != nil {
		d = again
	}
	return steps, d
}
