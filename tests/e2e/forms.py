"""Recorded forms: what commands print in each form of output, against tests/golden/cli/GROUP.txt.

    forms = Forms(world, "keys")
    forms.each("put", "k-{f}", "1")     # once in each form; {f} is the form's name
    forms.close()                       # compares, or records

What differs from run to run (ids, times, ports, sizes, folders) is replaced by words in angle brackets; a test adds rules for what else
does. Revisions stay: they are what a fixed sequence of commands makes of them. `python3 tests/e2e/test_cli_forms_keys.py --record` writes
the files anew; read the difference before you commit it. Standard error has words, no form: other tests look at it.
"""

import difflib
import os
import re
import signal
import sys
import threading

from harness import *

FORMS = ("text", "json", "jsonl", "table")
FOLDER = ROOT / "tests" / "golden" / "cli"
RECORDS = "--record" in sys.argv
if RECORDS:
    sys.argv.remove("--record")

RULES = [(r'"(db_size\w*|took_ms|bytes|totalSize|hash|raft_term|raft_index|pid)":\d+', r'"\1":<number>'),
         (r"\b1[6-9]\d{11}\b", "<ms>"),
         (r'"(\w+)":"[0-9a-f]{9,16}"', r'"\1":"<id>"'),
         (r"\b[0-9a-f]{12,16}\b", "<id>"),
         (r"127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
         (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<when>"),
         (r"(<host> +)\d+( +(<since>|\d\d:\d\d:\d\d\b))", r"\1<pid>\2"),
         (r"\b\d\d:\d\d:\d\d\b", "<since>"),
         (r"\b\d+(\.\d)? (B|kB|MB)\b", "<size>")]


class Forms:
    def __init__(self, world, group, rules=()):
        self.world, self.path, self.text = world, FOLDER / f"{group}.txt", []
        self.rules = [(re.escape(str(world.folder)), "<folder>"), (rf"\b{re.escape(os.uname().nodename)}\b", "<host>"),
                      *rules, *RULES]

    def normal(self, line):
        """With what is replaced, the blanks between columns come to be two: they depend on its width."""
        line = re.sub(r"[\x00-\x1f\x7f]", lambda c: f"<{ord(c.group()):02x}>", line)
        before = line
        for pattern, word in self.rules:
            line = re.sub(pattern, word, line)
        return re.sub(r" {2,}", "  ", line).strip() if line != before else line

    def add(self, args, code, out):
        self.text.append(self.normal("$ tenure " + " ".join(args)))
        headed = len(self.text)
        self.text += [self.normal(line) for line in out.splitlines()]
        if any("<" in line for line in self.text[headed:]):
            self.text[headed:] = [re.sub(r" {2,}", "  ", line).strip() for line in self.text[headed:]]
        if code:
            self.text.append(f"= exit code {code}")
        self.text.append("")

    def once(self, form, *args, **more):
        args = [*(word.replace("{f}", form) for word in args)]
        at = args.index("--") if "--" in args else len(args)
        args[at:at] = ["-o", form]
        patient = [*args[:at], "--call-timeout", "60s", *args[at:]]  # a machine may be loaded
        r = self.world.tenure(*patient, errors="backslashreplace", **more)
        self.add(args, r.returncode, r.stdout)

    def each(self, *args, **more):
        for form in FORMS:
            self.once(form, *args, **more)

    def live(self, *args, lines=(2, 1, 1, 2)):
        """Commands that go on until they are told to end: their first lines, in each form."""
        for form, n in zip(FORMS, lines):
            words = [word.replace("{f}", form) for word in args] + ["-o", form]
            process = self.world.start(*words)
            patience = threading.Timer(PATIENCE_S, process.kill)
            patience.start()
            out = "".join(process.stdout.readline() for _ in range(n))
            patience.cancel()
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
            self.add(words, process.returncode, out + process.stdout.read())

    def close(self):
        text = "\n".join(self.text)
        if RECORDS:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text)
            return
        wanted = read(self.path)
        if text != wanted:
            difference = difflib.unified_diff(wanted.splitlines(), text.splitlines(), str(self.path.relative_to(ROOT)), "printed now",
                                              lineterm="", n=3)
            raise Failure("\n".join([*list(difference)[:80], f"(--record writes it anew: {sys.argv[0]})"]))


def recorded():
    """All command lines of all files, as lists of words."""
    return [line.split()[2:] for path in sorted(FOLDER.glob("*.txt")) for line in read(path).splitlines()
            if line.startswith("$ tenure ")]
