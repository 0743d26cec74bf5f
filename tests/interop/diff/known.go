package main

import (
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Known differences between etcd 3.7 and tenure that a single answer shows. docs/differences.md has all of them, also those
// that the generator keeps away from because the states would part: search for "known difference".

type known struct {
	name  string
	holds func(s step, etcd, tenure flat) bool
	met   int
}

var knownDifferences = []*known{
	{name: "order", holds: isUnstableOrder},
	{name: "code", holds: isCodeOnly},
	{name: "stale hash", holds: isStaleHash},
	{name: "nested read", holds: isNestedRead},
}

func isKnown(s step, etcd, tenure flat) bool {
	for _, k := range knownDifferences {
		if k.holds(s, etcd, tenure) {
			k.met++
			return true
		}
	}
	return false
}

// isStaleHash: of the revision that is compacted, of ones that were compacted before, and of 0 after a compaction, etcd may
// answer with a hash that it kept from before: the compaction revision in it tells.
func isStaleHash(s step, etcd, tenure flat) bool {
	if s.op != pathHashKV {
		return false
	}
	kept := etcd[0] == ".header={}" && tenure[0] == "status=OutOfRange"
	return kept || numberOf(etcd, ".compact_revision=") < numberOf(tenure, ".compact_revision=")
}

func numberOf(reply flat, field string) int64 {
	for _, line := range reply {
		if text, ok := strings.CutPrefix(line, field); ok {
			n, _ := strconv.ParseInt(text, 10, 64)
			return n
		}
	}
	return 0
}

// isNestedRead: a transaction that only reads, but in a nested one, is a write to etcd: an alarm or its size refuses it.
func isNestedRead(s step, etcd, _ flat) bool {
	t, ok := s.msg.(*pb.TxnRequest)
	refused := etcd[0] == "status=DataLoss" || etcd[len(etcd)-1] == `text="etcdserver: request is too large"`
	return ok && refused && onlyReads(t)
}

func onlyReads(t *pb.TxnRequest) bool {
	for _, op := range append(append([]*pb.RequestOp{}, t.Success...), t.Failure...) {
		if op.GetRequestRange() == nil && (op.GetRequestTxn() == nil || !onlyReads(op.GetRequestTxn())) {
			return false
		}
	}
	return true
}

// isCodeOnly: etcd sends this one without a code, though its table of errors has one.
func isCodeOnly(_ step, etcd, tenure flat) bool {
	return len(etcd) == 2 && len(tenure) == 2 && etcd[1] == tenure[1] && etcd[0] == "status=Unknown" &&
		strings.Contains(etcd[1], "re-configuration failed due to not enough started members")
}

var sortFields = map[pb.RangeRequest_SortTarget]string{
	pb.RangeRequest_VERSION: ".version",
	pb.RangeRequest_CREATE:  ".create_revision",
	pb.RangeRequest_MOD:     ".mod_revision",
	pb.RangeRequest_VALUE:   ".value",
}

// isUnstableOrder: what is sorted by must still be equal, place by place.
func isUnstableOrder(s step, etcd, tenure flat) bool {
	r, ok := s.msg.(*pb.RangeRequest)
	if !ok || sortFields[r.SortTarget] == "" {
		return false
	}
	field := sortFields[r.SortTarget]
	return compare("", sortedBy(field, etcd), sortedBy(field, tenure)) == nil
}

func sortedBy(field string, reply flat) flat {
	var kept flat
	for _, line := range reply {
		path, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(line, ".kvs[") || strings.HasSuffix(path, field) || strings.HasSuffix(path, "]") {
			kept = append(kept, line)
		}
	}
	return kept
}
