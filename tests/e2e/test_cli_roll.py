#!/usr/bin/env python3
"""tenure cluster rolling-restart and defrag: every member, one at a time, with a majority at any moment."""

import json

from clusters import *

HOLDS = 'until [ -e "$1" ]; do sleep 0.05; done; echo held'


def by_kill(c):
    """A command that restarts a member: its parent starts it again."""
    return f"kill $(cat {c.folder}/{{name}}.pid)"


def rolling(c, *args):
    got = c.tenure("cluster", "rolling-restart", "-o", "jsonl", *args, timeout=PATIENCE_S * 6)
    return got, [(e["name"], e["done"]) for e in map(json.loads, got.stdout.splitlines())]


def all_of_them(w):
    """each member is another process afterwards, the leader the last one, and a lock is held throughout"""
    c = Cluster(w).well()
    end = Path(w.path("end"))
    holder = w.start("lock", "x", "--ttl", "30", "--", "sh", "-c", HOLDS, "sh", str(end), env=w.environment(TENURE_ENDPOINTS=c.endpoints))
    await_(lambda: c.tenure("lock", "x", "--timeout", "0", "--", "true").returncode != 0, "it is held")
    before = {name: c.pid(name) for name in c.members}
    got, events = rolling(c, "--with", by_kill(c), "--endpoints", c.members["m1"]["endpoint"])  # one address is enough
    equal(got.returncode, 0, f"exit code: {got.stdout}{got.stderr}")
    equal(sorted(name for name, done in events if done == "restarted"), ["m1", "m2", "m3"], "restarted")
    last = events[-1][0]
    equal(events[-2:], [(last, "handed over"), (last, "restarted")], f"the leader last: {events}")
    equal([name for name in c.members if c.pid(name) == before[name]], [], "those that are the same process")
    equal(c.status()[0], 0, "all are well")
    end.touch()
    out, err = holder.communicate(timeout=PATIENCE_S)
    equal((holder.returncode, out), (0, "held\n"), f"the lock: {err}")


def space_given_back(w):
    """defrag does it to one member after the other, the leader last, when it has handed over; twice is not worth it"""
    c = Cluster(w).well()
    for n in range(3):
        c.tenure("put", f"k{n}", input="v" * 900000, check=True)
        c.tenure("del", f"k{n}", check=True)
    revision = json.loads(c.tenure("get", "none", "-o", "json", check=True).stdout)["revision"]
    c.tenure("compact", str(revision), check=True)
    before = {name: c.pid(name) for name in c.members}
    got = c.tenure("cluster", "defrag", "--always", "-o", "jsonl", timeout=PATIENCE_S * 6)
    equal(got.returncode, 0, f"exit code: {got.stdout}{got.stderr}")
    events = [json.loads(line) for line in got.stdout.splitlines()]
    done = [e for e in events if e["done"] == "defragmented"]
    equal(sorted(e["name"] for e in done), ["m1", "m2", "m3"], f"each once: {events}")
    equal([e["done"] for e in events][-2:], ["handed over", "defragmented"], f"the leader last: {events}")
    true(all(e["db_size"] <= e["db_size_before"] for e in done), f"none grew: {done}")
    equal({name: c.pid(name) for name in c.members}, before, "nobody was restarted")
    again = c.tenure("cluster", "defrag", check=True).stdout.splitlines()
    equal(sorted(line.split(":")[0] for line in again), ["left alone m1", "left alone m2", "left alone m3"], "nothing is to be had")
    equal(c.status()[0], 0, "all are well")


def what_goes_wrong(w):
    """a command that fails, or restarts nothing, ends it at the first member; one that is missing is not added to"""
    c = Cluster(w).well()
    before = {name: c.pid(name) for name in c.members}
    short = ("--timeout", "2s")  # on a loaded machine it is over before the command runs: then that is said
    for command, args, words in (("exit 3", (), "ended with code 3: stopped here"), ("true", short, "stopped here"), ("sleep 60", short, "stopped here")):
        got, events = rolling(c, "--with", command, *args)
        true(got.returncode == 1 and words in got.stderr and events == [], f"{command}: {got.returncode} {events} {got.stderr}")
    got = c.tenure("cluster", "rolling-restart")
    true(got.returncode == 2 and "expected --with COMMAND" in got.stderr, got.stderr)
    stop(c.pid("m2"))
    got, events = rolling(c, "--with", by_kill(c), "--call-timeout", "2s", "--endpoints", c.members["m1"]["endpoint"])
    true(got.returncode == 1 and "m2: " in got.stderr and "nothing was done" in got.stderr and events == [], f"{events} {got.stderr}")
    os.kill(c.pid("m2"), signal.SIGCONT)
    equal({name: c.pid(name) for name in c.members}, before, "the same processes")


def one_alone(w):
    """a cluster that stands still while its only member restarts is asked for twice"""
    c = Cluster(w, "--members", "1", folder="one").well()
    got, events = rolling(c, "--with", by_kill(c))
    true(got.returncode == 1 and "losing their majority" in got.stderr and events == [], got.stderr)
    before = c.pid("m1")
    got, events = rolling(c, "--with", by_kill(c), "--force")
    equal((got.returncode, events), (0, [("m1", "restarted")]), f"forced: {got.stderr}")
    true(c.pid("m1") not in (None, before), "another process")


def words_of_a_command(w):
    """{name}, {host}, {id} and {endpoint} stand for the member; what the command prints does not mix with what is told"""
    c = Cluster(w, "--members", "1", folder="one").well()
    got, _ = rolling(c, "--force", "--with", "echo '<'{name} {host} {id} {endpoint} {other}'>'; exit 1")
    status = c.status()[1]["m1"]
    equal(f"<m1 127.0.0.1 {status['member']} {status['endpoint']} {{other}}>" in got.stderr, True, got.stderr)


def another_version(w):
    """what has to hold is looked at before anything is done; a member that comes back with another version than the wanted one ends it"""
    c = Cluster(w).well()
    before = {name: c.pid(name) for name in c.members}
    upgrade = lambda *args: c.tenure("cluster", "upgrade", *args, timeout=PATIENCE_S * 6)
    own = next(iter(c.status()[1].values()))["version"]
    major, minor = map(int, own.split(".")[:2])
    for args, code, words in ((("--to", f"{major}.{minor + 2}"), 1, "one minor version at a time"), (("--to", f"{major}.{minor - 1}"), 1, "this goes forward only"),
                              (("--to", "latest"), 2, "expected a version"), ((), 2, "expected --data-dir DIR and --etcd FILE"),
                              (("--to", f"{major}.{minor + 1}", "--with", "true"), 2, "expected --backup FILE"),
                              (("--to", f"{major}.{minor + 1}", "--with", "true", "--backup", "/dev/null"), 1, "--backup /dev/null"),
                              (("--data-dir", str(c.folder), "--etcd", "/bin/true"), 1, "it is no etcd"),
                              (("--data-dir", w.path("nowhere"), "--etcd", "etcd"), 2, "No such file")):
        got = upgrade(*args)
        true(got.returncode == code and words in got.stderr, f"{args}: {got.returncode} {got.stdout}{got.stderr}")
    got = upgrade("--to", f"{major}.{minor}")
    equal((got.returncode, got.stdout), (0, f"all 3 members run {major}.{minor}\n"), f"nothing to do: {got.stderr}")
    got = upgrade("--to", f"{major}.{minor + 1}")
    true(got.returncode == 0 and f"3 of 3 members are to become {major}.{minor + 1}" in got.stdout, f"the steps: {got.stdout}{got.stderr}")
    equal({name: c.pid(name) for name in c.members}, before, "the same processes")
    other = Path(w.path("other-etcd"))
    other.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: {major}.{minor + 1}.9" && exit\nexec etcd "$@"\n')
    other.chmod(0o755)
    got = upgrade("--data-dir", str(c.folder), "--etcd", str(other), "--backup", w.path("before.db"))
    true(got.returncode == 1 and f"is back and runs {own}, not {major}.{minor + 1}.9: stopped here" in got.stderr, f"{got.stdout}{got.stderr}")
    equal(len([name for name in c.members if c.pid(name) != before[name]]), 1, "members that were restarted")
    w.run([TENURE, "snapshot", "status", w.path("before.db")], check=True)


def one_at_a_time(w):
    """while one changes the cluster every other change is refused, and says who; nothing is left of it behind its end"""
    c = Cluster(w).well()
    env = w.environment(TENURE_ENDPOINTS=c.endpoints)
    first = w.start("cluster", "rolling-restart", "--timeout", "60s", "--with", f"echo {{name}} >> {w.path('asked')}; until [ -e {w.path('end')} ]; do sleep 0.05; done; exit 3",
                    env=env)
    asked = lambda: read(w.path("asked")).split() if Path(w.path("asked")).exists() else []
    await_(asked, "it is under way")
    before = {name: c.pid(name) for name in c.members}
    for words in (("rolling-restart", "--with", f"touch {w.path('second')}"), ("upgrade", "--to", "3.9", "--force", "--with", f"touch {w.path('second')}"),
                  ("drill", "--yes", "--data-dir", str(c.folder)), ("defrag", "--always"), ("remove", "m1"), ("promote", "m1"),
                  ("replace", "m2", "--name", "m4", "--peer-urls", "http://127.0.0.1:1"), ("add", "--name", "m4", "--peer-urls", "http://127.0.0.1:1")):
        got = c.tenure("cluster", *words)
        true(got.returncode == 1 and f"is under way: cluster rolling-restart, process {first.pid} on " in got.stderr, f"{words}: {got.returncode} {got.stdout}{got.stderr}")
    equal((Path(w.path("second")).exists(), len(asked()), len(c.status()[1])), (False, 1, 3), "what the others did")
    equal({name: c.pid(name) for name in c.members}, before, "their processes")
    Path(w.path("end")).touch()
    true(first.wait(timeout=PATIENCE_S) == 1, "the first one has ended")
    true("rolling-restart" not in c.tenure("lock", "--list", "tenure-cluster", check=True).stdout, "nobody holds it any more")
    got, events = rolling(c, "--with", "exit 4")
    true(got.returncode == 1 and "ended with code 4" in got.stderr, f"the next one: {got.stderr}")


main([all_of_them, space_given_back, one_at_a_time, another_version, what_goes_wrong, one_alone, words_of_a_command])
