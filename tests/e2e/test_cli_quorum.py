"""Every command on three members of which two are stopped: it ends within its deadline, with the exit code of the table in
docs/commands.md, and says which servers did not answer and what the one that does said. What is read from a copy, or from the one
member at its own word, is still read. When they go on, so does everything else."""

import re
from concurrent.futures import ThreadPoolExecutor

from clusters import *

CALL_MS = 1000
LATE_S = PATIENCE_S / 2  # a machine full of tests; that it ends by itself is the point

# The exit code and the command line; a command's own command stands behind --.
REFUSED = [(3, line) for line in (
    "get k", "put k w", "del k", "lease grant 10", "lease revoke 1", "lease timetolive 1", "lease keep-alive 1", "compact 1",
    "auth user list", "auth user add x --no-password", "auth role list", "auth enable", "alarm list", "alarm disarm",
    "snapshot save SNAP", "queue put q y", "queue length q", "queue list q", "barrier look b", "barrier hold b", "barrier release b",
    "counter get c", "counter add c 1", "config get a", "config set a 2", "config delete a", "config export", "config history a",
    "config rollback a 1", "config diff 1 now", "config render TEMPLATE:OUT --once", "config import EMPTY --format json", "config schema m EMPTY",
    "config watch --timeout 1s", "service list", "service pick a", "service drain a b", "service register a --port 1 --timeout 1s",
    "cron list", "cron status x", "region list", "region status", "region sync", "region promote us --prefix /a/",
    "region add us http://127.0.0.1:1", "region home /a/ here", "lock --list a",
    "elect --list a", "elect --observe --once a", "fence generate x --token 1 --holder-key k", "fence validate x 1", "cache leader a",
    "cache get a --ask", "cache run a --once --file OUT", "mirror status",
)]
WAITS = [(124, f"{line} --timeout 1s") for line in ("barrier wait b", "queue take q")]
RUNS = [(125, f"{line} --timeout 1s -- true") for line in (
    "cron x @hourly", "queue work q", "config exec")] + [(125, f"{line} -- true") for line in (
    "lock a", "rwlock --read a", "rwlock --write a", "sem --limit 2 a", "elect a")]
STILL = [  # code 0, and what is printed
    ("get k --serializable --print-value-only", "v"), ("cache get k --file COPY", "v"), ("fence file OWN --token 1 -- true", ""),
]


def command_line(w, line):
    files = {word: w.path(word.lower()) for word in ("SNAP", "TEMPLATE", "OUT", "EMPTY", "COPY", "OWN")}
    for word, path in files.items():
        line = re.sub(rf"\b{word}\b", path, line)
    before, dashes, after = line.partition(" -- ")
    return [*before.split(), "--call-timeout", f"{CALL_MS}ms", *([dashes.strip(), *after.split()] if dashes else [])]


def ask(c, line):
    began = time.monotonic()
    got = c.tenure(*command_line(c.w, line), timeout=PATIENCE_S * 3, input="")
    return got, time.monotonic() - began


def wrong(c, row):
    code, line = row
    got, took = ask(c, line)
    said = "\n".join(text for text in got.stderr.splitlines() if not text.startswith("try: "))
    if got.returncode != code:
        return f"{line}: exit code {got.returncode}, wanted {code}: {got.stderr}"
    if "no leader" not in said and not any(url in said for url in c.endpoints.split(",")):
        return f"{line}: does not say who did not answer: {got.stderr}"
    return f"{line}: took {took:.1f} s" if took > LATE_S else None


def is_kept(c, row):
    line, wanted = row
    got, _ = ask(c, line)
    return None if (got.returncode, got.stdout.strip()) == (0, wanted) else f"{line}: {got.returncode} {got.stdout}{got.stderr}"


def two_of_three_stopped(w):
    '''every command is refused in time, says by whom, and applies nothing twice; copies are still read, and say how old they are'''
    c = Cluster(w).well()
    Path(w.path("template")).write_text("{{a}}")
    Path(w.path("empty")).write_text("{}")
    for line in ("put k v", "config set a 1", "region init here", "cache run k --once --file COPY"):
        c.tenure(*command_line(w, line), check=True)
    for name in ("m1", "m2"):
        stop(c.pid(name))
    await_(lambda: "no leader" in ask(c, "compact 1")[0].stderr, "the third has no leader any more")
    status, members = c.status()
    true(status == 1 and members["m3"]["name"] == "m3", f"cluster status: {status} {members}")
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda row: wrong(c, row), REFUSED + WAITS + RUNS), *pool.map(lambda row: is_kept(c, row), STILL)]
    equal([text for text in found if text], [], "rows that do not hold")
    copy = json.loads(ask(c, "cache get k --file COPY -o json")[0].stdout)
    true(copy["stale_ms"] > 0, f"how old the copy is: {copy}")
    got, _ = ask(c, "cache get k --file COPY --max-staleness 1ms")
    equal(got.returncode, 3, f"a copy that is older than allowed: {got.stderr}")
    for name in ("m1", "m2"):
        os.kill(c.pid(name), signal.SIGCONT)
    await_(lambda: c.status()[0] == 0, "all serve again", PATIENCE_S * 2)
    true(c.tenure("get", "k", "--print-value-only", check=True).stdout.strip() in ("v", "w"), "k was put once more, or was not")
    equal(c.end(), 0, "exit code of the cluster")


main([two_of_three_stopped])
