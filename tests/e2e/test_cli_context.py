#!/usr/bin/env python3
"""Contexts and the credential file: which servers a command means, and as whom."""

import json

from harness import *


class Setup:
    def __init__(self, w, **env):
        self.w = w
        self.config = w.path("config/tenure")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("TENURE_", "XDG_"))}
        self.env |= {"XDG_CONFIG_HOME": w.path("config"), "TENURE_NO_AUTOSTART": "1", **env}

    def tenure(self, *args, check=False, **env):
        return self.w.run([TENURE, *args], env={**self.env, **env}, check=check)

    def credentials(self, text, mode=0o600):
        os.makedirs(self.config, exist_ok=True)
        path = f"{self.config}/credentials"
        Path(path).write_text(text)
        os.chmod(path, mode)
        return path


NOWHERE = "http://127.0.0.1:1"


def set_use_show(w):
    """a context is set, used, shown, changed field by field and deleted"""
    s = Setup(w)
    equal(json.loads(s.tenure("context", "-o", "json").stdout), {"current": "", "contexts": {}}, "none at first")
    s.tenure("context", "set", "prod", "--endpoints", NOWHERE, "--user", "ci", check=True)
    s.tenure("context", "set", "lab", "--endpoints", w.server.url, check=True)
    s.tenure("context", "use", "lab", check=True)
    equal(s.tenure("context").stdout,
          f"* {'lab':<16} {w.server.url}\n  {'prod':<16} {NOWHERE}  user ci\n", "the list")
    s.tenure("context", "set", "prod", "--user", "", "--cacert", "/ca.pem", check=True)
    equal(json.loads(s.tenure("context", "show", "prod", "-o", "json").stdout),
          {"name": "prod", "context": {"endpoints": NOWHERE, "cacert": "/ca.pem"}}, "prod")
    s.tenure("context", "use", "--none", check=True)
    shown = json.loads(s.tenure("context", "-o", "json").stdout)
    equal((shown["current"], sorted(shown["contexts"])), ("", ["lab", "prod"]), "none is in use, and none is lost")
    s.tenure("context", "use", "lab", check=True)
    for good in ("https://a:1,b:2", "unix:///run/x.sock", "unixs:///run/x.sock", NOWHERE):
        s.tenure("context", "set", "forms", "--endpoints", good, check=True)
    s.tenure("context", "delete", "forms", check=True)
    s.tenure("context", "delete", "lab", check=True)
    equal(json.loads(s.tenure("context", "-o", "json").stdout)["current"], "", "current after its deletion")
    equal(os.stat(f"{s.config}/contexts.json").st_mode & 0o777, 0o600, "mode")


def precedence(w):
    """options win over a context that is chosen, which wins over the environment, which wins over the one in use"""
    s = Setup(w)
    s.tenure("context", "set", "here", "--endpoints", w.server.url, check=True)
    s.tenure("context", "set", "nowhere", "--endpoints", NOWHERE, check=True)
    put = ("put", "a", "1", "--call-timeout", "300ms")
    for use, args, env, code in (
        ("here", (), {}, 0),
        ("nowhere", (), {}, 3),
        ("nowhere", (), {"TENURE_ENDPOINTS": w.server.url}, 0),
        ("here", (), {"TENURE_ENDPOINTS": NOWHERE}, 3),
        ("nowhere", ("--context", "here"), {"TENURE_ENDPOINTS": NOWHERE}, 0),
        ("here", (), {"TENURE_ENDPOINTS": w.server.url, "TENURE_CONTEXT": "nowhere"}, 3),
        ("here", ("--context", "here"), {"TENURE_CONTEXT": "nowhere"}, 0),
        ("nowhere", ("--context", "nowhere", "--endpoints", w.server.url), {}, 0),
    ):
        s.tenure("context", "use", use, check=True)
        got = s.tenure(*put, *args, **env)
        equal(got.returncode, code, f"use {use} {args} {env}: {got.stderr}")
    inside = s.tenure("lock", "a", "--context", "here", "--", TENURE, "get", "a", "--print-value-only", TENURE_ENDPOINTS=NOWHERE)
    equal(inside.stdout, "1\n", "a command under a lock means the same servers")


def bad_input(w):
    """names, fields, files that are wrong are said with what was expected"""
    s = Setup(w)
    for args, code, words in (
        (("context", "set", "a b", "--endpoints", NOWHERE), 2, "a b"),
        (("context", "set", "a"), 2, "--endpoints"),
        (("context", "set", "a", "--user", "x"), 2, "names no servers"),
        (("context", "set", "a", "--endpoints", NOWHERE, "--user", "x:secret"), 2, "credential file"),
        (("context", "set"), 2, "NAME"),
        (("context", "set", "a", "--endpoints", "ftp://h:1"), 2, "ftp://h:1"),
        (("context", "set", "a", "--endpoints", f"{NOWHERE},htps://h:1"), 2, "'htps://h:1'"),
        (("context", "set", "a", "--endpoints", "http://"), 2, "host:port"),
        (("context", "set", "a", "--endpoints", f"{NOWHERE},,"), 2, "host:port"),
        (("context", "use"), 2, "--none"),
        (("context", "use", "a", "--none"), 2, "--none"),
        (("context", "use", "a", "b"), 2, "too many"),
        (("context", "use", "none"), 1, "tenure context list"),
        (("context", "wrong"), 2, "expected list, show"),
        (("get", "a", "--context", "none"), 2, "no context 'none'"),
        (("lock", "--context", "none", "a", "--", "true"), 125, "no context 'none'"),
    ):
        got = s.tenure(*args)
        equal(got.returncode, code, f"{args}: {got.stderr}")
        true(words in got.stderr, f"{args} says {words!r}: {got.stderr}")
    os.makedirs(s.config, exist_ok=True)
    for text, words in (("{", "line 1"), ("[]", "expected an object"), ('{"contexts": 1}', "expected an object")):
        Path(f"{s.config}/contexts.json").write_text(text)
        got = s.tenure("get", "a")
        equal(got.returncode, 2, f"{text}: {got.stderr}")
        true(words in got.stderr and "contexts.json" in got.stderr, f"{text}: {got.stderr}")


def passwords(w):
    """a password comes out of the credential file by host, host and port, context or default, and never stands in a process list"""
    s = Setup(w, TENURE_ENDPOINTS=w.server.url)
    for user, password in (("root", "r s"), ("ci", 'quo"te#')):
        w.run([TENURE, "auth", "user", "add", user], env=s.env, input=password + "\n", check=True)
    s.tenure("auth", "role", "add", "root")
    s.tenure("auth", "user", "grant", "root", "root", check=True)
    s.tenure("auth", "enable", check=True)
    root = 'login root password "r s"'
    port = w.server.port
    for text, env, code in (
        (f"machine 127.0.0.1 {root}\n", {}, 0),
        (f"machine 127.0.0.1:{port} {root}\n", {}, 0),
        (f"# nobody\nmachine other {root}\nmachine 127.0.0.1:1 {root}\n", {}, 1),
        (f"machine other login x password y default {root}", {}, 0),
        (f"machine 127.0.0.1 login ci password \"quo\\\"te#\"\nmachine 127.0.0.1 {root}\n", {"TENURE_USER": "root"}, 0),
        (f"machine 127.0.0.1 login ci password \"quo\\\"te#\"\nmachine 127.0.0.1 {root}\n", {}, 1),
        (f"machine 127.0.0.1 {root}\n", {"TENURE_USER": "root", "TENURE_PASSWORD": "wrong"}, 1),
    ):
        s.credentials(text)
        got = s.tenure("auth", "user", "list", **env)
        equal(got.returncode, code, f"{text!r} {env}: {got.stderr}")
    s.tenure("context", "set", "named", "--endpoints", w.server.url, check=True)
    s.credentials(f"machine named {root}\n")
    equal(s.tenure("auth", "user", "list", "--context", "named").returncode, 0, "by the context's name")


def files_that_are_refused(w):
    """a credential file that others can read, or that is no good, is refused by name"""
    s = Setup(w, TENURE_ENDPOINTS=w.server.url)
    for text, mode, words in (
        ("machine a login b password c", 0o644, "chmod 600"),
        ("machine a login b password c", 0o640, "chmod 600"),
        ("machine", 0o600, "a word is missing"),
        ('machine a login "b', 0o600, "not ended"),
        ("machine " + "x" * 2000, 0o600, "1,023"),
        ("hello", 0o600, "line 1: expected machine"),
        ("machine a login b password c\n# d\nmachine d\n  login e\n", 0o600, "line 3: this entry has no password"),
        ("machine a login b\nmachine d login e password f\n", 0o600, "line 1: this entry has no password"),
        ('machine a login b password ""\n', 0o600, "line 1: this entry has no password"),
        ("machine a login b password c\n\nmachine d pasword e", 0o600, "line 3: expected machine"),
    ):
        path = s.credentials(text, mode)
        got = s.tenure("put", "a", "1")
        equal(got.returncode, 2, f"{text!r}: {got.stderr}")
        true(path in got.stderr and words in got.stderr, f"{text[:20]!r} says {words!r}: {got.stderr}")
    os.remove(path)
    got = s.tenure("put", "a", "1", TENURE_CREDENTIALS=w.path("none"))
    equal(got.returncode, 2, "one that is named must be there")
    true(w.path("none") in got.stderr, got.stderr)
    equal(s.tenure("put", "a", "1").returncode, 0, "without a file")


main([set_use_show, precedence, bad_input, passwords, files_that_are_refused])
