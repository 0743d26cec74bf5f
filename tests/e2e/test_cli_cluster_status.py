#!/usr/bin/env python3
"""tenure cluster status: clocks, disks, certificates and faults of versions, of members that are well, slow, off and silent."""

import email.utils
import json
import threading
import time

from clusters import *

SLOW = """# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 10
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.032"} 900
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.064"} 1000
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 1000
etcd_disk_wal_fsync_duration_seconds_sum 20
etcd_disk_wal_fsync_duration_seconds_count 1000
"""
FAST = SLOW.replace('le="0.001"} 10', 'le="0.001"} 1000').replace("} 900", "} 1000")


class Front:
    """In front of a server: gRPC goes through; pages are its own, with a clock that is `ahead` and these numbers (None: no pages)."""

    def __init__(self, target=None, ahead=0.0, metrics=FAST):
        self.target, self.ahead, self.metrics = target, ahead, metrics
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, s):
        with contextlib.suppress(OSError), s:
            first = s.recv(65536)
            if first.startswith(b"PRI"):
                with socket.create_connection(("127.0.0.1", self.target)) as back:
                    back.sendall(first)
                    threading.Thread(target=self.carry, args=(back, s), daemon=True).start()
                    self.carry(s, back)
            while first and self.metrics is not None and first.startswith(b"GET"):
                body = self.metrics if first.startswith(b"GET /metrics ") else "{}"
                date = email.utils.formatdate(int(time.time() + self.ahead), usegmt=True)
                s.sendall(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                first = s.recv(65536)

    @staticmethod
    def carry(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def end(self):
        self.listener.close()


def three_behind(w, fronts):
    """Three members of etcd that advertise the fronts as their own addresses."""
    names = [f"m{i + 1}" for i in range(3)]
    peers = {name: f"http://127.0.0.1:{free_port()}" for name in names}
    for name, front in zip(names, fronts):
        front.target = free_port()
        client = f"http://127.0.0.1:{front.target}"
        with open(w.path(f"{name}.log"), "wb") as log:
            w.start("--name", name, "--data-dir", w.path(name), "--listen-client-urls", client, "--advertise-client-urls", front.url,
                    "--listen-peer-urls", peers[name], "--initial-advertise-peer-urls", peers[name], "--initial-cluster",
                    ",".join(f"{n}={u}" for n, u in peers.items()), "--logger", "zap", program="etcd", stdout=log, stderr=log)


def status(w, endpoints, *args, **env):
    got = w.run([TENURE, "cluster", "status", "--endpoints", endpoints, "-o", "json", *args], env=w.environment(**env))
    if not got.stdout:
        return got.returncode, {}, got.stderr
    told = json.loads(got.stdout)
    return got.returncode, told, {m["name"]: m for m in told["members"]}


def about(told, who):
    return " / ".join(f"{f['level']} {f['text']}" for f in told["warnings"] if f["about"] == who)


def clocks_and_disks(w):
    """a clock that is off, a slow disk, a silent member and the stale reads of etcd 3.4 are named; strict it is 1"""
    fronts = [Front(), Front(ahead=7.25, metrics=SLOW), Front(ahead=-0.25)]
    with contextlib.ExitStack() as ends:
        for front in fronts:
            ends.callback(front.end)
        three_behind(w, fronts)
        where = ",".join(front.url for front in fronts)
        await_(lambda: status(w, where, "--quick")[0] == 0, "they serve", PATIENCE_S * 2)
        code, told, members = status(w, where)
        equal((code, told["well"], sorted(members)), (0, True, ["m1", "m2", "m3"]), f"well, {told}")
        for name, front in zip(sorted(members), fronts):
            m = members[name]
            # The front's whole seconds are of the clock that is ahead of ours: it is within what was said, rounded.
            true(abs(m["clock_offset_ms"] - front.ahead * 1000) <= m["clock_error_ms"] + 1, f"{name}: {m}")
        true(abs(told["clocks_apart_ms"] - 7500) <= told["clocks_error_ms"] + 1, f"apart: {told}")
        true("warn m2's is " in about(told, "clocks") and "ahead of m3's" in about(told, "clocks"), f"clocks: {told['warnings']}")
        true(60 < members["m2"]["fsync_p99_ms"] < 64 and members["m1"]["fsync_p99_ms"] <= 1, f"fsync: {members}")
        true("a slow disk: a sync of its log takes up to 61 ms" in about(told, "m2"), about(told, "m2"))
        equal((about(told, "m1"), about(told, "m3")), ("", ""), "of the others nothing")
        version = members["m1"]["version"]
        if version.startswith("3.4.") and 20 <= int(version.split(".")[2]) < 42:
            true(": linearizable reads can be stale" in about(told, f"etcd {version}"), f"{told['warnings']}")
            true(any("stale" in f["fault"] and f["fixed"] == "3.4.42" for f in members["m3"]["faults"]), f"{members['m3']}")
        code, told, _ = status(w, where, "--strict")
        equal((code, told["well"]), (1, False), "strict")
        code, told, members = status(w, where, "--quick")
        true(code == 0 and "clock_offset_ms" not in members["m1"] and about(told, "clocks") == "", f"quick: {told}")
        fronts[0].metrics = None
        code, told, members = status(w, where)
        true("clock_offset_ms" not in members["m1"] and members["m1"]["pages_error"], f"silent: {members['m1']}")
        equal((code, "clock_offset_ms" in members["m3"]), (0, True), "the others")
        text = w.run([TENURE, "cluster", "status", "--endpoints", where], env=w.environment())
        row = next(line for line in text.stdout.splitlines() if line.startswith("m1"))
        true("unknown" in row and "warn  clocks: " in text.stdout and "      try: " in text.stdout, text.stdout)


def one_server(w):
    """`tenure serve` alone: its clock is this machine's, its disk is measured, nothing is warned of; doctor says the same"""
    for i in range(5):
        w.tenure("put", f"a{i}", "b", check=True)
    code, told, members = status(w, w.server.url, "--strict")
    m = next(iter(members.values()))
    equal((code, told["voters"], "clocks_apart_ms" in told), (0, 1, False), f"alone: {told}")
    true(abs(m["clock_offset_ms"]) <= m["clock_error_ms"] + 1, f"its clock: {m}")
    true(m["fsyncs"] > 0 and m["fsync_p99_ms"] > 0 and m["commit_p99_ms"] > 0, f"its disk: {m}")
    got = json.loads(w.run([TENURE, "doctor", "-o", "json"], env=w.environment()).stdout)["findings"]
    true(any(f["about"] == w.server.url and "disk: syncs take" in f["text"] for f in got), f"doctor: {got}")


def certificates(w):
    """over TLS with the client's certificate: clock and disk are known, a certificate in its last days is warned of, `top` counts too"""
    w.run([TENURE, "cluster", "plan", w.path("soon"), "--members", "a=127.0.0.1", "--days", "10"], env=w.environment(), check=True)
    files, client = w.path("soon/hosts/a"), w.path("soon/client")
    own = ("--cacert", f"{client}/ca.crt", "--cert", f"{client}/client.crt", "--key", f"{client}/client.key")
    p = w.start("serve", "--data-dir", w.path("data"), "--listen-client-urls", "https://127.0.0.1:0", "--cert-file",
                f"{files}/server.crt", "--key-file", f"{files}/server.key", "--trusted-ca-file", f"{files}/ca.crt",
                "--client-cert-auth", env=dict(os.environ))
    line = p.stdout.readline()
    true("serving" in line, line)
    url = line.split()[2]
    for args, wanted in ((("--strict",), 1), ((), 0)):
        code, told, members = status(w, url, *args, *own)
        m = next(iter(members.values()))
        equal((code, m["certificate_days"] in (9, 10)), (wanted, True), f"{told}")
        true(abs(m["clock_offset_ms"]) <= m["clock_error_ms"] + 1, f"its clock: {m}")
        true(f"warn the certificate runs out in {m['certificate_days']} days" in about(told, m["name"]), f"{told['warnings']}")
    top = w.run([TENURE, "top", "--endpoints", url, "--once", "-o", "json", *own], env=w.environment(), check=True)
    true("watchers" in json.loads(top.stdout)["servers"][0], top.stdout)


main([clocks_and_disks, one_server, certificates])
