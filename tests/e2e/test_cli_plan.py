#!/usr/bin/env python3
"""tenure cluster plan and certs: the files of a cluster on hosts of its own, of which 127.0.0.2 and those that follow are the hosts here."""

import json

from harness import *

THREE = "a=127.0.0.2,b=127.0.0.3,c=127.0.0.4"


def is_free(host, port):
    with contextlib.suppress(OSError), socket.socket() as s:
        s.bind((host, port))
        return True
    return False


def two_ports():
    """Two in a row that are free on all the hosts."""
    return await_(lambda: next((p for p in [free_port()] if all(is_free(f"127.0.0.{h}", p + k) for h in range(2, 6) for k in (0, 1))), None),
                  "two ports")


def plan(w, *args, members=THREE, folder="plan", code=0):
    got = w.run([TENURE, "cluster", "plan", w.path(folder), *(("--members", members) if members else ()), *args], env=w.environment())
    equal(got.returncode, code, f"plan {args}: {got.stdout}{got.stderr}")
    return got


def here(w):
    """Options by which all hosts are this machine."""
    return ("--port", str(two_ports()), "--data-dir", w.path("data") + "/{name}", "--config-dir", w.path("plan/hosts") + "/{name}")


def environment_of(w):
    """As a shell reads the clients' file."""
    said = w.run(["sh", "-c", f"set -a; . {w.path('plan/client/tenure.env')}; env"], env={"PATH": os.environ["PATH"]}, check=True).stdout
    return w.environment(**dict(line.split("=", 1) for line in said.splitlines() if line.startswith(("TENURE_", "ETCDCTL_"))))


def start(w, name):
    with open(w.path(f"{name}.log"), "wb") as log:
        return w.start("--config-file", w.path(f"plan/hosts/{name}/etcd.yaml"), program="etcd", stdout=log, stderr=log)


def contents(w):
    return {str(f): (f.read_bytes(), f.stat().st_mode & 0o777) for f in Path(w.path("plan")).rglob("*") if f.is_file()}


def a_planned_cluster(w):
    """three members with TLS between them and for clients; who shows no certificate stays outside; a fourth one joins by its plan"""
    options = here(w)
    plan(w, *options)
    for name in "abc":
        start(w, name)
    env = environment_of(w)
    status = lambda: w.run([TENURE, "cluster", "status", "-o", "json"], env=env)
    await_(lambda: status().returncode == 0, f"they serve: {read(w.path('a.log'))[-600:]}", PATIENCE_S * 2)
    equal(w.run([TENURE, "put", "k", "1"], env=env).stdout, "OK\n", "put")
    equal(w.run(["etcdctl", "get", "k", "--print-value-only"], env=env).stdout, "1\n", "etcdctl")
    equal(w.run([TENURE, "lock", "x", "--", "echo", "held"], env=env).stdout, "held\n", "lock")
    outside = {name: value for name, value in env.items() if name not in ("TENURE_CERT", "TENURE_KEY")}
    got = w.run([TENURE, "get", "k", "--call-timeout", "1s"], env=outside)
    true(got.returncode == 3 and "TLS" in got.stderr, f"no certificate: {got.returncode} {got.stdout}{got.stderr}")
    before = contents(w)
    got = plan(w, "-o", "json", members=f"{THREE},d=127.0.0.5")
    told = {m["name"]: (m["joins"], m["certificates_made"]) for m in json.loads(got.stdout)["members"]}
    equal(told, {"a": (False, 0), "b": (False, 0), "c": (False, 0), "d": (True, 2)}, "what was made")
    true("4 members bear no more losses than 3" in got.stderr, got.stderr)
    changed = sorted(Path(f).name for f, content in before.items() if contents(w)[f] != content)
    equal(changed, ["README.md", "plan.json", "tenure.env"], "what has changed")
    url = f"https://127.0.0.5:{int(options[1]) + 1}"
    true(f"tenure cluster add --name d --peer-urls {url}" in read(w.path("plan/README.md")), "the step is named")
    adding = w.start("cluster", "add", "--name", "d", "--peer-urls", url, "--timeout", "60s", env=env)
    adding.stdout.readline()
    start(w, "d")
    out, err = adding.communicate(timeout=PATIENCE_S * 3)
    equal((adding.returncode, "promoted d" in out), (0, True), f"add: {out}{err} {read(w.path('d.log'))[-600:]}")
    equal(sorted((m["name"], m["role"] in ("leader", "follower")) for m in json.loads(status().stdout)["members"]),
          [(name, True) for name in "abcd"], "members")


def made_again(w):
    """a second run changes nothing, a lost certificate is made anew, and what a member's data hang on cannot change"""
    plan(w)
    first = contents(w)
    equal({mode for f, (_, mode) in first.items() if f.endswith(".key")}, {0o600}, "modes of keys")
    plan(w, members=None)
    equal(contents(w), first, "the second time")
    os.unlink(w.path("plan/hosts/b/peer.key"))
    plan(w)
    second = contents(w)
    equal(sorted(f[len(w.path("plan")) :] for f in first if first[f] != second[f]), ["/hosts/b/peer.crt", "/hosts/b/peer.key"], "made anew")
    for args, members, words in ((("--port", "4001"), THREE, "--port is not what"), (("--insecure",), THREE, "--insecure is not what"),
                                 (("--data-dir", "/elsewhere"), THREE, "--data-dir is not what"),
                                 ((), THREE.replace("127.0.0.3", "127.0.0.9"), "b was planned with the address 127.0.0.3")):
        true(words in plan(w, *args, members=members, code=2).stderr, f"{args} {members}")
    equal(contents(w), second, "what was refused")
    if shutil.which("systemd-analyze") and os.access("/usr/bin/etcd", os.X_OK):
        got = w.run(["systemd-analyze", "verify", w.path("plan/hosts/a/etcd.service")])
        true(got.returncode == 0 and "Unknown" not in got.stderr, f"systemd: {got.stdout}{got.stderr}")


def what_cannot_be_planned(w):
    """words that name no cluster are refused before anything is written"""
    for args, members, words in (((), None, "expected --members NAME=ADDRESS"), ((), "3", "has no address"), ((), "a=10.0.0.300", "neither an address"),
                                 ((), "a=10.0.0.1:2379", "without scheme and port"), ((), "a=10.0.0.1,b=10.0.0.1", "two members"),
                                 (("--port", "65535"), THREE, "expected 1 to 65534"), (("--days", "-1"), THREE, "option --days"),
                                 (("--ca-cert", "/dev/null"), THREE, "belong together"), (("--data-dir", "it's"), THREE, "whole path"),
                                 (("--config-dir", "/a b"), THREE, "whole path"), (("--ca-cert", "/nowhere", "--ca-key", "/nowhere"), THREE, "/nowhere: No such")):
        got = plan(w, *args, members=members, code=2)
        true(words in got.stderr, f"{args} {members}: {got.stderr}")
        equal(contents(w), {}, "files")
    plan(w, folder="good")
    plan(w, "--ca-cert", "/etc/passwd", "--ca-key", "/etc/passwd", folder="good", code=2)
    plan(w, folder="good")  # what was refused is not remembered
    got = w.run([TENURE, "cluster", "certs", w.path("plan")], env=w.environment())
    true(got.returncode == 2 and "has no plan.json" in got.stderr, got.stderr)


def certificates(w):
    """they are told when they run out, renewed by the same authority, or signed by the user's; without TLS there are none"""
    def certs(*args, folder="plan"):
        got = w.run([TENURE, "cluster", "certs", w.path(folder), "-o", "json", *args], env=w.environment())
        return got.returncode, json.loads(got.stdout) if got.stdout else got.stderr

    plan(w, "--days", "20")
    code, told = certs()
    equal((code, told["due"], len(told["certificates"])), (1, True, 8), "20 days")
    before = contents(w)
    equal(certs("--renew")[0], 0, "renewed")
    after = contents(w)
    equal({Path(f).suffix for f in before if before[f] != after[f]}, {".crt", ".key"}, "what is new")
    equal([f for f in before if "/ca" in f and before[f] != after[f]], [], "the authority stays")
    plan(w, "--ca-cert", w.path("plan/ca/ca.crt"), "--ca-key", w.path("plan/ca/ca.key"), folder="other")
    equal(Path(w.path("other/ca")).exists(), False, "an authority of its own")
    equal(certs(folder="other")[0], 0, "signed by the user's")
    w.run(["openssl", "verify", "-CAfile", w.path("plan/ca/ca.crt"), w.path("other/hosts/a/server.crt"), w.path("other/client/client.crt")], check=True)
    got = plan(w, "--insecure", folder="open")
    true("without TLS" in got.stderr and "http://127.0.0.2:2379" in read(w.path("open/client/tenure.env")), got.stderr)
    equal(list(Path(w.path("open")).rglob("*.key")), [], "keys")
    code, said = certs(folder="open")
    true(code == 2 and "without TLS" in said, said)


main([a_planned_cluster, made_again, what_cannot_be_planned, certificates])
