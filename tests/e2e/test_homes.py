"""Regions: clusters that know each other, the homes of names, and locks and elections there."""

import json

from harness import *
from homes import Regions


def known_to_each_other(world):
    """each region knows all, also those that came after it, and the status of one shows them"""
    r = Regions(world)
    for name in r.servers:
        listed = json.loads(r.at(name, "region", "list", "-o", "json", check=True).stdout)
        equal([x["region"] for x in listed["regions"]], ["ap", "eu", "us"], f"known in {name}")
        equal(listed["here"], name, "the own one")
    status = json.loads(r.at("us", "region", "status", "-o", "json", check=True).stdout)
    equal({x["state"] for x in status["regions"]}, {"answers"}, "states")
    r["ap"].kill()
    status = r.at("eu", "region", "status", "-o", "json", "--call-timeout", "1s")
    equal(status.returncode, 1, "one is away")
    equal({x["region"]: x["state"] for x in json.loads(status.stdout)["regions"]}, {"ap": "away", "eu": "answers", "us": "answers"}, "states")


def who_they_are(world):
    """a cluster has one name, and another one is refused"""
    r = Regions(world, 2)
    again = r.at("eu", "region", "init", "elsewhere")
    equal(again.returncode, 1, "a second name")
    true("'eu' already" in again.stderr, again.stderr)
    equal(r.at("eu", "region", "init", "eu").returncode, 0, "the same name again")
    wrong = r.at("eu", "region", "add", "ap", r["us"].url)
    equal(wrong.returncode, 1, "us as ap")
    true("'us' already" in wrong.stderr, wrong.stderr)
    equal(r.at("eu", "region", "add", "AP", r["us"].url).returncode, 2, "no name")
    gone = r.at("eu", "region", "add", "ap", "http://127.0.0.1:1", "--call-timeout", "500ms")
    equal(gone.returncode, 3, "nobody is there")
    equal(r.at("eu", "region", "add", "ap", "http://127.0.0.1:1", "--call-timeout", "500ms", "--force").returncode, 0, "by force")
    equal(r.at("us", "region", "list", "-o", "jsonl").stdout.count("\n"), 3, "us knows it")
    r.at("us", "region", "remove", "ap", check=True)
    equal(r.at("eu", "region", "list", "-o", "jsonl").stdout.count("\n"), 2, "eu forgot it")
    equal(r.at("us", "region", "remove", "ap").returncode, 1, "it is not there")


def homes(world):
    """the home of a prefix is the same in all regions, the longest prefix counts, and home moves none"""
    r = Regions(world, 2)
    r.at("us", "region", "home", "/locks/", "eu", check=True)
    r.at("eu", "region", "home", "/locks/us/", "us", check=True)
    for name in r.servers:
        equal(json.loads(r.value(name, "/federation/homes/locks/")), {"region": "eu", "epoch": 1}, f"the record in {name}")
        equal(r.at(name, "region", "home", "/locks/a").stdout, "eu\n", "of a key")
        equal(r.at(name, "region", "home", "/locks/us/a").stdout, "us\n", "of a key below the longer one")
    equal(r.at("eu", "region", "home", "/election/x").returncode, 1, "none")
    moved = r.at("eu", "region", "home", "/locks/", "us")
    equal(moved.returncode, 1, "home moves none")
    true("region promote us --prefix /locks/" in moved.stderr, moved.stderr)
    equal(r.at("eu", "region", "home", "/locks/", "eu").returncode, 0, "the same again")
    equal(r.at("eu", "region", "home", "locks", "eu").returncode, 2, "no prefix")
    busy = r.at("eu", "region", "remove", "us")
    equal(busy.returncode, 1, "it is a home")
    true("/locks/us/" in busy.stderr, busy.stderr)


main([known_to_each_other, who_they_are, homes])
