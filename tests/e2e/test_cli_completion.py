"""Completion in the shells themselves: bash, zsh and fish read the script and are asked what a TAB would offer."""

import contextlib
import os
import pty
import re
import select
import shutil
import time

from harness import *

# What is typed, and what must be offered, among others; "!" in front: what must not be.
CASES = [
    ("tenure ", ["lock", "elect", "get", "serve", "completion", "!grant", "!--prefix"]),
    ("tenure loc", ["lock", "!elect"]),
    ("tenure --endpoints http://x le", ["lease"]),
    ("tenure get --pre", ["--prefix", "!--prev-kv"]),
    ("tenure put --p", ["--prev-kv", "--password", "!--prefix"]),
    ("tenure lease ", ["grant", "revoke", "keepalive", "ttl", "list", "!lock"]),
    ("tenure lease --id 5 gr", ["grant"]),
    ("tenure auth us", ["user"]),
    ("tenure get -o js", ["json"]),
    ("tenure lock --ti", ["--timeout"]),
    ("tenure lock a tenure-completion-pro", ["tenure-completion-probe"]),
    ("tenure snapshot restore tenure-fil", ["tenure-file.db"]),
]


def script(world, shell):
    path = world.path(f"completion.{shell}")
    Path(path).write_text(world.run([TENURE, "completion", shell], env=dict(os.environ), check=True).stdout)
    return path


def scene(world):
    """A folder with a file, a program on PATH, and `tenure` under its name."""
    folder = Path(world.path("scene"))
    folder.mkdir()
    (folder / "tenure-file.db").write_text("")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("tenure-completion-probe", "tenure"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb",
           "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    return str(folder), env


def check(offers, typed, wanted):
    for w in wanted:
        if w.startswith("!"):
            true(w[1:] not in offers, f"{typed!r} offers no {w[1:]}: {sorted(offers)}")
        else:
            true(w in offers, f"{typed!r} offers {w}: {sorted(offers)}")


def need(shell):
    if not shutil.which(shell):
        raise Skip(f"there is no {shell} here")


def in_bash(world):
    """bash: commands, actions, options, values, files, and the command behind a lock's name"""
    need("bash")
    folder, env = scene(world)
    ask = """source "$1"; COMP_LINE=$2; COMP_WORDS=(); read -ra COMP_WORDS <<<"$2"
             [[ $2 == *' ' ]] && COMP_WORDS+=('')
             COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tenure; printf '%s\\n' "${COMPREPLY[@]}" """
    path = script(world, "bash")
    for typed, wanted in CASES:
        r = world.run(["bash", "--norc", "-c", ask, "bash", path, typed], env=env, cwd=folder, check=True)
        equal(r.stderr, "", typed)
        check(set(r.stdout.split()), typed, wanted)


def in_fish(world):
    """fish: the same"""
    need("fish")
    folder, env = scene(world)
    path = script(world, "fish")
    for typed, wanted in CASES:
        r = world.run(["fish", "--no-config", "-c", f"source {path}; complete -C '{typed}'"], env=env, cwd=folder, check=True)
        equal(r.stderr, "", typed)
        check({line.split("\t")[0] for line in r.stdout.splitlines()}, typed, wanted)


class Zsh:
    """An interactive zsh on a terminal of its own: completion runs nowhere else."""

    def __init__(self, folder, env, script_path):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**env, "COLUMNS": "400", "LINES": "400"})
        self.unread = ""
        self.send("PROMPT='ready> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d ./dump; "
                  "LISTMAX=10000; setopt nobeep nolistambiguous; stty rows 400 columns 400; "
                  f"source {script_path}; print -r -- set''up\n")
        self.until("setup")
        self.until("ready> ")

    def send(self, text):
        os.write(self.fd, text.encode())

    def until(self, text):
        """All that it says up to text; what comes behind it stays for the next time."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise Failure(f"zsh did not say {text!r}: {self.unread!r}")
            self.unread += os.read(self.fd, 65536).decode(errors="replace")
        seen, _, self.unread = self.unread.partition(text)
        return seen

    def offers(self, typed):
        """The words that a completion listed or put in; the line is thrown away behind it."""
        self.send(typed + "\t\x04")  # a TAB, then Ctrl-D: the list of what would fit there
        self.send("\x01: \x05; print -r -- do''ne\n")  # runs as a harmless line
        seen = self.until("done\r\n")
        self.until("ready> ")
        return set(re.split(r"[\s]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", seen)))

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self.fd)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def in_zsh(world):
    """zsh: the same"""
    need("zsh")
    folder, env = scene(world)
    zsh = Zsh(folder, env, script(world, "zsh"))
    try:
        for typed, wanted in CASES:
            check(zsh.offers(typed), typed, wanted)
    finally:
        zsh.close()


def other_shells(world):
    """what is no shell that it knows is refused"""
    for words in ([], ["tcsh"], ["bash", "zsh"]):
        r = world.run([TENURE, "completion", *words], env=dict(os.environ))
        true(r.returncode == 2 and "bash, zsh or fish" in r.stderr, r.stderr)


main([in_bash, in_fish, in_zsh, other_shells])
