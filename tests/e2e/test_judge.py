#!/usr/bin/env python3
"""The judge of fault tests finds what it is there to find: each case breaks one thing of a history that is fine."""

import copy

import judge
from harness import *

HISTORY = [
    (2, "put", "/locks/l/a", ""), (3, "put", "mirror/1", "v1"), (4, "put", "guarded/l", "a:2:1"), (5, "put", "mirror/2", "v2"),
    (6, "put", "/locks/l/b", ""), (7, "put", "plain/a", "a:2:2"), (8, "delete", "/locks/l/a", ""), (9, "delete", "mirror/1", ""),
    (10, "put", "guarded/l", "b:6:1"), (11, "put", "mirror/3", "v3"), (12, "delete", "/locks/l/b", ""),
]
A = """got 90 100 2 /locks/l/a
leader 100 2 2
gained 100 2
resync 100 begin 0 0
event 100 put mirror/1 3 1 v1
resync 100 end 0 3
write 100 110 1500 guarded a:2:1 0 1 1 1
write 110 120 1500 plain a:2:2 0 1 -1 1
event 110 put mirror/2 5 1 v2
read 110 120 700 0 7 7 a:2:2
stats 220 1 1 0
lost 1900 2 -10 0
held 2 100 1899 mutex
deposed 1900 2 1 0
led 2 100 1899
stats 2900 1 5 0
failed 2000 5000 3000 -8 not acquired
event 5100 delete mirror/1 9 0 -
event 5100 put mirror/3 11 1 v3
read 5100 5110 700 0 11 7 a:2:2
mirror mirror/2 5 v2
mirror mirror/3 11 v3
mirrored 11 2
bye 6000"""
B = """got 200 2100 6 /locks/l/b
leader 2100 5 5
gained 2100 5
held 6 2100 2500 mutex
led 5 2100 2500
write 2110 2120 1500 guarded b:6:1 0 1 1 1
write 2130 2140 1500 guarded b:6:3 -8 0 -1 1
read 2150 2160 700 0 10 7 a:2:2
resync 100 begin 0 0
event 100 put mirror/2 5 1 v2
event 100 put mirror/3 11 1 v3
resync 100 end 0 11
mirror mirror/2 5 v2
mirror mirror/3 11 v3
mirrored 11 2
bye 6000"""


def complaints(a=A, b=B, history=HISTORY):
    return judge.judge({"a": judge.parse(a), "b": judge.parse(b)}, history, cuts={"a": [(200, 5000)]}, ttl_s=2, name="l")


def good(world):
    """nothing is found where nothing is wrong"""
    equal(complaints(), [])


# What is replaced in a's or b's words, and a word of the complaint.
BREAKAGES = {
    "told beside the next one": ("a", "held 2 100 1899", "held 2 100 2101", "held: b with 6"),
    "told beyond safe-until": ("a", "held 2 100 1899", "held 2 100 1950", "safe until"),
    "led beyond safe-until": ("a", "led 2 100 1899", "led 2 100 1950", "safe until"),
    "led by two": ("a", "led 2 100 1899", "led 2 100 2101", "led: b with 5"),
    "held again": ("a", "bye", "held-again 2 1950\nbye", "held again"),
    "held in on_lost": ("a", "lost 1900 2 -10 0", "lost 1900 2 -10 1", "on_lost"),
    "held behind its loss": ("a", "lost 1900", "lost 1850", "lost at 1850"),
    "deposed and leading": ("a", "deposed 1900 2 1 0", "deposed 1850 2 1 0", "deposed at 1850"),
    "a smaller token": ("b", "held 6", "held 1", "behind 2"),
    "a token twice": ("b", "held 6", "held 2", "twice"),
    "told without its key": ("b", "got 200 2100 6", "got 200 2100 7", "no key"),
    "leaders out of order": ("b", "leader 2100 5 5", "leader 2100 5 5\nleader 2100 2 5", "out of order"),
    "a write lost": ("a", "guarded a:2:1", "guarded a:2:9", "0 times"),
    "a write that was said to be not applied": ("b", "b:6:3", "a:2:2", "applied 0"),
    "refused while held": ("b", "b:6:3 -8 0 -1 1", "b:6:3 0 1 0 1", "refused while"),
    "late": ("a", "failed 2000 5000", "failed 2000 7000", "ended at"),
    "back in time": ("a", "700 0 11", "700 0 6", "back in time"),
    "a read of what is not there any more": ("a", "0 11 7 a:2:2", "0 11 4 a:2:0", "but it was"),
    "a read that another's write had gone before": ("b", "700 0 10 7", "700 0 9 7", "took effect at 9"),
    "a write before what another had read": ("a", "write 110 120 1500 plain", "write 2200 2210 1500 plain", "took effect at 7"),
    "busy": ("a", "stats 2900 1 5 0", "stats 2900 1 500 0", "endpoint failures"),
    "an event lost": ("a", "event 110 put mirror/2 5 1 v2\n", "", "behind 3"),
    "an event twice": ("a", "event 110 put mirror/2 5 1 v2", "event 110 put mirror/2 5 1 v2\nevent 110 put mirror/2 5 1 v2", "behind 3"),
    "events out of order": ("a", "event 5100 delete mirror/1 9 0 -\nevent 5100 put mirror/3 11 1 v3",
                            "event 5100 put mirror/3 11 1 v3\nevent 5100 delete mirror/1 9 0 -", "behind 3"),
    "a list with a hole": ("b", "event 100 put mirror/3 11 1 v3\n", "", "not the range"),
    "another mirror": ("a", "mirror mirror/2 5 v2", "mirror mirror/2 5 v9", "the mirror"),
    "a watch that ended": ("a", "bye", "watch-ended 100 -13 gone\nbye", "watch ended"),
    "no end": ("b", "bye 6000", "", "did not come to its end"),
}


def broken(world):
    """each breakage is found, and by its name"""
    for name, (who, wanted, instead, word) in BREAKAGES.items():
        words = {"a": A, "b": B}
        true(wanted in words[who], f"{name} breaks something")
        words[who] = words[who].replace(wanted, instead)
        found = complaints(**words)
        true(any(word in c for c in found), f"'{name}' is found: {found}")


def history(world):
    """what only the history shows is found: a value twice, an update out of order, a queue in disorder"""
    twice = copy.copy(HISTORY)
    twice.insert(9, (11, "put", "plain/a", "a:2:2"))
    true(any("2 times" in c for c in complaints(history=twice)), "a value twice")
    disorder = [(r, k, key, {"a:2:1": "b:6:1", "b:6:1": "a:2:1"}.get(v, v)) for r, k, key, v in HISTORY]
    true(any("greater token" in c for c in complaints(history=disorder)), "an update behind one of a greater token")
    overtaken = [e for e in HISTORY if e[0] != 8] + [(13, "delete", "/locks/l/a", "")]
    true(any("before" in c for c in complaints(history=overtaken)), "told before its turn")


def shared(world):
    """readers hold together, a writer with nobody; two permits of two, not three"""
    def found(*modes):
        keepers = {str(i): [["held", i, 100 + i, 200, mode]] for i, mode in enumerate(modes, 1)}
        return judge.one_at_a_time(keepers, "held")

    equal(found("read", "read", "read"), [])
    true(found("read", "write"), "a writer beside a reader")
    equal(found("permit", "permit"), [])
    true(found("permit", "permit", "permit"), "a third permit")


def delayed(world):
    """who comes too early behind a loss is found"""
    def found(first):
        keepers = {"a": [["held", 1, 100, 200, "delay"], ["lost", 201, 1, -10, 0]], "b": [["held", 2, first, first + 9, "delay"]]}
        return judge.lock_delay(keepers)

    equal(found(1201), [])
    true(found(1200), "a millisecond too early")


main([good, broken, history, shared, delayed])
