"""What the tests beside it share: etcd as scripts/interop builds it, one member or a cluster of them, in the manner of
tests/e2e/harness.py. They are run with `--built DIR`, where DIR has what was built."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import *
from harness import Server as Debian


def option(name, default=None):
    """Takes `name VALUE` out of the command line."""
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = sys.argv[at + 1]
    del sys.argv[at : at + 2]
    return value


BUILT = Path(option("--built")).resolve()
ETCD, CTL, UTL, CHECK, STOCK = (str(BUILT / name) for name in ("etcd", "etcdctl", "etcdutl", "bboltcheck", "stock"))


class Current(Debian):
    """Current etcd, in the same way as Debian's."""

    program = ETCD
    name = "default"
    patience_s = 60

    def prepare(self):
        """The addresses, before it starts for the first time."""
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.cluster = f"{self.name}={self.peer}"

    def _begin(self, port):
        if not hasattr(self, "cluster"):
            self.prepare()
        log = open(self.folder / "log", "ab")
        begins_at = log.tell()
        here = f"http://127.0.0.1:{port}"
        argv = [self.program, "--name", self.name, "--data-dir", str(self.folder / "data"), "--listen-client-urls", here,
                "--advertise-client-urls", here, "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                "--initial-cluster", self.cluster, *self.options]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        self.port = port

        def settled():
            with open(self.folder / "log", "rb") as text:
                text.seek(begins_at)
                return b"ready to serve client requests" in text.read() or self.process.poll() is not None

        self.settled = settled
        return self.begun()

    def begun(self):
        await_(self.settled, "etcd is ready", self.patience_s)
        return self.process.poll() is None


class Member(Current):
    """One of a cluster: it is ready only when most of the others are, so all begin before anyone waits."""

    def begun(self):
        return True


class Cluster:
    """Members that were restored from snapshots of the same content; `files` names one for each."""

    def __init__(self, w, name, files, *options, patience_s=60):
        self.w, self.members = w, []
        folder = w.folder / name
        for i in range(len(files)):
            m = Member("etcd", folder / f"m{i}")
            m.name, m.peer, m.patience_s = f"m{i}", f"http://127.0.0.1:{free_port()}", patience_s
            self.members.append(m)
        everybody = ",".join(f"{m.name}={m.peer}" for m in self.members)
        for m, file in zip(self.members, files):
            m.cluster = everybody
            w.run([UTL, "snapshot", "restore", file, "--data-dir", str(m.folder / "data"), "--name", m.name,
                   "--initial-cluster", everybody, "--initial-cluster-token", name, "--initial-advertise-peer-urls", m.peer,
                   *options], check=True, timeout=patience_s * 5)

    def start(self):
        for m in self.members:
            m.start()
        for m in self.members:
            await_(m.settled, f"{m.name} is ready", m.patience_s)
            true(m.process.poll() is None, f"{m.name} runs:\n{read(m.folder / 'log')[-2000:]}")
        return self

    @property
    def urls(self):
        return ",".join(m.url for m in self.members)

    def leader(self, user):
        """The member that leads, and the others."""
        status = json.loads(ctl(self.w, self.urls, "endpoint", "status", "-w", "json", user=user))
        leads = [s["Endpoint"] for s in status if s["Status"]["leader"] == s["Status"]["header"]["member_id"]]
        equal(len(leads), 1, "leaders")
        return next(m for m in self.members if m.url == leads[0]), [m for m in self.members if m.url != leads[0]]

    def end(self):
        for m in self.members:
            m.end()


def ctl(w, url, *words, user=None, input=None):
    login = ["--user", user] if user else []
    env = {**os.environ, "ETCDCTL_ENDPOINTS": url}
    return w.run([CTL, *login, *words], env=env, input=input, check=True, timeout=600).stdout


def same(got, wanted):
    """Named by what differs, because the whole is long."""
    for part in wanted:
        if isinstance(wanted[part], dict) and isinstance(got[part], dict):
            equal(sorted(got[part]), sorted(wanted[part]), part)
            same({f"{part} {key}": value for key, value in got[part].items()},
                 {f"{part} {key}": value for key, value in wanted[part].items()})
        else:
            equal(got[part], wanted[part], part)


def same_status(w, path):
    """Ours and etcdutl's numbers, after bbolt's own check of the file."""
    w.run([CHECK, path], check=True, timeout=600)
    theirs = json.loads(w.run([UTL, "snapshot", "status", path, "-w", "json"], check=True, timeout=600).stdout)
    ours = json.loads(w.tenure("snapshot", "status", path, "-o", "json", check=True, timeout=600).stdout)
    equal(ours, theirs, "status")
    table = w.run([UTL, "snapshot", "status", path], check=True, timeout=600).stdout
    equal(w.tenure("snapshot", "status", path, check=True, timeout=600).stdout, table, "status as text")
    return ours


def to_tenure(w, path, name, *words):
    data = w.folder / name / "data"
    data.parent.mkdir()
    w.tenure("snapshot", "restore", path, "--data-dir", str(data), *words, check=True, timeout=600)
    return Debian("tenure", w.folder / name).start()
