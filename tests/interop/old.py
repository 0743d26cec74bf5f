#!/usr/bin/env python3
"""Snapshots of older etcd into `tenure serve`: the last 3.5 and 3.6, and Debian's 3.4 where it is on this machine. And back.

    old.py --built DIR [NAME…]     DIR has etcd-3.5 and etcd-3.6 as well
"""

from etcds import *

ROOT_USER = "root:rootpw"


class Old(Current):
    def __init__(self, folder, program):
        super().__init__("etcd", folder)
        self.program = program


def stock(w, url):
    return json.loads(w.run([STOCK, "take", "--endpoints", url], check=True, timeout=120).stdout)


def fill(w, url):
    w.run([STOCK, "fill", "--endpoints", url, "--keys", "2000", "--revisions", "3000", "--leases", "20", "--users", "5"],
          check=True, timeout=120)


def in_terms_of(today, old):
    """What the older one says when the same state is asked today: the role root shows its permission since 3.6, and
    AuthStatus is there since 3.5."""
    equal(today["Roles"]["root"], 'READWRITE "" "\\x00"; ', "the role root")
    return {**old, "Roles": {**old["Roles"], "root": today["Roles"]["root"]},
            "Auth": today["Auth"] if old["Auth"] == "unknown" else old["Auth"]}


def taken_over(w, program):
    """A history with leases, users and roles of that etcd: by snapshot, and as the file lies in its directory."""
    w._server = etcd = Old(w.folder / "old", program).start()
    fill(w, etcd.url)
    wanted = stock(w, etcd.url)
    w.tenure("--endpoints", etcd.url, "--user", ROOT_USER, "snapshot", "save", w.path("a.db"), check=True)
    w.run([CHECK, w.path("a.db")], check=True)
    etcd.stop()
    db = str(etcd.folder / "data" / "member" / "snap" / "db")
    for path, name, more in ((w.path("a.db"), "saved", []), (db, "lay", ["--skip-hash-check"])):
        ours = to_tenure(w, path, name, "--keep-revisions", *more)
        try:
            got = stock(w, ours.url)
            same(got, in_terms_of(got, wanted))
            w.tenure("--endpoints", ours.url, "--user", ROOT_USER, "snapshot", "save", w.path(f"{name}.db"), check=True)
            w.run([CHECK, w.path(f"{name}.db")], check=True)
        finally:
            ours.end()


def restored(w):
    """The stock of a `tenure serve`, and the folder into which etcdutl has restored its snapshot."""
    fill(w, w.server.url)
    wanted = stock(w, w.server.url)
    w.tenure("--endpoints", w.server.url, "--user", ROOT_USER, "snapshot", "save", w.path("a.db"), check=True)
    folder = w.folder / "etcd"
    folder.mkdir()
    w.run([UTL, "snapshot", "restore", w.path("a.db"), "--data-dir", str(folder / "data")], check=True)
    return wanted, folder


def series_3_4(w):
    """everything of etcd 3.4 goes into tenure serve"""
    program = shutil.which("etcd")
    if not program or "etcd Version: 3.4" not in w.run([program, "--version"], env=dict(os.environ)).stdout:
        raise Skip("there is no etcd 3.4 on this machine")
    taken_over(w, program)


def series_3_5(w):
    """everything of etcd 3.5 goes into tenure serve"""
    taken_over(w, str(BUILT / "etcd-3.5"))


def series_3_6(w):
    """everything of etcd 3.6 goes into tenure serve"""
    taken_over(w, str(BUILT / "etcd-3.6"))


def back_to_3_5(w):
    """etcd 3.5 takes everything of tenure serve"""
    wanted, folder = restored(w)
    etcd = Old(folder, str(BUILT / "etcd-3.5"))
    try:
        got = stock(w, etcd.start().url)
        same(wanted, in_terms_of(wanted, got))
    finally:
        etcd.end()


def back_to_3_6(w):
    """etcd 3.6, which takes no file of 3.7, has everything of tenure serve by way of a 3.7 that is downgraded"""
    wanted, folder = restored(w)
    etcd = Current("etcd", folder).start()
    try:
        ctl(w, etcd.url, "downgrade", "enable", "3.6", user=ROOT_USER)
        status = lambda: json.loads(ctl(w, etcd.url, "endpoint", "status", "-w", "json", user=ROOT_USER))[0]["Status"]
        await_(lambda: status().get("storageVersion") == "3.6.0", "the storage is of 3.6", 60)
        etcd.stop()
        etcd.program = str(BUILT / "etcd-3.6")
        same(stock(w, etcd.start().url), wanted)
    finally:
        etcd.end()


main([series_3_4, series_3_5, series_3_6, back_to_3_5, back_to_3_6])
