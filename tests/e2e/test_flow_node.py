#!/usr/bin/env python3
"""npm's etcd3 (npm/flow.js) on `tenure serve` and on etcd: it sees the same on both.

Node itself is not among Debian packages that a build should need: without it, or without npm's registry, this is skipped.
The packages, which npm/package-lock.json pins, go into build/npm."""

import fcntl
import json

import flow
from harness import *

SOURCE = ROOT / "tests" / "e2e" / "npm"
PLACE = ROOT / "build" / "npm"


def install():
    """Puts the packages in place, once for all runs that go on at a time."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise Skip("there is no node with npm on this machine")
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = (SOURCE / "package-lock.json").read_bytes()
        if not (PLACE / ".installed").exists() or (PLACE / ".installed").read_bytes() != stamp:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCE / name, PLACE / name)
            done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                                   "--fetch-timeout=20000"], cwd=PLACE, capture_output=True, text=True, timeout=120)
            if done.returncode != 0:
                raise Skip("npm's registry cannot be had: " + " ".join(done.stderr.split())[-200:])
            (PLACE / ".installed").write_bytes(stamp)
        shutil.copy(SOURCE / "flow.js", PLACE / "flow.js")


def node(w):
    """npm's etcd3 sees the same: keys, transactions, watches, leases, locks, elections"""
    install()
    pair = flow.Pair(w)
    try:
        def story(_, server):
            more = {"auth": {"auth": {"username": "root", "password": flow.PASSWORD}}}.get(flow.MODE, {})
            files = {} if flow.MODE == "plain" else {"rootCertificate": "ca.pem"}
            if flow.MODE == "mtls":
                files |= {"privateKey": "alice.key", "certChain": "alice.pem"}
            if files:
                more["files"] = {name: f"{flow.certificates(w)}/{file}" for name, file in files.items()}
            done = subprocess.run(["node", "--no-deprecation", str(PLACE / "flow.js"), server.url, json.dumps(more)], capture_output=True,
                                  text=True, timeout=PATIENCE_S * 3)
            return done.returncode, done.stdout, done.stderr
        tenure, etcd = pair.both(story)
        equal(etcd[0], 0, f"etcd: {etcd[2]}")
        for ours, theirs in zip(tenure[1].splitlines(), etcd[1].splitlines()):
            equal(ours, theirs, "what node saw")
        equal(tenure, etcd, "what node saw")
    finally:
        pair.end()


main([node])
