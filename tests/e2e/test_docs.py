#!/usr/bin/env python3
"""Every example of the documentation does what the page says: what is shown to be typed is typed, what is shown to be printed
is compared, C is compiled, and what is not run says in a comment why. docs_pages.py has the notation.

    test_docs.py [--list] [PAGE…]       pages by a part of their name; --list only says what is skipped
"""

import concurrent.futures
import ctypes
import os
import re
import sys
import tempfile

import docs_kinds
import docs_pages
from docs_sandbox import Sandbox
from harness import *

# What a page needs beside a server of its own.
NEEDS = {"README.md": {"autostart": True}, "docs/clusters.md": {"bare": True}, "docs/growing.md": {"bare": True},
         "docs/tutorial.md": {"autostart": True, "postgres": True}, "docs/fencing.md": {"postgres": True}}
WORKERS = 4
pool = concurrent.futures.ThreadPoolExecutor(WORKERS)


def run_page(page):
    """Complaints, what was skipped, how many blocks were run, what else there is to print."""
    try:
        if not own_network() and {"autostart", "bare"} & set(NEEDS.get(page.name, {})) and in_use(2379):
            return [], [(page.name, "somebody serves 127.0.0.1:2379")], 0, []
        sandbox = Sandbox(page, **NEEDS.get(page.name, {}))
        complaints = []
        try:
            complaints = sandbox.run()
        finally:
            said = sandbox.close(bool(complaints))
        return complaints, sandbox.skipped, sandbox.ran, said
    except Exception:
        return [traceback.format_exc()], [], 0, []


def own_network():
    """A network of this thread's own, and of all that it starts, where root can have one: 2379 is the same port for all of a machine."""
    CLONE_NEWNET = 0x40000000
    if os.getuid() != 0 or not shutil.which("ip") or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return False
    return subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0


def in_use(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def case_of(page):
    begun = pool.submit(run_page, page)

    def case(world):
        complaints, skipped, ran, said = begun.result()
        print(f"# {page.name}: {ran} blocks run, {len(skipped)} skipped")
        for place, why in skipped:
            print(f"#   {place}: skipped: {why}")
        for line in "\n".join(said).splitlines():
            print(f"#   {line}")
        true(not complaints, "\n\n".join(complaints))

    case.__name__ = page.name
    case.__doc__ = f"{page.name} does what it says"
    return case


def parse_all(texts):
    """(where, text of shell) of each: its tenure commands parse. The complaints."""
    def one(where, text):
        with tempfile.TemporaryDirectory(prefix="td.") as folder:
            folder = Path(folder)
            try:
                found = docs_kinds.calls(text, folder)
                for argv in found:
                    docs_kinds.parses(argv, folder, where)
                return None if found or "tenure" not in text else f"{where}: no command in '{text}'"
            except Failure as why:
                return str(why)

    return [c for c in pool.map(lambda each: one(*each), texts) if c]


def help_examples(world):
    """the examples of every command's help parse"""
    texts = []
    for name in re.findall(r"^  ([a-z]+) +\S", world.run([TENURE, "help"]).stdout, re.M):
        shown = re.search(r"^Examples\n((?:  .*\n?)+)", world.run([TENURE, "help", name]).stdout, re.M)
        for line in re.sub(r"\\\n", " ", shown[1]).splitlines() if shown else ():
            texts.append((f"tenure help {name}", line.strip()))
    true(len(texts) > 40, f"{len(texts)} examples are found")
    complaints = parse_all(texts)
    true(not complaints, "\n".join(complaints))


def said_commands(world):
    """every tenure command of the comparison with others' commands parses"""
    page = docs_pages.Page(ROOT / "docs/compare-commands.md")
    rows = page.text.splitlines()
    texts = [(f"{page.name}:{line}", text) for line, text in page.said_commands() if rows[line - 1].startswith("|")]
    true(len(texts) > 120, f"{len(texts)} commands are found")
    complaints = parse_all(texts)
    true(not complaints, "\n".join(complaints))


# --- the test itself --------------------------------------------------------------------------------------------------

GOOD = """
Some text.

```console
$ tenure put a 1
OK
$ tenure get a; false
a
1
$ echo $?
1
```

<!-- docs-test: vary 77 -->
```console
$ tenure config set k v
revision 77
$ tenure config set k w --if-revision 77
revision …
```

<!-- docs-test: skip, there is no such thing -->
    ./not-there

    tenure put b 2   # more
    tenure get b
"""
BAD = {
    "another output": "```console\n$ tenure put a 1\nFINE\n```\n",
    "less than is shown": "```console\n$ tenure put a 1\nOK\nOK\n```\n",
    "more than is shown": "```console\n$ tenure put a 1; tenure put a 1\nOK\n```\n",
    "an exit code": "    tenure get nothing --nothing\n",
    "a program that is not there": "    tenure-not\n",
    "what varies is the same each time": "<!-- docs-test: vary 7 -->\n```console\n$ tenure config set k v\nrevision 7\n$ tenure config set k w\nrevision 7\n```\n",
    "a text that is nothing": "```\nabc\n```\n",
    "a language of which nothing is known": "```cobol\nabc\n```\n",
    "a reason that is missing": "<!-- docs-test: skip -->\n    abc\n",
    "an unknown word": "<!-- docs-test: skipp, for fun -->\n    abc\n",
    "a comment before nothing": "<!-- docs-test: skip, a reason -->\nabc\n",
    "C that has an unknown function of ours": "```c\ntenure_lokc(client);\n```\n",
    "C with a wrong argument": "```c\ntenure_put(client, 1, 2, NULL, NULL, &err);\n```\n",
    "JSON": "```json\n{\"a\": }\n```\n",
    "a crontab": "```crontab\n61 * * * * true\n```\n",
    "a command line that is wrong": "<!-- docs-test: parse -->\n    tenure lock --nonsense a -- true\n",
}


def bites(world):
    """a page that is right passes, and one that is wrong in any of many ways does not"""
    def complaints_of(text):
        try:
            return run_page(docs_pages.Page("made-up.md", text))[0]
        except docs_pages.Wrong as why:
            return [str(why)]

    equal(complaints_of(GOOD), [], "complaints")
    found = pool.map(complaints_of, BAD.values())
    equal([what for what, complaints in zip(BAD, found) if not complaints], [], "what was not noticed")


if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w not in ("--server", "tenure", "--list")]
    pages = [p for p in map(docs_pages.Page, docs_pages.pages()) if p.blocks and (not words or any(w in p.name for w in words))]
    if "--list" in sys.argv:
        for block in (b for p in pages for b in p.blocks if b.skip):
            print(f"{block.place}: {block.skip}")
        sys.exit(0)
    sys.argv[1:] = []
    main([*map(case_of, pages), *([] if words and words != ["SELF"] else [help_examples, said_commands, bites])])
