"""`tenure replica`: a copy that keeps revisions, of tenure serve, of etcd and of another replica."""

import random

from replicas import *

# --- the copy -----------------------------------------------------------------------------------------------------------


def history_is_kept(world):
    '''a replica has the source's history from before it began, follows it, goes on from its disk, and compacts with it'''
    source = Gateway(world.server.url)
    source.put("a", "1")
    source.put("a", "2")
    lease = source.ask("lease/grant", {"TTL": "600"})["ID"]
    leased = source.put("b", "1", lease=lease)
    with servers(Replica(world.folder / "replica", world.server).start()) as (replica,):
        copy = Gateway(replica.url)
        equal(copy.range(), (leased, {"a": "2", "b": "1"}), "what is there")
        first = leased - 2
        equal(copy.range(serializable=True, revision=str(first))[1], {"a": "1"}, "the first revision")
        equal(copy.ask("kv/range", {"key": b64("b")}), source.ask("kv/range", {"key": b64("b")}) |
              {"header": copy.ask("kv/range", {"key": b64("b")})["header"]}, "a key with all its numbers")
        watching = Watching(replica.url)
        source.ask("lease/revoke", {"ID": lease})
        last = source.put("c", "1")
        await_(lambda: watching.next > last, "the watch has come to the end")
        equal(watching.end().seen, [(first, "a", "1"), (first + 1, "a", "2"), (leased, "b", "1"), (leased + 1, "b", None),
                               (last, "c", "1")], "the history")
        verify(world, world.server, replica)
        now = status(world, replica)
        equal((now["state"], now["source"], now["error"]), ("follows", world.server.url, ""), "the status")
        true(0 <= now["staleness_ms"] < 10000 and now["revision"] == last, f"the status: {now}")
        none = world.tenure("replica", "status", "--endpoints", world.server.url)
        true(none.returncode == 1 and "is no replica" in none.stderr, f"there is no replica: {none.returncode} {none.stderr}")
        true(f"try: tenure status --endpoints {world.server.url}\n" in none.stderr, none.stderr)
        gone = "http://127.0.0.1:1"
        for both in (f"{gone},{world.server.url}", f"{world.server.url},{gone}"):
            equal(world.tenure("replica", "status", "--endpoints", both).returncode, 3, f"one does not answer: {both}")
        for at, origin in ((gone, world.server.url), (replica.url, gone)):
            away = world.tenure("replica", "verify", "--from", origin, "--endpoints", at, "--call-timeout", "2s")
            true(away.returncode == 3 and f"--endpoints {gone}\n" in away.stderr, f"who is away: {away.stderr}")
        same = world.tenure("replica", "verify", "--from", world.server.url, "--endpoints", replica.url)
        true(same.returncode == 0 and "(never compacted)" in same.stdout, f"it was never compacted: {same.stdout}{same.stderr}")
        replica.kill()
        source.delete("a")
        source.compact(leased)
        replica.start()
        verify(world, world.server, replica)
        try:
            Gateway(replica.url).range(serializable=True, revision=str(first))
            raise Failure("what the source has compacted can still be read")
        except Refused as refused:
            true("compacted" in refused.text, refused.text)
        refused = world.tenure("serve", "--data-dir", str(replica.folder / "data"), "--listen-client-urls",
                               "http://127.0.0.1:0", timeout=20)
        equal(refused.returncode, 1, "the exit code of a server on a copy")
        true("replica" in refused.stderr, refused.stderr)


def writes_go_to_the_source(world):
    '''writes, leases, locks and errors at a replica of a replica are the source's, and are seen there at once'''
    with servers(Replica(world.folder / "first", world.server).start()) as (first,):
        second = Replica(world.folder / "second", first)
        with servers(second.start()):
            source, copy = Gateway(world.server.url), Gateway(second.url)
            revision = copy.put("a", "1")
            equal(copy.range(), (revision, {"a": "1"}), "what was just written, read with a round to the source")
            for wrong in ({"key": ""}, {"key": b64("a"), "lease": "12345"}):
                errors = []
                for server in (source, copy):
                    try:
                        server.ask("kv/put", wrong)
                    except Refused as refused:
                        errors.append((refused.status, refused.text))
                equal(len(errors), 2, "errors")
                equal(errors[1], errors[0], "the error by way of replicas")
            result = world.tenure("lock", "x", "--endpoints", second.url, "--", "sh", "-c",
                                  f"{TENURE} get --prefix /locks/x/ --endpoints {world.server.url} --keys-only", check=True)
            true(result.stdout.startswith("/locks/x/"), f"the lock is held at the source: {result.stdout!r}")
            result = world.tenure("elect", "y", "--endpoints", second.url, "--", "true", check=True)
            granted = copy.ask("lease/grant", {"TTL": "60"})
            equal(copy.ask("lease/timetolive", {"ID": granted["ID"]})["grantedTTL"], "60", "the TTL granted")
            catches_up(world.server, second)
            verify(world, world.server, first, second)


# --- how old it is --------------------------------------------------------------------------------------------------------


def bounds_of_staleness_are_kept(world):
    '''what a read says of its age is never too little, whoever stands still'''
    if world.server_kind != "tenure":
        raise Skip("what is held to account is the replica, and a source that stands still is the same whoever it is")
    replica = Replica(world.folder / "replica", world.server)
    with servers(replica.start()):
        acked, ending = [(0.0, 1)], threading.Event()

        def write():
            source = Gateway(world.server.url)
            while not ending.is_set():
                with contextlib.suppress(ConnectionError, Refused):
                    revision = source.put("k", "v")
                    acked.append((time.monotonic(), revision))
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        copy, oldest = Gateway(replica.url), 0

        def read_for(seconds):
            nonlocal oldest
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                begun = time.monotonic()
                revision, _ = copy.range(serializable=True, count_only=True)
                age = copy.staleness()
                if age < 0:
                    continue
                oldest = max(oldest, age)
                # the clock of the server counts milliseconds, and the turn in which it answers may have begun before
                known = [r for at, r in list(acked) if at <= begun - (age + 2) / 1000 - 0.001]
                true(not known or revision >= known[-1],
                     f"revision {revision}, said to be {age} ms old, when {known and known[-1]} was acknowledged before that")
        try:
            read_for(0.5)
            world.server.freeze()
            read_for(0.5)
            world.server.thaw()
            read_for(0.3)
            replica.freeze()
            time.sleep(0.3)
            replica.thaw()
            read_for(0.3)
        finally:
            ending.set()
            writer.join(PATIENCE_S)
        true(oldest >= 300, f"the age grew while the source stood still: {oldest} ms at most")


def cut_off_it_goes_on_reading(world):
    '''without its source a replica answers serializable reads, says how old they are, and refuses the rest without having done it'''
    if world.server_kind != "tenure":
        raise Skip("a source that is gone is the same whoever it was")
    source = Gateway(world.server.url)
    revision = source.put("a", "1")
    replica = Replica(world.folder / "replica", world.server)
    strict = Replica(world.folder / "strict", world.server, "--max-staleness", "400ms")
    sends_on = Replica(world.folder / "sends-on", world.server, "--max-staleness", "1ms", "--when-stale", "forward")
    with servers(replica.start(), strict.start(), sends_on.start()):
        for server in (strict, sends_on):
            equal(await_(lambda: try_range(server), "it answers"), (revision, {"a": "1"}), "a read that is young enough")
        world.server.kill()
        copy = Gateway(replica.url)
        await_(lambda: copy.range(serializable=True) == (revision, {"a": "1"}) and copy.staleness() > 500, "the age grows")
        equal(await_(lambda: error_of(strict), "it refuses what is too old")[0], 14, "the status")
        for path, request in (("kv/range", {"key": b64("a")}),):
            try:
                copy.ask(path, request)
                raise Failure(f"{path} was answered without the source")
            except Refused as refused:
                equal(refused.status, 14, f"{path}: {refused.text}")
        result = world.tenure("put", "b", "1", "--endpoints", replica.url, "--call-timeout", "300ms")
        true(result.returncode != 0, "a write without the source fails")
        told = world.tenure("replica", "status", "--endpoints", replica.url, check=True).stdout
        true("follows a source that does not answer" in told and "0 behind when it last heard" in told, told)
        replica.kill()
        replica.start()
        copy.close()
        equal((copy.range(serializable=True), copy.staleness()), ((revision, {"a": "1"}), -1), "a read behind a restart")
        world.server.start()
        await_(lambda: try_range(strict), "it answers again")
        await_(lambda: try_put(copy), "writes are sent on again")
        catches_up(world.server, replica)
        verify(world, world.server, replica, strict)


def try_put(gateway):
    with contextlib.suppress(ConnectionError, Refused):
        return gateway.put("c", "1")


def error_of(server):
    try:
        Gateway(server.url).range(serializable=True)
    except Refused as refused:
        return refused.status, refused.text


# --- what goes wrong ------------------------------------------------------------------------------------------------------


def compacted_beyond(world):
    '''a source that has compacted what a replica missed is caught up with exactly, deletes too, while it goes on answering'''
    source = Gateway(world.server.url)
    for i in range(20):
        source.put(f"k{i}", "1")
    replica = Replica(world.folder / "replica", world.server)
    with servers(replica.start()):
        behind, _ = Gateway(replica.url).range(serializable=True)
        replica.kill()
        for i in range(0, 20, 2):
            source.delete(f"k{i}")
        revision = source.put("k1", "2")
        source.compact(revision)
        source.put("z", "1")
        replica.start()
        catches_up(world.server, replica)
        equal(Gateway(replica.url).range(), source.range(), "both sides")
        verify(world, world.server, replica)
        watching = Watching(replica.url, behind + 1)
        await_(lambda: watching.compacted, "a watch from what was missed is told that it is compacted")
        equal(watching.compacted, revision, "the compaction revision")
        watching.end()
        equal(sorted(os.listdir(replica.folder)), ["data", "log"], "nothing is left beside the copy")
        equal(set(os.listdir(replica.folder / "data")) & {"copy", "next"}, set(), "and nothing in it")


def another_history_is_refused(world):
    '''a source with an older or another history ends the replica with a word'''
    source = Gateway(world.server.url)
    source.put("a", "1")
    replica = Replica(world.folder / "replica", world.server)
    with servers(replica.start()):
        backup = world.path("backup")
        world.tenure("snapshot", "save", backup, check=True)
        source.put("a", "2")
        source.put("a", "3")
        catches_up(world.server, replica)
        replica.kill()
        other = Server("tenure", world.folder / "other")
        world.tenure("snapshot", "restore", backup, "--data-dir", str(other.folder / "data"), "--keep-revisions", check=True)
        with servers(other.start()):
            replica.source = other
            try:
                replica.start()
                await_(lambda: replica.process.poll() is not None, "it ends")
            except Failure:
                pass
            equal(replica.process.wait(PATIENCE_S), 1, "the exit code")
            true("this is a copy of" in read(replica.folder / "log"), "it says why")


def older_state_is_refused(world):
    '''the same cluster with older data, or other data at the same revision, is noticed'''
    if world.server.kind != "tenure":
        raise Skip("the files of tenure serve are put back")
    source = Gateway(world.server.url)
    source.put("a", "1")
    world.server.stop()
    shutil.copytree(world.server.folder / "data", world.folder / "old")
    world.server.start()
    Gateway(world.server.url).put("a", "2")
    replica = Replica(world.folder / "replica", world.server)
    for write_again in (False, True):
        with servers(replica.start()):
            catches_up(world.server, replica)
            replica.kill()
            world.server.kill()
            shutil.rmtree(world.server.folder / "data")
            shutil.copytree(world.folder / "old", world.server.folder / "data")
            world.server.start()
            if write_again:
                Gateway(world.server.url).put("a", "other")
            with contextlib.suppress(Failure):
                replica.start()
            equal(replica.process.wait(PATIENCE_S), 1, "the exit code")
            said = read(replica.folder / "log")
            true(("is another one than" if write_again else "restored from an older state") in said, said[-500:])
        shutil.rmtree(replica.folder)
        replica = Replica(world.folder / "replica", world.server)
        Gateway(world.server.url).put("a", "2")


def authentication_is_refused(world):
    '''a source that has authentication on, from the beginning or later, is not copied for anybody'''
    Gateway(world.server.url).put("secret", "1")
    replica = Replica(world.folder / "replica", world.server)
    late = Replica(world.folder / "late", world.server)
    with servers(replica.start(), late):
        source = Gateway(world.server.url)
        source.ask("auth/user/add", {"name": "root", "password": "x"})
        source.ask("auth/user/grant", {"user": "root", "role": "root"}) if world.server.kind == "tenure" else (
            source.ask("auth/role/add", {"name": "root"}), source.ask("auth/user/grant", {"user": "root", "role": "root"}))
        source.ask("auth/enable", {})
        equal(replica.process.wait(PATIENCE_S), 1, "the exit code")
        true("authentication on" in read(replica.folder / "log"), "it says why")
        with contextlib.suppress(Failure):
            late.start()
        true(late.process.wait(PATIENCE_S) != 0, "one that begins later ends as well")
        true(not os.path.exists(late.folder / "data"), "nothing was copied")


def lost_and_refused(world):
    '''one that cannot make its new copy yet refuses linearizable reads at once, and ends when its source turns authentication on'''
    source = Gateway(world.server.url)
    source.put("a", "1")
    replica = Replica(world.folder / "replica", world.server)
    with servers(replica.start()):
        catches_up(world.server, replica)
        replica.kill()
        for i in range(5):
            revision = source.put("a", str(i))
        source.compact(revision)
        (replica.folder / "data" / "copy").write_text("in the way of a new one")
        replica.start()
        await_(lambda: "no new copy yet" in read(replica.folder / "log"), "it says that there is no new copy")
        equal(Gateway(replica.url).range(serializable=True)[1] != {}, True, "serializable reads go on")
        begun = boottime_ms()
        with contextlib.suppress(Refused):
            Gateway(replica.url).range()
            raise Failure("a linearizable read was answered")
        true(boottime_ms() - begun < 5000, f"it was refused after {boottime_ms() - begun} ms")  # without a word it takes 10 s
        equal(status(world, replica)["state"], "copies anew", "its state")
        for body in (("auth/user/add", {"name": "root", "password": "x"}),
                     ("auth/role/add", {"name": "root"}), ("auth/user/grant", {"user": "root", "role": "root"})):
            with contextlib.suppress(Refused):
                source.ask(*body)
        source.ask("auth/enable", {})
        equal(replica.process.wait(PATIENCE_S), 1, "the exit code")
        true("authentication on" in read(replica.folder / "log"), "it says why")


# --- kills on both sides ----------------------------------------------------------------------------------------------------


def kills_on_both_sides(world):
    '''killed on both sides under writes, deletes, leases and compactions, a replica and one of it end as the source, and watchers of
    them have seen its history, each change once'''
    rng = random.Random(7)
    seconds, rounds = 0.9, 3 if world.server_kind == "tenure" else 2
    first = Replica(world.folder / "first", world.server)
    Gateway(world.server.url).put("k0", "begin")
    with servers(first.start()):
        second = Replica(world.folder / "second", first)
        with servers(second.start()):
            ending = threading.Event()

            def write(number):
                source, own = Gateway(world.server.url), random.Random(number)
                while not ending.is_set():
                    key, what = f"k{own.randrange(40)}", own.random()
                    with contextlib.suppress(ConnectionError, Refused):
                        if what < 0.7:
                            revision = source.put(key, str(own.random()))
                        elif what < 0.9:
                            revision = source.delete(key)
                        elif what < 0.95:
                            lease = source.ask("lease/grant", {"TTL": "60"})["ID"]
                            source.put(f"l{key}", "1", lease=lease)
                            source.ask("lease/revoke", {"ID": lease})
                        elif number == 0 and revision > 400:
                            source.compact(revision - 400)
            writers = [threading.Thread(target=write, args=[i], daemon=True) for i in range(2)]
            watchers = [Watching(s.url) for s in (world.server, first, second)]
            for thread in writers:
                thread.start()
            try:
                for _ in range(rounds):
                    time.sleep(seconds / 3)
                    victim = rng.choice([first, second])
                    victim.kill()
                    time.sleep(0.1)
                    victim.start()
                    time.sleep(seconds / 3)
                    world.server.kill()
                    time.sleep(0.1)
                    world.server.start()
            finally:
                ending.set()
                for thread in writers:
                    thread.join(PATIENCE_S)
            last = Gateway(world.server.url).put("end", "1")
            for watcher in watchers:
                await_(lambda: watcher.next > last, f"the watch of {watcher.address} has come to revision {last}", 60)
            histories = [watcher.end() for watcher in watchers]
            for history in histories[1:]:
                compare_histories(histories[0], history)
            verify(world, world.server, first, second)


def compare_histories(source, copy):
    """Nothing is missing but what a compaction had taken from one of them, and was said to have."""
    for watcher in (source, copy):
        true(all(a[0] < b[0] or a[0] == b[0] and a[1] < b[1] for a, b in zip(watcher.seen, watcher.seen[1:])),
             "changes come in order, and none twice")

    def of(watcher):
        return [e for e in watcher.seen if not any(begin <= e[0] <= end for begin, end in source.gaps + copy.gaps)]

    equal(of(copy), of(source), f"the history at the copy, but for {source.gaps} and {copy.gaps}")


main([history_is_kept, writes_go_to_the_source, bounds_of_staleness_are_kept, cut_off_it_goes_on_reading, compacted_beyond,
      another_history_is_refused, older_state_is_refused, authentication_is_refused, lost_and_refused, kills_on_both_sides])
