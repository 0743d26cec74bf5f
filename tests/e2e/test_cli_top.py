"""`tenure top`: once, as JSON, and live on a terminal, which is as it was before however it ends."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading

from harness import *


def hold(world, command, name, *more):
    """Somebody who stands in a queue."""
    world.start(command, name, "--ttl", "60", *more)
    await_(lambda: json.loads(world.tenure("top", "--once", "--interval", "100ms", "-o", "json", check=True).stdout)
           [{"lock": "locks", "elect": "elections"}[command]], f"{name} is there")


def look(world, *more):
    return json.loads(world.tenure("top", "--once", "--interval", "200ms", "-o", "json", "--call-timeout", "30s", *more,
                                   check=True).stdout)


class Screen:
    """`tenure top` on a terminal of its own; what it writes is collected."""

    def __init__(self, world, rows=30, columns=120, *more):
        self.text, self.read_to = "", 0
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([TENURE, "top", "--interval", "200ms", *more], env=world.environment(TERM="xterm"),
                                        stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        world._processes.append(self.process)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.02)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        return self.text

    def shows(self, pattern):
        """Waits for a picture, of those that came since the last wait, in which this stands."""
        def found():
            for at in [m.start() for m in re.finditer(r"\x1b\[H", self.read()[self.read_to:])]:
                picture = self.text[self.read_to + at + 3:].split("\x1b[H")[0]
                if re.search(pattern, picture):
                    self.read_to += at
                    return picture
            return None

        try:
            return await_(found, f"{pattern!r} on the terminal")
        except Failure as why:
            raise Failure(f"{why}; there is: {self.text[self.read_to:][-1500:]!r}")

    def type(self, keys):
        self.read_to = len(self.read())
        os.write(self.master, keys.encode())

    def is_as_before(self):
        """The other page was left, the cursor is there, and keys are echoed."""
        self.read()
        return (self.text.endswith("\x1b[?25h\x1b[?1049l") and termios.tcgetattr(self.slave)[3] == self.before[3])

    def ended(self, code):
        equal(self.wait(), code)
        true(self.is_as_before(), f"the terminal is as before: {self.text[-200:]!r}")
        os.close(self.master)
        os.close(self.slave)

    def wait(self):
        """Reading meanwhile: a terminal takes only so much that nobody reads."""
        await_(lambda: self.read() and self.process.poll() is not None, "it ends")
        return self.process.returncode


# --- without a terminal -----------------------------------------------------------------------------------------------


def once(world):
    """it tells servers, leaders, locks with holders and waiters, and leases, as text and as JSON"""
    hold(world, "elect", "boss", "--value", "anna")
    hold(world, "lock", "backup", "--purpose", "dump")
    world.start("lock", "backup", "--ttl", "60")
    await_(lambda: look(world)["locks"][0]["waiting"] == 1, "somebody waits")
    seen = look(world)
    lock, election, server = seen["locks"][0], seen["elections"][0], seen["servers"][0]
    equal((lock["name"], lock["holders"], lock["waiting"], lock["purpose"], lock["host"]), ("backup", 1, 1, "dump", os.uname().nodename))
    equal((election["name"], election["proposal"], election["waiting"]), ("boss", "anna", 0))
    equal((server["role"], server["behind"], server["endpoint"]), ("leader", 0, world.server.url))
    equal((len(seen["leases"]), seen["n_leases"], seen["notes"]), (3, 3, []))
    text = world.tenure("top", "--once", "--interval", "100ms", "--call-timeout", "30s", check=True).stdout
    for pattern in (r"^SERVER ", r"leader", r"^boss +anna +0 ", r"^backup +1 +1 ", r"^LEASE "):
        true(re.search(pattern, text, re.M), f"{pattern} in {text}")
    equal(len(world.tenure("top", "-n", "3", "--interval", "100ms", "-o", "jsonl", check=True).stdout.splitlines()), 3)


def rates(world):
    """what a second brings: writes of the cluster, and puts and ranges of each server"""
    over = threading.Event()

    def write():
        while not over.is_set():
            world.tenure("put", "k", "v")

    writer = threading.Thread(target=write)
    world.server
    writer.start()
    try:
        seen = await_(lambda: (s := look(world)) and s.get("writes", 0) > 0 and s["servers"][0].get("puts", 0) > 0 and s, "rates")
    finally:
        over.set()
        writer.join()
    true(seen["servers"][0]["ranges"] >= 0 and seen["servers"][0]["watchers"] >= 0, seen)


def bounds(world):
    """of many queues the longest are shown, and it says so"""
    commands = "".join(f"put /locks/l{i:02}/a x\n" for i in range(44)) + "put /locks/long/a x\nput /locks/long/b x\n"
    world.tenure("txn", input="\n" + commands + "\n\n", check=True)
    seen = look(world)
    equal((len(seen["locks"]), seen["locks"][0]["name"]), (40, "long"))
    true(any("40 longest" in note for note in seen["notes"]), seen["notes"])


def nobody_answers(world):
    """where no server answers it says so, and its exit code is 3"""
    world.server.kill()
    r = world.tenure("top", "--once", "--interval", "100ms")
    equal(r.returncode, 3)
    true(" down " in r.stdout and "no server answered" in r.stderr, r)
    equal(world.tenure("top", "--once", "word").returncode, 2)


# --- on a terminal ----------------------------------------------------------------------------------------------------


def keys(world):
    """live: it renews itself, sorts, scrolls, pauses, follows the size of the terminal, and ends with q"""
    hold(world, "lock", "a", "--purpose", "first")
    screen = Screen(world, 30, 140)
    screen.shows(r"(?s)\x1b\[1mtenure top.*SERVER.*LOCK.*a +1 +0.*first")
    world.start("lock", "a", "--ttl", "60")
    screen.shows(r"a +1 +1 ")
    screen.type("s")
    screen.shows(r"sort: time")
    screen.type("p")
    screen.shows(r"p go on")
    screen.type("p")
    screen.shows(r"p pause")
    screen.read_to = len(screen.read())
    screen.resize(6, 40)
    screen.process.send_signal(signal.SIGWINCH)
    picture = screen.shows(r"tenure top")
    true(len(picture.split("\r\n")) <= 6 and "…" in picture, picture)
    screen.type("\x1b[B\x1b[B")
    screen.shows(r"(?s)\A(?!.*SERVER).*tenure top")
    screen.type("\x1b[A\x1b[A")
    screen.shows(r"SERVER")
    screen.type("q")
    screen.ended(0)


def signals(world):
    """the terminal is as it was after TERM, INT and HUP, and while it is stopped"""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        screen = Screen(world)
        screen.shows("SERVER")
        screen.process.send_signal(number)
        screen.ended(0)
    screen = Screen(world)
    screen.shows("SERVER")
    screen.process.send_signal(signal.SIGTSTP)
    await_(lambda: screen.read() and process_state(screen.process.pid) == "T", "it is stopped")
    true(screen.is_as_before(), "the terminal is as before")
    screen.read_to = len(screen.read())
    screen.process.send_signal(signal.SIGCONT)
    screen.shows("SERVER")
    screen.type("\x03")
    screen.ended(0)


def a_server_goes_and_comes(world):
    """a server that goes is shown as down, keys work meanwhile, and it is shown again when it is back"""
    screen = Screen(world)
    screen.shows(" leader ")
    world.server.kill()
    screen.shows(" down ")
    screen.type("s")
    screen.shows("sort: time")
    world.server.start()
    screen.shows(" leader ")
    screen.type("q")
    screen.ended(0)


main([once, rates, bounds, nobody_answers, keys, signals, a_server_goes_and_comes])
