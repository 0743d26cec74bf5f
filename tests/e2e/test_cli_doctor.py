#!/usr/bin/env python3
"""tenure doctor: what it finds, and that it says what to do."""

import json

from harness import *

MKCERTS = os.environ["MKCERTS"]


def doctor(w, *args, **env):
    """The exit code, and the findings as (level, about, text, advice)."""
    got = w.run([TENURE, "doctor", "-o", "json", *args], env=w.environment(**env))
    try:
        all_of_it = json.loads(got.stdout)
    except json.JSONDecodeError:
        raise Failure(f"exit code {got.returncode}: {got.stdout}{got.stderr}")
    return got.returncode, [(f["level"], f["about"], f["text"], f.get("advice", "")) for f in all_of_it["findings"]]


def find(findings, about, words):
    for f in findings:
        if f[1] == about and words in f[2]:
            return f
    raise Failure(f"nothing of {about} says {words!r}: {findings}")


def a_server_that_is_well(w):
    """of a server that is well nothing is bad, and all that was looked at is said"""
    code, findings = doctor(w)
    equal(code, 0, f"exit code, {findings}")
    about = [f[1] for f in findings]
    for topic in ("clock", w.server.url, "cluster", "alarms", "writes", "leases"):
        true(topic in about, f"{topic} in {about}")
    equal([f for f in findings if f[0] == "bad"], [], "bad")
    equal(w.tenure("lease", "list").stdout, "", "nothing is left behind")


def text_for_people(w):
    """as text: a line a finding, advice behind it, no colours where nobody looks"""
    got = w.run([TENURE, "doctor", "--endpoints", f"{w.server.url},http://127.0.0.1:1", "--call-timeout", "300ms"])
    equal(got.returncode, 1, f"exit code: {got.stdout}")
    lines_of_it = got.stdout.splitlines()
    true(any(line.startswith((f"ok    {w.server.url}: answers in ", f"warn  {w.server.url}: answers in ")) for line in lines_of_it), got.stdout)
    bad = [i for i, line in enumerate(lines_of_it) if line.startswith("bad   http://127.0.0.1:1: ")]
    true(bad and lines_of_it[bad[0] + 1].startswith("      try: "), got.stdout)
    true("\033" not in got.stdout, "no colours")


def nobody_there(w):
    """when no server answers the exit code says so"""
    code, findings = doctor(w, "--endpoints", "http://127.0.0.1:1", "--call-timeout", "300ms")
    equal(code, 3, "exit code")
    equal(find(findings, "http://127.0.0.1:1", "refused")[0], "bad", "level")


def an_alarm(w):
    """a raised alarm is bad, and its end is named"""
    small = Server(w.server_kind, w.path("small"), "--quota-backend-bytes", "1048576" if w.server_kind == "tenure" else "65536")
    small.start()
    try:
        for i in range(40):
            w.tenure("put", f"a{i}", "x" * 100000, env=w.environment(TENURE_ENDPOINTS=small.url))
        code, findings = doctor(w, TENURE_ENDPOINTS=small.url)
        equal(code, 1, "exit code")
        level, _, _, advice = find(findings, "alarms", "NOSPACE")
        equal(level, "bad", "level")
        true("tenure alarm disarm" in advice, advice)
    finally:
        small.end()


def two_clusters(w):
    """endpoints of two clusters are bad: locks in two exclude nobody"""
    other = Server("tenure", w.path("other")).start()
    try:
        code, findings = doctor(w, "--endpoints", f"{w.server.url},{other.url}")
        equal(code, 1, f"exit code {findings}")
        equal(find(findings, other.url, "another cluster")[0], "bad", "level")
    finally:
        other.end()


def certificates(w):
    """certificates that the server shows and the client has are named with their time"""
    folder = w.path("certs")
    os.makedirs(folder)
    w.run([MKCERTS, folder], env=dict(os.environ), check=True)
    names = sorted(os.listdir(folder))
    p = w.start("serve", "--data-dir", w.path("tls"), "--listen-client-urls", "https://127.0.0.1:0", "--cert-file",
                f"{folder}/server.pem", "--key-file", f"{folder}/server.key", env=dict(os.environ))
    line = p.stdout.readline()
    true("serving" in line, f"{line} {names}")
    url = line.split()[2]
    code, findings = doctor(w, "--endpoints", url, "--cacert", f"{folder}/ca.pem")
    equal(code, 0, f"exit code {findings}")
    find(findings, url, "the certificate")
    find(findings, f"{folder}/ca.pem", "the certificate")
    code, findings = doctor(w, "--endpoints", url, "--cacert", f"{folder}/ca.pem", "--cert", f"{folder}/expired.pem", "--key",
                            f"{folder}/expired.key")
    equal(code, 1, f"exit code {findings}")
    equal(find(findings, f"{folder}/expired.pem", "ran out")[0], "bad", "level")


main([a_server_that_is_well, text_for_people, nobody_there, an_alarm, two_clusters, certificates])
