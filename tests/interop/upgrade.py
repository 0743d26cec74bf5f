#!/usr/bin/env python3
"""tenure cluster upgrade: members of Debian's 3.4 (where it is) become 3.5, then 3.6, with a writer at work.

    upgrade.py --built DIR     DIR has etcd-3.5 and etcd-3.6
"""

from etcds import BUILT, sys  # it takes --built out of the command line, before the others look at it
from clusters import *


def one_minor_version_after_the_other(w):
    """each step is taken by all members, none may be skipped, and what was written is there"""
    first = "etcd" if shutil.which("etcd") else str(BUILT / "etcd-3.5")
    c = Cluster(w, "--etcd", first).well()
    versions = lambda: {m["version"].rsplit(".", 1)[0] for m in c.status()[1].values()}
    upgrade = lambda program: c.tenure("cluster", "upgrade", "--data-dir", str(c.folder), "--etcd", str(program), "--backup",
                                       w.path("before.db"), timeout=PATIENCE_S * 6)
    c.tenure("put", "a", "1", check=True)
    if versions() == {"3.4"}:
        got = upgrade(BUILT / "etcd-3.6")
        true(got.returncode == 1 and "one minor version at a time" in got.stderr, f"{got.stdout}{got.stderr}")
    for wanted in ("3.5", "3.6"):
        got = upgrade(BUILT / f"etcd-{wanted}")
        equal((got.returncode, versions()), (0, {wanted}), f"{got.stdout}{got.stderr}")
        for name in c.members:
            c.pid(name)
        equal(c.tenure("get", "a", "--print-value-only").stdout, "1\n", "get")
    got = upgrade(BUILT / "etcd-3.5")
    true(got.returncode == 1 and "this goes forward only" in got.stderr, f"{got.stdout}{got.stderr}")


main([one_minor_version_after_the_other])
