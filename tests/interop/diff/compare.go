package main

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// flat is a message as lines "path=value": what is compared. What may differ between two healthy servers is levelled here
// and nowhere else: ids of cluster and member, raft's numbers, lease ids that the server drew, time that is left, addresses,
// sizes of files.
type flat []string

type flattener struct {
	from  *side // nil: of no server
	lines flat
}

var isOwnNumber = map[string]bool{
	"cluster_id": true, "raft_term": true, "raftTerm": true, "raftIndex": true, "raftAppliedIndex": true, "dbSize": true,
	"dbSizeInUse": true, "token": true,
}

// field tells apart what must be equal from what need only be there.
func (f *flattener) scalar(path string, name string, parent protoreflect.FullName, v protoreflect.Value) {
	text := fmt.Sprintf("%v", v.Interface())
	if b, ok := v.Interface().([]byte); ok {
		text = strconv.QuoteToASCII(string(b))
		if len(b) > 64 {
			text = fmt.Sprintf("%s…(%d bytes, %x)", strconv.QuoteToASCII(string(b[:16])), len(b), checksum(b))
		}
	}
	if s, ok := v.Interface().(string); ok {
		text = strconv.QuoteToASCII(strings.Join(strings.Fields(s), " ")) // Go's protobuf prints one space or two
	}
	switch n := v.Interface().(type) {
	case int64:
		if symbol, drawn := f.from.leaseName(n); drawn && (name == "lease" || name == "ID") {
			text = fmt.Sprint(symbol)
		}
	case uint64:
		if f.from != nil && n == f.from.member {
			text = "self"
		}
	case string:
		if f.from != nil {
			text = strings.ReplaceAll(text, f.from.addr, "ADDRESS")
			text = strings.ReplaceAll(text, fmt.Sprintf("memberID:%d", f.from.member), "memberID:self")
			if n == f.from.peer {
				return // tenure has none until it is told: known difference "peers"
			}
		}
	}
	switch {
	case isOwnNumber[name], name == "version" && parent == "etcdserverpb.StatusResponse":
		text = "there"
	case name == "hash" && parent == "etcdserverpb.HashResponse":
		text = "there"
	case name == "TTL" && parent == "etcdserverpb.LeaseTimeToLiveResponse" && v.Int() > 0:
		text = "running"
	}
	f.lines = append(f.lines, path+"="+text)
}

func (f *flattener) message(path string, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := 0; i < fields.Len(); i++ {
		fd := fields.Get(i)
		if !m.Has(fd) {
			continue
		}
		name := string(fd.Name())
		at := path + "." + name
		v := m.Get(fd)
		switch {
		case fd.IsList():
			for j := 0; j < v.List().Len(); j++ {
				item := fmt.Sprintf("%s[%d]", at, j)
				if fd.Message() != nil {
					f.lines = append(f.lines, item+"={}")
					f.message(item, v.List().Get(j).Message())
				} else {
					f.scalar(item, name, m.Descriptor().FullName(), v.List().Get(j))
				}
			}
		case fd.Message() != nil:
			f.lines = append(f.lines, at+"={}")
			f.message(at, v.Message())
		default:
			f.scalar(at, name, m.Descriptor().FullName(), v)
		}
	}
	if len(m.GetUnknown()) > 0 {
		f.lines = append(f.lines, fmt.Sprintf("%s.unknown=%x", path, m.GetUnknown()))
	}
}

func flatten(m proto.Message, from *side) flat {
	f := &flattener{from: from}
	switch list := m.(type) {
	case *pb.LeaseLeasesResponse:
		m = sortedLeases(list, from)
	case *pb.LeaseTimeToLiveResponse: // the keys come in any order
		sorted := proto.Clone(list).(*pb.LeaseTimeToLiveResponse)
		slices.SortFunc(sorted.Keys, bytes.Compare)
		m = sorted
	}
	f.message("", m.ProtoReflect())
	return f.lines
}

// etcd lists leases by the time they run out, which two servers need not see alike.
func sortedLeases(list *pb.LeaseLeasesResponse, from *side) *pb.LeaseLeasesResponse {
	list = proto.Clone(list).(*pb.LeaseLeasesResponse)
	for _, l := range list.Leases {
		if symbol, drawn := from.leaseName(l.ID); drawn {
			l.ID = symbol
		}
	}
	sort.Slice(list.Leases, func(i, j int) bool { return list.Leases[i].ID < list.Leases[j].ID })
	return list
}

func flattenError(err error) flat {
	s := status.Convert(err)
	return flat{"status=" + s.Code().String(), "text=" + strconv.QuoteToASCII(s.Message())}
}

// difference is where two answers part. Its kind names it without values, so that a shorter sequence can be seen to show
// the same one.
type difference struct {
	kind   string
	etcd   string
	tenure string
}

func (d *difference) String() string {
	return fmt.Sprintf("%s\n    etcd:   %s\n    tenure: %s", d.kind, d.etcd, d.tenure)
}

func withoutIndices(path string) string {
	var b strings.Builder
	in := false
	for _, c := range path {
		if c == '[' {
			in = true
		}
		if !in {
			b.WriteRune(c)
		}
		if c == ']' {
			in = false
		}
	}
	return b.String()
}

func pathOf(line string) string {
	path, _, _ := strings.Cut(line, "=")
	return withoutIndices(path)
}

func lineAt(f flat, i int) string {
	if i >= 0 && i < len(f) {
		return f[i]
	}
	return "(end)"
}

func (f flat) excerpt(i int) string {
	from, to := max(i-1, 0), min(i+4, len(f))
	if from >= len(f) {
		return lineAt(f, len(f)-1) + " (end)"
	}
	return strings.Join(f[from:to], "  ")
}

func compare(op string, etcd, tenure flat) *difference {
	for i := 0; i < len(etcd) || i < len(tenure); i++ {
		a, b := lineAt(etcd, i), lineAt(tenure, i)
		if a != b {
			kind := op + " " + pathOf(a)
			if pathOf(b) != pathOf(a) {
				kind += " / " + pathOf(b)
			}
			return &difference{kind: kind, etcd: etcd.excerpt(i), tenure: tenure.excerpt(i)}
		}
	}
	return nil
}

func checksum(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
