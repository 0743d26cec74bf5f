#!/usr/bin/env python3
"""The same three programs as in test_faults.py on a real cluster of three or five etcd members, each on a host of its own, while
members die, stop, are cut off from each other or hear each other late, lose their majority, are replaced or restarted, and their
disks are full or slow, in an order that a seed draws; judged for L2, L3, M1 to M7, M9 to M12, KV1, C1 to C4, W2, W3, W5, W14, W16.
Network namespaces.

Environment: SEED (default 1), STEPS: how many faults (default 5), MEMBERS (default 3); SLICE=i/n: each n-th kind of fault once, from the
i-th on, so that n such runs play all of them; KINDS: those alone, by name.
"""

import itertools
import random

import netns
from faults import *
from test_faults import MODES, SEED, STAMP, TTL_S, Storm, command_ends_in_time

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


def leader_of(servers):
    """The server whose member leads, and is known to."""
    def find():
        for s in servers:
            status = Gateway(s.host, 1).post("/v3/maintenance/status", {})
            if status and status.get("leader") == status["header"]["member_id"]:
                return s
        return None
    return await_(find, "a member leads", 60)


class ClusterStorm(Storm):
    def __init__(self, world, seed, n):
        self.world, self.random = world, random.Random(seed)
        self.net = Net()
        self.servers = start_cluster(world, self.net, n, small_disk=True)
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
        return leader_of(self.servers)

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
        """two halves do not reach each other, but one member reaches both: a follower"""
        between = self.random.choice(self.followers())
        others = [s for s in self.servers if s is not between]
        self.random.shuffle(others)
        pairs = [(a.where, b.where) for a in others[::2] for b in others[1::2]]
        for a, b in pairs:
            self.net.cut(a, b)
        self._after(self._draw(1.5, 3))
        for a, b in pairs:
            self.net.heal(a, b)

    def delayed(self):
        """all that members send each other comes late, by more than a beat of the leader's heart, or by more than an election waits"""
        pairs = list(itertools.combinations([s.where for s in self.servers], 2))
        for a, b in pairs:
            self.net.delay(a, b, self._draw(0.02, 0.3))
        self._after(self._draw(1.5, 3))
        for a, b in pairs:
            self.net.heal(a, b)

    def leader_delayed(self):
        """what the leader sends to the others comes later than an election waits for, and what it is sent comes at once"""
        s = self.leader()
        self._between([s], lambda a, b: self.net.delay_one_way(a, b, self._draw(1, 2) * ELECTION_S))
        self._after(self._draw(2, 4))
        self._between([s], self.net.heal)

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
        start_all(self.servers)

    def all_restarted(self):
        """each is ended in order and started again, one after the other, the leader last; then all at once"""
        for s in [*self.followers(), self.leader()]:
            s.stop()
            s.start()
            self.whole()
        for s in self.servers:
            s.signal(signal.SIGTERM)
        for s in self.servers:
            s.process.wait(PATIENCE_S)
        start_all(self.servers)

    def disk_full(self):
        """the disk of a member, the leader or not, is full: etcd ends then; it starts again when there is room"""
        small = next(s for s in self.servers if s.disk)
        if self.random.random() < 0.5:
            self._lead(small)
        gateway = AnyMember([m for m in self.members if m is not small.where])
        small.fill_disk()
        await_(lambda: gateway.put("bulk", "x" * 500_000) and False or small.process.poll() is not None, "a member on a full disk ends", 60)
        true("no space left on device" in read(small.folder / "log"), "it says why")
        self._after(self._draw(0, 1.5))
        small.empty_disk()
        small.start()

    def leader_disk_slow(self):
        """each fsync of the leader's takes longer than a beat of its heart, or than an election waits"""
        self._disk_slow(self.leader())

    def follower_disk_slow(self):
        """each fsync of a follower's takes so long"""
        self._disk_slow(self.random.choice(self.followers()))

    def _disk_slow(self, s):
        if s.slow_disk(self._draw(0.1, 1.3) * ELECTION_S):
            self._after(self._draw(2, 4))
            s.fast_disk()

    def _lead(self, s):
        """s leads from now on, if it can be had."""
        wanted = Gateway(s.host, 1).post("/v3/maintenance/status", {})
        if wanted and self.leader() is not s:
            Gateway(self.leader().host, 5).post("/v3/maintenance/transfer-leadership", {"targetID": wanted["header"]["member_id"]})

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
        s.empty()
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
             leader_hears_nothing, bridge, delayed, leader_delayed, quorum_lost, leader_alone, all_killed, all_restarted,
             disk_full, leader_disk_slow, follower_disk_slow, member_replaced, client_cut)

    def plan(self, steps):
        wanted = os.environ.get("KINDS")
        if wanted:
            return [getattr(ClusterStorm, name) for name in wanted.split(",")]
        part = os.environ.get("SLICE")
        if not part:
            return super().plan(steps)
        first, n = map(int, part.split("/"))
        kinds = list(self.KINDS)[first - 1::n]
        self.random.shuffle(kinds)
        return kinds

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


def command(world):
    """a command under a lock with a TTL longer than elections take goes on when the leader dies; one has ended before safe-until when its host is cut off (M12)"""
    net = Net()
    servers = start_cluster(world, net, MEMBERS)
    world._server, endpoints = servers[0], ",".join(s.url for s in servers)
    hosts = [s.where for s in servers]
    held = world.start("lock", "y", "--ttl", "10", "--", sys.executable, STAMP, world.path("held"),
                       env=world.environment(TENURE_ENDPOINTS=endpoints))
    await_(lambda: lines(world.path("held")), "the command lives")
    old = leader_of(servers)
    old.kill()
    leader_of([s for s in servers if s is not old])  # what begins before there is one may end as maybe
    command_ends_in_time(world, net, hosts, TENURE_ENDPOINTS=endpoints)
    true(held.poll() is None, "the one that was not cut off lives")
    net.close()


if __name__ == "__main__":
    netns.enter()
    main([storm, command] if os.environ.get("SLICE", "1/1").startswith("1/") else [storm])
