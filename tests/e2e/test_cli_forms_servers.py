"""Every form of output of configuration and of what looks after servers, against what was recorded; and that each command has one."""

from forms import *

# What prints no result of its own in any of the forms, and why.
EXEMPT = {
    "serve": "it serves", "help": "a text", "queue work": "standard output is the command's",
    "fence proxy": "it serves", "cluster": "of its actions status has one; the others need members: tests/e2e/test_cluster.py",
    "replica": "it follows servers", "bench": "numbers of the moment: tests/e2e/test_cli_bench.py",
    "mirror": "it follows servers", "region hold": "it serves: tests/e2e/test_authority.py",
    "cache run": "it prints nothing", "cache get": "tests/e2e/test_cli_cache.py", "cache list": "the same", "completion": "a script", "top": "tests/e2e/test_cli_top.py",
    "service run": "standard output is the command's", "config exec": "the same", "fence script": "a file",
}


def configuration(world):
    """config prints what was recorded, in every form"""
    forms = Forms(world, "config", [(r"\bsealed:[\w+/=:.-]+", "<sealed>"), (r'"value":"\{?tenure-sealed[^"]*"', '"value":"<sealed>"')])
    who = ("--who", "ada", "-m", "why")
    forms.each("config", "set", "m/{f}", "50", *who)
    world.tenure("config", "set", "m/text", "80", "--layer", "env=prod", *who, check=True)
    world.tenure("config", "set", "m/text", "60", *who, check=True)
    forms.each("config", "get", "m/text")
    forms.each("config", "get", "m/text", "--environment", "prod", "--all-layers")
    forms.each("config", "get", "--prefix", "m")
    forms.each("config", "get", "--prefix", "m", "--environment", "prod", "--all-layers")
    forms.each("config", "get", "none", "--default", "7")
    forms.each("config", "history", "m/text")
    forms.each("config", "rollback", "m/text", "1", *who)
    forms.each("config", "watch", "m", "-n", "2")
    file = world.path("c.json")
    Path(file).write_text('{"text": 61, "new": 1}')
    forms.each("config", "diff", "now", file, "--prefix", "m")
    forms.each("config", "import", file, "--prefix", "m", "--dry-run", *who)
    for form in FORMS:
        forms.once(form, "config", "import", file, "--prefix", f"i/{form}", *who)
    forms.each("config", "export", "m", "--format", "json")
    template = world.path("t")
    Path(template).write_text("{{text}}\n")
    for form in FORMS:
        forms.once(form, "config", "render", f"{template}:{world.path('out')}.{form}", "--prefix", "m", "--once")
    forms.each("config", "render", f"{template}:{world.path('out')}", "--prefix", "m", "--dry")
    for n, form in enumerate(FORMS):
        forms.once(form, "config", "edit", "m", env=world.environment(EDITOR=f"sed -i -E s/[0-9]+/6{n}/", VISUAL=""))
    for form in FORMS:
        forms.once(form, "config", "seal", "--new-key", "--key-file", world.path(f"key.{form}"))
    key = world.path("key.text")
    forms.each("config", "seal", "m/secret", "x", "--key-file", key)
    world.tenure("config", "set", "m/secret", "s3cret", "--seal", "--key-file", key, *who, check=True)
    forms.each("config", "unseal", "m/secret", "--key-file", key)
    forms.each("config", "get", "m/secret", "--key-file", key)
    forms.each("config", "schema", "none")
    forms.each("config", "delete", "m/{f}", *who)
    forms.close()


def servers(world):
    """status, member, alarm, defrag, snapshot and migrate print what was recorded, in every form"""
    forms = Forms(world, "servers", [(r"\d+\.\d MB", "<size>"), (r"\(\d+ (ms|bytes)\)", r"(<number> \1)"), (r"(<size> +)\d+ *$", r"\1<number>"),
                                     (r"(MB|kB|B) +\d+$", r"\1  <number>"), (r'"(latency_ms|answered_ms)":[\d.]+', r'"\1":<number>'), (r" +\d+ +\d+ +([0-9a-f]{9,16}|<id>)", "  <number>  <number>  <id>"),
                                     (r'"hash":\d+', '"hash":<number>'), (r"\b[0-9a-f]{9,16}\b", "<id>"), (r"\bhash \d+", "hash <number>"), (r"^[0-9a-f]{1,8}(,| +\d+ +\d+ +[<\d])", r"<hash>\1"),
                                     (r"^((in-step|stopped|finished) .*?yes +)\d+", r"\1<number>")])
    world.tenure("put", "a", "1", check=True)
    forms.each("status")
    forms.each("status", "--members")
    forms.each("cluster", "status", "--quick")
    forms.each("member", "list")
    forms.each("member", "add", "--peer-urls", "http://10.0.0.4:2380")
    forms.each("member", "remove", "1")
    forms.each("member", "update", "1", "--peer-urls", "http://10.0.0.4:2380")
    forms.each("member", "promote", "1")
    forms.each("alarm", "list")
    forms.each("alarm", "disarm")
    forms.each("defrag")
    for form in FORMS:
        forms.once(form, "snapshot", "save", world.path("s." + form))
    forms.each("snapshot", "status", world.path("s.text"))
    for form in FORMS:
        forms.once(form, "snapshot", "restore", world.path("s.text"), "--data-dir", world.path("r." + form))
        forms.once(form, "migrate", "--data-dir", world.path("m." + form), "--until-in-step")
    forms.close()


def regions(world):
    """region prints what was recorded, in every form"""
    other = Server(world.server_kind, world.folder / "other").start()
    third = Server(world.server_kind, world.folder / "third").start()
    for server in (other, third):
        world.will_end(server.pid)
    forms = Forms(world, "regions", [(r'"answered_ms":\d+', '"answered_ms":<number>'), (r"(answers +)\d+", r"\1<number>")])
    forms.each("region", "init", "eu", world.server.url)
    forms.each("region", "add", "us", other.url, "--distance", "eu=80")
    forms.each("region", "list")
    forms.each("region", "home", "/locks/", "us")
    forms.each("region", "home", "/locks/")
    forms.each("region", "home")
    forms.each("region", "status")
    forms.each("region", "promote", "us", "--prefix", "/locks/")
    forms.each("region", "promote", "eu", "--prefix", "/locks/")
    for form in FORMS:
        world.tenure("region", "home", f"/{form}/", "us", check=True)
        world.tenure("put", f"/federation/homes/{form}/", '{"region":"eu","epoch":2}', check=True)
        forms.once(form, "region", "sync")
    for form in FORMS:
        world.tenure("region", "add", "ap", third.url, check=True)
        forms.once(form, "region", "remove", "ap")
    forms.close()


def users(world):
    """auth prints what was recorded, in every form"""
    world._server = Server(world.server_kind, world.folder / "server", "--bcrypt-cost", "4").start()
    forms = Forms(world, "auth")
    forms.each("auth", "status")
    forms.each("auth", "user", "add", "{f}:pw")
    forms.each("auth", "user", "list")
    forms.each("auth", "user", "passwd", "{f}:other")
    forms.each("auth", "role", "add", "r-{f}")
    forms.each("auth", "role", "grant", "r-text", "read", "/{f}")
    world.tenure("auth", "role", "grant", "r-text", "write", "/b/", "--prefix", check=True)
    world.tenure("auth", "role", "grant", "r-text", "readwrite", "/c", "--range-end", "/e", check=True)
    world.tenure("auth", "role", "grant", "r-text", "read", "/x", "--from-key", check=True)
    forms.each("auth", "role", "get", "r-text")
    forms.each("auth", "role", "list")
    forms.each("auth", "role", "revoke", "r-text", "/{f}")
    forms.each("auth", "user", "grant", "text", "r-{f}")
    forms.each("auth", "user", "get", "text")
    forms.each("auth", "user", "revoke", "text", "r-{f}")
    forms.each("auth", "user", "delete", "{f}")
    forms.each("auth", "role", "delete", "r-{f}")
    world.tenure("auth", "user", "add", "root:r", check=True)
    world.tenure("auth", "role", "add", "root", check=True)
    world.tenure("auth", "user", "grant", "root", "root", check=True)
    for form in FORMS:
        forms.once(form, "auth", "enable")
        forms.once(form, "auth", "disable", "--user", "root:r")
    forms.close()


def contexts(world):
    """context prints what was recorded, in every form"""
    forms = Forms(world, "contexts")
    more = {"env": world.environment(TENURE_CONTEXTS=world.path("contexts.json"))}
    forms.each("context", "list", **more)
    forms.each("context", "set", "{f}", "--endpoints", "http://10.0.0.1:2379", "--user", "ci", **more)
    forms.each("context", "use", "{f}", **more)
    forms.each("context", "list", **more)
    forms.each("context", "show", "text", **more)
    forms.each("context", "delete", "{f}", **more)
    forms.close()


def findings(world):
    """doctor prints what was recorded, in every form"""
    # What it finds is the machine's: of all findings together their form.
    forms = Forms(world, "doctor", [(r"^(ok|warn|bad) .*", "<finding>"), (r"^ +try: .*", "<finding>"),
                                    (r"^LEVEL  ABOUT .*FOUND.*", "LEVEL  ABOUT  FOUND"),
                                    (r'(\{"level":"\w+","about":"[^"]*","text":("([^"\\]|\\.)*")(,"advice":"([^"\\]|\\.)*")?\},?)+', "<findings>"),
                                    (r'"worst":"\w+"', '"worst":"<level>"')])
    forms.each("doctor")
    text = [line for line in forms.text if not line.startswith(("= ", "! "))]
    forms.text = [line for i, line in enumerate(text) if i == 0 or line == "" or line != text[i - 1]]
    forms.close()


# --- that nothing is forgotten ----------------------------------------------------------------------------------------


def actions(world, command):
    """What the synopsis says behind the command: its actions, or nothing."""
    text = world.tenure("help", command, check=True).stdout.split("usage: tenure", 1)[1].split("\n\n")[0]
    alternatives = " ".join(text.split()).removeprefix(command).strip().split(" | ")
    words = [a.split()[0] if a and a[0].islower() else "" for a in alternatives]
    return [w for w in words if w]


def of_auth(world):
    """The actions of users and roles are told in its description."""
    text = world.tenure("help", "auth", check=True).stdout
    return sorted({f"{kind} {action}" for kind, action in re.findall(r"\b(user|role) ([a-z]+)", text)
                   if action in ("add", "delete", "get", "list", "passwd", "grant", "revoke")})


def nothing_is_forgotten(world):
    """each command and each of its actions has a recorded form for each form of output"""
    commands = re.findall(r"^  ([a-z]+)  ", world.tenure("help", check=True).stdout, re.M)
    true(len(commands) > 25, commands)
    there, missing = recorded(), []
    for command in commands:
        wanted = actions(world, command) if command != "auth" else ["status", "enable", "disable", *of_auth(world)]
        for words in [f"{command} {action}".strip() for action in wanted or [""]]:
            if words in EXEMPT or command in EXEMPT:
                continue
            n = len(words.split())
            has = {form for line in there for form in FORMS if line[:n] == words.split() and f"-o {form}" in " ".join(line)}
            missing += [f"{words} -o {form}" for form in FORMS if form not in has]
    true(not missing, "recorded: " + ", ".join(missing) + " (tests/e2e/test_cli_forms_*.py, with --record)")


main([configuration, servers, regions, users, contexts, findings, nothing_is_forgotten])
