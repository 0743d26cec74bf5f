"""Users and roles from the command line, and commands that say who they are."""

import json
import os

from harness import *

ROOT_USER = ("--user", "root:r00t")
ALICE = {"TENURE_USER": "alice", "TENURE_PASSWORD": "s3cret"}


def as_json(world, *args):
    return json.loads(world.tenure(*args, "-o", "json", check=True).stdout)


def switch_on(world):
    """root, and alice who may read and write below /app/ and lock below /locks/."""
    world.tenure("auth", "user", "add", "root", check=True, input="r00t\n")
    world.tenure("auth", "user", "add", "alice:s3cret", check=True)
    for role in ("root", "app"):
        world.tenure("auth", "role", "add", role, check=True)
    world.tenure("auth", "user", "grant", "root", "root", check=True)
    world.tenure("auth", "user", "grant", "alice", "app", check=True)
    for prefix in ("/app/", "/locks/"):
        world.tenure("auth", "role", "grant", "app", "readwrite", prefix, "--prefix", check=True)
    world.tenure("auth", "enable", check=True)


def as_alice(world, *args, **more):
    return world.tenure(*args, env=world.environment(**ALICE), **more)


def users_and_roles(world):
    """users, roles and permissions are made, listed and taken away, as text and as JSON"""
    world.tenure("auth", "user", "add", "bob:pw", check=True)
    world.tenure("auth", "user", "add", "carol", "--no-password", check=True)
    equal(world.tenure("auth", "user", "list").stdout, "bob\ncarol\n")
    world.tenure("auth", "role", "add", "r", check=True)
    equal(world.tenure("auth", "role", "grant", "r", "read", "/a", check=True).stdout, "role r changed\n")
    world.tenure("auth", "role", "grant", "r", "write", "/b/", "--prefix", check=True)
    world.tenure("auth", "role", "grant", "r", "readwrite", "/c", "--range-end", "/e", check=True)
    equal(world.tenure("auth", "role", "get", "r").stdout,
          "read       /a\nwrite      /b/* (prefix)\nreadwrite  from /c up to /e\n")
    equal(as_json(world, "auth", "role", "get", "r")["permissions"][1], {"type": "write", "key": "/b/", "range_end": "/b0"})
    world.tenure("auth", "role", "revoke", "r", "/b/", "--prefix", check=True)
    equal(len(as_json(world, "auth", "role", "get", "r")["permissions"]), 2)
    world.tenure("auth", "user", "grant", "bob", "r", check=True)
    equal(as_json(world, "auth", "user", "get", "bob"), {"roles": ["r"]})
    world.tenure("auth", "user", "revoke", "bob", "r", check=True)
    equal(world.tenure("auth", "user", "get", "bob").stdout, "")
    world.tenure("auth", "user", "delete", "bob", check=True)
    world.tenure("auth", "role", "delete", "r", check=True)
    equal(as_json(world, "auth", "user", "list"), {"users": ["carol"]})
    equal(as_json(world, "auth", "role", "list"), {"roles": []})


def what_is_wrong_is_named(world):
    """unknown users, roles and permissions, and words too few or too many, are refused with the reason"""
    for args, code, text in ((("user", "delete", "nobody"), 1, "user name not found"),
                             (("role", "get", "none"), 1, "role name not found"),
                             (("role", "grant", "r", "rw", "/a"), 2, "'rw' is no permission: expected read, write or readwrite"),
                             (("user", "grant", "a"), 2, "expected add NAME[:PASSWORD]"),
                             (("users",), 2, "expected status, enable, disable, user … or role …"),
                             (("enable",), 1, "root user does not exist")):
        result = world.tenure("auth", *args)
        equal(result.returncode, code, f"exit code of {args}")
        true(text in result.stderr, f"message of {args}: {result.stderr!r}")


def empty_passwords(world):
    """a line of input that is empty, or none at all, is no password"""
    for line, text in (("\n", "the line is empty"), ("", "standard input ended")):
        result = world.tenure("auth", "user", "add", "dave", input=line)
        equal(result.returncode, 2, f"exit code of {line!r}")
        true(text in result.stderr, result.stderr)
    equal(world.tenure("auth", "user", "list").stdout, "")


def the_switch(world):
    """once it is on, every command says who it is, and gets what that one may have"""
    switch_on(world)
    nobody = world.tenure("put", "/app/a", "1")
    true(nobody.returncode == 1 and "user name is empty" in nobody.stderr, f"{nobody.returncode}: {nobody.stderr!r}")
    true("try: say who asks by --user" in nobody.stderr, nobody.stderr)
    equal(as_alice(world, "put", "/app/a", "1", check=True).stdout, "OK\n")
    equal(world.tenure("--user", "alice:s3cret", "get", "/app/a").stdout, "/app/a\n1\n")
    denied = as_alice(world, "get", "/other")
    true(denied.returncode == 1 and "permission denied" in denied.stderr, f"{denied.returncode}: {denied.stderr!r}")
    equal(world.etcdctl("--user", "alice:s3cret", "get", "/app/a").stdout, "/app/a\n1\n")
    equal(world.tenure(*ROOT_USER, "auth", "user", "list", check=True).stdout, "alice\nroot\n")
    world.tenure(*ROOT_USER, "auth", "user", "passwd", "alice:other", check=True)
    equal(as_alice(world, "get", "/app/a").returncode, 1)
    equal(world.tenure("--user", "alice:other", "get", "/app/a").returncode, 0)
    world.tenure(*ROOT_USER, "auth", "disable", check=True)
    equal(world.tenure("get", "/app/a").stdout, "/app/a\n1\n")


def wrong_passwords(world):
    """a wrong password is said at once, with the user and without the password"""
    switch_on(world)
    wrong = world.tenure("--user", "alice:gu3ss", "put", "/app/a", "1")
    equal(wrong.returncode, 1)
    true('login as user "alice"' in wrong.stderr and "gu3ss" not in wrong.stderr, wrong.stderr)


def hidden_passwords(world):
    """a password in the command line does not stay there"""
    switch_on(world)
    held = world.start("--user", "alice:s3cret", "lock", "x")
    held.stdout.readline()
    words = read(f"/proc/{held.pid}/cmdline")
    true("alice" in words and "s3cret" not in words, words)
    held.terminate()
    equal(held.wait(PATIENCE_S), 0)
    held = world.start("lock", "x", "--user", "alice:s3cret", "--", "sh", "-c", "echo; exec sleep 1000")
    held.stdout.readline()
    children = read(f"/proc/{held.pid}/task/{held.pid}/children").split()
    true(len(children) == 2, children)  # the guardian and the command
    true(not any("s3cret" in read(f"/proc/{p}/cmdline") for p in children), "the guardian's as well")
    held.terminate()
    equal(held.wait(PATIENCE_S), 128 + 15)


def no_password_and_no_terminal(world):
    """--user without a password says what to do where nobody can be asked; an empty one in the environment is given"""
    switch_on(world)
    alone = world.tenure("--user", "alice", "put", "/app/a", "1", start_new_session=True)
    equal(alone.returncode, 2)
    true("the password of 'alice' is not given" in alone.stderr and "TENURE_PASSWORD" in alone.stderr, alone.stderr)
    lock = world.tenure("--user", "alice", "lock", "x", "--", "true", start_new_session=True)
    equal(lock.returncode, 125)
    equal(as_alice(world, "get", "/app/a").stdout, "")
    empty = world.tenure("--user", "alice", "put", "/app/a", "1", start_new_session=True,
                         env=world.environment(TENURE_PASSWORD=""))
    equal(empty.returncode, 1)
    given = world.tenure("--user", "alice", "put", "/app/a", "1", start_new_session=True,
                         env=world.environment(TENURE_PASSWORD="s3cret"))
    equal((given.returncode, given.stdout), (0, "OK\n"), given.stderr)


def streams_outlive_tokens(world):
    """a watch and a lock go on over a restart of the server, which forgets all tokens"""
    switch_on(world)
    watching = world.start("watch", "--prefix", "/app/", env=world.environment(**ALICE))
    ran = world.start("lock", "x", "--ttl", "30", "--", "sh", "-c", "read line; echo done", stdin=subprocess.PIPE,
                      env=world.environment(**ALICE))
    await_(lambda: as_alice(world, "lock", "--list", "x").stdout.count("\n") >= 2, "the lock is held")
    as_alice(world, "put", "/app/a", "1", check=True)
    equal([watching.stdout.readline() for _ in range(3)], ["PUT\n", "/app/a\n", "1\n"])
    world.server.kill()
    world.server.start()
    as_alice(world, "put", "/app/a", "2", check=True)
    equal([watching.stdout.readline() for _ in range(3)], ["PUT\n", "/app/a\n", "2\n"])
    ran.stdin.write("go\n")
    ran.stdin.flush()
    equal(ran.wait(PATIENCE_S), 0)
    equal(as_alice(world, "get", "--prefix", "--keys-only", "/locks/x/").stdout, "")


def tokens_from_elsewhere(world):
    """a token in the environment is sent as it is; the fencing token of a lock is not taken for one"""
    switch_on(world)
    refused = world.tenure("get", "/app/a", env=world.environment(TENURE_AUTH_TOKEN="nonsense"))
    true(refused.returncode == 1 and "invalid auth token" in refused.stderr, refused.stderr)
    nested = as_alice(world, "lock", "x", "--", TENURE, "put", "/app/a", "nested")
    equal((nested.returncode, nested.stdout), (0, "OK\n"), nested.stderr)


main([users_and_roles, what_is_wrong_is_named, empty_passwords, the_switch, wrong_passwords, hidden_passwords,
      no_password_and_no_terminal,      streams_outlive_tokens, tokens_from_elsewhere])
