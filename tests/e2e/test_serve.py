#!/usr/bin/env python3
"""`tenure serve` as a process: its line, its options, its data over restarts, and how it stops."""

import re
import resource
import signal
import socket
import subprocess

from harness import *


def serve(w, *options, env=None, data="data"):
    """Starts a server with options of the test's own; answers it and its first line."""
    p = w.start("serve", "--data-dir", w.path(data), *options, env={**os.environ, **(env or {})})
    return p, p.stdout.readline().strip()


def url_of(line):
    return re.search(r"http://\S+", line).group(0)


def etcdctl(w, url, *args, **more):
    return w.run(["etcdctl", *args], env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": url}, **more)


def refused(w, *options, env=None, code=2):
    r = w.run([TENURE, "serve", "--data-dir", w.path("data"), *options], env={**os.environ, **(env or {})})
    equal(r.returncode, code, "exit code")
    equal(r.stdout, "", "standard output")
    return r.stderr


def ready_line(w):
    """one line says where it serves, with the real port, and from which data"""
    sock = w.path("s")
    p, line = serve(w, "--listen-client-urls", f"http://127.0.0.1:0,unix://{sock}")
    true(re.fullmatch(r"tenure: serving http://127\.0\.0\.1:[1-9]\d* and unix://" + re.escape(sock) +
                      r" \(data " + re.escape(w.path("data")) + r", revision 1\)", line), line)
    equal(etcdctl(w, url_of(line), "put", "a", "1").stdout, "OK\n")
    equal(etcdctl(w, f"unix://{sock}", "get", "a").stdout, "a\n1\n")


def survives_kill(w):
    """what was answered survives kill -9: keys, revision, leases with the time that was left"""
    listen = ("--listen-client-urls", "http://127.0.0.1:0")
    p, line = serve(w, *listen)
    id = etcdctl(w, url_of(line), "lease", "grant", "100", check=True).stdout.split()[1]
    etcdctl(w, url_of(line), "put", "a", "1", f"--lease={id}", check=True)

    def left():
        return int(re.search(r"remaining\((\d+)s\)", etcdctl(w, url_of(line), "lease", "timetolive", id).stdout).group(1))

    await_(lambda: left() <= 97, "some seconds have passed")
    p.kill()
    p.wait()
    p, line = serve(w, *listen)
    true("revision 2)" in line, line)
    equal(etcdctl(w, url_of(line), "get", "a").stdout, "a\n1\n")
    true(90 < left() <= 97, f"{left()} s are left")


def stops_in_order(w):
    """SIGTERM ends watches, then the server, with exit code 0, and a new one goes on"""
    p, line = serve(w, "--listen-client-urls", "http://127.0.0.1:0")
    url = url_of(line)
    watch = w.start("watch", "a", program="etcdctl", env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": url})
    etcdctl(w, url, "put", "b", "1", check=True)
    begun = time.monotonic()
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0, "exit code")
    true(time.monotonic() - begun < 4, "idle clients do not hold it up")
    true(watch.poll() is None or watch.returncode != 0, "the watch was told")
    p, line = serve(w, "--listen-client-urls", "http://127.0.0.1:0")
    true("revision 2)" in line, line)


def directory_in_use(w):
    """a second server on the directory says who has it"""
    p, _ = serve(w, "--listen-client-urls", "http://127.0.0.1:0")
    text = refused(w, "--listen-client-urls", "http://127.0.0.1:0", code=1)
    true(str(p.pid) in text, text)


def address_in_use(w):
    """an address in use is named; a stale socket file is replaced, a living one is not"""
    sock = f"unix://{w.path('s')}"
    p, line = serve(w, "--listen-client-urls", f"http://127.0.0.1:0,{sock}")
    text = refused(w, "--listen-client-urls", url_of(line), "--data-dir", w.path("other"), code=1)
    true(url_of(line) in text, text)
    text = refused(w, "--listen-client-urls", sock, "--data-dir", w.path("other"), code=1)
    true(sock in text, text)
    p.kill()
    p.wait()
    _, line = serve(w, "--listen-client-urls", sock)
    true(sock in line, line)


def refuses_the_world(w):
    """an address that other machines reach is refused, unless it is asked for"""
    text = refused(w, "--listen-client-urls", "http://0.0.0.0:0")
    true("http://0.0.0.0:0" in text and "--insecure-listen-anywhere" in text, text)
    _, line = serve(w, "--listen-client-urls", "http://0.0.0.0:0", "--insecure-listen-anywhere")
    true("serving http://0.0.0.0:" in line, line)


def options(w):
    """wrong options are named, with exit code 2; both forms and the environment are read"""
    true("--no-such-flag" in refused(w, "--no-such-flag"), "it is named")
    true("--initial-cluster" in refused(w, "--initial-cluster=x"), "it is named")
    true("nonsense" in refused(w, "nonsense"), "it is named")
    true("--max-txn-ops" in refused(w, "--max-txn-ops", "many"), "it is named")
    true("'https://127.0.0.1:1'" not in refused(w, "--listen-client-urls=https://127.0.0.1:1"), "it is explained")
    true("--log-level" in refused(w, "--log-level=loud"), "it is named")
    true("--max-txn-ops" in refused(w, env={"ETCD_MAX_TXN_OPS": "many"}), "it is named")
    _, line = serve(w, "--max-txn-ops", "2", env={"ETCD_LISTEN_CLIENT_URLS": "http://127.0.0.1:0", "ETCD_NAME": "m7"})
    url = url_of(line)
    true("m7" in etcdctl(w, url, "member", "list").stdout, "the name is taken from the environment")
    r = etcdctl(w, url, "txn", input="\nput a 1\nput b 2\nput c 3\n\n\n")
    true("too many operations in txn request" in r.stderr, r.stderr)


def not_http(w):
    """one who speaks neither HTTP/2 nor HTTP/1 is told so, and it is the end"""
    _, line = serve(w, "--listen-client-urls", "http://127.0.0.1:0")
    port = int(url_of(line).rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as s:
        s.sendall(b"HELO there\r\n\r\n")
        answer = b""
        while chunk := s.recv(4096):
            answer += chunk
    true(answer.startswith(b"HTTP/1.1 400 "), answer)


def out_of_descriptors(w):
    """more connections than descriptors are turned away, and the server goes on"""
    p = w.start("-c", f'ulimit -n 100; exec "{TENURE}" serve --data-dir "{w.path("data")}" '
                '--listen-client-urls http://127.0.0.1:0', program="sh")
    url = url_of(p.stdout.readline())
    port = int(url.rsplit(":", 1)[1])
    held = [socket.create_connection(("127.0.0.1", port), PATIENCE_S) for _ in range(200)]
    true(p.poll() is None, "it runs")
    for s in held:
        s.close()
    await_(lambda: etcdctl(w, url, "put", "a", "1").stdout == "OK\n", "it serves again")


def closed_descriptors(w):
    """without standard descriptors it serves as well, and none of its files and sockets takes their numbers"""
    sock = w.path("s")
    p = w.start("-c", f'exec "{TENURE}" serve --data-dir "{w.path("data")}" --listen-client-urls "unix://{sock}" '
                '<&- >&- 2>&-', program="sh")
    env = {**os.environ, "TENURE_ENDPOINTS": f"unix://{sock}"}
    await_(lambda: w.run([TENURE, "put", "a", "1", "--call-timeout", "1"], env=env).returncode == 0, "it serves")
    equal([os.readlink(f"/proc/{p.pid}/fd/{n}") for n in range(3)], ["/dev/null"] * 3)
    p.send_signal(signal.SIGTERM)
    true(p.wait(PATIENCE_S) >= 0, "it ends in order")


def limited_files(w):
    """a limit on the size of files is like a full disk: writes are refused, reads and the server go on"""
    limit = 2 << 20
    p = w.start("serve", "--data-dir", w.path("data"), "--listen-client-urls", "http://127.0.0.1:0",
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    url = url_of(p.stdout.readline())
    value = "x" * 200000
    codes = [etcdctl(w, url, "put", f"k{n}", input=value).returncode for n in range(20)]
    true(codes[0] == 0 and codes[-1] != 0, f"{codes}")
    equal(etcdctl(w, url, "get", "k0", check=True).stdout, f"k0\n{value}\n")
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0)


main([limited_files, ready_line, survives_kill, stops_in_order, directory_in_use, address_in_use, refuses_the_world, options, not_http,
      out_of_descriptors, closed_descriptors])
