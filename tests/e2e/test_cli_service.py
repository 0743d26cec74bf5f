"""tenure service: what is registered, found, chosen, drained and sent away, and how commands run beside it."""

import json
import os
import signal
import sys
import time

from harness import *

PROGRAM = """
import http.server, os, sys
path = sys.argv[2]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if os.path.exists(path) else 200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def instances(world, name):
    r = world.tenure("service", "list", name, "-o", "json", check=True)
    return {i["instance"]: i for i in json.loads(r.stdout)["instances"]}


def state(world, name, instance):
    return instances(world, name).get(instance, {}).get("state")


def await_state(world, name, instance, wanted):
    await_(lambda: state(world, name, instance) == wanted, f"{name}/{instance} is {wanted}")


def register(world, name, instance, *more):
    """In the foreground of a process; waits until it stands."""
    world.server
    process = world.start("service", "register", name, "--id", instance, "--address", "10.0.0.7", "--port", "8080", *more)
    line = process.stdout.readline()
    true(line.startswith(f"{name}/{instance} ") or line.startswith("{"), f"registered: {line!r}")
    return process


def ended(process, code, signal_number=signal.SIGTERM):
    if signal_number:
        process.send_signal(signal_number)
    equal(process.wait(PATIENCE_S), code, f"exit code of {process.args}")


def registered(world):
    """register stays, is listed with all that was said, and takes the instance out on TERM and INT"""
    a = register(world, "billing", "a", "--tag", "blue", "--tag", "fast", "--meta", "owner=x", "--weight", "5", "--zone",
                 "eu", "--version", "1.2")
    b = register(world, "billing", "b", "-o", "json")
    c = register(world, "other", "c")
    one = instances(world, "billing")["a"]
    for name, wanted in {"state": "passing", "serves": True, "endpoint": "10.0.0.7:8080", "address": "10.0.0.7", "port": 8080,
                         "tags": ["blue", "fast"], "meta": {"owner": "x"}, "weight": 5, "zone": "eu", "version": "1.2",
                         "pid": a.pid}.items():
        equal(one[name], wanted, name)
    equal(world.tenure("service", "list").stdout, "billing  2\nother  1\n")
    equal([s["service"] for s in json.loads(world.tenure("service", "list", "-o", "json").stdout)["services"]],
          ["billing", "other"])
    table = world.tenure("service", "list", "billing").stdout.splitlines()
    equal(table[0].split(), ["SERVICE", "INSTANCE", "ENDPOINT", "STATE", "WEIGHT", "ZONE", "VERSION", "TAGS"])
    equal(table[1].split(), ["billing", "a", "10.0.0.7:8080", "passing", "5", "eu", "1.2", "blue,fast"])
    equal(list(json.loads(world.tenure("service", "list", "billing", "--tag", "blue", "-o", "json").stdout)["instances"][0]
               ["tags"]), ["blue", "fast"])
    ended(a, 0)
    ended(b, 0, signal.SIGINT)
    equal(instances(world, "billing"), {})
    ended(c, 0)


def conflicts(world):
    """a name that lives is refused, taken over or waited for"""
    a = register(world, "names", "x")
    refused = world.tenure("service", "register", "names", "--id", "x", "--port", "1")
    equal(refused.returncode, 125)
    true("somebody else has it" in refused.stderr, refused.stderr)
    waits = world.start("service", "register", "names", "--id", "x", "--port", "1", "--conflict", "wait")
    b = register(world, "names", "x", "--conflict", "take-over")
    ended(a, 121, None)
    ended(b, 0)
    true(waits.stdout.readline().startswith("names/x "), "it comes when the other has gone")
    ended(waits, 0)


def killed(world):
    """one that is killed with -9 is gone at the end of its TTL"""
    a = register(world, "dies", "a", "--ttl", "4")
    watch = world.start("service", "watch", "dies", "-n", "1")
    true(watch.stdout.readline().startswith("here     dies/a  10.0.0.7:8080  passing"), "it is here")
    a.kill()
    true(watch.stdout.readline().startswith("went     dies/a"), "it went")
    ended(watch, 0, None)


def picked(world):
    """pick chooses one that serves, near ones first, always the same by a text, and prints it as asked"""
    world.tenure("put", "/services/pick/a", '{"address":"a","port":1,"zone":"eu"}', check=True)
    world.tenure("put", "/services/pick/b", '{"address":"b","port":2,"tags":["t"]}', check=True)
    world.tenure("put", "/services/pick/c", '{"address":"c","port":3,"draining":true}', check=True)
    world.tenure("put", "/services/pick/d", "no JSON", check=True)
    equal(world.tenure("service", "pick", "pick", "--zone", "eu").stdout, "a:1\n")
    equal(world.tenure("service", "pick", "pick", "--tag", "t").stdout, "b:2\n")
    equal(world.tenure("service", "pick", "pick", "--tag", "t", "-o", "http://{address}:{port}/").stdout, "http://b:2/\n")
    equal(json.loads(world.tenure("service", "pick", "pick", "--zone", "eu", "-o", "json").stdout)["instance"], "a")
    equal(len({world.tenure("service", "pick", "pick", "--by", "user 1").stdout for _ in range(5)}), 1, "places of a text")
    for policy in ["round-robin", "random", "weighted", "least-used", "consistent"]:
        true(world.tenure("service", "pick", "pick", "--policy", policy).stdout in ["a:1\n", "b:2\n"], policy)
    none = world.tenure("service", "pick", "pick", "--version", "9")
    equal(none.returncode, 1)
    equal(none.stderr.splitlines()[1], "try: tenure service list pick")
    table = world.tenure("service", "list", "pick").stdout
    true("its value is no JSON object" in table and "error" in table, table)
    equal(json.loads(world.tenure("service", "list", "pick", "-o", "json").stdout)["instances"][3]["error"],
          "its value is no JSON object")


def operated(world):
    """drain, undrain, edit and deregister change what another process registered"""
    a = register(world, "ops", "a")
    world.tenure("service", "drain", "ops", "a", check=True)
    equal(state(world, "ops", "a"), "draining")
    equal(world.tenure("service", "pick", "ops").returncode, 1)
    equal(world.tenure("service", "pick", "ops", "--any").stdout, "10.0.0.7:8080\n")
    lease = instances(world, "ops")["a"]["lease"]
    true(a.stderr.readline().endswith("an operator changed it: draining\n"), "it is told")
    world.tenure("lease", "revoke", lease, check=True)
    await_(lambda: instances(world, "ops").get("a", {}).get("lease") not in [None, lease], "it heals")
    equal(state(world, "ops", "a"), "draining", "behind a healing")
    world.tenure("service", "undrain", "ops", "a", check=True)
    world.tenure("service", "edit", "ops", "a", "--weight", "7", "--maintenance", "on", check=True)
    equal(state(world, "ops", "a"), "maintenance")
    equal(instances(world, "ops")["a"]["weight"], 7)
    world.tenure("service", "edit", "ops", "a", "--maintenance", "off", check=True)
    equal(state(world, "ops", "a"), "passing")
    equal(world.tenure("service", "drain", "ops", "none").returncode, 1)
    still = world.tenure("service", "drain", "ops", "a", "--wait", "--timeout", "100ms")
    equal(still.returncode, 124)
    world.tenure("service", "deregister", "ops", "a", "--wait", check=True)
    equal(instances(world, "ops"), {})
    ended(a, 1, None)
    true("sent away by an operator" in a.stderr.read(), "it says why")


def run_command(world, port, path, *more):
    """Such a program as a service; the environment that it found is what it writes first."""
    return world.start("service", "run", "web", "--id", "w", "--address", "127.0.0.1", "--port", str(port), "--interval",
                       "50ms", "--timeout", "20s", "--fails", "2", *more, "--", sys.executable, "-c", PROGRAM, str(port), path)


def checked(world):
    """run registers when the check passes, says critical when it fails, drains, and takes it out before the command ends"""
    port, bad = free_port(), world.path("bad")
    world.server
    run = run_command(world, port, bad, "--check", "http:/health", "--drain", "300ms")
    await_state(world, "web", "w", "passing")
    watch = world.start("service", "watch", "web", "-n", "4")
    watch.stdout.readline()
    Path(bad).write_text("")
    await_state(world, "web", "w", "critical")
    os.unlink(bad)
    await_state(world, "web", "w", "passing")
    run.terminate()
    equal(run.wait(PATIENCE_S), 143)
    equal([watch.stdout.readline().split()[0::3] for _ in range(4)],
          [["changed", "critical"], ["changed", "passing"], ["changed", "draining"], ["went", "draining"]])
    ended(watch, 0, None)
    text = run.stderr.read()
    true("critical: HTTP status 500" in text and "draining" in text, text)


def other_checks(world):
    """tcp and commands check as well; until one passes nothing is registered"""
    world.server
    port, good = free_port(), world.path("good")
    run = run_command(world, port, world.path("none"), "--check", "tcp")
    await_state(world, "web", "w", "passing")
    run.terminate()
    equal(run.wait(PATIENCE_S), 143)
    asked = world.path("asked")
    run = run_command(world, port, world.path("none"), "--check", f"cmd:echo >>{asked}; test -e {good}")
    await_(lambda: len(lines(asked)) > 3, "the check was asked")
    equal(instances(world, "web"), {}, "before it passes")
    Path(good).write_text("")
    await_state(world, "web", "w", "passing")
    os.unlink(good)
    await_state(world, "web", "w", "critical")
    run.terminate()
    equal(run.wait(PATIENCE_S), 143)


def checked_at(world):
    """each address of a name is tried, and an address may be in brackets; a name that is not there is said, and asked for again"""
    world.server
    with socket.socket(socket.AF_INET6) as six, socket.socket() as four:
        six.bind(("::1", 0))
        six.listen()
        four.bind(("127.0.0.1", 0))
        four.listen()
        ports = {"[::1]": six.getsockname()[1], "::1": six.getsockname()[1], "localhost": four.getsockname()[1]}
        for address, port in ports.items():
            process = world.start("service", "register", "at", "--id", "x", "--address", address, "--port", str(port), "--check", "tcp",
                                  "--interval", "50ms")
            equal(process.stdout.readline().split()[0], "at/x", f"at {address}")
            ended(process, 0)
    process = world.start("service", "run", "at", "--id", "x", "--address", "no-such-host.invalid", "--port", "1", "--check", "tcp",
                          "--interval", "50ms", "--fails", "1", "--", "sleep", "600")
    time.sleep(0.3)
    true(process.poll() is None, "it is patient")
    process.terminate()
    equal(process.wait(PATIENCE_S), 143)


def check_commands(world):
    """what a check's command leaves behind in its group is ended with it, and it prints to standard error"""
    world.server
    pids = world.path("pids")
    process = world.start("service", "register", "cmd", "--id", "x", "--address", "10.0.0.7", "--port", "1", "--interval", "50ms",
                          "--check", f"cmd:echo said; sleep 600 & echo $! >>{pids}")
    equal(process.stdout.readline().split()[0], "cmd/x")
    await_(lambda: len(lines(pids)) > 2, "it was asked again")
    ended(process, 0)
    equal(process.stdout.read(), "")
    true("said" in process.stderr.read(), "it was said to standard error")
    await_(lambda: not any(is_running(int(pid)) for pid in lines(pids)), "nothing is left")


def late(world):
    """register is patient with a check that passes late: only from then on a server must have answered in time"""
    world.server
    good = world.path("late")
    process = world.start("service", "register", "late", "--id", "x", "--address", "10.0.0.7", "--port", "8080", "--interval", "50ms",
                          "--check", f"cmd:test -e {good}", "--call-timeout", "1s")
    time.sleep(1.5)
    Path(good).write_text("")
    true(process.stdout.readline().startswith("late/x "), "registered")
    ended(process, 0)


def commands_end(world):
    """run answers the command's exit code, gives it its name, and ends it when the name is not to be had"""
    world.server
    r = world.tenure("service", "run", "s", "--id", "i", "--address", "h", "--port", "1", "--", "sh", "-c",
                     'echo $TENURE_SERVICE $TENURE_INSTANCE $TENURE_ENDPOINT; exit 7')
    equal((r.returncode, r.stdout), (7, "s i h:1\n"))
    equal(instances(world, "s"), {})
    equal(world.tenure("service", "run", "s", "--port", "1", "--", "/nonexistent").returncode, 127)
    equal(world.tenure("service", "run", "s", "--port", "1", "--", "sh", "-c", "kill -9 $$").returncode, 137)
    a = register(world, "s", "taken")
    r = world.tenure("service", "run", "s", "--id", "taken", "--port", "1", "--", "sleep", "600")
    equal(r.returncode, 125)
    ended(a, 0)


def without_server(world):
    """a command runs without a server and is registered when there is one; register gives up"""
    run = world.start("service", "run", "late", "--id", "i", "--port", "1", "--endpoints", f"http://127.0.0.1:{free_port()}",
                      "--", "sh", "-c", "echo runs; exec sleep 600")
    equal(run.stdout.readline(), "runs\n")
    run.terminate()
    equal(run.wait(PATIENCE_S), 143)
    r = world.tenure("service", "register", "late", "--port", "1", "--call-timeout", "500ms", "--endpoints",
                     f"http://127.0.0.1:{free_port()}")
    equal(r.returncode, 3)
    true("no server answered in time" in r.stderr, r.stderr)
    a = register(world, "late", "a")
    world.server.kill()
    world.server.start()
    await_state(world, "late", "a", "passing")
    ended(a, 0)


def go_layout(world):
    """in Go's layout it stands while it serves"""
    a = register(world, "gosvc", "a", "--grpc", "")
    key = "gosvc/10.0.0.7:8080"
    await_(lambda: world.tenure("get", key).stdout == key + '\n{"Op":0,"Addr":"10.0.0.7:8080","Metadata":null}\n', "it is there")
    equal(world.tenure("service", "pick", "gosvc", "--prefix", "").stdout, "10.0.0.7:8080\n")
    world.tenure("service", "drain", "gosvc", "a", check=True)
    await_(lambda: world.tenure("get", key).stdout == "", "it is not, draining")
    ended(a, 0)


def refused(world):
    """words that have no meaning are refused with 2, and say what was expected"""
    for words in [["nothing"], ["register"], ["pick"], ["drain", "a"], ["register", "a"],
                  ["register", "a", "--port", "70000"], ["register", "a", "--port", "1", "--check", "purple"],
                  ["register", "a", "--port", "1", "--meta", "x"], ["register", "a", "--port", "1", "--conflict", "x"],
                  ["pick", "a", "--policy", "x"], ["edit", "a", "b"], ["list", "-o", "{x}"], ["list", "a/b"]]:
        r = world.tenure("service", *words)
        equal(r.returncode, 2, f"exit code of {words}: {r.stderr}")
        true(r.stderr.startswith("tenure service"), r.stderr)


def named(world):
    """what is wrong is named: a field of --output that there is not, a name that is none"""
    a = register(world, "svc", "a")
    for template, field in (("{nope}", "{nope}"), ("{address}:{prot}", "{prot}")):
        r = world.tenure("service", "pick", "svc", "-o", template)
        equal((r.returncode, r.stdout), (2, ""), r.stderr)
        true(f"no {field}" in r.stderr and "{address}" in r.stderr and "{weight}" in r.stderr, r.stderr)
    equal(world.tenure("service", "pick", "svc", "-o", '{"host":"{instance}"} {} { x').stdout, '{"host":"a"} {} { x\n')
    long = "x" * 5000
    for words, name, fault in ((["list", "a/b"], "a/b", "slash"), (["pick", ""], '""', "empty"), (["drain", "svc", "x/y"], "x/y", "slash"),
                               (["drain", "s/t", "x"], "s/t", "slash"), (["deregister", "svc", ""], '""', "empty"),
                               (["list", long], "xxx", "4,096"), (["register", "a/b", "--port", "1"], "a/b", "slash"),
                               (["register", "svc", "--id", "x/y", "--port", "1"], "x/y", "slash")):
        r = world.tenure("service", *words)
        equal(r.returncode, 2, f"exit code of {words}: {r.stderr}")
        true(name in r.stderr and fault in r.stderr, f"{words}: {r.stderr}")
    ended(a, 0)


main([registered, conflicts, killed, picked, operated, checked, other_checks, checked_at, check_commands, late, commands_end, without_server,
      go_layout, refused, named])
