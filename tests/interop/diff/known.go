package main

// Known differences between etcd 3.7 and tenure, each with its reason. docs/differences.md tells users of them.

type known struct {
	name, reason string
	holds        func(s step, etcd, tenure flat) bool
	met          int
}

var knownDifferences = []*known{}

func isKnown(s step, etcd, tenure flat) bool {
	for _, k := range knownDifferences {
		if k.holds(s, etcd, tenure) {
			k.met++
			return true
		}
	}
	return false
}
