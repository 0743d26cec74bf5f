"""The authority of a home: a lease in the other regions, which `tenure region hold` renews. Without it nothing is given out, and what is held is
lost; and behind it another region is promoted without force."""

import json

from beats import Beats
from harness import *
from homes import Regions

TTL_S = 4
PATIENT = ("--call-timeout", "2s")


class Hold:
    """`tenure region hold` in a region."""

    def __init__(self, r, name, ttl_s=TTL_S):
        self.process = r.start(name, "region", "hold", "/locks/", "--ttl", str(ttl_s), "-o", "jsonl")

    @property
    def pid(self):
        return self.process.pid

    def says(self, state):
        """Reads on until it says that."""
        for line in self.process.stdout:
            if json.loads(line)["state"] == state:
                return json.loads(line)
        raise Failure(f"it ended, and did not say {state}")


def begin(world, hold=True, ttl_s=TTL_S):
    r = Regions(world)
    r.at("eu", "region", "home", "/locks/", "eu", "--authority", check=True)
    if not hold:
        return r, None
    h = Hold(r, "eu", ttl_s)
    h.says("held")
    return r, h


def lock(r, name, *how):
    return r.at(name, "lock", "--region", "eu", "--ttl", str(TTL_S), "job", *how, "--", "true")


def holder(r, name, path):
    beats = Beats(path)
    process = r.start(name, "lock", "--region", "eu", "--ttl", str(TTL_S), "job", "--", *beats.command)
    await_(beats.all, "it is held")
    return process, beats


def places(r, name="us"):
    return sorted(x["in"] for x in json.loads(r.at(name, "region", "status", "-o", "json", *PATIENT).stdout)["homes"][0]["places"])


def promote(r, *how):
    return r.at("us", "region", "promote", "us", "--prefix", "/locks/", *PATIENT, *how)


def had_and_not(world):
    """with authority a lock is had, without it is refused in words that say so; and the status shows where it lives"""
    r, _ = begin(world, hold=False)
    none = lock(r, "eu")
    equal(none.returncode, 125, "nobody holds the authority")
    true("has no authority now" in none.stderr and "tenure region hold" in none.stderr, none.stderr)
    hold = Hold(r, "eu")
    true(hold.says("held")["places"], "places")
    equal(lock(r, "eu").returncode, 0, "now it has")
    for what in (("rwlock", "--write", "rw"), ("sem", "--limit", "2", "s")):
        equal(r.at("us", *what[:-1], "--region", "eu", "--ttl", str(TTL_S), what[-1], "--", "true").returncode, 0, what[0])
    await_(lambda: places(r) == ["ap", "eu", "us"], "places in all")
    hold.process.terminate()
    equal(hold.process.wait(PATIENCE_S), 0, "ends by a signal")


def stopped_and_continued(world):
    """a hold that is stopped for longer than its time loses it, and with it who holds; it comes back when it is continued"""
    r, hold = begin(world)
    process, beats = holder(r, "us", world.path("beats"))
    stop(hold.pid)
    equal(process.wait(PATIENCE_S), 121, "the holder")
    await_(lambda: "authority" not in r.at("eu", "get", "--prefix", "/federation/authority/").stdout, "its word is gone")
    refused = lock(r, "eu")
    true(refused.returncode == 125 and "has no authority now" in refused.stderr, refused.stderr)
    await_(lambda: places(r) == [], "its places are over")
    hold.process.send_signal(signal.SIGCONT)
    await_(lambda: lock(r, "eu").returncode == 0, "it is back")


def killed_and_another_goes_on(world):
    """of two in a home one does it; when it is killed the other one goes on with the same places, and who holds has lost nothing"""
    r, first = begin(world, ttl_s=12)
    second = Hold(r, "eu", 12)
    second.says("standby")
    lease = lambda: json.loads(r.at("us", "get", "/federation/authority/locks/", "-o", "json").stdout)["kvs"][0]["lease"]
    before = lease()
    process, beats = holder(r, "eu", world.path("beats"))
    first.process.kill()
    second.says("held")
    equal(lease(), before, "the lease in us")
    seen = beats.last
    await_(lambda: beats.last > seen + 2, "it is still held")
    equal(process.poll(), None, "the holder")


def promoted_without_force(world):
    """another region is promoted without force once the authority is over, not before, and the old home does not come back"""
    r, hold = begin(world)
    process, beats = holder(r, "eu", world.path("old"))
    r["eu"].freeze()  # the servers alone: what holds for them is on the machine still
    lives = promote(r)
    equal(lives.returncode, 1, "it lives")
    for word in ("its authority lives for", "more seconds in ap, us", "--force"):
        true(word in lives.stderr, lives.stderr)
    equal(r.value("ap", "/federation/homes/locks/"), '{"region":"eu","epoch":1,"authority":true}', "nobody was told")
    done = await_(lambda: (lambda p: p if p.returncode == 0 else None)(promote(r, "-o", "json")), "promoted")
    promoted_at = time.monotonic()
    equal(json.loads(done.stdout)["homes"][0]["handed_over"], False, "by itself")
    equal(process.wait(PATIENCE_S), 121, "the holder")
    true(beats.last < promoted_at, "it was over before")
    equal(r.at("us", "lock", "--region", "home", "job", "--", "true").returncode, 125, "us has no authority yet")
    Hold(r, "us").says("held")
    new = Beats(world.path("new"))
    successor = r.start("us", "lock", "--region", "home", "--ttl", str(TTL_S), "job", "--", *new.command)
    await_(new.all, "held in us")
    true(new.first > beats.last, "one after the other")
    r["eu"].thaw()
    refused = await_(lambda: (lambda p: p if p.returncode == 125 else None)(lock(r, "eu", *PATIENT)), "the old home gives out nothing")
    true("authority" in refused.stderr or "home in region 'us'" in refused.stderr, refused.stderr)
    r.at("ap", "region", "sync", check=True)
    hold.says("elsewhere")
    equal(successor.poll(), None, "who holds in us")


def handed_over(world):
    """a home that answers steps down first; the new one is told when what the old one has promised is over"""
    r, hold = begin(world)
    process, beats = holder(r, "eu", world.path("old"))
    r["ap"].freeze()
    blind = promote(r)
    true(blind.returncode == 1 and "it takes 2 regions besides 'eu'" in blind.stderr, f"it could not be seen that it is over: {blind.stderr}")
    equal(r.value("eu", "/federation/homes/locks/"), '{"region":"eu","epoch":1,"authority":true}', "nothing is changed")
    r["ap"].thaw()
    done = promote(r)
    promoted_at = time.monotonic()
    equal(done.returncode, 0, done.stderr)
    true("stepped down" in done.stderr and "tenure region hold /locks/" in done.stderr, done.stderr)
    equal(process.wait(PATIENCE_S), 121, "the holder")
    true(beats.last < promoted_at, "it was over before")
    hold.says("elsewhere")
    equal({r.value(name, "/federation/homes/locks/") for name in r.servers}, {'{"region":"us","epoch":2,"authority":true}'}, "records")


def wanted_and_not_any_more(world):
    """authority is asked for, and given up, by another epoch; given up only where all regions hear of it"""
    r = Regions(world, 2)
    r.at("eu", "region", "home", "/locks/", "eu", check=True)
    r.at("eu", "region", "home", "/locks/", "eu", "--authority", check=True)
    r.at("eu", "region", "home", "/locks/", "eu", "--authority", check=True)
    r.at("eu", "region", "home", "/locks/", "eu", check=True)
    equal({r.value(name, "/federation/homes/locks/") for name in r.servers}, {'{"region":"eu","epoch":2,"authority":true}'}, "with")
    r["us"].freeze()
    kept = r.at("eu", "region", "home", "/locks/", "eu", "--no-authority", *PATIENT)
    equal(kept.returncode, 3, "us does not hear of it")
    r["us"].thaw()
    r.at("eu", "region", "home", "/locks/", "eu", "--no-authority", check=True)
    equal({r.value(name, "/federation/homes/locks/") for name in r.servers}, {'{"region":"eu","epoch":3}'}, "without")
    equal(lock(r, "us").returncode, 0, "given out as ever")


def candidate(world):
    """a candidate stands on where there is no authority, and says why; it leads when there is, and for longer than one asking"""
    r, _ = begin(world, hold=False)
    beats = Beats(world.path("leads"))
    process = r.start("us", "elect", "--region", "eu", "--ttl", str(TTL_S), "--prefix", "/locks/leader", "--", *beats.command,
                      stderr=open(world.path("says"), "w"))
    await_(lambda: "has no authority now" in read(world.path("says")), "says why")
    true("standing on" in read(world.path("says")), read(world.path("says")))
    hold = Hold(r, "eu")
    await_(beats.all, "it leads")
    await_(lambda: beats.last > beats.first + 1.5 * TTL_S, "it goes on leading")
    equal(process.poll(), None, read(world.path("says")))
    hold.process.kill()
    equal(process.wait(PATIENCE_S), 121, "it has lost")


def no_time_for_it(world):
    """a --grace for which the authority leaves no time is said at once"""
    r, _ = begin(world)
    ended = r.at("eu", "lock", "--region", "home", "--ttl", "30", "--grace", "10s", "job", "--", "sleep", "60")
    equal(ended.returncode, 121, ended.stderr)
    true("--grace is 10 s" in ended.stderr and "less than half" in ended.stderr, ended.stderr)


main([had_and_not, candidate, no_time_for_it, stopped_and_continued, killed_and_another_goes_on, promoted_without_force, handed_over, wanted_and_not_any_more])
