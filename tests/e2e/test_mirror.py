"""`tenure mirror`: prefixes copied between clusters, exactly, whatever dies in between."""

from mirrors import *

OTHER = {"tenure": "etcd", "etcd": "tenure"}


def is_there(server, key, value):
    def there():
        with contextlib.suppress(ConnectionError, Refused):
            return Gateway(server).get(key) == value
    await_(there, f"{key} is {value!r} at {server.folder.name}")


def other_kind(world):
    return OTHER[world.server_kind] if shutil.which("etcd") else world.server_kind


def on_one_kind(world):
    if world.server_kind == "etcd":
        raise Skip("what is held to account is the mirror; with etcd on the other side it runs in the other round")


def changes_are_carried(world):
    '''what was there and what comes is copied, deletes too, a revision of several keys as one, under another prefix where that is wanted'''
    with server(world, "a") as a, server(world, "b", other_kind(world)) as b:
        source = Gateway(a)
        source.put("/a/1", "one")
        source.put("/a/2", "two")
        source.put("/b/1", "not copied")
        watching = Watching(b, "/copy/")
        mirror = Mirror(world, a, [b], "--prefix", "/a/", "--to-prefix", "/copy/", "--name", "m").start()
        same(a, b, "/a/", "/copy/")
        source.delete("/a/1")
        source.put_all({f"/a/p{i}": "1" for i in range(100)})
        source.put_all({f"/a/p{i}": "2" for i in range(100)})
        source.put("/a/empty", "")
        source.delete("/a/p", prefix=True)
        last = source.put("/a/2", "three")
        is_there(b, "/copy/2", "three")
        equal(Gateway(b).below("/copy/"), {"/copy/2": "three", "/copy/empty": ""}, "the copy")
        await_(lambda: ("/copy/2", "three") in [(k, v) for _, k, v in watching.seen], "the watch tells it")
        seen = watching.end().seen
        for value in ("1", "2"):
            revisions = {r for r, k, v in seen if k.startswith("/copy/p") and v == value}
            equal(len(revisions), 1, f"revisions that put 100 keys to {value}")
        equal(len([1 for _, k, v in seen if k.startswith("/copy/p") and v is None]), 100, "deletes told")
        record = await_(lambda: [m for m in status(world, b) if m["revision"] == last], "the record has the revision")[0]
        equal((record["name"], record["prefix"], record["to"], record["state"]), ("m", "/a/", "/copy/", "following"), "the record")
        equal(mirror.stop(), 0, "the exit code")


def large_revisions_go_in_parts(world):
    '''a revision of more keys than a transaction takes is carried in parts, and none is lost when the mirror dies between them'''
    limit = ["--max-txn-ops", "2000"]
    with server(world, "a", None, *limit) as a, server(world, "b") as b:
        source = Gateway(a)
        mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
        source.put("/a/first", "x")
        is_there(b, "/a/first", "x")
        source.put_all({f"/a/{i:04d}": "1" * 50 for i in range(1000)})
        mirror.kill()
        mirror.start()
        same(a, b, "/a/")
        b.freeze()
        source.delete("/a/0", prefix=True)
        time.sleep(0.05)
        mirror.kill()
        b.thaw()
        mirror.start()
        same(a, b, "/a/")
        equal(Gateway(b).below("/a/"), {"/a/first": "x"}, "what is left")
        mirror.stop()


def deletes_are_kept(world):
    '''what was deleted while the mirror was down goes, from the watch, and behind a compaction by comparison'''
    with server(world, "a") as a, server(world, "b") as b:
        source = Gateway(a)
        for i in range(20):
            source.put(f"/a/{i:02d}", "x")
        mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
        same(a, b, "/a/")
        mirror.kill()
        source.delete("/a/03")
        mirror.start()
        same(a, b, "/a/")
        mirror.kill()
        source.delete("/a/04")
        source.put("/a/05", "y")
        source.put("/a/20", "new")
        source.delete("/a/06")
        source.compact()  # the tombstone of the newest revision is what old etcds forget
        before = Gateway(b).revision()
        mirror.start()
        same(a, b, "/a/")
        changed = b, before + 1
        mirror.stop()
        body = Gateway(b).ask("kv/range", {"key": b64("/a/"), "range_end": b64("/a0"), "min_mod_revision": str(changed[1])})
        equal(sorted(text(kv["key"]) for kv in body["kvs"]), ["/a/05", "/a/20"], "what the comparison wrote")


def large_values(world):
    '''a value that leaves room for the record is copied; the largest that a source takes is named with what to do, until a smaller one is in its place'''
    with server(world, "a") as a, server(world, "b") as b:
        source, most, least = Gateway(a), 2 << 20, 1 << 20
        while most - least > 1:
            middle = (most + least) // 2
            try:
                source.put("/a/largest", "x" * middle)
                least = middle
            except (Refused, ConnectionError):
                most = middle
        source.put("/a/largest", "y" * (least - 8192))
        mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
        is_there(b, "/a/largest", "y" * (least - 8192))
        source.put("/a/largest", "x" * least)
        await_(lambda: "/a/largest: with" in mirror.said(), "the key is named")
        true("--max-request-bytes" in mirror.said(), mirror.said())
        await_(lambda: "/a/largest: with" in status(world, b)[0].get("error", ""), "in the record too")
        source.put("/a/after", "1")
        source.put("/a/largest", "y" * (least - 8192))
        same(a, b, "/a/")
        mirror.stop()


def what_is_not_ours_is_refused(world):
    '''foreign keys at the destination, loops, overlapping mirrors and other sources are refused; --replace makes room'''
    with server(world, "a") as a, server(world, "b") as b:
        Gateway(a).put("/a/1", "one")
        Gateway(b).put("/a/foreign", "x")
        refused = Mirror(world, a, [b], "--prefix", "/a/", "--name", "m").start()
        equal(refused.ends(), 1, "the exit code before foreign keys")
        true("did not come from this mirror (/a/foreign)" in refused.said(), refused.said())
        equal(Gateway(b).below("/"), {"/a/foreign": "x"}, "what a refused mirror leaves")
        mirror = Mirror(world, a, [b], "--prefix", "/a/", "--name", "m", "--replace").start()
        same(a, b, "/a/")
        back = Mirror(world, b, [a], "--prefix", "/a/x", "--name", "back").start()
        equal(back.ends(), 1, "the exit code of a loop")
        true("holds /a/ as a copy" in back.said(), back.said())
        equal(Gateway(a).below("/"), {"/a/1": "one"}, "what it leaves")
        itself = Mirror(world, a, [a.url.replace("127.0.0.1", "localhost")], "--prefix", "/z/", "--name", "self").start()
        equal(itself.ends(), 1, "the exit code of a mirror onto its own source")
        true("the source and the destination are the same cluster" in itself.said(), itself.said())
        equal(Gateway(a).below("/"), {"/a/1": "one"}, "what that leaves")
        third = Mirror(world, a, [b], "--prefix", "/a/1", "--name", "third", "--replace").start()
        equal(third.ends(), 1, "the exit code of an overlap")
        true("another mirror" in third.said(), third.said())
        mirror.stop()
        other = Mirror(world, b, [b], "--prefix", "/elsewhere/", "--to-prefix", "/a/", "--name", "m").start()
        equal(other.ends(), 1, "the exit code of another source")
        true("came from" in other.said() or "restored" in other.said(), other.said())
        for bad in (["--prefix", "/federation/x"], ["--prefix", ""], ["--prefix", "/x/", "--prefix", "/x/y"],
                    ["--prefix", "/x/", "--name", "a/b"], []):
            equal(world.tenure("mirror", "--from", a.url, "--to", b.url, *bad).returncode, 2, f"the exit code of {bad}")


def what_others_write_there_is_undone(world):
    '''what somebody else writes below the prefix at the destination is said and undone at once, also what was written while the mirror was down'''
    with server(world, "a") as a, server(world, "b", other_kind(world)) as b:
        source, there = Gateway(a), Gateway(b)
        for i in range(5):
            source.put(f"/a/{i}", "x")
        mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
        same(a, b, "/a/")
        there.put("/a/0", "foreign")
        there.put("/a/new", "foreign")
        there.delete("/a/1")
        await_(lambda: "/a/new" not in there.below("/a/"), "the new key goes")
        same(a, b, "/a/")
        true("somebody else wrote at the destination" in mirror.said(), mirror.said())
        await_(lambda: "somebody else" in status(world, b)[0].get("error", ""), "in the record too")
        mirror.kill()
        there.put("/a/2", "foreign")
        mirror.start()
        same(a, b, "/a/")
        changed = there.revision()
        for i in range(50):
            source.put(f"/a/{i}", "y")
        is_there(b, "/a/49", "y")
        same(a, b, "/a/")
        true(mirror.said().count("somebody else") <= 5 and changed < there.revision(), f"what is its own is not foreign: {mirror.said()}")
        mirror.stop()


def both_ways_with_prefixes_of_their_own(world):
    '''two mirrors, one each way, with a prefix each, do not disturb each other'''
    with server(world, "a") as a, server(world, "b", other_kind(world)) as b:
        there = Mirror(world, a, [b], "--prefix", "/a/", "--name", "there").start()
        back = Mirror(world, b, [a], "--prefix", "/b/", "--name", "back").start()
        for i in range(10):
            Gateway(a).put(f"/a/{i}", str(i))
            Gateway(b).put(f"/b/{i}", str(i))
        is_there(b, "/a/9", "9")
        is_there(a, "/b/9", "9")
        same(a, b, "/a/")
        same(a, b, "/b/")
        equal((there.stop(), back.stop()), (0, 0), "exit codes")


def the_second_of_a_name_takes_over(world):
    '''a second mirror of the same name takes over, and the first writes nothing more and ends with 1'''
    on_one_kind(world)
    with server(world, "a") as a, server(world, "b") as b:
        first = Mirror(world, a, [b], "--prefix", "/a/").start()
        Gateway(a).put("/a/1", "1")
        is_there(b, "/a/1", "1")
        stop(first.process.pid)
        second = Mirror(world, a, [b], "--prefix", "/a/").start()
        Gateway(a).put("/a/1", "2")
        is_there(b, "/a/1", "2")
        os.kill(first.process.pid, signal.SIGCONT)
        Gateway(a).put("/a/1", "3")
        equal(first.ends("the first ends"), 1, "its exit code")
        true("has taken over" in first.said(), first.said())
        is_there(b, "/a/1", "3")
        equal(second.stop(), 0, "the exit code of the second")


def leases_are_the_mirrors_own(world):
    '''keys with a lease have one of the mirror's own: they stay while the source renews, go with its end, and come again'''
    with server(world, "a") as a, server(world, "b") as b:
        source = Gateway(a)
        long, short = source.grant(3600), source.grant(3600)
        source.put("/a/long", "x", lease=long)
        source.put("/a/short", "x", lease=short)
        source.put("/a/none", "x")
        mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
        same(a, b, "/a/")

        def leases():
            body = Gateway(b).ask("kv/range", {"key": b64("/a/"), "range_end": b64("/a0")})
            return {text(kv["key"]): kv.get("lease", "0") for kv in body["kvs"]}
        own = leases()
        true(own["/a/none"] == "0" and own["/a/long"] != "0" and own["/a/long"] != long, f"leases: {own}")
        equal(own["/a/long"], own["/a/short"], "one lease for each TTL")
        equal(Gateway(b).ask("lease/timetolive", {"ID": own["/a/long"]})["grantedTTL"], "3600", "its TTL")
        source.ask("lease/revoke", {"ID": short})
        same(a, b, "/a/")
        mirror.kill()
        mirror.start()
        source.put("/a/long2", "x", lease=long)
        is_there(b, "/a/long2", "x")
        equal(leases()["/a/long2"], own["/a/long"], "the lease of the earlier run")
        mirror.kill()
        Gateway(b).ask("lease/revoke", {"ID": own["/a/long"]})
        equal(Gateway(b).below("/a/"), {"/a/none": "x"}, "a lease that ran out")
        mirror.start()
        same(a, b, "/a/")
        true(leases()["/a/long"] not in ("0", own["/a/long"]), "a lease of its own again")
        Gateway(b).ask("lease/revoke", {"ID": leases()["/a/long"]})
        source.put("/a/long3", "x", lease=long)
        same(a, b, "/a/")
        mirror.stop()


def stopped_beyond_its_leases(world):
    '''a mirror that stands still for longer than its leases live makes what went with them again, and keeps the deletes'''
    on_one_kind(world)
    with server(world, "a") as a, server(world, "b") as b:
        source, there, ending = Gateway(a), Gateway(b), threading.Event()
        lease = source.grant(3)

        def renew():
            while not ending.wait(0.5):
                source.ask("lease/keepalive", {"ID": lease})
        renewing = threading.Thread(target=renew)
        renewing.start()
        try:
            source.put("/a/leased", "x", lease=lease)
            source.put("/a/plain", "x")
            source.put("/a/goes", "x")
            mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
            same(a, b, "/a/")
            stop(mirror.process.pid)
            await_(lambda: "/a/leased" not in there.below("/a/"), "its lease is over")
            source.delete("/a/goes")
            os.kill(mirror.process.pid, signal.SIGCONT)
            await_(lambda: there.below("/a/") == {"/a/leased": "x", "/a/plain": "x"}, "all is as it was at the source")
            equal(mirror.stop(), 0, "the exit code")
        finally:
            ending.set()
            renewing.join()


def one_that_is_dead_holds_nobody_up(world):
    '''of two destinations one is dead: the other is served, and the dead one catches up when it is back'''
    on_one_kind(world)
    with server(world, "a") as a, server(world, "b") as b, server(world, "c", other_kind(world)) as c:
        Gateway(a).put("/a/1", "1")
        Gateway(a).put("/x/1", "1")
        c.kill()
        mirror = Mirror(world, a, [b, c], "--prefix", "/a/", "--prefix", "/x/").start()
        same(a, b, "/a/")
        same(a, b, "/x/")
        Gateway(a).put("/a/1", "2")
        is_there(b, "/a/1", "2")
        c.start()
        same(a, c, "/a/")
        same(a, c, "/x/")
        equal(len(status(world, c)), 2, "records")
        mirror.stop()


def once_ends(world):
    '''--once ends when all is copied; what is unreachable ends it by --timeout'''
    on_one_kind(world)
    with server(world, "a") as a, server(world, "b") as b:
        for i in range(300):
            Gateway(a).put(f"/a/{i}", "x" * 1000) if i % 30 == 0 else None
        run = world.tenure("mirror", "--from", a.url, "--to", b.url, "--prefix", "/a/", "--once", check=True)
        true("copied as of revision" in run.stdout, run.stdout)
        same(a, b, "/a/")
        Gateway(a).delete("/a/0")
        run = world.tenure("mirror", "--from", a.url, "--to", b.url, "--prefix", "/a/", "--once", "-o", "jsonl", check=True)
        equal(json.loads(run.stdout.splitlines()[-1])["state"], "done", "the last line")
        same(a, b, "/a/")
        nowhere = f"http://127.0.0.1:{free_port()}"
        run = world.tenure("mirror", "--from", a.url, "--to", nowhere, "--prefix", "/a/", "--once", "--timeout", "300ms")
        equal(run.returncode, 3, "the exit code without a destination")
        true(f"{nowhere} /a/: not done within --timeout" in run.stderr and f"--endpoints {nowhere}" in run.stderr, run.stderr)


def homes_are_obeyed(world):
    '''with home records only the home is copied; a mirror of an old epoch writes nothing, and one waits until its source is the home'''
    with server(world, "a") as a, server(world, "b") as b:
        def home(server, region, epoch):
            Gateway(server).put("/federation/homes/a/", json.dumps({"region": region, "epoch": epoch}))
        for s, region in ((a, "eu"), (b, "us")):
            Gateway(s).put("/federation/region", region)
            home(s, "eu", 1)
        Gateway(a).put("/a/1", "eu")
        there = Mirror(world, a, [b], "--prefix", "/a/", "--name", "eu-us").start()
        back = Mirror(world, b, [a], "--prefix", "/a/", "--name", "us-eu").start()
        is_there(b, "/a/1", "eu")
        await_(lambda: "the home of /a/ is eu (epoch 1), and not the source" in back.said(), "the other one waits")
        a.freeze()
        home(b, "us", 2)  # a promotion
        Gateway(b).put("/a/1", "us")
        a.thaw()
        Gateway(a).put("/a/1", "zombie")
        Gateway(a).put("/a/2", "zombie")
        await_(lambda: "the destination us (epoch 2)" in there.said(), "the first one knows")
        equal(Gateway(b).below("/a/"), {"/a/1": "us"}, "what a mirror of the old epoch wrote")
        home(a, "us", 2)
        same(b, a, "/a/")
        equal(Gateway(a).below("/a/"), {"/a/1": "us"}, "the old home, as the new one is")
        Gateway(b).put("/a/3", "us")
        is_there(a, "/a/3", "us")
        home(a, "eu", 3)  # and back again
        home(b, "eu", 3)
        Gateway(a).put("/a/4", "eu")
        is_there(b, "/a/4", "eu")
        same(a, b, "/a/")
        equal(sorted(Gateway(b).below("/a/")), ["/a/1", "/a/3", "/a/4"], "nothing was undone")
        equal((there.stop(), back.stop()), (0, 0), "exit codes")


def users_of_both_sides(world):
    '''each side has a user of its own, by option, credential file or context; what is denied is said, and shown by status when it can be'''
    with server(world, "a") as a, server(world, "b") as b:
        for s, user in ((a, "reader"), (b, "writer")):
            def ask(*args):
                world.tenure(*args, "--endpoints", s.url, check=True, env=world.environment(TENURE_PASSWORD="secret"))
            for name in ("root", user):
                ask("auth", "user", "add", name + ":secret")
            ask("auth", "user", "grant", "root", "root")
            ask("auth", "role", "add", "mirrors")
            ask("auth", "role", "grant", "mirrors", "read" if s is a else "readwrite", "/a/", "--prefix")
            ask("auth", "role", "grant", "mirrors", "read" if s is a else "readwrite", "/federation/", "--prefix")
            ask("auth", "user", "grant", user, "mirrors")
            ask("put", "/a/1", "one") if s is a else None
            ask("auth", "enable")
        denied = Mirror(world, a, [b], "--prefix", "/a/").start()
        await_(lambda: "user name is empty" in denied.said() or "denied" in denied.said(), "what is denied is said")
        denied.stop()
        for who in ([], ["--from-user", "reader:wrong", "--to-user", "writer:secret"]):
            once = world.tenure("mirror", "--from", a.url, "--to", b.url, "--prefix", "/a/", "--once", *who)
            equal(once.returncode, 1, f"--once does not wait for what is denied: {once.stderr}")
        gone = world.tenure("mirror", "status", "--to", b.url, "--user", "writer", "--name", "nobody", env=world.environment(TENURE_PASSWORD="secret"))
        equal(gone.returncode, 1, "no mirror of that name")
        true("'nobody'" in gone.stderr, gone.stderr)
        Mirror(world, a, [b], "--prefix", "/a/", "--from-user", "reader:secret", "--to-user", "writer:secret", "--once").start().ends()
        password = world.environment(TENURE_PASSWORD="secret")

        def value():
            return world.tenure("get", "/a/1", "--print-value-only", "--endpoints", b.url, "--user", "writer", env=password).stdout
        equal(value(), "one\n", "the copy")
        Path(world.path("credentials")).write_text(f"machine {a.url[7:]} login reader password secret\n"
                                                   f"machine {b.url[7:]} login writer password secret\n")
        os.chmod(world.path("credentials"), 0o600)
        Path(world.path("contexts")).write_text(json.dumps({"contexts": {"here": {"endpoints": a.url}, "there": {"endpoints": b.url}}}))
        env = world.environment(TENURE_CREDENTIALS=world.path("credentials"), TENURE_CONTEXTS=world.path("contexts"))
        world.tenure("put", "/a/1", "two", "--endpoints", a.url, "--user", "root", env=password, check=True)
        run = world.tenure("mirror", "--from-context", "here", "--to-context", "there", "--prefix", "/a/", "--once", env=env, check=True)
        true(run.stdout.startswith("there /a/: "), run.stdout)
        equal(value(), "two\n", "the copy by contexts")
        run = world.tenure("mirror", "status", "--to-context", "there", "-o", "json", env=env, check=True)
        equal(len(json.loads(run.stdout)["mirrors"]), 1, "mirrors shown")
        equal(world.tenure("mirror", "status", "--to-context", "none", env=env).returncode, 2, "the exit code of a context that is none")


def a_restored_source_is_noticed(world):
    '''a source that was put back to an older state is refused, until --replace says that it counts'''
    if world.server_kind != "tenure":
        raise Skip("a copy of the directory is enough on one server")
    with server(world, "a") as a, server(world, "b") as b:
        Gateway(a).put("/a/1", "old")
        a.stop()
        shutil.copytree(a.folder / "data", a.folder / "kept")
        a.start()
        mirror = Mirror(world, a, [b], "--prefix", "/a/").start()
        for i in range(5):
            Gateway(a).put(f"/a/{i}", "new")
        same(a, b, "/a/")
        mirror.stop()
        a.stop()
        shutil.rmtree(a.folder / "data")
        shutil.copytree(a.folder / "kept", a.folder / "data")
        a.start()
        refused = Mirror(world, a, [b], "--prefix", "/a/").start()
        equal(refused.ends(), 1, "the exit code")
        true("restored from an older state" in refused.said(), refused.said())
        for i in range(9):
            Gateway(a).put(f"/a/{i}", "other")
        again = Mirror(world, a, [b], "--prefix", "/a/").start()
        equal(again.ends(), 1, "the exit code when the revisions have caught up")
        true("history was restored or replaced" in again.said(), again.said())
        mirror = Mirror(world, a, [b], "--prefix", "/a/", "--replace").start()
        same(a, b, "/a/")
        mirror.stop()


def nothing_is_lost_over_kills(world):
    '''mirror, source and destination are killed in turns while the source is written to: equal at the end, no delete lost, none undone'''
    with server(world, "a") as a, server(world, "b", other_kind(world)) as b:
        play(world, a, b, 9 if world.server_kind == "tenure" and other_kind(world) == "tenure" else 6, 7)


if __name__ == "__main__":
    main([changes_are_carried, large_revisions_go_in_parts, large_values, deletes_are_kept, what_is_not_ours_is_refused,
          what_others_write_there_is_undone, both_ways_with_prefixes_of_their_own, the_second_of_a_name_takes_over, leases_are_the_mirrors_own,
          stopped_beyond_its_leases, one_that_is_dead_holds_nobody_up, once_ends, homes_are_obeyed, users_of_both_sides, a_restored_source_is_noticed,
          nothing_is_lost_over_kills])
