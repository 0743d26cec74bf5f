"""Blocks that are not typed into a terminal: C, JSON, YAML, units of systemd, crontabs; and commands that are parsed, not run."""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

from harness import PATIENCE_S, TENURE, Failure, Skip

ROOT = Path(__file__).resolve().parents[2]

# --- C ----------------------------------------------------------------------------------------------------------------

HEADERS = """#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenure/tenure.h>
#include <tenure/testkit.h>
"""
FRAME = """static tenure_client *client, *c;
static struct tenure_error err;
static int rc;
"""


def sanitizers():
    return shlex.split(os.environ.get("DOCS_CFLAGS", ""))


def compiled(text, what, *options):
    """Checks a text of C; functions that are not ours need no declaration in a fragment."""
    done = subprocess.run(["cc", "-std=gnu11", "-fsyntax-only", "-x", "c", "-I", str(ROOT / "include"), "-Wall", "-Wextra", *options, "-"],
                          input=text, capture_output=True, text=True, timeout=PATIENCE_S * 6, env={**os.environ, "LC_ALL": "C"})
    said = [line for line in done.stderr.splitlines() if " error: " in line or "declaration of function 'tenure_" in line]
    if done.returncode != 0 or said:
        raise Failure("\n".join([what, *said]))


def c_fragment(block):
    """The fragment in a frame: what begins at the margin and is a function or a type is outside of the function that the rest is in."""
    outside, inside, lines, i = [], [], block.text.replace("…", "").splitlines(), 0
    while i < len(lines):
        end = i + 1
        if re.match(r"#|static\b.*[^;]$|(struct|enum)\b[^=;]*$", lines[i]):
            if not lines[i].startswith("#"):
                while end < len(lines) and not lines[end - 1].startswith("}"):
                    end += 1
            outside += [f'#line {block.line + 1 + i} "{block.page}"', *lines[i:end]]
        else:
            inside += [f'#line {block.line + 1 + i} "{block.page}"', lines[i]]
        i = end
    text = "\n".join([HEADERS, FRAME, block.frame, *outside, "int fragment(void);", "int fragment(void)", "{", *inside, "return rc; }", ""])
    compiled(text, block.place, "-Werror", "-Wno-error=implicit-function-declaration", "-Wno-unused", "-Wno-unused-parameter",
             "-Wno-shadow", "-Wno-strict-prototypes", "-Wno-address")


def c_block(block):
    if re.search(r"^int main\(", block.text, re.M):
        compiled(block.text, block.place, "-Werror")
    else:
        c_fragment(block)


# --- texts that have a grammar ----------------------------------------------------------------------------------------


def json_block(block):
    try:
        json.loads(block.text)
    except ValueError as why:
        raise Failure(f"{block.place}: {why}") from None


def yaml_block(block):
    try:
        import yaml
    except ImportError:
        raise Skip("there is no PyYAML here") from None
    try:
        yaml.safe_load(block.text)
    except yaml.YAMLError as why:
        raise Failure(f"{block.place}: {why}") from None


def unit_block(block, folder):
    """By systemd itself; the programs that it starts are there."""
    if not shutil.which("systemd-analyze"):
        raise Skip("there is no systemd here")
    unit = folder / (block.file or "docs.service")
    text = re.sub(r"^(Exec\w+=[-+!:@]*)\S+", r"\1/bin/true", block.text, flags=re.M)
    if unit.suffix == ".timer":
        unit.with_suffix(".service").exists() or unit.with_suffix(".service").write_text("[Service]\nExecStart=/bin/true\n")
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=PATIENCE_S * 6,
                          env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    about_it = [line for line in done.stderr.splitlines() if unit.stem in line and "Command" not in line]
    if about_it:
        raise Failure(f"{block.place}: {chr(10).join(about_it)}")


CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def cron_commands(block):
    """The commands of a crontab, each of which cron would give to sh."""
    found, sets = [], ""
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if not line.strip() or line.startswith("#"):
            continue
        if re.match(r"\w+=", line):
            sets += f"export {line}; "
            continue
        word, rest = line.split(None, 1)
        if not word.startswith("@"):
            fields, rest = line.split(None, 5)[:5], line.split(None, 5)[-1]
            for text, (low, high) in zip(fields, CRON_FIELDS):
                for part in re.split(r"[,/-]", text.replace("*", str(low))):
                    if not part.isdigit() or not low <= int(part) <= max(high, 59):
                        raise Failure(f"{block.page}:{number}: '{text}' is no field of a crontab")
        if re.search(r"(?<!\\)%", rest):
            raise Failure(f"{block.page}:{number}: a % is a new line to cron")
        found.append(sets + rest.replace("\\%", "%"))
    return found


# --- commands that are parsed -----------------------------------------------------------------------------------------

# In front of a PATH that has nothing else: notes how tenure is called. Of all other commands nothing happens.
PARSER = """#!/bin/bash
PATH=$0.d
command_not_found_handle() { :; }
tenure() { printf '%s\\0' "$#" "$@" >>"$DOCS_CALLS"; }
build/tenure() { tenure "$@"; }
exec() { "$@"; }
source() { :; }
cd() { :; }
export HOSTNAME=host
eval "$1" </dev/null >/dev/null
"""


def calls(text, folder):
    """The argument lists of tenure in a text of shell, as the shell makes them."""
    text = re.sub(r"(?<![<>&\d])[<>]{1,2} *(?![<>(&])(\"[^\"]*\"|\S+)", "", text)  # files are neither read nor written
    text = re.sub(r"(^|[\s;&|(])\./", r"\1", text)
    note = folder / "calls"
    note.write_bytes(b"")
    done = subprocess.run(["bash", "--norc", "--noprofile", "-c", PARSER, "/nowhere", text], capture_output=True, text=True, cwd=folder,
                          env={"DOCS_CALLS": str(note), "HOME": str(folder), "LC_ALL": "C.UTF-8"}, timeout=PATIENCE_S * 6)
    if "syntax error" in done.stderr or "unexpected EOF" in done.stderr:
        raise Failure(f"{text}\n{done.stderr}")
    words, found = note.read_bytes().decode().split("\0")[:-1], []
    while words:
        n = int(words[0])
        found.append(words[1 : n + 1])
        words = words[n + 1 :]
    return found


def parses(argv, folder, where):
    """That a command line is one: it is run, and may come as far as its first connection. The paths that it names are not ours."""
    root = str(folder)
    argv = [re.sub(r"(^|[=:])/(var|etc|srv|usr|tmp|run|backup)/", rf"\1{root}/\2/", word) for word in argv]
    with socket.create_server(("127.0.0.1", 0), backlog=8) as there:
        url = f"http://127.0.0.1:{there.getsockname()[1]}"
        argv = [url if before in ("--endpoints", "--from", "--to") else word for before, word in zip(["", *argv], argv)]
        argv = [f"--endpoints={url}" if word.startswith("--endpoints=") else word for word in argv]
        if argv[:1] in (["serve"], ["replica"]):
            argv = [re.sub(r":2379\b", ":0", word) for word in argv]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TENURE_", "ETCD"))}
        env |= {"TENURE_ENDPOINTS": url, "TENURE_NO_AUTOSTART": "1", "HOME": root, "XDG_CONFIG_HOME": f"{root}/.config",
                "XDG_STATE_HOME": f"{root}/.state", "XDG_RUNTIME_DIR": f"{root}/run", "ETCD_DATA_DIR": f"{root}/data",
                "ETCD_LISTEN_CLIENT_URLS": "http://127.0.0.1:0", "EDITOR": "true", "TENURE_PASSWORD": "x", "TENURE_TOKEN": "7"}
        p = subprocess.Popen([TENURE, *argv], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder,
                             env=env, start_new_session=True)
        with contextlib.suppress(BrokenPipeError):
            p.stdin.write("secret\n" if "auth" in argv else "")
            p.stdin.close()
        p.stdin = None
        there.settimeout(0.02)
        came, rounds = False, 0
        while p.poll() is None and not came and rounds < PATIENCE_S * 50:
            rounds += 1
            try:
                there.accept()[0].close()
                came = True
            except TimeoutError:
                # A server of its own has got to its port then; a command of the library's waits for its own connection.
                came = "serve" in argv[:1] and rounds > 10
        if p.poll() is None:
            os.killpg(p.pid, 9)
        _, said = p.communicate(timeout=PATIENCE_S)
    # What a command line names need not be there.
    if "txn" in argv[:1] and "expected a compare" in said:
        return  # it came so far as to read what is not there
    if p.returncode in (2, 125) and not re.search("[Nn]o such file|there is no context", said):
        raise Failure(f"{where}: tenure {shlex.join(argv)}\n{said}")
