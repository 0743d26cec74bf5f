#!/usr/bin/env python3
"""The JSON gateway and the pages beside it, over plain HTTP. Runs on `tenure serve` and on etcd 3.4 alike, but for what etcd
answers otherwise since 3.5, which is asked of ours alone."""

import base64
import http.client
import json

from harness import *


def b64(text):
    return base64.b64encode(text.encode()).decode()


def connect(w):
    return http.client.HTTPConnection("127.0.0.1", w.server.port, timeout=PATIENCE_S)


def post(c, path, body, **headers):
    """Status and parsed body, without what differs from server to server."""
    c.request("POST", path, body if isinstance(body, (str, bytes)) else json.dumps(body), headers)
    r = c.getresponse()
    return r.status, strip(json.loads(r.read()))


def strip(answer):
    if isinstance(answer, dict):
        for name in ("cluster_id", "member_id", "raft_term"):
            answer.pop(name, None)
        answer.pop("error", None) if isinstance(answer.get("error"), str) else None  # 3.4 says it twice
        for value in answer.values():
            strip(value)
    if isinstance(answer, list):
        for value in answer:
            strip(value)
    return answer


def keys(w):
    """keys are written, read, changed in transactions and deleted"""
    c = connect(w)
    a, b, one = b64("a"), b64("b"), b64("1")
    equal(post(c, "/v3/kv/put", {"key": a, "value": one}), (200, {"header": {"revision": "2"}}))
    equal(post(c, "/v3/kv/put", {"key": a, "value": b64("2"), "prev_kv": True}),
          (200, {"header": {"revision": "3"}, "prev_kv": {
              "key": a, "create_revision": "2", "mod_revision": "2", "version": "1", "value": one}}))
    equal(post(c, "/v3/kv/range", {"key": a, "rangeEnd": b64("\0"), "sort_order": "DESCEND", "limit": "1"}),
          (200, {"header": {"revision": "3"}, "count": "1", "kvs": [
              {"key": a, "create_revision": "2", "mod_revision": "3", "version": "2", "value": b64("2")}]}))
    txn = {"compare": [{"key": a, "target": "VERSION", "result": "EQUAL", "version": 2}],
           "success": [{"requestPut": {"key": b, "value": one}}, {"request_range": {"key": b, "keys_only": True}}],
           "failure": [{"request_delete_range": {"key": a}}]}
    equal(post(c, "/v3/kv/txn", txn),
          (200, {"header": {"revision": "4"}, "succeeded": True, "responses": [
              {"response_put": {"header": {"revision": "4"}}},
              {"response_range": {"header": {"revision": "4"}, "count": "1", "kvs": [
                  {"key": b, "create_revision": "4", "mod_revision": "4", "version": "1"}]}}]}))
    equal(post(c, "/v3/kv/range", {"key": a, "revision": 2}),
          (200, {"header": {"revision": "4"}, "count": "1", "kvs": [
              {"key": a, "create_revision": "2", "mod_revision": "2", "version": "1", "value": one}]}))
    equal(post(c, "/v3/kv/compaction", {"revision": "3"}), (200, {"header": {"revision": "4"}}))
    equal(post(c, "/v3/kv/range", {"key": a, "revision": 2}),
          (400, {"code": 11, "message": "etcdserver: mvcc: required revision has been compacted"}))
    equal(post(c, "/v3/kv/deleterange", {"key": a, "range_end": b64("c"), "prev_kv": False}),
          (200, {"header": {"revision": "5"}, "deleted": "2"}))
    equal(post(c, "/v3/kv/range", {"key": a}), (200, {"header": {"revision": "5"}}))


def errors(w):
    """what is wrong is told by status, code and message, and the connection goes on"""
    c = connect(w)
    equal(post(c, "/v3/kv/put", ""), (400, {"code": 3, "message": "etcdserver: key is not provided"}))
    equal(post(c, "/v3/kv/put", {"key": b64("a"), "lease": "99"}),
          (404, {"code": 5, "message": "etcdserver: requested lease not found"}))
    equal(post(c, "/v3/lease/revoke", {"ID": 99}), (404, {"code": 5, "message": "etcdserver: requested lease not found"}))
    for bad in ('{"key":', '{"key":5}', '{"key":"*"}', '{"lease":"x"}', "[]"):
        status, answer = post(c, "/v3/kv/put", bad)
        equal((status, answer["code"]), (400, 3), bad)
    for fine in ('{"key":"YQ==","nothing":{"x":[1]}}', '{"key":"YQ=="} {"key":', '{"key":"YQ==","lease":null}'):
        equal(post(c, "/v3/kv/put", fine)[0], 200, fine)
    equal(post(c, "/v3/kv/put", {"key": b64("a"), "value": "A" * (3 << 20)})[0], 429)


def wrong_paths(w):
    """unknown paths and methods have the gateway's own errors"""
    if w.server_kind == "etcd":
        raise Skip("3.4 has others")
    c = connect(w)
    equal(post(c, "/v3/nothing", {}), (404, {"code": 5, "message": "Not Found"}))
    c.request("GET", "/v3/kv/put")
    r = c.getresponse()
    equal((r.status, json.loads(r.read())), (501, {"code": 12, "message": "Method Not Allowed"}))
    for bad in ("null", '{"key":"YQ==","key":"YQ=="}', '{"key":"YQ==","lease":1e400}'):
        equal(post(c, "/v3/kv/put", bad)[0], 400, bad)
    equal(post(c, "/v3/kv/range", '{"key":"YQ","sort_order":"SIDEWAYS"}')[0], 200)
    equal(post(c, "/v3beta/kv/range", '{"key":"YQ"}')[0], 200)


def leases(w):
    """leases are granted, renewed by a stream, listed and revoked"""
    c = connect(w)
    equal(post(c, "/v3/lease/grant", {"TTL": 300, "ID": "7"}), (200, {"header": {"revision": "1"}, "ID": "7", "TTL": "300"}))
    equal(post(c, "/v3/kv/put", {"key": b64("a"), "lease": 7})[0], 200)
    equal(post(c, "/v3/lease/keepalive", {"ID": 7}),
          (200, {"result": {"header": {"revision": "2"}, "ID": "7", "TTL": "300"}}))
    equal(post(c, "/v3/lease/keepalive", {"ID": 8}), (200, {"result": {"header": {"revision": "2"}, "ID": "8"}}))
    status, answer = post(c, "/v3/kv/lease/timetolive", {"ID": 7, "keys": True})
    equal((status, answer["grantedTTL"], answer["keys"]), (200, "300", [b64("a")]))
    equal(post(c, "/v3/kv/lease/leases", {}), (200, {"header": {"revision": "2"}, "leases": [{"ID": "7"}]}))
    equal(post(c, "/v3/kv/lease/revoke", {"ID": 7}), (200, {"header": {"revision": "3"}}))
    equal(post(c, "/v3/kv/range", {"key": b64("a")}), (200, {"header": {"revision": "3"}}))


def next_line(r):
    return strip(json.loads(r.readline()))


def watch(w):
    """a watch tells that it is there before any event, and goes on behind the end of its request"""
    c, d = connect(w), connect(w)
    d.request("POST", "/v3/watch", json.dumps({"create_request": {"key": b64("a"), "range_end": b64("b"), "prev_kv": True}}))
    r = d.getresponse()
    equal((r.status, r.getheader("Transfer-Encoding")), (200, "chunked"))
    equal(next_line(r), {"result": {"header": {"revision": "1"}, "created": True}})
    post(c, "/v3/kv/put", {"key": b64("a"), "value": b64("1")})
    kv = {"key": b64("a"), "create_revision": "2", "mod_revision": "2", "version": "1", "value": b64("1")}
    equal(next_line(r), {"result": {"header": {"revision": "2"}, "events": [{"kv": kv}]}})
    post(c, "/v3/kv/deleterange", {"key": b64("a")})
    equal(next_line(r), {"result": {"header": {"revision": "3"}, "events": [
        {"type": "DELETE", "kv": {"key": b64("a"), "mod_revision": "3"}, "prev_kv": kv}]}})
    d.close()


def open_watch(w):
    """a watch is answered while its request is open, and takes more from it"""
    if w.server_kind == "etcd":
        raise Skip("Go's server answers only when it has read a request's body")
    with socket.create_connection(("127.0.0.1", w.server.port), PATIENCE_S) as s:
        def say(text):
            s.sendall(f"{len(text):x}\r\n{text}\r\n".encode())

        s.sendall(b"POST /v3/watch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        say('{"create_request":{"key":"YQ=="}}')
        r = http.client.HTTPResponse(s)
        r.begin()
        equal(next_line(r), {"result": {"header": {"revision": "1"}, "created": True}})
        say('{"create_request":{"key":"Yg==","watch_id":5}}\n{"progress_request":{}}')
        equal(next_line(r), {"result": {"header": {"revision": "1"}, "watch_id": "5", "created": True}})
        equal(next_line(r), {"result": {"header": {"revision": "1"}, "watch_id": "-1"}})


def cluster(w):
    """members and status have their fields"""
    c = connect(w)
    status, members = post(c, "/v3/cluster/member/list", {})
    member = members["members"][0]
    equal((status, len(members["members"]), member["clientURLs"]), (200, 1, [w.server.url]))
    true(member["ID"].isdigit() and member["name"] == "default", member)
    status, answer = post(c, "/v3/maintenance/status", {})
    equal((status, answer["leader"]), (200, member["ID"]))
    true({"version", "dbSize", "raftIndex", "raftTerm", "raftAppliedIndex", "dbSizeInUse"} <= set(answer), answer)


def auth(w):
    """tokens come from the gateway and go into the header Authorization"""
    c = connect(w)
    status, answer = post(c, "/v3/auth/user/add", {"name": "root", "password": "secret"})
    if status == 501:
        raise Skip(answer["message"])
    equal(status, 200)
    equal(post(c, "/v3/auth/role/add", {"name": "root"})[0], 200)
    equal(post(c, "/v3/auth/user/grant", {"user": "root", "role": "root"})[0], 200)
    equal(post(c, "/v3/auth/enable", {})[0], 200)
    equal(post(c, "/v3/kv/put", {"key": b64("a")}), (400, {"code": 3, "message": "etcdserver: user name is empty"}))
    equal(post(c, "/v3/auth/authenticate", {"name": "root", "password": "wrong"}),
          (400, {"code": 3, "message": "etcdserver: authentication failed, invalid user ID or password"}))
    token = post(c, "/v3/auth/authenticate", {"name": "root", "password": "secret"})[1]["token"]
    equal(post(c, "/v3/kv/put", {"key": b64("a")}, Authorization=token)[0], 200)
    equal(post(c, "/v3/kv/put", {"key": b64("a")}, **{"Grpc-Metadata-Token": token})[0], 200)
    equal(post(c, "/v3/kv/put", {"key": b64("a")}, Authorization="nonsense"),
          (401, {"code": 16, "message": "etcdserver: invalid auth token"}))
    if w.server_kind == "tenure":  # later than 3.4
        equal(post(c, "/v3/kv/put", {"key": b64("a")}, Authorization="Bearer " + token)[0], 200)


def get(c, path, method="GET"):
    c.request(method, path)
    r = c.getresponse()
    return r.status, r.read().decode()


def pages(w):
    """version, health and metrics are told, and nothing else"""
    c = connect(w)
    status, version = get(c, "/version")
    true(status == 200 and set(json.loads(version)) >= {"etcdserver", "etcdcluster"}, version)
    true(all(part.isdigit() for part in json.loads(version)["etcdserver"].split(".")), version)
    status, health = get(c, "/health")
    equal((status, json.loads(health)["health"]), (200, "true"))
    equal(get(c, "/nothing"), (404, "404 page not found\n"))
    equal(get(c, "/version", "POST")[0], 405)
    equal(get(c, "/health", "HEAD"), (405, ""))
    post(c, "/v3/kv/put", {"key": b64("a")})
    status, metrics = get(c, "/metrics")
    equal(status, 200)
    for line in ("etcd_server_has_leader 1", "etcd_server_is_leader 1", "etcd_debugging_mvcc_keys_total 1",
                 'grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1'):
        true(f"\n{line}\n" in metrics, line)
    for name in ("etcd_disk_wal_fsync_duration_seconds_count", "etcd_disk_backend_commit_duration_seconds_sum",
                 "process_resident_memory_bytes", "process_open_fds", "etcd_mvcc_db_total_size_in_bytes"):
        true(f"\n{name} " in metrics, name)


def curl(w):
    """curl gets through as it is: 100-continue, chunks, HTTP/1.0, HEAD, OPTIONS, and another request on the connection"""
    def run(*args):
        return w.run(["curl", "-sS", "--max-time", str(PATIENCE_S), *args], check=True).stdout

    put = w.server.url + "/v3/kv/put"
    one = json.dumps({"key": b64("a"), "value": b64("x" * 5000)})
    code = ["-o", "/dev/null", "-w", "%{http_code}"]
    equal(run(*code, "-H", "Expect: 100-continue", "-d", one, put), "200")
    equal(run(*code, "-H", "Transfer-Encoding: chunked", "-d", one, put), "200")
    equal(run(*code, "--http1.0", "-d", one, put), "200")
    equal(run("-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} %{num_connects} ", "-d", "{}", put, put), "400 1 400 0 ")
    true("\naccess-control-allow-origin: *\n" in run("-i", "-X", "OPTIONS", put).lower().replace("\r", ""), "CORS")


def slow_watcher(w):
    """a watcher that does not read holds up nobody"""
    if w.server_kind == "etcd":
        raise Skip("of ours")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", w.server.port))
        s.sendall(b'POST /v3/watch HTTP/1.1\r\nHost: h\r\nContent-Length: 33\r\n\r\n{"create_request":{"key":"YQ=="}}')
        c = connect(w)
        for i in range(40):
            equal(post(c, "/v3/kv/put", {"key": b64("a"), "value": b64("x" * 500000)})[0], 200)


main([keys, errors, wrong_paths, leases, watch, open_watch, cluster, auth, pages, curl, slow_watcher])
