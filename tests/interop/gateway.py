#!/usr/bin/env python3
"""The same bytes over HTTP/1 to current etcd and to `tenure serve`: every answer is compared, head and body.

    gateway.py --etcd ETCD --tenure TENURE [--requests N] [--seed S]

Three parts: chosen requests (pages, all kinds of JSON, wrong paths, methods and syntax), the same with authentication and the
ways to bring a token, and N random JSON bodies. Prints TAP; a difference is shown with both answers. What may differ is at
`KNOWN`; docs/http.md says why.
"""

import argparse
import http.client
import json
import random
import re
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

BOTH = ThreadPoolExecutor(2)
PATIENCE_S = 20
QUIET_S = 0.7  # a watch has said what it had to say

# Where the two may differ, by a piece of the request: what etcd does there is told in docs/http.md.
KNOWN = (
    '{"ID":"x"}',  # a stream's first value that is no JSON: a status here, silence there
    '{"create_request":5}',
    '"\\ud800"',  # the words for half a surrogate
)


class Server:
    def __init__(self, kind, program):
        self.folder = tempfile.TemporaryDirectory(prefix="tenure-interop.")
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        if kind == "etcd":
            peer = f"http://127.0.0.1:{free_port()}"
            argv = [program, "--data-dir", self.folder.name, "--listen-client-urls", url, "--advertise-client-urls", url,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", f"default={peer}", "--log-level", "error"]
        else:
            argv = [program, "serve", "--data-dir", self.folder.name + "/data", "--listen-client-urls", url]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.tokens, self.connection = {}, None
        until = time.monotonic() + 60
        while not self.is_settled():
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit(f"{kind} does not start")
            time.sleep(0.05)

    def is_settled(self):
        """Healthy, and at one version: etcd raises that of its storage some seconds after it begins to serve."""
        try:
            if b'"true"' not in self.raw(get("/health")):
                return False
            version = json.loads(self.raw(get("/version")).partition(b"\r\n\r\n")[2])
            return version["etcdcluster"] == version["storage"]
        except (OSError, ValueError):
            return False

    def raw(self, data):
        """Sends the bytes; what comes until nothing comes any more. Only a watch may say nothing, or go on."""
        quiet_s = QUIET_S if b"/v3/watch " in data else PATIENCE_S
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as s:
            s.sendall(data)
            s.settimeout(quiet_s)
            out = b""
            try:
                while chunk := s.recv(65536):
                    out += chunk
                    s.settimeout(0.02 if is_whole(out, data.startswith(b"HEAD ")) else quiet_s)
                return out + b"<end>"
            except TimeoutError:
                return out

    def token(self, name):
        if name not in self.tokens:
            answer = self.ask("/v3/auth/authenticate", json.dumps({"name": name, "password": "pw"}))[1]
            self.tokens[name] = json.loads(answer)["token"]
        return self.tokens[name]

    def ask(self, path, body):
        for attempt in range(2):
            try:
                self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                self.connection.request("POST", path, body.encode())
                r = self.connection.getresponse()
                return r.status, r.read().decode("utf8", "replace")
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt:
                    raise
        return None

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_whole(answer, is_head):
    """The last answer has a length, or chunks, and all of it is there."""
    last = re.split(rb"(?=HTTP/1\.[01] \d\d\d )", answer)[-1]
    if last.startswith(b"HTTP/1.1 100 "):
        return False
    head, end, body = last.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if not end or not length:
        return body.endswith(b"0\r\n\r\n")
    return is_head or len(body) >= int(length[1])


# --- what differs between any two healthy servers ---------------------------------------------------------------------

OWN = {"cluster_id", "member_id", "raft_term", "raftTerm", "raftIndex", "raftAppliedIndex", "leader", "dbSize", "dbSizeInUse",
       "peerURLs", "hash", "storageVersion", "etcdserver"}


def own(value):
    if isinstance(value, dict):
        more = {"ID", "clientURLs"} if "clientURLs" in value else {"version"} if "dbSize" in value else set()
        value = {k: own(v) for k, v in value.items() if k not in OWN | more}
    return [own(v) for v in value] if isinstance(value, list) else value


def same_space(text):
    return re.sub("proto:[ \u00a0]+", "proto: ", text.replace("\u00a0", " "))


def body_lines(body):
    for line in same_space(body).replace("\r\n", "\n").split("\n"):
        if re.fullmatch("[0-9a-f]+", line):  # the length of a chunk
            continue
        try:
            yield json.dumps(own(json.loads(line)), sort_keys=True)
        except ValueError:
            yield line


def one(answer):
    head, _, body = answer.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    lines = [l for l in lines if not re.match("(?i)date:|content-length:", l)]
    if re.match("HTTP/1.1 4(00|17) ", first) and not body.startswith("{"):
        first, lines, body = first[:12], [], ""  # Go's server says less, or more
    return "\n".join([first, *sorted(lines), "", *[l for l in body_lines(body) if l]])


def comparable(answer):
    """All answers on a connection, and whether it was closed behind them."""
    text = answer.decode("utf8", "replace")
    closed = text.endswith("<end>")
    return [one(a) for a in re.split(r"(?=HTTP/1\.[01] \d\d\d )", text.removesuffix("<end>")) if a], closed


# --- requests ---------------------------------------------------------------------------------------------------------


def post(path, body, lines=""):
    body = body if isinstance(body, bytes) else body.encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def get(path, method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


PAGES = ["/version", "/health", "/livez", "/livez?verbose", "/livez/serializable_read?verbose", "/readyz",
         "/readyz?verbose&exclude=data_corruption&exclude=linearizable_read&exclude=non_learner", "/readyz/nothing", "/nothing",
         "/", "/v3", "/v3/", "/v3/kv", "/v3/kv/put", "/v3/watch", "/livez/", "/version/", "//version", "/v3//kv/put",
         "/v3/kv/put/", "/%76ersion", "/health?exclude=NOSPACE", "/v3beta", "/v3alpha/kv/range", "/a/../version"]
PUTS = ["", "{}", '{"key":"YQ=="}', "null", "[]", "7", '"x"', '{"key":5}', '{"key":"*"}', '{"key":"YQ="}', '{"key":"YQ"}',
        '{"key":"-_-_","value":"+/+/"}', '{"key":"YQ==","key":"Yg=="}', '{"key":"YQ==","nope":{"a":[1,{"b":null}]}}',
        '{"key":null}', '{"key":"YQ==","lease":null}', '{"key":"YQ==","lease":1.0}', '{"key":"YQ==","lease":"1e1"}',
        '{"key":"YQ==","lease":0.5}', '{"key":"YQ==","lease":" 1"}', '{"key":"YQ==","lease":""}', '{"key":"YQ==","lease":true}',
        '{"key":"YQ==","lease":9223372036854775808}', '{"key":"YQ==","lease":{}}', '{"key":"YQ==","prev_kv":"true"}',
        '{"key":"YQ==","prevKv":true}', '{"key":"YQ==","prev_kv":true,"prevKv":true}', '{"KEY":"YQ=="}',
        '{"key":"YQ=="} {"key":"Yg=="}', '{"key":"YQ=="}garbage', '{"key":', '{x', '{"key":"YQ==",}', '{"key":"YQ==" "value":""}',
        '{"key":"Y\\u0051=="}', '{"key":"\\ud800"}', '{"key":"\\x"}', '{"key":tru}', '{"key":01}', '  {"key":"YQ=="}  ',
        '{"key":"YQ==","lease":"99"}', "\x00", '{"key":"YQ==","ignore_value":true,"value":"MQ=="}', '{"key":"YQ==\\n"}',
        b'{"key":"\xff"}', '{"\\u006bey":"YQ=="}', '{"key":"YR=="}', '\n{"x":"é","key":5}']
RANGES = ['{"key":"YQ==","sort_order":"SIDEWAYS"}', '{"key":"YQ==","sort_order":9}', '{"key":"YQ==","sort_order":true}',
          '{"key":"YQ==","sort_order":1.5}', '{"key":"YQ==","sort_order":2147483648}', '{"key":"AA==","range_end":"AA==","limit":"1"}',
          '{"key":"YQ==","revision":99}', '{"key":"YQ==","count_only":true}', '{"key":"YQ==","keys_only":true}']
TXNS = ['{"compare":[{"key":"YQ==","version":1,"create_revision":2}]}', '{"compare":[null]}', '{"compare":{}}',
        '{"success":[{"request_put":5}]}', '{"success":[{}]}',
        '{"success":[{"request_range":{"key":"YQ=="},"request_put":{"key":"YQ=="}}]}',
        '{"compare":[{"key":"YQ==","target":"MOD","result":"GREATER","mod_revision":"0"}],"success":[{"requestRange":'
        '{"key":"YQ=="}},{"request_txn":{"success":[{"request_put":{"key":"Yg=="}}]}}]}',
        '{"compare":[{"key":"YQ==","version":null,"lease":"0","target":4}],"failure":[{"request_delete_range":'
        '{"key":"YQ==","prev_kv":true}}]}']
CALLS = [("kv/deleterange", '{"key":"Yg==","prev_kv":true}'), ("kv/compaction", '{"revision":99}'),
         ("kv/compaction", '{"revision":"2","physical":true}'), ("kv/compaction", '{"revision":"2"}'),
         ("lease/grant", '{"TTL":600,"ID":7}'), ("lease/grant", '{"TTL":600,"ID":7}'), ("lease/grant", '{"TTL":"99999999999"}'),
         ("lease/timetolive", '{"ID":8}'), ("lease/leases", "{}"), ("kv/lease/leases", ""), ("lease/keepalive", '{"ID":7}'),
         ("lease/keepalive", '{"ID":8}{"ID":7}'), ("lease/keepalive", ""), ("lease/keepalive", '{"ID":7}x'),
         ("lease/keepalive", '{"ID":"x"}'), ("lease/revoke", '{"ID":7}'), ("kv/lease/revoke", '{"ID":7}'),
         ("watch", '{"create_request":{"key":"YQ==","start_revision":"3"}}'),
         ("watch", '{"create_request":{"key":"YQ==","start_revision":"-3"}}'), ("watch", '{"cancel_request":{"watch_id":9}}'),
         ("watch", "{}"), ("watch", '{"create_request":5}'), ("watch", '{"create_request":{"key":"YQ=="}} x'),
         ("cluster/member/list", "{}"), ("maintenance/alarm", "{}"), ("maintenance/hashkv", '{"revision":"99"}'),
         ("maintenance/transfer-leadership", '{"targetID":5}'), ("maintenance/downgrade", '{"action":"CANCEL"}'),
         ("maintenance/downgrade", '{"action":"ENABLE","version":"x"}'), ("maintenance/status", "{}"), ("auth/status", "{}"),
         ("auth/enable", "{}"), ("auth/authenticate", '{"name":"x","password":"y"}'), ("auth/role/get", '{"role":"x"}'),
         ("auth/user/list", ""), ("maintenance/snapshot", "x"), ("nothing", "{}"), ("lease/grant", '{"TTL":600,"ID":9}'),
         ("lock/lock", '{"name":"bA==","lease":9}'), ("lock/lock", '{"name":"bA==","lease":"9"}'), ("lock/lock", '{"lease":9}'),
         ("lock/lock", '{"name":"bA==","lease":99}'), ("lock/unlock", '{"key":"bC85"}'), ("lock/unlock", "{}"),
         ("election/leader", '{"name":"ZQ=="}'), ("election/campaign", '{"name":"ZQ==","lease":9,"value":"MQ=="}'),
         ("election/campaign", '{"name":"ZQ==","lease":9,"value":"Mg=="}'), ("election/leader", '{"name":"ZQ=="}'),
         ("election/campaign", '{"name":"ZQ==","lease":99}'), ("election/proclaim", "{}"), ("election/resign", "{}"),
         ("election/proclaim", '{"leader":{"name":"ZQ==","key":"ZS85","rev":"1","lease":"9"},"value":"Mw=="}'),
         ("election/resign", '{"leader":{"name":"ZQ==","key":"ZS85","rev":"1","lease":"9"}}'), ("election/observe", "x"),
         ("maintenance/defragment", "{}"), ("cluster/member/promote", '{"ID":5}'), ("cluster/member/update", '{"ID":5}')]
LINES = ["Grpc-Timeout: soon\r\n", "Grpc-Timeout: 5S\r\n", "Connection: close\r\n", "Expect: nonsense\r\n",
         "Content-Type: application/x-www-form-urlencoded\r\n", "Grpc-Metadata-Hasleader: true\r\n"]
SYNTAX = [b"GET /version HTTP/1.0\r\n\r\n", b"GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          b"GET /version HTTP/1.1\r\n\r\n", b"GET /version HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",
          b"GET /version HTTP/1.1\r\nHost: x\r\nContent-Length: a\r\n\r\n", b"GET http://y/version HTTP/1.1\r\nHost: x\r\n\r\n",
          b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
          b'POST /v3/kv/range HTTP/1.0\r\nContent-Length: 14\r\n\r\n{"key":"YQ=="}',
          b'POST /v3/lease/keepalive HTTP/1.0\r\nContent-Length: 8\r\n\r\n{"ID":7}',
          b'POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n{"key":"YQ=="}',
          b"GET /version HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"GET version HTTP/1.1\r\nHost: x\r\n\r\n",
          b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]


def chosen():
    yield from (get(path) for path in PAGES)
    yield from (get(path, method) for path in ("/health", "/v3/kv/put", "/nothing", "/livez")
                for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
    yield from (post("/v3/kv/put", body) for body in PUTS)
    yield from (post("/v3/kv/range", body) for body in RANGES)
    yield from (post("/v3/kv/txn", body) for body in TXNS)
    yield from (post("/v3/" + path, body) for path, body in CALLS)
    yield from (post("/v3/kv/range", '{"key":"YQ=="}', lines) for lines in LINES)
    yield post("/v3beta/kv/range?x=y", '{"key":"YQ=="}')
    yield from SYNTAX


USERS = [("user/add", '{"name":"root","password":"pw"}'), ("user/add", '{"name":"u","password":"pw"}'),
         ("user/add", '{"name":"n","options":{"no_password":true}}'), ("role/add", '{"name":"root"}'), ("role/add", '{"name":"r"}'),
         ("role/grant", '{"name":"r","perm":{"permType":"READWRITE","key":"YQ==","range_end":"Yg=="}}'),
         ("user/grant", '{"user":"root","role":"root"}'), ("user/grant", '{"user":"u","role":"r"}'), ("role/get", '{"role":"r"}'),
         ("user/get", '{"name":"u"}'), ("user/list", "{}"), ("enable", "{}"), ("status", "{}")]
TOKENS = ["", "Authorization: @u\r\n", "Authorization: Bearer @u\r\n", "Grpc-Metadata-Token: @u\r\n",
          "Grpc-Metadata-Authorization: @u\r\n", "Authorization: @root\r\n", "Authorization: wrong\r\n", "token: @u\r\n",
          "Authorization: bearer @u\r\n", "Grpc-Metadata-Token: @u\r\nAuthorization: wrong\r\n"]
GUARDED = [("kv/range", '{"key":"YQ=="}'), ("kv/range", '{"key":"Yw=="}'), ("kv/put", '{"key":"YWE=","value":"Mg=="}'),
           ("watch", '{"create_request":{"key":"eg=="}}'), ("lease/keepalive", '{"ID":5}'), ("auth/user/list", "{}"),
           ("maintenance/status", "{}"), ("cluster/member/list", "{}"), ("kv/compaction", '{"revision":99}'), ("kv/txn", "{}")]


def guarded():
    yield post("/v3/kv/put", '{"key":"YQ==","value":"MQ=="}')
    yield post("/v3/lease/grant", '{"ID":"5","TTL":"600"}')
    yield from (post("/v3/auth/" + path, body) for path, body in USERS)
    yield from (post("/v3/" + path, body, token) for token in TOKENS for path, body in GUARDED)
    yield from (post("/v3/maintenance/snapshot", "{}", token) for token in TOKENS[:2])
    yield from (post("/v3/auth/authenticate", body) for body in ('{"name":"n","password":"x"}', '{"name":"u"}', "{}"))


def with_tokens(server, request):
    return re.sub(rb"@(\w+)", lambda m: server.token(m[1].decode()).encode(), request)


# --- random JSON ------------------------------------------------------------------------------------------------------

RANGE = ["key", "range_end", "rangeEnd", "limit", "revision", "sort_order", "sortTarget", "keys_only", "count_only",
         "min_mod_revision", "maxCreateRevision", "x"]
PUT = ["key", "value", "lease", "prev_kv", "prevKv", "ignore_value", "ignoreLease", "nope"]
DELETE = ["key", "range_end", "prev_kv"]
TXN = ["compare", "success", "failure"]
FIELDS = {"kv/put": PUT, "kv/range": RANGE, "kv/txn": TXN, "kv/deleterange": DELETE, "lease/timetolive": ["ID", "keys", "id"],
          "auth/role/get": ["role"], "auth/role/grant": ["name", "perm"], "maintenance/hashkv": ["revision"]}
WITHIN = {"compare": ["result", "target", "key", "version", "create_revision", "modRevision", "value", "lease", "range_end"],
          "success": ["request_range", "requestPut", "request_delete_range", "request_txn"], "perm": ["permType", "key", "range_end"],
          "failure": ["request_range", "requestPut"], "request_range": RANGE, "requestPut": PUT, "request_delete_range": DELETE,
          "request_txn": TXN}
SCALARS = ['"YQ=="', '"YQ"', '"Yg=="', '""', '"YWI="', '"-_"', '"*"', '"YQ="', '"Y\\u0051=="', '"\\n"', '"\\u00e9"', '"é"', "0",
           "1", "-1", "2", "99", "1.0", "1.5", "1e2", "1e-2", "-0", "9223372036854775807", "9223372036854775808", "1e19", '"0"',
           '"-1"', '"1.0"', '"01"', '" 1"', '"+1"', '"1e1"', "true", "false", '"true"', "null", '"ASCEND"', '"VERSION"',
           '"GREATER"', '"READ"', '"nope"', "[]", "{}", '["YQ=="]', "[null]", '{"a":1}', "4294967296", "2147483648"]


def random_object(r, fields, depth=0):
    members = []
    for _ in range(r.choice([0, 1, 1, 2, 2, 3, 4])):
        name = r.choice(fields)
        value = r.choice(SCALARS)
        if name in WITHIN and depth < 4 and r.random() < 0.85:
            objects = [random_object(r, WITHIN[name], depth + 1) for _ in range(r.choice([0, 1, 1, 2]))]
            many = name in ("compare", "success", "failure")
            value = "[" + ",".join(objects) + "]" if many else random_object(r, WITHIN[name], depth + 1)
        space = r.choice(["", "", " ", "\n"])
        members.append(f'"{name}"{space}:{space}{value}{space}')
    return "{" + ",".join(members) + "}"


def damaged(r, text):
    if r.random() < 0.8:
        return text
    at = r.randrange(len(text))
    return r.choice([text[:at], text[:at] + text[at + 1:], text[:at] + r.choice('{}[],x1 "\\') + text[at:], text + "x"])


def is_half_number(body):
    """A number in a string with more behind it: protojson reads it up to a delimiter."""
    return re.search(r'"-?[0-9.eE+-]+[ ,:{}\[\]][^"]*"', body)


# --- the comparison ---------------------------------------------------------------------------------------------------


def compare_raw(etcd, tenure, requests):
    for request in requests:
        if any(piece.encode() in request for piece in KNOWN):
            continue
        answers = list(BOTH.map(lambda s: comparable(s.raw(with_tokens(s, request))), (etcd, tenure)))
        if answers[0] != answers[1]:
            yield request, answers


def compare_random(etcd, tenure, n, seed):
    r = random.Random(seed)
    for _ in range(n):
        path = r.choice(list(FIELDS))
        body = damaged(r, random_object(r, FIELDS[path]))
        if is_half_number(body):
            continue
        answers = [(status, *body_lines(text)) for status, text in (s.ask("/v3/" + path, body) for s in (etcd, tenure))]
        if answers[0] != answers[1]:
            yield f"{path} {body}", answers


def report(number, name, differences):
    shown = 0
    for request, (theirs, ours) in differences:
        shown += 1
        if shown <= 20:
            print(f"# request: {request}\n#   etcd:   {theirs!r}\n#   tenure: {ours!r}")
    print(f"{'not ok' if shown else 'ok'} {number} - {name}" + (f" ({shown} differ)" if shown else ""), flush=True)
    return shown == 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--etcd", required=True)
    options.add_argument("--tenure", required=True)
    options.add_argument("--requests", type=int, default=20000)
    options.add_argument("--seed", type=int, default=1)
    o = options.parse_args()
    parts = [
        ("chosen requests are answered alike", lambda *s: compare_raw(*s, chosen())),
        ("with authentication, tokens in any header are taken alike", lambda *s: compare_raw(*s, guarded())),
        (f"{o.requests} random bodies are answered alike", lambda *s: compare_random(*s, o.requests, o.seed)),
    ]
    print(f"1..{len(parts)}", flush=True)
    good = True
    for number, (name, differences) in enumerate(parts, 1):
        servers = [Server("etcd", o.etcd), Server("tenure", o.tenure)]
        try:
            good &= report(number, name, differences(*servers))
        finally:
            for s in servers:
                s.stop()
    raise SystemExit(0 if good else 1)


main()
