"""Every form of output of locks, recipes and services, against what was recorded."""

import json

from forms import *

# How many writes a waiter has made by then is not fixed.
TOKENS = [(r'"(token|revision|since_ms)":\d+', r'"\1":<number>'), (r"\btoken \d+", "token <number>"),
          (r"(<since>|\d\d:\d\d:\d\d) +\d+", "<since>  <number>"), (r" \d+  +([0-9a-f]{16}|<id>)$", "  <number>  <id>"),
          (r"^(yes +\S+ +)\d+", r"\1<number>")]


def hold(forms, *args):
    """In the background."""
    forms.world.start(*args, "--ttl", "60")


def listed(world, command, name, n, *more):
    await_(lambda: len(json.loads(world.tenure(command, *more, name, "-o", "json", check=True).stdout)["entries"]) == n,
           f"{n} in {name}")


def locks(world):
    """lock, rwlock, sem and elect print what was recorded, in every form"""
    forms = Forms(world, "locks", TOKENS)
    forms.live("lock", "{f}")
    forms.live("rwlock", "--read", "{f}")
    forms.live("sem", "--limit", "3", "{f}")
    forms.live("elect", "{f}", "--value", "me")
    forms.each("lock", "--list", "none")
    hold(forms, "lock", "l", "--purpose", "first")
    listed(world, "lock", "l", 1, "--list")
    hold(forms, "lock", "l", "--purpose", "second")
    listed(world, "lock", "l", 2, "--list")
    forms.each("lock", "--list", "l")
    hold(forms, "rwlock", "--read", "rw", "--purpose", "reader")
    listed(world, "rwlock", "rw", 1, "--list")
    forms.each("rwlock", "--list", "rw")
    hold(forms, "sem", "--limit", "3", "--weight", "2", "s", "--purpose", "some")
    listed(world, "sem", "s", 1, "--list")
    forms.each("sem", "--list", "s")
    hold(forms, "elect", "e", "--value", "anna", "--purpose", "leads")
    listed(world, "elect", "e", 1, "--list")
    hold(forms, "elect", "e", "--value", "ben", "--purpose", "waits", "--preference", "3")
    listed(world, "elect", "e", 2, "--list")
    forms.each("elect", "--list", "e")
    forms.each("elect", "--observe", "--once", "e")
    forms.each("elect", "--observe", "--once", "none")
    forms.close()


def recipes(world):
    """queue, barrier, counter and fence print what was recorded, in every form"""
    forms = Forms(world, "recipes", [(r'"fencing_token":"[^"]*"', '"fencing_token":"<uuid>"'),
                                     (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"), (r"/queues/(\w+)/[-\w./]+", r"/queues/\1/<key>"),
                                     (r'"(create_)?revision":\d+', r'"\1revision":<number>'), (r"--token \d{2,}", "--token <number>")])
    for action, *more in (("get",), ("add", "3"), ("set", "7"), ("cas", "7", "8")):
        forms.each("counter", action, "{f}", *more)
    for action in ("hold", "release", "wait"):
        forms.each("barrier", action, "{f}")
    forms.each("barrier", "arrive", "{f}", "--count", "2", "--who", "a")
    forms.each("barrier", "look", "{f}")
    forms.each("barrier", "reset", "{f}")
    forms.each("queue", "put", "mails", "{f}")
    forms.each("queue", "length", "mails")
    forms.each("queue", "peek", "mails")
    forms.each("queue", "take", "mails", "--timeout", "0")
    forms.each("queue", "put", "jobs", "{f}", "--kind", "priority", "--priority", "5")
    forms.each("queue", "take", "jobs", "--kind", "priority")
    forms.each("queue", "list", "mails")
    forms.each("cron", "list")
    forms.each("cron", "status", "none")
    forms.each("cron", "next", "@daily")
    forms.each("fence", "generate", "n", "--holder-key", "/k", "--token", "1")
    world.tenure("put", "/k", "1", check=True)
    token = json.loads(world.tenure("get", "/k", "-o", "json", check=True).stdout)["kvs"][0]["create_revision"]
    forms.each("fence", "generate", "n", "--holder-key", "/k", "--token", str(token))
    uuid = world.tenure("get", "/leader/n/fencing-token", "--print-value-only", check=True).stdout.strip()
    forms.each("fence", "validate", "n", uuid)
    forms.each("fence", "file", world.path("f"), "--token", "1", "--", "true")
    forms.close()


def services(world):
    """service prints what was recorded, in every form"""
    forms = Forms(world, "services", [(r'"revision":\d+', '"revision":<number>'), (r"^((here|came|changed|went) +)\d+", r"\1  <number>")])
    forms.each("service", "list")
    forms.each("service", "list", "none")
    forms.live("service", "register", "web", "--id", "{f}", "--address", "10.0.0.1", "--port", "80", lines=(1, 1, 1, 2))
    more = ("--tag", "x", "--tag", "y", "--zone", "z1", "--version", "2", "--weight", "3")
    for name, options in (("a", more), ("b", ()), *((form, ()) for form in FORMS)):
        process = world.start("service", "register", "api", "--id", name, "--address", "10.0.0.7", "--port", "8080",
                              *options)
        true(process.stdout.readline(), "it is registered")
    forms.each("service", "list")
    forms.each("service", "list", "api")
    forms.each("service", "pick", "api", "--tag", "x")
    forms.live("service", "watch", "api", lines=(6, 6, 6, 7))
    world.tenure("region", "init", "eu", check=True)
    forms.each("service", "list", "--region", "all")
    forms.each("service", "list", "api", "--region", "all")
    forms.each("service", "pick", "api", "--tag", "x", "--region", "nearest")
    forms.live("service", "watch", "api", "--region", "eu", lines=(6, 6, 6, 7))
    forms.each("service", "drain", "api", "a")
    forms.each("service", "list", "api")
    forms.each("service", "undrain", "api", "a")
    forms.each("service", "edit", "api", "a", "--weight", "5")
    forms.each("service", "deregister", "api", "{f}")
    forms.close()


main([locks, recipes, services])
