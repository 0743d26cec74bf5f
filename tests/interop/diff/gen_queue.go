package main

import (
	"fmt"
	"math"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
)

// The Lock and Election services. Whoever would have to wait gives up soon, and has then to have left the queue. Their keys
// hold lease ids, so these must not be drawn by the servers.

const (
	pathLock     = v3lockpb.Lock_Lock_FullMethodName
	pathCampaign = v3electionpb.Election_Campaign_FullMethodName
)

var queueChoices = []choice{
	{4, (*gen).lockStep},
	{3, (*gen).unlockStep},
	{4, (*gen).campaignStep},
	{2, (*gen).proclaimStep},
	{2, func(g *gen) step {
		return step{op: v3electionpb.Election_Leader_FullMethodName, msg: &v3electionpb.LeaderRequest{Name: g.queueName()}}
	}},
	{3, (*gen).resignStep},
}

// queueName is one for which others wait, but not with authentication: etcd then leaves the key of one who gave up in the
// queue (it takes it away without the token): known difference "leaving a queue".
func (g *gen) queueName() []byte {
	if g.withAuth {
		return []byte(fmt.Sprint("q", g.Intn(1_000_000)))
	}
	if g.oneIn(30) {
		return pick(g, []byte{}, []byte("/"), []byte{0xff})
	}
	return []byte{pick[byte](g, 'q', 'e')}
}

// queueLease is never 0, for which the servers would draw one.
func (g *gen) queueLease() int64 {
	for {
		if id := g.leaseID(); id != 0 {
			return id
		}
	}
}

func (g *gen) lockStep() step {
	return step{op: pathLock, msg: &v3lockpb.LockRequest{Name: g.queueName(), Lease: g.queueLease()}}
}

func (g *gen) unlockStep() step {
	key := g.key()
	if !g.oneIn(5) {
		key = []byte(fmt.Sprintf("%s/%x", g.queueName(), g.queueLease()))
	}
	return step{op: v3lockpb.Lock_Unlock_FullMethodName, msg: &v3lockpb.UnlockRequest{Key: key}}
}

func (g *gen) campaignStep() step {
	return step{op: pathCampaign, msg: &v3electionpb.CampaignRequest{
		Name: g.queueName(), Lease: g.queueLease(), Value: []byte{byte('0' + g.Intn(10))}}}
}

// leader is mostly what a campaign was told, sometimes bent.
func (g *gen) leader() *v3electionpb.LeaderKey {
	if g.oneIn(15) {
		return nil
	}
	l := &v3electionpb.LeaderKey{Name: g.queueName(), Key: g.key(), Rev: g.revision(), Lease: g.queueLease()}
	if len(g.r.leaders) > 0 && !g.oneIn(5) {
		told := pick(g, g.r.leaders...)
		l = &v3electionpb.LeaderKey{Name: told.Name, Key: told.Key, Rev: told.Rev, Lease: told.Lease}
	}
	if g.oneIn(10) {
		l.Rev = pick(g, 0, -1, l.Rev+1, math.MaxInt64)
	}
	return l
}

func (g *gen) proclaimStep() step {
	return step{op: v3electionpb.Election_Proclaim_FullMethodName, msg: &v3electionpb.ProclaimRequest{
		Leader: g.leader(), Value: []byte{byte('0' + g.Intn(10))}}}
}

func (g *gen) resignStep() step {
	return step{op: v3electionpb.Election_Resign_FullMethodName, msg: &v3electionpb.ResignRequest{Leader: g.leader()}}
}
