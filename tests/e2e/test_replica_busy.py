"""A replica, and one of it, of a source that is written to without pause: both sides are killed and cut off, the source is
compacted, keys are deleted and leases expire; watchers at the replicas are judged response by response against the history of the
source, and at the end HashKV says that all are the same (KV6, W1 to W14; tests/busy). Once more with authentication on, while rights
are given and taken away: no replica tells a watch what its user may not read, or keeps from it what he may (W15).

    BUSY_S      how long (default 6, with users 4)      BUSY_RATE      operations a second (default 400)
    BUSY_SEED   (default 1)               BUSY_WATCHERS  (default 16)
    BUSY_PAUSE  s, on average, between two faults (default 1)
    BUSY_RIGHTS ms, on average, between two changes of rights (default 150)
    BUSY_LATE_MS how long what was taken away may count (default 10000)
    BUSY_SOURCE the program that is the source: etcd of another version

`make replicas` plays it for ten minutes at 5,000 operations a second.
"""

import random
from types import SimpleNamespace
from unittest import mock

from replicas import *

BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
RATE = int(os.environ.get("BUSY_RATE", "400"))
SEED, WATCHERS = int(os.environ.get("BUSY_SEED", "1")), int(os.environ.get("BUSY_WATCHERS", "16"))
RIGHTS_MS = int(os.environ.get("BUSY_RIGHTS", "150"))
PAUSE_S = float(os.environ.get("BUSY_PAUSE", "1"))
FINISH_S = 240


class Source(Server):
    def command(self, data, url):
        argv = super().command(data, url) + ["--bcrypt-cost", "4"]
        return [os.environ.get("BUSY_SOURCE", "etcd"), *argv[1:], "--quota-backend-bytes", str(8 << 30)] if self.kind == "etcd" else argv


USERS, PREFIXES = 3, 10  # as in tests/busy/users.h
AS_ROOT = {"TENURE_USER": "root", "TENURE_PASSWORD": "pw-root"}


def turn_users_on(source):
    admin = Gateway(source.url)

    def add(name, roles):
        admin.ask("auth/user/add", {"name": name, "password": "pw-" + name})
        for role in roles:
            admin.ask("auth/user/grant", {"user": name, "role": role})
    admin.ask("auth/role/add", {"name": "root"})
    add("root", ["root"])
    for u in range(USERS):
        for half in range(2):
            admin.ask("auth/role/add", {"name": f"u{u}-{half}"})
            for p in range(half * PREFIXES // 2, (half + 1) * PREFIXES // 2):
                admin.ask("auth/role/grant", {"name": f"u{u}-{half}", "perm": {"permType": "READ", "key": b64(f"p{p}/"), "range_end": b64(f"p{p}0")}})
        add(f"u{u}", [f"u{u}-0", f"u{u}-1"])
    admin.ask("auth/enable", {})


def is_old(program):
    """Whether this etcd forgets a delete at the very revision that it is compacted to."""
    text = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    return [int(n) for n in text.split()[2].split(".")[:2]] < [3, 6]


def late_ms(etcd):
    """How old rights may be: an old etcd tells no revision of users (docs/replicas.md)."""
    if etcd and is_old(os.environ.get("BUSY_SOURCE", "etcd")):
        return 15000
    return int(os.environ.get("BUSY_LATE_MS", "10000"))


class Play:
    """Kills, cuts and silences, drawn from a seed."""

    def __init__(self, rng, source, first, second, net):
        self.rng, self.source, self.first, self.second, self.net = rng, source, first, second, net
        self.counts = {}

    def step(self):
        fault = self.rng.choice([self.kill_source, self.kill_first, self.kill_first, self.kill_second, self.stop_first, self.cut, self.cut,
                                 self.silence, self.kill_both])
        self.counts[fault.__name__] = self.counts.get(fault.__name__, 0) + 1
        fault()

    def a_moment(self, most=0.5):
        time.sleep(self.rng.random() * most)

    def kill_source(self):
        self.source.kill()
        self.a_moment()
        self.source.start()

    def kill_first(self):
        self.first.kill()
        self.a_moment(self.rng.choice([0.1, 0.5, 3]))
        self.first.start()

    def kill_second(self):
        self.second.kill()
        self.a_moment()
        self.second.start()

    def stop_first(self):
        self.first.freeze()
        self.a_moment(2)
        self.first.thaw()

    def cut(self):
        self.net.cut("first")
        self.net.heal("first", "reset")

    def silence(self):
        self.net.cut("first", self.rng.choice(["up", "down", "both"]))
        self.a_moment(2)
        self.net.heal("first", self.rng.choice(["keep", "reset", "silent"]))

    def kill_both(self):
        self.source.kill()
        self.first.kill()
        self.source.start()
        self.first.start()


def judged(world):
    '''a busy source and its replicas, killed and cut off at random, end equal, and no watcher of a replica was told anything wrong'''
    play(world, False, float(os.environ.get("BUSY_S", "6")))


def judged_with_users(world):
    '''the same with users, whose rights come and go: no watch is told what its user may not read, none is kept from what he may'''
    play(world, True, float(os.environ.get("BUSY_S", "4")))


def knows_users(world, replica):
    with mock.patch.dict(os.environ, AS_ROOT):
        return world.tenure("get", "begin", "--serializable", "--endpoints", replica.url).returncode == 0


def play(world, users, seconds):
    etcd = world.server_kind == "etcd"
    source = world._server = Source(world.server_kind, world.folder / "source")
    started = [source]
    try:
        source.start()
        world.tenure("put", "begin", "1", "--endpoints", source.url, check=True)
        if users:
            turn_users_on(source)
        as_root = ["--user", "root:pw-root"] if users else []
        net = Delayed()
        started.append(net)
        route = net.route(net.link("first", 1), source.port)
        first = Replica(world.folder / "first", SimpleNamespace(url=f"http://127.0.0.1:{route}"), *as_root)
        started.append(first.start())
        if users:
            await_(lambda: knows_users(world, first), "the first replica knows the users")
        second = Replica(world.folder / "second", first, *as_root)
        started.append(second.start())
        argv = [BUILD / "tests" / "busy" / "busy", "--source", source.port, "--replicas", f"{first.port},{second.port}", "--seed", SEED,
                "--rate", RATE, "--watchers", WATCHERS, "--compact-behind", max(RATE * 4, 1000)]
        if etcd and is_old(os.environ.get("BUSY_SOURCE", "etcd")):
            argv.append("--old-etcd")
        if users:
            argv += ["--rights-ms", RIGHTS_MS, "--late-ms", late_ms(etcd)]
        busy = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            play = Play(random.Random(SEED), source, first, second, net)
            until = time.monotonic() + seconds
            while time.monotonic() < until and busy.poll() is None:
                time.sleep(min(play.rng.expovariate(1 / PAUSE_S), max(until - time.monotonic(), 0)))
                play.step()
            said, _ = busy.communicate("finish\n", timeout=FINISH_S)
        finally:
            busy.kill()
            busy.wait()
        for line in said.splitlines():
            print("#", line)
        print("# faults:", json.dumps(play.counts), flush=True)
        equal(busy.returncode, 0, f"what was found wrong (BUSY_SEED={SEED}); the exit code of busy")
        figures = json.loads(said.splitlines()[-1])
        true(figures["events"] > 0 and figures["done"] > 0, f"something happened: {figures}")
        with mock.patch.dict(os.environ, AS_ROOT if users else {}):
            for replica in (first, second):  # a token is known where it was got
                verify(world, source, replica)
    finally:
        for one in reversed(started):
            one.end()


main([judged, judged_with_users])
