#!/usr/bin/env python3
"""The lock recipes of python3-etcd3 and of npm's etcd3 beside `tenure lock` on one name. Theirs is one key of that very name; ours
is a queue below it. docs/recipes.md says what comes of it, and this shows that it is so. Runs on `tenure serve` and on etcd."""

import json
import os
import sys

try:
    import etcd3
except ImportError:  # this Python may not be Debian's
    debian = "/usr/bin/python3"
    if os.path.realpath(sys.executable) != os.path.realpath(debian) and os.path.exists(debian):
        os.execv(debian, [debian, *sys.argv])
    etcd3 = None

from harness import *

NPM = ROOT / "build" / "npm"  # test_flow_node.py installs it


def keys(w):
    return sorted(w.tenure("get", "--prefix", "/locks/", "--keys-only", check=True).stdout.split())


def hold(w, name):
    """`tenure lock NAME` that has said that it holds it; its key."""
    process = w.start("lock", name)
    return process, process.stdout.readline().split()[0]


def let_go(process):
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)


def python(w):
    """python3-etcd3's own lock and ours of one name are both held at once, and leave each other alone"""
    if etcd3 is None:
        raise Skip("there is no python3-etcd3 on this machine")
    w.server  # started by the first who asks
    theirs = etcd3.client(host="127.0.0.1", port=w.server.port, timeout=PATIENCE_S).lock("both", ttl=60)
    true(theirs.acquire(timeout=PATIENCE_S), "theirs is held")
    ours, key = hold(w, "both")
    equal(keys(w), ["/locks/both", key], "the keys of both")
    equal(w.tenure("lock", "both", "--timeout", "0", "--", "true").returncode, 124, "ours excludes ours")
    true(theirs.is_acquired(), "theirs is still held")
    listed = w.tenure("lock", "--list", "both", check=True).stdout.splitlines()
    equal(len(listed), 2, f"the heading and ours alone are listed: {listed}")
    true(theirs.release(), "theirs is released")
    equal(keys(w), [key], "ours is left")
    true(theirs.acquire(timeout=PATIENCE_S), "theirs is had again while ours is held")
    let_go(ours)
    equal(keys(w), ["/locks/both"], "theirs is left")


def node(w):
    """npm etcd3's own lock and ours of one name are both held at once, and leave each other alone"""
    if not shutil.which("node") or not (NPM / ".installed").exists():
        raise Skip("there is no node with npm's etcd3 on this machine")
    ours, key = hold(w, "both")
    script = """
        const {Etcd3} = require('etcd3');
        (async () => {
            const client = new Etcd3({hosts: process.argv[1]});
            const lock = await client.lock('/locks/both').acquire();
            let refused = 'not refused';
            await client.lock('/locks/both').acquire().catch(e => { refused = e.constructor.name; });
            const held = await client.getAll().prefix('/locks/').keys();
            await lock.release();
            const left = await client.getAll().prefix('/locks/').keys();
            console.log(JSON.stringify([refused, held.sort(), left]));
            client.close();
        })();"""
    done = subprocess.run(["node", "--no-deprecation", "-e", script, w.server.url], cwd=NPM, capture_output=True, text=True, timeout=PATIENCE_S * 3)
    equal(json.loads(done.stdout or "null"), ["EtcdLockFailedError", ["/locks/both", key], [key]], f"what node saw {done.stderr}")
    let_go(ours)
    equal(keys(w), [], "nothing is left")


main([python, node])
