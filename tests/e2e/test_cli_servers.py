"""Transactions as text, and the upkeep of servers: compact, alarm, defrag, member."""

import json

from harness import *


def as_json(world, *args, **kw):
    return json.loads(world.tenure(*args, "-o", "json", check=True, **kw).stdout)


def txn(world, text, *args):
    return world.tenure("txn", *args, input=text)


# --- transactions -----------------------------------------------------------------------------------------------------


def transactions(world):
    """compares choose the branch; what the operations answer is printed as etcdctl prints it"""
    world.tenure("put", "a", "one", check=True)
    text = 'value("a") = "one"\nver("b") = "0"\n\nput a two\nget a\ndel nothing\n\nget a\n\n'
    ours = txn(world, text)
    equal((ours.returncode, ours.stdout), (0, "SUCCESS\n\nOK\n\na\ntwo\n\n0\n"))
    again = txn(world, text)
    equal((again.returncode, again.stdout), (0, "FAILURE\n\na\ntwo\n"))
    equal(again.stdout, world.etcdctl("txn", input=text).stdout)


def transactions_in_json(world):
    """as JSON, with its revision; an operation's options are those of its command; the last part needs no empty line"""
    world.tenure("put", "a", "one", check=True)
    world.tenure("put", "b", "two", check=True)
    r = as_json(world, "txn", input="\nput a 'new value' --prev-kv\nget --prefix '' --keys-only\ndel --from-key b --prev-kv\n")
    equal((r["succeeded"], [o["op"] for o in r["responses"]]), (True, ["put", "get", "del"]))
    put, get, gone = r["responses"]
    equal(put["prev_kv"]["value"], "one")
    equal([kv["key"] for kv in get["kvs"]], ["a", "b"])
    equal((gone["deleted"], gone["prev_kvs"][0]["value"]), (1, "two"))
    equal(r["revision"], as_json(world, "get", "a")["kvs"][0]["mod_revision"])
    equal(world.tenure("get", "a", "--print-value-only").stdout, "new value\n")


def exact_transactions(world):
    """--exact leaves nothing behind but what it wrote"""
    equal(txn(world, "\nput a one\n", "--exact").returncode, 0)
    equal(world.tenure("get", "--from-key", "", "--keys-only").stdout, "a\n")


def transactions_that_are_none(world):
    """the line and what was expected there are named, and nothing is written"""
    for text, line, expected in (("mod(a) = x\n", "line 1", "number"), ("\nput a\n", "line 2", "put KEY VALUE"),
                                 ("\n\nmove a b\n", "line 3", "get, put or del"), ('\nput a "b\n', "line 2", "quote"),
                                 ("\nput a b --lese 1\n", "line 2", "--lese"), ("\nput a \0 b\n", "line 2", "zero")):
        r = txn(world, text)
        true(r.returncode == 2 and line in r.stderr and expected in r.stderr, f"{text!r}: {r.returncode} {r.stderr!r}")
    equal(world.tenure("txn", "a").returncode, 2)
    equal(world.tenure("get", "--from-key", "").stdout, "")
    empty = txn(world, "\n\n\n")
    equal((empty.returncode, empty.stdout), (0, "SUCCESS\n"))
    twice = txn(world, "\nput a 1\nput a 2\n")
    true(twice.returncode == 1 and "duplicate key" in twice.stderr, twice.stderr)


# --- upkeep -----------------------------------------------------------------------------------------------------------


def compaction(world):
    """what was compacted is gone, what stands stays; a revision that is gone, to come or no number is refused"""
    for n in range(4):
        world.tenure("put", "a", str(n), check=True)
    newest = as_json(world, "get", "a")["revision"]
    equal(world.tenure("compact", "--physical", str(newest - 1), check=True).stdout, f"compacted revision {newest - 1}\n")
    equal(world.tenure("get", "a", "--print-value-only").stdout, "3\n")
    gone = world.tenure("get", "a", "--rev", str(newest - 2))
    true(gone.returncode == 1 and "compacted" in gone.stderr, gone.stderr)
    true("compacted" in world.tenure("compact", str(newest - 1)).stderr, "twice")
    true("future" in world.tenure("compact", str(newest + 9)).stderr, "future")
    for bad in ([], ["x"], ["0"], ["1", "2"]):
        equal(world.tenure("compact", *bad).returncode, 2)
    equal(as_json(world, "compact", str(newest)), {"compact_revision": newest})


def members(world):
    """the server lists itself, and refuses what needs a second one, naming what was wrong"""
    r = as_json(world, "member", "list")
    equal(len(r["members"]), 1)
    member = r["members"][0]
    true(member["member"] in world.tenure("member", "list", check=True).stdout, "the same in text")
    equal(member["learner"], False)
    for words, code in ((["remove", "xyz"], 2), (["remove"], 2), (["add"], 2), (["remove", "1234"], 1),
                        (["promote", member["member"]], 1), (["add", "--peer-urls", ","], 2), (["join"], 2)):
        r = world.tenure("member", *words)
        true(r.returncode == code and r.stderr, f"{words}: {r.returncode} {r.stderr!r}")
    url = "http://127.0.0.9:2380"
    changed = as_json(world, "member", "update", member["member"], "--peer-urls", url)
    equal(changed["members"][0]["peer_urls"], [url])


def defragmentation(world):
    """each endpoint by itself, with its size before and after; the first that does not answer ends it"""
    line = world.tenure("defrag", check=True).stdout
    true(line.startswith(world.server.url) and " MB, was " in line, line)
    r = as_json(world, "defrag")
    true(r["db_size"] > 0 and r["db_size_before"] > 0 and r["took_ms"] >= 0, r)
    down = world.tenure("defrag", "--endpoints", f"http://127.0.0.1:1,{world.server.url}")
    equal((down.returncode, down.stdout), (3, ""))
    equal(world.tenure("defrag", "now").returncode, 2)


def alarms(world):
    """none raised is no failure; one that was raised is named, ended, and writes go on"""
    equal(world.tenure("alarm", "list", check=True).stdout, "")
    equal(as_json(world, "alarm", "disarm"), {"alarms": []})
    world.etcdctl("alarm", "list", check=True)
    for bad in ([], ["clear"], ["list", "all"]):
        equal(world.tenure("alarm", *bad).returncode, 2)


def an_alarm(world):
    """a full server: the write's error names the way out, and that way works"""
    if world.server_kind == "etcd":
        raise Skip("its bound counts what it has set aside")
    path = world.path("s.sock")
    server = world.start("serve", "--data-dir", world.path("d2"), "--listen-client-urls", f"unix://{path}",
                         "--quota-backend-bytes", "1000000", "--auto-compaction-retention", "0")  # it would compact by itself
    server.stdout.readline()
    at = ["--endpoints", f"unix://{path}"]
    value = "x" * 500_000
    for n in range(100):
        refused = world.tenure("put", f"k{n % 3}", *at, input=value)
        if refused.returncode:
            break
    true("tenure alarm disarm" in refused.stderr, refused.stderr)
    raised = as_json(world, "alarm", "list", *at)["alarms"]
    equal([a["alarm"] for a in raised], ["NOSPACE"])
    true("NOSPACE" in world.tenure("alarm", "list", *at).stdout, "in text")
    world.tenure("del", "--prefix", "k", *at, check=True)
    newest = as_json(world, "get", "k", *at)["revision"]
    world.tenure("compact", "--physical", str(newest), *at, check=True)
    world.tenure("defrag", *at, check=True)
    equal(as_json(world, "alarm", "disarm", *at)["alarms"], raised)
    equal(as_json(world, "alarm", "list", *at)["alarms"], [])
    equal(world.tenure("put", "a", "one", *at).returncode, 0)


main([transactions, transactions_in_json, exact_transactions, transactions_that_are_none, compaction, members,
      defragmentation, alarms, an_alarm])
