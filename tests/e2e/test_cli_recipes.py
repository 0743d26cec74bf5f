"""Read-write locks, semaphores, barriers and counters on the command line."""

import json
import os
import signal

from harness import *


def hold(world, *words):
    """Begins to hold without a command; it prints the key and the token when it does."""
    process = world.start(*words, "--ttl", "10", "-o", "json")
    process.words = words
    return process


def held(process):
    """Waits until it holds; what it printed."""
    line = process.stdout.readline()
    true(line, f"{process.words}: {process.poll()} {'' if process.poll() is None else process.stderr.read()!r}")
    return json.loads(line)


def let_go(process):
    process.send_signal(signal.SIGTERM)
    equal(process.wait(PATIENCE_S), 0, str(process.words))


def listed(world, command, name):
    """(holds, mode) of each, in order."""
    r = json.loads(world.tenure(command, "--list", name, "-o", "json", check=True).stdout)
    return [(e["holds"], e.get("mode", "whole")) for e in r["entries"]]


def taken(world, *words):
    """The exit code of a try that does not wait."""
    return world.tenure(*words, "--timeout", "0", "--", "true").returncode


# --- locks of the other kinds -----------------------------------------------------------------------------------------


def readers_together(world):
    """readers hold together, a writer waits for them and is waited for; mutexes are writers (M9)"""
    first, second = hold(world, "rwlock", "--read", "a"), hold(world, "rwlock", "--read", "a")
    held(first), held(second)
    equal(taken(world, "rwlock", "--read", "a"), 0)
    equal([taken(world, "rwlock", "--write", "a"), taken(world, "lock", "a")], [124, 124])
    writer = hold(world, "rwlock", "--write", "a")
    await_(lambda: len(listed(world, "rwlock", "a")) == 3, "the writer waits")
    equal(listed(world, "rwlock", "a"), [(True, "read"), (True, "read"), (False, "whole")])
    equal(taken(world, "rwlock", "--read", "a"), 124)
    text = world.tenure("rwlock", "--list", "a", check=True).stdout.splitlines()
    true("MODE" in text[0] and "read" in text[1] and "waiting" in text[3], text)
    let_go(first), let_go(second)
    held(writer)
    equal(taken(world, "rwlock", "--read", "a"), 124)
    let_go(writer)
    equal(taken(world, "lock", "a"), 0)


def a_reader_dies(world):
    """a reader killed with -9 is out of the way after its TTL, and its command has been ended"""
    reader = world.start("rwlock", "--read", "a", "--ttl", "2", "--", "sh", "-c", "echo $$ $TENURE_TOKEN; exec sleep 100")
    pid, token = reader.stdout.readline().split()
    reader.kill()
    writer = world.tenure("rwlock", "--write", "a", "--", "sh", "-c", "echo $TENURE_TOKEN", check=True)
    true(int(writer.stdout) > int(token), f"{writer.stdout} after {token}")
    await_(lambda: not is_running(int(pid)), "the command is gone")


def permits(world):
    """what is held together never weighs more than the limit; who does not fit waits, and is not overtaken (M9)"""
    one, two = hold(world, "sem", "-n", "3", "s"), hold(world, "sem", "-n", "3", "s")
    held(one), held(two)
    equal(taken(world, "sem", "--limit", "3", "s"), 0)
    big = hold(world, "sem", "--limit", "3", "--weight", "2", "s")
    await_(lambda: len(listed(world, "sem", "s")) == 3, "the big one waits")
    equal(taken(world, "sem", "--limit", "3", "s"), 124)
    equal(listed(world, "sem", "s"), [(True, "permit"), (True, "permit"), (False, "permit")])
    true("2 of 3" in world.tenure("sem", "--list", "s", check=True).stdout.splitlines()[3], "weight and limit")
    let_go(one)
    held(big)
    equal(taken(world, "sem", "--limit", "3", "s"), 124)
    equal(taken(world, "sem", "--limit", "2", "s"), 124)
    let_go(two), let_go(big)
    equal(taken(world, "lock", "s"), 0)


def commands_under_permits(world):
    """the command's exit code and its token, as under a lock"""
    r = world.tenure("sem", "--limit", "2", "s", "--", "sh", "-c", "echo $TENURE_TOKEN; exit 7")
    equal((r.returncode, r.stdout.strip().isdigit()), (7, True))
    r = world.tenure("rwlock", "-r", "s", "--", "sh", "-c", "exit 9")
    equal(r.returncode, 9)


def delayed(world):
    """--delay: after a holder was lost nobody who uses it gets the lock for so long; after a release at once (M11)"""
    if world.server_kind == "etcd":
        raise Skip("its leases of 1 s live for 2; the library's tests have it")
    lost = world.start("lock", "d", "--ttl", "2", "--delay", "2s", "-o", "json")
    token = json.loads(lost.stdout.readline())["token"]
    lease = world.tenure("lease", "list", check=True).stdout.split()
    gone = boottime_ms()  # at the earliest
    world.tenure("lease", "revoke", lease[0], check=True)
    equal(lost.wait(PATIENCE_S), 121)
    r = world.tenure("lock", "d", "--delay", "2s", "--", "sh", "-c", "echo $TENURE_TOKEN", check=True)
    true(boottime_ms() - gone >= 2000 and int(r.stdout) > token, f"{boottime_ms() - gone} ms, {r.stdout} after {token}")
    equal(world.tenure("lock", "d", "--delay", "61s", "--", "true").returncode, 125)


def wrong_words(world):
    """what is missing or out of range is named, with 125 as of `tenure lock`"""
    for words, expected in ((["rwlock", "a"], "--read or --write"), (["rwlock", "-r", "-w", "a"], "--read or --write"),
                            (["rwlock", "--list"], "one NAME"), (["rwlock", "-r"], "NAME"), (["sem", "a"], "--limit"),
                            (["sem", "-n", "2", "--weight", "3", "a"], "--weight"), (["sem", "-n", "0", "a"], "--limit"),
                            (["sem", "-n", "2"], "NAME"), (["sem", "--list", "a", "b"], "one NAME")):
        r = world.tenure(*words)
        true(r.returncode == 125 and expected in r.stderr and "--help" in r.stderr, f"{words}: {r.returncode} {r.stderr!r}")


# --- barriers and counters --------------------------------------------------------------------------------------------


def barriers(world):
    """who waits goes on when somebody, whoever it is, releases"""
    barrier = lambda *words: world.tenure("barrier", *words).returncode
    equal(barrier("wait", "b"), 0)
    equal(barrier("hold", "b"), 0)
    again = world.tenure("barrier", "hold", "b")
    true(again.returncode == 1 and again.stderr, again.stderr)
    equal([barrier("wait", "b", "--timeout", "0"), barrier("wait", "b", "--timeout", "100ms")], [124, 124])
    waiting = world.start("barrier", "wait", "b", "-v")
    true("endpoint in use" in waiting.stderr.readline(), "it has begun")
    equal(waiting.poll(), None)
    equal(barrier("release", "b"), 0)
    equal(waiting.wait(PATIENCE_S), 0)
    equal(barrier("release", "b"), 0)


def counted_barriers(world):
    """opens with the nth who arrives, stays open until it is reset; a named one counts once"""
    arrive = lambda *words: world.tenure("barrier", "arrive", "l", *words)
    equal(arrive("--count", "3", "--who", "x").stdout, "1 of 3\n")
    equal(arrive("--count", "3", "--who", "x").stdout, "1 of 3\n")
    equal(arrive("--count", "2").returncode, 1)
    equal(world.tenure("barrier", "wait", "l", "--count", "3", "--timeout", "0").returncode, 124)
    waits = world.start("barrier", "arrive", "l", "--count", "3", "--wait")
    equal(waits.stdout.readline(), "2 of 3\n")
    equal(arrive("-n", "3").stdout, "3 of 3, open\n")
    equal(waits.wait(PATIENCE_S), 0)
    equal(json.loads(world.tenure("barrier", "look", "l", "-o", "json").stdout),
          {"name": "l", "arrived": 3, "count": 3, "open": True})
    equal(world.tenure("barrier", "reset", "l").returncode, 0)
    equal(world.tenure("barrier", "look", "l").stdout, "0 of 0\n")
    for bad in (["arrive", "l"], ["look"], ["leave", "l"], ["wait", "a", "b"]):
        equal(world.tenure("barrier", *bad).returncode, 2)


def counters(world):
    """added up by many at once, each once; and what is no number is named"""
    equal(world.tenure("counter", "get", "c").stdout, "0\n")
    adds = [world.start("counter", "add", "c") for _ in range(8)]
    for p in adds:
        equal(p.wait(PATIENCE_S), 0)
    equal(sorted(int(p.stdout.read()) for p in adds), list(range(1, 9)))
    equal(world.tenure("counter", "add", "c", "--", "-18").stdout, "-10\n")
    equal(world.tenure("counter", "set", "c", "41").stdout, "41\n")
    equal(world.tenure("counter", "cas", "c", "41", "42").stdout, "42\n")
    r = world.tenure("counter", "cas", "c", "41", "43")
    true(r.returncode == 1 and "it is 42, not 41" in r.stderr, r.stderr)
    equal(json.loads(world.tenure("counter", "get", "c", "-o", "json").stdout), {"name": "c", "value": 42})
    equal(world.tenure("get", "/counters/c", "--print-value-only").stdout, "42\n")
    world.tenure("put", "/counters/c", "many", check=True)
    r = world.tenure("counter", "add", "c")
    true(r.returncode == 1 and "number" in r.stderr, r.stderr)
    for bad in (["add", "c", "1.5"], ["add"], ["set", "c"], ["cas", "c", "1"], ["set", "c", "9223372036854775808"]):
        equal(world.tenure("counter", *bad).returncode, 2)


# --- queues -----------------------------------------------------------------------------------------------------------


def queues(world):
    """taken once, in order; a take waits for an item, or says in time that there is none (Q1, Q2)"""
    put = lambda *words, **kw: world.tenure("queue", "put", "q", *words, **kw)
    take = lambda *words: world.tenure("queue", "take", "q", *words)
    equal(put("one").stdout, "OK\n")
    equal(put(input="two words\n\nand lines").returncode, 0)
    equal(world.tenure("queue", "peek", "q").stdout, "one\n")
    equal(world.tenure("queue", "length", "q").stdout, "2\n")
    equal([take().stdout, take().stdout], ["one\n", "two words\n\nand lines\n"])
    equal([take("--timeout", "0").returncode, take("--timeout", "50ms").returncode], [124, 124])
    equal(world.tenure("queue", "peek", "q").returncode, 1)
    waiting = [world.start("queue", "take", "q", "-o", "json") for _ in range(3)]
    for n in range(3):
        put(str(n), check=True)
    got = sorted(json.loads(p.stdout.readline())["value"] for p in waiting)
    equal((got, [p.wait(PATIENCE_S) for p in waiting]), (["0", "1", "2"], [0, 0, 0]))


def queue_put_back(world):
    """what could not be written is put back: no item is lost to a full disk"""
    world.tenure("queue", "put", "q", "one", check=True)
    with open("/dev/full", "wb") as full:
        took = subprocess.run([TENURE, "queue", "take", "q"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S,
                              env={**os.environ, "TENURE_ENDPOINTS": world.server.url})
    equal(took.returncode, 1)
    true("put back" in took.stderr, took.stderr)
    equal(world.tenure("queue", "take", "q", "--timeout", "0").stdout, "one\n")


def queue_listed(world):
    """queue list shows who waits, in the order of coming, and of a work queue who works on what"""
    listed = lambda *more: json.loads(world.tenure("queue", "list", "q", "-o", "json", *more, check=True).stdout)
    equal((listed()["waiting"], listed()["working"]), ([], []))
    waiting = []
    for n in range(2):
        waiting.append(world.start("queue", "take", "q"))
        await_(lambda: len(listed()["waiting"]) == n + 1, "it waits")
    equal([entry["pid"] for entry in listed()["waiting"]], [p.pid for p in waiting])
    rows = [line.split() for line in world.tenure("queue", "list", "q").stdout.splitlines()]
    equal(rows[0], ["STATE", "HOST", "PID", "SINCE", "TOKEN", "TIMES", "PURPOSE"])
    equal([(row[0], row[2]) for row in rows[1:]], [("waiting", str(p.pid)) for p in waiting])
    for p in waiting:
        world.tenure("queue", "put", "q", "x", check=True)
        equal(p.wait(PATIENCE_S), 0)
    world.tenure("put", "/queues/w/taken/abc.2", "", check=True)
    world.tenure("put", "/queues/w/taken/def.1", "", check=True)
    world.tenure("put", "/queues/w/claims/abc", '{"host":"h","pid":7,"purpose":"to work"}', check=True)
    got = json.loads(world.tenure("queue", "list", "w", "--kind", "work", "-o", "json", check=True).stdout)
    equal([(e["id"], e["deliveries"], e["pid"], e["purpose"], e["token"] > 0) for e in got["working"]],
          [("abc", 2, 7, "to work", True), ("def", 1, 0, "", False)])
    rows = [line.split() for line in world.tenure("queue", "list", "w", "-k", "work").stdout.splitlines()]
    equal([(row[0], row[1], row[2]) for row in rows[1:]], [("works", "h", "7"), ("again", "-", "-")])


def queues_of_other_kinds(world):
    """the lowest number first; not before it is due; work only with its acknowledgement; a full one is refused"""
    q = lambda *words: world.tenure("queue", *words)
    for n in (3, 1, 2):
        q("put", "p", f"v{n}", "-k", "priority", "--priority", str(n))
    equal([q("take", "p", "-k", "priority").stdout for _ in range(3)], ["v1\n", "v2\n", "v3\n"])
    q("put", "d", "later", "-k", "delay", "--delay", "1h")
    q("put", "d", "soon", "-k", "delay", "--delay", "10ms")
    equal(q("take", "d", "-k", "delay").stdout, "soon\n")
    equal(q("take", "d", "-k", "delay", "--timeout", "0").returncode, 124)
    q("put", "w", "job", "-k", "work")
    refused = q("take", "w", "-k", "work")
    true(refused.returncode == 2 and "--ack" in refused.stderr, refused.stderr)
    item = json.loads(q("take", "w", "-k", "work", "--ack", "-o", "json").stdout)
    true((item["value"], item["deliveries"]) == ("job", 1) and item["token"] > 0, item)
    equal(json.loads(q("length", "w", "-k", "work", "-o", "json").stdout), {"length": 0})
    q("put", "f", "1")
    full = q("put", "f", "2", "--max-length", "1")
    true(full.returncode == 1 and full.stderr, full.stderr)
    for bad in (["put"], ["take"], ["peek", "a", "b"], ["drain", "a"], ["put", "a", "b", "-k", "lifo"], ["take", "a", "--ack"]):
        equal(q(*bad).returncode, 2)


main([queues, queue_put_back, queue_listed, queues_of_other_kinds, readers_together, a_reader_dies, permits, commands_under_permits, delayed, wrong_words, barriers,
      counted_barriers, counters])
