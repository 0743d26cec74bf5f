"""tenure bench: what it measures, says, leaves behind and refuses. How fast anything is no test judges."""

import json
import signal

from harness import *

NOTHING = lambda world: equal(world.tenure("get", "--prefix", "/", "--count-only").stdout.strip(), "0", "keys left behind")


def measured(world, *words):
    return json.loads(world.tenure("bench", *words, "-o", "json", check=True).stdout)


def each_kind(world):
    """each kind says how many there were and how their times spread, and leaves nothing behind"""
    for kind, more in (("put", ["--total", "200", "--keys", "10", "--value-size", "0"]), ("get", ["--total", "200", "--keys", "50"]),
                       ("get", ["--total", "50", "--keys", "5", "--serializable"]), ("lock", ["--total", "12", "--clients", "4"]),
                       ("lock", ["--total", "12", "--clients", "3", "--apart"])):
        r = measured(world, kind, "--duration", "30s", *more)
        equal((r["bench"], r["calls"], r["failed"]), (kind, int(more[1]), 0), f"of {kind} {more}")
        ms = r["ms"]
        true(0 < ms["p50"] <= ms["p90"] <= ms["p99"] <= ms["p999"] <= ms["max"], f"they grow: {ms}")
        true(r["seconds"] > 0 and r["per_s"] > 0, f"a rate: {r}")
        NOTHING(world)


def every_watch_gets_every_event(world):
    """watch counts each put once for each watch"""
    r = measured(world, "watch", "--clients", "7", "--total", "20", "--rate", "200", "--duration", "30s")
    equal((r["events"], r["failed"]), (140, 0), "events")
    NOTHING(world)


def a_rate_is_kept(world):
    """no more are begun than the rate and the time allow"""
    r = measured(world, "put", "--rate", "50", "--duration", "500ms")
    true(1 <= r["calls"] <= 26, f"{r['calls']} in half a second at 50/s")


def told_to_end(world):
    """Ctrl-C ends it in order: what was measured is printed, and nothing is left behind"""
    process = world.start("bench", "put", "--duration", "1h", "-o", "json")
    await_(lambda: world.tenure("get", "--prefix", "/bench/", "--count-only").stdout.strip() != "0", "it writes")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    equal(process.returncode, 0, err)
    true(json.loads(out)["calls"] > 0, out)
    NOTHING(world)


def a_held_lock(world):
    """who waits for a lock when the time is over gives it up"""
    r = world.tenure("bench", "lock", "--clients", "8", "--duration", "300ms", "-o", "json", check=True)
    true(json.loads(r.stdout)["failed"] == 0, r.stdout)
    NOTHING(world)


def as_text_and_table(world):
    """people read two lines, or a row"""
    lines = world.tenure("bench", "put", "--total", "20", check=True).stdout.splitlines()
    equal(len(lines), 2, "lines")
    true(lines[0].startswith("20 puts in ") and lines[1].startswith("p50 "), lines)
    rows = world.tenure("bench", "put", "--total", "20", "-o", "table", check=True).stdout.splitlines()
    equal(rows[0].split()[:2], ["BENCH", "CLIENTS"], "headings")
    equal(rows[1].split()[:2], ["put", "16"], "the row")


def wrong_words(world):
    """what it does not know is named; without a server nothing is measured"""
    for words, says in (((), "put, get, watch or lock"), (("del",), "put, get, watch or lock"), (("put", "get"), "put, get, watch or lock"),
                        (("put", "--clients", "0"), "--clients"), (("put", "--keys", "0"), "--keys"), (("put", "--total", "-1"), "--total"),
                        (("watch", "--value-size", "7"), "at least 8"), (("put", "--duration", "0"), "--duration")):
        r = world.tenure("bench", *words)
        equal(r.returncode, 2, f"bench {words}")
        true(says in r.stderr, f"{says} in {r.stderr!r}")
    gone = world.tenure("bench", "put", "--total", "3", "--call-timeout", "300ms", "--endpoints", f"http://127.0.0.1:{free_port()}")
    equal((gone.returncode, gone.stdout), (3, ""), gone.stderr)


def server_killed(world):
    """the server dies in the middle: it ends in time, says how many failed, and what may be left behind"""
    process = world.start("bench", "put", "--duration", "1h", "--total", "1000000", "--call-timeout", "500ms")
    await_(lambda: world.tenure("get", "--prefix", "/bench/", "--count-only").stdout.strip() != "0", "it writes")
    world.server.kill()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    true(process.returncode in (0, 1), f"{process.returncode}: {err}")
    true("tenure del --prefix /bench/" in err, err)
    true(" puts in " in out, out)


main([each_kind, every_watch_gets_every_event, a_rate_is_kept, told_to_end, a_held_lock, as_text_and_table, wrong_words, server_killed])
