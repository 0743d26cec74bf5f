"""Flows: the same command lines on `tenure serve` and on etcd, their output compared.

    run(world, '''
        put a 1
        get a -w json
        lease grant 100            -> L      # what is drawn by the server gets a name
        put b 2 --lease=$L
        txn < 'value("a") = "1"\\n\\nput a 2\\n\\n\\n'
    ''')

A line is what follows `etcdctl`. Two servers run, one of each kind; each line runs on both, one after the other, and exit
code, output and errors must be equal after what may differ has been levelled: ids, terms, sizes, addresses.

FLOW_MODE names how clients and servers talk: plain, tls, mtls (with certificates of clients), auth (with TLS, as the user root); or
rotate, which takes one of the last three, another one each day.
"""

import ast
import re
import shlex
from concurrent.futures import ThreadPoolExecutor

from harness import *

MODES = ("plain", "tls", "mtls", "auth")
MODE = os.environ.get("FLOW_MODE", "plain")
if MODE == "rotate":
    MODE = MODES[1 + int(time.time() // 86400) % 3]
PASSWORD = "pw"


def certificates(world):
    """The folder of certificates (tests/lib/certs.h)."""
    folder = world.folder / "certs"
    if not folder.exists():
        if "MKCERTS" not in os.environ:
            raise Skip("MKCERTS does not name the program that makes certificates")
        folder.mkdir()
        world.run([os.environ["MKCERTS"], str(folder)], env=dict(os.environ), check=True)
    return folder


def etcdctl_options(world):
    """What etcdctl needs in this mode."""
    c = certificates(world) if MODE != "plain" else None
    return {"plain": [], "auth": [f"--cacert={c}/ca.pem", f"--user=root:{PASSWORD}"], "tls": [f"--cacert={c}/ca.pem"],
            "mtls": [f"--cacert={c}/ca.pem", f"--cert={c}/alice.pem", f"--key={c}/alice.key"]}[MODE]


def start(world, kind):
    """A server of that kind, ready for the clients of this mode."""
    options = []
    if MODE != "plain":
        c = certificates(world)
        options = ["--cert-file", f"{c}/server.pem", "--key-file", f"{c}/server.key"]
        if MODE == "mtls":
            options += ["--client-cert-auth", "--trusted-ca-file", f"{c}/ca.pem"]
    if MODE == "auth":
        options += ["--bcrypt-cost", "4"]
    server = Server(kind, world.folder / f"flow-{kind}", *options)
    server.scheme = "http" if MODE == "plain" else "https"
    server.start()
    if MODE == "auth":
        env = {**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": server.url}
        for words in (f"user add root:{PASSWORD}", "role add root", "user grant-role root root", "auth enable"):
            world.run(["etcdctl", "--cacert", f"{c}/ca.pem", *words.split()], env=env, check=True)
    return server


class Pair:
    """A server of each kind, with what it has drawn."""

    def __init__(self, world):
        self.world, self.options = world, etcdctl_options(world)
        if not shutil.which("etcd"):
            raise Skip("there is no etcd on this machine")
        self.names = [{}, {}]
        with ThreadPoolExecutor(2) as pool:
            self.servers = list(pool.map(lambda kind: start(world, kind), ("tenure", "etcd")))

    def end(self):
        for server in self.servers:
            server.end()

    def both(self, function):
        """What function(index, server) answers for tenure and for etcd."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(function, (0, 1), self.servers))


# --- levelling ----------------------------------------------------------------------------------------------------------

NUMBERS = (  # what differs between any two servers, in the output formats
    (r'("(?:cluster_id|member_id|raft_term|ID|leader|raftIndex|raftTerm|raftAppliedIndex|dbSize|dbSizeInUse|memberID)":)\d+', r"\1N"),
    (r'("(?:ClusterID|MemberID|RaftTerm|Leader|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse)" : )\d+', r"\1N"),
    (r"took = [0-9.µnm]+s|took [0-9.µnm]+s", "took T"),
    (r"(?m)^[0-9a-f]{12,16}, started, default, (?:https?://[0-9.:]+)?, ", "ID, started, default, PEER, "),
    (r"\{\"level\":.*", "(log line)"),
)


def level(text, server, names):
    text = text.replace(server.url, "URL").replace(f"127.0.0.1:{server.port}", "ADDRESS")
    for name, value in names.items():
        text = text.replace(value, f"${name}").replace(str(int(value, 16)), f"${name}")
    for pattern, level_to in NUMBERS:
        text = re.sub(pattern, level_to, text)
    return text


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, wire type, value) of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise Failure(f"wire type {kind} in {data!r}")
        yield tag >> 3, kind, value


def level_protobuf(raw, names):
    """A response: its header keeps the revision only, lease ids that were drawn get their name (not inside a key value)."""
    drawn = {int(value, 16): name for name, value in names.items()}
    out = []
    for number, kind, value in fields(raw):
        if number == 1 and kind == 2:
            out.append(("header", [f for f in fields(value) if f[0] == 3]))
        else:
            out.append((number, drawn.get(value, value) if kind == 0 else value))
    return repr(out)


# --- lines --------------------------------------------------------------------------------------------------------------

LINE = re.compile(r"^(?P<only>@\S+ )?(?P<words>.*?)(?: < (?P<input>'.*'))?(?:\s+-> (?P<name>\w+))?$")


def parse(text):
    for line in text.splitlines():
        line = re.sub(r"\s+#\s.*", "", line).strip()
        if line and not line.startswith("#"):
            m = LINE.match(line)
            stdin = ast.literal_eval(m["input"]) if m["input"] else None
            yield line, m["words"].strip(), stdin, m["name"]


def run_line(pair, index, server, words, stdin):
    for name, value in pair.names[index].items():
        words = words.replace(f"${name}", value)
    argv = ["etcdctl", *pair.options, *shlex.split(words.replace("URL", server.url))]
    env = {**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": server.url, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, env=env, input=(stdin or "").encode(), capture_output=True, timeout=PATIENCE_S * 3)
    return done


def outcome(pair, index, server, words, done):
    names = pair.names[index]
    if "protobuf" in words and done.returncode == 0:
        out = level_protobuf(done.stdout, names)
    else:
        out = level(done.stdout.decode(errors="backslashreplace"), server, names)
    return done.returncode, out, level(done.stderr.decode(errors="backslashreplace"), server, names)


def run(world, text, pair=None):
    own = pair is None
    pair = pair or Pair(world)
    try:
        for line, words, stdin, name in parse(text):
            done = pair.both(lambda i, server: run_line(pair, i, server, words, stdin))
            if name:
                for i in (0, 1):
                    found = re.search(rb"lease ([0-9a-f]{16}) granted", done[i].stdout)
                    true(found, f"{line}: a lease id in {done[i].stdout!r} {done[i].stderr!r}")
                    pair.names[i][name] = found[1].decode()
            tenure, etcd = (outcome(pair, i, pair.servers[i], words, done[i]) for i in (0, 1))
            if tenure != etcd:
                raise Failure(f"etcdctl {line}\n  tenure: {tenure}\n  etcd:   {etcd}")
    finally:
        if own:
            pair.end()
