"""A reply that is lost in front of any of its bytes: what a command says then is what the servers hold, it does nothing twice, and a
second run of it finishes what it began.

Each command runs over a proxy that cuts the connection (cuts.py): once, so that it can connect again and find out; and for good, so
that it cannot. CUTS says in how many places of the whole (2; scripts/faults: 60), CUTS=all in front of each byte."""

import json

from cuts import *
from homes import Regions

CALL_MS = {False: 5000, True: 500}  # by whether nobody can be reached behind the cut
MAYBE = ("may or may not", "finds out", "run it again", "same command")


def places(whole):
    """Where to cut what is so long, more often towards its end."""
    n = os.environ.get("CUTS", "2")
    if n == "all" or int(n) >= whole:
        return range(whole)
    half = int(n) // 2  # what is written is answered last
    return sorted({i * whole // half for i in range(half)} | {whole - 1 - i * whole // 3 // half for i in range(half)})


def sweep(server, run, prepare, judge):
    """run(url, n, dead) is a command, and judge(n, result, dead) is asked about each cut of its replies; n is a number of its own."""
    n = 0
    with Cut(server) as cut:
        prepare(n)
        cut.arm(1 << 40)
        result = run(cut.url, n, False)
        equal(result.returncode, 0, f"without a cut: {result.stderr}")
        judge(n, result, False)
        whole = cut.said
        true(whole > 100, f"{whole} bytes of replies")
        for dead in (False, True):
            for at in places(whole):
                n += 1
                prepare(n)
                cut.arm(at, dead)
                begun = time.monotonic()
                result = run(cut.url, n, dead)
                took = time.monotonic() - begun
                cut.disarm()
                try:
                    true(took < PATIENCE_S, f"its deadline, {took:.1f} s")
                    judge(n, result, dead)
                except Failure as e:
                    raise Failure(f"cut at {at} of {whole}{', for good' if dead else ''}: {e}\n"
                                  f"exit code {result.returncode}: {result.stdout}{result.stderr}")


def at(world, url, dead, *args, **more):
    return world.tenure(*args, "--call-timeout", f"{CALL_MS[dead]}ms", env=world.environment(TENURE_ENDPOINTS=url), **more)


def says_maybe(result):
    return any(word in result.stderr for word in MAYBE)


def told_truly(result, done):
    """Success is said of what was done alone, and what was done is never told as if it were not."""
    if result.returncode == 0:
        true(done, "it was done")
    else:
        true(result.returncode in (1, 3, 4), "its exit code")
        true(not done or says_maybe(result), "it was done, and that is not denied")


def versions(world, prefix):
    got = world.tenure("get", "--prefix", prefix, "-o", "json", check=True)
    return {kv["key"]: int(kv["version"]) for kv in json.loads(got.stdout)["kvs"]}


# --- config -----------------------------------------------------------------------------------------------------------


def config_set(world):
    """config set of two keys: both or none, once, and a second run makes it so"""
    def words(n):
        return "config", "set", f"c/{n}/a=1", f"c/{n}/b=2"

    def judge(n, result, dead):
        now = versions(world, "/config/")
        of_it = [v for key, v in now.items() if f"c/{n}/" in key]
        true(len(of_it) in (0, 2), f"both or none: {of_it}")
        true(all(v == 1 for v in of_it), f"once: {of_it}")
        told_truly(result, bool(of_it))
        world.tenure(*words(n), check=True)
        equal(world.tenure("config", "get", f"c/{n}/b", check=True).stdout, "2\n")

    sweep(world.server, lambda url, n, dead: at(world, url, dead, *words(n)), lambda n: None, judge)


def config_apply(world):
    """config import of keys: as a whole, once, and a second run makes it so"""
    def prepare(n):
        world.tenure("config", "set", f"i/{n}/a=0", f"i/{n}/b=0", check=True)

    def words(n):
        return "config", "import", "-", "--format", "json", "--prefix", f"i/{n}"

    def run(url, n, dead):
        return at(world, url, dead, *words(n), input=json.dumps({"a": "1", "b": "1"}))

    def judge(n, result, dead):
        of_it = [v for key, v in versions(world, "/config/").items() if f"i/{n}/" in key]
        true(of_it in ([1, 1], [2, 2]), f"both or none, once: {of_it}")
        told_truly(result, of_it == [2, 2])
        world.tenure(*words(n), check=True, input=json.dumps({"a": "1", "b": "1"}))
        equal(world.tenure("config", "get", f"i/{n}/a", check=True).stdout, "1\n")

    sweep(world.server, run, prepare, judge)


# --- regions ----------------------------------------------------------------------------------------------------------


def records(r, prefix):
    """The home's record in each region, None where it is not."""
    got = {}
    for name in r.servers:
        text = r.value(name, f"/federation/homes{prefix}")
        got[name] = (json.loads(text)["region"], json.loads(text)["epoch"]) if text else None
    return got


def reached_over(r, name, url):
    """The others reach that region at url."""
    for other in r.servers:
        r.at(other, "put", f"/regions/{name}", json.dumps({"endpoints": [url]}), check=True)


def not_denied(r, result, prefix, wanted):
    """Of no region that has the record it is said that it has not."""
    for name, record in records(r, prefix).items():
        if record == wanted:
            true(f"'{name}' was not told" not in result.stderr, f"{name} was told")
            true("stays;" not in result.stderr, "the home may have moved")


def region_home(world):
    """region home: no region gets another home or epoch, none that was told is said not to be, and a second run tells all"""
    r = Regions(world, 2)

    def run(url, n, dead):
        reached_over(r, "us", url)
        return at(world, r["eu"].url, dead, "region", "home", f"/h/{n}/", "us")

    def judge(n, result, dead):
        reached_over(r, "us", r["us"].url)
        now = records(r, f"/h/{n}/")
        true(set(now.values()) <= {None, ("us", 1)}, f"records: {now}")
        told_truly(result, now["us"] is not None)
        not_denied(r, result, f"/h/{n}/", ("us", 1))
        r.at("eu", "region", "home", f"/h/{n}/", "us", check=True)
        equal(records(r, f"/h/{n}/"), {"eu": ("us", 1), "us": ("us", 1)}, "after a second run")

    sweep(r["us"], run, lambda n: None, judge)


def region_home_told(world):
    """region home, the answer of one that is told lost: it is not said that it was not told"""
    r = Regions(world, 2)

    def run(url, n, dead):
        reached_over(r, "us", url)
        return at(world, r["eu"].url, dead, "region", "home", f"/t/{n}/", "eu")

    def judge(n, result, dead):
        reached_over(r, "us", r["us"].url)
        now = records(r, f"/t/{n}/")
        told_truly(result, now["eu"] is not None)
        not_denied(r, result, f"/t/{n}/", ("eu", 1))
        r.at("eu", "region", "home", f"/t/{n}/", "eu", check=True)
        equal(records(r, f"/t/{n}/"), {"eu": ("eu", 1), "us": ("eu", 1)}, "after a second run")

    sweep(r["us"], run, lambda n: None, judge)


def region_promote(world):
    """region promote, an answer of the old home lost: one step of the epoch, the home is not said to stay, and a second run ends it"""
    r = Regions(world, 2)

    def prepare(n):
        r.at("eu", "region", "home", f"/p/{n}/", "us", check=True)

    def run(url, n, dead):
        reached_over(r, "us", url)
        return at(world, r["eu"].url, dead, "region", "promote", "eu", "--prefix", f"/p/{n}/")

    def judge(n, result, dead):
        reached_over(r, "us", r["us"].url)
        now = records(r, f"/p/{n}/")
        true(set(now.values()) <= {("us", 1), ("eu", 2)}, f"records: {now}")
        told_truly(result, ("eu", 2) in now.values())
        not_denied(r, result, f"/p/{n}/", ("eu", 2))
        r.at("eu", "region", "promote", "eu", "--prefix", f"/p/{n}/", check=True)
        equal(records(r, f"/p/{n}/"), {"eu": ("eu", 2), "us": ("eu", 2)}, "after a second run")

    sweep(r["us"], run, prepare, judge)


def region_promote_to(world):
    """region promote, an answer of the new home lost: the same, behind the old home's record"""
    r = Regions(world, 2)

    def prepare(n):
        r.at("eu", "region", "home", f"/q/{n}/", "eu", check=True)

    def run(url, n, dead):
        reached_over(r, "us", url)
        return at(world, r["eu"].url, dead, "region", "promote", "us", "--prefix", f"/q/{n}/")

    def judge(n, result, dead):
        reached_over(r, "us", r["us"].url)
        now = records(r, f"/q/{n}/")
        true(set(now.values()) <= {("eu", 1), ("us", 2)}, f"records: {now}")
        told_truly(result, ("us", 2) in now.values())
        not_denied(r, result, f"/q/{n}/", ("us", 2))
        r.at("eu", "region", "promote", "us", "--prefix", f"/q/{n}/", check=True)
        equal(records(r, f"/q/{n}/"), {"eu": ("us", 2), "us": ("us", 2)}, "after a second run")

    sweep(r["us"], run, prepare, judge)


# --- members ----------------------------------------------------------------------------------------------------------


class Alone:
    """One member, over its proxy too; members that are added to it are never started."""

    def __init__(self, world):
        self.world, self.server = world, world.server

    def tenure(self, url, dead, *args):
        return at(self.world, url, dead, *args, "--timeout", "1s" if dead else "10s")

    def members(self, peer):
        """The ids of those with that peer address."""
        got = self.world.tenure("member", "list", "-o", "json", check=True)
        return [m["member"] for m in json.loads(got.stdout)["members"] if peer in m["peer_urls"]]


def of_etcd(world):
    if world.server_kind != "etcd":
        raise Skip("its members do not change")
    return Alone(world)


def cluster_remove(world):
    """cluster remove: once, it is not denied, and a second run ends it or names who is there"""
    w, ids = of_etcd(world), {}

    def peer(n):
        return f"http://127.0.0.1:{20000 + n}"

    def prepare(n):
        world.tenure("member", "add", "--learner", "--peer-urls", peer(n), check=True)
        ids[n] = w.members(peer(n))[0]

    def judge(n, result, dead):
        gone = not w.members(peer(n))
        if "removed" not in result.stdout:  # else it says so, and then perhaps that nobody says who leads now
            told_truly(result, gone)
        again = w.tenure(world.server.url, False, "cluster", "remove", ids[n])
        if gone:
            true(again.returncode == 1 and f"'{ids[n]}' is the name or id of no member" in again.stderr, again.stderr)
        else:
            equal(again.returncode, 0, again.stderr)

    sweep(world.server, lambda url, n, dead: w.tenure(url, dead, "cluster", "remove", ids[n]), prepare, judge)


main([config_set, config_apply, region_home, region_home_told, region_promote, region_promote_to, cluster_remove])
