#!/usr/bin/env python3
"""Authentication end to end: the same session by etcdctl on `tenure serve` and on etcd, and what only real processes show:
a crash, keys of signed tokens, a storm of logins."""

import base64
import concurrent.futures
import json
import re
import subprocess

from harness import *


def session(w):
    """Every command of etcdctl about users and roles, as admin, as users and as nobody; what each said."""
    said = []

    def ctl(*args, input=None):
        r = w.etcdctl(*args, input=input)
        error = re.search(r"^Error: (.*)$", r.stderr, re.M)
        said.append((" ".join(args), r.returncode, r.stdout, error.group(1) if error else ""))
        return r

    root = "--user=root:secret"
    ctl("auth", "enable")
    for user in ("root:secret", "reader:reader", "writer:writer", "plain:plain"):
        ctl("user", "add", user)
    ctl("user", "add", "plain:again")
    ctl("user", "add", "cert", "--no-password")
    ctl("role", "add", "read")
    ctl("role", "add", "write")
    ctl("role", "add", "read")
    ctl("role", "grant-permission", "read", "read", "k")
    ctl("role", "grant-permission", "read", "--prefix=true", "read", "p/")
    ctl("role", "grant-permission", "read", "--from-key=true", "read", "x")
    ctl("role", "grant-permission", "write", "write", "k")
    ctl("role", "grant-permission", "write", "readwrite", "a", "c")
    ctl("role", "grant-permission", "none", "read", "k")
    ctl("role", "get", "read")
    ctl("user", "grant-role", "reader", "read")
    ctl("user", "grant-role", "writer", "write")
    ctl("user", "grant-role", "writer", "none")
    ctl("user", "grant-role", "root", "root")
    ctl("user", "get", "writer", "--detail")
    ctl("auth", "enable")
    ctl("get", "k")
    ctl("put", "k", "1")
    ctl(root, "put", "k", "1")
    ctl("--user=writer:writer", "put", "k", "2")
    ctl("--user=writer:writer", "put", "--prev-kv", "k", "2")
    ctl("--user=writer:writer", "get", "k")
    ctl("--user=writer:writer", "put", "--prev-kv", "b", "1")
    ctl("--user=writer:writer", "get", "a", "c")
    ctl("--user=writer:writer", "get", "a", "d")
    ctl("--user=reader:reader", "get", "k")
    ctl("--user=reader:reader", "get", "p/", "--prefix")
    ctl("--user=reader:reader", "get", "x", "--from-key")
    ctl("--user=reader:reader", "get", "w", "--from-key")
    ctl("--user=reader:reader", "del", "k")
    ctl("--user=reader:wrong", "get", "k")
    ctl("--user=nobody:x", "get", "k")
    ctl("--user=cert:", "get", "k")
    ctl("--user=reader:reader", "txn", input='value("k") = "2"\n\nget k\n\nget k\n\n')
    ctl("--user=reader:reader", "txn", input='value("k") = "2"\n\nput k 3\n\nget k\n\n')
    ctl("--user=reader:reader", "user", "list")
    ctl("--user=reader:reader", "user", "get", "reader")
    ctl("--user=reader:reader", "user", "get", "writer")
    ctl("--user=reader:reader", "role", "get", "read")
    ctl("--user=reader:reader", "role", "get", "write")
    ctl("--user=reader:reader", "auth", "disable")
    ctl(root, "user", "list")
    ctl(root, "role", "list")
    ctl(root, "role", "revoke-permission", "read", "x", "--from-key=true")
    ctl(root, "role", "revoke-permission", "read", "zz")
    ctl(root, "role", "get", "read")
    ctl(root, "user", "revoke-role", "reader", "read")
    ctl(root, "user", "revoke-role", "reader", "read")
    ctl(root, "user", "revoke-role", "root", "root")
    ctl("--user=reader:reader", "get", "k")
    ctl(root, "user", "passwd", "reader", "--interactive=false", input="other\n")
    ctl("--user=reader:reader", "get", "k")
    ctl("--user=reader:other", "get", "k")
    ctl(root, "user", "delete", "plain")
    ctl(root, "user", "delete", "plain")
    ctl(root, "user", "delete", "root")
    ctl(root, "role", "delete", "write")
    ctl(root, "user", "get", "writer")
    ctl(root, "auth", "disable")
    ctl("get", "k")
    ctl("user", "delete", "root")
    ctl("user", "list")
    return said


def same_session(w):
    """a session of etcdctl about users and roles says the same as on etcd"""
    if not shutil.which("etcd"):
        raise Skip("there is no etcd on this machine")
    worlds = [World("tenure"), World("etcd")]
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ours, theirs = pool.map(session, worlds)
    finally:
        for world in worlds:
            world.close()
    for mine, wanted in zip(ours, theirs):
        equal(mine, wanted)
    equal(len(ours), len(theirs))
    true(sum(1 for s in ours if s[1] != 0) > 20, "many of them were refused")


def begin_auth(w, *users):
    """root:root and those users, each with its name as password and a role of its own on the key of its name."""
    for user in ("root", *users):
        w.etcdctl("user", "add", f"{user}:{user}", check=True)
        if user != "root":
            w.etcdctl("role", "add", user, check=True)
            w.etcdctl("role", "grant-permission", user, "readwrite", user, check=True)
        w.etcdctl("user", "grant-role", user, user, check=True)
    w.etcdctl("auth", "enable", check=True)


def crash(w):
    """users, roles and the switch are there after kill -9, and tokens are not"""
    begin_auth(w, "u")
    w.etcdctl("--user=root:root", "user", "add", "late:late", check=True)
    w.server.kill()
    w.server.start()
    true("user name is empty" in w.etcdctl("get", "u").stderr, "it is still on")
    equal(w.etcdctl("--user=u:u", "put", "u", "1").stdout, "OK\n")
    true("permission denied" in w.etcdctl("--user=u:u", "put", "v", "1").stderr, "and so are roles")
    equal(w.etcdctl("--user=root:root", "user", "list").stdout, "late\nroot\nu\n")
    w.etcdctl("--user=root:root", "auth", "disable", check=True)
    w.server.kill()
    w.server.start()
    equal(w.etcdctl("get", "u", "--print-value-only").stdout, "1\n")


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(w, claims, alg="RS256"):
    """A token that somebody else has signed with our private key."""
    text = unpadded(json.dumps({"alg": alg}).encode()) + b"." + unpadded(json.dumps(claims).encode())
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", w.path("key.pem")], input=text, capture_output=True,
                          check=True)
    return (text + b"." + unpadded(made.stdout)).decode()


def gateway(w, token, key="u"):
    """The status of a read by the JSON gateway."""
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()})
    r = w.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: {token}", "-d", body,
               w.server.url + "/v3/kv/range"], check=True)
    return r.stdout


def signed_tokens(w):
    """tokens signed by a key hold over a restart, and until users or roles change"""
    for args in (["genpkey", "-algorithm", "RSA", "-out", "key.pem"], ["pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem"]):
        subprocess.run(["openssl", *args], cwd=w.folder, capture_output=True, check=True)
    option = f"--auth-token=jwt,pub-key={w.path('pub.pem')},priv-key={w.path('key.pem')},sign-method=RS256,ttl=10m"
    w._server = Server("tenure", w.folder / "server", option).start()
    begin_auth(w, "u")
    status = w.run(["curl", "-s", "-d", "{}", w.server.url + "/v3/auth/status"], check=True)
    revision = int(json.loads(status.stdout)["authRevision"])
    body = json.dumps({"name": "u", "password": "u"})
    answer = w.run(["curl", "-s", "-d", body, w.server.url + "/v3/auth/authenticate"], check=True)
    token = json.loads(answer.stdout)["token"]
    equal(token.count("."), 2, "parts of a token")
    equal(gateway(w, token), "200")
    equal(gateway(w, token, "v"), "403")
    equal(gateway(w, token[:-8] + "AAAAAAAA"), "401")
    ours = {"username": "u", "revision": revision, "exp": 4102444800}
    equal(gateway(w, signed(w, ours)), "200")
    equal(gateway(w, signed(w, {**ours, "exp": 1})), "401")
    equal(gateway(w, signed(w, {**ours, "revision": revision - 1})), "400")
    equal(gateway(w, signed(w, ours, alg="none")), "401")
    w.server.kill()
    w.server.start()
    equal(gateway(w, token), "200")
    w.etcdctl("--user=root:root", "user", "add", "z:z", check=True)
    equal(gateway(w, token), "400")


def bad_keys(w):
    """an --auth-token that cannot be is named before anything is served"""
    for option, why in ((f"jwt,sign-method=RS256,priv-key={w.path('none')}", "none"),
                        ("jwt,sign-method=XX1,priv-key=/dev/null", "XX1"),
                        ("jwt,ttl=5m", "sign-method"),
                        ("jwt,sign-method=HS256,priv-key=/etc/hostname,ttl=soon", "ttl"),
                        ("kerberos", "kerberos")):
        r = w.run([TENURE, "serve", "--data-dir", w.path("data"), "--listen-client-urls", "http://127.0.0.1:0",
                   f"--auth-token={option}"], env=dict(os.environ))
        true(r.returncode != 0 and why in r.stderr, (option, r.returncode, r.stderr))


def login_storm(w):
    """while many log in, others are served at once"""
    begin_auth(w, "u")
    body = json.dumps({"name": "u", "password": "u"})
    url = w.server.url + "/v3/auth/authenticate"
    logins = [w.start("-s", "-w", " %{http_code}\n", "-d", body, *([url] * 3), program="curl") for _ in range(8)]
    token = json.loads(w.run(["curl", "-s", "-d", body, url], check=True).stdout)["token"]
    during = 0
    while any(p.poll() is None for p in logins):
        equal(gateway(w, token), "200")
        during += 1
    for p in logins:
        equal([line[-4:] for line in p.communicate()[0].splitlines()], [" 200"] * 3)
    true(during > 0, "reads went between the logins")


main([same_session, crash, signed_tokens, bad_keys, login_storm])
