"""`tenure queue work`: a command for each item, acknowledged when it ends with 0, given back when it does not, and delivered again when
its worker dies, hangs or is cut off; a claim's command is gone before another worker has the item."""

import json
import os
import signal

from lock_command import *

NOTE = 'echo "$(cat) $TENURE_ATTEMPT $TENURE_TOKEN" >>"$0"'


def put(world, *values):
    for value in values:
        world.tenure("queue", "put", "jobs", "-k", "work", value, check=True)


def length(world):
    return int(world.tenure("queue", "length", "jobs", "-k", "work", check=True).stdout)


def worker(world, *words, ttl="60", **popen):
    return world.start("queue", "work", "jobs", "--ttl", ttl, *words, **popen)


def noted(path):
    return [line.split() for line in lines(path)]


def each_once(world):
    """two workers of three processes each do every item once, and TERM ends them with 0"""
    path = world.path("notes")
    workers = [worker(world, "--concurrency", "3", "--", "sh", "-c", NOTE, path) for _ in range(2)]
    put(world, *(f"job{n}" for n in range(12)))
    await_(lambda: len(noted(path)) == 12 and length(world) == 0, "all are done")
    for process in workers:
        process.terminate()
    for process in workers:
        ended(process, 0)
    equal(sorted((value, attempt) for value, attempt, _ in noted(path)), sorted((f"job{n}", "1") for n in range(12)))
    equal(world.tenure("lease", "list", check=True).stdout, "", "leases")


def input_words_and_code(world):
    """--once answers the command's exit code; the item is its input, and stands where {} is; the environment tells the rest"""
    put(world, "a b", "two")
    script = 'echo "$(cat)|$1|$2|$TENURE_NAME|$TENURE_ATTEMPT|$TENURE_KEY|$TENURE_LEASE"'
    result = worker(world, "--once", "--", "sh", "-c", script, "sh", "{}", "x={}{}", stderr=None)
    out, _ = result.communicate(timeout=PATIENCE_S)
    words = out.strip().split("|")
    equal(words[:5], ["a b", "a b", "x=a ba b", "jobs", "1"])
    true(words[5].startswith("/queues/jobs/") and int(words[6], 16), words)
    equal(ended(worker(world, "--once", "--", "sh", "-c", "exit 0"), 0), "")
    equal(length(world), 0)
    big = "x" * 300000
    world.tenure("queue", "put", "jobs", "-k", "work", input=big, check=True)
    out, _ = worker(world, "--once", "--", "wc", "-c").communicate(timeout=PATIENCE_S)
    equal(out.strip(), "300000")
    equal(worker(world, "--once", "--timeout", "0.1", "--", "true").wait(PATIENCE_S), 124)
    equal(worker(world, "--timeout", "0.1", "--", "true").wait(PATIENCE_S), 0)


def failures(world):
    """an item whose command fails comes again, later each time, and goes to the dead letters in the end"""
    path = world.path("notes")
    put(world, "bad", "good")
    script = NOTE + '; [ "$1" != bad ]'
    process = worker(world, "--max-attempts", "3", "--retry-delay", "100ms", "--", "sh", "-c", script, path, "{}")
    await_(lambda: length(world) == 0, "none is left")
    process.terminate()
    said = ended(process, 0)
    equal([attempt for value, attempt, _ in noted(path) if value == "bad"], ["1", "2", "3"])
    equal([attempt for value, attempt, _ in noted(path) if value == "good"], ["1"])
    tokens = [int(token) for value, _, token in noted(path) if value == "bad"]
    equal(tokens, sorted(set(tokens)), "tokens of an item grow")
    for text in ("exit code 1 in attempt 1, again in 0.1 s", "attempt 2, again in 0.2 s", "attempt 3, goes to the dead letters"):
        true(text in said, f"{text!r} in {said!r}")
    dead = json.loads(world.tenure("get", "--prefix", "/queues/jobs/dead/", "-o", "json", check=True).stdout)["kvs"]
    equal([kv["value"] for kv in dead], ["bad"])


def no_argument_can_have_it(world):
    """an item with a zero byte where {} is wanted is a failure that is said; on standard input it is as it was"""
    world.tenure("queue", "put", "jobs", "-k", "work", input="a\0b", check=True)
    process = worker(world, "--max-attempts", "2", "--retry-delay", "10ms", "--once", "--", "touch", world.path("ran"), "{}")
    true("zero byte" in ended(process, 126), "it is said")
    true(not os.path.exists(world.path("ran")), "nothing ran")
    out, _ = worker(world, "--once", "--", "od", "-An", "-c").communicate(timeout=PATIENCE_S)
    equal(out.split(), ["a", "\\0", "b"])


def usage(world):
    """a wrong command line answers 125 and says what was expected; no server: 125, and the endpoint is named"""
    for args, says in ((("work", "jobs"), "COMMAND"), (("work", "jobs", "-k", "fifo2", "true"), "--kind"),
                       (("work", "jobs", "--concurrency", "0", "true"), "--concurrency"), (("work", "jobs", "--ttl", "1", "true"), "--ttl"),
                       (("work", "jobs", "--once", "--concurrency", "2", "true"), "--once"), (("work", "jobs", "-k", "delay", "true"), "work"),
                       (("work", "jobs", "--timeout", "0", "true"), "--timeout")):
        result = world.tenure("queue", *args)
        equal(result.returncode, 125, f"exit code of queue {args}")
        true(says in result.stderr, f"{says} in {result.stderr!r}")
    env = {**os.environ, "TENURE_ENDPOINTS": f"http://127.0.0.1:{free_port()}"}
    result = world.run([TENURE, "queue", "work", "jobs", "--call-timeout", "0.5", "--", "touch", world.path("ran")], env=env)
    equal(result.returncode, 125)
    true("127.0.0.1" in result.stderr, f"the endpoint is named: {result.stderr!r}")


def told_to_end(world):
    """TERM while a command runs: nothing more is taken, and it ends behind it; the item is acknowledged"""
    began, go = world.path("began"), world.path("go")
    put(world, "first", "second")
    script = 'cat >>"$0"; while [ ! -e "$1" ]; do sleep 0.02; done'
    process = worker(world, "--concurrency", "1", "--", "sh", "-c", script, began, go)
    await_(lambda: read(began) == "first", "it works")
    process.terminate()
    true("ends when its command has" in process.stderr.readline(), "it says so")
    Path(go).touch()
    ended(process, 0)
    equal((read(began), length(world)), ("first", 1))


def again(world, harm, *options, ttl="60"):
    """A worker is harmed, another one has the item again, once the command of the first is gone."""
    first, second = Stamps(world.path("first")), Stamps(world.path("second"))
    put(world, "job")
    process = worker(world, *options, "--", sys.executable, STAMP, first.path, "--ignore-term", ttl=ttl)
    token = first.await_alive().first()[2]
    other = worker(world, "--once", "--", "sh", "-c", 'echo "$TENURE_ATTEMPT"; exec "$@"', "sh", sys.executable, STAMP, second.path)
    harm(process)
    began = second.await_alive().first()
    true(began[3] > first.last()[3], f"delivered again at {began[3]}, after the last sign of life at {first.last()[3]}")
    true(began[2] > token, "with a greater token")
    true(int(other.stdout.readline()) >= 2, "it is another attempt")
    os.kill(began[1], signal.SIGTERM)
    ended(other, 3)
    return process


def worker_killed(world):
    """a worker killed with -9: its guardian ends the command, and another one has the item long before the TTL"""
    again(world, lambda process: process.kill(), "--grace", "0.3")


def worker_stopped(world):
    """a worker stands for longer than the TTL: its command is gone before another one has the item; continued, it goes on"""
    process = again(world, lambda process: stop(process.pid), ttl="3")
    os.kill(process.pid, signal.SIGCONT)
    true("lost" in process.stderr.readline(), "it says that it lost")
    process.terminate()
    ended(process, 0)


def one_of_many_killed(world):
    """one of several processes of a worker is killed: the others end, and the answer is 125"""
    process = worker(world, "--concurrency", "3", "--", "true")
    await_(lambda: len(children(process.pid)) == 3, "there are three")
    put(world, "job")
    await_(lambda: length(world) == 0, "one works")
    os.kill(children(process.pid)[0], signal.SIGKILL)
    true("killed by signal 9" in ended(process, 125), "it says so")


def lease_revoked(world):
    """the lease is revoked in the middle of an item: the command is ended when it is to be renewed, --once answers 121"""
    stamps = Stamps(world.path("stamps"))
    put(world, "job")
    process = worker(world, "--once", "--", sys.executable, STAMP, stamps.path, ttl="6")
    stamps.await_alive()
    lease = world.tenure("queue", "list", "jobs", "-k", "work", "-o", "json", check=True)
    world.tenure("lease", "revoke", json.loads(lease.stdout)["working"][0]["lease"], check=True)
    true("lost" in ended(process, 121), "it says so")
    equal(stamps.last()[0], "term")
    equal(ended(worker(world, "--once", "--", "true"), 0), "")
    equal(length(world), 0)


main([each_once, input_words_and_code, failures, no_argument_can_have_it, usage, told_to_end, worker_killed, worker_stopped,
      one_of_many_killed, lease_revoked])
