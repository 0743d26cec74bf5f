#!/usr/bin/env python3
"""etcd's command lines, environment and configuration file, with the binary exchanged."""

import json
import re
import signal

from harness import *


def serve(w, *options, env=None):
    log = open(w.path("log"), "ab")
    p = w.start("serve", *options, stderr=log, env={**os.environ, **(env or {})})
    log.close()
    line = p.stdout.readline()
    true("serving" in line, f"it is ready: {line!r} {read(w.path('log'))}")
    return p, re.findall(r"[a-z]+://[^ ]+", line)


def etcdctl(w, url, *args, **more):
    return w.run(["etcdctl", "--endpoints", url, *args], env={**os.environ, "ETCDCTL_API": "3"}, **more)


def refused(w, *options, env=None):
    r = w.run([TENURE, "serve", *options], env={**os.environ, **(env or {})})
    equal((r.returncode, r.stdout), (2, ""), r.stderr)
    return r.stderr


def unit_file(w):
    """the command line of a unit file for one etcd member works, and what is ignored is said in one line"""
    port, peer = free_port(), free_port()
    client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    p, urls = serve(
        w, "-name", "m1", "-data-dir", w.path("data"), "--wal-dir=" + w.path("wal"), "--initial-cluster-state", "new",
        "--initial-cluster", f"m1={peers}", "--initial-cluster-token", "etcd-cluster-1", "--listen-peer-urls", peers,
        "--initial-advertise-peer-urls", peers, "--listen-client-urls", client, "--advertise-client-urls", client,
        "--heartbeat-interval", "200", "--election-timeout=2000", "--snapshot-count", "10000", "--max-snapshots=5",
        "--auto-compaction-mode=revision", "--auto-compaction-retention=1000", "--quota-backend-bytes=8589934592",
        "--strict-reconfig-check=true", "--enable-v2=false", "--enable-pprof=false", "--logger", "zap",
        "--metrics=basic", "--experimental-watch-progress-notify-interval=5m", "--grpc-keepalive-interval", "1m",
        env={"ETCD_MAX_TXN_OPS": "2", "ETCD_NAME": "shadowed", "ETCD_NONSENSE": "x"})
    equal(urls, [client])
    true(client in etcdctl(w, client, "member", "list").stdout, "it is advertised")
    true("m1" in etcdctl(w, client, "member", "list").stdout, "the flag's name")
    r = etcdctl(w, client, "txn", input="\nput a 1\nput b 2\nput c 3\n\n\n")
    true("too many operations in txn request" in r.stderr, r.stderr)
    text = read(w.path("log"))
    ignored = [x for x in text.splitlines() if "are ignored" in x and "--wal-dir" in x]
    equal(len(ignored), 1, text)
    for flag in ("--heartbeat-interval", "--initial-cluster-state", "--snapshot-count", "--listen-peer-urls"):
        true(flag in ignored[0], ignored[0])
    true("--name" in text and "ETCD_NONSENSE" in text, text)
    true(not Path(w.path("wal")).exists(), "nothing is written there")
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0)


def configuration_file(w):
    """etcd's configuration file is read; the command line counts for nothing beside it"""
    url = f"http://127.0.0.1:{free_port()}"
    conf = Path(w.path("etcd.conf.yml"))
    conf.write_text(f"name: 'from-file'\ndata-dir: {w.path('data')}\nwal-dir:\nlisten-client-urls: {url}\n"
                    f"advertise-client-urls: {url}\ninitial-cluster:\nproxy: 'off'\nheartbeat-interval: 100\n"
                    "max-txn-ops: 1\nwatch-progress-notify-interval: 600000000000\nclient-transport-security:\n"
                    "  cert-file:\n  client-cert-auth: false\nlog-level: debug\nlog-outputs: [stderr]\n")
    _, urls = serve(w, "--config-file", str(conf), "--name", "from-line", env={"ETCD_MAX_TXN_OPS": "100"})
    equal(urls, [url])
    true("from-file" in etcdctl(w, url, "member", "list").stdout, "the file's name")
    r = etcdctl(w, url, "txn", input="\nput a 1\nput b 2\n\n\n")
    true("too many operations in txn request" in r.stderr, r.stderr)
    true("count for nothing beside a configuration file" in read(w.path("log")), read(w.path("log")))
    conf.write_text("name: x\nclient-transport-security:\n  client-cert-oath: true\n")
    true(f"{conf}:3: " in refused(w, "--config-file", str(conf)), "file and line are named")
    true(f"{conf}:3: " in refused(w, env={"ETCD_CONFIG_FILE": str(conf)}), "from the environment too")


def what_cannot_apply(w):
    """flags that would need other members, or etcd's own machinery, are refused by name"""
    data = ["--data-dir", w.path("data")]
    for options in (["--initial-cluster", "a=http://a:1,b=http://b:1"], ["--discovery", "http://d"], ["--proxy=on"],
                    ["--enable-pprof"], ["--discovery-srv=example.org"], ["--enable-log-rotation"]):
        name = options[0].split("=")[0]
        true(f"{name} is not for this server: " in refused(w, *data, *options), "named, with the reason")
    true(not Path(w.path("data")).exists(), "nothing was made")


def log_formats(w):
    """--log-format json gives objects with etcd's keys; --log-outputs names files"""
    out = w.path("out.log")
    p, (url,) = serve(w, "--data-dir", w.path("data"), "--listen-client-urls", "http://127.0.0.1:0", "--log-format", "json",
                      "--log-outputs", f"stderr,{out}", "--log-level=debug", "--max-wals", "3")
    etcdctl(w, url, "put", "a", "1", check=True)
    p.send_signal(signal.SIGTERM)
    equal(p.wait(PATIENCE_S), 0)
    objects = [json.loads(x) for x in lines(out)]
    true(any(o["level"] == "warn" and "--max-wals" in o.get("flags", "") for o in objects), objects)
    true(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", o["ts"]) and o["msg"] for o in objects), objects)
    equal(read(w.path("log")), read(out), "both outputs")


def http_alone(w):
    """with --listen-client-http-urls each address takes its own kind alone"""
    http = f"http://127.0.0.1:{free_port()}"
    _, urls = serve(w, "--data-dir", w.path("data"), "--listen-client-urls", "http://127.0.0.1:0",
                    "--listen-client-http-urls", http)
    grpc = urls[0]
    equal(urls[1:], [http])
    equal(etcdctl(w, grpc, "put", "a", "1", check=True).stdout, "OK\n")
    true("etcdserver" in w.run(["curl", "-sS", http + "/version"]).stdout, "HTTP/1 where it belongs")
    true(w.run(["curl", "-sS", grpc + "/version"]).returncode != 0, "and not at the other")
    true(w.run(["curl", "-sS", "--http2-prior-knowledge", http + "/version"]).returncode != 0, "nor the other way round")


def metrics_alone(w):
    """--listen-metrics-urls serves /metrics and /health to anybody, and nothing of the data; --enable-grpc-gateway=false ends
    the gateway"""
    metrics = f"http://0.0.0.0:{free_port()}"
    _, (url, shown) = serve(w, "--data-dir", w.path("data"), "--listen-client-urls", "http://127.0.0.1:0",
                            "--listen-metrics-urls", metrics, "--enable-grpc-gateway=false")
    equal(shown, metrics)
    metrics = metrics.replace("0.0.0.0", "127.0.0.1")

    def status(address, path, *options):
        return w.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *options, address + path]).stdout

    post = ["-X", "POST", "-d", '{"key":"YQ=="}']
    equal([status(metrics, p) for p in ("/metrics", "/health", "/readyz", "/version", "/debug/vars", "/v3")],
          ["200", "200", "200", "404", "404", "404"])
    equal([status(metrics, "/v3/kv/range", *post), status(url, "/v3/kv/range", *post)], ["404", "404"])
    equal(status(url, "/version"), "200")
    true(w.run(["curl", "-sS", "--http2-prior-knowledge", metrics + "/metrics"]).returncode != 0, "no gRPC there")
    true(url in etcdctl(w, url, "member", "list").stdout, "clients are told of their address")
    true(metrics not in etcdctl(w, url, "member", "list").stdout, "and not of that one")


main([unit_file, configuration_file, what_cannot_apply, log_formats, http_alone, metrics_alone])
