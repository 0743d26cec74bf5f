#!/usr/bin/env python3
"""Three programs that contend for a lock and an election while the network and the server fail under them, in an order that a
seed draws; judged for L2, L3, M1 to M7, M9 to M12, C1 to C4, W2, W3, W5, W16. Network namespaces.

Environment: SEED (default 1), STEPS: how many faults (default: each kind once).
"""

import random

import netns
from faults import *

TTL_S = 2
SEED = int(os.environ.get("SEED", "1"))
MODES = (["mutex"] * 3, ["write", "read", "read"], ["mutex"] * 3, ["permit"] * 3, ["delay"] * 3)
STAMP = str(ROOT / "tests" / "e2e" / "stamp.py")


class Storm:
    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)
        self.net = Net()
        self.at = self.net.host()
        self.server = world._server = HostServer(world.server_kind, world.folder / "server", self.at).start()
        build_keeper(world)
        self.modes = MODES[seed % len(MODES)]
        self.hosts = [self.net.host() for _ in self.modes]
        self.keepers = [Keeper(world, h, self.server.url, name, mode=mode, ttl_s=TTL_S, hold_ms=400)
                        for h, name, mode in zip(self.hosts, "abc", self.modes)]
        self.cuts = {k.name: [] for k in self.keepers}
        self.history, self.writer = History(Gateway(self.at.address)), Writer(self.at.address)
        self.writer.start()
        for k in self.keepers:
            k.await_more("got", 0)
            k.await_more("event", 20)

    # Each kind of fault: it breaks something, waits, and mends it. What lasts longer than a TTL must make the victim lose.

    def partition(self):
        """a client is cut off, for longer than its TTL"""
        self._cut(lambda host: self.net.cut(host, self.at), TTL_S + self._draw(0.2, 1))

    def requests_lost(self):
        """what a client sends is lost, what it is sent arrives"""
        self._cut(lambda host: self.net.cut_one_way(host, self.at), self._draw(0.5, TTL_S + 0.5))

    def replies_lost(self):
        """what a client sends arrives, answers are lost"""
        self._cut(lambda host: self.net.cut_one_way(self.at, host), self._draw(0.5, TTL_S + 0.5))

    def server_stopped(self):
        """the server is stopped: connections stand, nobody answers"""
        self._all_cut(self.server.freeze, self.server.thaw, self._draw(0.3, 1.5))

    def server_killed(self):
        """kill -9, and started again"""
        self._all_cut(self.server.kill, self.server.start, self._draw(0, 0.5))

    def server_gone(self):
        """the server's host dies without a word, and is back with the old data: half-open connections"""
        def die():
            for h in self.hosts:
                self.net.cut(h, self.at)
            self.server.kill()

        def come_back():
            self.server.start()
            for h in self.hosts:
                self.net.heal(h, self.at)

        self._all_cut(die, come_back, self._draw(0, 1))

    def compaction(self):
        """the history goes while a client is cut off"""
        def cut_and_compact(host):
            self.net.cut(host, self.at)
            time.sleep(0.3)
            self.history.collect()
            self.history.gateway.post("/v3/kv/compaction", {"revision": str(self.history.next - 1)})

        self._cut(cut_and_compact, self._draw(0.1, 0.5))

    KINDS = (partition, requests_lost, replies_lost, server_stopped, server_killed, server_gone, compaction)

    def _draw(self, least, most):
        return self.random.uniform(least, most)

    def _cut(self, cut, seconds):
        i = self.random.randrange(len(self.hosts))
        cut(self.hosts[i])
        begun = boottime_ms()
        time.sleep(seconds)
        self.cuts[self.keepers[i].name].append((begun, boottime_ms()))
        self.net.heal(self.hosts[i], self.at)

    def _all_cut(self, cut, mend, seconds):
        cut()
        begun = boottime_ms()
        time.sleep(seconds)
        for cuts in self.cuts.values():
            cuts.append((begun, boottime_ms()))
        mend()

    def step(self, kind):
        print(f"# {kind.__name__}: {kind.__doc__}", flush=True)
        kind(self)
        # All go on by themselves.
        for k in self.keepers:
            k.await_more("event", len(k.said("event")) + 5)
            k.await_more("got", len(k.said("got")))
        time.sleep(self._draw(0, 0.3))

    def plan(self, steps):
        kinds = []
        while len(kinds) < steps:
            more = list(self.KINDS)
            self.random.shuffle(more)
            kinds += more
        return kinds[:steps]

    def end(self):
        self.writer.end()
        settle(self.keepers, self.history)
        for k in self.keepers:
            k.quit()
        self.history.collect()
        verdict(self.keepers, self.history, cuts=self.cuts, ttl_s=TTL_S,
                name="l" if set(self.modes) <= {"mutex", "delay"} else None)
        nothing_left(self.history.gateway, "/locks/l/", "/election/")
        self.net.close()


def storm(world):
    """locks, leaders, writes and mirrors keep what they promise through real faults, and go on behind each"""
    s = Storm(world, SEED)
    print(f"# seed {SEED}: {s.modes}")
    for kind in s.plan(int(os.environ.get("STEPS", len(Storm.KINDS)))):
        s.step(kind)
    s.end()


def command(world):
    """a command under a lock, on a host that is cut off, has ended before safe-until, and before the next one begins"""
    net = Net()
    at = net.host()
    world._server = HostServer(world.server_kind, world.folder / "server", at).start()
    command_ends_in_time(world, net, [at])
    net.close()


def command_ends_in_time(world, net, servers, **env):
    """M12: cut off from all servers, which are hosts."""
    host = net.host()

    def run_under_lock(where, name):
        argv = where.command([TENURE, "lock", "x", "--ttl", str(TTL_S), "--", sys.executable, STAMP, world.path(name),
                              "--ignore-term"])
        return world.start(*argv[1:], program=argv[0], env=world.environment(**env))

    def stamps(name):
        return [line.split() for line in lines(world.path(name))]

    first = run_under_lock(host, "first")
    await_(lambda: stamps("first"), "the command lives")
    for at in servers:
        net.cut(host, at)
    cut_at = boottime_ms()
    run_under_lock(net.here, "next")
    next_at = int(await_(lambda: stamps("next"), "the next one lives")[0][3])
    equal(first.wait(PATIENCE_S), 121, "exit code of who lost it")
    last = int(stamps("first")[-1][3])
    true(last <= cut_at + TTL_S * 1000 - judge.MARGIN - TTL_S * 10, f"it ended by safe-until: {last - cut_at} ms behind the cut")
    true(last < next_at, "it ended before the next one began")
    true(int(stamps("next")[0][2]) > int(stamps("first")[0][2]), "tokens grow")


if __name__ == "__main__":
    netns.enter()
    main([storm, command])
