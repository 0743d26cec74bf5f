#!/usr/bin/env python3
"""tenure migrate: a server's data into a new directory while it serves and is written to. What the source has told its writers is
in the copy, at the same revisions, however often the migration was killed on the way."""

import base64
import http.client
import json
import random
import threading

from harness import *


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Gateway:
    """One server by its JSON gateway, on one connection."""

    def __init__(self, server):
        self.http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)

    def ask(self, path, body):
        self.http.request("POST", path, json.dumps(body))
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read())

    def must(self, path, body):
        status, answer = self.ask(path, body)
        equal(status, 200, f"{path} {answer}")
        return answer

    def revision(self):
        return int(self.must("/v3/kv/range", {"key": b64("x")})["header"]["revision"])

    def leases(self):
        return {l["ID"] for l in self.must("/v3/lease/leases", {}).get("leases", [])}


class Writer(threading.Thread):
    """Writes whatever can be written until it is refused; remembers what it was told is there."""

    def __init__(self, server, number):
        super().__init__()
        self.gateway = Gateway(server)
        self.rng = random.Random(number)
        self.number = number
        self.acknowledged = {}
        self.short = set()  # leases that may end at any time
        self.writes = 0
        self.stop = threading.Event()
        self.refused = None

    def key(self):
        return f"w{self.number}/{self.rng.randrange(20)}"

    def step(self):
        kind, key, value = self.rng.random(), self.key(), f"v{self.writes}"
        if kind < 0.5:
            return "/v3/kv/put", {"key": b64(key), "value": b64(value)}, {key: value}
        if kind < 0.6:
            return "/v3/kv/deleterange", {"key": b64(key)}, {key: None}
        if kind < 0.65:
            gone = {f"w{self.number}/1{i}": None for i in range(10)}
            return "/v3/kv/deleterange", {"key": b64(f"w{self.number}/10"), "range_end": b64(f"w{self.number}/2")}, gone
        if kind < 0.85:
            keys = {self.key(): f"{value}/{i}" for i in range(3)}
            ops = [{"request_put": {"key": b64(k), "value": b64(v)}} for k, v in keys.items()]
            ops.append({"request_delete_range": {"key": b64(f"w{self.number}/x")}})
            return "/v3/kv/txn", {"success": ops}, keys
        # A lease that nobody keeps alive, or one that is revoked: its key comes and goes.
        ttl = self.rng.choice(["2", "600"])
        lease = self.gateway.ask("/v3/lease/grant", {"TTL": ttl})[1].get("ID", "1")
        if ttl == "2":
            self.short.add(lease)
        if kind < 0.9:
            self.gateway.ask("/v3/kv/put", {"key": b64(f"leased/{self.number}/{self.writes}"), "lease": lease})
            return "/v3/lease/revoke", {"ID": lease}, {}
        return "/v3/kv/put", {"key": b64(f"leased/{self.number}/{self.writes}"), "lease": lease}, {}

    def run(self):
        while not self.stop.is_set() and not self.refused:
            path, body, effect = self.step()
            status, answer = self.gateway.ask(path, body)
            if status == 200:
                self.acknowledged.update(effect)
                self.writes += 1
            elif "corrupt" in json.dumps(answer):
                self.refused = answer
            else:
                true("not found" in json.dumps(answer), f"{path}: {answer}")  # a lease that ran out


class Writers:
    def __init__(self, server, n=3):
        self.all = [Writer(server, i) for i in range(n)]

    def __enter__(self):
        for w in self.all:
            w.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for w in self.all:
            w.stop.set()
        for w in self.all:
            w.join()

    def count(self):
        return sum(w.writes for w in self.all)


def migrate(w, data, *words, **more):
    return w.tenure("migrate", "--data-dir", str(data), *words, **more)


def new_place(w, name):
    place = w.folder / name
    place.mkdir()
    return place / "data"


def hash_kv(w, server, revision):
    """The hash of everything up to there, and the compaction that it depends on."""
    env = w.environment(ETCDCTL_ENDPOINTS=server.url)
    answer = w.run(["etcdctl", "endpoint", "hashkv", "--rev", str(revision), "-w", "json"], env=env, check=True)
    kv = json.loads(answer.stdout)[0]["HashKV"]
    return kv["hash"], kv.get("compact_revision")


def serve(w, name):
    """`tenure serve` on what a migration left in w/NAME/data."""
    return Server("tenure", w.folder / name).start()


def is_copy(w, copy, source, writers):
    """The source is closed; the copy serves, and leases of two seconds run out in it."""
    ours, theirs = Gateway(copy), Gateway(source)
    revision = theirs.revision()
    equal(hash_kv(w, copy, revision), hash_kv(w, source, revision), "HashKV")
    short = set().union(*(writer.short for writer in writers.all))
    equal(ours.leases() - short, theirs.leases() - short, "leases")
    true(ours.leases() <= theirs.leases(), "no lease comes from nowhere")
    for writer in writers.all:
        for key, value in writer.acknowledged.items():
            kvs = ours.must("/v3/kv/range", {"key": b64(key)}).get("kvs", [])
            equal([base64.b64decode(kv.get("value", "")).decode() for kv in kvs], [value] if value else [], key)
    true(int(ours.must("/v3/kv/put", {"key": b64("next")})["header"]["revision"]) > revision, "tokens go on growing")


def followed_through_kills(w):
    """what writers were told is in the copy, though the migration was killed again and again"""
    data = new_place(w, "new")
    rng = random.Random(7)
    with Writers(w.server) as writers:
        await_(lambda: writers.count() > 50, "some writes")
        Gateway(w.server).must("/v3/kv/compaction", {"revision": 20, "physical": True})
        for _ in range(4):
            before = writers.count()
            m = w.start("migrate", "--data-dir", str(data))
            await_(lambda: writers.count() > before + rng.randrange(5, 60), "writes meanwhile")
            m.kill()
            m.wait()
        r = migrate(w, data, "--until-in-step", check=True)
        true(r.stdout.startswith("in step at revision "), r.stdout)
        refused = w.tenure("serve", "--data-dir", str(data), "--listen-client-urls", "http://127.0.0.1:0")
        equal(refused.returncode, 1)
        true("not finished" in refused.stderr, refused.stderr)
        before = writers.count()
        await_(lambda: writers.count() > before + 50, "writes meanwhile")
        done = json.loads(migrate(w, data, "--close-source", "-o", "json", check=True).stdout.splitlines()[-1])
        for writer in writers.all:
            writer.join(PATIENCE_S)
            true(writer.refused, "the source takes no more writes")
        equal((done["event"], done["source_closed"]), ("finished", True))
        revision = Gateway(w.server).revision()
        equal((done["revision"], done["hash"]), (revision, hash_kv(w, w.server, revision)[0]))
    copy = serve(w, "new")
    try:
        is_copy(w, copy, w.server, writers)
    finally:
        copy.end()
    again = migrate(w, data, "--close-source")
    equal(again.returncode, 1)
    true("no migration into it is under way" in again.stderr, again.stderr)


def writers_that_stopped(w):
    """where the writers were stopped the source is left as it is, and while one writes nothing is finished"""
    data = new_place(w, "new")
    with Writers(w.server, 2) as writers:
        await_(lambda: writers.count() > 20, "some writes")
        late = migrate(w, data, "--writers-stopped", "--timeout", "1500ms")
        equal(late.returncode, 4, late.stderr)
        true("not finished" in late.stdout, late.stdout)
        m = w.start("migrate", "--data-dir", str(data), "--writers-stopped")
        equal(m.stdout.readline()[:7], "in step")
        before = writers.count()
        await_(lambda: writers.count() > before + 20, "writes meanwhile")
        equal(m.poll(), None, "it goes on")
    out, err = m.communicate(timeout=PATIENCE_S * 2)
    equal(m.returncode, 0, out + err)
    true("is finished at revision" in out, out)
    copy = serve(w, "new")
    try:
        # Leases of two seconds may run out on both sides from here on.
        for writer in writers.all:
            for key, value in writer.acknowledged.items():
                kvs = Gateway(copy).must("/v3/kv/range", {"key": b64(key)}).get("kvs", [])
                equal([base64.b64decode(kv.get("value", "")).decode() for kv in kvs], [value] if value else [], key)
    finally:
        copy.end()
    Gateway(w.server).must("/v3/kv/put", {"key": b64("it still takes writes")})


def source_goes_away(w):
    """a source that stops and comes again is waited for, and a compaction of what was copied does no harm"""
    data = new_place(w, "new")
    w.tenure("put", "a", "1", check=True)
    m = w.start("migrate", "--data-dir", str(data))
    equal(m.stdout.readline(), f"in step at revision {Gateway(w.server).revision()}\n")
    w.server.kill()
    w.server.start()
    for i in range(20):
        w.tenure("put", "a", f"{i}", check=True)
    w.etcdctl("compact", "15", check=True)
    m.send_signal(signal.SIGTERM)
    out, err = m.communicate(timeout=PATIENCE_S)
    equal(m.returncode, 0, out + err)
    true("not finished" in out, out)
    migrate(w, data, "--close-source", check=True)
    copy = serve(w, "new")
    try:
        revision = Gateway(w.server).revision()
        equal(Gateway(copy).revision(), revision)
        equal(hash_kv(w, copy, revision), hash_kv(w, w.server, revision))
    finally:
        copy.end()


def compacted_away(w):
    """what was compacted before it was copied is missed, and told"""
    data = new_place(w, "new")
    w.tenure("put", "a", "1", check=True)
    migrate(w, data, "--until-in-step", check=True)
    for i in range(9):
        w.tenure("put", "a", f"{i}", check=True)
    w.etcdctl("compact", "8", check=True)
    r = migrate(w, data, "--close-source")
    equal(r.returncode, 1)
    true("compacted" in r.stderr and "begin again" in r.stderr, r.stderr)
    w.tenure("put", "a", "the source is open", check=True)


def users_that_change(w):
    """users, roles and passwords that are changed while keys are followed are in the copy as they are at the end"""
    data = new_place(w, "new")
    w._server = Server(w.server_kind, w.folder / "server", "--bcrypt-cost", "4").start()
    ctl = lambda *words, **more: w.etcdctl(*words, check=True, **more)
    for words in ("user add root:pw", "role add root", "user grant-role root root", "role add gone", "user add gone:x",
                  "user add stays:old", "role add some", "role grant-permission some readwrite a", "put a 1"):
        ctl(*words.split())
    migrate(w, data, "--until-in-step", check=True)
    for words in ("role delete gone", "user delete gone", "user add late:y", "user grant-role late some", "auth enable"):
        ctl(*words.split())
    ctl("--user", "root:pw", "user", "passwd", "stays", "--interactive=false", input="new\n")
    ctl("--user", "root:pw", "role", "grant-permission", "some", "read", "b")
    r = migrate(w, data, "--close-source")
    equal(r.returncode, 1, r.stderr)
    true("--user" in r.stderr, r.stderr)
    migrate(w, data, "--close-source", "--user", "root:pw", check=True)
    copy = Server("tenure", w.folder / "new", "--bcrypt-cost", "4").start()
    try:
        here = w.environment(ETCDCTL_ENDPOINTS=copy.url)
        both = [w.environment(), here]
        for words in ("user list", "role list", "user get late", "user get stays", "role get some", "get --prefix a"):
            answers = [w.run(["etcdctl", "--user", "root:pw", *words.split()], env=e, check=True).stdout for e in both]
            equal(answers[1], answers[0], words)
        old = w.run(["etcdctl", "--user", "stays:old", "get", "a"], env=here)
        true("authentication failed" in old.stderr, old.stderr)
        w.run(["etcdctl", "--user", "late:y", "put", "a", "2"], env=here, check=True)
        denied = w.run(["etcdctl", "--user", "stays:new", "get", "a"], env=here)
        true("permission denied" in denied.stderr, denied.stderr)
    finally:
        copy.end()


def on_to_etcd(w):
    """a finished directory goes on into etcd, which serves the same revisions and takes writes"""
    if not shutil.which("etcd"):
        raise Skip("there is no etcd on this machine")
    data = new_place(w, "new")
    for i in range(5):
        w.tenure("put", f"k{i % 2}", f"{i}", check=True)
    lease = w.etcdctl("lease", "grant", "600", check=True).stdout.split()[1]
    migrate(w, data, "--until-in-step", check=True)
    w.etcdctl("put", "--lease", lease, "leased", "x", check=True)
    revision = json.loads(migrate(w, data, "--close-source", "-o", "json", check=True).stdout.splitlines()[-1])["revision"]
    w.tenure("snapshot", "save", "--data-dir", str(data), w.path("s.db"), check=True)
    other = Server("etcd", w.folder / "etcd")
    w.etcdctl("snapshot", "restore", w.path("s.db"), "--data-dir", str(other.folder / "data"), check=True)
    try:
        other.start()
        theirs = Gateway(other)
        equal(theirs.revision(), revision)
        equal(hash_kv(w, other, revision), hash_kv(w, w.server, revision), "HashKV")
        equal(theirs.leases(), Gateway(w.server).leases(), "leases")
        equal(int(theirs.must("/v3/kv/put", {"key": b64("next")})["header"]["revision"]), revision + 1)
    finally:
        other.end()


def over_tls(w):
    """a source with TLS is followed like any other"""
    if w.server_kind != "tenure":
        raise Skip("one server with TLS is enough")
    w._server = Server("tenure", w.folder / "server", "--auto-tls")
    w._server.scheme = "https"
    w._server.start()
    data = new_place(w, "new")
    anyone = "--insecure-skip-tls-verify"
    w.tenure("put", anyone, "a", "1", check=True)
    migrate(w, data, anyone, "--until-in-step", check=True)
    w.tenure("put", anyone, "a", "2", check=True)
    migrate(w, data, anyone, "--close-source", check=True)
    equal(w.tenure("put", anyone, "a", "3").returncode, 1)
    copy = serve(w, "new")
    try:
        equal(w.tenure("get", "--endpoints", copy.url, "a", "--print-value-only").stdout, "2\n")
    finally:
        copy.end()


def refusals(w):
    """options that contradict, directories of something else, another source, and no source at all"""
    w.tenure("put", "a", "1", check=True)
    for words in ([], ["--seal", "x"], ["--data-dir", "x", "--seal", "y", "--successor", "z"],
                  ["--data-dir", "x", "--close-source", "--writers-stopped"], ["--data-dir", "x", "word"]):
        equal(w.tenure("migrate", *words).returncode, 2, str(words))
    full = w.folder / "full"
    (full / "inside").mkdir(parents=True)
    r = migrate(w, full, "--until-in-step")
    equal(r.returncode, 1)
    true("name a new data directory" in r.stderr, r.stderr)
    data = new_place(w, "new")
    migrate(w, data, "--until-in-step", check=True)
    other = Server("tenure", w.folder / "other").start()
    try:
        r = migrate(w, data, "--until-in-step", "--endpoints", other.url)
        equal(r.returncode, 1)
        true("this is cluster" in r.stderr, r.stderr)
    finally:
        other.end()
    w.server.kill()
    r = migrate(w, data, "--until-in-step", "--call-timeout", "300ms")
    equal(r.returncode, 3, r.stderr)
    equal(sorted(os.listdir(w.folder / "new")), ["data"])


main([followed_through_kills, writers_that_stopped, source_goes_away, compacted_away, users_that_change,
      on_to_etcd, over_tls, refusals])
