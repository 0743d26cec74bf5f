"""Every ending of `tenure lock NAME -- COMMAND`, one row of docs/lock-endings.md each: the exit code, that COMMAND's processes have gone
before somebody else holds the lock, and when that is, by recorded time stamps (M2, M12, L2)."""

import concurrent.futures
import contextlib
import os
import pty
import signal
import socket
import subprocess
import threading

from lock_command import *

TTL_S = 4
LONG = "60"  # a TTL that nobody waits for
ROWS = []


def ending(what, code, free_at):
    def register(function):
        ROWS.append((what, code, free_at, function))
        return function

    return register


class Relay:
    """Between commands and the server; cut: what comes is lost, and nobody is told."""

    def __init__(self, port):
        self.port, self.is_cut, self.sockets = port, threading.Event(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.port))
                self.sockets += [here, there]
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self.pump, args=ends, daemon=True).start()

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.is_cut.is_set():
                    time.sleep(0.02)  # TCP would bring it later, too
                sink.sendall(data)

    def close(self):
        for s in [self.listener, *self.sockets]:
            s.close()


class Held:
    """A command under a lock, and one that waits for the lock."""

    def __init__(self, world, name, *command_options, ttl=str(TTL_S), options=(), argv=None, **popen):
        self.world, self.name, self.ttl = world, name, ttl
        self.stamps, self.next = Stamps(world.path(f"{name}.held")), Stamps(world.path(f"{name}.next"))
        argv = argv or [sys.executable, STAMP, self.stamps.path, *command_options]
        words = ["lock", name, "--ttl", ttl, *options, "--", *argv]
        self.process = world.start("--ctty", TENURE, *words, program="setsid", **popen) if "stdin" in popen else world.start(*words, **popen)

    def await_alive(self, waiter=True):
        self.stamps.await_alive()
        self.world.will_end(self.stamps.first()[1])
        if waiter:
            self.waiter = self.world.start("lock", self.name, "--ttl", "30", "--", sys.executable, STAMP, self.next.path)
            await_(lambda: len(self.world.tenure("get", "--prefix", f"/locks/{self.name}/", "--keys-only").stdout.split()) == 2,
                   "the next one waits", 60)
        return self

    def code(self):
        return self.process.wait(PATIENCE_S * 2)

    def handed_over(self, within_ms=None, not_before=None):
        """The next one began behind the last sign of life, with a greater token, and at that time; ends it."""
        self.next.await_alive()
        _, pid, token, began = self.next.first()
        _, _, old, last = self.stamps.last()
        true(began > last, f"{self.name}: the next began at {began}, behind the last sign of life at {last}")
        true(token > old, f"{self.name}: token {token} is greater than {old}")
        if within_ms:
            true(began < within_ms, f"{self.name}: free at once, not {began - within_ms} ms later")
        if not_before:
            true(began >= not_before, f"{self.name}: free {not_before - began} ms too early")
        self.waiter.terminate()
        ended(self.waiter, 3)

    def kept(self, ms=500):
        """It goes on, and nobody else has the lock."""
        now = boottime_ms()
        await_(lambda: self.stamps.last()[3] > now + ms, "it goes on")
        equal(self.next.all(), [], "the next one")

    def end(self):
        os.kill(self.stamps.last()[1], signal.SIGKILL)
        equal(self.code(), 137)
        self.handed_over()


def soon():
    return boottime_ms() + 30000  # half of the long TTL


def behind_ttl(harmed):
    """Renewals are sent each third of the TTL, and a stamp may be behind."""
    return harmed + TTL_S * 600


# --- it ends by itself ------------------------------------------------------------------------------------------------


@ending("COMMAND ends", "its own", "at once")
def ends(world, name):
    held = Held(world, name, ttl=LONG).await_alive()
    limit = soon()
    os.kill(held.stamps.first()[1], signal.SIGTERM)
    equal(held.code(), 3)
    held.handed_over(within_ms=limit)


@ending("COMMAND is killed", "128 + signal", "at once")
def is_killed(world, name):
    held = Held(world, name, ttl=LONG).await_alive()
    limit = soon()
    os.kill(held.stamps.first()[1], signal.SIGKILL)
    equal(held.code(), 137)
    held.handed_over(within_ms=limit)


@ending("COMMAND cannot be executed, or is not there", "126, 127", "at once")
def cannot_run(world, name):
    for argv, code in (("/etc/passwd", 126), ("/no/such/command", 127)):
        equal(world.tenure("lock", name, "--ttl", LONG, "--", argv).returncode, code)
        equal(world.tenure("lock", name, "--timeout", "15", "--", "true").returncode, 0)


@ending("COMMAND ends and leaves processes in its group", "its own", "at once")
def leaves_processes(world, name):
    stamps = world.path(f"{name}.held")
    script = '"$@" & while [ ! -s "$3" ]; do sleep 0.02; done; while [ ! -e "$0" ]; do sleep 0.02; done; exit 6'
    held = Held(world, name, ttl=LONG, options=("--grace", "0.5"),
                argv=["sh", "-c", script, world.path(f"{name}.go"), sys.executable, STAMP, stamps, "--ignore-term"]).await_alive()
    limit = soon()
    Path(world.path(f"{name}.go")).touch()
    equal(held.code(), 6)
    held.handed_over(within_ms=limit)
    true(not is_running(held.stamps.first()[1]), "it is gone")


def daemon(world, name, then, **how):
    """COMMAND starts a daemon that has forked twice and left its session."""
    stamps = world.path(f"{name}.held")
    script = f'(setsid "$@" >/dev/null 2>&1 &); while [ ! -s "$3" ]; do sleep 0.02; done; {then}'
    return Held(world, name, argv=["sh", "-c", script, world.path(f"{name}.go"), sys.executable, STAMP, stamps, "--ignore-term"], **how)


@ending("COMMAND ends and leaves a daemon (setsid, twice forked)", "its own", "at once")
def leaves_daemon(world, name):
    held = daemon(world, name, 'while [ ! -e "$0" ]; do sleep 0.02; done; exit 6', ttl=LONG).await_alive()
    limit = soon()
    Path(world.path(f"{name}.go")).touch()
    equal(held.code(), 6)
    _, began = held.next.await_alive().first()[2:]
    true(began < limit, "free at once")
    await_(lambda: held.stamps.last()[3] > began + 100, "the daemon goes on")
    held.waiter.terminate()
    ended(held.waiter, 3)


@ending("the lock is lost while a daemon of COMMAND's runs", "121", "behind the TTL")
def daemon_and_loss(world, name):
    held = daemon(world, name, "exec sleep 600").await_alive()
    stop(held.process.pid)
    stopped = boottime_ms()
    held.handed_over(not_before=behind_ttl(stopped))
    os.kill(held.process.pid, signal.SIGCONT)
    equal(held.code(), 121)


# --- it is told to end, and its terminal goes -------------------------------------------------------------------------


@ending("tenure is told to end", "COMMAND's", "at once")
def told(world, name):
    held = Held(world, name, ttl=LONG).await_alive()
    limit = soon()
    held.process.terminate()
    equal(held.code(), 3)
    held.handed_over(within_ms=limit)


@ending("tenure is told to end, COMMAND ignores it", "COMMAND's", "held")
def told_and_ignored(world, name):
    held = Held(world, name, "--ignore-term", ttl=LONG).await_alive()
    held.process.terminate()
    held.kept()
    held.end()


def on_a_terminal(world, name, *argv):
    """tenure leads the session of a terminal; what is left is to close master."""
    master, slave = pty.openpty()
    held = Held(world, name, ttl=LONG, argv=argv or None, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    held.await_alive()
    await_(lambda: os.tcgetpgrp(master) != held.process.pid, "COMMAND has the terminal")
    return held, master


@ending("its terminal is closed", "COMMAND's; 129", "at once")
def terminal_closed(world, name):
    held, master = on_a_terminal(world, name)
    limit = soon()
    os.close(master)
    equal(held.code(), 129)
    held.handed_over(within_ms=limit)


@ending("its terminal is closed, COMMAND ignores HUP", "COMMAND's", "held")
def terminal_closed_and_ignored(world, name):
    held, master = on_a_terminal(world, name, "sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, STAMP,
                                 world.path(f"{name}.held"))
    os.close(master)
    held.kept()
    held.end()


# --- tenure goes ------------------------------------------------------------------------------------------------------


@ending("tenure is killed", "137", "at once")
def killed(world, name):
    held = Held(world, name, ttl=LONG).await_alive()
    limit = soon()
    held.process.kill()
    equal(held.code(), -9)
    held.handed_over(within_ms=limit)
    equal(held.stamps.last()[0], "term")


@ending("tenure is killed, COMMAND ignores TERM", "137", "at once")
def killed_and_ignored(world, name):
    held = Held(world, name, "--ignore-term", ttl=LONG, options=("--grace", "0.5")).await_alive()
    limit = soon()
    held.process.kill()
    equal(held.code(), -9)
    held.handed_over(within_ms=limit)


@ending("tenure and its guardian are killed", "137", "behind the TTL")
def both_killed(world, name):
    held = Held(world, name).await_alive()
    guardian = guardian_of(world, held.process)
    stop(held.process.pid)  # so that it cannot start another guardian in between
    stopped = boottime_ms()
    os.kill(guardian, signal.SIGKILL)
    held.process.kill()
    equal(held.code(), -9)
    held.handed_over(not_before=behind_ttl(stopped))
    equal(held.stamps.last()[0], "term")


@ending("tenure is stopped for longer than the TTL, and goes on", "121", "behind the TTL")
def stopped_longer(world, name):
    held = Held(world, name, "--ignore-term").await_alive()
    stop(held.process.pid)
    stopped = boottime_ms()
    held.handed_over(not_before=behind_ttl(stopped))
    os.kill(held.process.pid, signal.SIGCONT)
    equal(held.code(), 121)


@ending("tenure is stopped for less than the TTL", "COMMAND's", "held")
def stopped_shorter(world, name):
    held = Held(world, name, ttl="20").await_alive()
    stop(held.process.pid)
    held.kept(300)
    os.kill(held.process.pid, signal.SIGCONT)
    held.kept(300)
    held.end()


@ending("the lease is revoked", "121", "while it ends")
def revoked(world, name):
    held = Held(world, name, "--ignore-term", ttl=LONG).await_alive(waiter=False)
    limit = soon()
    key = world.tenure("get", "--prefix", f"/locks/{name}/", "--keys-only", check=True).stdout.split()[0]
    world.tenure("lease", "revoke", key.rsplit("/", 1)[1], check=True)
    equal(held.code(), 121)
    true(held.stamps.last()[3] < limit, "at once, not when the TTL had passed")
    equal(world.tenure("lock", name, "--timeout", "15", "--", "true").returncode, 0)


# --- the server goes --------------------------------------------------------------------------------------------------


def with_server_of_its_own(function):
    def row(world, name):
        own = World(world.server_kind)
        try:
            function(own, name)
        finally:
            own.show_logs(False)
            own.close()

    return row


@ending("the server is killed and comes back within the TTL", "COMMAND's", "held")
@with_server_of_its_own
def server_back_in_time(world, name):
    held = Held(world, name, ttl="30").await_alive()
    world.server.kill()
    world.server.start()
    held.kept()
    held.end()


def server_gone(world, name, harm, mend):
    held = Held(world, name, "--ignore-term").await_alive()
    harmed = boottime_ms()
    harm(world.server)
    gone = boottime_ms()
    equal(held.code(), 121)
    over = held.stamps.last()[3] - (gone + TTL_S * 1000 - MARGIN_MS - TTL_S * 10)
    true(over < 0, f"COMMAND was dead before the latest possible safe-until ({over} ms)")
    mend(world.server)
    held.handed_over(not_before=behind_ttl(harmed))


@ending("the server is killed and comes back later", "121", "behind the TTL")
@with_server_of_its_own
def server_back_late(world, name):
    server_gone(world, name, Server.kill, Server.start)


@ending("the server hangs for longer than the TTL", "121", "behind the TTL")
@with_server_of_its_own
def server_hangs(world, name):
    server_gone(world, name, Server.freeze, Server.thaw)


# --- the network ------------------------------------------------------------------------------------------------------


def behind_a_relay(function):
    def row(world, name):
        relay = Relay(world.server.port)
        try:
            function(world, name, relay, {**world.environment(), "TENURE_ENDPOINTS": relay.url})
        finally:
            relay.is_cut.clear()
            relay.close()

    return row


@ending("the network is cut for less than the TTL", "COMMAND's", "held")
@behind_a_relay
def cut_shorter(world, name, relay, env):
    held = Held(world, name, ttl="30", env=env).await_alive()
    relay.is_cut.set()
    held.kept(300)
    relay.is_cut.clear()
    held.kept(300)
    held.end()


@ending("the network is cut for longer", "121", "behind the TTL")
@behind_a_relay
def cut_longer(world, name, relay, env):
    held = Held(world, name, "--ignore-term", env=env).await_alive()
    relay.is_cut.set()
    harmed = boottime_ms()
    equal(held.code(), 121)
    held.handed_over(not_before=behind_ttl(harmed))


@ending("the network is cut, and tenure is killed", "137", "behind the TTL")
@behind_a_relay
def cut_and_killed(world, name, relay, env):
    held = Held(world, name, env=env).await_alive()
    relay.is_cut.set()
    harmed = boottime_ms()
    held.process.kill()
    equal(held.code(), -9)
    held.handed_over(not_before=behind_ttl(harmed))
    equal(held.stamps.last()[0], "term")


# --- disks ------------------------------------------------------------------------------------------------------------


@ending("standard output is full", "COMMAND's", "at once")
def output_full(world, name):
    with open("/dev/full", "w") as full:
        process = world.start("lock", name, "--ttl", LONG, "--", "sh", "-c", "echo something || exit 9", stdout=full)
        equal(process.wait(PATIENCE_S), 9)
        equal(world.tenure("lock", name, "--timeout", "15", "--", "true").returncode, 0)
        process = world.start("lock", name, "--ttl", LONG, stdout=full)  # without a command it is held all the same
        await_(lambda: world.tenure("lock", name, "--timeout", "0", "--", "true").returncode == 124, "it is held")
        process.terminate()
        equal(process.wait(PATIENCE_S), 0)


MAY_MOUNT = "unshare -m mount -t tmpfs -o size=64k tmpfs /mnt"


def may_mount():
    return subprocess.run(MAY_MOUNT.split(), capture_output=True).returncode == 0


class SmallDisk(Server):
    """A server whose data lie on a small file system of its own."""

    def command(self, data, url):
        os.makedirs(data, exist_ok=True)
        return ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"', data, *super().command(data, url)]

    def fill(self):
        """To the last byte: what the server has not written by now it cannot write."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/root{self.folder}/data/filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)


@ending("the server's disk is full", "COMMAND's", "at once, or behind the TTL")
def server_disk_full(world, name):
    if world.server_kind == "etcd" or not may_mount():
        return "no small file system can be had here, or the server is not ours"
    own = World(world.server_kind)
    try:
        own._server = SmallDisk(own.server_kind, own.folder / "server").start()
        held = Held(own, name).await_alive(waiter=False)
        own.server.fill()
        held.kept(TTL_S * 1000 + 1000)
        os.kill(held.stamps.first()[1], signal.SIGTERM)
        err = ended(held.process, 3)
        if err:
            true("free when its lease ends" in err, f"it says so: {err!r}")
    finally:
        own.show_logs(False)
        own.close()
    return None


@ending("there is no room for a server of its own", "125", "-")
def no_room_for_a_server(world, name):
    if world.server_kind == "etcd" or not may_mount():
        return "no small file system can be had here"
    home, ran = world.path(f"{name}.home"), world.path(f"{name}.ran")
    os.makedirs(home)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TENURE", "XDG")) or k == "TENURE"}
    env.update(HOME=home, XDG_STATE_HOME=f"{home}/state", XDG_RUNTIME_DIR=f"{home}/run", XDG_CONFIG_HOME=f"{home}/config")
    script = ('mount -t tmpfs -o size=32k tmpfs "$0"; mkdir -p "$0/state" "$0/run"; chmod 700 "$0/run"; cat /dev/zero >"$0/filler" 2>/dev/null; '
              'exec "$@"')
    result = world.run(["unshare", "-m", "-n", "sh", "-c", script, home, TENURE, "lock", name, "--", "touch", ran], env=env)
    equal(result.returncode, 125)
    true(result.stderr.strip(), "it says why")
    true(not os.path.exists(ran), "nothing ran")
    return None


# --- all --------------------------------------------------------------------------------------------------------------


def play(world, number, what, function):
    try:
        return what, None, function(world, f"row{number}")
    except Exception:  # a row that breaks in any way has failed
        return what, traceback.format_exc(), None


def every_row(world):
    """each ending: the exit code, COMMAND is gone before the next one holds the lock, and when that is"""
    world.server
    failed = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        waiting_first = sorted(enumerate(ROWS), key=lambda row: "TTL" not in row[1][2])
        for done in concurrent.futures.as_completed([pool.submit(play, world, n, row[0], row[3]) for n, row in waiting_first]):
            what, why, skipped = done.result()
            print(f"# {'FAILED' if why else f'skipped ({skipped})' if skipped else 'as it should be'}: {what}", flush=True)
            failed += [f"{what}\n{why}"] if why else []
    if failed:
        raise Failure("\n".join(failed))


def documented(world):
    """docs/lock-endings.md has these rows, with these exit codes and times, in this order"""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in read(ROOT / "docs" / "lock-endings.md").splitlines()
            if line.startswith("| ")]
    equal([(row[0], row[1], row[3]) for row in rows[1:]], [row[:3] for row in ROWS])


main([documented, every_row])
