"""Regions: clusters that know each other, the homes of names, and locks and elections there."""

import json
import os
import signal
import subprocess
import threading

from harness import *
from homes import Regions
from mirrors import Gateway


def known_to_each_other(world):
    """each region knows all, also those that came after it, and the status of one shows them"""
    r = Regions(world)
    for name in r.servers:
        listed = json.loads(r.at(name, "region", "list", "-o", "json", check=True).stdout)
        equal([x["region"] for x in listed["regions"]], ["ap", "eu", "us"], f"known in {name}")
        equal(listed["here"], name, "the own one")
    status = json.loads(r.at("us", "region", "status", "-o", "json", check=True).stdout)
    equal({x["state"] for x in status["regions"]}, {"answers"}, "states")
    r["ap"].kill()
    status = r.at("eu", "region", "status", "-o", "json", "--call-timeout", "3s")
    equal(status.returncode, 1, "one is away")
    equal({x["region"]: x["state"] for x in json.loads(status.stdout)["regions"]}, {"ap": "away", "eu": "answers", "us": "answers"}, "states")


def who_they_are(world):
    """a cluster has one name, and another one is refused"""
    r = Regions(world, 2)
    again = r.at("eu", "region", "init", "elsewhere")
    equal(again.returncode, 1, "a second name")
    true("'eu' already" in again.stderr, again.stderr)
    equal(r.at("eu", "region", "init", "eu").returncode, 0, "the same name again")
    wrong = r.at("eu", "region", "add", "ap", r["us"].url)
    equal(wrong.returncode, 1, "us as ap")
    true(f"the cluster at {r['us'].url} is region 'us' already, not 'ap'" in wrong.stderr, wrong.stderr)
    equal(r.at("eu", "region", "add", "AP", r["us"].url).returncode, 2, "no name")
    gone = r.at("eu", "region", "add", "ap", "http://127.0.0.1:1", "--call-timeout", "2s")
    equal(gone.returncode, 3, "nobody is there")
    true("try: tenure status --endpoints http://127.0.0.1:1\n" in gone.stderr, gone.stderr)
    equal(r.at("eu", "region", "add", "ap", "http://127.0.0.1:1", "--call-timeout", "2s", "--force").returncode, 0, "by force")
    equal(r.at("us", "region", "list", "-o", "jsonl").stdout.count("\n"), 3, "us knows it")
    r.at("us", "region", "remove", "ap", check=True)
    equal(r.at("eu", "region", "list", "-o", "jsonl").stdout.count("\n"), 2, "eu forgot it")
    equal(r.at("us", "region", "remove", "ap").returncode, 1, "it is not there")


def homes(world):
    """the home of a prefix is the same in all regions, the longest prefix counts, and home moves none"""
    r = Regions(world, 2)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    r.at("eu", "region", "home", "/locks/us/", "us", check=True)
    for name in r.servers:
        equal(json.loads(r.value(name, "/federation/homes/locks/")), {"region": "eu", "epoch": 1}, f"the record in {name}")
        equal(r.at(name, "region", "home", "/locks/a").stdout, "eu\n", "of a key")
        equal(r.at(name, "region", "home", "/locks/us/a").stdout, "us\n", "of a key below the longer one")
    equal(json.loads(r.value("eu", "/federation/homes/locks/us/")), {"region": "us", "epoch": 2}, "above what its keys had")
    r.at("eu", "region", "home", "/locks/us/own/", "us", check=True)
    equal(json.loads(r.value("us", "/federation/homes/locks/us/own/")), {"region": "us", "epoch": 2}, "as its keys had")
    equal(r.at("eu", "region", "home", "/election/x").returncode, 1, "none")
    moved = r.at("eu", "region", "home", "/locks/", "us")
    equal(moved.returncode, 1, "home moves none")
    true("region promote us --prefix /locks/" in moved.stderr, moved.stderr)
    equal(r.at("eu", "region", "home", "/locks/", "eu").returncode, 0, "the same again")
    equal(r.at("eu", "region", "home", "locks", "eu").returncode, 2, "no prefix")
    busy = r.at("eu", "region", "remove", "us")
    equal(busy.returncode, 1, "it is a home")
    true("/locks/us/" in busy.stderr, busy.stderr)


EPOCH = 1 << 44


def two_first_homes(world):
    """two first homes of a prefix, given at the same moment: not both are told that they succeeded"""
    r = Regions(world, 2)
    for n in range(8):
        prefix = f"/race/{n}/"
        asked = [r.start("eu", "region", "home", prefix, name) for name in ("eu", "us")]
        codes = [p.wait(PATIENCE_S) for p in asked]
        records = {json.loads(r.value(name, f"/federation/homes{prefix}"))["region"] for name in r.servers}
        true(codes != [0, 0], f"one of two different homes is refused: {records}")
        true(0 not in codes or len(records) == 1, f"{codes}, but records {records}")


def run_token(r, name, *args):
    return int(r.at(name, *args, "--", "sh", "-c", "echo $TENURE_TOKEN", check=True).stdout)


def locks_at_home(world):
    """a lock and a leadership asked for at home have the epoch of the home in their token, and stand in that region's cluster"""
    r = Regions(world, 2)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    r.at("us", "region", "home", "/election/", "us", check=True)
    plain = run_token(r, "eu", "lock", "job")
    tokens = [run_token(r, name, "lock", "--region", "home", "job") for name in ("us", "eu", "us")]
    true(plain < EPOCH < tokens[0] < tokens[1] < tokens[2] < 2 * EPOCH, f"tokens {plain} {tokens}")
    holder = r.start("us", "lock", "--region", "home", "job", "-o", "json")
    held = json.loads(holder.stdout.readline())
    create = int(json.loads(r.at("eu", "get", held["key"], "-o", "json", check=True).stdout)["kvs"][0]["create_revision"])
    equal(held["token"], EPOCH + create, "the token")
    equal(r.at("us", "get", held["key"]).stdout, "", "in us")
    leader = run_token(r, "eu", "elect", "--region", "home", "boss")
    true(EPOCH < leader < 2 * EPOCH, "a leader's token")
    for name in ("rwlock", "sem"):
        more = ("--write",) if name == "rwlock" else ("--limit", "2")
        true(run_token(r, "us", name, *more, "--region", "home", f"j-{name}") > EPOCH, name)


def listed_at_home(world):
    """who holds a lock, a permit or leads at the home of a name is listed from another region, with tokens that have the epoch"""
    r = Regions(world, 2)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    r.at("us", "region", "home", "/election/", "eu", check=True)
    for command, *more in (("lock",), ("rwlock", "--write"), ("sem", "--limit", "2"), ("elect",)):
        there = world.folder / f"token-{command}"
        held = r.start("us", command, *more, "--region", "home", f"job-{command}", "--", "sh", "-c",
                       f"echo $TENURE_TOKEN > {there}.new; mv {there}.new {there}; exec sleep 600")
        await_(there.exists, f"{command} holds")
        listed = json.loads(r.at("us", command, "--list", "--region", "home", f"job-{command}", "-o", "json", check=True).stdout)
        equal([e["token"] for e in listed["entries"]], [int(there.read_text())], f"tokens of {command}")
        equal(json.loads(r.at("us", command, "--list", "--region", "eu", f"job-{command}", "-o", "json", check=True).stdout), listed, "by name")
        equal(json.loads(r.at("us", command, "--list", f"job-{command}", "-o", "json", check=True).stdout)["entries"], [], "here is nobody")
        held.send_signal(signal.SIGTERM)
        held.wait(30)
    equal(r.at("us", "lock", "--list", "--region", "mars", "job").returncode, 1, "no such region")
    r["eu"].kill()
    away = r.at("us", "lock", "--list", "--region", "home", "job", "--call-timeout", "2s")
    equal(away.returncode, 3, "it is away")
    true("'eu'" in away.stderr, away.stderr)


def elsewhere_is_refused(world):
    """a lock whose home is elsewhere, unknown, or cannot be reached is refused in words that name region, endpoints and what to do"""
    r = Regions(world, 2)
    none = r.at("us", "lock", "--region", "home", "job", "--", "true")
    equal(none.returncode, 125, "no home")
    true("no home" in none.stderr and "tenure region home" in none.stderr, none.stderr)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    other = r.at("us", "lock", "--region", "us", "job", "--", "true")
    equal(other.returncode, 125, "not the home")
    true("home in region 'eu' (epoch 1), and this is 'us'" in other.stderr, other.stderr)
    unknown = r.at("us", "elect", "--region", "ap", "boss", "--", "true")
    equal(unknown.returncode, 125, "unknown")
    true("tell it: tenure region add ap URLS\n" in unknown.stderr, unknown.stderr)
    r["eu"].kill()
    away = r.at("us", "lock", "--region", "home", "job", "--call-timeout", "3s", "--", "true")
    equal(away.returncode, 125, "away")
    for word in ("'eu' cannot be reached", r["eu"].url, "tenure region promote"):
        true(word in away.stderr, away.stderr)


def a_holder_hears(world):
    """who holds a lock loses it when its home moves away, and the home does not give it again"""
    r = Regions(world, 2)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    holder = r.start("us", "lock", "--region", "home", "job", "--", "sleep", "60")
    await_(lambda: "job/" in r.at("eu", "get", "--prefix", "/locks/", "--keys-only").stdout, "it is there")
    r.at("eu", "put", "/federation/homes/locks/", '{"region":"us","epoch":2}', check=True)
    equal(holder.wait(PATIENCE_S), 121, "lost")
    equal(r.at("eu", "get", "--prefix", "/locks/").stdout, "", "its place is given back")
    equal(r.at("us", "lock", "--region", "eu", "job", "--", "true").returncode, 125, "no more there")


def handed_over(world):
    """a home that answers hands over: holders lose, tokens grow, and all know it"""
    r = Regions(world)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    holder = r.start("us", "lock", "--region", "home", "job", "--", "sleep", "60")
    await_(lambda: "job/" in r.at("eu", "get", "--prefix", "/locks/", "--keys-only").stdout, "it is held")
    moved = json.loads(r.at("ap", "region", "promote", "us", "--prefix", "/locks/", "-o", "json", check=True).stdout)
    equal(moved, {"homes": [{"prefix": "/locks/", "region": "us", "epoch": 2, "before": "eu", "handed_over": True}]}, "told")
    equal(holder.wait(PATIENCE_S), 121, "the holder")
    true(2 * EPOCH < run_token(r, "eu", "lock", "--region", "home", "job") < 3 * EPOCH, "its token")
    again = json.loads(r.at("ap", "region", "promote", "us", "--prefix", "/locks/", "-o", "json", check=True).stdout)
    equal(again["homes"][0]["epoch"], 2, "the same again")
    equal({r.value(name, "/federation/homes/locks/") for name in r.servers}, {'{"region":"us","epoch":2}'}, "records")


def interrupted(world):
    """a promotion that was interrupted behind any of its steps goes on when it is run again"""
    r = Regions(world)
    for at in (("eu",), ("eu", "ap")):
        prefix = f"/locks/{len(at)}/"
        r.at("us", "region", "home", prefix, "eu", check=True)
        for name in at:
            r.at(name, "put", f"/federation/homes{prefix}", '{"region":"us","epoch":2}', check=True)
        r.at("ap", "region", "promote", "us", "--instead-of", "eu", check=True)
        equal({r.value(name, f"/federation/homes{prefix}") for name in r.servers}, {'{"region":"us","epoch":2}'}, "records")


def by_force(world):
    """a home that is silent is not replaced but by force and with a majority, and what it alone has is kept when it comes back"""
    r = Regions(world)
    patient = ("--call-timeout", "3s")
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    r.at("us", "region", "home", "/data/", "eu", check=True)
    old = run_token(r, "eu", "lock", "--region", "home", "job")
    r.at("us", "put", "/data/same", "1", check=True)
    r.at("eu", "put", "/data/same", "1", check=True)
    r["eu"].freeze()
    refused = r.at("us", "region", "promote", "us", "--instead-of", "eu", *patient)
    equal(refused.returncode, 1, "without force")
    true("goes on" in refused.stderr and "--force" in refused.stderr, refused.stderr)
    r["ap"].freeze()
    few = r.at("us", "region", "promote", "us", "--instead-of", "eu", "--force", *patient)
    equal(few.returncode, 1, "one of three")
    true("1 of 3 regions answer" in few.stderr, few.stderr)
    r["ap"].thaw()
    r.at("us", "region", "promote", "us", "--instead-of", "eu", "--force", *patient, check=True)
    new = run_token(r, "us", "lock", "--region", "home", "job")
    true(new > 2 * EPOCH > old, f"{old} {new}")
    r["eu"].thaw()
    r.at("eu", "put", "/data/unseen", "2", check=True)
    true(run_token(r, "eu", "lock", "--region", "eu", "job") < new, "what it goes on giving out is smaller")
    kept = world.path("kept.jsonl")
    synced = json.loads(r.at("ap", "region", "sync", "--save", kept, "-o", "json", check=True).stdout)
    equal(sorted((x["region"], x["prefix"], x["epoch"]) for x in synced["raised"]), [("eu", "/data/", 2), ("eu", "/locks/", 2)], "raised")
    kept = world.path("kept-eu-epoch-2.jsonl")
    equal([(json.loads(line)["key"], json.loads(line)["value"]) for line in lines(kept)], [("/data/unseen", "2")], "kept")
    equal(r.at("eu", "lock", "--region", "eu", "job", "--", "true").returncode, 125, "no home any more")
    equal(r.at("eu", "region", "status").returncode, 0, "all agree")


def interrupted_by_force(world):
    """what goes on with a promotion in place of a silent home takes a majority, too"""
    r = Regions(world)
    patient = ("--call-timeout", "2s")
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    for name in ("sa", "af"):
        r.at("us", "put", f"/regions/{name}", '{"endpoints":["http://127.0.0.1:1"]}', check=True)
    r.at("ap", "put", "/federation/homes/locks/", '{"region":"us","epoch":2}', check=True)
    r["eu"].freeze()
    few = r.at("us", "region", "promote", "us", "--instead-of", "eu", "--force", *patient)
    equal(few.returncode, 1, "two of five")
    true("2 of 5 regions answer" in few.stderr, few.stderr)
    equal(r.at("us", "region", "home", "/locks/", "us", *patient).returncode, 1, "home moves none")
    synced = r.at("us", "region", "sync", *patient)
    true("promote us --prefix /locks/" in synced.stderr, synced.stderr)
    equal(r.value("us", "/federation/homes/locks/"), '{"region":"eu","epoch":1}', "it is not the home")


def record(region, epoch):
    return json.dumps({"region": region, "epoch": epoch}, separators=(",", ":"))


def two_stopped_half_way(world):
    """of two promotions that stopped half way with one epoch whichever is run again counts, with the next one, wherever it stands in the list"""
    r = Regions(world)
    for n, name in enumerate(("us", "ap", "eu")):
        prefix = f"/locks/{n}/"
        r.at("us", "region", "home", prefix, "eu", check=True)
        r.at("ap", "put", f"/federation/homes{prefix}", record("us", 2), check=True)  # each has told the other one's region
        r.at("us", "put", f"/federation/homes{prefix}", record("ap", 2), check=True)
        synced = r.at("us", "region", "sync")
        equal(synced.returncode, 1, "it is not for sync to say")
        true("two promotions" in synced.stderr, synced.stderr)
        equal(r.value("eu", f"/federation/homes{prefix}"), record("eu", 1), "and nobody is told")
        r.at("ap", "region", "promote", name, "--prefix", prefix, "--no-wait", check=True)
        equal({r.value(x, f"/federation/homes{prefix}") for x in r.servers}, {record(name, 3)}, "records")
    prefix = "/locks/silent/"
    r.at("us", "region", "home", prefix, "eu", check=True)
    r.at("eu", "put", f"/federation/homes{prefix}", record("ap", 2), check=True)
    r.at("us", "put", f"/federation/homes{prefix}", record("us", 2), check=True)
    r["ap"].freeze()  # it may be the home by now
    refused = r.at("us", "region", "promote", "us", "--prefix", prefix, "--call-timeout", "2s")
    equal(refused.returncode, 1, "without force")
    r.at("us", "region", "promote", "us", "--prefix", prefix, "--force", "--call-timeout", "2s", check=True)
    equal({r.value(x, f"/federation/homes{prefix}") for x in ("eu", "us")}, {record("us", 3)}, "records")
    r["ap"].thaw()


def nothing_falls_between(world):
    """what an old home's clients write while sync goes on is kept up to the revision in which it hears of the new home; with no room for it nothing is changed"""
    r = Regions(world, 2)
    for n in range(4):
        prefix = f"/data/{n}/"
        r.at("us", "region", "home", prefix, "eu", check=True)
        r.at("us", "put", f"/federation/homes{prefix}", record("us", 2), check=True)
        writer, done = Gateway(r["eu"]), threading.Event()
        writer.put(f"{prefix}first", "x")
        for i in range(60 if n == 1 else 0):
            writer.put(f"{prefix}{'long' * 20}/{i}", "x" * 20)

        def write():
            i = 0
            while not done.is_set():
                writer.put(f"{prefix}{i:06d}", str(i))
                i += 1
        thread = threading.Thread(target=write)
        thread.start()
        kept = Path(world.path(f"kept-{n}-eu-epoch-2.jsonl"))
        try:
            if n == 0:
                kept.symlink_to("/dev/full")
                full = r.at("us", "region", "sync", "--save", world.path(f"kept-{n}.jsonl"))
                equal(full.returncode, 1, "no room")
                true("No space left" in full.stderr, full.stderr)
                equal(r.value("eu", f"/federation/homes{prefix}"), record("eu", 1), "nothing is changed")
                kept.unlink()
            if n == 1:  # the room ends in the middle of a line
                before = '{"whole":"line"}\n'
                kept.write_text(before)
                full = world.run(["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh", TENURE, "region", "sync", "--save", world.path(f"kept-{n}.jsonl")],
                                 env=r.environment("us"))
                equal(full.returncode, 1, "no room for all")
                true("File too large" in full.stderr, full.stderr)
                true("are kept in" not in full.stderr, full.stderr)
                equal(kept.read_text(), before, "the file is as it was")
                kept.unlink()
            r.at("us", "region", "sync", "--save", world.path(f"kept-{n}.jsonl"), check=True)
        finally:
            done.set()
            thread.join()
        change = int(json.loads(r.at("eu", "get", f"/federation/homes{prefix}", "-o", "json", check=True).stdout)["kvs"][0]["mod_revision"])
        there = json.loads(r.at("eu", "get", "--prefix", prefix, "-o", "json", check=True).stdout)["kvs"]
        before = {kv["key"] for kv in there if int(kv["mod_revision"]) < change}
        equal({json.loads(line)["key"] for line in lines(kept)}, before, "kept")


def nothing_is_left_behind(world):
    """a hand-over waits until the mirror at the new home has all that the old one had; refused with a mirror that does not run; --no-wait does not wait"""
    r = Regions(world, 2)
    r.at("us", "region", "home", "/data/", "eu", check=True)
    mirrors = [r.start("us", "mirror", "--from", r[a].url, "--to", r[b].url, "--prefix", "/data/", "--name", f"{a}-{b}",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for a, b in (("eu", "us"), ("us", "eu"))]
    r.at("eu", "put", "/data/first", "1", check=True)
    await_(lambda: r.value("us", "/data/first") == "1", "it is copied")
    os.kill(mirrors[0].pid, signal.SIGSTOP)
    for n in range(20):
        r.at("eu", "put", f"/data/{n}", str(n), check=True)
    r.at("eu", "del", "/data/first", check=True)
    late = r.at("us", "region", "promote", "us", "--prefix", "/data/", "--timeout", "300ms")
    equal(late.returncode, 3, "not in time")
    true("waiting for mirror 'eu-us/data/'" in late.stderr and "--no-wait" in late.stderr, late.stderr)
    equal(r.value("us", "/federation/homes/data/"), record("eu", 1), "it is not the home")
    moving = r.start("us", "region", "promote", "us", "--prefix", "/data/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    true("waiting for mirror" in moving.stderr.readline(), "it waits, and says so")
    os.kill(mirrors[0].pid, signal.SIGCONT)
    equal(moving.wait(PATIENCE_S), 0, "moved")
    equal(r.value("us", "/federation/homes/data/"), record("us", 2), "it is the home")
    equal(r.at("us", "get", "--prefix", "/data/", "--keys-only").stdout.count("/data/"), 20, "nothing is missing")
    equal(r.value("us", "/data/first"), "", "deletes are not missing, either")
    r.at("us", "put", "/data/new", "1", check=True)
    await_(lambda: r.value("eu", "/data/new") == "1", "the mirror of the new home works")
    os.kill(mirrors[1].pid, signal.SIGSTOP)
    r.at("us", "put", "/data/left", "1", check=True)
    r.at("eu", "region", "promote", "eu", "--prefix", "/data/", "--no-wait", check=True)
    os.kill(mirrors[1].pid, signal.SIGCONT)
    await_(lambda: r.value("us", "/data/left") == "", "what was left behind goes")
    for m in mirrors:
        m.kill()
        m.wait()
    old = json.loads(r.value("us", "/federation/mirrors/eu-us/data/"))
    r.at("us", "put", "/federation/mirrors/eu-us/data/", json.dumps({**old, "time": old["time"] - 100000}), check=True)
    dead = r.at("us", "region", "promote", "us", "--prefix", "/data/")
    equal(dead.returncode, 1, "a mirror that does not run")
    true("'eu-us/data/'" in dead.stderr and "not seen" in dead.stderr, dead.stderr)
    equal(r.value("eu", "/federation/homes/data/"), record("eu", 3), "nothing was moved")
    r.at("us", "region", "home", "/other/", "eu", check=True)
    none = r.at("us", "region", "promote", "us", "--prefix", "/other/", check=True)
    true("no mirror copies '/other/' from 'eu' to 'us'" in none.stderr, none.stderr)


main([known_to_each_other, who_they_are, homes, two_first_homes, locks_at_home, listed_at_home, elsewhere_is_refused, a_holder_hears, handed_over, interrupted, by_force, interrupted_by_force, two_stopped_half_way, nothing_falls_between, nothing_is_left_behind])
