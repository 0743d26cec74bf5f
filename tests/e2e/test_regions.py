#!/usr/bin/env python3
"""Three regions, 80 ms from each other, each with a cluster of its own; cut off and healed. Network namespaces.

Environment: BEHIND, what becomes of connections that stood during a cut: keep (default), reset, silent.
"""

from regions import *

ROUND_MS = 2 * DELAY_MS
COSTS = Path(TENURE).parent / "tests" / "e2e" / "e2e-costs"
BEHIND = os.environ.get("BEHIND", "keep")


class Writing(threading.Thread):
    """Puts and deletes at a region, one after the other, until it is ended."""

    def __init__(self, region):
        super().__init__(daemon=True)
        self.gateway, self.ending = region.gateway(), threading.Event()
        self.start()

    def run(self):
        n = 0
        while not self.ending.wait(0.005):
            n += 1
            with contextlib.suppress(ConnectionError, Refused):
                self.gateway.delete(f"k{n % 7}") if n % 5 == 0 else self.gateway.put(f"k{n % 7}", str(n))

    def end(self):
        """The last revision."""
        self.ending.set()
        self.join(PATIENCE_S)
        return self.gateway.put("end", "1")


def taking(what):
    """What it answers, and how many milliseconds it took."""
    begun = time.monotonic()
    answer = what()
    return answer, (time.monotonic() - begun) * 1000


def refusal_of(what):
    try:
        what()
    except Refused as refused:
        return refused.status, refused.text
    raise Failure("it was answered")


def follows(replica, revision):
    await_(lambda: Gateway(replica.url).range(serializable=True)[0] >= revision, f"{replica.url} has revision {revision}")


# --- a replica in another region ------------------------------------------------------------------------------------------


def reads_of_a_replica(world):
    '''a replica in another region answers old reads there, and new ones with a round to the home; a write through it is seen by both'''
    with regions(world, ["eu"]) as r:
        replica = r.us.replica(r.eu.servers[0])
        with servers(replica.start()):
            home, copy = r.eu.gateway(), Gateway(replica.url)
            revision = home.put("a", "1")
            follows(replica, revision)
            (got, fresh), (old, local) = taking(copy.range), taking(lambda: copy.range(serializable=True))
            equal((got, old), ((revision, {"a": "1"}),) * 2, "what is read there")
            true(fresh >= ROUND_MS, f"a linearizable read asks the home: {fresh:.1f} ms")
            true(copy.staleness() >= DELAY_MS, f"what it says of its age has the way in it: {copy.staleness()} ms")
            print(f"# linearizable {fresh:.1f} ms, serializable {local:.1f} ms and {copy.staleness()} ms old at most")
            revision = home.put("a", "2")
            equal(copy.range(), (revision, {"a": "2"}), "a linearizable read right behind a write at home")
            revision, took = taking(lambda: copy.put("b", "1"))
            true(took >= ROUND_MS, f"a write goes to the home: {took:.1f} ms")
            equal(home.range()[0], revision, "the home's revision")
            follows(replica, revision)
            verify(r.eu, r.eu.servers[0], replica)


def replica_cut_off(world):
    '''a replica whose region is cut off says how old it is and refuses what needs the home, in words that are true; then nothing is missing'''
    with regions(world, ["eu"]) as r:
        replica = r.us.replica(r.eu.servers[0])
        with servers(replica.start()):
            cut_and_heal(r, replica)


def cut_and_heal(r, replica):
    copy, writing = Gateway(replica.url), Writing(r.eu)
    here, there = Watching(replica.url), Watching(r.eu.url)
    await_(lambda: here.next > 20, "the watch of the replica has something")
    copy.put("before", "1")
    r.cut(r.us)
    at_once = r.us.tenure("put", "at-once", "1", "--endpoints", replica.url, "--call-timeout", "1s")
    true(at_once.returncode != 0 and "may or may not" in at_once.stderr, f"whether this was done is not known: {at_once.stderr}")
    for age in (500, 1000, 1500):
        await_(lambda: copy.range(serializable=True) and copy.staleness() > age, "the age grows")
    status, text_ = refusal_of(copy.range)
    true(status == 14 and "the source of this replica does not answer" in text_, f"a linearizable read: {status} {text_}")
    late = r.us.tenure("put", "late", "1", "--endpoints", replica.url, "--call-timeout", "500ms")
    true(late.returncode != 0 and "may or may not" not in late.stderr, f"what was not sent is not done: {late.stderr}")
    before = here.next
    r.heal(r.us, connections=BEHIND)
    await_(lambda: here.next > before, "the watch of the replica goes on", 60)
    last = writing.end()
    for watching in (here, there):
        await_(lambda: watching.next > last, "the watch has all of it")
    seen = here.end().seen
    equal(seen, there.end().seen, "what the watch of the replica has seen")
    equal(any(key == "late" for _, key, _ in seen), False, "what was not done")
    verify(r.eu, r.eu.servers[0], replica)


def chain_of_replicas(world):
    '''a replica of a replica says its age since home, also when only its source is cut off from home'''
    with regions(world, ["eu"]) as r:
        first = r.us.replica(r.eu.servers[0])
        with servers(first.start()):
            second = r.ap.replica(first)
            with servers(second.start()):
                copy = Gateway(second.url)
                follows(second, r.eu.gateway().put("a", "1"))
                _, took = taking(copy.range)
                true(took >= 2 * ROUND_MS, f"a linearizable read asks all the way home: {took:.1f} ms")
                copy.range(serializable=True)
                true(copy.staleness() >= 2 * DELAY_MS, f"both ways are in its age: {copy.staleness()} ms")
                r.cut(r.eu, r.us)
                await_(lambda: copy.range(serializable=True) and copy.staleness() > 1500, "the age grows at the end of the chain")
                equal(refusal_of(copy.range)[0], 14, "a linearizable read, cut off from home by its source")
                r.heal(r.eu, r.us, connections=BEHIND)
                follows(second, r.eu.gateway().put("a", "2"))
                await_(lambda: copy.range(serializable=True) and copy.staleness() < 1000, "it is young again", 60)
                verify(r.eu, r.eu.servers[0], second)


def one_way(world):
    '''a way that carries nothing in one direction only is a cut, whichever direction it is'''
    with regions(world, ["eu"]) as r:
        replica = r.us.replica(r.eu.servers[0])
        with servers(replica.start()):
            copy = Gateway(replica.url)
            for sender, receiver in ((r.eu, r.us), (r.us, r.eu)):
                follows(replica, r.eu.gateway().put("a", sender.name))
                r.cut_one_way(sender, receiver)
                await_(lambda: copy.range(serializable=True) and copy.staleness() > 1000, f"the age grows when {sender.name} is not heard")
                equal(refusal_of(copy.range)[0], 14, f"a linearizable read when {sender.name} is not heard")
                r.heal(r.us, connections=BEHIND)
                await_(lambda: copy.range(serializable=True) and 0 <= copy.staleness() < 1000, "it is young again", 60)


# --- what it costs --------------------------------------------------------------------------------------------------------


def costs_of(region, endpoints, timeout_ms=2000):
    """call -> milliseconds; None: refused."""
    program, *before = region.command([str(COSTS)])
    result = region.world.run([program, *before, endpoints, str(timeout_ms)], env=region.environment())
    true(result.returncode == 0, result.stderr)
    words = [line.split() for line in result.stdout.splitlines()]
    return {call: None if took[0] == "-" else float(took[0]) for call, *took in words}


def costs(world):
    '''a call at home costs no round to another region, one at another region\'s at least one, and a cut off region has what is its own'''
    if os.environ.get("SANITIZED"):
        raise Skip("what it costs under a sanitizer is of no interest")
    with regions(world, ["eu", "us"]) as r:
        replica = r.us.replica(r.eu.servers[0])
        with servers(replica.start()):
            follows(replica, r.eu.gateway().put("costs", "1"))
            told = {"eu, at home": costs_of(r.eu, r.eu.endpoints), "us, at eu": costs_of(r.us, r.eu.endpoints),
                    "us, at its replica of eu": costs_of(r.us, replica.url)}
            r.cut(r.us)
            told |= {"cut off: us, at home": costs_of(r.us, r.us.endpoints), "cut off: us, at eu": costs_of(r.us, r.eu.endpoints, 200),
                     "cut off: us, at its replica of eu": costs_of(r.us, replica.url, 200)}
    calls = list(told["eu, at home"])
    print(f"# {'ms':34}" + "".join(f"{call:>13}" for call in calls))
    for where, took in told.items():
        print(f"# {where:34}" + "".join(f"{'-' if took[call] is None else took[call]:>13}" for call in calls))
    for where, rounds in (("us, at eu", calls), ("us, at its replica of eu", set(calls) - {"serializable", "open"})):
        for call in rounds:
            true((told[where][call] or 0) >= ROUND_MS, f"{where}: {call} takes a round: {told[where][call]}")
    for where in ("eu, at home", "cut off: us, at home"):
        true(None not in told[where].values(), f"{where}: everything is answered: {told[where]}")
    equal([call for call, took in told["cut off: us, at eu"].items() if took is not None], [], "what is answered there, cut off")
    equal([call for call, took in told["cut off: us, at its replica of eu"].items() if took is not None], ["serializable"], "what a replica answers, cut off")


TESTS = [costs, reads_of_a_replica, replica_cut_off, chain_of_replicas, one_way]

if __name__ == "__main__":
    netns.enter()
    main(TESTS)
