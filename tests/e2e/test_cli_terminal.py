"""`tenure lock` at a terminal, under an interactive shell: it has to feel like the command itself (job control)."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios

from harness import *

PROMPT = "prompt> "
# Waits for a file named go. No shell that forks in a loop: one that is stopped in the middle of its vfork does not stop.
UNTIL_GO = """import os, time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
print("done", flush=True)
os._exit(8)
"""


class Shell:
    """bash with job control on a terminal of its own; what it prints is collected."""

    def __init__(self, world):
        self.text = ""
        self.master, slave = pty.openpty()
        env = {**world.environment(), "PS1": PROMPT, "TERM": "dumb", "T": TENURE, "HISTFILE": ""}
        self.process = subprocess.Popen(["bash", "--norc", "--noediting", "-i"], env=env, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, cwd=world.folder,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        world._processes.append(self.process)
        self.await_text(re.escape(PROMPT) + "$", 0)

    def _read(self):
        if select.select([self.master], [], [], 0.02)[0]:
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace").replace("\r", "")
            except OSError:
                pass  # the shell is gone
        return self.text

    def await_text(self, pattern, begin):
        """Waits until what came since the mark matches; the match."""
        try:
            return await_(lambda: re.search(pattern, self._read()[begin:], re.M), f"{pattern!r} on the terminal")
        except Failure as why:
            raise Failure(f"{why}; there is: {self.text[begin:]!r}")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def command(self, line):
        """Types a line; the mark behind which its output begins."""
        begin = len(self.text)
        self.type(line + "\n")
        self.await_text(re.escape(line[-20:]) + r"\n", begin)
        return begin

    def prompt(self, begin):
        """Waits for the next prompt; what stands before it."""
        self.await_text("^" + re.escape(PROMPT) + r"$", begin)
        return self.text[begin:]

    def foreground(self):
        """Waits until a job has the terminal and all of it runs, or waits for something."""

        def running():
            jobs = children(self.process.pid)
            below = [p for job in jobs for p in [job, *children(job)]]
            return (os.tcgetpgrp(self.master) != self.process.pid and below
                    and all(process_state(p) in ("S", "R") for p in below))

        await_(running, "the job runs in the foreground")

    def status(self):
        begin = self.command('echo "status=$?"')
        return int(self.await_text(r"^status=(\d+)$", begin).group(1))

    def close(self):
        os.close(self.master)


def at_a_terminal(function):
    def test(world):
        world.server
        Path(world.path("until_go.py")).write_text(UNTIL_GO)
        shell = Shell(world)
        try:
            function(world, shell)
        finally:
            shell.close()

    test.__name__, test.__doc__ = function.__name__, function.__doc__
    return test


def free(world):
    await_(lambda: world.tenure("get", "--prefix", "/locks/").stdout == "", "the lock is free")


@at_a_terminal
def ctrl_c(world, shell):
    """Ctrl-C ends the command, the shell sees 130, and the lock is free"""
    begin = shell.command("$T lock a -- sh -c 'echo ready; exec sleep 600'")
    shell.await_text("^ready$", begin)
    shell.type("\x03")
    shell.prompt(begin)
    equal(shell.status(), 130)
    free(world)


@at_a_terminal
def ctrl_c_handled(world, shell):
    """a command that handles Ctrl-C goes on and keeps its exit code; it gets the signal once"""
    begin = shell.command("$T lock a -- bash -c 'trap \"echo caught\" INT; echo ready; read x; read x; echo \"end $x\"; exit 9'")
    shell.await_text("^ready$", begin)
    shell.type("\x03")
    shell.await_text("caught", begin)
    shell.type("one\n")
    shell.type("two\n")
    shell.await_text("^end two$|^end one$", begin)
    shell.prompt(begin)
    equal(shell.text[begin:].count("\ncaught") + shell.text[begin:].count("^Ccaught"), 1, "times it was caught")
    equal(shell.status(), 9)


@at_a_terminal
def ctrl_backslash(world, shell):
    """Ctrl-\\ quits the command, the shell sees 131"""
    begin = shell.command("ulimit -c 0; $T lock a -- sh -c 'echo ready; exec sleep 600'")
    shell.await_text("^ready$", begin)
    shell.type("\x1c")
    shell.prompt(begin)
    equal(shell.status(), 131)
    free(world)


@at_a_terminal
def reads_the_terminal(world, shell):
    """the command reads what is typed, up to the end of file"""
    begin = shell.command("$T lock a -- sh -c 'echo ready; tr a-z A-Z'")
    shell.await_text("^ready$", begin)
    shell.type("hello\n")
    shell.await_text("^HELLO$|^hello$", begin)
    shell.type("\x04")
    shell.await_text("^HELLO$", begin)
    shell.prompt(begin)
    equal(shell.status(), 0)


@at_a_terminal
def ctrl_z_and_fg(world, shell):
    """Ctrl-Z stops the job, fg brings it back, and it still has the lock and the terminal"""
    begin = shell.command("$T lock a --ttl 60 -- sh -c 'echo ready; read x; echo \"read $x\"; exit 6'")
    shell.await_text("^ready$", begin)
    shell.type("\x1a")
    shell.await_text("Stopped", begin)
    shell.prompt(begin)
    begin = shell.command("$T lock a --timeout 0 true; jobs -s")
    shell.await_text("not acquired in time", begin)
    shell.await_text(r"Stopped", begin)
    shell.prompt(begin)
    begin = shell.command("fg")
    shell.type("typed\n")
    shell.await_text("^read typed$", begin)
    shell.prompt(begin)
    equal(shell.status(), 6)
    free(world)


@at_a_terminal
def stopped_twice(world, shell):
    """Ctrl-Z and fg work again and again, and Ctrl-C after that"""
    begin = shell.command("$T lock a --ttl 60 -- sh -c 'echo ready; exec sleep 600'")
    shell.await_text("^ready$", begin)
    for _ in range(3):
        shell.type("\x1a")
        shell.await_text("Stopped", begin)
        shell.prompt(begin)
        begin = shell.command("fg")
        shell.foreground()
    shell.type("\x03")
    shell.prompt(begin)
    equal(shell.status(), 130)


@at_a_terminal
def bg(world, shell):
    """Ctrl-Z and bg: it goes on in the background, and ends there"""
    begin = shell.command("$T lock a --ttl 60 -- python3 until_go.py")
    shell.await_text("^ready$", begin)
    shell.type("\x1a")
    shell.await_text("Stopped", begin)
    shell.prompt(begin)
    begin = shell.command("bg")
    shell.prompt(begin)
    begin = shell.command("touch go; wait %1")
    shell.prompt(begin)
    equal(shell.status(), 8)
    free(world)


@at_a_terminal
def stopped_too_long(world, shell):
    """a job that stays stopped for longer than the TTL has lost its lock: another gets it, and fg answers 121"""
    begin = shell.command("$T lock a --ttl 2 -- sh -c 'echo ready; exec sleep 600'")
    shell.await_text("^ready$", begin)
    shell.type("\x1a")
    shell.await_text("Stopped", begin)
    shell.prompt(begin)
    equal(world.tenure("lock", "a", "--timeout", "15", "true").returncode, 0)
    begin = shell.command("fg")
    shell.prompt(begin)
    equal(shell.status(), 121)


@at_a_terminal
def in_the_background(world, shell):
    """started with & it does not take the terminal, and stops when its command wants to read from it"""
    begin = shell.command("$T lock a --ttl 60 -- sh -c 'read x; echo \"read $x\"; exit 5' &")
    shell.prompt(begin)
    begin = shell.command("echo still here")
    shell.await_text("^still here$", begin)
    shell.await_text("Stopped", begin) if "Stopped" in shell.prompt(begin) else None
    await_(lambda: (shell.type("\n"), shell._read(), "Stopped" in shell.text)[2], "the job is stopped")
    begin = shell.command("fg")
    shell.type("typed\n")
    shell.await_text("^read typed$", begin)
    shell.prompt(begin)
    equal(shell.status(), 5)


@at_a_terminal
def in_a_pipeline(world, shell):
    """in a pipeline Ctrl-C reaches the command and its neighbours"""
    begin = shell.command("$T lock a -- sh -c 'echo ready; exec sleep 600' | cat")
    shell.await_text("^ready$", begin)
    shell.type("\x03")
    shell.prompt(begin)
    begin = shell.command('echo "both=${PIPESTATUS[*]}"')
    free(world)


@at_a_terminal
def in_a_pipeline_stopped(world, shell):
    """in a pipeline Ctrl-Z stops all of it, and fg brings it back"""
    begin = shell.command("$T lock a --ttl 60 -- python3 until_go.py | cat")
    shell.await_text("^ready$", begin)
    shell.type("\x1a")
    shell.await_text("Stopped", begin)
    shell.prompt(begin)
    begin = shell.command("touch go; fg")
    shell.await_text("^done$", begin)
    shell.prompt(begin)
    equal(shell.status(), 0)


@at_a_terminal
def reads_in_a_pipeline(world, shell):
    """in a pipeline a command that reads from the terminal gets it"""
    begin = shell.command("$T lock a -- sh -c 'echo ready; read x; echo \"read $x\"' | cat")
    shell.await_text("^ready$", begin)
    shell.type("typed\n")
    shell.await_text("^read typed$", begin)
    shell.prompt(begin)
    equal(shell.status(), 0)


@at_a_terminal
def in_a_script(world, shell):
    """Ctrl-C on a command in a script ends the script, as without tenure"""
    Path(world.path("script")).write_text("$T lock a -- sh -c 'echo ready; exec sleep 600'\necho not to be seen\n")
    begin = shell.command("bash script")
    shell.await_text("^ready$", begin)
    shell.type("\x03")
    shell.prompt(begin)
    equal(shell.status(), 130)
    true("not to be seen" not in shell.text[begin:].replace("echo not to be seen", ""), "the script went on")
    free(world)


@at_a_terminal
def stopped_in_a_script(world, shell):
    """Ctrl-Z on a command in a script stops the script, and fg brings both back"""
    Path(world.path("script")).write_text("$T lock a --ttl 60 -- sh -c 'echo ready; read x; echo \"read $x\"'\necho after\n")
    begin = shell.command("bash script")
    shell.await_text("^ready$", begin)
    shell.type("\x1a")
    shell.await_text("Stopped", begin)
    shell.prompt(begin)
    begin = shell.command("fg")
    shell.type("typed\n")
    shell.await_text("^read typed$", begin)
    shell.await_text("^after$", begin)
    shell.prompt(begin)


@at_a_terminal
def modes_are_restored(world, shell):
    """a command that is killed while it has the terminal in raw mode leaves it as it was"""
    begin = shell.command("$T lock a -- sh -c 'stty raw -echo; echo ready; kill -9 $$'; stty -a")
    shell.prompt(begin)
    true(re.search(r"[^-]icanon", shell.text[begin:]) and re.search(r"[^-]echo ", shell.text[begin:]), "canonical mode with echo")


@at_a_terminal
def waiting_is_stopped_and_ended(world, shell):
    """while it waits for the lock, Ctrl-Z stops it and Ctrl-C ends it"""
    holder = world.start("lock", "a")
    holder.stdout.readline()
    queue = lambda: len(world.tenure("get", "--prefix", "/locks/a/", "--keys-only").stdout.split())
    begin = shell.command("$T lock a --ttl 60 -- true")
    await_(lambda: queue() == 2, "it waits")
    shell.type("\x1a")
    shell.await_text("Stopped", begin)
    shell.prompt(begin)
    begin = shell.command("fg")
    shell.foreground()
    shell.type("\x03")
    shell.prompt(begin)
    equal(shell.status(), 130)
    await_(lambda: queue() == 1, "it has left the queue")


@at_a_terminal
def a_password_is_asked_for(world, shell):
    """--user without a password asks for it, shows nothing of it, and leaves standard input to the command"""
    for words in (["user", "add", "root:r00t"], ["role", "add", "root"], ["user", "grant", "root", "root"], ["enable"]):
        world.tenure("auth", *words, check=True)
    begin = shell.command("echo from a pipe | $T --user root put a")
    shell.await_text("password of root: $", begin)
    shell.type("r00t\n")
    text = shell.prompt(begin)
    true("OK" in text and "r00t" not in text, text)
    begin = shell.command("$T --user root get a")
    shell.await_text("password of root: $", begin)
    shell.type("wrong\n")
    shell.prompt(begin)
    equal(shell.status(), 1)
    begin = shell.command("$T --user root lock x -- sh -c 'echo ready; exec cat'")
    shell.await_text("password of root: $", begin)
    shell.type("r00t\n")
    shell.await_text("^ready$", begin)
    shell.type("typed\n")
    shell.await_text("^typed\ntyped$", begin)  # echo is on again for the command
    shell.type("\x04")
    shell.prompt(begin)
    equal(shell.status(), 0)
    equal(world.tenure("--user", "root:r00t", "get", "a").stdout.split()[-3:], ["from", "a", "pipe"])


@at_a_terminal
def the_terminal_goes(world, shell):
    """when the terminal is closed, the command gets HUP and the lock is freed"""
    begin = shell.command("$T lock a --ttl 60 -- sh -c 'trap \"touch hung-up; exit\" HUP; echo ready; while :; do sleep 0.02; done'")
    shell.await_text("^ready$", begin)
    os.close(shell.master)
    shell.master = os.open("/dev/null", os.O_RDWR)
    await_(lambda: os.path.exists(world.path("hung-up")), "the command was told")
    free(world)


@at_a_terminal
def configured(world, shell):
    """a program under config exec reads the terminal, also when it was started anew; Ctrl-Z, fg and Ctrl-C do as ever"""
    world.tenure("config", "set", "p/n", "1", check=True)
    script = 'while echo "ready $n" && read -r line; do echo "got $line"; done'
    begin = shell.command(f"$T config exec --prefix p --min-wait 10ms -- sh -c '{script}'")
    shell.await_text("^ready 1$", begin)
    shell.type("one\n")
    shell.await_text("^got one$", begin)
    world.tenure("config", "set", "p/n", "2", check=True)
    shell.await_text("^ready 2$", begin)
    shell.type("two\n")
    shell.await_text("^got two$", begin)
    begin = len(shell.text)
    shell.type("\x1a")
    shell.prompt(begin)
    begin = shell.command("fg")
    shell.foreground()
    shell.type("three\n")
    shell.await_text("^got three$", begin)
    begin = len(shell.text)
    shell.type("\x03")
    shell.prompt(begin)
    equal(shell.status(), 130)


main([ctrl_c, ctrl_c_handled, ctrl_backslash, reads_the_terminal, ctrl_z_and_fg, stopped_twice, bg, stopped_too_long,
      in_the_background, in_a_pipeline, in_a_pipeline_stopped, reads_in_a_pipeline, in_a_script, stopped_in_a_script,
      modes_are_restored, waiting_is_stopped_and_ended, a_password_is_asked_for,
      the_terminal_goes, configured])
