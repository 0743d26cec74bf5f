#!/usr/bin/env python3
"""etcd's Lock and Election services through the JSON gateway, which calls them as a gRPC client does, on `tenure serve` and on
etcd alike; and etcdctl in the same queue."""

import base64
import http.client
import json
import threading

from harness import *


def b64(text):
    return base64.b64encode(text.encode()).decode()


def text(b):
    return base64.b64decode(b).decode()


class Asked:
    """One call, on a connection and a thread of its own."""

    def __init__(self, w, path, body):
        self.http = http.client.HTTPConnection("127.0.0.1", w.server.port, timeout=PATIENCE_S * 2)
        self.status = self.answer = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(path, json.dumps(body)), daemon=True)
        self.thread.start()

    def _run(self, path, body):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            self.http.request("POST", path, body)
            response = self.http.getresponse()
            self.answer = json.loads(response.read())
            self.status = response.status
        self.done.set()

    def result(self):
        true(self.done.wait(PATIENCE_S), "an answer came")
        equal(self.status, 200, self.answer)
        return self.answer

    def error(self):
        true(self.done.wait(PATIENCE_S), "an answer came")
        return self.answer.get("message") or self.answer.get("error")

    def hang_up(self):
        """As a client that dies: its socket goes."""
        with contextlib.suppress(OSError):
            self.http.sock.shutdown(socket.SHUT_RDWR)


def ask(w, path, **body):
    return Asked(w, path, body).result()


def lease(w):
    return ask(w, "/v3/lease/grant", TTL="60")["ID"]


def keys(w, prefix):
    return w.etcdctl("get", prefix, "--prefix", "--keys-only", check=True).stdout.split()


def locks(w):
    """one holds a lock, the next has it when it is unlocked"""
    first, second = lease(w), lease(w)
    key = ask(w, "/v3/lock/lock", name=b64("l"), lease=first)["key"]
    equal(text(key), f"l/{int(first):x}")
    waits = Asked(w, "/v3/lock/lock", {"name": b64("l"), "lease": second})
    await_(lambda: len(keys(w, "l/")) == 2, "the second is in the queue")
    true(not waits.done.is_set(), "the second waits")
    ask(w, "/v3/lock/unlock", key=key)
    equal(text(waits.result()["key"]), f"l/{int(second):x}")
    equal(keys(w, "l/"), [f"l/{int(second):x}"])


def hang_up(w):
    """who hangs up while waiting leaves no key behind, and etcdctl behind it has the lock next"""
    first, second = lease(w), lease(w)
    key = ask(w, "/v3/lock/lock", name=b64("l"), lease=first)["key"]
    waits = Asked(w, "/v3/lock/lock", {"name": b64("l"), "lease": second})
    await_(lambda: len(keys(w, "l/")) == 2, "the second is in the queue")
    other = w.start("lock", "l", "echo", "mine", program="etcdctl")
    await_(lambda: len(keys(w, "l/")) == 3, "etcdctl is in the queue")
    waits.hang_up()
    await_(lambda: len(keys(w, "l/")) == 2, "the second has left")
    ask(w, "/v3/lock/unlock", key=key)
    equal(other.communicate(timeout=PATIENCE_S)[0].strip(), "mine")


def unknown_lease(w):
    """a lease that is not there is told in etcd's words"""
    call = Asked(w, "/v3/lock/lock", {"name": b64("l"), "lease": "99"})
    true("requested lease not found" in call.error(), call.answer)
    call = Asked(w, "/v3/election/leader", {"name": b64("nobody")})
    true("election: no leader" in call.error(), call.answer)
    call = Asked(w, "/v3/election/proclaim", {"value": b64("x")})
    true('"leader" field must be provided' in call.error(), call.answer)


def elections(w):
    """one leads, proclaims and resigns; the next leads then"""
    first, second = lease(w), lease(w)
    leader = ask(w, "/v3/election/campaign", name=b64("e"), lease=first, value=b64("one"))["leader"]
    waits = Asked(w, "/v3/election/campaign", {"name": b64("e"), "lease": second, "value": b64("two")})
    await_(lambda: len(keys(w, "e/")) == 2, "the second is in the queue")
    equal(text(ask(w, "/v3/election/leader", name=b64("e"))["kv"]["value"]), "one")
    ask(w, "/v3/election/proclaim", leader=leader, value=b64("uno"))
    equal(text(ask(w, "/v3/election/leader", name=b64("e"))["kv"]["value"]), "uno")
    true(not waits.done.is_set(), "the second waits")
    ask(w, "/v3/election/resign", leader=leader)
    equal(text(waits.result()["leader"]["key"]), f"e/{int(second):x}")
    equal(text(ask(w, "/v3/election/leader", name=b64("e"))["kv"]["value"]), "two")


def observing(w):
    """an observer hears of each leader and of what it proclaims"""
    id = lease(w)
    observer = http.client.HTTPConnection("127.0.0.1", w.server.port, timeout=PATIENCE_S)
    leader = ask(w, "/v3/election/campaign", name=b64("e"), lease=id, value=b64("one"))["leader"]
    observer.request("POST", "/v3/election/observe", json.dumps({"name": b64("e")}))
    stream = observer.getresponse()

    def heard():
        return text(json.loads(stream.readline())["result"]["kv"]["value"])

    equal(heard(), "one")
    ask(w, "/v3/election/proclaim", leader=leader, value=b64("uno"))
    equal(heard(), "uno")
    ask(w, "/v3/election/resign", leader=leader)
    ask(w, "/v3/election/campaign", name=b64("e"), lease=lease(w), value=b64("two"))
    equal(heard(), "two")
    observer.close()


main([locks, hang_up, unknown_lease, elections, observing])
