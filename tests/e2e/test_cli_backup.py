#!/usr/bin/env python3
"""tenure cluster backup and backups: files that are whole and checked, what is removed, and what a failure leaves."""

import fcntl
import json
import resource

from harness import *


def backup(w, *args, folder="b", **more):
    return w.tenure("cluster", "backup", "--to", w.path(folder), *args, **more)


def files(w, folder="b"):
    return sorted(p.name for p in Path(w.path(folder)).glob("*.db*"))


def listed(w, *args, folder="b"):
    got = w.tenure("cluster", "backups", w.path(folder), "-o", "json", *args)
    return got.returncode, json.loads(got.stdout), got.stderr


def reads_signals(pid):
    try:
        return any("signalfd" in os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False


def what_it_writes(w):
    """a backup is a snapshot with its revision, checked; the list says so, and a restore of it has what was written"""
    w.tenure("put", "a", "1", check=True)
    got = json.loads(backup(w, "-o", "json", check=True).stdout)
    equal(files(w), [got["file"]], "files")
    equal((got["revision"], got["removed"]), (2, []), "what it says")
    code, told, _ = listed(w, "--check")
    equal((code, [(b["file"], b["revision"], b["state"]) for b in told["backups"]]), (0, [(got["file"], 2, "good")]), "listed")
    w.tenure("snapshot", "restore", f"{w.path('b')}/{got['file']}", "--data-dir", w.path("restored"), check=True)
    true(oct(os.stat(f"{w.path('b')}/{got['file']}").st_mode).endswith("600"), "nobody else may read it")


def what_is_removed(w):
    """--keep removes its own oldest ones only; a file of somebody else, one that was changed and the last good one stay"""
    for i in range(3):
        w.tenure("put", "a", str(i), check=True)
        backup(w, check=True)
    Path(w.path("b/backup-20200101T000000Z-r1.db")).write_text("somebody else's")
    first = listed(w)[1]["backups"][0]["file"]
    Path(w.path(f"b/{first}")).write_text("changed")
    got = json.loads(backup(w, "--keep", "1", "-o", "json", check=True).stdout)
    equal(len(got["removed"]), 2, "removed")
    equal(files(w), sorted(["backup-20200101T000000Z-r1.db", first, got["file"]]), "files")
    code, told, _ = listed(w)
    equal((code, [b["state"] for b in told["backups"]]), (1, ["changed", "good"]), "listed")
    again = json.loads(backup(w, "--keep-for", "0.001s", "-o", "json", check=True).stdout)
    equal((again["removed"], again["file"] in files(w)), ([got["file"]], True), "by age")


def what_is_damaged(w):
    """a file whose bytes were changed is found by --check, by the list's own look when its size is another one, and named"""
    backup(w, check=True)
    path = f"{w.path('b')}/{files(w)[0]}"
    with open(path, "r+b") as f:
        f.seek(5000)
        f.write(b"\xff\xfe\xfd")
    equal(listed(w)[0], 0, "by its size it is fine")
    code, told, said = listed(w, "--check")
    equal((code, told["backups"][0]["state"], "last_success" in told), (1, "changed", False), "checked")
    true("checksum" in said, said)


def a_full_disk(w):
    """without room the older ones stay, the failure is told and listed, and nothing of it is left; then it goes on"""
    w.tenure("put", "a", "1", check=True)
    backup(w, check=True)
    before = files(w)

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    got = backup(w, "--keep", "1", preexec_fn=full)
    equal((got.returncode, files(w)), (1, before), f"exit code and files, {got.stderr}")
    code, told, _ = listed(w)
    equal((code, "last_failure" in told, [b["state"] for b in told["backups"]]), (1, True, ["good"]), "listed")
    backup(w, "--keep", "1", check=True)
    code, told, _ = listed(w)
    equal((code, "last_failure" in told, len(files(w))), (0, False, 1), "listed")


def one_at_a_time(w):
    """while somebody makes one into the folder another one is refused, with whom it waits for; one that was killed is in nobody's way"""
    backup(w, check=True)
    with open(w.path("b/lock"), "r+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        got = backup(w)
        true(got.returncode == 1 and f"by process {os.getpid()}" in got.stderr, f"{got.returncode} {got.stderr}")
    Path(w.path("b/unfinished.db.part")).write_text("of one that was killed")
    backup(w, check=True)
    equal([f for f in files(w) if not f.startswith("backup-")], [], "left over")


def again_and_again(w):
    """--every makes one after the other; without a server it says so and tries again; a signal ends it, and its code says how it was"""
    w.tenure("put", "a", "1", check=True)
    p = w.start("cluster", "backup", "--to", w.path("b"), "--every", "1s", "--keep", "1", "--call-timeout", "1s", "-o", "jsonl",
                env=w.environment())
    made = [json.loads(p.stdout.readline()) for _ in range(2)]
    equal(len({m["file"] for m in made}), 2, "names")
    await_(lambda: len(files(w)) == 1, "one is kept")
    w.server.kill()
    await_(lambda: "last_failure" in listed(w)[1], "the failure is listed")
    equal(all(b["state"] == "good" for b in listed(w)[1]["backups"]), True, "the others stay")
    p.send_signal(signal.SIGTERM)
    out, said = p.communicate(timeout=PATIENCE_S)
    equal(p.returncode, 1, "exit code")
    true("no backup: " in said and "tried again in" in said, said)
    w.server.start()
    p = w.start("cluster", "backup", "--to", w.path("b"), "--schedule", "* * * * *", env=w.environment())
    await_(lambda: reads_signals(p.pid), "it waits")
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=PATIENCE_S)
    equal(p.returncode, 0, "exit code: there was one, and nothing failed since")


def compacted_to_the_end(w):
    """a revision whose rows compaction has removed counts all the same"""
    w.tenure("put", "a", "1", check=True)
    w.tenure("del", "a", check=True)
    w.tenure("compact", "3", "--physical", check=True)
    equal(json.loads(backup(w, "-o", "json", check=True).stdout)["revision"], 3, "revision")


def what_cannot_be(w):
    """bad options, a folder that is none, a list that is broken and a server that is not there are named"""
    Path(w.path("file")).write_text("")
    Path(w.path("broken")).mkdir()
    Path(w.path("broken/backups.json")).write_text('{"backups": [{"file": "../x"}]}')
    Path(w.path("empty")).mkdir()
    Path(w.path("empty/backups.json")).write_text("")
    for args, code, words in ((["backups", w.path("empty")], 2, "move it away"), (["backup"], 2, "--to DIR"), (["backup", "--to", "x", "--every", "0.1"], 2, "a second or more"),
                              (["backup", "--to", "x", "--every", "1h", "--schedule", "@daily"], 2, "either"),
                              (["backup", "--to", "x", "--schedule", "frob"], 2, "frob"),
                              (["backup", "--to", "x", "--keep", "-1"], 2, "--keep"), (["backups", w.path("none")], 2, "none"),
                              (["backup", "--to", w.path("file")], 1, "not a folder"), (["backups", w.path("broken")], 2, "no backup"),
                              (["backup", "--to", w.path("c"), "--endpoints", "http://127.0.0.1:1", "--call-timeout", "200ms"], 3, "no backup")):
        got = w.tenure("cluster", *args)
        true(got.returncode == code and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")
    backup(w, check=True)
    equal(listed(w, "--max-age", "1h")[0], 0, "young")
    equal(listed(w, "--max-age", "1ms")[0], 1, "old")


main([what_it_writes, what_is_removed, what_is_damaged, a_full_disk, one_at_a_time, again_and_again, compacted_to_the_end, what_cannot_be])
