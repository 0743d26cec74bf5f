"""The ledger as a whole, on one machine: PostgreSQL, the coordination servers, three instances, clients, and links between them
that can be cut. What `run` makes fail, and tests/e2e/test_system.py.

Everything is a child of this process, ends with it, and works in one folder."""

import asyncio
import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PG = Path("/usr/lib/postgresql/15/bin")
INSTANCES = ("ledger-1", "ledger-2", "ledger-3")
RULES = {"limit": "10000", "fee-bp": "0", "rounding": "down", "think": "0"}
PATIENCE_S = float(os.environ.get("E2E_PATIENCE", "60"))  # how long something that must come about may take


class Failure(Exception):
    """Something did not come about."""


def boottime_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def await_(event, what, timeout_s=None):
    until = time.monotonic() + (timeout_s or PATIENCE_S)
    while True:
        result = event()
        if result:
            return result
        if time.monotonic() >= until:
            raise Failure(f"did not come about within {timeout_s or PATIENCE_S:g} s: {what}")
        time.sleep(0.02)


def free_port():
    """Below the ports that the kernel gives to others: a process that is down for a while finds it free again."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def spawn(argv, log, user=None, last_signal=signal.SIGKILL, **popen):
    """A child with nothing of ours but its log, which gets last_signal when this process dies, however it does."""
    def child():
        ctypes.CDLL(None).prctl(1, int(last_signal), 0, 0, 0)

    with open(log, "ab") as out:
        popen.setdefault("stdout", out)
        if user:
            popen.update(user=user, group=user, extra_groups=[])
        return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stderr=out, start_new_session=True,
                                preexec_fn=child, **popen)


def missing(build):
    """Why it cannot run here, or None."""
    for program in ("ledgerd", "ledger-load"):
        if not (Path(build) / "examples" / "ledger" / program).exists():
            return f"{program} is not built: libmicrohttpd-dev, libpq-dev and libcurl4-openssl-dev are needed"
    if not (PG / "postgres").exists():
        return "there is no PostgreSQL 15 here"
    return None


# --- links ------------------------------------------------------------------------------------------------------------


class Link:
    """A port that leads to another port, as long as nobody cuts it."""

    def __init__(self, network, target):
        self.network, self.target = network, target
        self.connections, self.mode = set(), "open"
        self.gate = asyncio.Event()
        self.gate.set()
        self.port = None

    async def listen(self):
        self.port = free_port()
        await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        if self.mode == "cut":
            return writer.transport.abort()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return writer.transport.abort()
        ends = (writer.transport, far_writer.transport)
        self.connections.add(ends)
        await asyncio.wait([asyncio.ensure_future(self.pump(a, b)) for a, b in ((reader, far_writer), (far_reader, writer))],
                           return_when=asyncio.FIRST_COMPLETED)
        self.connections.discard(ends)
        for end in ends:
            end.abort()

    async def pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.gate.wait()
                writer.write(data)
                await writer.drain()

    def become(self, mode):
        """open, cut (connections are reset, and refused), silent (nothing passes, nobody is told)"""
        self.mode = mode
        self.gate.clear() if mode == "silent" else self.gate.set()
        if mode == "cut":
            for end in [end for ends in self.connections for end in ends]:
                end.abort()


class Network:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def link(self, target):
        async def make():
            link = Link(self, target)
            await link.listen()
            return link
        return asyncio.run_coroutine_threadsafe(make(), self.loop).result(10)

    def become(self, link, mode):
        self.loop.call_soon_threadsafe(link.become, mode)

    def end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


class Postgres:
    """In the folder, on a unix socket. PostgreSQL refuses to be root; where we are, it is the user postgres."""

    def __init__(self, folder, tenure, fence):
        self.folder, self.log = folder / "postgresql", folder / "postgresql.log"
        self.user = "postgres" if os.getuid() == 0 else None
        self.conninfo = f"host={self.folder} user=ledger dbname=postgres"
        self.log.touch()
        self.folder.mkdir(mode=0o700)
        if self.user:
            shutil.chown(self.folder, self.user, self.user)
        made = spawn([PG / "initdb", "-D", self.folder / "data", "-U", "ledger", "-A", "trust", "--no-sync"], folder / "initdb.log",
                     self.user)
        if made.wait() != 0:
            raise Failure((folder / "initdb.log").read_text())
        self.start()
        self.ask(subprocess.run([tenure, "fence", "script", "postgresql"], capture_output=True, check=True, text=True).stdout)
        self.ask((HERE / "schema.sql").read_text())
        if not fence:  # the very same system, but for what refuses
            self.ask("CREATE OR REPLACE FUNCTION tenure_fence.admit(of_resource text, with_token bigint) RETURNS bigint LANGUAGE sql "
                     "AS 'SELECT with_token'; SELECT tenure_fence.unprotect('accounts'), tenure_fence.unprotect('bookings')")

    def start(self):
        # What is killed here are processes, not the machine: nothing has to be synced. Commit times are for the checker.
        self.process = spawn([PG / "postgres", "-D", self.folder / "data", "-k", self.folder, "-c", "listen_addresses=", "-c",
                              "fsync=off", "-c", "track_commit_timestamp=on", "-c", "log_line_prefix=%m [%p] %e ", "-c",
                              "max_connections=60", "-c", "restart_after_crash=on"], self.log, self.user, signal.SIGINT)
        await_(lambda: self.answers() or self.process.poll() is not None, "PostgreSQL answers")
        if self.process.poll() is not None:
            raise Failure(f"PostgreSQL ended: {self.log.read_text()[-2000:]}")

    def psql(self, text, timeout=120):
        return subprocess.run(["psql", f"{self.conninfo} connect_timeout=5", "-qAtX", "-v", "ON_ERROR_STOP=1"], input=text,
                              capture_output=True, text=True, timeout=timeout)

    def answers(self):
        return self.psql("SELECT 1").returncode == 0

    def ask(self, text):
        r = self.psql(text)
        if r.returncode:
            raise Failure(f"{text[:200]}: {r.stderr}")
        return r.stdout

    def rows(self, text):
        return [line.split("|") for line in self.ask(text).splitlines()]

    def stop(self, how=signal.SIGINT):
        """INT: sessions are ended; QUIT: as if it had crashed."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_S)

    def refused(self):
        """How many statements the fence refused."""
        return len(re.findall(r"\] TF001 ERROR:", self.log.read_text(errors="replace")))


# --- coordination servers ---------------------------------------------------------------------------------------------


class Member:
    """A `tenure serve`, or an etcd of one or three."""

    def __init__(self, name, folder, port, argv):
        self.name, self.port, self.argv, self.log = name, port, argv, folder / f"{name}.log"
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = spawn(self.argv, self.log, stdout=subprocess.DEVNULL)

    def is_up(self):
        return self.process is not None and self.process.poll() is None


def members(engine, folder, tenure):
    if engine == "tenure":
        port = free_port()
        return [Member("server", folder, port, [tenure, "serve", "--data-dir", folder / "server", "--listen-client-urls",
                                                f"http://127.0.0.1:{port}"])]
    names = [f"etcd-{n + 1}" for n in range(3 if engine == "etcd3" else 1)]
    ports, peers = {n: free_port() for n in names}, {n: f"http://127.0.0.1:{free_port()}" for n in names}
    cluster = ",".join(f"{n}={peers[n]}" for n in names)
    return [Member(n, folder, ports[n], ["etcd", "--name", n, "--data-dir", folder / n, "--listen-client-urls",
                                         f"http://127.0.0.1:{ports[n]}", "--advertise-client-urls", f"http://127.0.0.1:{ports[n]}",
                                         "--listen-peer-urls", peers[n], "--initial-advertise-peer-urls", peers[n],
                                         "--initial-cluster", cluster]) for n in names]


# --- instances --------------------------------------------------------------------------------------------------------


class Instance:
    """A ledgerd, the links that others reach it by and it reaches the servers by, and what its log says."""

    def __init__(self, system, name):
        self.system, self.name, self.log = system, name, system.folder / f"{name}.log"
        self.port = free_port()
        self.front = system.network.link(self.port)
        self.links = [system.network.link(m.port) for m in system.members]
        self.process, self.stopped, self.read, self.asked_to_end = None, False, 0, False
        self.led = []  # [token, from ms, until ms or None]
        self.stood = (0, 0)  # from ms, until ms: the last time that it was stopped

    def start(self):
        s = self.system
        self.asked_to_end = False
        self.process = spawn([s.program("ledgerd"), "--name", self.name, "--listen", f"127.0.0.1:{self.port}", "--advertise",
                              f"127.0.0.1:{self.front.port}", "--database", s.postgres.conninfo, "--ttl", s.ttl, "--cache",
                              s.folder / f"{self.name}.rules", "--endpoints",
                              ",".join(f"http://127.0.0.1:{link.port}" for link in self.links)], self.log)

    def signal(self, number):
        if number == signal.SIGTERM:
            self.asked_to_end = True
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.stopped = number == signal.SIGSTOP
        if number in (signal.SIGSTOP, signal.SIGKILL):
            self.follow()
        if number == signal.SIGSTOP:
            self.stood = (boottime_ms(), 0)
        elif number == signal.SIGCONT:
            self.stood = (self.stood[0], boottime_ms())
        elif number == signal.SIGKILL:
            self.leads_until(self.stood[0] if self.stopped else boottime_ms())
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()
            self.stopped = False

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def leads_until(self, at):
        if self.led and self.led[-1][2] is None:
            self.led[-1][2] = at

    def follow(self):
        """Reads on in its log."""
        if not self.log.exists():
            return
        with open(self.log, "rb") as f:
            f.seek(self.read)
            new = f.read()
        new = new[: new.rfind(b"\n") + 1]
        self.read += len(new)
        for line in new.decode(errors="replace").splitlines():
            if gained := re.fullmatch(r"(\d+) leads with token (\d+)", line):
                self.leads_until(int(gained[1]))
                self.led.append([int(gained[2]), int(gained[1]), None])
            elif lost := re.match(r"(\d+) leads no more, ", line):
                stood = self.stopped or int(lost[1]) < self.stood[1] + 1000  # it hears of it when it goes on
                self.leads_until(self.stood[0] if stood else int(lost[1]))

    def status(self):
        """What it says of itself, or None."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=2) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None


# --- the whole --------------------------------------------------------------------------------------------------------


class System:
    def __init__(self, folder, build, engine="tenure", ttl=10, fence=True, clients=12, seed=1, think="50ms"):
        self.folder, self.build, self.engine, self.ttl, self.fence = Path(folder), Path(build), engine, ttl, fence
        self.clients, self.seed, self.think = clients, seed, think
        self.tenure = str(self.build / "tenure")
        self.network, self.postgres, self.members, self.instances, self.load = Network(), None, [], [], None
        self.unexpected, self.outages, self.counted = [], [], [0, 0]
        self.sent_by_others = {}  # than the clients: {id: (payer, payee, amount)}

    def program(self, name):
        return self.build / "examples" / "ledger" / name

    def begin(self):
        self.postgres = Postgres(self.folder, self.tenure, self.fence)
        self.members = members(self.engine, self.folder, self.tenure)
        for m in self.members:
            m.start()
        await_(lambda: self.cli("get", "x").returncode == 0, "the servers answer")
        self.set_rules({**RULES, "think": self.think})
        self.instances = [Instance(self, name) for name in INSTANCES]
        for i in self.instances:
            i.start()
        await_(self.leader, "an instance leads")
        self.load = spawn([self.program("ledger-load"), "--clients", self.clients, "--seed", self.seed, "--endpoints", self.endpoints()],
                          self.folder / "load.log", stdout=open(self.folder / "load.out", "wb"))

    def endpoints(self):
        return ",".join(m.url for m in self.members)

    def cli(self, *words):
        return subprocess.run([self.tenure, *words, "--endpoints", self.endpoints(), "--call-timeout", "3s"], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, env={**os.environ, "TENURE_NO_AUTOSTART": "1"})

    def set_rules(self, rules):
        """All at once, or none. Whether it was said to be done."""
        return self.cli("config", "set", *[f"ledger/{k}={v}" for k, v in rules.items()]).returncode == 0

    def look(self):
        """Reads the logs; notes who ended without being told to."""
        if self.load and self.load.poll() is not None:
            raise Failure(f"the clients ended with {self.load.returncode}: {(self.folder / 'load.log').read_text()[-500:]}")
        for i in self.instances:
            i.follow()
            if i.process and not i.asked_to_end and i.process.poll() not in (None, -signal.SIGKILL):
                self.unexpected.append(f"{i.name} ended by itself with {i.process.returncode}: {i.log.read_text()[-500:]}")
                i.start()

    def leader(self):
        """The instance that leads, as far as the logs say."""
        self.look()
        leading = [i for i in self.instances if i.led and i.led[-1][2] is None and i.is_up() and not i.stopped]
        return max(leading, key=lambda i: i.led[-1][0], default=None)

    def booked(self):
        """How many bookings the clients know of. Reads on where it was."""
        with open(self.folder / "load.out", "rb") as f:
            f.seek(self.counted[0])
            new = f.read()
        new = new[: new.rfind(b"\n") + 1]
        self.counted = [self.counted[0] + len(new), self.counted[1] + sum(line.startswith(b"done ") for line in new.splitlines())]
        return self.counted[1]

    def heal(self):
        """Everything runs, and is let run."""
        for i in self.instances:
            for link in (i.front, *i.links):
                self.network.become(link, "open")
            if i.stopped and i.is_up():
                i.signal(signal.SIGCONT)
        for m in self.members:
            if not m.is_up():
                m.start()
            m.process.send_signal(signal.SIGCONT)
        if self.postgres.process.poll() is not None:
            self.postgres.start()
        for i in self.instances:
            if i.is_up() and i.asked_to_end:
                i.process.wait(PATIENCE_S)
            if not i.is_up():
                i.start()

    def finish(self):
        """Lets the clients learn what became of their last bookings, and ends the instances in order. What was not as it must be."""
        wrong = []
        self.load.send_signal(signal.SIGTERM)
        code = self.load.wait(PATIENCE_S * 2)
        if code != 0:
            wrong.append(f"clients that do not know what became of their bookings (exit code {code})")
        wrong += self.registry_complaints() + self.rules_complaints()
        for i in self.instances:
            i.signal(signal.SIGTERM)
        for i in self.instances:
            with contextlib.suppress(subprocess.TimeoutExpired):
                i.process.wait(PATIENCE_S)
            if i.process.poll() != 0:
                wrong.append(f"{i.name}, told to end, had exit code {i.process.poll()}: {i.log.read_text()[-500:]}")
            i.follow()
        left = self.registered()
        if left:
            wrong.append(f"still registered behind the end: {left}")
        return wrong + self.unexpected

    def registered(self):
        r = self.cli("service", "list", "ledger", "-o", "json")
        return {i.get("id") or i.get("instance") or i.get("name"): i.get("health", "passing") for i in json.loads(r.stdout)["instances"]}

    def registry_complaints(self):
        wanted = {name: "passing" for name in INSTANCES}
        try:
            await_(lambda: self.registered() == wanted, "all instances are registered and healthy", self.ttl + 20)
        except Failure:
            return [f"in the registry: {self.registered()}, wanted {wanted}"]
        return []

    def rules_complaints(self):
        """A change is heard of by all, live."""
        try:
            before = {i: (i.status() or {"rules": 0})["rules"] for i in self.instances}
            await_(lambda: self.set_rules({**RULES, "fee-bp": "1"}) and self.set_rules({**RULES, "fee-bp": "2"}), "the servers answer")
            await_(lambda: all((s := i.status()) and s["rules"] > before[i] for i in self.instances), "all have heard of the new rules", 15)
        except Failure as why:
            return [str(why)]
        return []

    def is_out(self, begins):
        """The coordination as a whole is not there from now on, or is again."""
        if len(self.members) > 1:
            return
        if begins:
            self.outages.append([boottime_ms(), None])
        else:
            self.outages[-1][1] = boottime_ms()

    def gaps(self):
        """(from, to) of each time without a leader."""
        end = None
        for start, until in sorted((start, until) for i in self.instances for _, start, until in i.led):
            if end is not None and start > end:
                yield end, start
            end = max(end or 0, until or start)

    def leaderless(self):
        """The longest time without a leader, in ms, and the longest while the servers were there."""
        gaps = list(self.gaps())
        served = [(a, b) for a, b in gaps if not any(a < (until or b) + 1000 and b > since - 1000 for since, until in self.outages)]
        return [max((b - a for a, b in g), default=0) for g in (gaps, served)]

    def close(self):
        processes = [i.process for i in self.instances] + [self.load] + [m.process for m in self.members]
        for p in processes:
            if p is not None and p.poll() is None:
                p.kill()
                p.wait()
        if self.postgres:
            self.postgres.stop(signal.SIGQUIT)
        self.network.end()
