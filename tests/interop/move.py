#!/usr/bin/env python3
"""From `tenure serve` into a cluster of three members of current etcd, and back: revisions, every HashKV, leases, users and
roles are the same on each side, and fencing tokens only grow.

    move.py --built DIR [--keys N] [NAME…]     half as many revisions more than keys, one lease for each hundred keys

What was measured on the way is printed as TAP comments.
"""

from etcds import *

KEYS = int(option("--keys", "4000"))
ROOT_USER = "root:rootpw"
PATIENT_S = 60 + KEYS // 2000  # a server reads what it holds before it serves


class Stopwatch:
    def __init__(self):
        self.last = time.monotonic()

    def lap(self, what):
        now = time.monotonic()
        print(f"#   {now - self.last:6.1f} s  {what}", flush=True)
        self.last = now


def fill(w, url):
    amount = {"--keys": KEYS, "--revisions": KEYS * 3 // 2, "--leases": KEYS // 100, "--users": max(5, min(KEYS // 10000, 100))}
    words = [word for name, n in amount.items() for word in (name, str(n))]
    w.run([STOCK, "fill", "--endpoints", url, *words], check=True, timeout=PATIENT_S * 60)


def stock(w, urls):
    """Everything that these servers hold; they agree about the hashes."""
    return json.loads(w.run([STOCK, "take", "--endpoints", urls], check=True, timeout=PATIENT_S * 20).stdout)


def token(w, urls):
    """The fencing token of a lock that is taken now, and let go."""
    out = w.tenure("lock", "--endpoints", urls, "--user", ROOT_USER, "--call-timeout", "20s", "the-lock", "--", "sh", "-c",
                   "echo $TENURE_TOKEN", check=True, timeout=120).stdout
    return int(out)


def saved_by_both(w, url, also=()):
    """Files of the same content: by our client and by etcdctl. `also` may differ: etcd's hash is also over its raft index."""
    ours, theirs = (w.path(f"{by}.{len(os.listdir(w.folder))}.db") for by in ("tenure", "etcdctl"))
    w.tenure("--endpoints", url, "--user", ROOT_USER, "snapshot", "save", ours, check=True, timeout=PATIENT_S * 10)
    ctl(w, url, "snapshot", "save", theirs, user=ROOT_USER)
    one, other = ({what: n for what, n in same_status(w, f).items() if what not in also} for f in (ours, theirs))
    equal(one, other, "the two files")
    return ours, theirs


def sealed(w, server, successor):
    """The file of a server that was stopped and will not start again."""
    server.stop()
    path = w.path("sealed.db")
    data = str(server.folder / "data")
    w.tenure("snapshot", "save", "--data-dir", data, "--seal", "--successor", successor, path, check=True, timeout=PATIENT_S * 10)
    refused = w.tenure("serve", "--data-dir", data, "--listen-client-urls", server.url)
    true(refused.returncode != 0 and successor in refused.stderr, f"it names the successor: {refused.stderr}")
    return path


def out_and_back(w):
    """from tenure serve into a cluster of three and back: nothing is lost, hashes are equal, tokens grow"""
    watch = Stopwatch()
    tokens = []

    def next_token(urls):
        tokens.append(token(w, urls))
        true(tokens == sorted(set(tokens)), f"tokens grow: {tokens}")

    fill(w, w.server.url)
    next_token(w.server.url)
    next_token(w.server.url)
    watch.lap(f"{KEYS} keys filled into tenure serve")
    first = stock(w, w.server.url)
    watch.lap("stock taken of it")
    ours, theirs = saved_by_both(w, w.server.url)
    watch.lap(f"two snapshots of {os.path.getsize(ours)} bytes saved and checked")
    next_token(w.server.url)  # after the backup: `ours` is an old one from here on
    last = stock(w, w.server.url)
    final = sealed(w, w.server, "http://127.0.0.1:2379")
    same_status(w, final)
    watch.lap("sealed, and the sealed directory's snapshot checked")
    move_in(w, "early", [ours, theirs, ours], first, watch)
    cluster = Cluster(w, "cluster", [final] * 3, patience_s=PATIENT_S)
    try:
        cluster.start()
        watch.lap("restored by etcdutl into three members, which serve")
        same(stock(w, cluster.urls), last)
        watch.lap("stock of the cluster: equal")
        next_token(cluster.urls)
        leader, others = cluster.leader(ROOT_USER)
        leader.kill()
        next_token(",".join(m.url for m in [leader, *others]))
        leader.start()
        await_(leader.settled, "the member is back", PATIENT_S)
        second = stock(w, cluster.urls)
        watch.lap("its leader killed, a lock taken, the member back, stock of all three members: equal")
        move_back(w, others[0].url, second, next_token, watch)
    finally:
        cluster.end()
    from_an_old_backup(w, ours, next_token, watch)
    print(f"#   tokens: {tokens}")


def move_in(w, name, files, wanted, watch):
    """Each member may come from another file of the same content."""
    cluster = Cluster(w, name, files, patience_s=PATIENT_S)
    try:
        same(stock(w, cluster.start().urls), wanted)
        for m in cluster.members:
            m.stop()
            w.run([CHECK, str(m.folder / "data" / "member" / "snap" / "db")], check=True, timeout=600)
        watch.lap("a cluster from tenure's and etcdctl's file together: equal")
    finally:
        cluster.end()
        shutil.rmtree(w.folder / name)


def move_back(w, follower, wanted, next_token, watch):
    path, _ = saved_by_both(w, follower, also=["hash"])
    watch.lap("two snapshots of a follower saved and checked")
    back = to_tenure(w, path, "back", "--keep-revisions")
    try:
        watch.lap("restored into tenure serve")
        same(stock(w, back.url), wanted)
        watch.lap("stock of it: equal")
        back.stop()
        back.start()
        same(stock(w, back.url), wanted)
        next_token(back.url)
        watch.lap("and after a restart")
    finally:
        back.end()


def from_an_old_backup(w, path, next_token, watch):
    """Neither server knows what was given out since the backup."""
    restored = to_tenure(w, path, "old")
    try:
        next_token(restored.url)
    finally:
        restored.end()
    cluster = Cluster(w, "bumped", [path] * 3, "--bump-revision", str(1 << 41), "--mark-compacted", patience_s=PATIENT_S)
    try:
        next_token(cluster.start().urls)
    finally:
        cluster.end()
    watch.lap("restored from the old backup, here and in a cluster: tokens go on")


if __name__ == "__main__":
    main([out_and_back])
