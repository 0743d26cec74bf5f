"""What tests of `tenure mirror` share: two clusters, mirrors between them, and a judge of what came out.

Run as a program it is the long form of a test: `mirrors.py --kills 100 [--seed N] [--source tenure|etcd] [--destination …]`
kills mirror, source and destination in turns while the source is written to, and says what it found."""

import argparse
import base64
import http.client
import json
import random
import threading

from harness import *


def b64(text):
    return base64.b64encode(text.encode()).decode()


def text(b):
    return base64.b64decode(b or "").decode()


class Refused(Exception):
    """The server answered with an error."""


class Gateway:
    """A server's JSON gateway, a connection a request."""

    def __init__(self, server):
        self.server = server

    def ask(self, path, request, timeout=PATIENCE_S):
        connection = http.client.HTTPConnection(self.server.url.split("//")[1], timeout=timeout)
        try:
            connection.request("POST", "/v3/" + path, json.dumps(request), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            raise ConnectionError(self.server.url)
        finally:
            connection.close()
        if answer.status != 200:
            raise Refused(body.get("message", ""))
        return body

    def put(self, key, value, **more):
        return int(self.ask("kv/put", {"key": b64(key), "value": b64(value), **more})["header"]["revision"])

    def delete(self, key, prefix=False):
        request = {"key": b64(key)}
        if prefix:
            request["range_end"] = b64(prefix_end(key))
        return int(self.ask("kv/deleterange", request)["header"]["revision"])

    def get(self, key):
        kvs = self.ask("kv/range", {"key": b64(key)}).get("kvs", [])
        return text(kvs[0].get("value")) if kvs else None

    def below(self, prefix, drop=""):
        """What lies below the prefix: {key without `drop`: value}."""
        body = self.ask("kv/range", {"key": b64(prefix), "range_end": b64(prefix_end(prefix))})
        return {text(kv["key"]).removeprefix(drop): text(kv.get("value")) for kv in body.get("kvs", [])}

    def revision(self):
        return int(self.ask("kv/range", {"key": b64("x"), "count_only": True})["header"]["revision"])

    def put_all(self, keys):
        """{key: value} in one transaction."""
        puts = [{"request_put": {"key": b64(k), "value": b64(v)}} for k, v in keys.items()]
        return int(self.ask("kv/txn", {"success": puts})["header"]["revision"])

    def compact(self, revision=None):
        self.ask("kv/compaction", {"revision": str(revision or self.revision())})

    def grant(self, ttl_s):
        return self.ask("lease/grant", {"TTL": str(ttl_s)})["ID"]


def prefix_end(prefix):
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Watching(threading.Thread):
    """Every change below a prefix from now on, over reconnects: `seen` is a list of (revision, key, value or None)."""

    def __init__(self, server, prefix):
        super().__init__(daemon=True)
        self.server, self.prefix, self.next = server, prefix, Gateway(server).revision() + 1
        self.seen, self.ending = [], False
        self.start()

    def run(self):
        while not self.ending:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._watch()
            time.sleep(0.02)

    def _watch(self):
        connection = http.client.HTTPConnection(self.server.url.split("//")[1], timeout=1)
        try:
            create = {"key": b64(self.prefix), "range_end": b64(prefix_end(self.prefix)), "start_revision": str(self.next)}
            connection.request("POST", "/v3/watch", json.dumps({"create_request": create}))
            answer = connection.getresponse()
            while not self.ending:
                line = answer.readline()
                if not line:
                    return
                for event in json.loads(line).get("result", {}).get("events", []):
                    kv = event["kv"]
                    value = None if event.get("type") == "DELETE" else text(kv.get("value"))
                    self.seen.append((int(kv["mod_revision"]), text(kv["key"]), value))
                    self.next = int(kv["mod_revision"]) + 1
        finally:
            connection.close()

    def end(self):
        self.ending = True
        self.join(PATIENCE_S)
        return self


class Mirror:
    """`tenure mirror` as a process that can be killed and begun again."""

    def __init__(self, world, source, destinations, *options):
        self.world, self.process = world, None
        where = [word for d in destinations for word in ("--to", d if isinstance(d, str) else d.url)]
        self.args = ("mirror", "--from", source.url, *where, *options)
        self.out = open(world.path(f"mirror-{id(self)}.out"), "a+")

    def start(self):
        self.process = self.world.start(*self.args, stdout=self.out, stderr=self.out)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """In order; its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def ends(self, what="the mirror ends"):
        """By itself; its exit code."""
        await_(lambda: self.process.poll() is not None, what)
        return self.process.returncode

    def said(self):
        return read(self.out.name)


@contextlib.contextmanager
def server(world, name, kind=None, *options):
    s = Server(kind or world.server_kind, world.folder / name, *options)
    world._server = world._server or s  # commands that name no server talk to the first one, and no third one is started
    try:
        yield s.start()
    finally:
        s.end()


def same(source, destination, prefix, to=None):
    """What lies below the prefix is the same on both sides; awaits it."""
    def equal_now():
        with contextlib.suppress(ConnectionError, Refused):
            return Gateway(source).below(prefix, prefix) == Gateway(destination).below(to or prefix, to or prefix)
    try:
        await_(equal_now, f"{prefix} is the same on both sides", PATIENCE_S * 3)
    except Failure:
        a, b = Gateway(source).below(prefix, prefix), Gateway(destination).below(to or prefix, to or prefix)
        missing, extra = sorted(a.keys() - b.keys())[:5], sorted(b.keys() - a.keys())[:5]
        other = sorted(k for k in a.keys() & b.keys() if a[k] != b[k])[:5]
        raise Failure(f"{prefix} differs: {len(a)} and {len(b)} keys; missing {missing}, not deleted {extra}, other values {other}")


def status(world, destination):
    got = world.tenure("mirror", "status", "--to", destination.url, "-o", "json", check=True)
    return json.loads(got.stdout)["mirrors"]


# --- the long form ----------------------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Writes below a prefix as long as it is let: puts, deletes, transactions, deletes of many keys, compactions. Values grow."""

    def __init__(self, source, prefix, seed):
        super().__init__(daemon=True)
        self.gateway, self.prefix, self.random = Gateway(source), prefix, random.Random(seed)
        self.ending, self.n, self.done = False, 0, 0
        self.start()

    def run(self):
        while not self.ending:
            try:
                self.write()
                self.done += 1
            except (ConnectionError, Refused):
                time.sleep(0.02)

    def key(self):
        return f"{self.prefix}{self.random.randrange(10)}/{self.random.randrange(40)}"

    def write(self):
        self.n += 1
        kind, value = self.random.random(), f"{self.n:09d}"
        if kind < 0.55:
            self.gateway.put(self.key(), value)
        elif kind < 0.80:
            self.gateway.delete(self.key())
        elif kind < 0.93:
            self.gateway.put_all({self.key(): value for _ in range(self.random.randrange(1, 12))})
        elif kind < 0.96:
            self.gateway.delete(f"{self.prefix}{self.random.randrange(10)}/", prefix=True)
        elif kind < 0.98:
            self.gateway.put("/elsewhere", value)
        else:
            self.gateway.compact()

    def end(self):
        self.ending = True
        self.join(PATIENCE_S)


def none_undone(seen):
    """Of each key the values that the destination told only ever grew."""
    newest = {}
    for revision, key, value in seen:
        if value is None:
            continue
        true(value > newest.get(key, ""), f"{key} went from {newest.get(key)} to {value} at revision {revision}")
        newest[key] = value


def play(world, source, destination, kills, seed, pause_s=0.3):
    """Kills mirror, source and destination in turns while the source is written to. At the end all must be equal."""
    chance = random.Random(seed)
    mirror = Mirror(world, source, [destination], "--prefix", "/a/", "--name", "played").start()
    watching, writer = Watching(destination, "/a/"), Writer(source, "/a/", seed)
    begun = time.monotonic()
    try:
        for kill in range(kills):
            time.sleep(chance.random() * pause_s)
            victim = (mirror, source, destination)[kill % 3]
            victim.kill()
            if chance.random() < 0.3:
                time.sleep(chance.random() * pause_s)
            victim.start()
            true(mirror.process.poll() is None, f"the mirror runs on: {mirror.said()[-500:]}")
    finally:
        writer.end()
    same(source, destination, "/a/")
    last = Gateway(destination).revision()
    keys = len(Gateway(destination).below("/a/"))
    equal(mirror.stop(), 0, "the exit code of the mirror")
    Gateway(destination).put("/a/last", "~")  # so that the watch is known to have come to the end
    await_(lambda: watching.next > last + 1, "the watch has come to the end")
    none_undone(watching.end().seen)
    print(f"# seed {seed}: {kills} kills in {time.monotonic() - begun:.1f} s, {writer.done} writes, {keys} keys, "
          f"{len(watching.seen)} events at the destination: equal, nothing undone", flush=True)


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--kills", type=int, default=100)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--source", default="tenure")
    words.add_argument("--destination", default="tenure")
    args = words.parse_args()
    world, failed = World(args.source), True
    try:
        with server(world, "a", args.source) as a, server(world, "b", args.destination) as b:
            play(world, a, b, args.kills, args.seed)
            failed = False
    finally:
        if failed:
            print(f"# seed {args.seed}, {args.source} to {args.destination}")
        world.show_logs(failed)
        world.close()
    sys.exit(1 if failed else 0)
