#!/usr/bin/env python3
"""`tenure serve` with TLS, by clients that are not ours: etcdctl, curl, Python's ssl."""

import re
import shutil
import signal
import socket
import ssl

from harness import *

MKCERTS = os.environ["MKCERTS"]


def certs(w):
    """The folder of certificates (tests/lib/certs.h)."""
    folder = Path(w.path("certs"))
    if not folder.exists():
        folder.mkdir()
        w.run([MKCERTS, str(folder)], env=dict(os.environ), check=True)
    return folder


def serve(w, *options, urls="https://127.0.0.1:0", cert="server", env=None):
    """A server with the certificate of that name; answers the process and its addresses."""
    c = certs(w)
    pair = ["--cert-file", f"{c}/{cert}.pem", "--key-file", f"{c}/{cert}.key"] if cert else []
    log = open(w.path("log"), "ab")
    p = w.start("serve", "--data-dir", w.path("data"), "--listen-client-urls", urls, *pair, *options, stderr=log,
                env={**os.environ, **(env or {})})
    log.close()
    line = p.stdout.readline()
    true("serving" in line, f"it is ready: {line!r} {read(w.path('log'))}")
    return p, re.findall(r"[a-z]+://[^ ]+", line)


def etcdctl(w, url, *args, client=None, ca="ca", **more):
    c = certs(w)
    pair = ["--cert", f"{c}/{client}.pem", "--key", f"{c}/{client}.key"] if client else []
    return w.run(["etcdctl", "--endpoints", url, "--cacert", f"{c}/{ca}.pem", *pair, "--dial-timeout", "2s",
                  "--command-timeout", more.pop("patience", "20s"), *args], env={**os.environ, "ETCDCTL_API": "3"}, **more)


def port_of(url):
    return int(url.rsplit(":", 1)[1])


def connect(w, url, client=None, version=None, alpn=("h2",), server="localhost"):
    """A TLS connection of Python's."""
    c = certs(w)
    context = ssl.create_default_context(cafile=f"{c}/ca.pem")
    context.set_alpn_protocols(list(alpn))
    if client:
        context.load_cert_chain(f"{c}/{client}.pem", f"{c}/{client}.key")
    if version:
        context.minimum_version = context.maximum_version = version
    if url.startswith("unixs://"):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(PATIENCE_S)
        raw.connect(url[len("unixs://"):])
    else:
        raw = socket.create_connection(("127.0.0.1", port_of(url)), PATIENCE_S)
    return context.wrap_socket(raw, server_hostname=server)


def admitted(w, url, client):
    """Whether the server answers an HTTP/2 connection of that client."""
    try:
        with connect(w, url, client=client) as s:
            s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            return s.recv(9) != b""
    except (ssl.SSLError, ConnectionError):
        return False


def serial(w, url):
    with connect(w, url) as s:
        return int(s.getpeercert()["serialNumber"], 16)


def https(w):
    """etcdctl works over https, and does not trust a stranger's server"""
    _, (url,) = serve(w)
    equal(etcdctl(w, url, "put", "a", "1", check=True).stdout, "OK\n")
    equal(etcdctl(w, url.replace("127.0.0.1", "localhost"), "get", "a").stdout, "a\n1\n")
    big = "x" * 1_000_000
    equal(etcdctl(w, url, "put", "big", input=big, check=True).stdout, "OK\n")
    equal(etcdctl(w, url, "get", "big", "--print-value-only").stdout, big + "\n")
    true(etcdctl(w, url, "get", "a", ca="other-ca", patience="1s").returncode != 0, "another authority is not trusted")
    await_(lambda: "connection refused" in read(w.path("log")), "the log says so")


def mutual(w):
    """with --client-cert-auth only those with a certificate that stands may in"""
    c = certs(w)
    _, (url,) = serve(w, "--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem", "--client-crl-file", f"{c}/crl.pem")
    equal(etcdctl(w, url, "put", "a", "1", client="alice", check=True).stdout, "OK\n")
    for who in (None, "expired", "stranger"):
        true(not admitted(w, url, who), f"{who} is refused")

    def logged():  # at most once a second
        true(not admitted(w, url, "revoked"), "the revoked one is refused")
        return 'certificate (CN \\"alice\\") is revoked' in read(w.path("log"))

    await_(logged, "it is logged")
    true(admitted(w, url, "alice"), "the others go on")


def allowed_names(w):
    """--client-cert-allowed-cn and --client-cert-allowed-hostname admit by name"""
    c = certs(w)
    auth = ["--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem"]
    for options, may in [(["--client-cert-allowed-cn", "root,bob"], "bob"),
                         (["--client-cert-allowed-hostname=alice.example,10.1.1.1"], "alice")]:
        p, (url,) = serve(w, *auth, *options)
        for who in ("alice", "bob"):
            equal(admitted(w, url, who), who == may, f"{who} with {options}")
        p.terminate()
        equal(p.wait(PATIENCE_S), 0)


def versions(w):
    """--tls-min-version, --tls-max-version and --cipher-suites are kept to"""
    def speaks(url, version):
        try:
            with connect(w, url, version=version) as s:
                return s.version()
        except (ssl.SSLError, ConnectionError):
            return None

    p, (url,) = serve(w, "--tls-min-version", "TLS1.3")
    equal([speaks(url, ssl.TLSVersion.TLSv1_2), speaks(url, ssl.TLSVersion.TLSv1_3)], [None, "TLSv1.3"])
    p.terminate()
    p.wait(PATIENCE_S)
    _, (url,) = serve(w, "--tls-max-version=TLS1.2", "--cipher-suites", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
    equal([speaks(url, ssl.TLSVersion.TLSv1_2), speaks(url, ssl.TLSVersion.TLSv1_3)], ["TLSv1.2", None])
    with connect(w, url) as s:
        equal(s.cipher()[0], "ECDHE-ECDSA-AES256-GCM-SHA384")


def protocols(w):
    """ALPN gives h2 to those who offer nothing else, and http/1.1 to all others: curl reaches the JSON gateway"""
    _, (url,) = serve(w)
    for alpn, chosen in [(("h2", "http/1.1"), "http/1.1"), (("h2",), "h2"), (("http/1.1",), "http/1.1"), (("grpc-exp", "h2"), "h2")]:
        with connect(w, url, alpn=alpn) as s:
            equal(s.selected_alpn_protocol(), chosen)
    ca = f"{certs(w)}/ca.pem"
    r = w.run(["curl", "-sS", "--cacert", ca, "-d", '{"key":"YQ=="}', "-w", " %{http_version}", url + "/v3/kv/range"])
    true(r.stdout.startswith('{"header":{') and r.stdout.endswith('"}} 1.1'), r.stdout + r.stderr)
    r = w.run(["curl", "-sS", "--http2", "--cacert", ca, "-w", " %{http_version}", url + "/health"])
    equal(r.stdout, '{"health":"true","reason":""} 1.1', r.stderr)


def reload(w):
    """new certificates are for new connections, and a watch goes on"""
    c = certs(w)
    for end in ("pem", "key"):
        shutil.copy(f"{c}/server.{end}", f"{c}/live.{end}")
    p, (url,) = serve(w, cert="live")
    seen = w.path("seen")
    watch = w.start("--endpoints", url, "--cacert", f"{c}/ca.pem", "watch", "a", program="etcdctl",
                    env={**os.environ, "ETCDCTL_API": "3"}, stdout=open(seen, "w"))

    def event(value):
        """A watch that is just beginning does not see the first puts."""
        etcdctl(w, url, "put", "a", value, check=True)
        return lines(seen)[-3:] == ["PUT", "a", value]

    await_(lambda: event("0"), "the watch stands")
    equal(serial(w, url), 2)
    for end in ("key", "pem"):
        os.replace(shutil.copy(f"{c}/server2.{end}", f"{c}/next.{end}"), f"{c}/live.{end}")
    await_(lambda: serial(w, url) == 12, "the new certificate is in use")
    await_(lambda: event("1"), "the watch goes on")
    # Half a pair is no pair: the old one stays.
    w.run([MKCERTS, str(c), "server", "third", "33"], env=dict(os.environ), check=True)
    os.replace(f"{c}/third.pem", f"{c}/live.pem")
    await_(lambda: serial(w, url) == 12 and "cannot be read" in read(w.path("log")), "it is said, and the old one stays")
    os.replace(f"{c}/third.key", f"{c}/live.key")
    await_(lambda: serial(w, url) == 33, "once both are there they are in use")
    await_(lambda: event("2"), "the watch goes on")
    true(p.poll() is None and watch.poll() is None, "both run")


def revoked_while_it_runs(w):
    """a certificate that is revoked does not connect any more"""
    c = certs(w)
    _, (url,) = serve(w, "--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem", "--client-crl-file", f"{c}/crl.pem")
    etcdctl(w, url, "put", "a", "1", client="alice", check=True)
    w.run([MKCERTS, str(c), "revoke", "alice"], env=dict(os.environ), check=True)
    await_(lambda: not admitted(w, url, "alice"), "alice is refused")
    equal(etcdctl(w, url, "get", "a", client="root").stdout, "a\n1\n")


def common_name_is_the_user(w):
    """with authentication on, the CN of a certificate is who asks; an address that others reach needs no more then"""
    c = certs(w)
    p, (url,) = serve(w, "--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem", "--bcrypt-cost", "4")

    def ask(who, *args, **more):
        return etcdctl(w, url, *args, client=who, **more)

    for args in (["role", "add", "r"], ["role", "grant-permission", "r", "read", "a"], ["user", "add", "alice:pw"],
                 ["user", "grant-role", "alice", "r"], ["user", "add", "root:pw"], ["user", "grant-role", "root", "root"],
                 ["auth", "enable"]):
        ask("root", *args, check=True)
    ask("root", "put", "a", "1", check=True)
    equal(ask("alice", "get", "a").stdout, "a\n1\n")
    for who in ("alice", "bob"):
        r = ask(who, "put", "a", "2")
        true(r.returncode != 0 and "etcdserver: " in r.stderr, f"{who}: {r.stderr}")
    p.terminate()
    equal(p.wait(PATIENCE_S), 0)
    serve(w, urls="http://0.0.0.0:0")


def several_addresses(w):
    """http, https, unix and unixs side by side, each with its own kind of peer"""
    _, urls = serve(w, urls=f"http://127.0.0.1:0,https://127.0.0.1:0,unix://{w.path('u')},unixs://{w.path('us')}")
    equal([u.split(":")[0] for u in urls], ["http", "https", "unix", "unixs"])
    equal(etcdctl(w, urls[0], "put", "a", "1", check=True).stdout, "OK\n")
    equal(etcdctl(w, urls[1], "get", "a").stdout, "a\n1\n")
    ca = f"{certs(w)}/ca.pem"
    for url, options in [(urls[2], ["http://localhost/version"]),
                         (urls[3], ["--cacert", ca, "https://localhost/version"])]:
        r = w.run(["curl", "-sS", "--unix-socket", url.split("://")[1], *options])
        true('"etcdserver"' in r.stdout, r.stdout + r.stderr)
    with connect(w, urls[3]) as s:
        equal(s.selected_alpn_protocol(), "h2")


def wrong_kind_of_client(w):
    """plain to a TLS port and TLS to a plain one end clearly, and are logged"""
    _, (tls, plain) = serve(w, urls="https://127.0.0.1:0,http://127.0.0.1:0")
    r = w.run(["curl", "-sS", tls.replace("https", "http")])
    true("HTTPS" in r.stdout, r.stdout + r.stderr)
    await_(lambda: "does not speak TLS" in read(w.path("log")), "it is logged")
    with socket.create_connection(("127.0.0.1", port_of(tls)), PATIENCE_S) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        equal(s.recv(100), b"", "the end, at once")
    r = w.run(["curl", "-sS", "-k", plain.replace("http", "https")])
    true("wrong version number" in r.stderr or "SSL" in r.stderr, r.stderr)

    def logged():
        w.run(["curl", "-sS", "-k", plain.replace("http", "https")])
        return "the client speaks TLS, and this address has none" in read(w.path("log"))

    await_(logged, "it is logged")


def auto_tls(w):
    """--auto-tls makes a certificate, and keeps it"""
    def get(url):
        ca = f"{w.path('data')}/fixtures/client/cert.pem"
        return w.run(["curl", "-sS", "--cacert", ca, url + "/version"]).stdout

    p, (url,) = serve(w, "--auto-tls", cert=None)
    true("etcdserver" in get(url), "curl trusts it")
    key = Path(w.path("data")) / "fixtures/client/key.pem"
    equal(key.stat().st_mode & 0o777, 0o600)
    before = key.read_text()
    true(before.strip() not in read(w.path("log")), "the key is in no log")
    p.terminate()
    equal(p.wait(PATIENCE_S), 0)
    _, (url,) = serve(w, "--auto-tls", "--self-signed-cert-validity=3", cert=None)
    true("etcdserver" in get(url), "curl trusts it")
    equal(key.read_text(), before)


def refused(w, *options, named):
    r = w.run([TENURE, "serve", "--data-dir", w.path("data"), *options], env=dict(os.environ))
    equal(r.returncode, 2, r.stderr)
    for text in named:
        true(text in r.stderr, r.stderr)


def mistakes(w):
    """missing or wrong files are named; an open port without client certificates is refused"""
    c = certs(w)
    listen = ["--listen-client-urls", "https://127.0.0.1:0"]
    pair = ["--cert-file", f"{c}/server.pem", "--key-file", f"{c}/server.key"]
    refused(w, *listen, named=["--cert-file", "--auto-tls"])
    refused(w, *listen, "--cert-file", f"{c}/server.pem", named=["key"])
    refused(w, *listen, "--cert-file", f"{c}/nothing.pem", "--key-file", f"{c}/server.key", named=["nothing.pem"])
    refused(w, *listen, *pair, "--cipher-suites", "TLS_NONSENSE", named=["TLS_NONSENSE"])
    refused(w, *listen, *pair, "--tls-min-version", "TLS1.1", named=["TLS1.1", "--tls-min-version"])
    ways = ["0.0.0.0", "--client-cert-auth", "authentication", "--insecure-listen-anywhere"]
    refused(w, "--listen-client-urls", "https://0.0.0.0:0", *pair, named=ways)
    refused(w, "--listen-client-urls", "http://0.0.0.0:0", *pair, "--client-cert-auth", "--trusted-ca-file",
            f"{c}/ca.pem", named=ways)
    serve(w, "--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem", urls="https://0.0.0.0:0")


def without_the_libraries(w):
    """where OpenSSL or libyaml cannot be loaded, only what needs them says so"""
    c = certs(w)
    broken = Path(w.path("broken"))
    broken.mkdir()
    for name in ("libcrypto.so.3", "libssl.so.3", "libyaml-0.so.2"):
        (broken / name).touch()
    env = {"LD_LIBRARY_PATH": str(broken)}
    p, (url,) = serve(w, urls="http://127.0.0.1:0", cert=None, env=env)
    equal(w.run([TENURE, "put", "a", "1", "--endpoints", url], env={**os.environ, **env}, check=True).returncode, 0)
    p.terminate()
    equal(p.wait(PATIENCE_S), 0)
    conf = Path(w.path("conf.yml"))
    conf.write_text("name: x\n")
    pair = ["--cert-file", f"{c}/server.pem", "--key-file", f"{c}/server.key"]
    for argv, named in [(["serve", "--data-dir", w.path("data"), "--listen-client-urls", "https://127.0.0.1:0", *pair], "libssl3"),
                        (["serve", "--config-file", str(conf)], "libyaml"),
                        (["get", "a", "--endpoints", "https://127.0.0.1:1"], "libssl3")]:
        r = w.run([TENURE, *argv], env={**os.environ, **env})
        true(r.returncode in (1, 2, 3) and named in r.stderr, r.stderr)


def own_client(w):
    """tenure's own commands speak TLS, with options and environment, and say why they do not"""
    c = certs(w)
    p, (url, sock) = serve(w, "--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem",
                           urls=f"https://127.0.0.1:0,unixs://{w.path('s')}")
    alice = ["--cacert", f"{c}/ca.pem", "--cert", f"{c}/alice.pem", "--key", f"{c}/alice.key"]

    def tenure(*args, env=None, **more):
        return w.run([TENURE, *args], env={**os.environ, **(env or {})}, **more)

    equal(tenure("put", "a", "1", "--endpoints", url, *alice, check=True).returncode, 0)
    equal(tenure("get", "a", "--endpoints", sock, *alice, "--print-value-only").stdout, "1\n")
    environment = {"TENURE_ENDPOINTS": url, "TENURE_CACERT": f"{c}/ca.pem", "TENURE_CERT": f"{c}/alice.pem",
                   "TENURE_KEY": f"{c}/alice.key"}
    equal(tenure("get", "a", "--print-value-only", env=environment).stdout, "1\n")
    equal(tenure("lock", "x", "--", "echo", "held", env=environment, check=True).stdout, "held\n")
    quick = ["--call-timeout", "1s", "--endpoints", url]
    r = tenure("get", "a", *quick, "--cacert", f"{c}/other-ca.pem", "--cert", f"{c}/alice.pem", "--key", f"{c}/alice.key")
    true(r.returncode == 3 and "local issuer" in r.stderr, r.stderr)
    r = tenure("get", "a", *quick, "--cacert", f"{c}/ca.pem")
    true(r.returncode == 3 and "certificate required" in r.stderr, r.stderr)
    r = tenure("get", "a", *quick, "--insecure-skip-tls-verify", "--cert", f"{c}/alice.pem", "--key", f"{c}/alice.key",
               "--print-value-only")
    equal(r.stdout, "1\n", r.stderr)
    r = tenure("get", "a", *quick, "--cacert", f"{c}/nothing.pem")
    true(r.returncode == 2 and "nothing.pem" in r.stderr, r.stderr)
    r = tenure("get", "a", "--call-timeout", "1s", "--endpoints", url.replace("https", "http"))
    true(r.returncode == 3, r.stderr)
    true(p.poll() is None, "it runs")


def own_client_on_etcd(w):
    """the same against Debian's etcd, with mutual TLS"""
    if not shutil.which("etcd"):
        raise Skip("there is no etcd on this machine")
    c, port, peer = certs(w), free_port(), f"http://127.0.0.1:{free_port()}"
    url = f"https://127.0.0.1:{port}"
    log = open(w.path("etcd-log"), "ab")
    w.start("--data-dir", w.path("etcd"), "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls",
            peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}", "--cert-file",
            f"{c}/server.pem", "--key-file", f"{c}/server.key", "--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem",
            program="etcd", env=dict(os.environ), stdout=log, stderr=log)
    log.close()
    await_(lambda: "ready to serve client requests" in read(w.path("etcd-log")), "etcd is ready", 60)
    environment = {**os.environ, "TENURE_ENDPOINTS": url, "TENURE_CACERT": f"{c}/ca.pem",
                   "TENURE_CERT": f"{c}/alice.pem", "TENURE_KEY": f"{c}/alice.key"}
    w.run([TENURE, "put", "a", "1"], env=environment, check=True)
    equal(w.run([TENURE, "get", "a", "--print-value-only"], env=environment).stdout, "1\n")
    equal(w.run([TENURE, "lock", "x", "--", "echo", "held"], env=environment, check=True).stdout, "held\n")
    r = w.run([TENURE, "get", "a", "--call-timeout", "1s"], env={**environment, "TENURE_CERT": "", "TENURE_KEY": ""})
    equal(r.returncode, 3, r.stderr)


def stops(w):
    """SIGTERM ends it in order, also with a client in the middle of its handshake"""
    p, (url,) = serve(w)
    with connect(w, url), socket.create_connection(("127.0.0.1", port_of(url)), PATIENCE_S) as half:
        half.sendall(b"\x16\x03\x01\x02\x00")
        begun = time.monotonic()
        p.send_signal(signal.SIGTERM)
        equal(p.wait(PATIENCE_S), 0)
        true(time.monotonic() - begun < 10, "it was not held up")


main([https, mutual, allowed_names, versions, protocols, reload, revoked_while_it_runs, common_name_is_the_user, several_addresses,
      wrong_kind_of_client, auto_tls, mistakes, without_the_libraries, own_client, own_client_on_etcd, stops])
