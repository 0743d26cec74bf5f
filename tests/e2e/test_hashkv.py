#!/usr/bin/env python3
"""HashKV of `tenure serve` and of Debian's etcd, driven by the same history: puts, deletes, transactions, leases that take
their keys along, keys that come again, compactions. What one answers, the other answers (KV6)."""

import base64
import http.client
import json
import random
import re

from harness import *

KEYS = [f"k{i}" for i in range(10)]


class Gateway:
    """One server by its JSON gateway, on one connection."""

    def __init__(self, server):
        self.server = server
        self.http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)

    def ask(self, path, body):
        self.http.request("POST", path, json.dumps(body))
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read())


def b64(text):
    return base64.b64encode(text.encode()).decode()


def put(rng, leases):
    op = {"key": b64(rng.choice(KEYS)), "value": b64("v" * rng.choice([0, 1, 5, 200]) + str(rng.randrange(99)))}
    if leases and rng.random() < 0.3:
        op["lease"] = str(rng.choice(leases))
    return op


def delete(rng):
    first = rng.choice(KEYS)
    return {"key": b64(first), **({"range_end": b64("k5")} if first < "k5" and rng.random() < 0.3 else {})}


def txn(rng, leases):
    """Some puts and deletes of different keys in one revision."""
    ops = []
    for key in rng.sample(KEYS, 3):
        if rng.random() < 0.6:
            ops.append({"request_put": {**put(rng, leases), "key": b64(key)}})
        else:
            ops.append({"request_delete_range": {"key": b64(key)}})
    return {"success": ops}


def one_step(rng, leases, revision, compacted):
    """A path and a body; the numbers of leases are chosen here, so that both servers have the same."""
    kind = rng.random()
    if kind < 0.5:
        return "/v3/kv/put", put(rng, leases)
    if kind < 0.65:
        return "/v3/kv/deleterange", delete(rng)
    if kind < 0.8:
        return "/v3/kv/txn", txn(rng, leases)
    if kind < 0.88:
        leases.append(rng.randrange(1, 1 << 62))
        return "/v3/lease/grant", {"ID": str(leases[-1]), "TTL": "3600"}
    if kind < 0.94 and leases:
        return "/v3/lease/revoke", {"ID": str(leases.pop(rng.randrange(len(leases))))}
    if revision > compacted + 2:
        return "/v3/kv/compaction", {"revision": str(rng.randrange(compacted + 1, revision + 1)), "physical": True}
    return "/v3/kv/put", put(rng, leases)


def same_answers(pair, path, body):
    answers = [g.ask(path, body) for g in pair]
    for status, answer in answers:
        equal(status, 200, f"{path} {answer}")
    revisions = [int(a["header"]["revision"]) for _, a in answers]
    equal(revisions[0], revisions[1], "revision")
    return revisions[0]


def hashes(w, pair, revision):
    """What etcdctl is told by both: hash, compaction and newest revision, or why there is no hash. (Debian's etcd has HashKV not
    in its gateway.)"""
    both = w.environment(ETCDCTL_ENDPOINTS=",".join(g.server.url for g in pair))
    r = w.etcdctl("endpoint", "hashkv", "--rev", str(revision), "-w", "json", env=both)
    answers = [e["HashKV"] for e in json.loads(r.stdout or "[]")]
    numbers = [(a["hash"], a["compact_revision"], a["header"]["revision"]) for a in answers]
    return numbers or re.findall(r"Failed to get the hash of endpoint \S+ \((.*)\)", r.stderr)


def same_hashes(w, pair, revisions):
    for revision in revisions:
        told = hashes(w, pair, revision)
        equal(len(told), 2, told)
        equal(told[0], told[1], f"HashKV({revision})")


class History:
    def __init__(self, seed):
        self.rng, self.leases, self.revision, self.compacted = random.Random(seed), [], 1, 0

    def some_revisions(self):
        """etcd 3.4 takes the compacted revision itself for a compacted one; later ones and we do not."""
        if self.revision == self.compacted:
            return [0]
        return [0] + [self.rng.randrange(self.compacted + 1, self.revision + 1) for _ in range(2)]

    def play(self, w, pair, steps):
        for step in range(steps):
            path, body = one_step(self.rng, self.leases, self.revision, self.compacted)
            self.revision = same_answers(pair, path, body)
            if path.endswith("compaction"):
                self.compacted = int(body["revision"])
            if step % 25 == 24:
                same_hashes(w, pair, self.some_revisions())


def started_pair(w):
    if not shutil.which("etcd"):
        raise Skip("there is no etcd on this machine")
    etcd = Server("etcd", w.folder / "etcd").start()
    w.will_end(etcd.pid)
    return [Gateway(w.server), Gateway(etcd)]


def equal_histories(w):
    """the same history has the same hash at each revision, whatever was compacted, on etcd and here"""
    pair, history = started_pair(w), History(seed=1)
    history.play(w, pair, 125)
    same_hashes(w, pair, [history.revision + 5, history.compacted - 1])
    # And over a restart of ours: the log tells the same rows.
    w.server.stop()
    w.server.start()
    pair[0] = Gateway(w.server)
    same_hashes(w, pair, [0])
    history.play(w, pair, 25)


def nothing_left(w):
    """where nothing is left, and where nothing ever was"""
    pair = started_pair(w)
    same_hashes(w, pair, [0])
    for key in "abc":
        same_answers(pair, "/v3/kv/put", {"key": b64(key), "value": b64("1")})
    same_answers(pair, "/v3/kv/compaction", {"revision": "3", "physical": True})
    same_answers(pair, "/v3/kv/deleterange", {"key": b64("a"), "range_end": b64("z")})
    same_hashes(w, pair, [0, 4])
    same_answers(pair, "/v3/kv/put", {"key": b64("z"), "value": b64("1")})
    same_answers(pair, "/v3/kv/compaction", {"revision": "5", "physical": True})
    same_hashes(w, pair, [0, 6])
    same_answers(pair, "/v3/kv/deleterange", {"key": b64("z")})
    same_answers(pair, "/v3/kv/compaction", {"revision": "7", "physical": True})
    same_hashes(w, pair, [0])


main([equal_histories, nothing_left])
