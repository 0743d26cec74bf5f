"""`tenure lock` as people use it: every way in which it can end, by real processes and real signals (M12, L2, L3, M7)."""

import contextlib
import json
import os
import re
import signal
import sys

from harness import *

STAMP = str(Path(__file__).with_name("stamp.py"))
MARGIN_MS = 250  # and 1 % of the TTL


# --- helpers ----------------------------------------------------------------------------------------------------------


class Stamps:
    """What stamp.py left in a file: (what, pid, token, ms)."""

    def __init__(self, path):
        self.path = path

    def all(self):
        return [(w, int(p), int(t), int(ms)) for w, p, t, ms in (line.split() for line in lines(self.path))]

    def first(self):
        return self.all()[0]

    def last(self):
        return self.all()[-1]

    def await_alive(self):
        await_(lambda: self.all(), "the command has begun")
        return self


def begin(world, name, *command_options, ttl="4", options=()):
    """A command under the lock that stamps a file of its own; (process, stamps)."""
    stamps = Stamps(world.path(f"{name}.{len(os.listdir(world.folder))}.stamps"))
    process = world.start("lock", name, "--ttl", ttl, *options, "--", sys.executable, STAMP, stamps.path, *command_options)
    return process, stamps


def ended(process, code):
    out, err = process.communicate(timeout=PATIENCE_S)
    equal(process.returncode, code, f"exit code (stderr: {err.strip()})")
    return err


def guardian_of(world, process, command_pid=None):
    """The child of tenure that is not the command."""

    def find():
        found = [pid for pid in children(process.pid) if pid != command_pid and
                 read(f"/proc/{pid}/comm").strip() == "tenure-guardian"]
        return found[0] if found else None

    return world.will_end(await_(find, "a guardian is there"))


def is_free(world, prefix="/locks/"):
    """No key and no lease is left: whoever comes next has it at once."""
    return (world.tenure("get", "--prefix", prefix, check=True).stdout == ""
            and world.tenure("lease", "list", check=True).stdout == "")


def free(world):
    true(is_free(world), "no key and no lease is left behind")


def next_holder(world, name):
    """Waits for the lock; (token, milliseconds at which it began to hold it)."""
    stamps = Stamps(world.path(f"next.{len(os.listdir(world.folder))}"))
    process = world.start("lock", name, "--ttl", "4", "--", sys.executable, STAMP, stamps.path)
    stamps.await_alive()
    _, _, token, ms = stamps.first()
    process.terminate()
    ended(process, 3)
    return token, ms


def handed_over(world, name, stamps):
    """The next holder begins only after the last sign of life of the one before, with a greater token (M2, M12)."""
    token, began = next_holder(world, name)
    _, _, old_token, last = stamps.last()
    true(began > last, f"the next holder began at {began}, after the last sign of life at {last}")
    true(token > old_token, f"token {token} is greater than {old_token}")


def unlocked_soon(world, name):
    return world.tenure("lock", name, "--timeout", "10", "true").returncode


# --- the command ends -------------------------------------------------------------------------------------------------


def exit_codes(world):
    """the command's exit code is tenure's, and the lock is free afterwards"""
    for code in (0, 1, 7, 121, 255):
        equal(world.tenure("lock", "a", "--", "sh", "-c", f"exit {code}").returncode, code, "exit code")
    free(world)


def dies_of_a_signal(world):
    """a command that dies of signal N makes tenure exit 128 + N"""
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGUSR1, signal.SIGPIPE):
        equal(world.tenure("lock", "a", "--", "sh", "-c", f"kill -{int(number)} $$").returncode, 128 + number, "exit code")
    free(world)


def cannot_run(world):
    """127 when there is no such command, 126 when it cannot be executed, and the lock is free"""
    missing = world.tenure("lock", "a", "no-such-command")
    equal(missing.returncode, 127)
    true("no-such-command: command not found" in missing.stderr, "it says which command")
    denied = world.tenure("lock", "a", "/etc/passwd")
    equal(denied.returncode, 126)
    true("/etc/passwd" in denied.stderr, "it says which file")
    free(world)


def input_and_output(world):
    """the command has tenure's input and outputs, and its arguments as they are"""
    result = world.tenure("lock", "a", "--", "sh", "-c", 'cat; printf "%s|" "$@" >&2', "sh", "-x", "--ttl", "a b", input="hello")
    equal(result.stdout, "hello")
    equal(result.stderr, "-x|--ttl|a b|")


def environment(world):
    """the command finds token, key, name and lease in its environment, and the key is there with that token"""
    result = world.tenure("lock", "deploy", "--", "sh", "-c",
                          'echo "$TENURE_TOKEN|$TENURE_KEY|$TENURE_NAME|$TENURE_LEASE"; "$0" get "$TENURE_KEY" -o json', TENURE)
    first, kv = result.stdout.splitlines()
    token, key, name, lease = first.split("|")
    equal(name, "deploy")
    equal(key, f"/locks/deploy/{lease.lstrip('0')}")
    equal(json.loads(kv)["kvs"][0]["create_revision"], int(token), "the token")
    equal(json.loads(kv)["kvs"][0]["lease"], lease, "the lease")


def leaves_processes_behind(world):
    """what the command leaves behind in its group is ended before the lock is let go"""
    process, stamps = begin(world, "a", "--leave-behind", "--ignore-term", options=("--grace", "0.5"))
    stamps.await_alive()
    token, began = next_holder(world, "a")
    ended(process, 0)
    true(began > stamps.last()[3], "the next one began after the last sign of life")
    true(not is_running(stamps.last()[1]), "it is gone")


def runs_longer_than_the_ttl(world):
    """a command that runs for longer than the TTL keeps the lock"""
    process, stamps = begin(world, "a", ttl="2")
    first = stamps.await_alive().first()[3]
    await_(lambda: stamps.last()[3] > first + 4500, "it lives for more than twice its TTL")
    equal(world.tenure("lock", "a", "--timeout", "0", "true").returncode, 124)
    process.terminate()
    ended(process, 3)
    free(world)


def one_after_the_other(world):
    """tokens grow from holder to holder"""
    tokens = [int(world.tenure("lock", "a", "--", "sh", "-c", "echo $TENURE_TOKEN").stdout) for _ in range(4)]
    equal(tokens, sorted(set(tokens)))


# --- it does not begin ------------------------------------------------------------------------------------------------


def usage(world):
    """a wrong command line answers 125 and says what was expected"""
    for args, says in (((), "NAME"), (("",), "NAME"), (("--ttl", "soon", "a"), "--ttl"), (("--nonsense", "a"), "--nonsense"),
                       (("--ttl", "0", "a"), "--ttl"), (("--ttl", "4", "--grace", "3", "a"), "--grace"),
                       (("--list", "a", "b"), "--list"), (("-o", "xml", "a", "true"), "--output")):
        result = world.tenure("lock", *args)
        equal(result.returncode, 125, f"exit code of lock {args}")
        true(says in result.stderr, f"{says} in {result.stderr!r}")


def no_server(world):
    """no server: 125, nothing runs, and the message names the endpoint"""
    env = {**os.environ, "TENURE_ENDPOINTS": f"http://127.0.0.1:{free_port()}"}
    result = world.run([TENURE, "lock", "--call-timeout", "0.5", "a", "touch", world.path("ran")], env=env)
    equal(result.returncode, 125)
    true("127.0.0.1" in result.stderr, "the endpoint is named")
    true(not os.path.exists(world.path("ran")), "nothing ran")


def timeout(world):
    """124 when it is not acquired in time; nothing ran, and no key is left in the queue (M7)"""
    holder, stamps = begin(world, "a")
    stamps.await_alive()
    for wait in ("0", "0.3"):
        result = world.tenure("lock", "a", "--timeout", wait, "--", "touch", world.path("ran"))
        equal(result.returncode, 124)
        true("not acquired in time" in result.stderr, "it says so")
    true(not os.path.exists(world.path("ran")), "nothing ran")
    equal(len(world.tenure("get", "--prefix", "/locks/a/", "--keys-only").stdout.split()), 1, "keys in the queue")
    holder.terminate()
    ended(holder, 3)
    free(world)


def told_to_end_while_waiting(world):
    """a signal while it waits in the queue ends it with 128 + N and leaves no key"""
    holder, stamps = begin(world, "a")
    stamps.await_alive()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        waiter = world.start("lock", "a", "--", "touch", world.path("ran"))
        await_(lambda: len(world.tenure("get", "--prefix", "/locks/a/", "--keys-only").stdout.split()) == 2, "it waits")
        waiter.send_signal(number)
        ended(waiter, 128 + number)
        equal(len(world.tenure("get", "--prefix", "/locks/a/", "--keys-only").stdout.split()), 1, "keys in the queue")
    true(not os.path.exists(world.path("ran")), "nothing ran")


def waiter_killed(world):
    """a waiter that is killed with -9 leaves the queue at once: its guardian revokes its lease"""
    holder, stamps = begin(world, "a")
    stamps.await_alive()
    waiter = world.start("lock", "a", "--ttl", "60", "--", "true")
    queue = lambda: len(world.tenure("get", "--prefix", "/locks/a/", "--keys-only").stdout.split())
    await_(lambda: queue() == 2, "it waits")
    waiter.kill()
    await_(lambda: queue() == 1, "its key is gone")


# --- signals ----------------------------------------------------------------------------------------------------------


def signals_are_passed_on(world):
    """signals to tenure reach the command, whose answer counts"""
    script = "trap 'echo got {0}; exit 40' {0}; echo ready; while :; do sleep 0.02; done"
    for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2"):
        process = world.start("lock", "a", "--", "bash", "-c", script.format(name))
        equal(process.stdout.readline(), "ready\n")
        process.send_signal(getattr(signal, "SIG" + name))
        out, err = process.communicate(timeout=PATIENCE_S)
        equal((process.returncode, out), (40, f"got {name}\n"))
    free(world)


def signals_reach_the_whole_group(world):
    """signals to tenure reach what the command started as well"""
    process = world.start("lock", "a", "--", "bash", "-c",
                          "trap 'wait; echo outer; exit 5' TERM; "
                          "bash -c 'trap \"echo inner; exit\" TERM; echo ready; while :; do sleep 0.02; done' & "
                          "wait; while :; do sleep 0.02; done")
    equal(process.stdout.readline(), "ready\n")
    process.terminate()
    out, _ = process.communicate(timeout=PATIENCE_S)
    equal((process.returncode, sorted(out.split())), (5, ["inner", "outer"]))


def ignored_term(world):
    """a command that ignores TERM goes on, and so does its lock"""
    process, stamps = begin(world, "a", "--ignore-term")
    pid = stamps.await_alive().first()[1]
    process.terminate()
    sent = boottime_ms()
    await_(lambda: stamps.last()[3] > sent + 300, "it goes on")
    equal(world.tenure("lock", "a", "--timeout", "0", "true").returncode, 124)
    os.kill(pid, signal.SIGKILL)
    ended(process, 137)


def nohup(world):
    """a signal that was ignored when tenure began stays ignored"""
    stamps = Stamps(world.path("stamps"))
    process = world.start("-c", 'trap "" HUP; exec "$@"', "sh", TENURE, "lock", "a", "--", sys.executable, STAMP, stamps.path,
                          program="sh")
    stamps.await_alive()
    process.send_signal(signal.SIGHUP)
    sent = boottime_ms()
    await_(lambda: stamps.last()[3] > sent + 200, "it goes on")
    process.terminate()
    ended(process, 3)


def command_stopped(world):
    """a command that somebody stops keeps its lock for longer than the TTL: tenure renews it"""
    process, stamps = begin(world, "a", ttl="2")
    pid = stamps.await_alive().first()[1]
    os.kill(pid, signal.SIGSTOP)
    stopped = boottime_ms()
    await_(lambda: boottime_ms() > stopped + 4500, "twice the TTL passes")
    equal(world.tenure("lock", "a", "--timeout", "0", "true").returncode, 124)
    os.kill(pid, signal.SIGCONT)
    process.terminate()
    ended(process, 3)


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
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot start another guardian in between
    os.kill(guardian, signal.SIGKILL)
    process.kill()
    handed_over(world, "a", stamps)
    equal(stamps.last()[0], "term")


def tenure_stopped(world):
    """tenure stopped for twice the TTL: the command is dead before safe-until, the next token is greater, 121 on CONT"""
    for option in ([], ["--ignore-term"]):
        process, stamps = begin(world, "a", *option, ttl="3")
        stamps.await_alive()
        os.kill(process.pid, signal.SIGSTOP)
        stopped = boottime_ms()
        handed_over(world, "a", stamps)
        true(stamps.last()[3] < stopped + 3000 - MARGIN_MS - 30, "it was dead before the latest possible safe-until")
        await_(lambda: boottime_ms() > stopped + 6000, "twice the TTL passes")
        os.kill(process.pid, signal.SIGCONT)
        err = ended(process, 121)
        true("lost" in err, f"it says that it lost: {err!r}")


def stopped_and_continued_in_time(world):
    """tenure stopped for less than the TTL goes on as if nothing had been"""
    process, stamps = begin(world, "a", ttl="8")
    stamps.await_alive()
    os.kill(process.pid, signal.SIGSTOP)
    stopped = boottime_ms()
    await_(lambda: stamps.last()[3] > stopped + 500, "the command goes on meanwhile")
    os.kill(process.pid, signal.SIGCONT)
    process.terminate()
    ended(process, 3)
    free(world)


def leaver(world, name, ttl, *options):
    """A command that starts another process in a session of its own and stays; (process, stamps of the other one)."""
    stamps = Stamps(world.path("leaver"))
    process = world.start("lock", name, "--ttl", ttl, "--", "sh", "-c", 'setsid "$@" & exec sleep 600', "sh", sys.executable, STAMP,
                          stamps.path, *options)
    return process, stamps.await_alive()


def left_the_group(world):
    """what left the command's group is ended with it when the lock is lost, by tenure or by its guardian"""
    for harm in (lambda p: os.kill(p.pid, signal.SIGSTOP), lambda p: world.server.freeze(), lambda p: p.kill()):
        process, stamps = leaver(world, "a", "3", "--ignore-term")
        world.will_end(stamps.first()[1])
        harm(process)
        harmed = boottime_ms()
        await_(lambda: not is_running(stamps.first()[1]), "it is gone")
        true(stamps.last()[3] < harmed + 3000 - MARGIN_MS - 30, "before the latest possible safe-until")
        world.server.thaw()
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.wait(PATIENCE_S)
        os.remove(stamps.path)


def orphans_that_left_the_group(world):
    """also what left the group and whose parents have ended is found, by tenure or by its guardian"""
    for harm in (lambda p: os.kill(p.pid, signal.SIGSTOP), lambda p: p.kill()):
        orphan_that_left(world, harm)


def orphan_that_left(world, harm):
    stamps = Stamps(world.path(f"leaver.{len(os.listdir(world.folder))}"))
    process = world.start("lock", "a", "--ttl", "3", "--", "sh", "-c", '(setsid "$@" &); exec sleep 600', "sh", sys.executable,
                          STAMP, stamps.path, "--ignore-term")
    pid = world.will_end(stamps.await_alive().first()[1])
    harm(process)
    harmed = boottime_ms()
    await_(lambda: not is_running(pid), "it is gone")
    true(stamps.last()[3] < harmed + 3000 - MARGIN_MS - 30, "before the latest possible safe-until")
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)
    process.wait(PATIENCE_S)


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
    await_(lambda: len(children(process.pid)) == 3, "the command runs")
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
    os.kill(process.pid, signal.SIGSTOP)
    stopped = boottime_ms()
    await_(lambda: not is_running(stamps.first()[1]), "the inner command is gone")
    true(stamps.last()[3] < stopped + 3000 - MARGIN_MS - 30, "before the latest possible safe-until")
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
    os.kill(process.pid, signal.SIGSTOP)
    stopped = boottime_ms()
    handed_over(world, "a", stamps)
    true(stamps.last()[3] < stopped + 3000 - MARGIN_MS - 30, "it was dead before the latest possible safe-until")
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
    os.kill(guardian, signal.SIGSTOP)
    world.server.freeze()
    frozen = boottime_ms()
    await_(lambda: boottime_ms() > frozen + 3000, "the TTL passes")
    true(stamps.last()[3] < frozen + 3000 - MARGIN_MS - 30, "it was dead before the latest possible safe-until")
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
    for option in ([], ["--ignore-term"]):
        process, stamps = begin(world, "a", *option, ttl="3")
        stamps.await_alive()
        how(world.server)
        gone = boottime_ms()
        err = ended(process, 121)
        true(stamps.last()[3] < gone + 3000 - MARGIN_MS - 30, "it was dead before the latest possible safe-until")
        true("lost" in err, f"it says that it lost: {err!r}")
        yield


def server_killed(world):
    """server killed: the command is ended before safe-until, exit code 121"""
    for _ in server_gone(world, Server.kill):
        world.server.start()


def server_frozen(world):
    """server frozen: the command is ended before safe-until, exit code 121"""
    for _ in server_gone(world, Server.freeze):
        world.server.thaw()


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


# --- without a command, and who is there ------------------------------------------------------------------------------


def held_without_a_command(world):
    """without a command it prints key and token, holds until TERM, and exits 0"""
    for number in (signal.SIGTERM, signal.SIGINT):
        process = world.start("lock", "a")
        key, token = process.stdout.readline().strip(), process.stdout.readline().strip()
        true(re.fullmatch("/locks/a/[0-9a-f]+", key), f"a key: {key!r}")
        kv = json.loads(world.tenure("get", key, "-o", "json").stdout)["kvs"][0]
        equal(token, f"token {kv['create_revision']}")
        process.send_signal(number)
        ended(process, 0)
        free(world)


def held_as_json(world):
    """with -o json it prints one object"""
    process = world.start("lock", "a", "-o", "json")
    held = json.loads(process.stdout.readline())
    equal(sorted(held), ["key", "lease", "name", "token"])
    equal(held["key"], f"/locks/a/{held['lease'].lstrip('0')}")
    process.terminate()
    ended(process, 0)


def held_and_lost(world):
    """without a command a loss ends it with 121 and is said"""
    process = world.start("lock", "a", "-o", "json")
    held = json.loads(process.stdout.readline())
    world.tenure("lease", "revoke", held["lease"], check=True)
    true("lost" in ended(process, 121), "it says so")


def listed(world):
    """--list shows the holder first, then who waits, with host, pid and purpose; nobody is an empty list"""
    equal(json.loads(world.tenure("lock", "--list", "a", "-o", "json").stdout)["entries"], [])
    holder, stamps = begin(world, "a")
    stamps.await_alive()
    waiter = world.start("lock", "a", "--purpose", "a good reason", "true")
    entries = lambda: json.loads(world.tenure("lock", "--list", "a", "-o", "json").stdout)["entries"]
    await_(lambda: len(entries()) == 2, "the waiter is in the queue")
    first, second = entries()
    equal((first["holds"], second["holds"]), (True, False))
    equal((first["pid"], second["pid"]), (holder.pid, waiter.pid))
    equal((first["host"], second["purpose"]), (os.uname().nodename, "a good reason"))
    true("stamp.py" in first["purpose"], "the purpose is the command")
    equal(first["token"], stamps.first()[2])
    true(first["token"] < second["token"], "the order is that of the tokens")
    table = world.tenure("lock", "--list", "a").stdout.splitlines()
    equal(table[0].split(), ["HOLDER", "HOST", "PID", "SINCE", "TOKEN", "PURPOSE"])
    equal(table[1].split()[0], os.uname().nodename)
    equal(table[2].split()[0], "waiting")
    true(re.search(r" \d\d:\d\d:\d\d ", table[1]), "since when")
    holder.terminate()
    ended(holder, 3)
    ended(waiter, 0)


def whole_key(world):
    """--prefix takes the name as the key itself"""
    result = world.tenure("lock", "--prefix", "/my/own", "--", "sh", "-c", "echo $TENURE_KEY")
    true(re.fullmatch("/my/own/[0-9a-f]+", result.stdout.strip()), f"the key: {result.stdout!r}")
    process = world.start("lock", "own")
    process.stdout.readline()
    equal(world.tenure("lock", "--prefix", "/locks/own", "--timeout", "0", "true").returncode, 124, "the same lock")
    equal(len(json.loads(world.tenure("lock", "--prefix", "--list", "/locks/own", "-o", "json").stdout)["entries"]), 1)


main([exit_codes, dies_of_a_signal, cannot_run, input_and_output, environment, leaves_processes_behind,
      runs_longer_than_the_ttl, one_after_the_other, usage, no_server, timeout, told_to_end_while_waiting, waiter_killed,
      signals_are_passed_on, signals_reach_the_whole_group, ignored_term, nohup, command_stopped, tenure_killed,
      tenure_killed_term_ignored, group_killed, tenure_and_guardian_killed, tenure_stopped, stopped_and_continued_in_time,
      left_the_group, orphans_that_left_the_group, daemons_stay, children_from_before, one_in_another,
      guardian_killed, guardians_killed, nobody_reads_stderr, guardian_stopped, guardians_ignore_signals, guardian_is_light, server_killed, server_frozen,
      server_away_for_a_moment, revoked, key_deleted, held_without_a_command, held_as_json, held_and_lost, listed, whole_key])
