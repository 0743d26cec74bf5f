#!/usr/bin/env python3
"""How long clients are without an answer when the leader of three members is killed: libtenure and Go's client side by side, at the
same members, in the same run. Prints TAP; the times are told, not judged: that each goes on within the calls' patience is.

    recover.py --built DIR --recover OURS [--kills N]
"""

import json
import statistics

from etcds import *

OURS = option("--recover")
KILLS = int(option("--kills", "5"))
ELECTION_S = 10  # several elections: a machine full of tests


class Client:
    def __init__(self, w, name, program, endpoints):
        self.log = w.path(f"{name}.log")
        self.process = w.start(endpoints, program=program, stdin=subprocess.PIPE, stdout=open(self.log, "wb"))

    def times(self, what):
        return [int(line.split()[1]) for line in lines(self.log) if line.startswith(what)]

    def await_behind(self, at):
        for what in ("put", "get"):
            await_(lambda: any(t > at for t in self.times(what)[-3:]), f"a {what} is answered", ELECTION_S * 3)

    def gap(self, what, at):
        """The longest time without an answer that begins or ends behind the kill."""
        told = [t for t in self.times(what) if t > at - 500]
        return max(b - a for a, b in zip(told, told[1:]) if b > at)


def leader_killed(w):
    """both clients go on when the leader is killed"""
    dev = w.start("cluster", "dev", "--port", "0", "--data-dir", w.path("three"), "--etcd", ETCD, "-o", "json")
    told = json.loads(dev.stdout.readline())
    for m in told["members"]:
        w.will_end(m["pid"])
    env = dict(os.environ, TENURE_ENDPOINTS=told["endpoints"])

    def status():
        got = w.run([TENURE, "cluster", "status", "-o", "json"], env=env)
        return json.loads(got.stdout)["members"] if got.returncode == 0 else None

    clients = {"ours": Client(w, "ours", OURS, told["endpoints"]), "Go's": Client(w, "go", str(BUILT / "recover"), told["endpoints"])}
    gaps = {(name, what): [] for name in clients for what in ("put", "get")}
    for _ in range(KILLS):
        members = await_(status, "all members serve", 60)
        for c in clients.values():
            c.await_behind(boottime_ms())
        leader = next(m["name"] for m in members if m["role"] == "leader")
        at = boottime_ms()
        os.kill(int(read(w.path(f"three/{leader}.pid"))), signal.SIGKILL)
        await_(status, "all members serve again", 60)
        for c in clients.values():
            c.await_behind(boottime_ms())
        for (name, what), found in gaps.items():
            found.append(clients[name].gap(what, at))
    dev.terminate()
    equal(dev.wait(PATIENCE_S), 0, "exit code of the cluster")
    for (name, what), found in gaps.items():
        print(f"# {name} {what}: {statistics.median(found):.0f} ms without an answer ({min(found)}..{max(found)}), {KILLS} kills of the leader")


main([leader_killed])
