"""Many processes in one queue: no update lost, one holder at a time, and etcdctl beside tenure (M1, M2, M8)."""

import os
import subprocess
import sys

from harness import *

ADD = 'n=$(cat "$0"); n=$((n + 1)); echo $n >"$0"'
# One line when it begins and one when it ends; a second file shows at once when somebody else is inside.
ENTER = ('set -eC; echo "$1 in $(cut -d" " -f1 /proc/uptime)" >>"$0"; : >"$0.inside" || echo "$1 COLLIDED" >>"$0"; '
         'i=0; while [ $i -lt 20 ]; do i=$((i+1)); done; rm -f "$0.inside"; echo "$1 out" >>"$0"')


def all_ended(processes, code=0):
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE_S * 4)
        equal(process.returncode, code, f"exit code of {process.args} ({err.strip()})")


def repeat(world, times, *argv):
    """A shell that runs a command again and again, and stops at the first failure."""
    return world.start("-c", 'i=0; while [ $i -lt $0 ]; do "$@" || exit; i=$((i+1)); done', str(times), *argv, program="sh")


def nobody_collided(path, wanted):
    seen = lines(path)
    equal(len([line for line in seen if line.endswith("COLLIDED")]), 0, "collisions")
    equal(len([line for line in seen if line.endswith("out")]), wanted, "turns")
    inside = None
    for line in seen:
        who, what = line.split()[:2]
        if what == "in":
            equal(inside, None, f"who is inside when {who} enters")
            inside = who
        else:
            equal(inside, who, "who leaves")
            inside = None


def counter(world):
    """ten processes add 10 times each to a counter in a file, and no update is lost"""
    path = world.path("counter")
    Path(path).write_text("0\n")
    world.server
    all_ended([repeat(world, 10, TENURE, "lock", "c", "--ttl", "10", "--timeout", "60", "--", "sh", "-c", ADD, path)
               for _ in range(10)])
    equal(read(path), "100\n")
    equal(world.tenure("get", "--prefix", "/locks/").stdout, "", "keys left")


def counter_with_deaths(world):
    """holders killed with -9 in the middle of it let nobody in beside another, and the queue goes on"""
    path = world.path("log")
    world.server
    killer = ('[ $(($(date +%N | cut -c1-3 | sed "s/^0*//") + 0)) -lt 300 ] && kill -9 $PPID; '
              'echo "$0 in" >>"$1"; sleep 0.02; echo "$0 out" >>"$1"')
    # The first process of the command kills tenure, its parent, in about a third of the turns; the guardian ends the rest.
    workers = [world.start("-c", 'i=0; while [ $i -lt 8 ]; do "$@"; i=$((i+1)); done; exit 0', "sh", TENURE, "lock", "c",
                           "--ttl", "60", "--timeout", "60", "--", "sh", "-c", killer, f"w{n}", path, program="sh")
               for n in range(5)]
    all_ended(workers)
    inside = None
    for line in lines(path):
        who, what = line.split()
        # Whoever came in and was ended never says "out"; nobody else may say "out" after that.
        if what == "in":
            inside = who
        else:
            equal(who, inside, "who leaves")


def mixed_locks(world):
    """etcdctl lock and tenure lock stand in one queue: never two inside"""
    path = world.path("log")
    world.server
    all_ended(
        [repeat(world, 6, TENURE, "lock", "x", "--ttl", "10", "--", "sh", "-c", ENTER, path, f"tenure{n}") for n in range(3)]
        + [repeat(world, 6, "etcdctl", "lock", "--ttl", "10", "/locks/x", "--", "sh", "-c", ENTER, path, f"etcdctl{n}") for n in range(3)])
    nobody_collided(path, 36)


def first_come(world):
    """tenure waits for etcdctl, and etcdctl for tenure"""
    queue = lambda: len(world.tenure("get", "--prefix", "/locks/x/", "--keys-only").stdout.split())
    first = world.start("lock", "/locks/x", program="etcdctl")
    first.stdout.readline()
    equal(world.tenure("lock", "x", "--timeout", "0", "true").returncode, 124)
    path = world.path("order")
    second = world.start("lock", "x", "--", "sh", "-c", f"echo tenure >>{path}")
    await_(lambda: queue() == 2, "tenure stands in the queue")
    third = world.start("lock", "/locks/x", "--", "sh", "-c", f"echo etcdctl >>{path}", program="etcdctl")
    await_(lambda: queue() == 3, "etcdctl stands behind it")
    first.send_signal(2)
    all_ended([second, third])
    equal(lines(path), ["tenure", "etcdctl"])


def shown(world):
    """--list shows etcdctl's places in the queue too"""
    first = world.start("lock", "/locks/x", program="etcdctl")
    key = first.stdout.readline().strip()
    table = world.tenure("lock", "--list", "x").stdout.splitlines()
    equal(int(table[1].split()[0], 16), int(key.rsplit("/", 1)[1], 16), "lease")  # a list has all 16 digits, a key as few as do
    first.send_signal(2)
    first.wait(PATIENCE_S)


def mixed_election(world):
    """etcdctl elect and tenure elect stand in one election, and each sees the other lead"""
    first = world.start("elect", "/election/x", "from-etcdctl", program="etcdctl")
    first.stdout.readline()
    once = world.tenure("elect", "x", "--observe", "--once")
    true(once.stdout.startswith("from-etcdctl  token "), f"tenure sees it: {once.stdout!r}")
    path = world.path("led")
    second = world.start("elect", "x", "--value", "from-tenure", "--", "sh", "-c", 'echo "$TENURE_TOKEN" >"$0"; exec sleep 600', path)
    await_(lambda: len(world.tenure("get", "--prefix", "/election/x/", "--keys-only").stdout.split()) == 2, "it stands behind")
    equal(read(path), "", "what ran before it leads")
    first.send_signal(2)
    await_(lambda: lines(path), "it leads")
    listener = world.start("elect", "--listen", "/election/x", program="etcdctl")
    equal([listener.stdout.readline().strip() for _ in range(2)][1], "from-tenure")
    second.terminate()
    all_ended([second], 143)


main([counter, counter_with_deaths, mixed_locks, first_come, shown, mixed_election])
