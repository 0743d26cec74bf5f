#!/usr/bin/env python3
"""What is installed is enough: programs outside of the tree, compiled and linked through pkg-config, and run."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [("lock", "libtenure"), ("testkit", "tenure-testkit")]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(build, to):
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", to)
    return next(Path(to).rglob("libtenure.pc")).parent


def compile_one(name, package, pkgconfig, root, out):
    env = {**os.environ, "PKG_CONFIG_PATH": str(pkgconfig), "PKG_CONFIG_SYSROOT_DIR": str(root)}
    flags = run("pkg-config", "--cflags", "--libs", package, env=env).split()
    run("cc", "-Wall", "-Wextra", "-Werror", ROOT / "examples" / f"{name}.c", *flags, "-pthread", "-o", out)


def main():
    build = Path(sys.argv[1])
    cases = []
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp) / "root"
        pkgconfig = install(build, root)
        libraries = {**os.environ, "LD_LIBRARY_PATH": str(pkgconfig.parent)}
        for name, package in EXAMPLES:
            out = Path(tmp) / name
            compile_one(name, package, pkgconfig, root, out)
            cases.append((f"examples/{name}.c is built through pkg-config {package}", out.exists()))
        said = run(Path(tmp) / "testkit", env=libraries)
        cases.append(("and the test kit's runs with what is installed", "on the kit's clock" in said))
        linked = run("ldd", Path(tmp) / "testkit", env=libraries)
        cases.append(("without libtenure beside it", "libtenure.so" not in linked and "libtenure-testkit.so" in linked))
    print(f"1..{len(cases)}")
    for i, (what, good) in enumerate(cases, 1):
        print(f"{'' if good else 'not '}ok {i} - {what}")
    return 0 if all(good for _, good in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
