"""What the tests of real faults share: keepers (tests/outside/keeper.c) built against an installed copy of the library,
servers on hosts of their own, somebody who writes below mirror/ all the time, and the history of the store.

Environment, beside the harness's: BUILD, the build directory that is installed from; KEEPER_CFLAGS, what the keeper is
compiled with; PARTITION_S, how long a partition lasts.
"""

import base64
import http.client
import json
import shlex
import threading

import judge
from harness import *
from netns import Net

BUILD = os.path.abspath(os.environ.get("BUILD", os.path.dirname(TENURE)))
PARTITION_S = float(os.environ.get("PARTITION_S", "5"))
PORT = 2379


def b64(text):
    return base64.b64encode(text.encode()).decode()


def text(encoded):
    return base64.b64decode(encoded or "").decode()


# --- servers ------------------------------------------------------------------------------------------------------------


class HostServer(Server):
    """A server on a host; `peers` are the hosts of its cluster (etcd), itself among them."""

    def __init__(self, kind, folder, host, peers=()):
        super().__init__(kind, folder, *(["--insecure-listen-anywhere"] if kind == "tenure" else []))
        self.where, self.host, self.port, self.peers = host, host.address, PORT, list(peers)

    def command(self, data, url):
        if not self.peers:
            return self.where.command(super().command(data, url))
        own = f"http://{self.host}:2380"
        cluster = ",".join(f"m{p.number}=http://{p.address}:2380" for p in self.peers)
        return self.where.command(
            ["etcd", "--name", f"m{self.where.number}", "--data-dir", data, "--listen-client-urls", url,
             "--advertise-client-urls", url, "--listen-peer-urls", own, "--initial-advertise-peer-urls", own,
             "--initial-cluster", cluster, *self.options])


class Member(HostServer):
    """One of a cluster's, with the faults of a disk: full (of one that has a small disk of its own), slow."""

    def __init__(self, folder, host, hosts, disk):
        super().__init__("etcd", folder, host, hosts)
        self.disk = disk
        self.tracer = None

    def on_its_host(self, *argv):
        return subprocess.run(self.where.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def empty(self):
        """Nothing of what it had is left."""
        self.on_its_host("find", str(self.folder / "data"), "-mindepth", "1", "-delete")

    def fill_disk(self):
        filled = self.on_its_host("sh", "-c", f"exec cat /dev/zero > '{self.disk}/ballast'")
        true("No space left" in filled.stderr, f"the disk is full: {filled.stderr}")

    def empty_disk(self):
        self.on_its_host("rm", f"{self.disk}/ballast")

    def slow_disk(self, seconds):
        """Each fsync takes so much longer from now on. False where nobody may trace it."""
        call = f"inject=fsync,fdatasync:delay_enter={int(seconds * 1e6)}"
        self.tracer = subprocess.Popen(["strace", "-f", "-p", str(self.pid), "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", call],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.tracer.stderr.readline()
        if "attached" in said:
            return True
        print(f"# no strace here: {said.strip()}")
        self.fast_disk()
        return False

    def fast_disk(self):
        self.tracer.terminate()
        self.tracer.stderr.close()
        self.tracer.wait()
        self.tracer = None

    def end(self):
        if self.tracer:
            self.fast_disk()
        super().end()


def start_all(servers):
    """Each is ready when a quorum is."""
    threads = [threading.Thread(target=s.start) for s in servers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


DISK_MB = 220  # two segments of etcd's log are allocated at once, of 64 MB each


def start_cluster(world, net, n, small_disk=False):
    """n members, each on a host of its own; with a small disk the last one's."""
    folders = [world.folder / f"member{i}" for i in range(1, n + 1)]
    disks = [None] * n
    if small_disk:
        disks[-1] = folders[-1] / "data"
        disks[-1].mkdir(parents=True)
    hosts = [net.host(disk=d, disk_mb=DISK_MB) for d in disks]
    servers = [world.will_end_server(Member(f, h, hosts, d)) for f, h, d in zip(folders, hosts, disks)]
    start_all(servers)
    return servers


# --- requests of the test's own, over the gateway, from a host that no test cuts off ------------------------------------


class Gateway:
    def __init__(self, host, timeout=2):
        self.host, self.timeout, self.c = host, timeout, None

    def post(self, path, body):
        """The answer, or None when there is none, or a refusal."""
        try:
            self.c = self.c or http.client.HTTPConnection(self.host, PORT, timeout=self.timeout)
            self.c.request("POST", path, json.dumps(body))
            r = self.c.getresponse()
            answer = json.loads(r.read())
            return answer if r.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return None

    def put(self, key, value):
        """The revision, or None."""
        answer = self.post("/v3/kv/put", {"key": b64(key), "value": b64(value)})
        return answer and int(answer["header"]["revision"])

    def delete(self, key):
        return self.post("/v3/kv/deleterange", {"key": b64(key)})

    def keys(self, prefix):
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.post("/v3/kv/range", {"key": b64(prefix), "range_end": b64(end), "keys_only": True})
        return [text(kv["key"]) for kv in (answer or {}).get("kvs", [])]

    def close(self):
        if self.c:
            self.c.close()
            self.c = None


class History:
    """Every event of the store, in order. collect() reads on, to be called before anything is compacted."""

    def __init__(self, gateway):
        self.gateway, self.events, self.next = gateway, [], 1

    def collect(self):
        last = await_(lambda: self.gateway.put("zz", "marker"), "a marker is written")
        c = http.client.HTTPConnection(self.gateway.host, PORT, timeout=PATIENCE_S)
        request = {"key": b64("\0"), "range_end": b64("\0"), "start_revision": self.next}
        c.request("POST", "/v3/watch", json.dumps({"create_request": request}))
        r = c.getresponse()
        while self.next <= last:
            result = json.loads(r.readline())["result"]
            true(not result.get("canceled"), f"the history can be read: {result}")
            for e in result.get("events", []):
                self._add(e)
        c.close()
        return last

    def _add(self, e):
        kind, kv = ("delete" if e.get("type") == "DELETE" else "put"), e["kv"]
        revision = int(kv["mod_revision"])
        # Values of locks and sessions are not text that a line can hold; nothing here looks at them.
        key = text(kv["key"])
        value = text(kv.get("value")) if key.startswith(("mirror/", "guarded/", "plain/")) else ""
        self.events.append((revision, kind, key, value))
        self.next = revision + 1


class Writer(threading.Thread):
    """Writes and deletes below mirror/, all the time, whatever happens."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.gateway, self.stops = Gateway(host), threading.Event()

    def run(self):
        n = 0
        while not self.stops.is_set():
            n += 1
            key = f"mirror/{n % 13}"
            if n % 5 == 0:
                self.gateway.delete(key)
            else:
                self.gateway.put(key, f"v{n}")
            self.stops.wait(0.02)

    def end(self):
        self.stops.set()
        self.join()
        self.gateway.close()


# --- keepers ------------------------------------------------------------------------------------------------------------


def build_keeper(world):
    """Installs the library into a prefix of the test's own, and builds the keeper there as a user does."""
    root = world.folder / "installed"
    world.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", str(root)], check=True,
              env=dict(os.environ))
    pc = next(root.rglob("libtenure.pc"))
    prefix = str(root) + re_search_prefix(pc)
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent)}
    flags = world.run(["pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "libtenure"], check=True,
                      env=env).stdout
    source = world.folder / "src"
    source.mkdir()
    shutil.copy(ROOT / "tests" / "outside" / "keeper.c", source)
    world.run([os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread",
               *shlex.split(os.environ.get("KEEPER_CFLAGS", "")), "keeper.c", *shlex.split(flags),
               f"-Wl,-rpath,{pc.parent.parent}", "-o", world.path("keeper")],
              check=True, env=dict(os.environ), cwd=source)
    return world.path("keeper")


def re_search_prefix(pc):
    return next(line.partition("=")[2] for line in pc.read_text().splitlines() if line.startswith("prefix="))


class Keeper:
    def __init__(self, world, host, endpoints, name, lock="l", mode="mutex", ttl_s=2, hold_ms=0):
        self.name, self.world = name, world
        self.log = world.folder / f"keeper-{name}"
        installed = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}  # not the build directory's
        with open(self.log, "wb") as out:
            self.process = world.start(
                *host.command([world.path("keeper"), endpoints, name, lock, mode, str(ttl_s), str(hold_ms)])[1:],
                program=(host.command(["x"]))[0] if host.inside else world.path("keeper"),
                stdin=subprocess.PIPE, stdout=out, env=installed, stderr=open(world.folder / f"keeper-{name}.err", "wb"))

    def records(self):
        return judge.parse("\n".join(lines(self.log)))

    def said(self, word):
        return judge.of(self.records(), word)

    def await_more(self, word, n):
        """Waits until it has said word more than n times."""
        def more():
            true(self.process.poll() is None, f"{self.name} lives: {read(self.world.folder / f'keeper-{self.name}.err')[-3000:]}")
            return len(self.said(word)) > n
        await_(more, f"{self.name} says '{word}'", 60)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def dump(self):
        self.tell("dump")
        self.await_more("mirrored", 0)

    def quit(self):
        self.tell("quit")
        code = self.process.wait(60)
        true(code == 0, f"{self.name} ends with 0: {code}\n{read(self.world.folder / f'keeper-{self.name}.err')[-3000:]}")


def settle(keepers, history):
    """When the writer has ended: all mirrors have all that is to be told; then they are shown. The history is complete."""
    history.collect()
    last = max((e[0] for e in history.events if e[2].startswith("mirror/")), default=0)
    for k in keepers:
        await_(lambda: any(r[0] == "event" and r[4] == last or r[0] == "resync" and r[2] == "end" and r[4] >= last
                           for r in k.records()), f"{k.name} has seen {last}", 60)
        k.dump()


def nothing_left(gateway, *prefixes):
    """M7: normally at once, at the latest when leases end whose revocation was lost."""
    await_(lambda: not any(gateway.keys(p) for p in prefixes), f"no key is left below {prefixes}")


def verdict(keepers, history, **how):
    complaints = judge.judge({k.name: k.records() for k in keepers}, history.events, **how)
    if complaints:
        raise Failure("\n".join(complaints[:20]))
