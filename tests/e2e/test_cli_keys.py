"""The commands on keys, leases and servers: what they print, in text and JSON, and what they answer."""

import base64
import json
import os
import re
import signal
from http.client import HTTPConnection

from harness import *


def lines_of(result):
    return result.stdout.splitlines()


def as_json(world, *args):
    return json.loads(world.tenure(*args, "-o", "json", check=True).stdout)


# --- keys -------------------------------------------------------------------------------------------------------------


def put_and_get(world):
    """what was put is got, as key and value on a line each, or as JSON with its revisions"""
    equal(world.tenure("put", "a", "one", check=True).stdout, "OK\n")
    equal(world.tenure("get", "a").stdout, "a\none\n")
    world.tenure("put", "a", "two", check=True)
    got = as_json(world, "get", "a")
    kv = got["kvs"][0]
    equal((kv["key"], kv["value"], kv["version"]), ("a", "two", 2))
    equal((kv["mod_revision"], got["revision"], kv["create_revision"] + 1), (got["revision"],) * 2 + (got["revision"],))


def etcdctl_sees_the_same(world):
    """etcdctl reads what tenure wrote and prints the same lines, and the other way round"""
    world.tenure("put", "/a/1", "one", check=True)
    world.etcdctl("put", "/a/2", "two", check=True)
    equal(world.tenure("get", "--prefix", "/a/").stdout, world.etcdctl("get", "--prefix", "/a/").stdout)
    equal(world.tenure("get", "--prefix", "/a/").stdout, "/a/1\none\n/a/2\ntwo\n")


def absent_keys(world):
    """a key that does not exist prints nothing and is no failure"""
    got = world.tenure("get", "nothing")
    equal((got.returncode, got.stdout), (0, ""))
    equal(as_json(world, "get", "nothing")["kvs"], [])
    gone = world.tenure("del", "nothing")
    equal((gone.returncode, gone.stdout), (0, "0\n"))


def ranges(world):
    """prefix, range end, from-key, limit, order and count choose what is read"""
    for n in range(5):
        world.tenure("put", f"k{n}", f"v{n}", check=True)
    keys = lambda *args: lines_of(world.tenure("get", "--keys-only", *args, check=True))
    equal(keys("--prefix", "k"), ["k0", "k1", "k2", "k3", "k4"])
    equal(keys("k1", "k3"), ["k1", "k2"])
    equal(keys("--from-key", "k3"), ["k3", "k4"])
    equal(keys("--prefix", "k", "--limit", "2"), ["k0", "k1"])
    equal(keys("--prefix", "k", "--order", "descend", "--limit", "2"), ["k4", "k3"])
    equal(keys("--prefix", "k", "--sort-by", "modify", "--order", "descend", "--limit", "1"), ["k4"])
    wrong = world.tenure("get", "k", "--order", "up")
    equal((wrong.returncode, wrong.stderr), (2, "tenure get: option --order: 'up' is not none, ascend or descend\n"))
    equal(world.tenure("get", "--prefix", "k", "--count-only").stdout, "5\n")
    equal(world.tenure("get", "k1", "--print-value-only").stdout, "v1\n")
    got = as_json(world, "get", "--prefix", "k", "--limit", "2")
    equal((got["count"], got["more"], len(got["kvs"])), (5, True, 2))


def the_past(world):
    """--rev reads the past; the future is an error that says so"""
    world.tenure("put", "a", "one", check=True)
    then = as_json(world, "get", "a")["revision"]
    world.tenure("put", "a", "two", check=True)
    equal(world.tenure("get", "a", "--rev", str(then), "--print-value-only").stdout, "one\n")
    future = world.tenure("get", "a", "--rev", str(then + 1000))
    true(future.returncode != 0 and "future" in future.stderr, f"it says so: {future.stderr!r}")


def deleting(world):
    """del says how many it deleted, and what was there when asked"""
    for n in range(3):
        world.tenure("put", f"k{n}", f"v{n}", check=True)
    equal(world.tenure("del", "k0", "--prev-kv").stdout, "1\nk0\nv0\n")
    gone = as_json(world, "del", "--prefix", "k", "--prev-kv")
    equal((gone["deleted"], [kv["key"] for kv in gone["prev_kvs"]]), (2, ["k1", "k2"]))


def values_from_input(world):
    """without a value put reads it from standard input, byte for byte"""
    world.tenure("put", "a", input="line one\nline two\n", check=True)
    equal(world.tenure("get", "a", "--print-value-only").stdout, "line one\nline two\n\n")
    equal(as_json(world, "get", "a")["kvs"][0]["value"], "line one\nline two\n")
    world.tenure("put", "a", "", check=True)
    equal(as_json(world, "get", "a")["kvs"][0]["value"], "")


def bytes_that_are_no_text(world):
    """bytes that are not UTF-8 go through as they are, and into JSON as base64"""
    path = world.path("bytes")
    data = bytes(range(256)) * 100
    Path(path).write_bytes(data)
    world.run(["sh", "-c", '"$0" put a <"$1"', TENURE, path], check=True)
    world.run(["sh", "-c", '"$0" get a --print-value-only >"$1"', TENURE, path + ".out"], check=True)
    equal(Path(path + ".out").read_bytes(), data + b"\n")
    import base64

    equal(base64.b64decode(as_json(world, "get", "a")["kvs"][0]["value_base64"]), data)


def too_large(world):
    """a value over the server's bound is refused with a reason"""
    result = world.tenure("put", "a", input="x" * 1_700_000)
    true(result.returncode == 1 and "too large" in result.stderr, f"{result.returncode}: {result.stderr!r}")
    equal(world.tenure("get", "a").stdout, "")


def previous_values(world):
    """put --prev-kv prints what was there before"""
    world.tenure("put", "a", "one", check=True)
    equal(world.tenure("put", "a", "two", "--prev-kv").stdout, "OK\na\none\n")


# --- watching ---------------------------------------------------------------------------------------------------------


def watched(world):
    """watch prints changes as they happen and ends with 0 on INT"""
    watch = world.start("watch", "--prefix", "w", "-o", "json", "--rev", "1")
    world.tenure("put", "w1", "one", check=True)
    world.tenure("put", "other", "x", check=True)
    world.tenure("del", "w1", check=True)
    first, second = (json.loads(watch.stdout.readline()) for _ in range(2))
    equal((first["type"], first["kv"]["key"], first["kv"]["value"]), ("PUT", "w1", "one"))
    equal((second["type"], second["kv"]["key"]), ("DELETE", "w1"))
    true(second["revision"] > first["revision"], "in the order of revisions")
    watch.send_signal(signal.SIGINT)
    equal(watch.wait(PATIENCE_S), 0)


def watched_from_the_past(world):
    """watch --rev catches up with the past; --count ends it"""
    world.tenure("put", "a", "one", check=True)
    rev = as_json(world, "get", "a")["revision"]
    world.tenure("put", "a", "two", check=True)
    equal(world.tenure("watch", "a", "--rev", str(rev), "--count", "2").stdout, "PUT\na\none\nPUT\na\ntwo\n")
    third = world.tenure("watch", "a", "--rev", str(rev + 1), "--count", "1", "--prev-kv", "-o", "json")
    equal(json.loads(third.stdout)["prev_kv"]["value"], "one")


def watched_much(world):
    """a past that is larger than the client holds at a time is printed whole, in order and once"""
    value = base64.b64encode(b"x" * 1400000).decode()
    http = HTTPConnection(world.server.url.split("//")[1])
    for n in range(60):
        key = base64.b64encode(b"k%02d" % n).decode()
        http.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": value}))
        answer = http.getresponse()
        equal((answer.status, answer.read() != b""), (200, True))
    http.request("POST", "/v3/kv/put", json.dumps({"key": base64.b64encode(b"k60").decode()}))
    http.getresponse().read()
    seen = world.run(["sh", "-c", '"$0" watch --prefix k --rev 2 -n 61 | grep "^k"', TENURE])
    equal(lines_of(seen), [f"k{n:02}" for n in range(61)], seen.stderr)
    equal(seen.stderr, "")
    http.close()


def watched_through_a_restart(world):
    """a watch survives a server that is killed and comes back: nothing missed, nothing twice"""
    watch = world.start("watch", "--prefix", "w", "-o", "json", "--rev", "1")
    world.tenure("put", "w", "0", check=True)
    equal(json.loads(watch.stdout.readline())["kv"]["value"], "0")
    for n in range(1, 4):
        world.server.kill()
        world.server.start()
        world.tenure("put", "w", str(n), check=True)
        equal(json.loads(watch.stdout.readline())["kv"]["value"], str(n))
    watch.terminate()
    equal(watch.wait(PATIENCE_S), 0)


def watched_by_nobody(world):
    """a watch whose reader went away ends"""
    watch = world.start("-c", '"$0" watch --prefix w --rev 1 | head -n 1; echo "${PIPESTATUS[0]}"', TENURE, program="bash")
    await_(lambda: children(watch.pid), "it runs")
    until = time.monotonic() + PATIENCE_S
    while watch.poll() is None and time.monotonic() < until:
        world.tenure("put", "w", "x")
    true(watch.poll() is not None, "it has ended")


# --- leases -----------------------------------------------------------------------------------------------------------


def leases(world):
    """a lease is granted, listed, renewed, looked at and revoked, and its keys go with it"""
    granted = world.tenure("lease", "grant", "60", check=True).stdout
    lease = re.fullmatch(r"lease ([0-9a-f]{16}) granted with TTL\(60s\)\n", granted).group(1)
    world.tenure("put", "a", "one", "--lease", lease, check=True)
    equal(as_json(world, "get", "a")["kvs"][0]["lease"], lease)
    equal(lines_of(world.tenure("lease", "list")), [lease])
    equal(world.tenure("lease", "keepalive", lease, "--once").stdout, f"lease {lease} keepalived with TTL(60s)\n")
    info = as_json(world, "lease", "ttl", lease, "--keys")
    equal((info["lease"], info["granted_ttl"], info["keys"]), (lease, 60, [{"key": "a"}]))
    equal(world.tenure("lease", "revoke", lease, check=True).stdout, f"lease {lease} revoked\n")
    equal(world.tenure("get", "a").stdout, "")
    true(world.tenure("lease", "revoke", lease).returncode == 1, "it is gone")
    equal(world.tenure("lease", "ttl", lease).returncode, 1)
    equal(world.tenure("lease", "keepalive", lease).returncode, 1)


def leases_with_a_chosen_id(world):
    """a lease can have an id of one's choice, once"""
    equal(as_json(world, "lease", "grant", "5m", "--id", "77"), {"lease": "0000000000000077", "ttl": 300})
    again = world.tenure("lease", "grant", "60", "--id", "77")
    true(again.returncode == 1 and "exists" in again.stderr, f"refused: {again.stderr!r}")


def leases_renewed(world):
    """keepalive goes on until it is stopped, and the lease outlives its TTL"""
    lease = as_json(world, "lease", "grant", "2")["lease"]
    renewing = world.start("lease", "keepalive", lease)
    begun = boottime_ms()
    await_(lambda: boottime_ms() > begun + 5000, "twice the TTL passes")
    equal(lines_of(world.tenure("lease", "list")), [lease])
    renewing.send_signal(signal.SIGINT)
    equal(renewing.wait(PATIENCE_S), 0)


def leases_renewed_through_a_restart(world):
    """keepalive bears a server that is away for less than the TTL"""
    lease = as_json(world, "lease", "grant", "12")["lease"]
    renewing = world.start("lease", "keepalive", lease, "--call-timeout", "1")
    renewing.stdout.readline()
    world.server.kill()
    world.server.start()
    renewing.stdout.readline()
    true(renewing.poll() is None, "it goes on")
    renewing.terminate()
    equal(renewing.wait(PATIENCE_S), 0)


# --- servers ----------------------------------------------------------------------------------------------------------


def status(world):
    """status asks each endpoint by itself, and says which does not answer"""
    world.tenure("put", "a", "one", check=True)
    up = as_json(world, "status")["endpoints"][0]
    equal((up["endpoint"], up["leader"], up["errors"]), (world.server.url, True, []))
    true(up["revision"] >= 2 and re.fullmatch(r"3\.\d+\.\d+", up["version"]), f"{up}")
    dead = f"http://127.0.0.1:{free_port()}"
    both = world.tenure("status", "--endpoints", f"{world.server.url},{dead}", "--call-timeout", "1")
    equal(both.returncode, 3)
    first, second = lines_of(both)
    true(first.startswith(f"{world.server.url}  up, ") and second.startswith(f"{dead}  down: "), both.stdout)
    true(as_json(world, "status", "--members")["members"], "the members are listed")


def unavailable(world):
    """no server: exit code 3, the endpoint is named, and a hint given"""
    dead = f"http://127.0.0.1:{free_port()}"
    for args in (("get", "a"), ("put", "a", "b"), ("del", "a"), ("lease", "list"), ("lease", "grant", "5")):
        result = world.tenure(*args, "--endpoints", dead, "--call-timeout", "0.5")
        equal(result.returncode, 3, f"exit code of {args}")
        true(dead.split("//")[1] in result.stderr and "try: " in result.stderr, f"message of {args}: {result.stderr!r}")


def the_second_endpoint(world):
    """of several endpoints one that answers is enough"""
    dead = f"http://127.0.0.1:{free_port()}"
    equal(world.tenure("put", "a", "one", "--endpoints", f"{dead},{world.server.url}").returncode, 0)


def unix_sockets(world):
    """a server is reached by a unix socket too"""
    if world.server_kind == "etcd":
        raise Skip("etcd's unix sockets have names of their own kind")
    path = world.path("s.sock")
    server = world.start("serve", "--data-dir", world.path("d2"), "--listen-client-urls", f"unix://{path}")
    server.stdout.readline()
    equal(world.tenure("put", "a", "one", "--endpoints", f"unix://{path}").returncode, 0)
    server.terminate()
    equal(server.wait(PATIENCE_S), 0)


def the_quota(world):
    """who is refused because the quota is used up is told what ends that"""
    if world.server_kind == "etcd":
        raise Skip("its bound counts what it has set aside")
    path = world.path("s.sock")
    server = world.start("serve", "--data-dir", world.path("d2"), "--listen-client-urls", f"unix://{path}",
                         "--quota-backend-bytes", "1000000")
    server.stdout.readline()
    puts = [world.tenure("put", f"k{n}", "--endpoints", f"unix://{path}", input="x" * 700000) for n in range(3)]
    equal(puts[-1].returncode, 1)
    true("space exceeded" in puts[-1].stderr and "alarm disarm" in puts[-1].stderr, puts[-1].stderr)


def broken_output(world):
    """output that cannot be written is a failure, not silence"""
    world.tenure("put", "a", "one", check=True)
    result = world.run(["sh", "-c", '"$0" get a >/dev/full', TENURE])
    true(result.returncode == 1 and "standard output" in result.stderr, f"{result.returncode}: {result.stderr!r}")
    world.tenure("config", "set", "big", "x" * 100000, check=True)  # more than a buffer, written at once
    for command in "config export --format json", "doctor":
        result = world.run(["sh", "-c", f'"$0" {command} >/dev/full', TENURE])
        true(result.returncode == 1 and "standard output" in result.stderr, f"{command}: {result.returncode}: {result.stderr!r}")


def closed_descriptors(world):
    """without standard descriptors: input and output that are needed fail as they would, all else works"""
    shell = lambda line: world.run(["sh", "-c", line, TENURE])
    equal(shell('"$0" put a one <&- 2>&-').returncode, 0)
    unread = shell('"$0" put a <&-')
    true(unread.returncode == 1 and "standard input" in unread.stderr, f"{unread.returncode}: {unread.stderr!r}")
    unwritten = shell('"$0" get a >&-')
    true(unwritten.returncode == 1 and "standard output" in unwritten.stderr, f"{unwritten.returncode}: {unwritten.stderr!r}")
    equal(shell('"$0" lock x -- true <&- >&- 2>&-').returncode, 0)
    equal(shell('"$0" lock x -- sh -c "read a" <&-').returncode, 1)


main([put_and_get, etcdctl_sees_the_same, absent_keys, ranges, the_past, deleting, values_from_input, bytes_that_are_no_text,
      too_large, previous_values, watched, watched_from_the_past, watched_much, watched_through_a_restart,
      watched_by_nobody, leases, leases_with_a_chosen_id, leases_renewed, leases_renewed_through_a_restart, status, unavailable, the_second_endpoint,
      unix_sockets, the_quota, broken_output, closed_descriptors])
