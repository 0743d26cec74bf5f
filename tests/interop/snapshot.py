#!/usr/bin/env python3
"""Moving between `tenure serve` and current etcd by snapshots: revisions, HashKV, leases, users and roles on both sides.

    snapshot.py --built DIR [NAME…]     DIR has what scripts/interop builds
"""

from etcds import *


def fill(w, url):
    """A history with all that a snapshot has to carry."""
    for i in range(40):
        ctl(w, url, "put", f"k{i % 9}", f"v{i}")
    ctl(w, url, "del", "k3")
    ctl(w, url, "txn", input='\nput t1 a\nput t2 b\ndel k4\n\n\n')
    for ttl in ("600", "900"):
        lease = ctl(w, url, "lease", "grant", ttl).split()[1]
        ctl(w, url, "put", "--lease", lease, f"leased{ttl}", "x" * 20000)
    ctl(w, url, "compact", "20")
    ctl(w, url, "put", "k0", "last")
    ctl(w, url, "role", "add", "reader")
    ctl(w, url, "role", "grant-permission", "reader", "--prefix=true", "read", "k")
    for role, name in (("root", "root:rootpw"), ("reader", "alice:alicepw")):
        ctl(w, url, "user", "add", name)
        ctl(w, url, "user", "grant-role", name.split(":")[0], role)
    ctl(w, url, "user", "add", "bob", "--no-password")
    ctl(w, url, "auth", "enable")


ROOT_USER = "root:rootpw"


def everything(w, url):
    ask = lambda *words: ctl(w, url, *words, user=ROOT_USER)
    whole = json.loads(ask("get", "", "--prefix", "-w", "json"))
    revision = whole["header"]["revision"]
    past = {r: json.loads(ask("get", "", "--prefix", f"--rev={r}", "-w", "json")).get("kvs") for r in range(20, revision + 1, 4)}
    hashes = {r: hashkv(w, url, r) for r in (21, 33, revision)}  # at 20 etcd answers what it kept of the compaction
    leases = sorted(ask("lease", "list").splitlines()[1:])
    return {
        "revision": revision,
        "now": whole["kvs"],
        "past": past,
        "hashes": hashes,
        "leases": {l: ask("lease", "timetolive", l, "--keys").split("granted with TTL(")[1].split(")")[0] for l in leases},
        "attached": {l: ask("lease", "timetolive", l, "--keys").split("attached keys")[1] for l in leases},
        "users": ask("user", "list"),
        "alice": ask("user", "get", "alice", "--detail"),
        "roles": [ask("role", "get", r) for r in ask("role", "list").split()],
        "hers": ctl(w, url, "get", "k0", user="alice:alicepw"),
    }


def hashkv(w, url, revision):
    r = json.loads(ctl(w, url, "endpoint", "hashkv", f"--rev={revision}", "-w", "json", user=ROOT_USER))[0]["HashKV"]
    return r["hash"], r.get("compact_revision", -1)


def to_etcd(w, path, name):
    data = w.folder / name / "data"
    data.parent.mkdir()
    w.run([UTL, "snapshot", "restore", path, "--data-dir", str(data)], check=True)
    return Current("etcd", w.folder / name).start()


def save(w, url, path):
    ctl(w, url, "snapshot", "save", path, user=ROOT_USER)
    status = same_status(w, path)
    shutil.copy(path, path + ".hash")  # etcdutl opens it to write
    file = json.loads(w.run([UTL, "hashkv", path + ".hash", "-w", "json"], check=True).stdout)
    equal((file["hash"], file["hashRevision"]), (hashkv(w, url, status["revision"])[0], status["revision"]), "etcdutl hashkv")
    return status


def out_and_back(w):
    """from tenure serve into etcd and back: every revision, hash, lease, user and role stays"""
    fill(w, w.server.url)
    first = everything(w, w.server.url)
    save(w, w.server.url, w.path("a.db"))
    etcd = to_etcd(w, w.path("a.db"), "etcd")
    try:
        same(everything(w, etcd.url), first)
        ctl(w, etcd.url, "put", "k1", "in etcd", user=ROOT_USER)
        second = everything(w, etcd.url)
        save(w, etcd.url, w.path("b.db"))
    finally:
        etcd.end()
    back = to_tenure(w, w.path("b.db"), "back", "--keep-revisions")
    try:
        same(everything(w, back.url), second)
        back.stop()
        back.start()
        same(everything(w, back.url), second)
    finally:
        back.end()


def in_from_etcd(w):
    """from etcd into tenure serve: every revision, hash, lease, user and role stays"""
    etcd = Current("etcd", w.folder / "etcd").start()
    try:
        fill(w, etcd.url)
        first = everything(w, etcd.url)
        w.tenure("--endpoints", etcd.url, "--user", ROOT_USER, "snapshot", "save", w.path("a.db"), check=True)
        same_status(w, w.path("a.db"))
    finally:
        etcd.end()
    ours = to_tenure(w, w.path("a.db"), "ours", "--keep-revisions")
    try:
        same(everything(w, ours.url), first)
    finally:
        ours.end()


def bumped_both_ways(w):
    """revisions that were bumped by either side are taken by the other"""
    url = w.server.url
    for i in range(10):
        ctl(w, url, "put", "a", str(i))
    ctl(w, url, "snapshot", "save", w.path("a.db"))
    data = w.folder / "etcd" / "data"
    data.parent.mkdir()
    w.run([UTL, "snapshot", "restore", w.path("a.db"), "--data-dir", str(data), "--bump-revision", "1000000000",
           "--mark-compacted"], check=True)
    etcd = Current("etcd", w.folder / "etcd").start()
    try:
        ctl(w, etcd.url, "put", "b", "in etcd")
        revision = json.loads(ctl(w, etcd.url, "get", "b", "-w", "json"))["header"]["revision"]
        ctl(w, etcd.url, "snapshot", "save", w.path("b.db"))
    finally:
        etcd.end()
    same_status(w, w.path("b.db"))
    ours = to_tenure(w, w.path("b.db"), "ours")
    try:
        ctl(w, ours.url, "put", "c", "in ours")
        got = json.loads(ctl(w, ours.url, "get", "", "--prefix", "-w", "json"))
        equal(got["header"]["revision"], revision + (1 << 40) + 1)
        ctl(w, ours.url, "snapshot", "save", w.path("c.db"))
    finally:
        ours.end()
    same_status(w, w.path("c.db"))
    again = to_etcd(w, w.path("c.db"), "again")
    try:
        equal(json.loads(ctl(w, again.url, "get", "", "--prefix", "-w", "json"))["kvs"], got["kvs"])
        equal(json.loads(ctl(w, again.url, "get", "a", "-w", "json"))["header"]["revision"], got["header"]["revision"])
    finally:
        again.end()


if __name__ == "__main__":
    main([out_and_back, in_from_etcd, bumped_both_ways])
