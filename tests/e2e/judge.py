"""Judges what keepers (tests/outside/keeper.c) say, beside the history of the store. Pure: records in, complaints out.

A record is one line of a keeper, split: ["held", token, first, last, mode] and so on, numbers as int. Times are ms of
CLOCK_BOOTTIME, which all processes of a machine share. An event of the history is (revision, "put"|"delete", key, value).
`keepers` are {id: records}. Each check answers a list of sentences; judge() gathers all.
"""

import bisect

MARGIN = 250  # + 1 % of the TTL: see docs/invariants.md
SLACK_MS = 1500  # a machine full of servers and sanitizers; tests/e2e/test_lib_deadline.c judges deadlines without it


def parse(text):
    records = []
    for line in text.splitlines():
        words = line.split()
        if words:
            records.append([int(w) if w.lstrip("-").isdigit() else w for w in words])
    return records


def of(records, word):
    return [r for r in records if r[0] == word]


def spans(keepers, word):
    """(first, last, token, keeper, mode) of all holdings that were ever told "held"."""
    found = []
    for name, records in keepers.items():
        for r in of(records, word):
            if r[3] != 0:
                found.append((r[2], r[3], r[1], name, r[4] if len(r) > 4 else "mutex"))
    return sorted(found)


# --- who holds ----------------------------------------------------------------------------------------------------------


def one_at_a_time(keepers, word):
    """M1, M2, M9, L2: told to nobody beside who excludes it; tokens grow from holder to holder."""
    complaints, all_spans = [], spans(keepers, word)
    for i, (first, last, token, name, mode) in enumerate(all_spans):
        beside = [s for s in all_spans[:i] if s[1] > first]  # a hand-over may take less than a millisecond
        for other in beside:
            shared = mode == other[4] and mode in ("read", "permit")
            if not shared:
                complaints.append(f"{word}: {name} with {token} at {first}, {other[3]} with {other[2]} till {other[1]}")
        if mode == "permit" and len(beside) >= 2:
            complaints.append(f"{word}: three permits of two at {first}")
        for other in all_spans[:i]:
            if other[1] < first and other[2] >= token and not mode == other[4] == "read" and mode != "permit":
                complaints.append(f"{word}: {name} got {token} at {first}, behind {other[2]} of {other[3]}")
    tokens = [s[2] for s in all_spans]
    if len(set(tokens)) != len(tokens):
        complaints.append(f"{word}: a token was given twice")
    return complaints


def not_beyond_safe_until(records, cuts, ttl_s):
    """L2: when nothing comes through from cut to heal, nobody is told "held" from safe-until on, which is at the latest a
    TTL less the margin behind the cut. cuts: [(cut has been made, heal begins)]."""
    complaints = []
    for begun, ended in cuts:
        safe_until = begun + ttl_s * 1000 - MARGIN - ttl_s * 10
        for r in of(records, "held") + of(records, "led"):
            first, last = r[2], r[3]
            if first and max(first, safe_until) < min(last, ended):
                complaints.append(f"{r[0]}: {r[1]} was told at {min(last, ended)}, safe until {safe_until} at the latest")
    return complaints


def lost_is_lost(records):
    """L3: none is told "held" when its loss has been told, nor ever again."""
    complaints = [f"held again: {r[1]} at {r[2]}" for r in of(records, "held-again")]
    complaints += [f"held in on_lost: {r[2]}" for r in of(records, "lost") if r[4]]
    complaints += [f"leads in on_lost: {r[2]}" for r in of(records, "deposed") if r[4]]
    lost = {r[2]: r[1] for r in of(records, "lost")}
    complaints += [f"{r[1]} was told at {r[3]}, lost at {lost[r[1]]}" for r in of(records, "held")
                   if r[1] in lost and r[3] > lost[r[1]]]
    deposed = {r[2]: r[1] for r in of(records, "deposed")}
    complaints += [f"{r[1]} led at {r[3]}, deposed at {deposed[r[1]]}" for r in of(records, "led")
                   if r[1] in deposed and r[3] > deposed[r[1]]]
    return complaints


def lock_delay(keepers, delay_ms=1000):
    """M11: behind an unclean loss nobody has it for so long. The key goes behind safe-until, when the loss is told."""
    complaints, delayed = [], [s for s in spans(keepers, "held") if s[4] == "delay"]
    for name, records in keepers.items():
        for _, at, token, _, _ in of(records, "lost"):
            early = [s for s in delayed if s[2] > token and s[0] < at + delay_ms]
            complaints += [f"{s[3]} held {s[2]} at {s[0]}, {token} was lost at {at}" for s in early]
    return complaints


def observers(keepers):
    """M10: leaders in the order of their tokens."""
    complaints = []
    for name, records in keepers.items():
        tokens = [r[2] for r in of(records, "leader") if r[2]]
        if tokens != sorted(tokens):
            complaints.append(f"{name} saw leaders out of order: {tokens}")
    return complaints


def queue(keepers, history, prefix):
    """M1, M5, M6: the key of each token was created by that very revision, and who came before had gone before it was told;
    in a queue of a mutex. Nobody's key goes while he is told that he holds, but by himself."""
    complaints, created, deleted = [], {}, {}
    for revision, kind, key, _ in history:
        if key.startswith(prefix) and kind == "put" and key not in created:
            created[key] = revision
        elif key.startswith(prefix) and kind == "delete" and key in created:
            deleted[created.pop(key)] = revision
    ends = {**deleted, **{revision: float("inf") for revision in created.values()}}
    for name, records in keepers.items():
        for _, _, at, token, key in of(records, "got"):
            if token not in ends:
                complaints.append(f"{name}: no key of the queue was created by {token}")
                continue
            before = [t for t, end in ends.items() if t < token and end >= ends[token]]
            if before:
                complaints.append(f"{name}: {token} was told at {at}, but before {before} had gone, it had")
    return complaints


# --- writes and reads ---------------------------------------------------------------------------------------------------


def writes(keepers, history, ordered):
    """C1, C2, M3, M4: each value at most once, and exactly once when it succeeded, never when it was not applied; guarded
    ones in the order of tokens, where one holds at a time."""
    complaints, seen = [], {}
    for _, kind, key, value in history:
        if kind == "put" and key.startswith(("guarded/", "plain/")):
            seen[value] = seen.get(value, 0) + 1
    for name, records in keepers.items():
        for _, begun, ended, limit, how, value, code, applied, outcome, held in of(records, "write"):
            times = seen.get(value, 0)
            done = code == 0 and outcome != 0
            if times > 1 or (done and times != 1) or (times and (code == 0 and outcome == 0 or code and applied == 0)):
                complaints.append(f"{name}: {how} {value}: code {code}, applied {applied}, outcome {outcome}, is there {times} times")
            if how == "guarded" and code == 0 and outcome == 0 and held:
                complaints.append(f"{name}: {value} was refused while its lock is held")
    for key in {e[2] for e in history if e[2].startswith("guarded/")}:
        tokens = [int(e[3].split(":")[1]) for e in history if e[2] == key and e[1] == "put"]
        if ordered and tokens != sorted(tokens):
            complaints.append(f"{key}: an update behind one of a greater token")
    return complaints


def deadlines(records, times=("write", "read", "failed")):
    """C3"""
    return [f"{r[0]} begun at {r[1]} for {r[3]} ms ended at {r[2]}" for r in records
            if r[0] in times and r[2] - r[1] > r[3] + SLACK_MS]


def linear(keepers, history):
    """KV1: what all of them wrote and read fits the one order of the history: each call takes effect between its begin and its end
    (at any time behind its begin, when its end is not known), and a read tells the state at its revision."""
    complaints, calls, at, states = [], [], {}, [(0, {})]
    for revision, kind, key, value in history:
        if key.startswith(("guarded/", "plain/")):
            at[value] = revision
        if key.startswith("plain/"):
            state = {k: v for k, v in states[-1][1].items() if k != key}
            states.append((revision, {**state, key: (revision, value)} if kind == "put" else state))
    for name, records in keepers.items():
        for _, begun, ended, _, how, value, code, *_ in of(records, "write"):
            if value in at:
                calls.append((begun, ended if code == 0 else float("inf"), at[value], f"{name}'s {how} write of {value}", True))
        for r in of(records, "read"):
            if r[4] == 0:
                calls.append((r[1], r[2], r[5], f"{name}'s read at {r[1]}", False))
                state = states[bisect.bisect_right(states, r[5], key=lambda s: s[0]) - 1][1]
                first = state[min(state)] if state else (0, "-")
                if len(r) > 7 and (r[6], str(r[7])) != first:
                    complaints.append(f"{name} read {r[6]} {r[7]} at revision {r[5]}, but it was {first}")
    newest, by_end = (0, "nothing"), sorted(calls, key=lambda c: c[1])
    for begun, _, revision, what, is_write in sorted(calls):
        while by_end and by_end[0][1] < begun:
            newest = max(newest, by_end.pop(0)[2:4])
        if revision < newest[0] or is_write and revision == newest[0]:
            complaints.append(f"{what} took effect at {revision}, but {newest[1]} had ended before, at {newest[0]}")
    return complaints


def reads(records):
    """W14, of one handle on one server: the revision does not go back."""
    revisions = [r[5] for r in of(records, "read") if r[4] == 0]
    return [] if revisions == sorted(revisions) else ["reads went back in time"]


def quiet(records, cuts):
    """C4: endpoints are tried a bounded number of times while nothing comes through. Counted, not timed."""
    complaints = []
    for begun, ended in cuts:
        inside = [r for r in of(records, "stats") if begun <= r[1] <= ended]
        if inside and inside[-1][3] - inside[0][3] > 20 + (ended - begun) / 100:
            complaints.append(f"{inside[-1][3] - inside[0][3]} endpoint failures within {ended - begun} ms")
    return complaints


# --- the mirror ---------------------------------------------------------------------------------------------------------


def state_at(history, revision, prefix="mirror/"):
    state = {}
    for at, kind, key, value in history:
        if at > revision:
            break
        if key.startswith(prefix) and kind == "put":
            state[key] = (at, value)
        elif key.startswith(prefix):
            state.pop(key, None)
    return state


def mirror(records, history, prefix="mirror/"):
    """W2, W3, W5, W16: outside of a resync exactly the events of the history, each once; behind it, and at the end, the range."""
    complaints, told, at, state = [], [], None, {}
    events = [e for e in history if e[2].startswith(prefix)]

    def check_told():
        if at is not None:
            wanted = [e for e in events if e[0] > at][: len(told)]
            if [e[:3] for e in told] != [e[:3] for e in wanted]:
                wrong = next(i for i, e in enumerate(told) if i >= len(wanted) or e[:3] != wanted[i][:3])
                complaints.append(f"behind {at}: told {told[wrong]}, but it was {(wanted[wrong:] or [None])[0]}")

    for r in records:
        if r[0] == "resync" and r[2] == "begin":
            check_told()
            told, at = [], None
        elif r[0] == "resync":
            told, at = [], r[4]
            if state != state_at(history, at):
                complaints.append(f"behind the resync at {at}: not the range at that revision")
        elif r[0] == "event":
            _, _, kind, key, revision, _, value = r
            told.append((revision, kind, key, value))
            if kind == "put":
                state[key] = (revision, str(value))
            elif state.pop(key, None) is None:
                complaints.append(f"{key} was deleted twice at {revision}")
        elif r[0] == "mirrored":
            check_told()
            shown = {m[1]: (m[2], str(m[3])) for m in of(records, "mirror")}
            if shown != state or state != state_at(history, events[-1][0] if events else 0) or r[2] != len(shown):
                complaints.append(f"the mirror at {r[1]} is not the range")
    complaints += [f"the watch ended: {r}" for r in of(records, "watch-ended")]
    if not of(records, "mirrored"):
        complaints.append("no mirror was shown")
    return complaints


# --- all ----------------------------------------------------------------------------------------------------------------


def judge(keepers, history, cuts=None, ttl_s=2, name=None):
    """cuts: {keeper: [(from, to)]}. name: of the queue, when it is of mutexes alone."""
    complaints = one_at_a_time(keepers, "held") + one_at_a_time(keepers, "led") + observers(keepers)
    complaints += lock_delay(keepers)
    complaints += writes(keepers, history, bool(name)) + linear(keepers, history)
    if name:
        complaints += queue(keepers, history, f"/locks/{name}/")
    for keeper, records in keepers.items():
        mine = (cuts or {}).get(keeper, [])
        found = not_beyond_safe_until(records, mine, ttl_s) + lost_is_lost(records) + deadlines(records)
        found += reads(records) + quiet(records, mine) + mirror(records, history)
        if not of(records, "bye"):
            found.append("it did not come to its end")
        complaints += [f"{keeper}: {c}" for c in found]
    return complaints
