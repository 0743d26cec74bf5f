#!/usr/bin/env python3
"""`tenure serve` under a supervisor that speaks systemd's protocols, which is this test: readiness, watchdog, sockets that are
handed over, reload."""

import fcntl
import re
import signal
import socket

from harness import *

MKCERTS = os.environ["MKCERTS"]

# Becomes the server with the descriptors named in its first argument from 3 on, as systemd would.
LAUNCHER = """
import os, sys
fds = [int(n) for n in sys.argv[1].split(",")]
for place, fd in enumerate(fds):
    os.dup2(fd, 3 + place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid() + int(os.environ.get("PID_OFF", "0")))
os.environ["LISTEN_FDS"] = str(len(fds))
os.execv(sys.argv[2], sys.argv[2:])
"""


def notify_socket(w, abstract=False):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.settimeout(PATIENCE_S)
    name = f"\0tenure-test-{os.getpid()}-{time.monotonic_ns()}" if abstract else w.path("notify")
    s.bind(name)
    return s, name.replace("\0", "@")


def serve(w, *options, env=None, fds=(), pid_off=0):
    log = open(w.path("log"), "ab")
    argv = ["serve", "--data-dir", w.path("data"), *options]
    env = {**os.environ, **(env or {}), "PID_OFF": str(pid_off)}
    if fds:
        p = w.start("-c", LAUNCHER, ",".join(map(str, fds)), TENURE, *argv, program=sys.executable, env=env,
                    pass_fds=fds, stderr=log)
    else:
        p = w.start(*argv, env=env, stderr=log)
    log.close()
    return p


def ready(w, p):
    line = p.stdout.readline()
    true("serving" in line, f"it is ready: {line!r} {read(w.path('log'))}")
    return re.findall(r"[a-z]+://[^ ]+", line)


def etcdctl(w, url, *args, **more):
    return w.run(["etcdctl", "--endpoints", url, *args], env={**os.environ, "ETCDCTL_API": "3"}, **more)


def listening(family=socket.AF_INET, path=None):
    """A socket as systemd would hand it over, with a number far above those of the launcher."""
    s = socket.socket(family)
    s.bind(path if path else ("127.0.0.1", 0))
    s.listen(16)
    high = fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 200)
    return s, high


def readiness(w):
    """READY=1 when it serves, RELOADING=1 and READY=1 at SIGHUP, STOPPING=1 at SIGTERM"""
    for abstract in (False, True):
        heard, name = notify_socket(w, abstract)
        p = serve(w, "--listen-client-urls", "http://127.0.0.1:0", env={"NOTIFY_SOCKET": name})
        text = heard.recv(4096).decode()
        true(text.startswith(f"READY=1\nMAINPID={p.pid}\nSTATUS=tenure: serving http://"), text)
        p.send_signal(signal.SIGHUP)
        text = heard.recv(4096).decode()
        true(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", text), text)
        true(heard.recv(4096).startswith(b"READY=1\n"), "ready again")
        p.send_signal(signal.SIGTERM)
        true(heard.recv(4096).startswith(b"STOPPING=1"), "it says that it stops")
        equal(p.wait(PATIENCE_S), 0)
        heard.close()


def not_ready(w):
    """a server that cannot start says nothing"""
    heard, name = notify_socket(w)
    heard.setblocking(False)
    p = serve(w, "--listen-client-urls", "http://0.0.0.0:0", env={"NOTIFY_SOCKET": name})
    equal(p.wait(PATIENCE_S), 2)
    try:
        raise Failure(heard.recv(4096))
    except BlockingIOError:
        pass
    p = serve(w, "--listen-client-urls", "http://127.0.0.1:0", env={"NOTIFY_SOCKET": w.path("nobody")})
    ready(w, p)  # nobody listens: it serves all the same


def watchdog(w):
    """WATCHDOG=1 comes as long as the loop turns"""
    heard, name = notify_socket(w)
    p = serve(w, "--listen-client-urls", "http://127.0.0.1:0", env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
    ready(w, p)
    equal([heard.recv(4096).split(b"\n")[0] for _ in range(4)], [b"READY=1"] + [b"WATCHDOG=1"] * 3)
    stop(p.pid)
    heard.settimeout(0.05)
    try:
        while True:
            heard.recv(4096)  # those that were under way
    except TimeoutError:
        pass
    p.send_signal(signal.SIGCONT)
    heard.settimeout(PATIENCE_S)
    equal(heard.recv(4096), b"WATCHDOG=1")


def sockets_as_they_are(w):
    """without --listen-client-urls the sockets handed over are served, TCP and unix; their files stay"""
    tcp, tcp_fd = listening()
    path = w.path("handed.sock")
    unix, unix_fd = listening(socket.AF_UNIX, path)
    port = tcp.getsockname()[1]
    p = serve(w, fds=(tcp_fd, unix_fd))
    equal(ready(w, p), [f"http://127.0.0.1:{port}", f"unix://{path}"])
    equal(etcdctl(w, f"http://127.0.0.1:{port}", "put", "a", "1", check=True).stdout, "OK\n")
    r = w.run(["curl", "-sS", "--unix-socket", path, "http://localhost/version"])
    true("etcdserver" in r.stdout, r.stdout + r.stderr)
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0)
    true(Path(path).exists(), "it belongs to systemd")
    # Who connects between two servers waits, and is served by the next.
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as early:
        early.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        ready(w, serve(w, fds=(tcp_fd, unix_fd)))
        true(early.recv(4096).startswith(b"HTTP/1.1 200"), "it was waiting in the socket")
    for fd in (tcp_fd, unix_fd):
        os.close(fd)
    tcp.close()
    unix.close()


def sockets_by_address(w):
    """an address that is given is found among the sockets; the others are opened or served beside it"""
    tcp, tcp_fd = listening()
    port = tcp.getsockname()[1]
    sock = w.path("own.sock")
    p = serve(w, "--listen-client-urls", f"unix://{sock},http://localhost:{port}", fds=(tcp_fd,))
    equal(ready(w, p), [f"unix://{sock}", f"http://localhost:{port}"])
    equal(etcdctl(w, f"http://127.0.0.1:{port}", "put", "a", "1", check=True).stdout, "OK\n")
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0)
    # Meant for another process: not touched.
    p = serve(w, "--listen-client-urls", f"unix://{sock}", fds=(tcp_fd,), pid_off=1)
    equal(ready(w, p), [f"unix://{sock}"])
    os.close(tcp_fd)
    tcp.close()


def sockets_with_tls(w):
    """a socket that is named https speaks TLS; one that others reach needs what every address needs"""
    certs = Path(w.path("certs"))
    certs.mkdir()
    w.run([MKCERTS, str(certs)], env=dict(os.environ), check=True)
    pair = ["--cert-file", f"{certs}/server.pem", "--key-file", f"{certs}/server.key"]
    tcp, tcp_fd = listening()
    port = tcp.getsockname()[1]
    p = serve(w, *pair, fds=(tcp_fd,), env={"LISTEN_FDNAMES": "https"})
    equal(ready(w, p), [f"https://127.0.0.1:{port}"])
    r = w.run(["curl", "-sS", "--cacert", f"{certs}/ca.pem", f"https://127.0.0.1:{port}/version"])
    true("etcdserver" in r.stdout, r.stdout + r.stderr)
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0)
    with socket.socket() as anywhere:
        anywhere.bind(("0.0.0.0", 0))
        anywhere.listen(1)
        fd = fcntl.fcntl(anywhere.fileno(), fcntl.F_DUPFD, 200)
        equal(serve(w, fds=(fd,)).wait(PATIENCE_S), 2)
        os.close(fd)
    true("--insecure-listen-anywhere" in read(w.path("log")), "it is explained")
    os.close(tcp_fd)
    tcp.close()


def reload(w):
    """SIGHUP opens log files anew, reads the level of the configuration file and the certificates again; nobody is cut off"""
    out, conf = w.path("out.log"), Path(w.path("conf.yml"))
    certs = Path(w.path("certs"))
    certs.mkdir()
    w.run([MKCERTS, str(certs)], env=dict(os.environ), check=True)

    def configure(level):
        conf.write_text(f"data-dir: {w.path('data')}\nlisten-client-urls: https://127.0.0.1:0\nlog-level: {level}\n"
                        f"log-outputs: [{out}]\nclient-transport-security:\n  cert-file: {certs}/server.pem\n"
                        f"  key-file: {certs}/server.key\n")

    configure("error")
    p = w.start("serve", "--config-file", str(conf), env=dict(os.environ))
    (url,) = ready(w, p)
    ca = ["--cacert", f"{certs}/ca.pem"]
    equal(etcdctl(w, url, *ca, "put", "a", "1", check=True).stdout, "OK\n")
    equal(read(out), "", "nothing to say at this level")
    os.rename(out, out + ".1")
    configure("info")
    p.send_signal(signal.SIGHUP)
    await_(lambda: "certificates were read again" in read(out), "it was reloaded, and says so in the new file")
    equal(read(out + ".1"), "", "the old file")
    conf.write_text("log-level: [\n")
    p.send_signal(signal.SIGHUP)
    await_(lambda: "cannot be read again" in read(out), "a broken file is said")
    equal(etcdctl(w, url, *ca, "get", "a").stdout, "a\n1\n")
    true(p.poll() is None, "it runs")


main([readiness, not_ready, watchdog, sockets_as_they_are, sockets_by_address, sockets_with_tls, reload])
