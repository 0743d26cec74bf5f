"""What a replica does in its directory, whatever that is, and when it or its source stands still for longer than anybody waits."""

import subprocess

from replicas import *


MAY_MOUNT = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]


class Mounted(Replica):
    """Its directory is a mount point, as a volume of a container is."""

    def command(self, data, url):
        os.makedirs(data, exist_ok=True)
        return ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64m tmpfs "$0" && mkdir "$0/lost+found" && exec "$@"', data,
                *super().command(data, url)]


def loses_history(world, replica, key):
    """While the replica stands, its source compacts what it lacks. Answers the compaction revision."""
    replica.freeze()
    world.server.kill()  # what was sent already would be read
    world.server.start()
    source = Gateway(world.server.url)
    for i in range(5):
        revision = source.put(key, str(i))
    source.delete("gone")
    source.compact(revision + 1)
    source.put("behind", "1")
    replica.thaw()
    return revision + 1


def a_mount_point_holds_it(world):
    '''a new copy takes its place in a directory that is a mount point, and cannot be renamed'''
    if subprocess.run(MAY_MOUNT, stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("mounting needs root")
    source = Gateway(world.server.url)
    source.put("gone", "1")
    replica = Mounted(world.folder / "replica", world.server)
    with servers(replica.start()):
        for key in ("a", "b"):
            source.put("gone", "1")
            catches_up(world.server, replica)
            loses_history(world, replica, key)
            source.close()
            await_(lambda: "gone" not in (try_range(replica) or (0, {"gone": ""}))[1], "the difference is there")
            catches_up(world.server, replica)
            verify(world, world.server, replica)


def what_is_half_done_is_finished(world):
    '''killed while a copy is made or takes its place, it goes on: what was half made is removed, what was whole is taken'''
    source = Gateway(world.server.url)
    source.put("a", "1")
    replica = Replica(world.folder / "replica", world.server)
    data = replica.folder / "data"
    with servers(replica.start()):
        second = world.run([TENURE, "replica", "--from", world.server.url, "--data-dir", str(data), "--listen", "http://127.0.0.1:0"])
        true(second.returncode == 1 and f"in use by process {replica.pid}" in second.stderr, f"a second one: {second.stderr}")
        replica.stop()
        (data / "copy" / "data.restoring").mkdir(parents=True)
        (data / "copy" / "snapshot.part").write_text("half of it")
        for name in ("tenure.db", "tenure.db.new", "tenure.db.new-journal"):  # the journal: killed while the log's tables were made
            (data / "copy" / "data.restoring" / name).write_text("half of it")
        replica.start()
        equal(set(os.listdir(data)) & {"copy", "next"}, set(), "what was half made")
        verify(world, world.server, replica)
        for names in (("replica", "tenure.db"), ("tenure.db",), ()):
            replica.stop()
            (data / "next").mkdir()
            for name in names:
                (data / name).rename(data / "next" / name)
            for name in ("tenure.db-wal", "leases"):
                (data / name).write_text("of the copy before")
            if not names:
                (data / "tenure.db-wal").unlink()
            replica.start()
            equal(set(os.listdir(data)) & {"copy", "next"}, set(), "a change that was cut short")
            source.put("a", "2")
            catches_up(world.server, replica)
            verify(world, world.server, replica)


def a_new_copy_remembers_users(world):
    '''that the source had authentication on is noted while a new copy is made, and not forgotten when that one takes the place'''
    Gateway(world.server.url).put("gone", "1")
    replica = Replica(world.folder / "replica", world.server)
    mark = replica.folder / "data" / "replica"
    with servers(replica.start()):
        catches_up(world.server, replica)
        mark.write_text(mark.read_text() + "users=on\n")
        loses_history(world, replica, "a")
        await_(lambda: replica.process.poll() is not None or "gone" not in (try_range(replica) or (0, {"gone": ""}))[1], "the new one is there")
        true("users=on" in mark.read_text(), f"the mark: {mark.read_text()}")


def a_directory_of_others_is_left_alone(world):
    '''a directory that holds anything else is not taken for a copy'''
    folder = world.folder / "other"
    folder.mkdir()
    (folder / "letter").write_text("dear")
    world.server.url  # noqa: B018, it is started
    result = world.run([TENURE, "replica", "--from", world.server.url, "--data-dir", str(folder), "--listen", "http://127.0.0.1:0"])
    true(result.returncode == 1 and "not empty" in result.stderr, f"refused: {result.returncode} {result.stderr}")
    equal(os.listdir(folder), ["letter"], "what was there")


def who_stands_still_is_believed_for_no_longer(world):
    '''a replica or a source that stands still for longer than a lease lives and than silence is borne loses nothing, and says its age'''
    if world.server_kind != "tenure":
        raise Skip("who stands still is the same whoever it is")
    source = Gateway(world.server.url)
    source.put("a", "0")
    replica = Replica(world.folder / "replica", world.server)
    with servers(replica.start()):
        copy, watching = Gateway(replica.url), Watching(replica.url)
        lease = copy.ask("lease/grant", {"TTL": "2"})["ID"]
        copy.put("leased", "1", lease=lease)
        catches_up(world.server, replica)
        replica.freeze()
        stood = boottime_ms()
        await_(lambda: "leased" not in source.range()[1], "the lease that nobody can renew through it has run out")
        source.put("a", "1")
        last_known = boottime_ms()  # the source has it
        replica.thaw()
        true(last_known - stood >= 1500, f"it stood for {last_known - stood} ms")
        asked = boottime_ms()
        revision, keys = await_(lambda: answer_of(copy, True), "it answers at once")
        true("leased" not in keys or copy.staleness() >= asked - last_known - 1, f"{keys} {copy.staleness()} ms old, {asked - last_known}")
        equal(copy.range()[1], {"a": "1"}, "a linearizable read has it")
        last = source.put("a", "2")
        await_(lambda: watching.next > last, "the watch is told all")

        world.server.freeze()
        stood = boottime_ms()
        await_(lambda: copy.range(serializable=True) and copy.staleness() >= 3400, "it goes on answering, and its age grows")
        true(boottime_ms() - stood >= 3400 - 450, "the age is not exaggerated by more than two rounds")
        world.server.thaw()
        await_(lambda: answer_of(copy, False), "linearizable reads go on")
        last = source.put("a", "3")
        await_(lambda: watching.next > last, "the watch goes on")
        equal([e[2] for e in watching.end().seen if e[1] == "a"], ["0", "1", "2", "3"], "each change once")
        equal([e[2] for e in watching.seen if e[1] == "leased"], ["1", None], "the lease's key")
        await_(lambda: status(world, replica)["error"] == "", "the error is over")
        verify(world, world.server, replica)


def answer_of(gateway, serializable):
    with contextlib.suppress(ConnectionError, Refused):
        return gateway.range(serializable=serializable)


main([a_mount_point_holds_it, what_is_half_done_is_finished, a_new_copy_remembers_users, a_directory_of_others_is_left_alone,
      who_stands_still_is_believed_for_no_longer])
