#!/usr/bin/env python3
"""tenure cache: a copy on disk that is kept while there are servers and read without them, and who leads."""

import json

from harness import *

NOWHERE = "http://127.0.0.1:1"


class Keeper:
    """`tenure cache run`, up to its first copy."""

    def __init__(self, w, *prefixes, check="100ms"):
        self.w, self.file = w, w.path("copy")
        self.process = w.start("cache", "run", *prefixes, "--file", self.file, "--check", check, "-o", "json")
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"no copy was kept: {self.process.communicate(timeout=PATIENCE_S)[1]}")
        self.told = json.loads(line)

    def read(self, *args, servers=NOWHERE):
        return self.w.run([TENURE, "cache", *args, "--file", self.file], env=self.w.environment(TENURE_ENDPOINTS=servers))

    def document(self, *args):
        got = self.read(*args, "-o", "json")
        return json.loads(got.stdout) if got.returncode == 0 else {}

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_S)


def put(w, *pairs):
    for key, value in pairs:
        w.tenure("put", key, value, check=True)


def a_copy_is_read_without_servers(w):
    """what is kept is read without a server, follows what changes, and stays when the keeper and the servers have gone"""
    put(w, ("/config/a", "1"), ("/config/b", "two\nlines"), ("/other", "x"))
    k = Keeper(w, "/config/")
    equal((k.told["keys"], k.told["file"]), (2, k.file), "told")
    equal(os.stat(k.file).st_mode & 0o777, 0o600, "mode")
    equal(k.read("get", "/config/a").stdout, "1\n", "get")
    equal(k.read("list", "/config/").stdout, "/config/a\n1\n/config/b\ntwo\nlines\n", "list")
    put(w, ("/config/a", "2"), ("/config/c", "new"))
    w.tenure("del", "/config/b", check=True)
    await_(lambda: k.read("list", "/config/").stdout == "/config/a\n2\n/config/c\nnew\n", "the changes")
    one = k.document("get", "/config/a")
    equal((one["key"], one["value"], one["version"]), ("/config/a", "2", 2), "json")
    true(one["revision"] >= one["mod_revision"] and one["stale_ms"] >= 0, "revision and age")
    equal([kv["key"] for kv in k.document("list", "/config/")["kvs"]], ["/config/a", "/config/c"], "json of a list")
    none = k.read("get", "/config/b")
    equal((none.returncode, none.stdout), (1, ""), "a key that is not there")
    outside = k.read("get", "/other")
    true(outside.returncode == 2 and "/other" in outside.stderr, "a key that the copy does not follow")
    w.server.kill()
    equal(k.end(), 0, "exit code")
    equal(k.read("get", "/config/a").stdout, "2\n", "get, without anybody")


def an_age_is_proved_and_bounds_hold(w):
    """while the servers answer the copy is proved to be current; when they do not, a bound refuses it, and --ask asks"""
    put(w, ("/k", "1"))
    k = Keeper(w, "/k")
    await_(lambda: k.document("get", "/k").get("stale_ms", 10**9) < 2000, "a young copy")
    first = k.document("get", "/k")["revision"]
    put(w, ("/elsewhere", "x"))  # no event tells of it
    await_(lambda: k.read("get", "/k", "--max-staleness", "5s").returncode == 0, "within the bound")
    w.server.freeze()
    frozen = boottime_ms()
    await_(lambda: k.document("get", "/k")["stale_ms"] > 700, "it grows older")
    true(k.document("get", "/k")["stale_ms"] >= boottime_ms() - frozen - 3000, "as old as the silence, about")
    old = k.read("get", "/k", "--max-staleness", "300ms")
    equal((old.returncode, old.stdout), (3, ""), "over the bound")
    true("300 ms" in old.stderr and "--ask" in old.stderr, f"said: {old.stderr}")
    equal(k.read("get", "/k").stdout, "1\n", "without a bound")
    w.server.thaw()
    await_(lambda: k.read("get", "/k", "--max-staleness", "5s").returncode == 0, "heard again")
    true(k.document("get", "/k")["revision"] >= first, "the revision")
    equal(k.end(), 0, "exit code")
    put(w, ("/k", "2"))
    equal(k.read("get", "/k").stdout, "1\n", "the last known one")
    asked = k.read("get", "/k", "--max-staleness", "1ms", "--ask", servers=w.server.url)
    equal(asked.stdout, "2\n", "asked")
    asked = k.read("list", "/x", "--ask", "-o", "json", servers=w.server.url)
    equal((asked.returncode, json.loads(asked.stdout)["kvs"]), (0, []), "asked for what the copy has not")
    equal(k.read("get", "/k", "--max-staleness", "1ms", "--ask", "--call-timeout", "300ms").returncode, 3, "asked, and nobody there")


def a_copy_goes_on_over_restarts(w):
    """kills and compactions in between are survived; one process keeps a file at a time; a copy is taken over"""
    put(w, ("/r/a", "1"))
    k = Keeper(w, "/r/", "/election/")
    second = w.tenure("cache", "run", "/r/", "--file", k.file)
    true(second.returncode == 1 and "another" in second.stderr, "a second keeper")
    w.server.kill()
    w.server.start()
    put(w, ("/r/a", "2"), ("/r/a", "3"))
    revision = json.loads(w.tenure("get", "/r/a", "-o", "json", check=True).stdout)["revision"]
    w.tenure("compact", str(revision), check=True)
    await_(lambda: k.read("get", "/r/a").stdout == "3\n", "the newest")
    k.process.kill()
    k.process.wait()
    equal(k.read("get", "/r/a").stdout, "3\n", "what a killed one left")
    once = w.tenure("cache", "run", "/r/", "--once", "--file", k.file, check=True)
    true(once.stdout.startswith("1 key at revision "), f"--once: {once.stdout}")
    equal(k.read("list").returncode, 2, "all keys, of which it has some")
    nobody = w.run([TENURE, "cache", "run", "/r/", "--once", "--file", w.path("none"), "--call-timeout", "300ms"],
                   env=w.environment(TENURE_ENDPOINTS=NOWHERE))
    equal((nobody.returncode, os.path.exists(w.path("none"))), (3, False), "nobody there")


def who_leads_is_read(w):
    """from the servers, from the copy, of one election or all of them, and as it changes"""
    equal(w.tenure("cache", "leader", "e").returncode, 1, "nobody")
    follow = w.start("cache", "leader", "--follow", "-o", "json")
    put(w, ("/election/e/22", "first"), ("/election/e/11", "second"), ("/election/d/e/1", "deep"))
    told = json.loads(follow.stdout.readline())
    equal((told["name"], told["proposal"], told["leads"]), ("e", "first", True), "followed")
    k = Keeper(w, "/election/")
    token = json.loads(w.tenure("cache", "leader", "e", "-o", "json", check=True).stdout)["token"]
    said = f"first  token {token}  /election/e/22\n"
    equal(w.tenure("cache", "leader", "e", check=True).stdout, said, "asked")
    equal(k.read("leader", "e").stdout, said, "from the copy")
    equal(k.read("leader", "none").returncode, 1, "nobody, from the copy")
    all_of_them = json.loads(w.tenure("cache", "leader", "-o", "json", check=True).stdout)["leaders"]
    equal([(l["name"], l["proposal"]) for l in all_of_them], [("d/e", "deep"), ("e", "first")], "all")
    w.tenure("del", "/election/e/22", check=True)
    await_(lambda: k.read("leader", "e").stdout.startswith("second "), "the next one")
    equal([json.loads(follow.stdout.readline())["proposal"] for _ in range(2)], ["deep", "second"], "followed")
    follow.terminate()
    equal(follow.wait(timeout=PATIENCE_S), 0, "exit code")
    equal(k.end(), 0, "exit code")


def what_is_wrong_is_said(w):
    """wrong words, files that are none, files that are damaged"""
    for words in (["frob"], ["run"], ["get"], ["run", "/a", "/a/b"], ["run", "/a", "--check", "1ms"], ["get", "/a", "--follow"]):
        got = w.tenure("cache", *words, "--file", w.path("copy"))
        true(got.returncode == 2 and "try:" in got.stderr, f"{words}: {got.returncode} {got.stderr}")
    missing = w.tenure("cache", "get", "/a", "--file", w.path("none"))
    true(missing.returncode == 2 and "cache run" in missing.stderr, missing.stderr)
    Path(w.path("copy")).write_text("something else\n" * 100)
    damaged = w.tenure("cache", "get", "/a", "--file", w.path("copy"))
    true(damaged.returncode == 2 and "damaged" in damaged.stderr, damaged.stderr)
    state = {"XDG_STATE_HOME": w.path("state")}
    put(w, ("/a", "1"))
    w.tenure("cache", "run", "/a", "--once", env=w.environment(**state), check=True)
    equal(w.tenure("cache", "get", "/a", env=w.environment(**state)).stdout, "1\n", "in the user's state folder")


main([a_copy_is_read_without_servers, an_age_is_proved_and_bounds_hold, a_copy_goes_on_over_restarts, who_leads_is_read,
      what_is_wrong_is_said])
