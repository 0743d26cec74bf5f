"""`tenure cron`: each period is run by exactly one member, and what becomes of it when its machine dies, hangs or is told to end."""

import json
import os
import re
import signal

from lock_command import *

# "@every 1s" is due each second; what a member runs leaves a line in a file.
NOTE = 'echo "$TENURE_TIME $TENURE_TOKEN $TENURE_ATTEMPT" >>"$0"'


def cron(world, *words, ttl="60", **popen):
    return world.start("cron", "--ttl", ttl, *words, **popen)


def runs(world, name):
    return json.loads(world.tenure("cron", "status", name, "-o", "json", check=True).stdout)["runs"]


def noted(path):
    return [line.split() for line in lines(path)]


def once_in_the_fleet(world):
    """of three members each period is run by exactly one, with growing tokens, and TERM ends them with 0"""
    path = world.path("notes")
    members = [cron(world, "a", "@every 1s", "--", "sh", "-c", NOTE, path) for _ in range(3)]
    await_(lambda: len(noted(path)) >= 3, "three periods")
    for member in members:
        member.terminate()
    for member in members:
        ended(member, 0)
    times = [time for time, _, _ in noted(path)]
    tokens = [int(token) for _, token, _ in noted(path)]
    equal(times, sorted(set(times)), "times")
    equal(tokens, sorted(set(tokens)), "tokens")
    shown = runs(world, "a")
    equal([r["time"] for r in shown][::-1][-len(times):], times[-len(shown):], "what status shows")
    equal({(r["state"], r["result"], r["text"]) for r in shown}, {("done", 0, "exit code 0")})
    free_of_leases(world)


def free_of_leases(world):
    equal(world.tenure("lease", "list", check=True).stdout, "", "leases")


def once_with_its_code(world):
    """--once ends behind the first run with its exit code, which is remembered and said; the environment tells what is run"""
    script = 'echo "$TENURE_NAME|$TENURE_KEY|$TENURE_TIME|$TENURE_ATTEMPT|$TENURE_LATE|$TENURE_TOKEN"; cat; exit 7'
    result = world.tenure("cron", "job", "@every 1s", "--once", "--", "sh", "-c", script, input="not to be read")
    equal(result.returncode, 7)
    name, key, time, attempt, late, token = result.stdout.strip().split("|")
    equal((name, key, attempt, late), ("job", f"/cron/job/run/{time}", "1", "0"))
    true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time), time)
    true("exit code 7" in result.stderr, f"it says so: {result.stderr!r}")
    run = runs(world, "job")[0]
    equal((run["time"], run["state"], run["result"], run["token"]), (time, "failed", 7, int(token)))
    true(run["began_ms"] <= run["ended_ms"], "it took its time")
    equal(world.tenure("cron", "job", "@every 1s", "--once", "--", "no-such-command").returncode, 127)
    equal(runs(world, "job")[0]["result"], 127)
    equal(world.tenure("cron", "job", "@every 1s", "--once", "--", "sh", "-c", "kill -9 $$").returncode, 137)
    equal(runs(world, "job")[0]["text"], "killed by signal 9")
    listed = json.loads(world.tenure("cron", "list", "-o", "json", check=True).stdout)["jobs"]
    equal([(job["name"], job["result"]) for job in listed], [("job", 137)])
    rows = world.tenure("cron", "list", check=True).stdout.splitlines()
    equal(rows[0].split(), ["NAME", "TIME", "STATE", "RESULT", "ATTEMPT", "TOOK", "HOST", "PID", "TEXT"])
    equal(rows[1].split()[:4:2], ["job", "failed"])


def nothing_to_run(world):
    """nothing comes within --timeout: 124, or 0 where it is not --once"""
    equal(world.tenure("cron", "a", "@yearly", "--once", "--timeout", "0.2", "--", "true").returncode, 124)
    equal(world.tenure("cron", "a", "@yearly", "--timeout", "0.2", "--", "true").returncode, 0)


def usage(world):
    """a wrong command line answers 125 and says what was expected; no server: 125, and the endpoint is named"""
    for args, says in (((), "NAME"), (("a", "@daily"), "COMMAND"), (("a", "nonsense", "true"), "nonsense"), (("a/b", "@daily", "true"), "slash"),
                       (("--missed", "all", "a", "@daily", "true"), "--missed"), (("--ttl", "1", "a", "@daily", "true"), "--ttl"),
                       (("a", "0 0 * * *", "--utc-offset", "CET", "true"), "CET"), (("next", "* * *"), "* * *"),
                       (("next", "@daily", "extra"), "SCHEDULE"), (("next", "30", "2", "*", "*", "*"), "in quotes"), (("list", "a"), "no words")):
        result = world.tenure("cron", *args)
        equal(result.returncode, 125, f"exit code of cron {args}")
        true(says in result.stderr, f"{says} in {result.stderr!r}")
    env = {**os.environ, "TENURE_ENDPOINTS": f"http://127.0.0.1:{free_port()}"}
    result = world.run([TENURE, "cron", "--call-timeout", "0.5", "a", "@every 1s", "touch", world.path("ran")], env=env)
    equal(result.returncode, 125)
    true("127.0.0.1" in result.stderr, f"the endpoint is named: {result.stderr!r}")


def next_times(world):
    """next prints the times to come, in UTC, of a schedule at an offset"""
    times = world.tenure("cron", "next", "30 2 * * *", "--utc-offset", "+01:00", check=True).stdout.split()
    equal((len(times), {time[10:] for time in times}), (5, {"T01:30:00Z"}))


def told_to_end(world):
    """TERM while a command runs: no other run begins and it ends with it; the second one is passed on"""
    for twice in (False, True):
        path = world.path(f"stamps{twice}")
        go = world.path(f"go{twice}")
        script = 'trap "echo told >>\\"$0\\"; exit 9" TERM; echo began >>"$0"; while [ ! -e "$1" ]; do sleep 0.02; done; echo done >>"$0"'
        process = cron(world, f"a{twice}", "@every 1s", "--", "sh", "-c", script, path, go)
        await_(lambda: lines(path), "it runs")
        process.terminate()
        equal(process.stderr.readline().split(": ")[2].strip(), "ends when its command has; the next signal is passed on to that")
        if twice:
            process.terminate()
        else:
            Path(go).touch()
        ended(process, 0)
        equal(lines(path), ["began", "told" if twice else "done"])
        equal(runs(world, f"a{twice}")[0]["result"], 9 if twice else 0)


def again(world, harm, *options, ttl="60"):
    """A member runs, is harmed, and another one runs the same period again, once the command is gone."""
    first, second = Stamps(world.path("first")), Stamps(world.path("second"))
    schedule = "@every 1d"
    # So that the job has a past, and what is due now was missed.
    world.tenure("put", "/cron/a/at/2001-01-01T00:00:00Z", '{"state":"done","attempt":1}', check=True)
    process = cron(world, "a", schedule, "--missed", "once", *options, "--", sys.executable, STAMP, first.path, ttl=ttl)
    token = first.await_alive().first()[2]
    other = cron(world, "a", schedule, "--missed", "once", *options, "--once", "--", sys.executable, STAMP, second.path)
    harm(process)
    if "--at-most-once" in options:
        return process, other, first
    began = second.await_alive().first()
    true(began[3] > first.last()[3], f"the next run began at {began[3]}, after the last sign of life at {first.last()[3]}")
    true(began[2] > token, "with a greater token")
    shown = runs(world, "a")[0]
    equal((shown["state"], shown["attempt"], shown["token"]), ("running", 2, began[2]))
    os.kill(began[1], signal.SIGTERM)
    ended(other, 3)
    equal([(r["state"], r["attempt"], r["result"]) for r in runs(world, "a")][:1], [("failed", 2, 3)])
    return process, other, first


def runner_killed(world):
    """the runner is killed with -9: its guardian ends the command, and another member runs that period again"""
    again(world, lambda process: process.kill())


def runner_stopped(world):
    """the runner stands for longer than the TTL: its command has ended before another runs that period; continued, it goes on"""
    process, _, _ = again(world, lambda process: stop(process.pid), ttl="3")
    os.kill(process.pid, signal.SIGCONT)
    true("lost" in process.stderr.readline(), "it says that it lost")
    true(process.poll() is None, "it is a member still")
    process.terminate()
    ended(process, 0)


def at_most_once(world):
    """--at-most-once: the period of a runner that died is not run again, and is shown as died"""
    _, other, first = again(world, lambda process: process.kill(), "--at-most-once")
    await_(lambda: runs(world, "a")[0]["state"] == "died", "its run key is gone")
    pid = first.first()[1]
    true(not is_running(pid), "its command is gone")
    other.terminate()
    ended(other, 0)
    equal(runs(world, "a")[0]["attempt"], 1)


def lease_revoked(world):
    """the lease is revoked in the middle of a run: the command is ended, --once answers 121"""
    stamps = Stamps(world.path("stamps"))
    process = cron(world, "a", "@every 1s", "--once", "--", sys.executable, STAMP, stamps.path)
    stamps.await_alive()
    world.tenure("lease", "revoke", world.tenure("lease", "list").stdout.split()[0], check=True)
    true("lost" in ended(process, 121), "it says so")
    equal(stamps.last()[0], "term")


main([once_in_the_fleet, once_with_its_code, nothing_to_run, usage, next_times, told_to_end, runner_killed, runner_stopped,
      at_most_once, lease_revoked])
