"""tenure config when something is wrong or in the way: secrets, sizes, editors, names, two at once."""

import json
import os
import pty
import re
import subprocess

from harness import *


def config(world, *args, **more):
    return world.tenure("config", *args, **more)


def refused(result, code, *says):
    equal(result.returncode, code, f"exit code ({result.stderr.strip()})")
    for word in says:
        true(word in result.stderr, f"{word!r} in {result.stderr!r}")
    true("config: config:" not in result.stderr, f"said once: {result.stderr!r}")


def put(world, *pairs):
    return json.loads(config(world, "set", *pairs, "-o", "json", check=True).stdout)["revision"]


def value(world, key, *args):
    return config(world, "get", key, *args, check=True).stdout.removesuffix("\n")


def key_file(world):
    path = world.path("key")
    made = config(world, "seal", "--new-key", "--key-file", path)
    if "libsodium" in made.stderr:
        raise Skip("there is no libsodium on this machine")
    equal(made.returncode, 0, made.stderr)
    return path


def file(world, name, text, mode=0o600):
    Path(world.path(name)).write_text(text)
    os.chmod(world.path(name), mode)
    return world.path(name)


# --- secrets ----------------------------------------------------------------------------------------------------------


def secrets(world):
    """a value that is sealed comes from standard input, a file or a word; the word leaves the process list at once"""
    key = ("--key-file", key_file(world))
    stored = lambda name: value(world, name, *key)
    config(world, "set", "--seal", "s/in", "-", *key, input="from\ninput\n", check=True)
    config(world, "set", "--seal", "s/none", *key, input="no word", check=True)
    config(world, "set", "--seal", "s/file", f"@{file(world, 'secret', 'of a file')}", *key, check=True)
    word = config(world, "set", "--seal", "s/word", "hush", *key, check=True)
    true("history" in word.stderr and "hush" not in word.stderr, word.stderr)
    pairs = config(world, "set", "--seal", "s/p=one", f"s/q=@{world.path('secret')}", *key, check=True)
    equal(pairs.stderr.count("history"), 1, "it is said once")
    equal([stored(f"s/{n}") for n in ("in", "none", "file", "word", "p", "q")],
          ["from\ninput\n", "no word", "of a file", "hush", "one", "of a file"])
    refused(config(world, "set", "--seal", "s/x", f"@{world.path('nothing')}", *key), 2, "nothing")
    text = config(world, "seal", "s/in", f"@{world.path('secret')}", *key, check=True).stdout.strip()
    equal(config(world, "unseal", "s/in", text, *key, check=True).stdout, "of a file\n")
    world.server.freeze()
    try:
        for args in (("set", "--seal", "s/hidden", "topsecret1"), ("set", "--seal", "s/hidden=topsecret2")):
            process = world.start("config", *args, *key, "--call-timeout", "60s")
            await_(lambda: "s/hidden" in read(f"/proc/{process.pid}/cmdline") and
                   "topsecret" not in read(f"/proc/{process.pid}/cmdline"), "the secret has left the process list")
            process.kill()
    finally:
        world.server.thaw()


def asked_for(world):
    """at a terminal a secret is asked for, twice, and not shown"""
    key = ("--key-file", key_file(world))
    for typed, code, says in (("pa ss\npa ss\n", 0, "revision"), ("one\ntwo\n", 2, "differ")):
        master, slave = pty.openpty()
        process = subprocess.Popen([TENURE, "config", "set", "--seal", "s/asked", *key], env=world.environment(), stdin=slave,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(slave)
        world._processes.append(process)
        text = ""
        for line in typed.splitlines(keepends=True):
            while not text.endswith(": "):
                more = process.stderr.read(1)
                true(more, f"it asks: {text!r}")
                text += more
            text += "\n"
            os.write(master, line.encode())
        out, err = process.communicate(timeout=PATIENCE_S)
        equal(process.returncode, code, text + err)
        true(says in out + err, out + err)
        true("value of s/asked" in text, text)
        os.set_blocking(master, False)
        try:
            shown = os.read(master, 4096)
        except OSError:
            shown = b""
        os.close(master)
        true(b"pa ss" not in shown and b"one" not in shown, f"shown: {shown!r}")
    equal(value(world, "s/asked", *key), "pa ss")


def shut(world):
    """what cannot be opened is said, with the way to open it; an export that was to open it is none"""
    key = ("--key-file", key_file(world))
    config(world, "set", "--seal", "s/pw", "-", *key, input="secret", check=True)
    put(world, "s/plain=1")
    exported = config(world, "export", "s", "--unseal")
    refused(exported, 1, "s/pw", "--key-file")
    equal(exported.stdout, "")
    true("secret" in config(world, "export", "s", "--unseal", *key, check=True).stdout, "opened")
    other = world.path("other")
    config(world, "seal", "--new-key", "--key-file", other, check=True)
    refused(config(world, "export", "s", "--unseal", "--key-file", other), 1, "s/pw", "other")
    refused(config(world, "unseal", "s/pw", "--key-file", other), 1, "s/pw", "that it was sealed with")
    refused(config(world, "unseal", "s/plain", *key), 1, "s/plain is not sealed", "config get s/plain")
    refused(config(world, "unseal", "s/pw", "plain", *key), 2, "s/pw", "sealed:v1:")
    refused(config(world, "unseal", "s/pw", "sealed:v1:AAAA", *key), 1, "s/pw")
    refused(config(world, "unseal", "s/none", *key), 1, "s/none")
    if os.geteuid() == 0:
        os.chown(other, 65534, 65534)
        refused(config(world, "get", "s/pw", "--key-file", other), 2, "somebody else")


# --- sizes, names, revisions --------------------------------------------------------------------------------------------


def sizes(world):
    """a value that is larger than the servers take is refused by name, with the bound; import keeps below it"""
    for bytes_ in (800_000, 1_600_000):
        refused(config(world, "set", "big/key", input="a" * bytes_), 1, "big/key", str(bytes_), "1.5 MiB")
    refused(config(world, "get", "big/key"), 1)
    many = {f"k{n}": "x" * 100_000 for n in range(20)}
    imported = config(world, "import", "-", "--format", "json", "--prefix", "many", input=json.dumps(many))
    equal(imported.returncode, 0, imported.stderr)
    true("20 keys changed, in several transactions" in imported.stderr, imported.stderr)


def near(world):
    """a prefix that is asked for as a key says how to see what is below it"""
    put(world, "billing/a=1", "billing/b=2")
    refused(config(world, "get", "billing/"), 2, "get --prefix billing/")
    refused(config(world, "get", "billing"), 1, "2 below it", "get --prefix billing")
    refused(config(world, "get", "other"), 1, "config set other")


def revisions(world):
    """a revision that is not there is answered by those that are"""
    first = put(world, "r/a=1")
    for n in range(2, 6):
        last = put(world, f"r/a={n}")
    refused(config(world, "diff", "99999", "now", "--prefix", "r"), 1, f"from 1 to {last}")
    world.tenure("compact", str(first + 2), check=True)
    refused(config(world, "diff", str(first), "now", "--prefix", "r"), 1, f"from {first + 2} to {last}")
    refused(config(world, "diff", "0", "now"), 2, "from 1 on")
    equal(config(world, "diff", str(first + 2), "now", "--prefix", "r", check=True).stdout, "- r/a=3\n+ r/a=5\n")


# --- files ------------------------------------------------------------------------------------------------------------


def named_files(world):
    """the format of a file that is imported is by its name; one that has none is asked about"""
    for name, text in (("a.json", '{"x": 1}'), ("a.yml", "x: 1\n"), ("a.env", "X=1\n")):
        config(world, "import", file(world, name, text), "--prefix", name.replace(".", "-"), check=True)
    equal([value(world, f"a-{kind}/x") for kind in ("json", "yml", "env")], ["1", "1", "1"])
    refused(config(world, "import", file(world, "plain", "x: 1")), 2, "plain", "--format")


def editor(world, editor_, **more):
    return {**world.environment(), "EDITOR": editor_, "VISUAL": "", "TMPDIR": str(world.folder), **more}


def left_over(world):
    return sorted(p.name for p in world.folder.glob("tenure-config-*"))


def editors(world):
    """an editor that is missing, takes the file away or fails behind an edit loses nothing and is named"""
    put(world, "e/a=1")
    refused(config(world, "edit", "e", env=editor(world, "no-such-editor")), 1, "'no-such-editor' cannot be run", "EDITOR")
    refused(config(world, "edit", "e", env=editor(world, "rm")), 1, "no file", "nothing was written")
    equal(left_over(world), [])
    script = file(world, "fails", '#!/bin/sh\nsed -i "s/^.a.:.*/a: 2/" "$1"\nexit 1\n', 0o755)
    refused(config(world, "edit", "e", env=editor(world, script)), 1, "failed", "kept")
    true("a: 2" in read(world.folder / left_over(world)[0]), "the edit is kept")
    equal(value(world, "e/a"), "1")


def two_editors(world):
    """of two who edit the same key at once one is told, and loses nothing; other keys are nobody's conflict"""
    put(world, "e/a=1", "e/b=1", "e/c=1")
    script = file(world, "meet", '#!/bin/sh\necho >>"$SEEN"; until [ "$(wc -l <"$SEEN")" -ge 2 ]; do sleep 0.01; done\n'
                  'sed -i "s/^.$KEY.:.*/$KEY: by-$$/" "$1"\n', 0o755)

    def both(round_, *keys):
        seen = world.path(f"seen{round_}")
        started = [world.start("config", "edit", "e", env=editor(world, script, SEEN=seen, KEY=key)) for key in keys]
        for process in started:
            process.out, process.err = process.communicate(timeout=PATIENCE_S)
        return started

    codes = sorted(both(1, "a", "a"), key=lambda process: process.returncode)
    equal([process.returncode for process in codes], [0, 1], codes[0].err + codes[1].err)
    true("somebody else" in codes[1].err and "kept" in codes[1].err, codes[1].err)
    equal(len(left_over(world)), 1)
    kept = read(world.folder / left_over(world)[0])
    true(value(world, "e/a") not in kept and "a: by-" in kept, "what lost is in the file that is kept")
    equal([process.returncode for process in both(2, "b", "c")], [0, 0])
    true(all(value(world, f"e/{key}").startswith("by-") for key in "bc"), "both are written")


def places(world):
    """two templates for one file are a mistake, however it is written"""
    template = file(world, "t", "{{a}}")
    out = world.path("out")
    for other in (out, f"{world.folder}/./out", f"{world.folder}//out"):
        refused(config(world, "render", "--once", f"{template}:{out}", f"{template}:{other}"), 2, "another template")
    put(world, "a=1")
    config(world, "render", "--once", f"{template}:{out}", f"{template}:{out}.2", check=True)


def late_commands(world):
    """a check that takes too long is said with the time that it had"""
    put(world, "a=1")
    template = file(world, "t", "{{a}}")
    refused(config(world, "render", "--once", f"{template}:{world.path('out')}", "--check", "sleep 60", "--command-timeout", "300ms"),
            1, "not over after 0.3 s")


def two_renders(world):
    """two renders into one file at once leave one whole rendering of one state, and nothing beside it"""
    template = file(world, "t", "{{#keys.*}}{{*}}={{.}}\n{{/keys.*}}")
    out = world.path("out")
    renders = [world.start("config", "render", f"{template}:{out}", "--min-wait", "1ms") for _ in range(2)]
    last = None
    for n in range(10):
        put(world, *(f"keys/k{i:02}={n}" for i in range(50)))
        last = "".join(f"k{i:02}={n}\n" for i in range(50))
        text = read(out)
        true(len(set(re.findall(r"=(\d+)", text))) <= 1 and len(text.splitlines()) in (0, 50), f"one state: {text!r}")
    await_(lambda: read(out) == last, "the last state")
    for process in renders:
        process.terminate()
        equal(process.wait(PATIENCE_S), 0)
    equal(read(out), last)
    equal(sorted(p.name for p in world.folder.iterdir() if p.name not in ("server", "config")), ["out", "t"])


main([secrets, asked_for, shut, sizes, near, revisions, named_files, editors, two_editors, places, late_commands, two_renders])
