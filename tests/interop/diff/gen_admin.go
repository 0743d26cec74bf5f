package main

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// What concerns the server as a whole: members, alarms, hashes, versions.

const (
	pathRangeStream = pb.KV_RangeStream_FullMethodName
	pathHashKV      = pb.Maintenance_HashKV_FullMethodName
	pathAlarm       = pb.Maintenance_Alarm_FullMethodName

	// selfID stands for the id of the member in requests.
	selfID = uint64(6_000_000_000_000_000)
)

var adminChoices = []choice{
	{6, (*gen).rangeStreamStep},
	{6, func(g *gen) step { return step{op: pathHashKV, msg: &pb.HashKVRequest{Revision: g.revision()}} }},
	{1, func(g *gen) step { return step{op: pb.Maintenance_Hash_FullMethodName, msg: &pb.HashRequest{}} }},
	{1, func(g *gen) step {
		return step{op: pb.Maintenance_Defragment_FullMethodName, msg: &pb.DefragmentRequest{}}
	}},
	{2, func(g *gen) step { return step{op: pb.Maintenance_Status_FullMethodName, msg: &pb.StatusRequest{}} }},
	{2, (*gen).alarmStep},
	{1, func(g *gen) step {
		return step{op: pb.Maintenance_MoveLeader_FullMethodName, msg: &pb.MoveLeaderRequest{TargetID: g.memberID()}}
	}},
	{1, (*gen).downgradeStep},
	{2, func(g *gen) step {
		return step{op: pb.Cluster_MemberList_FullMethodName, msg: &pb.MemberListRequest{Linearizable: g.oneIn(2)}}
	}},
	{1, (*gen).memberAddStep},
	{1, func(g *gen) step {
		return step{op: pb.Cluster_MemberRemove_FullMethodName, msg: &pb.MemberRemoveRequest{ID: g.memberID()}}
	}},
	{1, func(g *gen) step {
		return step{op: pb.Cluster_MemberPromote_FullMethodName, msg: &pb.MemberPromoteRequest{ID: g.memberID()}}
	}},
	{1, func(g *gen) step {
		return step{op: pb.Cluster_MemberUpdate_FullMethodName, msg: &pb.MemberUpdateRequest{
			ID: g.memberID(), PeerURLs: []string{pick(g, "http://127.0.0.1:1", "http://127.0.0.1:2")}}}
	}},
}

func (g *gen) memberID() uint64 { return pick(g, selfID, selfID, 0, 1, math.MaxUint64) }

func (g *gen) rangeStreamStep() step {
	r := g.rangeReq()
	if g.oneIn(2) {
		r.SortOrder, r.SortTarget = 0, 0
	}
	if g.oneIn(2) {
		r.MinModRevision, r.MaxModRevision, r.MinCreateRevision, r.MaxCreateRevision = 0, 0, 0, 0
	}
	if r.SortOrder == pb.RangeRequest_NONE { // etcd then sorts each part by itself: known difference "stream"
		r.SortTarget = pb.RangeRequest_KEY
	}
	return step{op: pathRangeStream, msg: r}
}

// An alarm stops writing, so most steps put an end to them.
func (g *gen) alarmStep() step {
	a := &pb.AlarmRequest{Action: pb.AlarmRequest_AlarmAction(g.Intn(3)), Alarm: pb.AlarmType(g.Intn(3)), MemberID: g.memberID()}
	if a.Action == pb.AlarmRequest_ACTIVATE && (g.withAuth || !g.oneIn(4)) {
		a.Action = pb.AlarmRequest_DEACTIVATE
	}
	if g.alarmed > 0 {
		g.alarmed--
		a = &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, Alarm: g.alarm.Alarm, MemberID: g.alarm.MemberID}
	} else if a.Action == pb.AlarmRequest_ACTIVATE {
		g.alarmed, g.alarm = 1, a
	}
	return step{op: pathAlarm, msg: a}
}

// Enabling a downgrade that etcd allows is left out: known difference "downgrade".
func (g *gen) downgradeStep() step {
	d := &pb.DowngradeRequest{
		Action:  pick(g, pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_CANCEL, pb.DowngradeRequest_ENABLE),
		Version: pick(g, "3.6", "3.6.0", "3.5", "3.7", "3.8", "", "nonsense", "3", "4.0", "3.6.1-x"),
	}
	if d.Action == pb.DowngradeRequest_ENABLE && len(d.Version) >= 3 && d.Version[:3] == "3.6" {
		d.Version = "3.5"
	}
	return step{op: pb.Maintenance_Downgrade_FullMethodName, msg: d}
}

// A second member would end the one that is there, so those that etcd would take are left out: known difference "members".
func (g *gen) memberAddStep() step {
	return step{op: pb.Cluster_MemberAdd_FullMethodName, msg: &pb.MemberAddRequest{
		IsLearner: g.oneIn(2),
		PeerURLs:  pick(g, []string{}, []string{""}, []string{"nonsense"}, []string{"http://x"}, []string{"http://127.0.0.1:1", "b"}, []string{"ftp://127.0.0.1:1"}, []string{"http://127.0.0.1:1/path"}),
	}}
}
