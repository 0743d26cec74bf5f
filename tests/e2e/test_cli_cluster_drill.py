#!/usr/bin/env python3
"""tenure cluster drill: a member of a real cluster is killed while clients work, and what they saw is told."""

import json

from clusters import *


def the_leader(c):
    """the leader is killed: one leads again, no write is lost, no read is stale, the lock stays, the watch misses nothing"""
    first = c.leader()
    pid = c.pid(first)
    got = c.tenure("cluster", "drill", "--data-dir", str(c.folder), "--yes", "-o", "json")
    for name in c.members:
        c.pid(name)
    equal(got.returncode, 0, f"exit code, {got.stdout}{got.stderr}")
    told = json.loads(got.stdout)
    equal((told["member"], told["role"], told["pid"]), (first, "leader", pid), "killed")
    true(not is_running(pid), "it is gone")
    true(told["new_leader"]["name"] in c.members, f"new leader, {told}")  # which may be the old one, back in time
    equal((told["wrong"], told["lock"]["held_throughout"], told["watch"]["missed"]), ([], True, 0), f"{told}")
    equal((told["writes"]["lost"], told["reads"]["stale"]), (0, 0), f"{told}")
    true(told["writes"]["acknowledged"] > 0 and told["reads"]["answered"] > 0, f"they worked, {told}")
    true(told["watch"]["events"] >= told["writes"]["acknowledged"] + told["writes"]["unclear_applied"], f"{told}")
    equal(c.status()[0], 0, "whole again")
    equal(c.tenure("get", "/tenure-drill/", "--prefix", "--keys-only").stdout, "", "what it left")


def by_a_command(c):
    """a member that is named is killed by a command; what fails or lacks is said, and nothing is killed without --yes"""
    here = ("--data-dir", str(c.folder))
    name = next(n for n in c.members if n != c.leader())
    before = {n: c.pid(n) for n in c.members}
    for args, code, says in (
        (here, 2, "give --yes"),
        (("--yes",), 2, "--data-dir"),
        ((*here, "--with", "true", "--yes"), 2, "--data-dir"),
        (("nobody", *here, "--yes"), 1, "no nobody"),
        ((name, "--with", "exit 3 # {name}", "--yes"), 1, f"exit 3 # {name}: failed"),
    ):
        got = c.tenure("cluster", "drill", *args)
        equal(got.returncode, code, f"{args}: {got.stdout}{got.stderr}")
        true(says in got.stderr and not got.stdout, f"{args}: {got.stdout}{got.stderr}")
    equal({n: c.pid(n) for n in c.members}, before, "nobody was killed")
    got = c.tenure("cluster", "drill", name, "--with", f"kill -9 $(cat '{c.folder}'/{{name}}.pid)", "--yes")
    for n in c.members:
        c.pid(n)
    equal(got.returncode, 0, f"exit code, {got.stdout}{got.stderr}")
    true(got.stdout.startswith(f"{name} (follower) was killed\n"), got.stdout)
    true("held throughout" in got.stdout and "nothing wrong was seen" in got.stdout, got.stdout)
    true(c.pid(name) not in (None, before[name]), "it was started again")
    again = c.tenure("cluster", "drill", name, "--with", f"kill -STOP $(cat '{c.folder}'/{{name}}.pid)", "--yes", "--timeout", "1s")
    os.kill(c.pid(name), signal.SIGCONT)
    equal(again.returncode, 1, f"one that stays away, {again.stdout}{again.stderr}")
    true("wrong: the cluster is not whole again\n" in again.stdout and "nothing wrong" not in again.stdout, again.stdout)


def drills(w):
    """of one cluster, the leader by its process and a follower by a command: what clients saw, what is refused, what is wrong"""
    c = Cluster(w).well()
    the_leader(c)
    by_a_command(c)


main([drills])
