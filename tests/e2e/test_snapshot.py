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


main([etcd_takes_ours, consistent_under_writes])
