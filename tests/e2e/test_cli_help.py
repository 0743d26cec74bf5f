"""The command line itself: finding commands, options and help, without a server."""

import os
import re
import shutil
import subprocess

from harness import *

ENV = {**os.environ, "TENURE_ENDPOINTS": ""}


def tenure(*args):
    return subprocess.run([TENURE, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=ENV, timeout=PATIENCE_S)


def command_names():
    return re.findall(r"^  ([a-z]+) +\S", tenure("help").stdout, re.M)


def overview(world):
    """help lists the commands; without a word the same goes to standard error with exit code 2"""
    result = tenure("help")
    equal(result.returncode, 0)
    for name in ("serve", "get", "put", "del", "watch", "lease", "lock", "elect", "status", "version", "help"):
        true(name in command_names(), f"{name} is listed")
    headings = re.findall(r"^([A-Z][a-z ]+)$", result.stdout, re.M)
    equal(sorted(headings), sorted(set(headings)), "each heading stands once")
    true("Recipes" in headings, headings)
    for flag in ("--help", "-h"):
        equal(tenure(flag).stdout, result.stdout)
    nothing = tenure()
    equal((nothing.returncode, nothing.stdout, nothing.stderr), (2, "", result.stdout))


def each_command(world):
    """each command explains itself by --help and by help, and exits 0"""
    for name in command_names():
        one, other = tenure(name, "--help"), tenure("help", name)
        equal((one.returncode, other.returncode), (0, 0), f"exit code of {name} --help")
        equal(one.stdout, other.stdout, f"help of {name}")
        true(one.stdout.startswith(f"tenure {name} - "), f"help of {name} begins with its name")
        true("Exit codes" in one.stdout, f"help of {name} says what it answers")
        true(max(len(line) for line in one.stdout.splitlines()) <= 132, f"help of {name} fits a wide terminal")


def man_pages(world):
    """each command has a man page that groff reads without a warning, and it is one of those that are installed"""
    built = re.search(r"man_commands = \[(.*?)\]", (ROOT / "man/meson.build").read_text(), re.S).group(1)
    equal(sorted(re.findall("'([a-z]+)'", built)), sorted(command_names()), "commands in man/meson.build")
    for name in ["", *command_names()]:
        page = tenure("help", "--man", *([name] if name else [])).stdout
        for section in (".TH ", ".SH NAME", ".SH SYNOPSIS"):
            true(section in page, f"{section} in the page of '{name}'")
        if shutil.which("groff"):
            read = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=page, capture_output=True, text=True)
            equal(read.stderr, "", f"warnings in the page of '{name}'")


def unknown_commands(world):
    """an unknown command is refused with a hint"""
    result = tenure("lokc")
    equal(result.returncode, 2)
    true("'lokc' is not a command" in result.stderr and "tenure help" in result.stderr, result.stderr)
    true("did you mean 'lock'" in tenure("locks").stderr, "the near one is named")
    equal(tenure("help", "lokc").returncode, 2)


def mistakes(world):
    """a wrong command line is refused before any server is asked: exit code 2, and the option is named"""
    for args, says in (
        (("get",), "KEY"), (("get", "a", "b", "c"), "3 words"), (("get", "--limit", "many", "a"), "--limit"),
        (("get", "--order", "up", "a"), "--order"), (("get", "--nonsense", "a"), "--nonsense"), (("put", "a", "b", "c"), "KEY"),
        (("put", "--ignore-value", "a", "b"), "KEY"), (("put", "--lease", "xyz", "a", "b"), "--lease"), (("del",), "KEY"),
        (("watch",), "KEY"), (("lease",), "grant"), (("lease", "grant"), "grant"), (("lease", "grant", "soon"), "soon"),
        (("lease", "revoke", "xyz"), "xyz"), (("status", "x"), "status"), (("get", "-o", "yaml", "a"), "yaml"),
        (("get", "--call-timeout", "-1", "a"), "--call-timeout"), (("serve", "x"), "serve"),
        (("get", "--endpoints", "http://", "a"), "http://"), (("get", "--endpoints", "ftp://h:1", "a"), "ftp"),
    ):
        result = tenure(*args)
        equal(result.returncode, 2, f"exit code of {args} ({result.stderr.strip()})")
        true(says in result.stderr, f"{says!r} in the message of {args}: {result.stderr!r}")


def options_in_front(world):
    """global options may stand in front of the command"""
    result = tenure("--endpoints", f"http://127.0.0.1:{free_port()}", "--call-timeout=0.2", "get", "a")
    equal(result.returncode, 3)
    equal(tenure("-o", "json", "version").stdout[0], "{")


def version(world):
    """version says which this is"""
    true(re.fullmatch(r"tenure \d+\.\d+\.\d+ \(etcd API 3\.7\)\n", tenure("version").stdout), "a version")
    equal(tenure("--version").stdout, tenure("version").stdout)


main([overview, each_command, man_pages, unknown_commands, mistakes, options_in_front, version])
