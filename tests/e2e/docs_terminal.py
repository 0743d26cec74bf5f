"""A reader's terminal: types the commands of a page into a shell of its own and compares what is printed with what is shown."""

import os
import re
import select
import signal
import subprocess
import time

from harness import PATIENCE_S, Failure, await_, is_running, read

# Reads commands, each ended by a 0, from one descriptor, and answers each with its exit code on another. $? is the reader's.
SHELL = r"""
__rc=0
while IFS= read -r -d '' __command <&IN; do
    (exit $__rc)
    eval "$__command" </dev/null IN<&- OUT>&-
    __rc=$?
    printf '%s\n' "$__rc" >&OUT
done
"""


class Stuck(Failure):
    """A command that does not end: nothing can be typed behind it."""


class Words:
    """What texts of a page stand for."""

    def __init__(self, fixed):
        self.fixed = dict(fixed)  # what the page says -> what is there
        self.bound, self.varies, self.any = {}, set(), set()

    def real(self, text):
        """A command as it is typed here."""
        known = {**self.fixed, **self.bound}
        token = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
        return re.sub(rf"(?<![\w.-])(?:{token})(?![\w-]|\.\w)", lambda found: known[found[0]], text) if known else text

    def pattern(self, shown):
        """What has to be printed, as a regular expression, and its groups' names."""
        groups, out = {}, []
        special = sorted(self.varies | self.any, key=len, reverse=True)
        token = "|".join([*(rf"(?<![\w.-]){re.escape(t)}(?![\w-]|\.\w)" for t in special), "…", " {2,}"])
        for line in shown:
            if line.strip() == "…":
                out.append(r"(?:.*\n)*")
                continue
            pattern, at, line = "", 0, line.rstrip()
            for found in re.finditer(token, line):
                pattern += re.escape(self.real(line[at : found.start()])) + self._stands_for(found[0], groups)
                at = found.end()
            out.append(pattern + re.escape(self.real(line[at:])) + r" *\n")
        return re.compile("".join(out)), groups

    def _stands_for(self, text, groups):
        if text == "…":
            return ".*?"
        if text.startswith("  "):
            return " +"
        if text in self.any:
            return r"\S+(?: \S+)*?" if " " in text else r"[^\s]+?"
        if text in self.bound:
            return re.escape(self.bound[text])
        if text in groups:
            return f"(?P={groups[text]})"
        groups[text] = f"v{len(groups)}"
        return rf"(?P<{groups[text]}>[^\s,;\"')]+?)"

    def bind(self, groups, match):
        for text, name in groups.items():
            self.bound[text] = match[name]


class Terminal:
    def __init__(self, folder, env):
        self._out, out = os.pipe()
        commands, self._commands = os.pipe()
        self._codes, codes = os.pipe()
        os.set_blocking(self._out, False)
        script = SHELL.replace("IN", str(commands)).replace("OUT", str(codes))
        self.shell = subprocess.Popen(["bash", "--norc", "--noprofile", "-c", script], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                      stdout=out, stderr=out, pass_fds=(commands, codes), start_new_session=True)
        for fd in (out, commands, codes):
            os.close(fd)
        self.text, self.transcript = "", []
        self.has_jobs = False

    def _read(self):
        while True:
            try:
                piece = os.read(self._out, 65536)
            except BlockingIOError:
                return
            if not piece:
                return
            self.text += piece.decode(errors="replace")

    def type(self, command):
        """Begins a command."""
        self.transcript.append(f"$ {command}")
        self.has_jobs = self.has_jobs or bool(re.search(r"&\s*(#.*)?$", command))
        os.write(self._commands, command.encode() + b"\0")

    def exit_code(self, timeout_s=None):
        """Of the command that was begun, when it has ended; None when the terminal has."""
        until, got = time.monotonic() + (timeout_s or PATIENCE_S * 3), b""
        while not got.endswith(b"\n"):
            self._read()
            if select.select([self._codes, self._out], [], [], 0.2)[0] and select.select([self._codes], [], [], 0)[0]:
                piece = os.read(self._codes, 16)
                if not piece:
                    self._read()
                    return None
                got += piece
            if time.monotonic() > until:
                raise Stuck("it does not end; so far:\n" + self.text)
        self._read()
        return int(got.split()[-1])

    def shows(self, words, shown, where, whole=True):
        """Compares; what a job in the background prints is awaited."""
        pattern, groups = words.pattern(shown)
        until = time.monotonic() + (PATIENCE_S if self.has_jobs or not whole else 0)
        while True:
            self._read()
            match = pattern.fullmatch(self.text) if whole else pattern.match(self.text)
            if match or time.monotonic() >= until:
                break
            select.select([self._out], [], [], 0.05)
            time.sleep(0.005)
        if not match:
            printed, self.text = self.text, ""
            raise Failure(f"{where}\nshown:\n{words.real(''.join(line + chr(10) for line in shown))}printed:\n{printed}")
        words.bind(groups, match)
        if whole:
            self.transcript.append(self.text)
            self.text = ""

    def pass_over(self):
        """What was printed is not compared."""
        self._read()
        self.transcript.append(self.text)
        self.text = ""

    def interrupt(self):
        """Ctrl-C, and the end of the command."""
        os.killpg(self.shell.pid, signal.SIGINT)
        self.exit_code()

    def end(self):
        if self.shell.poll() is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self.shell.pid, number)
                except ProcessLookupError:
                    break
                if number == signal.SIGTERM:
                    time.sleep(0.01)
        self.shell.wait()
        for fd in (self._commands, self._codes, self._out):
            os.close(fd)


def sweep(folder):
    """Ends whatever still runs for a sandbox: what names its folder on its command line or in its environment."""
    mark = os.fsencode(str(folder))

    def of_it():
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            for what in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{entry}/{what}", "rb") as text:
                        if mark in text.read() and is_running(int(entry)):
                            yield int(entry)
                            break
                except OSError:
                    pass

    def gone():
        left = list(of_it())
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not left

    await_(gone, f"nothing runs in {folder} any more")


def commands(text):
    """(command, lines shown behind it) of a block. With a `$ ` in it the rest is what is printed; else all of it is typed."""
    lines = text.splitlines()
    typed = any(line.startswith("$ ") for line in lines)
    i, found = 0, []
    while i < len(lines):
        line = lines[i]
        i += 1
        if typed and not line.startswith("$ "):
            if not found:
                raise Failure(f"'{line}' is printed before anything was typed")
            found[-1][1].append(line)
            continue
        command = line.removeprefix("$ ") if typed else line
        if not command.strip() or command.lstrip().startswith("#"):
            continue
        while i < len(lines) and not is_whole(command):
            command += "\n" + (lines[i].removeprefix("> ") if typed else lines[i])
            i += 1
        found.append((command, []))
    return found


def is_whole(command):
    """Not when the line goes on: behind a backslash, in quotes, in a here-document."""
    if command.endswith("\\"):
        return False
    if not re.search(r"['\"{(]|<<|\b(do|then)\b", command):
        return True
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, stdin=subprocess.DEVNULL)
    return checked.returncode == 0 and not checked.stderr
