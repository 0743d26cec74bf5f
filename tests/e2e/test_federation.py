#!/usr/bin/env python3
"""What lies in several regions, 80 ms from each other, over cuts. Network namespaces.

Environment: BEHIND, what becomes of connections that stood during a cut: keep (default), reset, silent.
"""

import random

from beats import Beats
from regions import *

BEHIND = os.environ.get("BEHIND", "keep")
SHARED = "/shared/"


def below(region, prefix=SHARED):
    """{key: value}, and the revision."""
    revision, keys = region.gateway().range(key=b64(prefix), range_end=b64(prefix[:-1] + chr(ord(prefix[-1]) + 1)))
    return keys, revision


class Pairs(threading.Thread):
    """Writes, at a region: two keys of one value in each transaction, others, deletes, and a key on a lease now and then."""

    def __init__(self, region, pause_s=0.01):
        super().__init__(daemon=True)
        self.gateway, self.random, self.ending, self.written = region.gateway(), random.Random(1), threading.Event(), 0
        self.pause_s = pause_s
        self.start()

    def put(self, key, value, **more):
        return {"request_put": {"key": b64(SHARED + key), "value": b64(value), **more}}

    def one(self, n):
        chance = self.random.random()
        if chance < 0.5:
            self.gateway.ask("kv/txn", {"success": [self.put("a", str(n)), self.put("b", str(n))]})
        elif chance < 0.8:
            self.gateway.put(f"{SHARED}k{self.random.randrange(20)}", str(n))
        elif chance < 0.95:
            self.gateway.delete(f"{SHARED}k{self.random.randrange(20)}")
        else:
            lease = self.gateway.ask("lease/grant", {"TTL": "60"})["ID"]
            self.gateway.put(f"{SHARED}l{n % 3}", str(n), lease=lease)

    def run(self):
        while not self.ending.wait(self.pause_s):
            self.written += 1
            with contextlib.suppress(ConnectionError, Refused):
                self.one(self.written)

    def end(self):
        self.ending.set()
        self.join(PATIENCE_S)


class Whole(threading.Thread):
    """Reads a region all the time: the two keys of a transaction are never seen apart, and never go back."""

    def __init__(self, region):
        super().__init__(daemon=True)
        self.region, self.ending, self.wrong, self.reads = region, threading.Event(), [], 0
        self.start()

    def run(self):
        last = 0
        while not self.ending.wait(0.01):
            keys, _ = below(self.region)
            a, b = int(keys.get(SHARED + "a", 0)), int(keys.get(SHARED + "b", 0))
            self.reads += 1
            if a != b or a < last:
                self.wrong.append((last, a, b))
            last = a

    def end(self):
        self.ending.set()
        self.join(PATIENCE_S)
        equal(self.wrong[:5], [], f"what was seen in {self.reads} reads: (before, a, b)")


def mirror_status(region, name):
    told = region.tenure("mirror", "status", "--name", name, "-o", "json", check=True)
    return json.loads(told.stdout)["mirrors"][0]


def start_mirror(source, destination, name, prefix=SHARED):
    """Near the destination."""
    return destination.start("mirror", "--from", source.endpoints, "--to", destination.endpoints, "--prefix", prefix, "--name", name,
                             stderr=subprocess.STDOUT, stdout=open(destination.world.path(f"{name}.log"), "a"))


def mirror_cut_off(world):
    '''a mirror into a region that is cut off goes on behind the cut: no transaction is seen by half, and in the end both are equal, deletes too'''
    with regions(world, ["eu", "us"]) as r:
        writing = Pairs(r.eu)
        mirror = start_mirror(r.eu, r.us, "eu-us")
        await_(lambda: len(below(r.us)[0]) > 10, "the mirror has begun")
        whole = Whole(r.us)
        cut_for_a_while(r, writing)
        before = mirror_status(r.us, "eu-us")
        time.sleep(0.3)
        after = mirror_status(r.us, "eu-us")
        equal((before["revision"], before["time"]), (after["revision"], after["time"]), "what the record says while nothing comes")
        heal_and_go_on(r, writing)
        whole.end()  # the comparison to come goes through the keys in their order
        cut_for_a_while(r, writing)
        mirror.kill()
        r.eu.gateway().compact(below(r.eu)[1])
        mirror = start_mirror(r.eu, r.us, "eu-us")
        heal_and_go_on(r, writing)
        writing.end()
        await_(lambda: below(r.us)[0] == below(r.eu)[0], "both are equal")
        mirror.terminate()
        equal(mirror.wait(PATIENCE_S), 0, f"the mirror's exit code: {read(world.path('eu-us.log'))}")


def one_of_two_cut_off(world):
    '''a destination that is cut off holds up no other one, and has all of it in the end'''
    with regions(world) as r:
        writing = Pairs(r.eu, 0.1)  # the mirror is near the source here: a round each, where keys are the same
        mirror = r.eu.start("mirror", "--from", r.eu.endpoints, "--to", r.us.endpoints, "--to", r.ap.endpoints, "--prefix", SHARED,
                            stderr=subprocess.STDOUT, stdout=open(world.path("both.log"), "w"))
        for region in (r.us, r.ap):
            await_(lambda: len(below(region)[0]) > 5, f"the mirror has begun in {region.name}")
        r.cut(r.us)
        for _ in range(2):
            written = writing.written
            await_(lambda: int(below(r.ap)[0].get(SHARED + "a", 0)) > written + 3, "the other one goes on")
        true(int(below(r.us)[0].get(SHARED + "a", 0)) < written, "the one that is cut off hears nothing")
        r.heal(r.us, connections=BEHIND)
        writing.end()
        for region in (r.us, r.ap):
            await_(lambda: below(region)[0] == below(r.eu)[0], f"{region.name} is equal", 60)
        equal(mirror.poll(), None, f"the mirror still runs: {read(world.path('both.log'))}")


def cut_for_a_while(r, writing):
    r.cut(r.us)
    before = writing.written
    await_(lambda: writing.written > before + 80, "much is written while it is cut off")


def heal_and_go_on(r, writing):
    written = writing.written
    r.heal(r.us, connections=BEHIND)
    await_(lambda: int(below(r.us)[0].get(SHARED + "a", 0)) > written, "the mirror goes on", 60)


# --- a home is lost -------------------------------------------------------------------------------------------------------


def introduce(first, *others):
    """The regions know each other."""
    first.tenure("region", "init", first.name, check=True)
    for other in others:
        first.tenure("region", "add", other.name, other.endpoints, "--distance", f"{first.name}={2 * DELAY_MS}", check=True)


def states(region):
    """What the region's own cluster says of all, and the exit code."""
    told = region.tenure("region", "status", "-o", "json", "--call-timeout", "500ms")
    return {each["region"]: each["state"] for each in json.loads(told.stdout)["regions"]}, told.returncode


def token(region, *options):
    """Of the lock that is taken, for a moment, at its home."""
    told = region.tenure("lock", "--region", "home", "job", *options, "--", "sh", "-c", "echo $TENURE_TOKEN", check=True)
    return int(told.stdout)


def home_lost(world):
    '''a home that was lost and comes back undoes nothing: its tokens are old ones, what it wrote unseen is kept in a file and goes nowhere'''
    with regions(world) as r:
        introduce(r.eu, r.us, r.ap)
        for prefix in (SHARED, "/locks/"):
            r.eu.tenure("region", "home", prefix, "eu", check=True)
        mirrors = [start_mirror(r.eu, r.us, "eu-us"), start_mirror(r.us, r.eu, "us-eu")]  # both, always; one of them has a home
        eu, us = r.eu.gateway(), r.us.gateway()
        for i in range(20):
            eu.put(f"{SHARED}k{i}", "1")
        await_(lambda: below(r.us)[0] == below(r.eu)[0], "the mirror has all")
        tokens = [token(r.eu), token(r.us)]
        equal(states(r.us), ({"ap": "answers", "eu": "answers", "us": "answers"}, 0), "who answers")

        r.cut(r.eu)
        equal(states(r.us), ({"ap": "answers", "eu": "away", "us": "answers"}, 1), "who answers, seen from us")
        refused = r.us.tenure("lock", "--region", "home", "job", "--call-timeout", "500ms", "--", "true")
        true(refused.returncode != 0 and "eu" in refused.stderr, f"the home cannot be reached: {refused.stderr}")
        eu.put(f"{SHARED}k0", "of the old home, unseen")
        eu.put(f"{SHARED}new", "of the old home, unseen")
        eu.delete(f"{SHARED}k1")
        promote = ["region", "promote", "us", "--instead-of", "eu", "--call-timeout", "500ms"]
        refused = r.us.tenure(*promote)
        true(refused.returncode == 1 and "--force" in refused.stderr, f"a home that may live is not passed over: {refused.stderr}")
        r.us.tenure(*promote, "--force", check=True)
        us.put(f"{SHARED}k2", "of the new home")
        us.delete(f"{SHARED}k3")
        tokens.append(token(r.eu))  # a zombie: it holds, and does not know
        tokens.append(token(r.us))
        tokens.append(token(r.ap))
        zombie = tokens.pop(2)
        true(tokens == sorted(tokens) and zombie < tokens[2], f"tokens grow, and the zombie's is older: {tokens}, {zombie}")

        eu.put(f"{SHARED}k3", "of the old home, behind the new home's delete")
        wanted = below(r.us)[0]
        r.heal(r.eu, connections=BEHIND)
        await_(lambda: "the destination us (epoch 2)" in read(world.path("eu-us.log")), "the old home's mirror is told", 60)
        equal(below(r.us)[0], wanted, "the new home, which hears nothing of the old one")
        r.us.tenure("region", "sync", "--save", world.path("unseen"), check=True)
        await_(lambda: below(r.eu)[0] == wanted, "the old home becomes what the new one is")
        us.put(f"{SHARED}k5", "of the new home, again")
        await_(lambda: below(r.eu)[0] == below(r.us)[0], "the mirror goes the other way")
        true("new" in read(world.path("unseen-eu-epoch-2")), "what the old home alone had is kept")
        tokens.append(token(r.eu))  # asked for in the old home, held in the new one
        equal(tokens, sorted(tokens), "tokens")
        for mirror in mirrors:
            equal(mirror.poll(), None, "the mirrors still run")


def home_with_authority_cut_off(world):
    """a home with authority that is cut off, and knows nothing: its holders, there and elsewhere, have lost before another is promoted, without force"""
    with regions(world) as r:
        introduce(r.eu, r.us, r.ap)
        r.eu.tenure("region", "home", "/locks/", "eu", "--authority", check=True)
        hold = r.eu.start("region", "hold", "/locks/", "--ttl", "6s", "-o", "jsonl", stdout=subprocess.PIPE)
        await_(lambda: '"held"' in hold.stdout.readline(), "it has its authority")
        here, there = Beats(world.path("here")), Beats(world.path("there"))
        local = r.eu.start("lock", "--region", "home", "--ttl", "8s", "--grace", "1s", "a", "--", *here.command)
        remote = r.us.start("lock", "--region", "home", "--ttl", "8s", "--grace", "1s", "b", "--", *there.command)
        await_(lambda: here.all() and there.all(), "both are held")
        a_lock = ("lock", "--region", "home", "--grace", "1s", "a", "--", "true")
        promote = ("region", "promote", "us", "--prefix", "/locks/", "--call-timeout", "1s")
        r.cut(r.eu)
        cut_at = time.monotonic()
        first = r.us.tenure(*promote)
        true(first.returncode == 1 and "its authority lives for" in first.stderr, f"refused while it lives: {first.stderr}")
        await_(lambda: r.us.tenure(*promote).returncode == 0, "promoted, without force")
        promoted_at = time.monotonic()
        for process, beats in ((local, here), (remote, there)):
            equal(process.wait(PATIENCE_S), 121, "it has lost")
            true(beats.last < promoted_at, "and before")
        print(f"# ended {here.last - cut_at:.2f} and {there.last - cut_at:.2f} s behind the cut, promoted {promoted_at - cut_at:.2f} s behind it")
        refused = r.eu.tenure(*a_lock)
        true(refused.returncode == 125 and "has no authority now" in refused.stderr, f"the old home by itself: {refused.stderr}")
        new = r.us.start("region", "hold", "/locks/", "--ttl", "6s", "-o", "jsonl", stdout=subprocess.PIPE)
        await_(lambda: '"held"' in new.stdout.readline(), "the new home has its authority")
        r.us.tenure(*a_lock, check=True)
        r.heal(r.eu, connections=BEHIND)
        await_(lambda: r.us.tenure("region", "sync").returncode == 0, "the old home is told")
        await_(lambda: r.eu.tenure(*a_lock).returncode == 0, "in the old home, from the new one")


TESTS = [mirror_cut_off, one_of_two_cut_off, home_lost, home_with_authority_cut_off]

if __name__ == "__main__":
    netns.enter()
    main(TESTS)
