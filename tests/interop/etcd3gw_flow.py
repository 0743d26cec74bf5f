#!/usr/bin/env python3
"""PyPI's etcd3gw, which OpenStack uses, by the HTTP gateway: each of its calls sees the same on `tenure serve` and on etcd.

    etcd3gw_flow.py PACKAGES     the folder that pip put them in
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "e2e"), sys.argv.pop(1)]

import threading

import etcd3gw
from etcd3gw.exceptions import Etcd3Exception

from harness import *


def client(server):
    return etcd3gw.client(host="127.0.0.1", port=server.port, api_path="/v3/", timeout=int(PATIENCE_S))


def keys(c):
    yield c.put("a", "1")
    yield c.put("ab", "2")
    yield c.get("a"), c.get("nobody")
    yield [(v, m["key"], m["mod_revision"], m["version"]) for v, m in c.get("a", metadata=True)]
    yield [(v, m["key"]) for v, m in c.get_prefix("a")]
    yield [v for v, _ in c.get_prefix("a", sort_order="descend")]
    yield c.create("a", "9"), c.create("c", "3")
    yield c.replace("a", "1", "5"), c.replace("a", "1", "6")
    yield c.delete("a"), c.delete("a"), c.delete_prefix("a"), c.delete_prefix("c")
    yield c.get_all()


def transactions(c):
    b = etcd3gw.utils._encode
    yield c.transaction({
        "compare": [{"key": b("t"), "result": "EQUAL", "target": "VERSION", "version": 0}],
        "success": [{"request_put": {"key": b("t"), "value": b("1")}}],
        "failure": [{"request_range": {"key": b("t")}}]})["succeeded"]
    try:
        c.transaction({"compare": [{"key": "?"}]})
    except Etcd3Exception as e:
        yield type(e).__name__


def leases(c):
    lease = c.lease(ttl=60)
    yield c.put("l", "1", lease)
    yield lease.ttl() in (59, 60), lease.keys(), lease.refresh()
    yield lease.revoke(), c.get("l")
    yield lease.ttl()


def watches(c):
    events, cancel = c.watch_prefix("w")
    timer = threading.Timer(0.2, lambda: (c.put("w1", "1"), c.put("w2", "2"), c.delete("w1")))
    timer.start()
    got = [next(events) for _ in range(3)]
    cancel()
    yield [(e.get("type", "PUT"), e["kv"]["key"], e["kv"].get("value")) for e in got]
    threading.Timer(0.2, c.put, ("once", "there")).start()
    yield c.watch_once("once", timeout=int(PATIENCE_S))["kv"]["value"]


def locks(c):
    lock = c.lock("name", ttl=30)
    yield lock.acquire(), lock.is_acquired()
    yield c.lock("name", ttl=30).acquire()
    yield lock.refresh(), lock.release(), lock.is_acquired()
    with c.lock("other", ttl=30) as held:
        yield held.is_acquired()


def the_server(c):
    yield [m["name"] for m in c.members()]
    yield sorted(c.status().keys() - {"dbSizeInUse", "dbSizeQuota", "storageVersion", "downgradeInfo"})


def same(part):
    def test(w):
        servers = [Server(kind, w.folder / kind).start() for kind in ("tenure", "etcd")]
        try:
            ours, theirs = ([repr(seen) for seen in part(client(s))] for s in servers)
            for a, b in zip(ours, theirs):
                equal(a, b, "what etcd3gw saw")
            equal(len(ours), len(theirs))
        finally:
            for s in servers:
                s.end()
    test.__name__ = part.__name__
    test.__doc__ = f"etcd3gw sees the same: {part.__name__.replace('_', ' ')}"
    return test


main([same(p) for p in (keys, transactions, leases, watches, locks, the_server)])
