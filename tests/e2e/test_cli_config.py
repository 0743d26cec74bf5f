"""tenure config: keys in layers, files from templates, programs that follow their configuration."""

import json
import os
import random
import re
import signal
import stat
import time

from harness import *


def config(world, *args, **more):
    return world.tenure("config", *args, **more)


def value(world, key, *args):
    return config(world, "get", key, *args, check=True).stdout.removesuffix("\n")


def put(world, *pairs, check=True):
    return config(world, "set", *pairs, check=check)


def refused(result, code, *says):
    equal(result.returncode, code, f"exit code ({result.stderr.strip()})")
    for word in says:
        true(word in result.stderr, f"{word!r} in {result.stderr!r}")


# --- keys -------------------------------------------------------------------------------------------------------------


def keys(world):
    """keys are set, one or several at once, read, and deleted; etcd's clients see them"""
    put(world, "billing/max-conn", "50")
    equal(value(world, "billing/max-conn"), "50")
    put(world, "billing/a=1", "billing/b=x=y", "billing/empty=")
    equal(config(world, "get", "--prefix", "billing", check=True).stdout,
          "billing/a=1\nbilling/b=x=y\nbilling/empty=\nbilling/max-conn=50\n")
    equal(world.tenure("get", "/config/billing/b", "--print-value-only", check=True).stdout, "x=y\n")
    config(world, "set", "billing/text", input="two\nlines", check=True)
    equal(value(world, "billing/text"), "two\nlines")
    refused(config(world, "get", "billing/none"), 1, "billing/none", "config set billing/none")
    equal(value(world, "billing/none", "--default", "7"), "7")
    config(world, "delete", "billing/a", "billing/b", check=True)
    refused(config(world, "delete", "billing/a"), 1, "billing/a")
    equal([e["key"] for e in json.loads(config(world, "get", "--prefix", "", "-o", "json").stdout)["entries"]],
          ["billing/empty", "billing/max-conn", "billing/text"])


def compared(world):
    """a write holds only for the revision that it names, or where there is nothing"""
    revision = json.loads(config(world, "set", "a", "1", "--if-revision", "0", "-o", "json", check=True).stdout)["revision"]
    refused(config(world, "set", "a", "2", "--if-revision", "0"), 1, "a")
    refused(config(world, "set", "a", "2", "--if-revision", str(revision + 7)), 1, "a")
    config(world, "set", "a", "2", "--if-revision", str(revision), check=True)
    equal(value(world, "a"), "2")
    refused(config(world, "set", "b=1", "a=3", "--if-revision", "0"), 1, "a")
    refused(config(world, "get", "b"), 1)
    refused(config(world, "delete", "a", "--if-revision", "1"), 1)


def layers(world):
    """the layer nearest to the instance counts, and is marked"""
    put(world, "b/n", "1")
    config(world, "set", "b/n", "2", "--layer", "env=prod", check=True)
    config(world, "set", "b/n", "3", "--layer", "instance=billing/b-1", check=True)
    equal(value(world, "b/n"), "1")
    equal(value(world, "b/n", "--environment", "prod"), "2")
    who = ("--environment", "prod", "--service", "billing", "--instance", "b-1")
    equal(value(world, "b/n", *who), "3")
    equal(value(world, "b/n", "--layer", "env=prod"), "2")
    refused(config(world, "get", "b/n", "--layer", "service=billing"), 1, "in the layer service")
    shown = config(world, "get", "b/n", "--all-layers", *who, check=True).stdout
    equal([re.sub(r"revision +\d+", "", line).split() for line in shown.splitlines()],
          [["*", "instance", "3"], ["environment", "2"], ["default", "1"]])
    entry = json.loads(config(world, "get", "b/n", "--all-layers", "-o", "json", *who, check=True).stdout)
    equal((entry["value"], entry["layer"], [l["value"] for l in entry["layers"]]), ("3", "instance", ["1", "2", "3"]))
    config(world, "delete", "b/n", "--layer", "instance=billing/b-1", check=True)
    equal(value(world, "b/n", *who), "2")


def mistakes(world):
    """a wrong command line is refused before a server is asked, and says what was expected"""
    for args, says in (((), "get"), (("frob",), "expected"), (("get",), "KEY"), (("get", "a", "b"), "get KEY"),
                       (("set", "a=1", "b"), "'b'"), (("set", "a", "b", "c"), "KEY VALUE"), (("delete",), "delete KEY"),
                       (("get", "a", "--layer", "env="), "env="), (("get", "a", "--layer", "instance=x"), "SERVICE/NAME"),
                       (("get", "a", "--layer", "moon=x"), "moon"), (("rollback", "a", "first"), "'first'"),
                       (("render", "x"), "TEMPLATE:OUT"), (("render", "a:b", "--escape", "xml"), "xml"),
                       (("export", "--format", "toml"), "toml"), (("import", "x"), "--format"),
                       (("set", "a", "1", "--seal"), "--key-file"), (("seal", "a", "1"), "--key-file")):
        refused(config(world, *args, env={**os.environ, "TENURE_ENDPOINTS": "http://127.0.0.1:1"}), 2, says)
    refused(config(world, "exec", "--signal", "NONE", "--", "true"), 125, "NONE")


def watched(world):
    """watch tells all there is, and then each change, of what counts"""
    put(world, "w/a=1", "w/b=2", "other=x")
    watch = world.start("config", "watch", "w", "--environment", "prod")
    equal([watch.stdout.readline() for _ in range(2)], ["+ w/a=1\n", "+ w/b=2\n"])
    put(world, "w/a", "3")
    config(world, "set", "w/b", "4", "--layer", "env=prod", check=True)
    put(world, "w/b", "5")  # overridden: nobody sees it
    config(world, "delete", "w/a", check=True)
    equal([watch.stdout.readline() for _ in range(3)], ["~ w/a=3\n", "~ w/b=4\n", "- w/a\n"])
    watch.terminate()
    equal(watch.wait(PATIENCE_S), 0)
    once = config(world, "watch", "w", "-n", "1", "-o", "json", check=True)
    equal({k: v for k, v in json.loads(once.stdout).items() if k != "revision"},
          {"key": "w/b", "value": "5", "layer": "default"})


# --- history, files ---------------------------------------------------------------------------------------------------


def history(world):
    """versions are kept with who and why; an old one comes back as a new one"""
    for n in (1, 2, 3):
        config(world, "set", "h", str(n), "-m", f"try {n}", "--who", "ada", check=True)
    versions = json.loads(config(world, "history", "h", "-o", "json", check=True).stdout)["versions"]
    equal([(v["version"], v["value"], v["who"], v["comment"], v["current"]) for v in versions],
          [(3, "3", "ada", "try 3", True), (2, "2", "ada", "try 2", False), (1, "1", "ada", "try 1", False)])
    text = config(world, "history", "h", "-n", "1", check=True).stdout.splitlines()
    true(len(text) == 2 and text[1].startswith("* 3") and "# try 3" in text[1], text)
    config(world, "rollback", "h", "1", check=True)
    equal(value(world, "h"), "1")
    refused(config(world, "rollback", "h", "99"), 1, "config history h")


def differences(world):
    """diff compares revisions, layers and files"""
    first = json.loads(put(world, "d/a=1", "d/b=1", "-o", "json").stdout)["revision"]
    put(world, "d/a=2", "d/c=3")
    config(world, "delete", "d/b", check=True)
    equal(config(world, "diff", str(first), "now", "--prefix", "d", check=True).stdout,
          "- d/a=1\n+ d/a=2\n- d/b=1\n+ d/c=3\n")
    config(world, "set", "d/a", "9", "--layer", "env=prod", check=True)
    equal(config(world, "diff", "default", "env=prod", "--prefix", "d", check=True).stdout, "- d/a=2\n+ d/a=9\n- d/c=3\n")
    Path(world.path("f.json")).write_text('{"a": "2", "c": "3"}')
    same = config(world, "diff", "now", world.path("f.json"), "--prefix", "d", "--exit-code", check=True)
    equal(same.stdout, "")
    equal(config(world, "diff", str(first), "now", "--prefix", "d", "--exit-code").returncode, 1)


def files(world):
    """what is exported comes back by import, in each format"""
    put(world, "x/db/url=postgres://h/d?a=b", "x/text=one: 'two' \"three\" #four\n five", "x/n=007", "x/empty=")
    wanted = config(world, "get", "--prefix", "x", check=True).stdout
    for format, ending in (("json", "json"), ("yaml", "yaml"), ("dotenv", "env")):
        path = world.path(f"x.{ending}")
        Path(path).write_text(config(world, "export", "x", "--format", format, check=True).stdout)
        into = f"back-{format}"
        config(world, "import", path, "--prefix", into, check=True)
        equal(config(world, "get", "--prefix", into, check=True).stdout.replace(into + "/", "x/"), wanted, format)


def imported(world):
    """import writes what differs, deletes only when told, and shows it before"""
    put(world, "i/a=1", "i/b=2")
    path = world.path("i.yaml")
    Path(path).write_text("a: 1\nc: 3\n")
    equal(config(world, "import", path, "--prefix", "i", "--dry-run", check=True).stdout, "+ i/c=3\n")
    equal(config(world, "import", path, "--prefix", "i", "--dry-run", "--delete-missing", check=True).stdout, "- i/b=2\n+ i/c=3\n")
    config(world, "import", path, "--prefix", "i", check=True)
    equal(config(world, "get", "--prefix", "i", check=True).stdout, "i/a=1\ni/b=2\ni/c=3\n")
    config(world, "import", "-", "--format", "json", "--prefix", "i", "--delete-missing", input='{"c": 4}', check=True)
    equal(config(world, "get", "--prefix", "i", check=True).stdout, "i/c=4\n")
    Path(path).write_text("a: [\n")
    refused(config(world, "import", path, "--prefix", "i"), 2, "i.yaml")
    many = {f"k{n:03}": n for n in range(150)}
    config(world, "import", "-", "--format", "json", "--prefix", "many", input=json.dumps(many), check=True)
    equal(len(config(world, "get", "--prefix", "many", check=True).stdout.splitlines()), 150)


def editor(world, script):
    """An environment whose editor is a line of shell on the file $1."""
    path = Path(world.path("editor"))
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {**world.environment(), "EDITOR": str(path), "VISUAL": "", "TMPDIR": str(world.folder)}


def left_over(world):
    return sorted(p.name for p in world.folder.glob("tenure-config-*"))


def edited(world):
    """edit writes what the editor changed, at once; what others changed meanwhile is a conflict, and the file is kept"""
    put(world, "e/a=1", "e/b/c=2", "e/gone=3")
    env = editor(world, 'grep -q "^# " "$1" && sed -i "s/^.a.:.*/a: 10/; /^.gone/d" "$1" && echo "new: x y" >>"$1"')
    equal(config(world, "edit", "e", env=env, check=True).stdout.splitlines()[:-1],
          ["- e/a=1", "+ e/a=10", "- e/gone=3", "+ e/new=x y"])
    equal(config(world, "get", "--prefix", "e", check=True).stdout, "e/a=10\ne/b/c=2\ne/new=x y\n")
    true("nothing was changed" in config(world, "edit", "e", env=editor(world, "true"), check=True).stderr, "said so")
    refused(config(world, "edit", "e", env=editor(world, "exit 3")), 1, "nothing was written")
    refused(config(world, "edit", "e", env=editor(world, ': >"$1"')), 1, "nothing left")
    equal(left_over(world), [])
    meanwhile = editor(world, f'{TENURE} config set e/a 99 && sed -i "s/^.a.:.*/a: 11/" "$1"')
    refused(config(world, "edit", "e", env=meanwhile), 1, "somebody else", "kept")
    equal(value(world, "e/a"), "99")
    equal(len(left_over(world)), 1)
    true("a: 11" in read(world.folder / left_over(world)[0]), "the edit is in it")
    refused(config(world, "edit", "e", env=editor(world, 'echo "{" >>"$1"')), 1, "kept")
    elsewhere = editor(world, f'{TENURE} config set e/b/c 5 && sed -i "s/^.a.:.*/a: 12/" "$1"')
    config(world, "edit", "e", env=elsewhere, check=True)
    equal((value(world, "e/a"), value(world, "e/b/c")), ("12", "5"))


def sealed(world):
    """a sealed value is opened by who has the key file, which nobody else may read"""
    key = world.path("key")
    made = config(world, "seal", "--new-key", "--key-file", key)
    if "libsodium" in made.stderr:
        raise Skip("there is no libsodium on this machine")
    equal(made.returncode, 0, made.stderr)
    equal(stat.S_IMODE(os.stat(key).st_mode), 0o600)
    refused(config(world, "seal", "--new-key", "--key-file", key), 1, "key")
    config(world, "set", "s/pw", "secret", "--seal", "--key-file", key, check=True)
    stored = world.tenure("get", "/config/s/pw", "--print-value-only", check=True).stdout
    true(stored.startswith("sealed:v1:") and "secret" not in stored, stored)
    equal(value(world, "s/pw", "--key-file", key), "secret")
    refused(config(world, "get", "s/pw"), 1, "s/pw", "--key-file")
    text = config(world, "seal", "s/pw", "other", "--key-file", key, check=True).stdout.strip()
    equal(config(world, "unseal", "s/pw", text, "--key-file", key, check=True).stdout, "other\n")
    equal(config(world, "unseal", "s/pw", "--key-file", key, check=True).stdout, "secret\n")
    refused(config(world, "unseal", "s/else", text, "--key-file", key), 1)
    template(world, "t", "{{pw}}")
    refused(render(world, "t", "--once", "--prefix", "s"), 1, "'pw'", "s/pw")
    config(world, "render", f"{world.path('t')}:{world.path('out')}:0600", "--once", "--prefix", "s", "--key-file", key, check=True)
    equal(read(world.path("out")), "secret")
    true("sealed:v1:" in config(world, "export", "s", "--key-file", key, check=True).stdout, "exported as it is stored")
    true('"pw": "secret"' in config(world, "export", "s", "--unseal", "--key-file", key, check=True).stdout, "opened when asked")
    os.chmod(key, 0o644)
    refused(config(world, "get", "s/pw", "--key-file", key), 2, "chmod 600")


def schemas(world):
    """a schema is stored, shown and taken away; what does not fit it is refused"""
    put(world, "m/port=80")
    path = world.path("schema.json")
    Path(path).write_text(json.dumps({"properties": {"port": {"type": "integer", "minimum": 1}}}))
    stored = config(world, "schema", "m", path)
    if "libtenure-schema" in stored.stderr:
        raise Skip("there is no libtenure-schema.so")
    equal(stored.returncode, 0, stored.stderr)
    equal(json.loads(config(world, "schema", "m", check=True).stdout)["properties"]["port"]["minimum"], 1)
    true("m/port" in config(world, "set", "m/port", "zero").stderr, "the key is named")
    equal(value(world, "m/port"), "80")
    put(world, "m/port", "81")
    strict = world.path("strict.json")
    Path(strict).write_text('{"properties": {"port": {"maximum": 80}}}')
    refused(config(world, "schema", "m", strict, "--dry-run"), 1, "port")
    config(world, "schema", "m", path, "--dry-run", check=True)
    config(world, "schema", "m", "--remove", check=True)
    refused(config(world, "schema", "m"), 1)
    put(world, "m/port", "zero")
    config(world, "schema", "m", path, check=True)
    template(world, "t", "{{port}}")
    refused(render(world, "t", "--once", "--prefix", "m", "--timeout", "1m"), 1, "m/port", "schema")
    refused(config(world, "exec", "--prefix", "m", "--timeout", "1m", "--", "true"), 125, "m/port", "schema")
    refused(config(world, "watch", "m", "--timeout", "1m"), 1, "m/port", "schema")
    config(world, "schema", "m", "--remove", check=True)


# --- render -----------------------------------------------------------------------------------------------------------


def template(world, name, text):
    Path(world.path(name)).write_text(text)


def render(world, name, *args, **more):
    return config(world, "render", f"{world.path(name)}:{world.path('out')}", *args, **more)


def rendered(world):
    """templates become files, with the mode of the old one; what fails leaves the old one"""
    put(world, "web/port=80", "web/hosts/a=1", "web/hosts/b=2", "web/tls=false")
    template(world, "t", "port {{port}};\n{{#hosts.*}}\n{{*}} {{.}}\n{{/hosts.*}}\n{{^tls}}\nplain\n{{/tls}}\n{{log:-off}}\n")
    render(world, "t", "--once", "--prefix", "web", check=True)
    equal(read(world.path("out")), "port 80;\na 1\nb 2\nplain\noff\n")
    os.chmod(world.path("out"), 0o604)
    put(world, "web/port", "81")
    equal(render(world, "t", "--dry", "--prefix", "web", check=True).stdout.splitlines()[0], "port 81;")
    equal(read(world.path("out")).splitlines()[0], "port 80;")
    render(world, "t", "--once", "--prefix", "web", check=True)
    equal(read(world.path("out")).splitlines()[0], "port 81;")
    equal(stat.S_IMODE(os.stat(world.path("out")).st_mode), 0o604)
    config(world, "delete", "web/port", check=True)
    refused(render(world, "t", "--once", "--prefix", "web"), 1, f"{world.path('t')}:1", "'port'")
    equal(read(world.path("out")).splitlines()[0], "port 81;")


def checked(world):
    """a check that fails keeps the old file; a reload runs once a change"""
    reloads = world.path("reloads")
    args = ("--once", "--check", "grep -q good {}", "--reload", f"echo once >>{reloads}")
    template(world, "t", "{{word}}\n")
    put(world, "word", "good 1")
    render(world, "t", *args, check=True)
    render(world, "t", *args, check=True)
    equal(lines(reloads), ["once"])
    put(world, "word", "bad")
    refused(render(world, "t", *args), 1, "check", "old file stays")
    equal((read(world.path("out")), lines(reloads)), ("good 1\n", ["once"]))
    put(world, "word", "good 2")
    refused(render(world, "t", "--once", "--reload", "exit 7"), 1, "reload", "7")
    equal(read(world.path("out")), "good 2\n")
    equal([p.name for p in world.folder.glob(".out*")], [], "files left")
    os.unlink(world.path("out"))
    os.mkfifo(world.path("out"))
    refused(render(world, "t", *args), 1, "no regular file")
    true(stat.S_ISFIFO(os.stat(world.path("out")).st_mode), "it is the pipe that it was")
    os.unlink(world.path("out"))


def out_is(world, text):
    await_(lambda: read(world.path("out")) == text, f"the file is {text!r}")


def followed(world):
    """render follows: a burst of changes is one reload, a server that is away or a wrong state changes nothing"""
    reloads = world.path("reloads")
    template(world, "t", "{{a}} {{b}}\n")
    put(world, "f/a=1", "f/b=1")
    process = world.start("config", "render", f"{world.path('t')}:{world.path('out')}", "--prefix", "f", "--reload",
                          f"cat {world.path('out')} >>{reloads}", "--min-wait", "500ms", "--max-wait", "30s")
    await_(lambda: lines(reloads) == ["1 1"], "the first state is there")
    process.send_signal(signal.SIGSTOP)  # so that it hears of all at once, however slow this machine is
    for n in range(2, 6):
        put(world, f"f/a={n}")
    put(world, "f/b=5")
    process.send_signal(signal.SIGCONT)
    await_(lambda: len(lines(reloads)) > 1, "reloaded")
    equal(lines(reloads), ["1 1", "5 5"])
    world.server.kill()
    world.server.start()
    config(world, "delete", "f/b", check=True)
    said = process.stderr.readline()
    while "'b'" not in said:
        said = process.stderr.readline()
        true(said, "it says what is missing")
    equal(read(world.path("out")), "5 5\n")
    put(world, "f/b=6")
    out_is(world, "5 6\n")
    template(world, "t", "new {{a}}\n")
    process.send_signal(signal.SIGHUP)
    out_is(world, "new 5\n")
    process.terminate()
    equal(process.wait(PATIENCE_S), 0)


def away(world):
    """without a server nothing is rendered, and what there was stays; one that comes is taken"""
    world.server
    template(world, "t", "{{a:-nothing}}\n")
    Path(world.path("out")).write_text("old\n")
    world.server.kill()
    refused(render(world, "t", "--once", "--timeout", "300ms"), 3, "no server answered")
    equal(read(world.path("out")), "old\n")
    process = world.start("config", "render", f"{world.path('t')}:{world.path('out')}")
    world.server.start()
    put(world, "a", "1")
    out_is(world, "1\n")
    process.terminate()
    process.wait(PATIENCE_S)


def atomic(world):
    """killed with -9 in the middle of it, render leaves the whole old file or the whole new one"""
    template(world, "t", "{{n}}\n" + "x" * 1_500_000 + "\n{{n}}\n")
    out = Path(world.path("out"))
    n = 0
    put(world, f"n={n}")
    render(world, "t", "--once", check=True)
    chance, seen = random.Random(7), {"0"}
    for n in range(1, 9):
        put(world, f"n={n}")
        process = world.start("config", "render", f"{world.path('t')}:{out}", "--once")
        await_(lambda: list(world.folder.glob(".out.tenure-*")) or process.poll() is not None, "it writes")
        time.sleep(chance.random() * 0.01)
        process.kill()
        process.wait()
        for stray in world.folder.glob(".out.tenure-*"):
            stray.unlink()
        text = out.read_text().split("\n")
        equal((text[0], len(text[1]), text[3]), (text[2], 1_500_000, ""), "one state, whole")
        seen.add(text[0])
    render(world, "t", "--once", check=True)
    equal(out.read_text().split("\n")[0], str(n))


# --- exec -------------------------------------------------------------------------------------------------------------


def run_exec(world, *args, script, **more):
    return world.start("config", "exec", "--prefix", "p", *args, "--", "sh", "-c", script, world.path("log"), **more)


def environment(world):
    """exec runs a program with its configuration as environment, and ends as that does"""
    put(world, "p/db/url=u v", "p/n=1")
    result = config(world, "exec", "--prefix", "p", "--", "sh", "-c", 'echo "$db_url $n"; exit 7')
    equal((result.returncode, result.stdout), (7, "u v 1\n"))
    result = config(world, "exec", "--prefix", "p", "--upcase", "--pristine", "--", "env")
    equal(sorted(result.stdout.splitlines()), ["DB_URL=u v", "N=1"])
    equal(config(world, "exec", "--prefix", "p", "--", "sh", "-c", "kill -9 $$").returncode, 137)
    refused(config(world, "exec", "--", "/nowhere/program"), 127, "/nowhere/program")
    refused(config(world, "exec", "--", "/"), 126)
    put(world, "p/db-url", "twin")
    refused(config(world, "exec", "--prefix", "p", "--", "true"), 125, "p/db-url", "p/db/url", "db_url")


def restarted(world):
    """a change starts the program anew, when the old one and its children are gone; other changes do not"""
    put(world, "p/n=1")
    process = run_exec(world, "--min-wait", "10ms", "--kill-after", "300ms", script=
                       'sleep 600 & trap "" TERM; echo "$n $$ $!" >>"$0"; while :; do wait; done')
    await_(lambda: len(lines(world.path("log"))) == 1, "it runs")
    put(world, "other=1")
    put(world, "p/n=2")
    await_(lambda: len(lines(world.path("log"))) == 2, "it runs again")
    (first, second) = (line.split() for line in lines(world.path("log")))
    equal((first[0], second[0]), ("1", "2"))
    true(not is_running(int(first[1])) and not is_running(int(first[2])), "the first one is gone, with its child")
    true(is_running(int(second[1])), "the second one runs")
    await_(lambda: [process_state(c) for c in children(process.pid)] in (["S"], ["R"]), "nothing dead is left uncollected")
    world.will_end(int(second[1])), world.will_end(int(second[2]))
    process.terminate()  # passed on; the program ignores it
    process.send_signal(signal.SIGUSR1)  # and ends of this one
    equal(process.wait(PATIENCE_S), 128 + signal.SIGUSR1)


def signalled(world):
    """with --signal a change is a signal, and signals to exec are passed on"""
    put(world, "p/n=1")
    process = run_exec(world, "--min-wait", "10ms", "--signal", "HUP", script=
                       'trap "echo hup >>$0" HUP; trap "echo usr >>$0" USR1; trap "echo term >>$0; exit 5" TERM; '
                       'echo up >>"$0"; while :; do sleep 0.05; done')
    await_(lambda: lines(world.path("log")) == ["up"], "it runs")
    put(world, "p/n=2")
    await_(lambda: lines(world.path("log")) == ["up", "hup"], "it was told of the change")
    process.send_signal(signal.SIGUSR1)
    await_(lambda: lines(world.path("log"))[2:] == ["usr"], "it got the signal")
    process.terminate()
    equal(process.wait(PATIENCE_S), 5)
    equal(lines(world.path("log"))[3:], ["term"])


def first_process(world):
    """exec as the first process of a container: signals reach the program, and what has lost its parent is collected"""
    if world.run(["unshare", "--pid", "--fork", "true"]).returncode != 0:
        raise Skip("this user may make no namespace of processes")
    put(world, "p/n=1")
    script = '(sleep 0.01 & echo $! >"$0.orphan"); trap "exit 9" TERM; echo up >>"$0"; while :; do sleep 0.05; done'
    outer = world.start("--pid", "--fork", "--kill-child", TENURE, "config", "exec", "--prefix", "p", "--", "sh", "-c", script,
                        world.path("log"), program="unshare")
    await_(lambda: lines(world.path("log")) == ["up"], "it runs")
    first = children(outer.pid)[0]
    await_(lambda: [process_state(c) for c in children(first)] in (["S"], ["R"]), "the orphan is collected")
    os.kill(first, signal.SIGTERM)
    equal(outer.wait(PATIENCE_S), 9)


def last_known(world):
    """when no server answers, exec starts with the last known good copy, says so, and takes up what comes"""
    put(world, "p/n=1")
    args = ("--prefix", "p", "--cache", world.path("copy"), "--call-timeout", "500ms")
    equal(config(world, "exec", *args, "--", "sh", "-c", "echo $n").stdout, "1\n")
    world.server.kill()
    result = config(world, "exec", *args, "--", "sh", "-c", "echo $n")
    equal((result.returncode, result.stdout), (0, "1\n"), result.stderr)
    true("last known good" in result.stderr, result.stderr)
    process = run_exec(world, *args, "--min-wait", "10ms", script='echo "$n" >>"$0"; exec sleep 600')
    await_(lambda: lines(world.path("log")) == ["1"], "it runs")
    world.server.start()
    put(world, "p/n=2")
    await_(lambda: lines(world.path("log")) == ["1", "2"], "it has what is new")
    process.terminate()
    equal(process.wait(PATIENCE_S), 128 + signal.SIGTERM)


main([keys, compared, layers, mistakes, watched, history, differences, files, imported, edited, sealed, schemas, rendered, checked,
      followed, away, atomic, environment, restarted, signalled, first_process, last_known])
