"""What goes wrong under `tenure lock`: it is killed or stopped, its guardian is, the server goes; and its command has ended before
somebody else may hold the lock, by real processes and real signals (M12, L2, L3, M7)."""

import contextlib
import os
import signal

from lock_command import *


# --- helpers ----------------------------------------------------------------------------------------------------------


def begin_both(world, ttl):
    """A command that obeys TERM and one that does not, under a lock each; [(name, process, stamps)]."""
    held = [(name, *begin(world, name, *options, ttl=ttl)) for name, options in (("a", []), ("b", ["--ignore-term"]))]
    for _, _, stamps in held:
        stamps.await_alive()
    return held


def dead_in_time(stamps, since, ttl_ms=3000):
    """The command lived no longer than the latest possible safe-until, when nothing was renewed since then."""
    over = stamps.last()[3] - (since + ttl_ms - MARGIN_MS - ttl_ms // 100)
    true(over < 0, f"it was dead before the latest possible safe-until ({over} ms)")


# --- tenure is killed or stopped --------------------------------------------------------------------------------------


def tenure_killed(world):
    """tenure killed with -9: the guardian ends the command and gives the lock back long before the TTL (M12)"""
    process, stamps = begin(world, "a", ttl="60")
    stamps.await_alive()
    guardian = guardian_of(world, process)
    process.kill()
    killed = boottime_ms()
    handed_over(world, "a", stamps)
    true(stamps.last()[0] == "term", "the command got TERM")
    true(stamps.last()[3] - killed < 30000, "at once, not when the lease ran out")
    await_(lambda: not is_running(guardian), "the guardian is gone")
    free(world)


def tenure_killed_term_ignored(world):
    """tenure killed with -9 while its command ignores TERM: KILL follows after the grace, and only then the next holder"""
    process, stamps = begin(world, "a", "--ignore-term", ttl="60", options=("--grace", "0.5"))
    stamps.await_alive()
    process.kill()
    killed = boottime_ms()
    handed_over(world, "a", stamps)
    true(stamps.last()[3] > killed + 250, "it had its grace")


def group_killed(world):
    """kill -9 to tenure's whole process group does not take the guardian"""
    stamps = Stamps(world.path("stamps"))
    process = world.start("lock", "a", "--ttl", "60", "--", sys.executable, STAMP, stamps.path, start_new_session=True)
    stamps.await_alive()
    os.killpg(process.pid, signal.SIGKILL)
    handed_over(world, "a", stamps)


def tenure_and_guardian_killed(world):
    """tenure and guardian killed with -9: the kernel tells the command, the lock is free when the lease ends"""
    process, stamps = begin(world, "a", ttl="3")
    stamps.await_alive()
    guardian = guardian_of(world, process)
    stop(process.pid)  # so that it cannot start another guardian in between
    os.kill(guardian, signal.SIGKILL)
    process.kill()
    handed_over(world, "a", stamps)
    equal(stamps.last()[0], "term")


def tenure_stopped(world):
    """tenure stopped for twice the TTL: the command is dead before safe-until, the next token is greater, 121 on CONT"""
    held = begin_both(world, ttl="3")
    for _, process, _ in held:
        stop(process.pid)
    stopped = boottime_ms()
    for name, process, stamps in held:
        handed_over(world, name, stamps)
        dead_in_time(stamps, stopped)
    await_(lambda: boottime_ms() > stopped + 6000, "twice the TTL passes")
    for _, process, _ in held:
        os.kill(process.pid, signal.SIGCONT)
        err = ended(process, 121)
        true("lost" in err, f"it says that it lost: {err!r}")


def stopped_and_continued_in_time(world):
    """tenure stopped for less than the TTL goes on as if nothing had been"""
    process, stamps = begin(world, "a", ttl="8")
    stamps.await_alive()
    stop(process.pid)
    stopped = boottime_ms()
    await_(lambda: stamps.last()[3] > stopped + 500, "the command goes on meanwhile")
    os.kill(process.pid, signal.SIGCONT)
    process.terminate()
    ended(process, 3)
    free(world)


def leaver(world, name, script):
    """A command that starts another process in a session of its own and stays; (process, stamps of the other one)."""
    stamps = Stamps(world.path(f"{name}.leaver"))
    process = world.start("lock", name, "--ttl", "3", "--", "sh", "-c", script, "sh", sys.executable, STAMP, stamps.path, "--ignore-term")
    world.will_end(stamps.await_alive().first()[1])
    return process, stamps


def leavers_end(world, script, *harms):
    """Each harm meets a lock of its own; what left the group is gone in time."""
    turn = len(os.listdir(world.folder))
    left = [leaver(world, f"leaves-{turn}-{n}", script) for n in range(len(harms))]
    for harm, (process, _) in zip(harms, left):
        harm(process)
    harmed = boottime_ms()
    for process, stamps in left:
        await_(lambda: not is_running(stamps.first()[1]), "it is gone")
        dead_in_time(stamps, harmed)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
    world.server.thaw()
    for process, _ in left:
        process.wait(PATIENCE_S)


def left_the_group(world):
    """what left the command's group is ended with it when the lock is lost, by tenure or by its guardian"""
    script = 'setsid "$@" & exec sleep 600'
    leavers_end(world, script, lambda p: stop(p.pid), lambda p: p.kill())
    leavers_end(world, script, lambda _: world.server.freeze())


def orphans_that_left_the_group(world):
    """also what left the group and whose parents have ended is found, by tenure or by its guardian"""
    leavers_end(world, '(setsid "$@" &); exec sleep 600', lambda p: stop(p.pid), lambda p: p.kill())


def daemons_stay(world):
    """a command that ends by itself may leave a daemon, in a session of its own, behind"""
    stamps = Stamps(world.path("daemon"))
    result = world.tenure("lock", "a", "--", "sh", "-c", 'setsid "$@" >/dev/null 2>&1 & while [ ! -s "$3" ]; do sleep 0.02; done',
                          "sh", sys.executable, STAMP, stamps.path)
    equal(result.returncode, 0)
    pid = world.will_end(stamps.first()[1])
    free(world)
    now = boottime_ms()
    await_(lambda: stamps.last()[3] > now + 100, "it goes on")
    true(is_running(pid), "it is there")


def children_from_before(world):
    """what a shell had started before it executed tenure is none of its business"""
    stamps = Stamps(world.path("before"))
    process = world.start("-c", 'TENURE_TOKEN=0 "$1" "$2" "$3" & while [ ! -s "$3" ]; do sleep 0.02; done; exec "$0" lock a --ttl 3 -- sleep 600',
                          TENURE, sys.executable, STAMP, stamps.path, program="sh")
    pid = world.will_end(stamps.await_alive().first()[1])
    guardian_of(world, process)
    await_(lambda: any(read(f"/proc/{c}/comm") == "sleep\n" for c in children(process.pid)), "the command runs")
    world.server.freeze()
    equal(process.wait(PATIENCE_S), 121)
    ended_at = boottime_ms()
    await_(lambda: stamps.last()[3] > ended_at + 50, "it goes on")
    true(is_running(pid) and stamps.last()[0] == "alive", "it was not told to end")


def one_in_another(world):
    """a lock in a lock: when the outer one is lost, the inner one's command is dead before the outer safe-until"""
    stamps = Stamps(world.path("inner"))
    process = world.start("lock", "outer", "--ttl", "3", "--", TENURE, "lock", "inner", "--ttl", "60", "--", sys.executable, STAMP,
                          stamps.path, "--ignore-term")
    world.will_end(stamps.await_alive().first()[1])
    stop(process.pid)
    stopped = boottime_ms()
    await_(lambda: not is_running(stamps.first()[1]), "the inner command is gone")
    dead_in_time(stamps, stopped)
    os.kill(process.pid, signal.SIGCONT)
    ended(process, 121)


def guardian_killed(world):
    """a guardian that is killed is replaced, and the new one does its duty"""
    process, stamps = begin(world, "a", "--ignore-term", ttl="3")
    stamps.await_alive()
    first = guardian_of(world, process)
    os.kill(first, signal.SIGKILL)
    second = await_(lambda: next((g for g in [guardian_of(world, process)] if g != first), None), "another guardian")
    true(is_running(stamps.last()[1]), "the command was not harmed")
    stop(process.pid)
    stopped = boottime_ms()
    handed_over(world, "a", stamps)
    dead_in_time(stamps, stopped)
    true(is_running(second), "the second guardian is still there")
    os.kill(process.pid, signal.SIGCONT)
    ended(process, 121)
    await_(lambda: not is_running(second), "the guardian ends with tenure")


def guardians_killed(world):
    """when every guardian is killed, the command does not go on without one: TERM, and exit code 125"""
    process, stamps = begin(world, "a", ttl="60")
    stamps.await_alive()
    seen = set()
    while process.poll() is None:
        true(len(seen) < 50, "it gives up after a bounded number of guardians")
        for pid in children(process.pid):
            if pid not in seen and read(f"/proc/{pid}/comm").strip() == "tenure-guardian":
                seen.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    ended(process, 125)
    equal(stamps.last()[0], "term")
    free(world)


def nobody_reads_stderr(world):
    """a standard error that is full and never read does not keep the guardian from its duty"""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    stamps = Stamps(world.path("stamps"))
    process = world.start("lock", "a", "--ttl", "60", "--", sys.executable, STAMP, stamps.path, stderr=writer)
    stamps.await_alive()
    process.kill()
    handed_over(world, "a", stamps)
    os.close(reader)
    os.close(writer)


def guardian_stopped(world):
    """with a guardian that is stopped, tenure itself ends the command in time"""
    process, stamps = begin(world, "a", "--ignore-term", ttl="3")
    stamps.await_alive()
    guardian = guardian_of(world, process)
    stop(guardian)
    world.server.freeze()
    frozen = boottime_ms()
    await_(lambda: boottime_ms() > frozen + 3000, "the TTL passes")
    dead_in_time(stamps, frozen)
    os.kill(guardian, signal.SIGCONT)
    world.server.thaw()
    ended(process, 121)


def guardians_ignore_signals(world):
    """signals that end programs do not end a guardian while tenure lives"""
    process, stamps = begin(world, "a")
    stamps.await_alive()
    guardian = guardian_of(world, process)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        os.kill(guardian, number)
    process.terminate()
    ended(process, 3)
    await_(lambda: not is_running(guardian), "the guardian ends with tenure")


def guardian_is_light(world):
    """the guardian holds no connection, and neither its input nor its output"""
    process, stamps = begin(world, "a")
    stamps.await_alive()
    guardian = guardian_of(world, process)
    await_(lambda: len(os.listdir(f"/proc/{guardian}/fd")) == 5, "it has 5 descriptors")
    targets = sorted(os.readlink(f"/proc/{guardian}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{guardian}/fd"))
    equal(targets, ["/dev/null", "/dev/null", "anon_inode", "pipe", "socket"])
    true(os.getsid(guardian) == guardian, "it has a session of its own")


# --- the server goes --------------------------------------------------------------------------------------------------


def server_gone(world, how):
    held = begin_both(world, ttl="3")
    how(world.server)
    gone = boottime_ms()
    for _, process, stamps in held:
        err = ended(process, 121)
        dead_in_time(stamps, gone)
        true("lost" in err, f"it says that it lost: {err!r}")


def server_killed(world):
    """server killed: the command is ended before safe-until, exit code 121"""
    server_gone(world, lambda server: server.kill())


def server_frozen(world):
    """server frozen: the command is ended before safe-until, exit code 121"""
    server_gone(world, lambda server: server.freeze())


def server_away_for_a_moment(world):
    """a server that is killed and comes back within the TTL takes nobody's lock"""
    process, stamps = begin(world, "a", ttl="20")
    token = stamps.await_alive().first()[2]
    world.server.kill()
    world.server.start()
    true(is_running(stamps.last()[1]), "the command goes on")
    equal(world.tenure("lock", "a", "--timeout", "0", "true").returncode, 124)
    process.terminate()
    ended(process, 3)
    equal(stamps.last()[2], token)
    free(world)


def revoked(world):
    """a lease that somebody revokes ends the command at once, exit code 121"""
    process, stamps = begin(world, "a", ttl="60")
    stamps.await_alive()
    lease = world.tenure("lease", "list").stdout.split()[0]
    world.tenure("lease", "revoke", lease, check=True)
    done = boottime_ms()
    ended(process, 121)
    equal(stamps.last()[0], "term")
    true(stamps.last()[3] < done + 15000, "not only when the TTL had passed")


def key_deleted(world):
    """a key that somebody deletes ends the command, KILL following TERM, exit code 121"""
    process, stamps = begin(world, "a", "--ignore-term", ttl="60")
    stamps.await_alive()
    world.tenure("del", "--prefix", "/locks/a/", check=True)
    ended(process, 121)
    free(world)


# The server has no part in these: on etcd once, without sanitizers, is enough.
OF_ITSELF = [tenure_killed_term_ignored, group_killed, tenure_and_guardian_killed, stopped_and_continued_in_time, left_the_group,
             orphans_that_left_the_group, daemons_stay, children_from_before, one_in_another, guardian_killed, guardians_killed,
             nobody_reads_stderr, guardian_stopped, guardians_ignore_signals, guardian_is_light]
WITH_THE_SERVER = [tenure_killed, tenure_stopped, server_killed, server_frozen, server_away_for_a_moment, revoked, key_deleted]

main(WITH_THE_SERVER + ([] if "etcd" in sys.argv and os.environ.get("SANITIZED") else OF_ITSELF))
