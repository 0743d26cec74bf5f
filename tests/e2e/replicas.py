"""What tests of copies share: a server's JSON gateway, a watch that goes on, `tenure replica` as a server, and whether it equals
its source."""

import base64
import http.client
import json

from harness import *

OPEN_TIMEOUT_S = PATIENCE_S


def b64(text):
    return base64.b64encode(text.encode()).decode()


def text(b):
    return base64.b64decode(b).decode()


class Refused(Exception):
    """The server answered with an error; `status` is gRPC's."""

    def __init__(self, body):
        self.status, self.text = body.get("code"), body.get("message", "")
        super().__init__(f"{self.status}: {self.text}")


class Gateway:
    """A server's JSON gateway, over one connection that is made again when it is lost."""

    def __init__(self, url):
        self.address, self.connection, self.headers = url.split("//")[1], None, {}

    def ask(self, path, request, timeout=OPEN_TIMEOUT_S):
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection(self.address, timeout=timeout)
            self.connection.request("POST", "/v3/" + path, json.dumps(request), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise ConnectionError(self.address)
        self.headers = answer.headers
        if answer.status != 200:
            raise Refused(body)
        return body

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def put(self, key, value, **more):
        return int(self.ask("kv/put", {"key": b64(key), "value": b64(value), **more})["header"]["revision"])

    def delete(self, key):
        return int(self.ask("kv/deleterange", {"key": b64(key)})["header"]["revision"])

    def range(self, serializable=False, **more):
        """All keys (or as `more` says): the header's revision and the keys with their values."""
        request = {"key": "AA==", "range_end": "AA==", "serializable": serializable, **more}
        body = self.ask("kv/range", request)
        return int(body["header"]["revision"]), {text(kv["key"]): text(kv.get("value", "")) for kv in body.get("kvs", [])}

    def staleness(self):
        return int(self.headers["Grpc-Metadata-Tenure-Staleness"])

    def compact(self, revision):
        self.ask("kv/compaction", {"revision": str(revision)})


class Watching(threading.Thread):
    """Every change from a revision on, with reconnects; `seen` is a list of (revision, key, value or None), `gaps` one of (from, to):
    what a compaction took before it was seen, as the server said."""

    def __init__(self, url, start=1, prefix=""):
        super().__init__(daemon=True)
        self.range = {"key": b64(prefix), "range_end": b64(prefix[:-1] + chr(ord(prefix[-1]) + 1))} if prefix else {
            "key": "AA==", "range_end": "AA=="}
        self.address, self.next = url.split("//")[1], start
        self.seen, self.gaps, self.compacted, self.ending = [], [], 0, False
        self.start()

    def run(self):
        while not self.ending:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._watch()
            time.sleep(0.02)

    def _watch(self):
        connection = http.client.HTTPConnection(self.address, timeout=1)
        try:
            create = {**self.range, "start_revision": str(self.next)}
            connection.request("POST", "/v3/watch", json.dumps({"create_request": create}))
            answer = connection.getresponse()
            while not self.ending:
                line = answer.readline()
                if not line:
                    return
                result = json.loads(line).get("result", {})
                if result.get("canceled"):
                    self.compacted = int(result.get("compact_revision", 0))
                    if self.compacted >= self.next:
                        self.gaps.append((self.next, self.compacted))  # what is at the compaction's own revision may be gone or not
                        self.next = self.compacted
                    return
                for event in result.get("events", []):
                    kv = event["kv"]
                    revision = int(kv["mod_revision"])
                    value = None if event.get("type") == "DELETE" else text(kv.get("value", ""))
                    self.seen.append((revision, text(kv["key"]), value))
                    self.next = revision + 1
        finally:
            connection.close()

    def end(self):
        self.ending = True
        self.join(PATIENCE_S)
        return self


class Replica(Server):
    """`tenure replica` of a server, in a folder of its own."""

    def __init__(self, folder, source, *options):
        super().__init__("tenure", folder, *options)
        self.source = source

    def command(self, data, url):
        return [TENURE, "replica", "--from", self.source.url, "--data-dir", data, "--listen", url, *self.options]


@contextlib.contextmanager
def servers(*all_of_them):
    try:
        yield all_of_them
    finally:
        for server in all_of_them:
            server.end()


def verify(world, source, *replicas):
    urls = ",".join(r.url for r in replicas)
    result = world.tenure("replica", "verify", "--from", source.url, "--endpoints", urls, check=True)
    equal(result.stdout.count(" equals the source "), len(replicas), result.stdout)


def catches_up(source, replica):
    revision, keys = Gateway(source.url).range()

    def there():
        with contextlib.suppress(ConnectionError, Refused):
            return Gateway(replica.url).range(serializable=True)[0] >= revision
    await_(there, f"the replica has revision {revision}")


def try_range(server):
    with contextlib.suppress(ConnectionError, Refused):
        return Gateway(server.url).range(serializable=True)


def status(world, replica):
    return json.loads(world.tenure("replica", "status", "--endpoints", replica.url, "-o", "json", check=True).stdout)["replicas"][0]
