#!/usr/bin/env python3
"""Snapshots between `tenure serve` and Debian's etcd: what one has, the other has."""

import json
import threading

from harness import *


def fill(w):
    """A history with all that a snapshot has to carry; answers the lease."""
    for i in range(30):
        w.etcdctl("put", f"k{i % 7}", f"v{i}", check=True)
    w.etcdctl("del", "k3", check=True)
    lease = w.etcdctl("lease", "grant", "600", check=True).stdout.split()[1]
    w.etcdctl("put", "--lease", lease, "leased", "x" * 10000, check=True)
    w.etcdctl("compact", "12", check=True)
    w.etcdctl("put", "k0", "last", check=True)
    return lease


def everything(w, url, lease):
    """What a server answers about it."""
    env = w.environment(ETCDCTL_ENDPOINTS=url)
    ask = lambda *args: w.run(["etcdctl", *args], env=env).stdout
    whole = json.loads(ask("get", "", "--prefix", "-w", "json"))
    revision = whole["header"]["revision"]
    past = [ask("get", "", "--prefix", f"--rev={r}", "-w", "json") for r in range(12, revision + 1)]
    return {
        "revision": revision,
        "now": whole["kvs"],
        "past": [json.loads(p).get("kvs") for p in past],
        "lease": "leased" in ask("lease", "timetolive", lease, "--keys"),
        "leases": ask("lease", "list").splitlines()[1:],
    }


def status_of(w, path):
    return json.loads(w.etcdctl("snapshot", "status", path, "-w", "json", check=True).stdout)


def etcd_takes_ours(w):
    """etcd starts from our snapshot with every revision and lease"""
    if not shutil.which("etcd"):
        raise Skip("there is no etcd on this machine")
    lease = fill(w)
    ours = everything(w, w.server.url, lease)
    w.etcdctl("snapshot", "save", w.path("s.db"), check=True)
    equal(status_of(w, w.path("s.db"))["revision"], ours["revision"])
    other = Server("etcd", w.folder / "etcd")
    w.etcdctl("snapshot", "restore", w.path("s.db"), "--data-dir", str(other.folder / "data"), check=True)
    try:
        other.start()
        equal(everything(w, other.url, lease), ours)
    finally:
        other.end()


def consistent_under_writes(w):
    """a snapshot under writes is one revision, whole"""
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            w.etcdctl("txn", input=f"\nput a {n}\nput b {n}\n\n\n")
            n += 1

    w.server
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for i in range(3):
            await_(lambda: w.etcdctl("get", "a").stdout, "a write")
            w.etcdctl("snapshot", "save", w.path(f"s{i}.db"), check=True)
    finally:
        stop.set()
        writer.join()
    for i in range(3):
        status = status_of(w, w.path(f"s{i}.db"))
        true(status["revision"] >= 2, "it has a revision")
    equal([f for f in os.listdir(w.server.folder / "data") if "snapshot" in f], [])


def start_restored(w, name, *options):
    """`tenure serve` on a directory that a restore made at w/NAME/data."""
    server = Server("tenure", w.folder / name, *options)
    return server.start()


def we_take_etcds(w):
    """`tenure serve` starts from etcd's snapshot with every revision and lease"""
    if not shutil.which("etcd"):
        raise Skip("there is no etcd on this machine")
    w.server_kind = "etcd"
    lease = fill(w)
    theirs = everything(w, w.server.url, lease)
    w.tenure("snapshot", "save", w.path("s.db"), check=True)
    data = w.folder / "ours" / "data"
    data.parent.mkdir()
    w.tenure("snapshot", "restore", w.path("s.db"), "--data-dir", str(data), "--keep-revisions", check=True)
    ours = start_restored(w, "ours")
    try:
        equal(everything(w, ours.url, lease), theirs)
        # And the file as it lies in etcd's directory, which has no checksum.
        w.server.stop()
        raw = str(w.server.folder / "data" / "member" / "snap" / "db")
        other = w.folder / "raw" / "data"
        other.parent.mkdir()
        r = w.tenure("snapshot", "restore", raw, "--data-dir", str(other), "--keep-revisions")
        equal(r.returncode, 1)
        true("--skip-hash-check" in r.stderr, r.stderr)
        w.tenure("snapshot", "restore", raw, "--data-dir", str(other), "--keep-revisions", "--skip-hash-check", check=True)
        again = start_restored(w, "raw")
        try:
            equal(everything(w, again.url, lease), theirs)
        finally:
            again.end()
    finally:
        ours.end()


def tokens_grow(w):
    """after a restore from an older backup every fencing token is greater than any given out since"""
    w.tenure("put", "a", "1", check=True)
    w.tenure("snapshot", "save", w.path("s.db"), check=True)
    for i in range(5):
        w.tenure("put", "a", f"later {i}", check=True)
    newest = json.loads(w.etcdctl("get", "a", "-w", "json").stdout)["header"]["revision"]
    data = w.folder / "restored" / "data"
    data.parent.mkdir()
    w.tenure("snapshot", "restore", w.path("s.db"), "--data-dir", str(data), check=True)
    restored = start_restored(w, "restored")
    try:
        env = w.environment(ETCDCTL_ENDPOINTS=restored.url)
        w.run(["etcdctl", "put", "lock", "x"], env=env, check=True)
        got = json.loads(w.run(["etcdctl", "get", "lock", "-w", "json"], env=env).stdout)
        true(got["kvs"][0]["create_revision"] > newest + (1 << 39), "the token is far ahead")
        old = w.run(["etcdctl", "watch", "a", "--rev", str(newest)], env=env, timeout=20)
        true("compacted" in old.stderr + old.stdout, "a watcher of before has to begin anew")
        restored.stop()
        restored.start()  # the log of it is sound
        got = w.run(["etcdctl", "get", "a", "--print-value-only"], env=env).stdout
        equal(got, "1\n")
    finally:
        restored.end()


def refusals(w):
    """what is damaged, cut, in use or not new is refused, and nothing is left behind"""
    w.tenure("put", "a", "1", check=True)
    w.tenure("snapshot", "save", w.path("s.db"), check=True)
    whole = Path(w.path("s.db")).read_bytes()

    def refused(data, *words):
        Path(w.path("bad.db")).write_bytes(data)
        r = w.tenure("snapshot", "restore", w.path("bad.db"), "--data-dir", w.path("new"), *words)
        equal(r.returncode, 1, r.stdout + r.stderr)
        equal([f for f in os.listdir(w.folder) if f.startswith("new")], [])

    flipped = bytearray(whole)
    flipped[-100] ^= 1
    refused(bytes(flipped))
    refused(whole[:4096] + whole[8192:])
    refused(whole[:-32])
    refused(whole[:8192], "--skip-hash-check")
    refused(b"", "--skip-hash-check")
    equal(w.tenure("snapshot", "restore", w.path("nothing.db"), "--data-dir", w.path("new")).returncode, 2)
    os.makedirs(w.path("old/inside"))
    equal(w.tenure("snapshot", "restore", w.path("s.db"), "--data-dir", w.path("old")).returncode, 1)
    equal(w.tenure("snapshot", "restore", w.path("s.db"), "--data-dir", w.path("x"), "--bump-revision", "5").returncode, 2)
    running = str(w.server.folder / "data")
    r = w.tenure("snapshot", "save", "--data-dir", running, w.path("t.db"))
    true("in use" in r.stderr, r.stderr)
    equal([f for f in os.listdir(w.folder) if f.startswith("t.db")], [])
    os.mkfifo(w.path("fifo"))
    os.symlink("fifo", w.path("link"))
    for name in ("fifo", "link", "old"):
        r = w.tenure("snapshot", "save", w.path(name))
        equal(r.returncode, 1, r.stderr)
        true("not a regular file" in r.stderr and not os.path.exists(w.path(name + ".part")), r.stderr)
    true(os.path.islink(w.path("link")) and not os.path.isfile(w.path("fifo")), "they stay what they are")
    shutil.rmtree(w.path("old"))


def sealed(w):
    """a sealed directory is refused and names the successor, and its data goes on elsewhere"""
    w.tenure("put", "a", "1", check=True)
    w.server.stop()
    data = str(w.server.folder / "data")
    w.tenure("migrate", "--seal", data, "--successor", "http://10.0.0.9:2379", check=True)
    r = w.tenure("serve", "--data-dir", data, "--listen-client-urls", "http://127.0.0.1:0")
    equal(r.returncode, 1)
    true("sealed" in r.stderr and "http://10.0.0.9:2379" in r.stderr, r.stderr)
    w.tenure("snapshot", "save", "--data-dir", data, w.path("s.db"), check=True)
    status = json.loads(w.tenure("snapshot", "status", w.path("s.db"), "-o", "json", check=True).stdout)
    equal((status["revision"], status["totalKey"]), (2, 1))
    r = w.tenure("snapshot", "status", w.path("s.db"), "-o", "table", check=True)
    true(r.stdout.startswith("HASH ") and "  TOTAL KEYS  " in r.stdout, r.stdout)


main([etcd_takes_ours, consistent_under_writes, we_take_etcds, tokens_grow, refusals, sealed])
