#!/usr/bin/env python3
"""Patroni 4 with authentication and TLS: the flow of Debian's Patroni 3, which cannot log in (it lists the members before).

    patroni4_flow.py PACKAGES     the folder that pip put it in; what it needs is what Debian's Patroni needs

It is a user of its own who may write below /service/ only, and whose tokens a restart of the server makes void.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
PACKAGES = sys.argv.pop(1)

import flow
import test_flow_patroni as debian
from harness import *


def with_authentication(w):
    """Patroni 4, over TLS and as a user, elects, fails over, takes the old one back, switches over, bears a restart"""
    if not os.path.exists("/usr/bin/python3") or shutil.which("patroni") is None:
        raise Skip("Debian's patroni, whose libraries it uses, is not on this machine")
    code = shutil.copytree(PACKAGES, w.folder / "packages")  # PostgreSQL's user may not be able to read where they are
    w.run(["chmod", "-R", "a+rX", str(code)], env=dict(os.environ), check=True)
    python = ["/usr/bin/env", f"PYTHONPATH={code}", "/usr/bin/python3"]
    debian.PATRONI, debian.FORMER = [*python, "-m", "patroni"], "--leader"
    debian.PATRONICTL = [*python, "-c", "import sys; from patroni.ctl import ctl; sys.exit(ctl())"]
    equal(w.run([*debian.PATRONI, "--version"], env=dict(os.environ), check=True).stdout.split()[-1][:2], "4.")
    debian.fails_over(w)


flow.MODE = "auth"
os.environ.setdefault("MKCERTS", str(Path(TENURE).parent / "tests" / "lib" / "mkcerts"))
main([with_authentication])
