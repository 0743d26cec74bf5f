"""`tenure lock` as people use it: how it begins and ends, its command's signals, and who is told what (M12, M7).
test_cli_lock_loss.py has what goes wrong under it."""

import json
import os
import re
import signal

from lock_command import *


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


def made_ready_and_stopped(world):
    """the process that is to become the command is stopped by somebody while tenure waits: that holds nothing up"""
    holder = world.start("lock", "a")
    await_(lambda: world.tenure("get", "--prefix", "/locks/a/").stdout, "it is held")
    waiter = world.start("lock", "a", "--ttl", "3", "--", "true")
    names = lambda: {read(f"/proc/{c}/comm").strip(): c for c in children(waiter.pid)}
    await_(lambda: names().keys() == {"tenure", "tenure-guardian"}, "it is ready")  # both have the one name at first
    ready = names()["tenure"]
    stop(ready)
    await_(lambda: ready not in children(waiter.pid), "it is given up")
    holder.terminate()
    equal((holder.wait(PATIENCE_S), waiter.wait(PATIENCE_S)), (0, 0), "exit codes")


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
    stop(pid)
    stopped = boottime_ms()
    await_(lambda: boottime_ms() > stopped + 4500, "twice the TTL passes")
    equal(world.tenure("lock", "a", "--timeout", "0", "true").returncode, 124)
    os.kill(pid, signal.SIGCONT)
    process.terminate()
    ended(process, 3)


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
      runs_longer_than_the_ttl, one_after_the_other, usage, no_server, timeout, told_to_end_while_waiting, waiter_killed, made_ready_and_stopped,
      signals_are_passed_on, signals_reach_the_whole_group, ignored_term, nohup, command_stopped, held_without_a_command,
      held_as_json, held_and_lost, listed, whole_key])
