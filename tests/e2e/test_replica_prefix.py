"""`tenure replica --prefix`: a copy of some of the keys, begun with a range at one revision."""

import random

from replicas import *


def below(prefix):
    return {"key": b64(prefix), "range_end": b64(prefix[:-1] + chr(ord(prefix[-1]) + 1))}


def refused(ask):
    try:
        return Failure(f"answered: {ask()}")
    except Refused as why:
        return why


class Partly(Replica):
    def __init__(self, folder, source, *prefixes, options=()):
        super().__init__(folder, source, *[word for prefix in prefixes for word in ("--prefix", prefix)], *options)


def same_numbers(world, replica, *prefixes):
    """Linearizable, so that it has what was written before, whatever was."""
    for prefix in prefixes:
        source = Gateway(world.server.url).ask("kv/range", below(prefix))
        copy = Gateway(replica.url).ask("kv/range", below(prefix))
        equal(copy.get("kvs"), source.get("kvs"), f"the keys below {prefix}")
        equal(copy["header"]["revision"], source["header"]["revision"], "the revision")


# --- what is held ---------------------------------------------------------------------------------------------------------


def chosen_prefixes_are_held(world):
    '''chosen keys have their numbers, the revision is the source's although others made it, and what is not held is refused or sent on'''
    source = Gateway(world.server.url)
    for key in ("a/1", "b/1", "a/2", "c/1", "a/1", "d/1"):
        source.put(key, "1")
    source.delete("a/2")
    replica = Partly(world.folder / "replica", world.server, "a/", "c/", "a/x")
    sends_on = Partly(world.folder / "sends-on", world.server, "a/", options=("--others", "forward"))
    with servers(replica.start(), sends_on.start()):
        same_numbers(world, replica, "a/", "c/")
        begun = int(source.range()[0])
        watching = Watching(replica.url, begun + 1, prefix="a/")
        for i in range(5):
            source.put("b/1", str(i))
        last = source.put("d/1", "2")
        same_numbers(world, replica, "a/", "c/")
        copy = Gateway(replica.url)
        copy.put("a/3", "1")  # sent on
        source.delete("a/1")
        source.put("b/2", "1")
        done = copy.ask("kv/txn", {"success": [{"request_put": {"key": b64(k), "value": b64("1")}} for k in ("a/4", "b/3", "c/2")]})
        same_numbers(world, replica, "a/", "c/")
        both = int(done["header"]["revision"])
        await_(lambda: watching.next > both, "the watch has come to the end")
        equal(watching.end().seen, [(last + 1, "a/3", "1"), (last + 2, "a/1", None), (both, "a/4", "1")], "what a watch saw")

        for path, request in (("kv/range", {"key": b64("b/1")}), ("kv/range", below("b/")), ("kv/range", {"key": "AA==", "range_end": "AA=="}),
                              ("kv/range", {"key": b64("a/"), "range_end": b64("b")}), ("kv/range", {"key": b64("a/"), "range_end": "AA=="}),
                              ("kv/txn", {"success": [{"request_range": {"key": b64("b/1"), "serializable": True}}]}),
                              ("kv/txn", {"compare": [{"key": b64("b/1"), "target": "VERSION", "version": "1"}]}),
                              ("maintenance/hash", {}), ("maintenance/hashkv", {})):
            why = refused(lambda: copy.ask(path, request))
            true(getattr(why, "status", 0) == 9 and "the keys that begin with a/ or c/" in why.text, f"{path} {request}: {why}")
        told = world.tenure("watch", "b/1", "--endpoints", replica.url, timeout=20)
        true(told.returncode != 0 and "the keys that begin with a/ or c/" in told.stderr, f"a watch: {told.stderr}")
        saved = world.tenure("snapshot", "save", world.path("saved"), "--endpoints", replica.url)
        true(saved.returncode != 0 and "copied by ranges" in saved.stderr, f"a snapshot: {saved.stderr}")
        equal(Gateway(sends_on.url).ask("kv/range", below("b/")).get("kvs"), source.ask("kv/range", below("b/")).get("kvs"), "sent on")

        chained = world.run([TENURE, "replica", "--from", replica.url, "--data-dir", world.path("chained"), "--listen", "http://127.0.0.1:0",
                             "--prefix", "a/"])
        true(chained.returncode == 1 and "some keys alone" in chained.stderr, f"a replica of it: {chained.stderr}")
        true(status(world, replica)["holds"] == "the keys that begin with a/ or c/", "the status says what is held")
        verify(world, world.server, replica, sends_on)
        replica.kill()
        other = world.run([TENURE, "replica", "--from", world.server.url, "--data-dir", str(replica.folder / "data"), "--listen",
                           "http://127.0.0.1:0", "--prefix", "a/"])
        true(other.returncode == 1 and "a/ or c/" in other.stderr and "--prefix" in other.stderr, f"others: {other.stderr}")
        source.put("b/1", "6")
        source.put("c/1", "2")
        source.delete("c/2")
        replica.start()
        same_numbers(world, replica, "a/", "c/")
        verify(world, world.server, replica)


def all_keys_by_ranges(world):
    '''all keys can be copied by ranges, and are where a source gives no snapshot: there is no past, and no hash'''
    source = Gateway(world.server.url)
    source.put("a", "1")
    source.put("a", "2")
    first = Replica(world.folder / "first", world.server, "--prefix", "")
    with servers(first.start()):
        second = Replica(world.folder / "second", first)
        with servers(second.start()):
            for copy in (first, second):
                equal(Gateway(copy.url).range(), source.range(), "all keys")
                why = refused(lambda: Gateway(copy.url).range(serializable=True, revision="2"))
                true("compacted" in why.text, f"the past: {why}")
            source.put("b", "1")
            source.delete("a")
            catches_up(world.server, second)
            equal(Gateway(second.url).range(), source.range(), "what came behind")
            verify(world, world.server, first, second)


# --- what goes wrong ------------------------------------------------------------------------------------------------------


def compacted_beyond(world):
    '''a source that has compacted what it missed is caught up with exactly, deletes too, and its compactions are followed'''
    source = Gateway(world.server.url)
    for i in range(10):
        source.put(f"a/{i}", "1")
        source.put(f"b/{i}", "1")
    replica = Partly(world.folder / "replica", world.server, "a/")
    with servers(replica.start()):
        behind = source.put("b/0", "2")
        same_numbers(world, replica, "a/")
        replica.kill()
        for i in range(0, 10, 2):
            source.delete(f"a/{i}")
        revision = source.put("b/1", "2")
        source.compact(revision)
        source.put("a/1", "2")
        replica.start()
        await_(lambda: answers_alike(world, replica, "a/"), "the difference is there")
        verify(world, world.server, replica)
        watching = Watching(replica.url, behind, prefix="a/")
        await_(lambda: watching.compacted, "a watch from what was missed is told that it is compacted")
        watching.end()
        revision = source.put("b/1", "3")
        same_numbers(world, replica, "a/")  # it follows from there: else it might be lost, and made anew
        source.compact(revision)
        await_(lambda: status(world, replica)["compacted"] >= revision, "a compaction is followed")
        source.put("a/1", "4")
        same_numbers(world, replica, "a/")
        equal(set(os.listdir(replica.folder / "data")) & {"copy", "next"}, set(), "nothing is left beside the copy")


def answers_alike(world, replica, prefix):
    with contextlib.suppress(ConnectionError, Refused):
        return (Gateway(replica.url).ask("kv/range", below(prefix)).get("kvs") ==
                Gateway(world.server.url).ask("kv/range", below(prefix)).get("kvs"))


def killed_at_any_moment(world):
    '''killed while it copies and while it follows, with writes and deletes all the time, it ends equal, and no watcher was told anything wrong'''
    rng = random.Random(7)
    source = Gateway(world.server.url)
    value = "x" * 2000
    for i in range(800):
        source.put(f"a/{i:04}", value)
    begun = source.put("b/0", "1")
    ending = threading.Event()

    def write():
        mine = Gateway(world.server.url)
        dice = random.Random(8)
        while not ending.is_set():
            with contextlib.suppress(ConnectionError, Refused):
                key = f"{dice.choice('abb')}/{dice.randrange(900):04}"
                mine.delete(key) if dice.random() < 0.4 else mine.put(key, str(dice.random()))
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    replica = Partly(world.folder / "replica", world.server, "a/")
    try:
        with servers(replica):
            for _ in range(4):
                half = subprocess.Popen(replica.command(str(replica.folder / "data"), "http://127.0.0.1:0"),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(rng.random() * 0.25)
                half.kill()
                half.wait()
            replica.start()
            from_revision = int(Gateway(replica.url).ask("kv/range", {**below("a/"), "count_only": True, "serializable": True})["header"]["revision"]) + 1
            watching = Watching(replica.url, from_revision, prefix="a/")
            for _ in range(3):
                time.sleep(rng.random() * 0.3)
                replica.kill()
                time.sleep(rng.random() * 0.2)
                replica.start()
            ending.set()
            writer.join(PATIENCE_S)
            last = source.put("a/last", "1")
            same_numbers(world, replica, "a/")
            verify(world, world.server, replica)
            await_(lambda: watching.next > last, "the watch has come to the end")
            told = Watching(world.server.url, begun, prefix="a/")
            await_(lambda: told.next > last, "the source's watch too")
            equal(watching.end().seen, [e for e in told.end().seen if e[0] >= from_revision], "what a watch was told, over all kills")
            equal(watching.gaps, [], "nothing was compacted before it")
    finally:
        ending.set()
        writer.join(PATIENCE_S)


main([chosen_prefixes_are_held, all_keys_by_ranges, compacted_beyond, killed_at_any_moment])
