"""The one table of exit codes: what went wrong, and the code that tells a script, over many commands."""

import re
from concurrent.futures import ThreadPoolExecutor

from harness import *

NOBODY = ("--endpoints", "http://127.0.0.1:1", "--call-timeout", "200ms")
TLS = "--endpoints https://127.0.0.1:1 --cacert"


def row_fails(world, code, args, env, says):
    result = world.tenure(*args, env=env)
    if result.returncode != code:
        return [f"{' '.join(args)}: got {result.returncode}, wanted {code} ({result.stderr.strip()})"]
    if says not in result.stderr:
        return [f"{' '.join(args)}: nothing of {says!r} in {result.stderr!r}"]
    return []


def all_hold(world, rows, **env):
    """Rows are (code, words, text on standard error or ''); all that fail are shown."""
    env = world.environment(**env)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda row: row_fails(world, row[0], row[1].split(), env, row[2]), rows)
    wrong = [line for lines_ in found for line in lines_]
    equal(wrong, [], "rows that do not hold")


def file(world, name, text, mode=0o600):
    Path(world.path(name)).write_text(text)
    os.chmod(world.path(name), mode)
    return world.path(name)


def command_lines(world):
    """2: the command line is wrong, whatever the servers do; 125 where the code may be that of a command"""
    all_hold(world, [(code, args, says) for code, args, says in (
        (2, "get", "KEY"), (2, "get --frob a", "--frob"), (2, "put", "KEY"), (2, "txn x", ""), (2, "watch", "KEY"),
        (2, "lease frob", "grant"), (2, "queue frob x", "put NAME"), (2, "barrier frob x", "hold"), (2, "counter frob x", ""),
        (2, "fence frob", "expected"), (2, "auth frob", ""), (2, "member frob", ""), (2, "snapshot frob x", ""),
        (2, "config frob", "expected"), (2, "config get", "KEY"), (2, "config set a/ 1", "a/"), (2, "config set @a 1", "@a"),
        (2, "config set a=1 a=2", "twice"), (2, "config set a 1 --layer env", "environment"),
        (2, "config get a --layer env", "name"), (2, "config get a --instance x", "service"), (2, "config get a --root x", "slash"),
        (2, "config rollback a first", "'first'"), (2, "config render a", "TEMPLATE:OUT"),
        (2, "cache frob", "expected"), (2, "cache run", "PREFIX"), (2, "cache get", "KEY"), (2, "service frob", "expected"), (2, "service register", "expected"), (2, "service list a/b/", "name"),
        (2, "context set a", "--endpoints"), (2, "context frob", "expected"), (2, "serve x", ""), (2, "completion frob", ""),
        (2, "cluster frob", "dev"), (2, "cluster drill", "--with"), (2, "cluster drill a b", "drill"), (2, "cluster plan", "plan: expected DIR"), (2, "cluster backup", "backup: expected --to DIR"),
        (2, "cluster dev x", "dev takes no words"), (2, "cluster certs a b", "one DIR"), (2, "replica --frob", "--frob"), (2, "replica frob", "verify"), (2, "mirror frob", "status"), (2, "mirror", "--from"),
        (2, "mirror --from x --to y", "--prefix"), (2, "mirror --frob", "--frob"), (2, "cache frob", "expected"),
        (2, "region frob", "expected"), (2, "region hold", "expected"), (2, "region hold a", "slash at both ends"), (2, "region hold /a/ --ttl 1s", "4 to 3600 seconds"),
        (2, "region home /a/ eu --authority --no-authority", "two things"), (2, "region promote us", "--prefix"), (2, "region init A", "name"), (2, "region add b http://127.0.0.1:1 --distance far", "us=80ms"),
        (2, "get a --context none", "none"),
        (125, "lock", "NAME"), (125, "lock --frob a -- true", "--frob"), (125, "elect --frob a -- true", "--frob"),
        (125, "rwlock", "--read"), (125, "sem --frob a -- true", "--frob"), (125, "lock a --context none -- true", "none"),
        (125, "cron", "SCHEDULE"), (125, "cron --frob a @daily -- true", "--frob"), (125, "cron next frob", "'frob'"),
        (125, "cron --context none a @daily -- true", "none"),
        (125, "config exec", "exec"), (125, "config exec --frob -- true", "--frob"), (125, "config --frob exec -- true", "--frob"),
        (125, "config exec --signal NONE -- true", "NONE"), (125, "config exec --context none -- true", "none"),
        (125, "config exec --layer moon -- true", "moon"), (125, "config exec --instance x -- true", "service"),
        (125, "service run", "run NAME"), (125, "service run --frob a -- true", "--frob"), (125, "service run a", "run NAME"),
        (125, "service --context none run a -- true", "none"),
    )], TENURE_ENDPOINTS=NOBODY[1])


def files_named(world):
    """2: a file that the command line or the environment names is missing, broken or not to be trusted"""
    none = world.path("none")
    broken = {kind: file(world, f"broken.{kind}", "{") for kind in ("json", "yaml", "tmpl")}
    open_key = file(world, "open-key", "a" * 64, 0o644)
    bad_key = file(world, "bad-key", "xyz")
    template = file(world, "open.tmpl", "{{#a}}")
    nonsense = file(world, "nonsense.json", '{"properties": {"port": {"type": "strnig"}}}')
    rows = [
        (2, f"config import {none}.json", "none.json"), (2, f"config import {broken['json']}", "broken.json"),
        (2, f"config import {broken['yaml']}", "broken.yaml"), (2, f"config schema a {none}", "none"),
        (2, f"config schema a {broken['json']}", ""), (2, f"config schema a {broken['json']} --dry-run", ""),
        (2, f"config schema a {nonsense}", "properties/port/type"), (2, f"config schema a {nonsense} --dry-run", "strnig"),
        (2, f"config diff now {none}.json", "none.json"), (2, f"config diff {broken['json']} now", "broken.json"),
        (2, f"config render {none}:{none}.out --once", "none"), (2, f"config render {template}:{none}.out --once", "open.tmpl"),
        (2, f"config render {template}:{none}.out --dry", "open.tmpl"), (2, f"config get a {TLS} {none}", "none"),
        (2, f"get a {TLS} {none}", "none"), (2, f"snapshot status {none}", "none"),
        (2, f"snapshot restore {none} --data-dir {none}.d", "none"),
        (125, f"lock a {TLS} {none} -- true", "none"), (125, f"config exec {TLS} {none} -- true", "none"),
    ]
    for key in (none, open_key, bad_key):
        name = os.path.basename(key)
        rows += [(2, f"config get a --key-file {key}", name), (2, f"config set a x --seal --key-file {key}", name),
                 (2, f"config watch --key-file {key}", name), (2, f"config unseal a --key-file {key}", name),
                 (125, f"config exec --key-file {key} -- true", name)]
    world.tenure("config", "set", "a", "1", check=True)
    if "sodium" in world.tenure("config", "seal", "--new-key", "--key-file", world.path("key")).stderr:
        rows = [row for row in rows if "--key-file" not in row[1]]
    all_hold(world, rows)
    all_hold(world, [(2, "get a", "broken.json"), (2, "context list", "broken.json"), (2, "context use x", "broken.json"),
                     (125, "lock a -- true", "broken.json"), (125, "config exec -- true", "broken.json")],
             TENURE_CONTEXTS=broken["json"], TENURE_ENDPOINTS="")
    all_hold(world, [(2, "get a", "none"), (125, "lock a -- true", "none")], TENURE_CREDENTIALS=none)


def state(world):
    """1: the server, the state or a check said no"""
    world.tenure("config", "set", "a=1", "m/port=80", check=True)
    world.tenure("put", "k", "1", check=True)
    template = file(world, "missing.tmpl", "{{not-there}}")
    fine = file(world, "fine.tmpl", "{{a}}")
    rows = [
        (1, "get k --rev 999999", "revision"), (1, "lease keep-alive 1234", ""), (1, "lease revoke 1234", ""),
        (1, "compact 999999", "revision"), (1, "auth user add ", ""), (1, "auth enable", ""),
        (1, "config get none", "none"), (1, "config delete none", "none"), (1, "config set a 2 --if-revision 0", "a"),
        (1, "config set a 2 --if-revision 1", "a"), (1, "config rollback a 99", "history"), (1, "config schema none", "none"),
        (1, "config diff 999999 now", "revision"), (1, f"config render {template}:{world.path('out')} --once", "not-there"),
        (1, f"config render {fine}:{world.path('out')} --once --check false", "check"),
        (1, f"config render {template}:{world.path('out')} --dry", "not-there"),
        (1, "service pick none", "none"), (1, "service drain none x", ""), (1, "context use none", "none"),
        (1, "context delete none", "none"), (1, "cache leader none", ""), (1, "elect --observe --once none", ""),
        (0, "elect --list none", ""), (0, "get none", ""), (0, "del none", ""), (0, "service list none", ""),
    ]
    all_hold(world, [row for row in rows if "auth user add " != row[1]])
    schema = file(world, "schema.json", '{"properties": {"port": {"type": "integer"}, "n": {"type": "integer"}}}')
    stored = world.tenure("config", "schema", "m", schema)
    if "libtenure-schema" in stored.stderr:
        return
    strict = file(world, "strict.json", '{"properties": {"port": {"maximum": 79}}}')
    values = file(world, "values.json", '{"port": "none"}')
    all_hold(world, [
        (1, "config set m/port none", "m/port"), (1, "config set m/port=none a=3", "m/port"), (1, f"config schema m {strict} --dry-run", "port"),
        (1, f"config import {values} --prefix m", "m/port"),
    ])
    world.tenure("config", "set", "m/port", "none", "--unchecked", check=True)
    world.tenure("config", "set", "m/port", "80", check=True)
    all_hold(world, [(1, "config rollback m/port 2", "m/port"), (0, "config rollback m/port 1", "")])


def nobody(world):
    """3: nobody answers; 125 where the code may be that of a command"""
    world.server  # for the environment, whose servers are not meant
    fine = file(world, "fine.tmpl", "{{a}}")
    data = file(world, "data.json", "{}")
    schema = file(world, "schema.json", "{}")
    rows = [(3, args, "") for args in (
        "get k", "put k v", "del k", "lease list", "compact 1", "status", "auth user list", "member list", "queue length q",
        "counter get c", "barrier look b", "config get a", "config set a 1", "config delete a", "config export", "config history a",
        "config rollback a 1", "config diff 1 now", "config edit", f"config import {data}", f"config schema a {schema}",
        f"config render {fine}:{fine}.out --once", "config watch --timeout 200ms", "service list", "service pick a",
        "service drain a b", "cron list", "cron status x", "cluster status", "region list", "region status", "region sync", "region promote us --prefix /a/", "region hold /a/", "region home /a/ eu --authority", "lock --list a", "elect --list a", "cache leader a", f"cache get a --ask --file {fine}", f"cache run a --once --file {fine}.copy", f"snapshot save {fine}.snap", "fence generate x --token 1 --holder-key k",
    )] + [(125, args, "") for args in ("lock a -- true", "elect a -- true", "sem a -- true", "config exec --timeout 200ms -- true")]
    all_hold(world, [(code, " ".join([*args.split()[:1], *NOBODY, *args.split()[1:]]), says) for code, args, says in rows])


def nobody_to_wait_for(world):
    """a --timeout that is over before anybody answered is no end of the work"""
    for command in (("queue", "work", "q", "--timeout", "100ms", "--", "true"), ("cron", "x", "@hourly", "--timeout", "100ms", "--", "true")):
        got = world.run([TENURE, command[0], *NOBODY, *command[1:]] if command[0] == "cron" else
                        [TENURE, *command[:2], *NOBODY, *command[2:]], env=world.environment())
        true(got.returncode == 125 and got.stderr.startswith(f"tenure {command[0]}: "), f"{command}: {got.returncode} {got.stderr}")


def no_start(world):
    """3: nothing is configured, and the server that is started for one does not come up"""
    home = world.path("home")
    os.makedirs(home)
    file(world, "home/state", "not a folder")
    env = {"TENURE_ENDPOINTS": "", "TENURE_NO_AUTOSTART": "", "HOME": home, "XDG_RUNTIME_DIR": world.path("home/run"),
           "XDG_STATE_HOME": world.path("home/state")}
    os.makedirs(world.path("home/run"), mode=0o700)
    for row in ((3, "put a 1"), (3, "config set a 1"), (3, "config watch"), (3, "queue put q x"), (125, "lock a -- true"),
                (125, "config exec -- true"), (125, "service run --port 1 a -- true"), (3, "service register --port 1 a")):
        result = world.tenure(*row[1].split(), env=world.environment(**env))
        if "started a server" in result.stderr or "127.0.0.1:2379" in result.stderr:
            raise Skip("somebody serves on 2379 of this machine")
        equal(result.returncode, row[0], f"{row[1]}: {result.stderr}")
        true("cannot start a server" in result.stderr, result.stderr)


def one_source(world):
    """the table of the documentation, `tenure help exits` and the man pages are one"""
    shown = world.tenure("help", "exits", check=True).stdout
    codes = re.findall(r"^  (128 \+ N|\d+|other) +", shown, re.M)
    equal(codes, ["0", "1", "2", "3", "4", "121", "124", "125", "126", "127", "128 + N", "other"])
    table = re.search(r"\| code \| what it means \|\n\|---\|---\|\n((?:\|.*\n)+)", (ROOT / "docs/commands.md").read_text()).group(1)
    rows = [tuple(cell.strip() for cell in line.strip("|\n").split("|")) for line in table.splitlines()]
    plain = [(code, text.replace("`", "")) for code, text in rows]
    equal([tuple(re.match(r"  (128 \+ N|\d+|other) +(.*)", line).groups()) for line in shown.splitlines() if line.startswith("  ")], plain)
    page = world.tenure("help", "--man", check=True).stdout
    for code, text in plain:
        true(text.replace("-", "\\-") in page, f"{code} in tenure(1)")
    for name in ("get", "config", "service"):
        for form in (("--man", name), (name,)):
            true(plain[0][1] in world.tenure("help", *form, check=True).stdout, f"the codes in the help of {name}")


main([command_lines, files_named, state, nobody, nobody_to_wait_for, no_start, one_source])
