#!/usr/bin/env python3
"""Java's jetcd on `tenure serve`, plain and with TLS, and on current etcd: jetcd/Jetcd.java, each of whose cases is counted.

    jetcd.py --built DIR --classpath FILE      FILE holds the class path, Jetcd.class in it
"""

from etcds import *

CLASSPATH = read(option("--classpath")).strip()
MKCERTS = Path(TENURE).parent / "tests" / "lib" / "mkcerts"


def servers(w):
    """Name, server and the certificate of who signed its own."""
    ca = w.folder / "certs" / "ca.pem"
    all = [("tenure", Debian("tenure", w.folder / "tenure"), ca), ("etcd", Current("etcd", w.folder / "etcd"), ca)]
    if MKCERTS.exists():
        ca.parent.mkdir()
        w.run([str(MKCERTS), str(ca.parent)], env=dict(os.environ), check=True)
        tls = Debian("tenure", w.folder / "tls", "--cert-file", str(ca.with_name("server.pem")), "--key-file",
                     str(ca.with_name("server.key")))
        tls.scheme = "https"
        all.append(("tenure-tls", tls, ca))
    return all


def run(w):
    started = servers(w)
    try:
        words = [word for name, server, ca in started for word in (name, server.start().url, str(ca))]
        java = w.start("-cp", CLASSPATH, "Jetcd", str(w.folder), *words, program="java", stdin=subprocess.PIPE, stderr=None)
        by_name = {f"# restart {name}\n": server for name, server, _ in started}
        for line in java.stdout:
            print(line, end="", flush=True)
            if line in by_name:
                by_name[line].kill()
                by_name[line].start()
                print("", file=java.stdin, flush=True)
        code = java.wait()
        for name, server, ca in started:
            if code == 0:
                same_status(w, w.path(f"{name}.db"))
        return code
    finally:
        for _, server, _ in started:
            server.end()


w = World("tenure")
w._server = Debian("tenure", w.folder / "idle").start()  # whom the environment of commands names
try:
    code = run(w)
finally:
    w.close()
sys.exit(code)
