#!/usr/bin/env python3
"""etcdctl 3.4 on the server: every command of the services that exist. Runs on `tenure serve` and on etcd alike."""

import json
import signal

from harness import *


def out(result):
    return result.stdout.strip()


def put_get_del(w):
    """keys are put, read by prefix and at a revision, and deleted"""
    w.etcdctl("put", "a", "1", check=True)
    w.etcdctl("put", "ab", "2", check=True)
    equal(out(w.etcdctl("put", "--prev-kv", "a", "3")), "OK\na\n1")
    equal(out(w.etcdctl("get", "a", "--prefix")), "a\n3\nab\n2")
    equal(out(w.etcdctl("get", "a", "--prefix", "--keys-only", "--order=DESCEND")), "ab\n\na")
    equal(out(w.etcdctl("get", "a", "--rev=2", "--print-value-only")), "1")
    equal(out(w.etcdctl("get", "--from-key", "ab", "--limit=1")), "ab\n2")
    equal(out(w.etcdctl("del", "a", "--prefix", "--prev-kv")), "2\na\n3\nab\n2")
    equal(out(w.etcdctl("get", "a", "--prefix")), "")


def errors(w):
    """errors come with etcd's texts"""
    r = w.etcdctl("get", "a", "--rev=99")
    true("etcdserver: mvcc: required revision is a future revision" in r.stderr, r.stderr)
    r = w.etcdctl("put", "a", "1", "--lease=123")
    true("etcdserver: requested lease not found" in r.stderr, r.stderr)


def txn(w):
    """a transaction takes the branch that its compares choose"""
    w.etcdctl("put", "a", "1", check=True)
    script = 'value("a") = "1"\n\nput a 2\nget a\n\nput a 3\n\n'
    equal(out(w.etcdctl("txn", input=script)), "SUCCESS\n\nOK\n\na\n2")
    equal(out(w.etcdctl("txn", input=script)), "FAILURE\n\nOK")
    equal(out(w.etcdctl("get", "a", "--print-value-only")), "3")
    script = 'mod("b") = "0"\ncreate("b") = "0"\n\nput b 1\n\nget b\n\n'
    equal(out(w.etcdctl("txn", input=script)), "SUCCESS\n\nOK")
    equal(out(w.etcdctl("txn", input=script)), "FAILURE\n\nb\n1")


def started_watch(w, *args):
    """A watch whose server knows it: its first event is a put of ours."""
    log = open(w.path("watch.log"), "wb")
    p = w.start("watch", *args, program="etcdctl", stdout=log, stderr=log)
    log.close()

    def seen():
        w.etcdctl("put", "start", "now")
        return "start\nnow" in read(w.path("watch.log"))

    await_(seen, "the watch is there")
    return p


def watch(w):
    """a watch sees puts and deletes in order, with the values before"""
    started_watch(w, "a", "z", "--prev-kv")
    w.etcdctl("put", "k", "1", check=True)
    w.etcdctl("put", "k", "2", check=True)
    w.etcdctl("del", "k", check=True)
    wanted = "PUT\nk\n1\nPUT\nk\n1\nk\n2\nDELETE\nk\n2\n"
    got = await_(lambda: "".join(read(w.path("watch.log")).rpartition("PUT\nk\n1\nPUT")[1:]).replace("\n\n", "\n")
                 if "DELETE" in read(w.path("watch.log")) else "", "the delete")
    true(got.startswith(wanted[:20]) and "DELETE" in got, got)


def watch_history(w):
    """a watch from a past revision replays history; from a compacted one it is told so"""
    for i in range(5):
        w.etcdctl("put", "k", str(i), check=True)
    log = open(w.path("watch.log"), "wb")
    w.start("watch", "k", "--rev=3", program="etcdctl", stdout=log, stderr=log)
    log.close()
    await_(lambda: read(w.path("watch.log")) == "PUT\nk\n1\nPUT\nk\n2\nPUT\nk\n3\nPUT\nk\n4\n", "history from 3 on")
    w.etcdctl("compact", "5", check=True)
    r = w.etcdctl("watch", "k", "--rev=2")
    true("required revision has been compacted" in r.stderr, r.stderr)


def lease(w):
    """a lease is granted, listed, kept alive, and takes its keys along when revoked"""
    text = out(w.etcdctl("lease", "grant", "60", check=True))
    id = text.split()[1]
    equal(text, f"lease {id} granted with TTL(60s)")
    w.etcdctl("put", "a", "1", f"--lease={id}", check=True)
    true("attached keys([a])" in out(w.etcdctl("lease", "timetolive", id, "--keys")), "the key is attached")
    true(id in out(w.etcdctl("lease", "list")), "the lease is listed")
    equal(out(w.etcdctl("lease", "keep-alive", "--once", id)), f"lease {id} keepalived with TTL(60)")
    equal(out(w.etcdctl("lease", "revoke", id)), f"lease {id} revoked")
    equal(out(w.etcdctl("get", "a")), "")
    equal(out(w.etcdctl("lease", "timetolive", id)), f"lease {id} already expired")


def lease_expires(w):
    """a lease that nobody renews runs out and takes its keys along"""
    id = out(w.etcdctl("lease", "grant", "2", check=True)).split()[1]
    w.etcdctl("put", "a", "1", f"--lease={id}", check=True)
    await_(lambda: out(w.etcdctl("get", "a")) == "", "the key is gone")


def lock(w):
    """two locks of one name exclude each other; the second has it when the first ends"""
    first = w.start("lock", "l", program="etcdctl")
    true(first.stdout.readline().startswith("l/"), "the first has it")
    second = w.start("lock", "l", "echo", "mine", program="etcdctl")
    await_(lambda: w.etcdctl("get", "l/", "--prefix", "--keys-only").stdout.count("l/") == 2, "the second waits")
    true(second.poll() is None, "the second waits")
    first.send_signal(signal.SIGINT)
    equal(second.communicate(timeout=PATIENCE_S)[0].strip(), "mine")
    equal(second.returncode, 0)


def elect(w):
    """one of two candidates leads; the other takes over; an observer sees both"""
    first = w.start("elect", "e", "one", program="etcdctl")
    true(first.stdout.readline().startswith("e/"), "the first leads")
    equal(first.stdout.readline().strip(), "one")
    second = w.start("elect", "e", "two", program="etcdctl")
    await_(lambda: w.etcdctl("get", "e/", "--prefix", "--keys-only").stdout.count("e/") == 2, "the second waits")
    first.send_signal(signal.SIGINT)
    true(second.stdout.readline().startswith("e/"), "the second leads")
    equal(second.stdout.readline().strip(), "two")
    observer = w.start("elect", "--listen", "e", program="etcdctl")
    true(observer.stdout.readline().startswith("e/"), "the observer sees the leader's key")
    equal(observer.stdout.readline().strip(), "two")


def compaction(w):
    """compaction drops what is older, waits when physical, and refuses what is gone or not there yet"""
    for i in range(300):
        w.etcdctl("put", "k", str(i)) if i < 3 else None
    equal(out(w.etcdctl("compact", "--physical", "3")), "compacted revision 3")
    r = w.etcdctl("get", "k", "--rev=2")
    true("etcdserver: mvcc: required revision has been compacted" in r.stderr, r.stderr)
    r = w.etcdctl("compact", "3")
    true("required revision has been compacted" in r.stderr, r.stderr)
    r = w.etcdctl("compact", "99")
    true("required revision is a future revision" in r.stderr, r.stderr)


def endpoint(w):
    """endpoint status, endpoint health and member list answer"""
    w.etcdctl("put", "a", "1", check=True)
    status = json.loads(w.etcdctl("endpoint", "status", "-w", "json", check=True).stdout)[0]["Status"]
    equal(status["header"]["revision"], 2)
    equal(status["leader"], status["header"]["member_id"])
    true(status["raftIndex"] > 0 and status["raftTerm"] > 0, "raft numbers are there")
    r = w.etcdctl("endpoint", "health", check=True)
    true("is healthy" in r.stdout + r.stderr, r.stdout + r.stderr)
    members = json.loads(w.etcdctl("member", "list", "-w", "json", check=True).stdout)["members"]
    equal(len(members), 1)
    equal(members[0]["clientURLs"], [w.server.url])


def maintenance(w):
    """alarms are listed and disarmed, the file is defragmented, leadership stays, a downgrade is judged"""
    member = w.etcdctl("member", "list", check=True).stdout.split(",")[0]
    equal(out(w.etcdctl("alarm", "list", check=True)), "")
    for i in range(20):
        w.etcdctl("put", "k", "x" * 10000, check=True)
    w.etcdctl("compact", "--physical", "20", check=True)
    true("Finished defragmenting" in w.etcdctl("defrag", check=True).stdout, "defragmented")
    equal(out(w.etcdctl("get", "k", "--print-value-only")), "x" * 10000)
    r = w.etcdctl("move-leader", "1234")
    true("bad leader transferee" in r.stderr, r.stderr)
    r = w.etcdctl("member", "remove", "1234")
    true("member not found" in r.stderr, r.stderr)
    r = w.etcdctl("member", "promote", member)
    true("can only promote a learner member" in r.stderr, r.stderr)
    w.etcdctl("member", "update", member, "--peer-urls=http://127.0.0.1:12345", check=True)
    members = json.loads(w.etcdctl("member", "list", "-w", "json", check=True).stdout)["members"]
    equal(members[0]["peerURLs"], ["http://127.0.0.1:12345"])
    equal(out(w.etcdctl("alarm", "disarm", check=True)), "")


def quota(w):
    """past the quota puts are refused and an alarm stands, also over a restart, until it is disarmed"""
    w._server = Server(w.server_kind, w.folder / "server", "--quota-backend-bytes=300000").start()
    refused = None
    for i in range(60):
        refused = w.etcdctl("put", f"k{i}", "x" * 10000)
        if refused.returncode:
            break
    true("database space exceeded" in refused.stderr, refused.stderr)
    true("alarm:NOSPACE" in w.etcdctl("alarm", "list", check=True).stdout, "it stands")
    w.server.stop()
    w.server.start()
    true("alarm:NOSPACE" in w.etcdctl("alarm", "list", check=True).stdout, "it stands again")
    r = w.etcdctl("put", "a", "1")
    true("database space exceeded" in r.stderr, r.stderr)
    w.etcdctl("del", "k", "--prefix", check=True)
    status = json.loads(w.etcdctl("endpoint", "status", "-w", "json", check=True).stdout)[0]["Status"]
    w.etcdctl("compact", "--physical", str(status["header"]["revision"]), check=True)
    w.etcdctl("defrag", check=True)
    true("alarm:NOSPACE" in w.etcdctl("alarm", "disarm", check=True).stdout, "it is disarmed")
    w.etcdctl("put", "a", "1", check=True)


main([put_get_del, errors, txn, watch, watch_history, lease, lease_expires, lock, elect, compaction, endpoint,
      maintenance, quota])
