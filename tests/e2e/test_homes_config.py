"""Configuration of all regions below that of each: written at its home, read in every region, followed as it counts there."""

import json

from harness import *
from homes import Regions

GLOBAL = "/config/@global/"


def two(world):
    r = Regions(world, 2)
    r.at("us", "region", "home", GLOBAL, "eu", check=True)
    return r


def get(r, name, key, *args):
    return r.at(name, "config", "get", key, "--default", "none", *args, check=True).stdout.strip()


def mirrored(world):
    """what is set in one region is written at the home, and counts everywhere where the region says nothing itself"""
    r = two(world)
    r.start("us", "mirror", "--from", r["eu"].url, "--to", r["us"].url, "--prefix", GLOBAL, "--name", "eu-us", stderr=subprocess.DEVNULL)
    r.at("us", "config", "set", "web/limit", "50", "--global", "-m", "for all", check=True)
    equal(get(r, "eu", "web/limit", "--layer", "global"), "50", "at home")
    await_(lambda: get(r, "us", "web/limit", "--global") == "50", "it is mirrored")
    equal(get(r, "us", "web/limit"), "none", "not asked for")
    watch = r.start("us", "config", "watch", "web", "--global")
    equal(watch.stdout.readline(), "+ web/limit=50\n")
    r.at("us", "config", "set", "web/limit", "70", check=True)
    equal(watch.stdout.readline(), "~ web/limit=70\n")
    layers = json.loads(r.at("us", "config", "get", "web/limit", "--global", "--all-layers", "-o", "json", check=True).stdout)["layers"]
    equal([(x["layer"], x["value"]) for x in layers], [("global", "50"), ("default", "70")])
    equal(get(r, "eu", "web/limit", "--global"), "50", "in eu")
    r.at("us", "config", "set", "web/limit=60", "web/name=shop", "--global", check=True)
    equal(watch.stdout.readline(), "+ web/name=shop\n")
    r.at("us", "config", "delete", "web/limit", check=True)
    equal(watch.stdout.readline(), "~ web/limit=60\n", "the global one shows")
    equal(r.at("us", "config", "export", "web", "--global", "--format", "dotenv", check=True).stdout, "LIMIT=60\nNAME=shop\n")
    equal(r.at("us", "config", "exec", "--prefix", "web", "--upcase", "--global", "--", "sh", "-c", "echo $LIMIT $NAME", check=True).stdout, "60 shop\n")
    Path(world.path("t")).write_text("{{limit}}\n")
    equal(r.at("us", "config", "render", "--prefix", "web", "--global", "--dry", f"{world.path('t')}:{world.path('out')}", check=True).stdout, "60\n")
    equal(r.at("us", "config", "diff", "default", "global", "--prefix", "web", check=True).stdout, "+ web/limit=60\n+ web/name=shop\n")
    history = r.at("us", "config", "history", "web/limit", "--global", check=True).stdout
    true("# for all" in history and history.startswith("  NR"), history)
    r.at("us", "config", "rollback", "web/limit", "1", "--global", check=True)
    equal(watch.stdout.readline(), "~ web/limit=50\n")
    r.at("us", "config", "delete", "web/limit", "--global", check=True)
    equal(watch.stdout.readline(), "- web/limit\n")


def refused(world):
    """without a home, or when it cannot be reached, nothing is written, and the words say what to do"""
    r = two(world)
    r.at("us", "config", "set", "a", "1", "--global", check=True)
    r["eu"].freeze()
    away = r.at("us", "config", "set", "a", "2", "--global", "--call-timeout", "3s")
    equal(away.returncode, 3, away.stderr)
    true("the layer global: region 'eu' cannot be reached at " + r["eu"].url in away.stderr, away.stderr)
    r.at("us", "config", "set", "a", "here", check=True)
    equal(get(r, "us", "a", "--global"), "here", "the region goes on")
    r.at("us", "region", "promote", "us", "--prefix", GLOBAL, "--force", "--call-timeout", "3s", check=True)
    r.at("us", "config", "set", "a", "3", "--global", check=True)
    equal(get(r, "us", "a", "--layer", "global"), "3", "the new home")
    r["eu"].thaw()
    equal(get(r, "eu", "a", "--layer", "global"), "1", "there is no mirror")
    both = r.at("us", "config", "set", "a", "2", "--global", "--layer", "env=prod")
    equal((both.returncode, "--global" in both.stderr), (2, True), both.stderr)
    equal(r.at("us", "config", "set", "a", "2", "--layer", "global=x").returncode, 2)


def half_promoted(world):
    """between the old home, which has handed over, and the new one nobody writes, and the words say what goes on"""
    r = two(world)
    r.at("us", "config", "set", "a", "1", "--global", check=True)
    world.tenure("mirror", "--from", r["eu"].url, "--to", r["us"].url, "--prefix", GLOBAL, "--once", check=True)
    r.at("us", "config", "set", "a", "2", "--global", check=True)
    equal(r.at("us", "region", "promote", "us", "--prefix", GLOBAL, "--timeout", "1s").returncode, 3, "it waits for the mirror")
    half = r.at("eu", "config", "set", "a", "3", "--global")
    equal((half.returncode, "with its revision" in half.stderr), (1, False), half.stderr)
    true("has its home in region 'eu'" in half.stderr and "try: tenure region status" in half.stderr, half.stderr)


def without_regions(world):
    """a cluster that knows no regions is its own home; regions without a home for it are told so"""
    r = Regions(world, 1, known=False)
    r.at("eu", "config", "set", "a", "1", "--global", check=True)
    equal(get(r, "eu", "a", "--global"), "1")
    r.at("eu", "region", "init", "eu", check=True)
    none = r.at("eu", "config", "set", "a", "2", "--layer", "global")
    equal(none.returncode, 1, none.stderr)
    true("has no home here; give it one: tenure region home" in none.stderr, none.stderr)


main([mirrored, refused, half_promoted, without_regions])
