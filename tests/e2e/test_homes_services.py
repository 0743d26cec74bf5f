"""Services of several regions: listed, picked and watched from one of them, also when regions do not answer."""

import json

from harness import *
from homes import Regions

FAR = {"us": 80, "ap": 200}
PATIENT = ("--call-timeout", "10s")  # half of it is what others are waited for, and what a test takes where one is silent
HASTY = ("--call-timeout", "6s")


def three(world, name="web"):
    """eu, us and ap with an instance each, named as the region."""
    r = Regions(world, known=False)
    r.at("eu", "region", "init", "eu", check=True)
    for other, ms in FAR.items():
        r.at("eu", "region", "add", other, r[other].url, "--distance", f"eu={ms}", check=True)
    for region in r.servers:
        instance(r, region, name, region)
    return r


def instance(r, region, name, who, **more):
    value = json.dumps({"address": who, "port": 80, **more})
    r.at(region, "put", f"/services/{name}/{who}", value, check=True)


def listed(r, *args, at="eu", code=0, how=PATIENT):
    a = r.at(at, "service", "list", *args, "-o", "json", *how)
    equal(a.returncode, code, a.stderr)
    return json.loads(a.stdout) if a.stdout else None, a.stderr


def pairs(document):
    return [(i["region"], i["instance"]) for i in document["instances"]]


def all_regions(world):
    """the instances of all regions are listed with their region, nearest first, and services are counted"""
    r = three(world)
    instance(r, "us", "web", "more", draining=True)
    all_of, told = listed(r, "web", "--region", "all")
    equal(told, "")
    equal(pairs(all_of), [("eu", "eu"), ("us", "more"), ("us", "us"), ("ap", "ap")])
    equal([(x["region"], x["here"], x.get("distance_ms"), x["answers"]) for x in all_of["regions"]],
          [("eu", True, 0, True), ("us", False, 80, True), ("ap", False, 200, True)])
    equal(pairs(listed(r, "web", "--region", "ap,us")[0]), [("us", "more"), ("us", "us"), ("ap", "ap")])
    equal(pairs(listed(r, "web", "--region", "all", "--serving", at="us")[0])[0], ("us", "us"), "from us")
    equal(pairs(listed(r, "web", "--region", "nearest", at="ap")[0]), [("ap", "ap")])
    table = r.at("eu", "service", "list", "web", "--region", "us", *PATIENT, check=True).stdout.splitlines()
    equal(table[0].split()[:4], ["SERVICE", "INSTANCE", "REGION", "ENDPOINT"])
    equal(table[2].split()[:4], ["web", "us", "us", "us:80"])
    equal(listed(r, "--region", "all")[0]["services"], [{"service": "web", "instances": 4, "regions": {"eu": 1, "us": 2, "ap": 1}}])
    names = r.at("eu", "service", "list", "--region", "all", *PATIENT, check=True).stdout.splitlines()
    equal(names[1].split(maxsplit=2), ["web", "4", "eu 1, us 2, ap 1"])
    unknown = r.at("eu", "service", "list", "web", "--region", "moon")
    equal((unknown.returncode, "region add moon" in unknown.stderr), (1, True), unknown.stderr)


def pick(r, *args, at="eu", how=PATIENT):
    a = r.at(at, "service", "pick", "web", *args, *how)
    return a.returncode, a.stdout.strip(), a.stderr


def one_is_silent(world):
    """a region that does not answer is named, and the others are listed, picked from and watched"""
    r = three(world)
    instance(r, "eu", "web", "eu", draining=True)
    r["us"].freeze()
    at_once = {name: r.start("eu", "service", *args, *HASTY, stderr=subprocess.PIPE) for name, args in {
        "all": ("list", "web", "--region", "all", "-o", "json"), "us": ("list", "web", "--region", "us"), "pick": ("pick", "web", "--region", "all"),
        "pick us": ("pick", "web", "--region", "us"), "watch": ("watch", "web", "--region", "all")}.items()}
    watch = at_once.pop("watch")
    ended = {name: (p.wait(PATIENCE_S), p.stdout.read(), p.stderr.read()) for name, p in at_once.items()}
    code, out, told = ended["all"]
    equal(code, 0, told)
    equal(pairs(json.loads(out)), [("eu", "eu"), ("ap", "ap")])
    true("'us' does not answer at " + r["us"].url in told and told.count("\n") == 1, told)
    equal([x["answers"] for x in json.loads(out)["regions"]], [True, False, True])
    true(r["us"].url in json.loads(out)["regions"][1]["problem"], out)
    equal(ended["us"][:2], (3, ""), ended["us"][2])
    equal(ended["pick"][:2], (0, "ap:80\n"), ended["pick"][2])
    true("'us' does not answer" in ended["pick"][2], ended["pick"][2])
    equal(ended["pick us"][:2], (3, ""), ended["pick us"][2])
    equal(sorted(watch.stdout.readline().split()[1:] for _ in range(2)), [["web/ap", "ap:80", "passing", "ap"], ["web/eu", "eu:80", "draining", "eu"]])
    true("'us' does not answer" in watch.stderr.readline(), "it is named")
    r["us"].thaw()
    equal(watch.stdout.readline().split(), ["here", "web/us", "us:80", "passing", "us"])
    instance(r, "ap", "web", "new")
    equal(watch.stdout.readline().split(), ["came", "web/new", "new:80", "passing", "ap"])
    r.at("us", "del", "/services/web/us", check=True)
    equal(watch.stdout.readline().split(), ["went", "web/us", "us:80", "passing", "us"])
    watch.terminate()
    equal(watch.wait(PATIENCE_S), 0)


def nearest_first(world):
    """pick takes one at home while one serves there, else one of the nearest region that has one and answers"""
    r = three(world)
    r["ap"].freeze()
    equal(pick(r, "--region", "all"), (0, "eu:80", ""), "at home: nobody waits for ap")
    r["ap"].thaw()
    instance(r, "eu", "web", "eu", draining=True)
    equal(pick(r, "--region", "nearest", "-o", "{endpoint} {region}"), (0, "us:80 us", ""))
    equal(pick(r)[0], 1, "without --region")
    instance(r, "us", "web", "us", health="critical")
    equal(pick(r, "--region", "all")[1], "ap:80")
    instance(r, "ap", "web", "ap", maintenance=True)
    code, out, told = pick(r, "--region", "all")
    equal((code, out), (1, ""))
    true("no instance of 'web' serves in any region that answers" in told, told)
    equal(pick(r, "--region", "all", "--any")[1], "eu:80", "any")
    instance(r, "eu", "web", "eu")
    equal(json.loads(pick(r, "--region", "all", "-o", "json")[1])["region"], "eu")


def nearest_watched(world):
    """a watch of the nearest shows one region at a time"""
    r = three(world)
    watch = r.start("eu", "service", "watch", "web", "--region", "nearest", "-n", "5", *PATIENT)
    equal(watch.stdout.readline().split(), ["here", "web/eu", "eu:80", "passing", "eu"])
    instance(r, "us", "web", "us", version="2")
    instance(r, "eu", "web", "eu", draining=True)
    told = [watch.stdout.readline().split() for _ in range(3)]
    equal(told, [["changed", "web/eu", "eu:80", "draining", "eu"], ["went", "web/eu", "eu:80", "draining", "eu"], ["came", "web/us", "us:80", "passing", "us"]])
    instance(r, "eu", "web", "eu")
    told = [watch.stdout.readline().split() for _ in range(2)]
    equal(told, [["went", "web/us", "us:80", "passing", "us"], ["came", "web/eu", "eu:80", "passing", "eu"]])
    equal(watch.wait(PATIENCE_S), 0, "after five")


def elsewhere(world):
    """an instance of another region is drained there, and what answers as another region is not believed"""
    r = three(world)
    r.at("eu", "service", "drain", "web", "us", "--region", "us", check=True)
    equal(listed(r, "web", "--region", "us")[0]["instances"][0]["state"], "draining")
    equal(r.at("eu", "service", "drain", "web", "us").returncode, 1, "not here")
    equal(r.at("eu", "service", "register", "web", "--port", "1", "--region", "us").returncode, 2)
    r.at("eu", "put", "/regions/us", json.dumps({"endpoints": [r["ap"].url]}), check=True)
    r.at("eu", "put", "/regions/ap", "no record", check=True)
    all_of, told = listed(r, "web", "--region", "all")
    equal(pairs(all_of), [("eu", "eu")])
    true("says that it is 'ap'" in told and "its record in /regions/ cannot be read" in told, told)
    equal(listed(r, "web", "--region", "us", code=1)[0], None)


def name_is_denied(world):
    """of a region whose services a user may read, and its name not, it is said at once that he may not, and not that it is silent"""
    r = Regions(world, 2)
    instance(r, "us", "web", "us")
    for words in (("user", "add", "root:pw"), ("user", "add", "app:pw"), ("role", "add", "app"), ("user", "grant", "root", "root"),
                  ("user", "grant", "app", "app"), ("role", "grant", "app", "read", "/services/", "--prefix"),
                  ("role", "grant", "app", "read", "/regions/", "--prefix"), ("enable",)):
        r.at("us", "auth", *words, check=True)
    got = r.at("eu", "service", "list", "web", "--region", "us", "--user", "app:pw", *PATIENT)
    equal((got.returncode, "permission denied" in got.stderr, "does not answer" in got.stderr), (1, True, False), got.stderr)


def no_regions(world):
    """a cluster that knows no regions is the only one"""
    r = Regions(world, 1, known=False)
    instance(r, "eu", "web", "a")
    equal(pick(r, "--region", "all"), (0, "a:80", ""))
    equal(pairs(listed(r, "web", "--region", "all")[0]), [("", "a")])


main([all_regions, one_is_silent, nearest_first, nearest_watched, elsewhere, name_is_denied, no_regions])
