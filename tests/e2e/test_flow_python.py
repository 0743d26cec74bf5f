#!/usr/bin/env python3
"""Debian's python3-etcd3 on the server: each of its calls that one machine can answer. Runs on `tenure serve` and on etcd."""

import os
import sys

try:
    import etcd3
except ImportError:  # this Python may not be Debian's
    debian = "/usr/bin/python3"
    if os.path.realpath(sys.executable) != os.path.realpath(debian) and os.path.exists(debian):
        os.execv(debian, [debian, *sys.argv])
    etcd3 = None

import queue
import threading

import flow
from harness import *


def client(w):
    if etcd3 is None:
        raise Skip("there is no python3-etcd3 on this machine")
    if not w._server:
        w._server = flow.start(w, w.server_kind)
    c = flow.certificates(w) if flow.MODE != "plain" else None
    more = {"plain": {}, "tls": {"ca_cert": f"{c}/ca.pem"},
            "mtls": {"ca_cert": f"{c}/ca.pem", "cert_cert": f"{c}/alice.pem", "cert_key": f"{c}/alice.key"},
            "auth": {"ca_cert": f"{c}/ca.pem", "user": "root", "password": flow.PASSWORD}}[flow.MODE]
    return etcd3.client(host="127.0.0.1", port=w.server.port, timeout=PATIENCE_S, **more)


def keys(w):
    """keys are put, read in each way, replaced and deleted"""
    c = client(w)
    equal(c.get("a"), (None, None))
    c.put("a", "1")
    c.put("ab", "2")
    c.put("b", "3")
    value, meta = c.get("a")
    equal((value, meta.key, meta.version, meta.create_revision, meta.mod_revision), (b"1", b"a", 1, 2, 2))
    equal([(v, m.key) for v, m in c.get_prefix("a")], [(b"1", b"a"), (b"2", b"ab")])
    equal([v for v, _ in c.get_prefix("a", sort_order="descend")], [b"2", b"1"])
    equal([v for v, _ in c.get_range("a", "b")], [b"1", b"2"])
    equal(len(list(c.get_all())), 3)
    equal(c.put_if_not_exists("a", "9"), False)
    equal(c.put_if_not_exists("c", "4"), True)
    equal(c.replace("a", "1", "10"), True)
    equal(c.replace("a", "1", "11"), False)
    equal(c.put("a", "12", prev_kv=True).prev_kv.value, b"10")
    equal(c.delete("a"), True)
    equal(c.delete("a"), False)
    equal([c.delete_prefix(p).deleted for p in "abc"], [1, 1, 1])
    equal(list(c.get_all()), [])


def transactions(w):
    """a transaction takes the branch that its compares choose"""
    c = client(w)
    c.put("a", "1")
    t = c.transactions
    done, answers = c.transaction(
        compare=[t.value("a") == "1", t.version("a") > 0, t.create("a") < 99, t.mod("nobody") == 0],
        success=[t.put("a", "2"), t.get("a")], failure=[t.delete("a")])
    equal(done, True)
    equal(answers[1][0][0], b"2")
    done, answers = c.transaction(compare=[t.value("a") == "1"], success=[t.put("a", "3")],
                                  failure=[t.delete("a"), t.get("a")])
    equal((done, answers[1]), (False, []))
    nested = t.txn(compare=[t.version("b") == 0], success=[t.put("b", "in")], failure=[])
    equal(c.transaction(compare=[], success=[nested, t.get("b")], failure=[])[0], True)
    equal(c.get("b")[0], b"in")


def leases(w):
    """a lease holds its keys, is told about, renewed and revoked"""
    c = client(w)
    lease = c.lease(60)
    equal((lease.ttl, lease.granted_ttl), (60, 60))
    c.put("a", "1", lease=lease)
    c.put("b", "2", lease=lease)
    info = c.get_lease_info(lease.id)
    equal((info.grantedTTL, sorted(lease.keys)), (60, [b"a", b"b"]))
    true(0 < lease.remaining_ttl <= 60, lease.remaining_ttl)
    equal([r.TTL for r in lease.refresh()], [60])
    chosen = c.lease(100, lease_id=4711)
    equal(chosen.id, 4711)
    lease.revoke()
    equal(list(c.get_all()), [])
    equal(c.get_lease_info(lease.id).TTL, -1)
    chosen.revoke()


def watches(w):
    """watches see what happens, by iterator, by callback, from the past, until they are cancelled"""
    c = client(w)
    c.put("k1", "old")
    events, cancel = c.watch_prefix("k", start_revision=2, prev_kv=True)
    seen = queue.Queue()
    c.add_watch_callback("k2", seen.put)
    c.put("k1", "new")
    c.put("k2", "x")
    c.delete("k1")
    got = [next(events) for _ in range(4)]
    equal([(type(e).__name__, e.key, e.value, e.prev_value) for e in got],
          [("PutEvent", b"k1", b"old", b""), ("PutEvent", b"k1", b"new", b"old"), ("PutEvent", b"k2", b"x", b""),
           ("DeleteEvent", b"k1", b"", b"new")])
    equal([e.value for e in seen.get(timeout=PATIENCE_S).events], [b"x"])
    cancel()
    equal(list(events), [])
    timer = threading.Timer(0.1, c.put, ("once", "there"))
    timer.start()
    equal(c.watch_once("once", timeout=int(PATIENCE_S)).value, b"there")


def a_compacted_watch(w):
    """a watch of what is compacted is told from where on there is history"""
    c = client(w)
    for i in range(5):
        c.put("a", str(i))
    c.compact(4, physical=True)
    got = queue.Queue()
    c.add_watch_callback("a", got.put, start_revision=2)
    end = got.get(timeout=PATIENCE_S)
    equal((type(end).__name__, end.compacted_revision), ("RevisionCompactedError", 4))


def locks(w):
    """a lock is held by one at a time and falls free when its lease ends"""
    first, second = client(w), client(w)
    lock = first.lock("l", ttl=60)
    equal(lock.acquire(), True)
    true(lock.is_acquired(), "it is held")
    other = second.lock("l", ttl=60)
    equal(other.is_acquired(), False)  # its acquire does not run with Debian's tenacity while it has to wait
    equal(lock.release(), True)
    equal(other.acquire(), True)
    equal((lock.is_acquired(), other.is_acquired()), (False, True))
    other.lease.revoke()
    equal(lock.acquire(), True)


def the_server(w):
    """the server tells its state and its one member"""
    c = client(w)
    c.put("a", "1")
    status = c.status()
    true(status.version and status.db_size > 0 and status.raft_index > 0, "status")
    members = list(c.members)
    equal(len(members), 1)
    equal((members[0].name, list(members[0].client_urls)), ("default", [w.server.url]))
    equal(status.leader.id, members[0].id)


main([keys, transactions, leases, watches, a_compacted_watch, locks, the_server])
