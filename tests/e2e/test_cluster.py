#!/usr/bin/env python3
"""The same three programs as in test_faults.py on a real cluster of three or five etcd members, each on a host of its own, while
members die, stop, are cut off from each other, lose their majority or are replaced, in an order that a seed draws; judged for
L2, L3, M1 to M7, M9 to M12, C1 to C4, W2, W3, W5, W16. Network namespaces.

Environment: SEED (default 1), STEPS: how many faults (default 5), MEMBERS (default 3).
"""

import random

import netns
from faults import *
from test_faults import MODES, SEED, TTL_S, Storm

MEMBERS = int(os.environ.get("MEMBERS", "3"))
ELECTION_S = 1  # etcd's default


class AnyMember(Gateway):
    """Asks the members one after the other, until one answers."""

    def __init__(self, hosts, timeout=1):
        super().__init__(hosts[0].address, timeout)
        self.addresses = [h.address for h in hosts]

    def post(self, path, body):
        for address in [self.host, *self.addresses]:
            if address != self.host:
                self.close()
                self.host = address
            answer = super().post(path, body)
            if answer is not None:
                return answer
        return None


class ClusterStorm(Storm):
    def __init__(self, world, seed, n):
        self.world, self.random = world, random.Random(seed)
        self.net = Net()
        self.servers = start_cluster(world, self.net, n)
        self.members = [s.where for s in self.servers]
        build_keeper(world)
        self.modes = MODES[seed % len(MODES)]
        self.hosts = [self.net.host() for _ in self.modes]
        self.endpoints = ",".join(s.url for s in self.servers)
        self.keepers = [Keeper(world, h, self.endpoints, name, mode=mode, ttl_s=TTL_S, hold_ms=400)
                        for h, name, mode in zip(self.hosts, "abc", self.modes)]
        self.cuts = {k.name: [] for k in self.keepers}
        self.history, self.writer = History(AnyMember(self.members)), Writer(self.members[0].address)
        self.writer.gateway = AnyMember(self.members)
        self.writer.start()
        for k in self.keepers:
            k.await_more("got", 0)
            k.await_more("event", 20)

    # --- who is what

    def leader(self):
        """The server whose member leads, and is known to."""
        def find():
            for s in self.servers:
                status = Gateway(s.host, 1).post("/v3/maintenance/status", {})
                if status and status.get("leader") == status["header"]["member_id"]:
                    return s
            return None
        return await_(find, "a member leads", 60)

    def followers(self):
        leader = self.leader()
        return [s for s in self.servers if s is not leader]

    def minority(self):
        """As many as may be lost, the leader among them."""
        leader = self.leader()
        others = [s for s in self.servers if s is not leader]
        self.random.shuffle(others)
        return [leader, *others][:(len(self.servers) - 1) // 2]

    def whole(self):
        """All members know the same leader, and have applied what one of them has."""
        def is_whole():
            told = [Gateway(s.host, 1).post("/v3/maintenance/status", {}) for s in self.servers]
            return all(told) and len({t.get("leader") for t in told}) == 1 and told[0].get("leader")
        await_(is_whole, "all members have a leader", 60)

    def _between(self, some, cut):
        for a in some:
            for b in self.servers:
                if b not in some:
                    cut(a.where, b.where)

    def _after(self, seconds):
        time.sleep(seconds)

    # --- the faults; step() waits until all go on behind each

    def leader_killed(self):
        """kill -9 of the leader, back after the others have another"""
        s = self.leader()
        s.kill()
        self._after(self._draw(0.2, 2.5))
        s.start()

    def follower_killed(self):
        """kill -9 of a follower"""
        s = self.random.choice(self.followers())
        s.kill()
        self._after(self._draw(0, 2))
        s.start()

    def leader_stopped(self):
        """the leader is stopped for longer than an election takes, and goes on in the belief that it leads"""
        s = self.leader()
        s.freeze()
        self._after(self._draw(1.5, 3) * ELECTION_S)
        s.thaw()

    def follower_stopped(self):
        """a follower is stopped: its clients' connections stand, nobody answers"""
        s = self.random.choice(self.followers())
        s.freeze()
        self._after(self._draw(0.5, TTL_S + 1))
        s.thaw()

    def minority_cut(self):
        """the leader, with as many as may be lost, is cut off from the other members; clients reach all of them"""
        some = self.minority()
        self._between(some, self.net.cut)
        self._after(self._draw(1.5, 4))
        self._between(some, self.net.heal)

    def leader_is_not_heard(self):
        """what the leader sends to the other members is lost"""
        s = self.leader()
        self._between([s], self.net.cut_one_way)
        self._after(self._draw(1.5, 3))
        self._between([s], self.net.heal)

    def leader_hears_nothing(self):
        """what the other members send to the leader is lost"""
        s = self.leader()
        self._between([s], lambda a, b: self.net.cut_one_way(b, a))
        self._after(self._draw(1.5, 3))
        self._between([s], self.net.heal)

    def bridge(self):
        """the leader and another member do not reach each other; all others reach both"""
        a, b = self.leader(), self.random.choice(self.followers())
        self.net.cut(a.where, b.where)
        self._after(self._draw(1.5, 3))
        self.net.heal(a.where, b.where)

    def quorum_lost(self):
        """a majority, the leader among them, is stopped for longer than the TTL: what is held is lost at safe-until"""
        leader = self.leader()
        some = [leader, *self.random.sample([s for s in self.servers if s is not leader], len(self.servers) // 2)]
        for s in some:
            s.freeze()
        begun = boottime_ms()
        self._after(TTL_S + self._draw(0.5, 1.5))
        for cuts in self.cuts.values():
            cuts.append((begun, boottime_ms()))
        for s in some:
            s.thaw()

    def leader_alone(self):
        """all but the leader are stopped: it answers renewals until it steps down, and nothing is granted"""
        some = self.followers()
        for s in some:
            s.freeze()
        self._after(TTL_S + self._draw(0.5, 1.5))
        for s in some:
            s.thaw()

    def all_killed(self):
        """kill -9 of all, as when the power goes"""
        for s in self.servers:
            s.kill()
        starts = [threading.Thread(target=s.start) for s in self.servers]
        for t in starts:
            t.start()
        for t in starts:
            t.join()

    def member_replaced(self):
        """a member's host is lost for good: it is removed, and a new one with an empty disk takes its place, under load"""
        s = self.random.choice(self.followers())
        gateway = AnyMember([m for m in self.members if m is not s.where], 5)
        s.kill()
        listed = await_(lambda: gateway.post("/v3/cluster/member/list", {}), "the members are listed")["members"]
        old = next(m["ID"] for m in listed if m.get("name") == f"m{s.where.number}")
        peer = f"http://{s.host}:2380"
        await_(lambda: gateway.post("/v3/cluster/member/remove", {"ID": old}) or old not in
               [m["ID"] for m in (gateway.post("/v3/cluster/member/list", {}) or {"members": listed})["members"]], "it is removed", 60)
        await_(lambda: gateway.post("/v3/cluster/member/add", {"peerURLs": [peer]}) or peer in
               [u for m in (gateway.post("/v3/cluster/member/list", {}) or {"members": []})["members"] for u in m["peerURLs"]],
               "the new one is known", 60)
        shutil.rmtree(s.folder / "data")
        s.options = ["--initial-cluster-state", "existing"]
        s.start()

    def client_cut(self):
        """a client is cut off from all members, for longer than its TTL"""
        i = self.random.randrange(len(self.hosts))
        for m in self.members:
            self.net.cut(self.hosts[i], m)
        begun = boottime_ms()
        self._after(TTL_S + self._draw(0.2, 1))
        self.cuts[self.keepers[i].name].append((begun, boottime_ms()))
        for m in self.members:
            self.net.heal(self.hosts[i], m)

    KINDS = (leader_killed, follower_killed, leader_stopped, follower_stopped, minority_cut, leader_is_not_heard,
             leader_hears_nothing, bridge, quorum_lost, leader_alone,
             all_killed, member_replaced, client_cut)

    def step(self, kind):
        super().step(kind)
        self.whole()


def storm(world):
    """locks, leaders, writes and mirrors keep what they promise while members of the cluster fail, and go on behind each"""
    s = ClusterStorm(world, SEED, MEMBERS)
    print(f"# seed {SEED}, {MEMBERS} members: {s.modes}")
    for kind in s.plan(int(os.environ.get("STEPS", "5"))):
        s.step(kind)
    s.end()


if __name__ == "__main__":
    netns.enter()
    main([storm])
