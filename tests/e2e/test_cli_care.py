#!/usr/bin/env python3
"""tenure cluster backup, restore, drill, defrag and status on real etcd members."""

import fcntl
import json

from clusters import *


def sure(c, *args):
    """An election under way, as on a machine that has much to do, takes longer than the default."""
    return c.tenure(*args, "--call-timeout", "40s", check=True)


def token(c):
    return int(c.tenure("lock", "x", "--timeout", "60s", "--ttl", "60s", "--", "sh", "-c", "echo $TENURE_TOKEN", check=True).stdout)


def destroy(w, c):
    """All of it at once, members first; nothing is left on the disk."""
    pids = [c.pid(name) for name in c.members]
    os.kill(c.process.pid, signal.SIGKILL)
    c.process.communicate()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    await_(lambda: not any(map(is_running, pids)), "all are gone")
    shutil.rmtree(c.folder)


def watcher(w, c):
    """Follows a; the first event is there."""
    p = w.start("watch", "a", "--rev", "2", "-o", "jsonl", env=w.environment(TENURE_ENDPOINTS=c.endpoints))
    true(p.stdout.readline(), "the watch is there")
    return p


def same_addresses(folder, ports):
    """The clients of the old cluster find the new one where it was; peers have their own."""
    layout = json.loads((folder / "cluster.json").read_text())
    for member, port in zip(layout["members"], ports):
        member["client_port"] = port
    (folder / "cluster.json").write_text(json.dumps(layout))


def a_whole_cluster(w):
    """all members destroyed and restored: data, leases and users are there, tokens grow, and an old watch is told compacted"""
    c = Cluster(w).well()
    ports = [int(m["endpoint"].rsplit(":", 1)[1]) for m in c.members.values()]
    sure(c, "put", "a", "1")
    sure(c, "auth", "user", "add", "alice:pw")
    lease = sure(c, "lease", "grant", "600").stdout.split()[1]
    token(c)
    made = json.loads(sure(c, "cluster", "backup", "--to", w.path("b"), "-o", "json").stdout)
    equal(made["role"], "follower", "who gave it")
    sure(c, "put", "a", "after the backup")
    last = max(token(c) for _ in range(2))
    old = watcher(w, c)
    destroy(w, c)
    where = ("--data-dir", w.path("again"), "--port", "0")
    got = c.tenure("cluster", "restore", w.path("b"), *where, "-o", "json", check=True)
    told = json.loads(got.stdout)
    equal((told["backup_revision"], len(told["members"])), (made["revision"], 3), "what it says")
    refused = c.tenure("cluster", "restore", w.path("b"), *where)
    true(refused.returncode == 1 and "not empty" in refused.stderr, refused.stderr)
    same_addresses(Path(w.path("again")), ports)
    c = Cluster(w, folder="again")
    equal(sure(c, "get", "a", "--print-value-only").stdout, "1\n", "the backup's value")
    true(lease in sure(c, "lease", "list").stdout, "the lease is there")
    equal(sure(c, "auth", "user", "list").stdout, "alice\n", "users")
    true(token(c) > last + 10**12, "tokens grow")
    out, said = old.communicate(timeout=PATIENCE_S)
    true(old.returncode == 1 and "compacted" in said, f"the old watch: {old.returncode} {out}{said}")
    shutil.rmtree(Path(w.path("again")) / "m2", ignore_errors=True)
    c.end()
    got = w.run([TENURE, "cluster", "dev", "--data-dir", w.path("again"), "--port", "0"], env=w.environment())
    true(got.returncode == 1 and "begin empty" in got.stderr, f"no empty member: {got.returncode} {got.stderr}")


def on_other_hosts(w):
    """members on other hosts get a folder and a command each; a damaged backup is left for an older one, and named"""
    w.tenure("put", "a", "1", check=True)
    for _ in range(2):
        w.tenure("cluster", "backup", "--to", w.path("b"), check=True)
    damaged = json.loads(Path(w.path("b/backups.json")).read_text())["backups"][-1]["file"]
    with open(w.path(f"b/{damaged}"), "r+b") as f:
        f.seek(5000)
        f.write(b"\xff\xfe\xfd")
    for left in ("killed", "atwork"):  # one of a restore that was killed, one of a restore that is under way
        Path(w.path(f"new.restoring-{left}")).mkdir()
        Path(w.path(f"new.restoring-{left}/restore.log")).touch()
    Path(w.path("new.restoring-backup/member")).mkdir(parents=True)  # somebody's own
    at_work = os.open(w.path("new.restoring-atwork"), os.O_RDONLY)
    fcntl.flock(at_work, fcntl.LOCK_EX)
    got = w.tenure("cluster", "restore", w.path("b"), "--data-dir", w.path("new"), "--members", "a=10.0.0.1,b=https://10.0.0.2:2390,c=10.0.0.3")
    equal(got.returncode, 0, got.stderr)
    equal([Path(w.path(f"new.restoring-{left}")).exists() for left in ("killed", "atwork", "backup")], [False, True, True], "what others left")
    true(f"removed {w.path('new.restoring-killed')}, which a restore that did not come to its end had left" in got.stderr, got.stderr)
    os.close(at_work)
    true("left for an older one" in got.stderr and damaged in got.stderr, got.stderr)
    true("--initial-advertise-peer-urls https://10.0.0.2:2390 " in got.stdout, got.stdout)
    true("TENURE_ENDPOINTS=http://10.0.0.1:2379,https://10.0.0.2:2379,http://10.0.0.3:2379" in got.stdout, got.stdout)
    equal(sorted(p.name for p in Path(w.path("new")).iterdir()), ["a", "adopted.db", "b", "c", "restore.log"], "folders")
    for args, code, words in (([w.path("none"), "--data-dir", w.path("x")], 2, "none"), ([w.path("b")], 2, "--data-dir"),
                              ([w.path("b"), "--data-dir", w.path("x"), "--members", "2"], 2, "1, 3, 5 or 7"),
                              ([w.path("b"), "--data-dir", w.path("x"), "--members", "a=h,a=h,b=h"], 2, "NAME=HOST"),
                              ([w.path("b"), "--data-dir", w.path("x"), "--members", "../a=h"], 2, "NAME=HOST"),
                              ([w.path(f"b/{damaged}"), "--data-dir", w.path("x")], 1, "checksum"),
                              ([w.path("b"), "--data-dir", w.path("b")], 1, "not empty")):
        got = w.tenure("cluster", "restore", *args, "--port", "0")
        true(got.returncode == code and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")


main([a_whole_cluster, on_other_hosts])
