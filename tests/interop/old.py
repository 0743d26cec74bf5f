#!/usr/bin/env python3
"""Snapshots of older etcd into `tenure serve`: the last 3.5 and 3.6, and Debian's 3.4 where it is on this machine.

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


def asked_today(wanted, got):
    """What the same state answers since 3.6: the role root has its permission; since 3.5 AuthStatus is there."""
    equal(got["Roles"]["root"], 'READWRITE "" "\\x00"; ', "the role root")
    return {**wanted, "Roles": {**wanted["Roles"], "root": got["Roles"]["root"]},
            "Auth": got["Auth"] if wanted["Auth"] == "unknown" else wanted["Auth"]}


def taken_over(w, program):
    """A history with leases, users and roles of that etcd: by snapshot, and as the file lies in its directory."""
    w._server = etcd = Old(w.folder / "old", program).start()
    w.run([STOCK, "fill", "--endpoints", etcd.url, "--keys", "2000", "--revisions", "3000", "--leases", "20", "--users", "5"],
          check=True, timeout=120)
    wanted = stock(w, etcd.url)
    w.tenure("--endpoints", etcd.url, "--user", ROOT_USER, "snapshot", "save", w.path("a.db"), check=True)
    w.run([CHECK, w.path("a.db")], check=True)
    etcd.stop()
    db = str(etcd.folder / "data" / "member" / "snap" / "db")
    for path, name, more in ((w.path("a.db"), "saved", []), (db, "lay", ["--skip-hash-check"])):
        ours = to_tenure(w, path, name, "--keep-revisions", *more)
        try:
            got = stock(w, ours.url)
            same(got, asked_today(wanted, got))
            w.tenure("--endpoints", ours.url, "--user", ROOT_USER, "snapshot", "save", w.path(f"{name}.db"), check=True)
            w.run([CHECK, w.path(f"{name}.db")], check=True)
        finally:
            ours.end()


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


main([series_3_4, series_3_5, series_3_6])
