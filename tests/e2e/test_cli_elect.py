"""`tenure elect`: leading with and without a command, being followed, and losing it (M1, M2, M5, M10, M12, L2)."""

import json
import os
import re
import signal
import sys

from harness import *

STAMP = str(Path(__file__).with_name("stamp.py"))
MARGIN_MS = 250


def candidate(world, value, *options, ttl="4"):
    """A command under the leadership that stamps a file; (process, path)."""
    path = world.path(value + ".stamps")
    return world.start("elect", "e", "--ttl", ttl, "--value", value, "--", sys.executable, STAMP, path, *options), path


def stamps(path):
    return [(w, int(p), int(t), int(ms)) for w, p, t, ms in (line.split() for line in lines(path))]


def leads(path):
    return await_(lambda: stamps(path), "it leads")[0]


def ended(process, code):
    out, err = process.communicate(timeout=PATIENCE_S)
    equal(process.returncode, code, f"exit code (stderr: {err.strip()})")
    return err


def leader(world):
    result = world.tenure("elect", "e", "--observe", "--once", "-o", "json")
    return json.loads(result.stdout).get("proposal")


def free(world):
    equal(world.tenure("get", "--prefix", "/election/", check=True).stdout, "", "keys left")
    await_(lambda: world.tenure("lease", "list", check=True).stdout == "", "no lease is left", 5)  # long before its TTL


def exit_codes(world):
    """the command's exit code is tenure's, and it has resigned afterwards"""
    for code in (0, 7):
        equal(world.tenure("elect", "e", "--", "sh", "-c", f"exit {code}").returncode, code)
    equal(world.tenure("elect", "e", "--", "sh", "-c", "kill -9 $$").returncode, 137)
    equal(world.tenure("elect", "e", "no-such-command").returncode, 127)
    equal(world.tenure("elect", "e", "/etc/passwd").returncode, 126)
    free(world)


def no_lease_is_left(world):
    """many short leaderships leave no lease behind, though the request for the key may overtake that for the lease"""
    for _ in range(30):
        equal(world.tenure("elect", "e", "true").returncode, 0)
    free(world)


def usage(world):
    """a wrong command line answers 125"""
    for args in ((), ("--once", "e"), ("--observe", "e", "true"), ("--observe",), ("--ttl", "x", "e"), ("--list",), ("--list", "e", "true"), ("--list", "--observe", "e")):
        equal(world.tenure("elect", *args).returncode, 125, f"exit code of elect {args}")


def environment(world):
    """the command finds token, key, name and lease, and its proposal is the key's value"""
    result = world.tenure("elect", "jobs", "--value", "anna", "--", "sh", "-c",
                          'echo "$TENURE_TOKEN|$TENURE_KEY|$TENURE_NAME|$TENURE_LEASE"; "$0" get "$TENURE_KEY" -o json', TENURE)
    first, got = result.stdout.splitlines()
    token, key, name, lease = first.split("|")
    kv = json.loads(got)["kvs"][0]
    equal((name, key), ("jobs", f"/election/jobs/{lease.lstrip('0')}"))
    equal((kv["create_revision"], kv["value"]), (int(token), "anna"))


def host_name_by_default(world):
    """without --value the proposal is the host's name"""
    result = world.tenure("elect", "e", "--", TENURE, "elect", "e", "--observe", "--once", "-o", "json")
    equal(json.loads(result.stdout)["proposal"], os.uname().nodename)


def one_leads_at_a_time(world):
    """three candidates lead one after the other, in the order in which they came, with growing tokens (M1, M2)"""
    candidates = []
    for value in ("anna", "ben", "cara"):
        candidates.append(candidate(world, value))
        await_(lambda: len(world.tenure("get", "--prefix", "/election/e/", "--keys-only").stdout.split()) == len(candidates),
               "it stands in the queue")
    last_ms, last_token = 0, 0
    for process, path in candidates:
        _, _, token, ms = leads(path)
        true(ms > last_ms, "nobody else leads any more")
        true(token > last_token, "the token grew")
        process.terminate()
        ended(process, 3)
        last_ms, last_token = stamps(path)[-1][3], token
    free(world)


def in_time_or_not(world):
    """124 when it does not lead within --timeout, and it has left the queue (M7)"""
    process, path = candidate(world, "anna")
    leads(path)
    for wait in ("0", "0.3"):
        equal(world.tenure("elect", "e", "--timeout", wait, "--", "touch", world.path("ran")).returncode, 124)
    true(not os.path.exists(world.path("ran")), "nothing ran")
    equal(len(world.tenure("get", "--prefix", "/election/e/", "--keys-only").stdout.split()), 1, "keys in the queue")
    process.terminate()
    ended(process, 3)


def no_server(world):
    """no server: 125 and nothing runs; 3 where nothing would"""
    env = {**os.environ, "TENURE_ENDPOINTS": f"http://127.0.0.1:{free_port()}"}
    for args, code in ((("e", "touch", world.path("ran")), 125), (("--observe", "--once", "e"), 3), (("--list", "e"), 3)):
        result = world.run([TENURE, "elect", "--call-timeout", "0.5", *args], env=env)
        equal(result.returncode, code, f"exit code of {args}")
    true(not os.path.exists(world.path("ran")), "nothing ran")


def killed(world):
    """a leader killed with -9 is followed long before its TTL by one with a greater token (M12)"""
    first, first_path = candidate(world, "anna", ttl="60")
    leads(first_path)
    second, second_path = candidate(world, "ben")
    first.kill()
    began = boottime_ms()
    _, _, token, ms = leads(second_path)
    old = stamps(first_path)[-1]
    true(ms > old[3] and token > old[2], "it leads only after the last sign of life, with a greater token")
    true(ms - began < 30000, "not only when the TTL had passed")
    second.terminate()
    ended(second, 3)


def stopped(world):
    """a leader stopped for twice its TTL: its command is dead before safe-until, and on CONT it says so by 121"""
    first, first_path = candidate(world, "anna", "--ignore-term", ttl="3")
    leads(first_path)
    second, second_path = candidate(world, "ben")
    stop(first.pid)
    at = boottime_ms()
    _, _, token, ms = leads(second_path)
    old = stamps(first_path)[-1]
    true(old[3] < at + 3000 - MARGIN_MS - 30, "it was dead before the latest possible safe-until")
    true(ms > old[3] and token > old[2], "the next one leads only after it, with a greater token")
    await_(lambda: boottime_ms() > at + 6000, "twice the TTL passes")
    os.kill(first.pid, signal.SIGCONT)
    true("lost" in ended(first, 121), "it says that it lost")
    equal(leader(world), "ben")
    second.terminate()
    ended(second, 3)


def server_killed(world):
    """server killed: the command is ended before safe-until, exit code 121"""
    process, path = candidate(world, "anna", ttl="3")
    leads(path)
    world.server.kill()
    at = boottime_ms()
    ended(process, 121)
    true(stamps(path)[-1][3] < at + 3000 - MARGIN_MS - 30, "it was dead before the latest possible safe-until")


def revoked(world):
    """a lease that somebody revokes ends the command, exit code 121"""
    process, path = candidate(world, "anna", ttl="60")
    leads(path)
    world.tenure("lease", "revoke", world.tenure("lease", "list").stdout.split()[0], check=True)
    ended(process, 121)
    equal(stamps(path)[-1][0], "term")


def without_a_command(world):
    """without a command it prints key and token, leads until it is told to end, and exits 0; a loss is 121"""
    process = world.start("elect", "e", "--value", "anna")
    key, token = process.stdout.readline().strip(), process.stdout.readline().strip()
    true(re.fullmatch("/election/e/[0-9a-f]+", key), f"a key: {key!r}")
    true(re.fullmatch("token [0-9]+", token), f"a token: {token!r}")
    equal(leader(world), "anna")
    process.terminate()
    ended(process, 0)
    free(world)
    process = world.start("elect", "e", "-o", "json")
    held = json.loads(process.stdout.readline())
    world.tenure("lease", "revoke", held["lease"], check=True)
    true("lost" in ended(process, 121), "it says so")


def observed(world):
    """--observe prints every leader in the order of tokens, and that nobody leads (M10)"""
    observer = world.start("elect", "e", "--observe", "-o", "json")
    seen = [json.loads(observer.stdout.readline())]
    equal(seen[0]["leads"], False)
    for value in ("anna", "ben", "cara"):
        process, path = candidate(world, value)
        leads(path)
        process.terminate()
        ended(process, 3)
    while len([s for s in seen if s["leads"]]) < 3 or seen[-1]["leads"]:
        seen.append(json.loads(observer.stdout.readline()))
    led = [s for s in seen if s["leads"]]
    equal([s["proposal"] for s in led], ["anna", "ben", "cara"])
    equal([s["token"] for s in led], sorted(s["token"] for s in led))
    observer.send_signal(signal.SIGINT)
    ended(observer, 0)


def observed_once(world):
    """--observe --once prints the leader and exits 0, or 1 when nobody leads"""
    nobody = world.tenure("elect", "e", "--observe", "--once")
    equal((nobody.returncode, nobody.stdout), (1, "nobody leads\n"))
    process, path = candidate(world, "anna")
    token = leads(path)[2]
    once = world.tenure("elect", "e", "--observe", "--once")
    equal(once.returncode, 0)
    true(re.fullmatch(rf"anna  token {token}  /election/e/[0-9a-f]+\n", once.stdout), f"a line: {once.stdout!r}")
    process.terminate()
    ended(process, 3)


def observed_through_a_restart(world):
    """an observer survives a server that is killed and comes back"""
    observer = world.start("elect", "e", "--observe", "-o", "json")
    equal(json.loads(observer.stdout.readline())["leads"], False)
    world.server.kill()
    world.server.start()
    process, path = candidate(world, "anna")
    leads(path)
    while not (line := json.loads(observer.stdout.readline()))["leads"]:
        pass
    equal(line["proposal"], "anna")
    process.terminate()
    ended(process, 3)


def listed(world):
    """--list shows who leads first, then who waits, with host, pid and purpose; nobody is an empty list"""
    entries = lambda: json.loads(world.tenure("elect", "--list", "e", "-o", "json", check=True).stdout)["entries"]
    equal(entries(), [])
    first, path = candidate(world, "anna")
    token = leads(path)[2]
    second = world.start("elect", "e", "--value", "ben", "--purpose", "a good reason", "true")
    await_(lambda: len(entries()) == 2, "the second waits")
    a, b = entries()
    equal((a["leads"], a["proposal"], a["token"], a["pid"], a["host"]), (True, "anna", token, first.pid, os.uname().nodename))
    true("stamp.py" in a["purpose"], "the purpose is the command")
    equal((b["leads"], b["proposal"], b["pid"], b["purpose"]), (False, "ben", second.pid, "a good reason"))
    table = [line.split() for line in world.tenure("elect", "e", "--list").stdout.splitlines()]
    equal(table[0], ["STATE", "PROPOSAL", "HOST", "PID", "SINCE", "TOKEN", "PURPOSE"])
    equal([row[:2] for row in table[1:]], [["leads", "anna"], ["waiting", "ben"]])
    first.terminate()
    ended(first, 3)
    ended(second, 0)
    equal(entries(), [])
    free(world)


def preferred(world):
    """of those who wait the one with the greatest --preference leads next; who leads is left alone; --list shows it"""
    entries = lambda: json.loads(world.tenure("elect", "--list", "e", "-o", "json", check=True).stdout)["entries"]
    stand = []
    for n, (value, preference) in enumerate((("anna", None), ("ben", "1"), ("cara", "-1"), ("dora", "5"))):
        path = world.path(value)
        more = ["--preference", preference] if preference else []
        stand.append((world.start("elect", "e", "--value", value, *more, "--", "sh", "-c", 'echo "$TENURE_TOKEN" >"$0"; exec sleep 600', path), path))
        await_(lambda: len(entries()) == n + 1, "it stands")
    token = lambda path: int(await_(lambda: lines(path), "it leads")[0])
    last = token(stand[0][1])
    equal([e["preference"] for e in entries()], [0, 1, -1, 5])
    table = [line.split() for line in world.tenure("elect", "e", "--list").stdout.splitlines()]
    equal(table[0][6:], ["PREFERENCE", "PURPOSE"])
    equal([(row[0], row[1], row[6]) for row in table[1:]], [("leads", "anna", "0"), ("waiting", "ben", "1"), ("waiting", "cara", "-1"), ("waiting", "dora", "5")])
    for now, later in ((0, (3, 1, 2)), (3, (1, 2)), (1, (2,)), (2, ())):
        true(now == 0 or token(stand[now][1]) > last, "it leads next, and the token grew")
        last = token(stand[now][1])
        true(not any(os.path.exists(stand[i][1]) for i in later), "none of the others has led")
        stand[now][0].terminate()
        stand[now][0].wait(PATIENCE_S)
    equal(world.tenure("elect", "e", "--preference", "much", "true").returncode, 125)
    free(world)


main([exit_codes, no_lease_is_left, usage, environment, host_name_by_default, one_leads_at_a_time, in_time_or_not, no_server, killed, stopped,
      server_killed, revoked, without_a_command, observed, observed_once, observed_through_a_restart, listed, preferred])
