#!/usr/bin/env python3
"""tenure cluster dev and status: real etcd members as its children, killed, stopped and started again."""

import json

from clusters import *


def serves_and_ends(w):
    """three members serve a linearizable read when it says so; they end with it, and their data are there the next time"""
    c = Cluster(w)
    equal(sorted(c.members), ["m1", "m2", "m3"], "members")
    code, status = c.status()
    equal((code, sorted(m["role"] for m in status.values())), (0, ["follower", "follower", "leader"]), "status")
    equal(c.tenure("put", "a", "1").stdout, "OK\n", "put")
    pids = [c.pid(name) for name in c.members]
    true(all(is_running(p) for p in pids), "they run")
    equal(c.end(), 0, "exit code")
    equal([p for p in pids if is_running(p)], [], "members left")
    again = Cluster(w)
    equal(again.endpoints, c.endpoints, "the same addresses")
    equal(again.tenure("get", "a", "--print-value-only").stdout, "1\n", "get")
    equal(again.tenure("lock", "x", "--", "echo", "held").stdout, "held\n", "lock")


def a_killed_leader(w):
    """a leader that is killed is started again, and another one leads meanwhile"""
    c = Cluster(w)
    c.tenure("put", "a", "1")
    first = c.leader()
    pid = c.pid(first)
    os.kill(pid, signal.SIGKILL)
    await_(lambda: c.pid(first) not in (None, pid) and c.status()[0] == 0, "all three serve again", PATIENCE_S * 2)
    equal(c.tenure("get", "a", "--print-value-only").stdout, "1\n", "get")


def without_a_quorum(w):
    """with two of three stopped status still answers, says what is missing, and is 1"""
    c = Cluster(w)
    for name in ("m1", "m2"):
        stop(c.pid(name))
    got = c.tenure("cluster", "status", "--call-timeout", "1s")
    equal(got.returncode, 1, f"exit code, {got.stdout}{got.stderr}")
    true("1 of 3 voters answer" in got.stdout and "no quorum" in got.stdout, got.stdout)
    for name in ("m1", "m2"):
        os.kill(c.pid(name), signal.SIGCONT)
    await_(lambda: c.status()[0] == 0, "all serve again", PATIENCE_S * 2)


def its_own_death(w):
    """killed, it takes its members along: nothing of it goes on"""
    c = Cluster(w, "--members", "1", folder="one")
    pid = c.pid("m1")
    c.process.kill()
    await_(lambda: not is_running(pid), "the member ends")


LEFT = """import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print(flush=True)
time.sleep(600)"""


def killed_and_started_at_once(w):
    """members that a killed one left are waited for, and do not count as dead; a number that somebody else has by now is none"""
    one = ("--members", "1")
    c = Cluster(w, *one, folder="one")
    c.process.kill()
    c.process.wait()
    again = Cluster(w, *one, folder="one")
    again.end()
    true("is started again" not in again.process.stderr.read(), "it waits for its ports")
    left = w.start("-c", LEFT, str(c.folder / "m1"), c.members["m1"]["endpoint"].rsplit(":", 1)[1], program=sys.executable)
    left.stdout.readline()
    (c.folder / "m1.pid").write_text(f"{left.pid}\n")  # one that hangs: it is killed
    again = Cluster(w, *one, folder="one")
    equal(left.wait(timeout=PATIENCE_S), -signal.SIGKILL, "the one that was left")
    again.end()
    said = again.process.stderr.read()
    true(f"m1 still runs, as process {left.pid}" in said and "is started again" not in said, said)
    (c.folder / "m1.pid").write_text(f"{os.getpid()}\n")
    Cluster(w, *one, folder="one").end()
    equal((c.folder / "m1.pid").exists(), False, "the file of a process that is no more")


def one_at_a_time(w):
    """a folder's cluster is run once, with the members that it has"""
    c = Cluster(w, "--members", "1", folder="one")
    for args, words in ((("--port", "0"), "run by another process"), (("--members", "3"), "holds a cluster of 1 members")):
        got = w.run([TENURE, "cluster", "dev", "--data-dir", str(c.folder), *args], env=w.environment())
        true(got.returncode in (1, 2) and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")


def what_cannot_be(w):
    """bad options, an etcd that is none and a port that is taken are named"""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = str(s.getsockname()[1])
        for args, code, words in ((["--members", "2"], 2, "expected 1, 3, 5 or 7"), (["--members", "0"], 2, "expected 1, 3, 5 or 7:"),
                                  (["--port", "70000"], 2, "expected 0 to"),
                                  (["--etcd", "/nowhere/etcd"], 2, "/nowhere/etcd: No such file"),
                                  (["--etcd", "no-such-etcd"], 2, "no no-such-etcd on the PATH"),
                                  (["--port", taken], 1, f"port {taken} of 127.0.0.1 cannot be had"),
                                  (["--port", "0", "--etcd", "/bin/false", "--members", "1"], 1, "m1 cannot live")):
            got = w.run([TENURE, "cluster", "dev", "--data-dir", w.path(f"d{len(words)}"), *args], env=w.environment())
            true(got.returncode == code and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")
    Path(w.path("broken")).mkdir()
    Path(w.path("broken/cluster.json")).write_text('{"members": [{"name": "a/b"}]}')
    got = w.run([TENURE, "cluster", "dev", "--data-dir", w.path("broken")], env=w.environment())
    equal(got.returncode, 2, f"exit code, {got.stderr}")
    true("cluster.json: expected" in got.stderr, got.stderr)


def from_one_machine(w):
    """a directory of `tenure serve` becomes the members: history, leases and tokens go on, and the old one serves nobody any more"""
    def token(run):
        return int(run("lock", "x", "--", "sh", "-c", "echo $TENURE_TOKEN").stdout)

    w.tenure("put", "a", "1", check=True)
    w.tenure("put", "a", "2", check=True)
    lease = w.tenure("lease", "grant", "600", check=True).stdout.split()[1]
    before = token(w.tenure)
    old = str(w.server.folder / "data")
    w.server.stop()
    where = ("--data-dir", w.path("three"), "--port", "0")
    got = w.run([TENURE, "cluster", "adopt", old, *where], env=w.environment())
    equal((got.returncode, got.stdout.startswith("3 members are in ")), (0, True), f"adopt: {got.stdout}{got.stderr}")
    refused = w.run([TENURE, "serve", "--data-dir", old], env=w.environment())
    true(refused.returncode != 0 and "sealed" in refused.stderr and "http://127.0.0.1:" in refused.stderr, refused.stderr)
    again = w.run([TENURE, "cluster", "adopt", old, *where], env=w.environment())
    equal(again.returncode, 0, f"a second time: {again.stderr}")
    c = Cluster(w)
    equal(c.tenure("get", "a", "--print-value-only").stdout, "2\n", "now")
    equal(c.tenure("get", "a", "--print-value-only", "--rev", "2").stdout, "1\n", "then")
    true(lease in c.tenure("lease", "list").stdout, "the lease is there")
    true(token(c.tenure) > before, "tokens grow")


def what_cannot_be_adopted(w):
    """a folder that is none, a server that runs, a tool that fails: said, and nothing is sealed in vain"""
    where = ("--data-dir", w.path("three"), "--port", "0")
    running = str(w.server.folder / "data")
    for args, code, words in ((["/nowhere"], 2, "/nowhere: No such file"), ([running], 1, "in use"),
                              ([running, "--etcdutl", "/nowhere/etcdutl"], 2, "/nowhere/etcdutl: No such file")):
        got = w.run([TENURE, "cluster", "adopt", *args, *where], env=w.environment())
        true(got.returncode == code and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")
    equal(w.tenure("put", "a", "1").stdout, "OK\n", "the server goes on")
    w.server.stop()
    got = w.run([TENURE, "cluster", "adopt", running, "--etcdutl", "/bin/false", *where], env=w.environment())
    true(got.returncode == 1 and "/bin/false failed" in got.stderr and "adopt.log" in got.stderr, got.stderr)
    early = w.run([TENURE, "cluster", "dev", "--data-dir", w.path("three")], env=w.environment())
    true(early.returncode == 1 and "adopt has not finished" in early.stderr, f"half of it: {early.returncode} {early.stderr}")
    equal(w.run([TENURE, "cluster", "adopt", running, *where], env=w.environment()).returncode, 0, "then with the right one")


def a_folder_that_is_taken(w):
    """members of another cluster never stand in for those that are adopted: nothing is sealed"""
    w.tenure("put", "a", "1", check=True)
    old = str(w.server.folder / "data")
    w.server.stop()
    Path(w.path("three/m2/member")).mkdir(parents=True)
    got = w.run([TENURE, "cluster", "adopt", old, "--data-dir", w.path("three"), "--port", "0"], env=w.environment())
    true(got.returncode == 1 and "members of another cluster" in got.stderr, f"{got.returncode} {got.stdout}{got.stderr}")
    w.server.start()
    equal(w.tenure("get", "a", "--print-value-only").stdout, "1\n", "it serves as before")


def start_member(w, said, name):
    """An etcd by the variables that `tenure cluster add` printed."""
    variables = dict(line[len("export "):].split("=", 1) for line in said if line.startswith("export "))
    client = f"http://127.0.0.1:{free_port()}"
    peer = variables["ETCD_INITIAL_ADVERTISE_PEER_URLS"]
    equal(variables["ETCD_NAME"], name, "name")
    with open(w.path(f"{name}.log"), "wb") as log:
        return w.start("--data-dir", w.path(name), "--listen-client-urls", client, "--advertise-client-urls", client,
                       "--listen-peer-urls", peer, program="etcd", env={**os.environ, **variables}, stdout=log, stderr=log)


def variables_of(adding):
    said = [adding.stdout.readline().strip() for _ in range(4)]
    true(all(said), f"how to start it: {said} {'' if all(said) else adding.communicate()}")
    return said


def members_change(w):
    """a member is added, interrupted and resumed, and gets its vote; one that is removed is not started again, the next time neither"""
    c = Cluster(w).well()
    c.tenure("put", "a", "1")
    env = w.environment(TENURE_ENDPOINTS=c.endpoints)
    peer = f"http://127.0.0.1:{free_port()}"
    words = ("cluster", "add", "--name", "m4", "--peer-urls", peer, "--timeout", "60s")
    first = w.start(*words, env=env)
    said = variables_of(first)
    first.send_signal(signal.SIGINT)
    err = first.communicate(timeout=PATIENCE_S)[1]
    true(first.returncode == -signal.SIGINT and "interrupted: it is a learner" in err, f"{first.returncode} {err}")
    got = c.tenure("cluster", "promote", "m4")
    true(got.returncode == 1 and "no name until it is started" in got.stderr, got.stderr)
    adding = w.start(*words, "-o", "json", env=env)
    told = json.loads(adding.stdout.readline())
    equal([f"export {name}={value}" for name, value in told["start"].items()], said, "the same variables, as JSON")
    start_member(w, said, "m4")
    out, err = adding.communicate(timeout=PATIENCE_S * 3)
    equal((adding.returncode, json.loads(out)["done"]), (0, "promoted"), f"add: {out}{err}")
    equal(sorted(c.status()[1]), ["m1", "m2", "m3", "m4"], "members")
    for again in (c.tenure(*words), c.tenure("cluster", "promote", "m4")):
        equal((again.returncode, again.stdout.startswith("already votes: m4")), (0, True), f"again: {again.stdout}{again.stderr}")
    leader = c.leader()
    got = c.tenure("cluster", "remove", leader)
    equal((got.returncode, f"removed {leader}" in got.stdout), (0, True), f"remove: {got.stdout}{got.stderr}")
    true(leader not in c.status()[1], "it is gone")
    await_(lambda: c.status()[0] == 0, "the others serve")
    equal(c.tenure("get", "a", "--print-value-only").stdout, "1\n", "get")
    layout = lambda: {m["name"] for m in json.loads(read(c.folder / "cluster.json"))["members"] if m.get("removed")}
    await_(lambda: layout() == {leader}, "it is written down")
    equal((c.folder / f"{leader}.pid").exists(), False, "it runs no more")
    c.end()
    again = Cluster(w)
    equal(sorted(again.members), sorted(set(c.members) - {leader}), "the others alone, the next time")


def changes_that_would_cost_the_majority(w):
    """what would leave no majority is refused, and nothing is changed"""
    c = Cluster(w).well()
    stopped = next(name for name in c.members if name != c.leader())
    other = next(name for name in c.members if name not in (c.leader(), stopped))
    for args, code, words in ((("remove", "nobody"), 1, "name or id of no member"), (("add",), 2, "expected --peer-urls"),
                              (("promote", "m4"), 1, "the members are m"), (("promote", other), 0, ""),
                              (("add", "--peer-urls", "http://h:1", "--name", "a b"), 2, "not 'a b'"),
                              (("add", "--peer-urls", ",".join(f"http://h:{i}" for i in range(17))), 2, "'http://h:16' is one too many")):
        got = c.tenure("cluster", *args)
        true(got.returncode == code and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")
    stop(c.pid(stopped))
    short = ("--call-timeout", "1s")
    got = c.tenure("cluster", "remove", other, *short)
    true(got.returncode == 1 and "1 of 2 voters would answer, which is no majority" in got.stderr, f"remove: {got.returncode} {got.stderr}")
    got = c.tenure("cluster", "add", "--peer-urls", "http://127.0.0.1:1", *short)
    true(got.returncode == 1 and f"{stopped} does not answer" in got.stderr, f"add: {got.returncode} {got.stderr}")
    equal(sorted(json.loads(c.tenure("cluster", "status", "-o", "json", *short).stdout)["members"][i]["name"] for i in range(3)),
          ["m1", "m2", "m3"], "members")
    c.tenure("cluster", "remove", stopped, "--call-timeout", "2s", check=True)
    stop(c.pid(other))
    got = c.tenure("cluster", "remove", other, *short)
    true(got.returncode == 1 and "1 of 2 voters answer, which is no majority" in got.stderr, f"remove: {got.returncode} {got.stderr}")
    os.kill(c.pid(other), signal.SIGCONT)


def adopted_once(w):
    """a directory becomes one cluster, a folder holds one, and what is between the two steps, or lost later, never begins empty"""
    def cluster(*args):
        return w.run([TENURE, "cluster", *args, "--port", "0"], env=w.environment())

    def refused(words, *args):
        got = cluster(*args)
        true(got.returncode != 0 and words in got.stderr, f"{args}: {got.returncode} {got.stderr}")

    w.tenure("put", "a", "1", check=True)
    old, x, z = str(w.server.folder / "data"), w.path("x"), w.path("z")
    refused("in use", "adopt", old, "--data-dir", x)
    refused("adopt has not finished", "dev", "--data-dir", x)  # else three empty members would be where the data are to be
    refused("is the directory of a `tenure serve`", "dev", "--data-dir", old)
    w.server.stop()
    equal(cluster("adopt", old, "--data-dir", x, "--etcdutl", "/bin/false").returncode, 1, "interrupted")
    os.unlink(f"{x}/adopted.db")  # as if it had died behind the seal
    refused("adopt has not finished", "dev", "--data-dir", x)
    refused("sealed", "adopt", old, "--data-dir", z)  # by then it was given to x
    equal(cluster("adopt", old, "--data-dir", x).returncode, 0, "finished")
    other = Server("tenure", w.folder / "other").start()
    other.stop()
    refused("holds what another directory became", "adopt", str(other.folder / "data"), "--data-dir", x)
    shutil.rmtree(f"{x}/m2")
    refused("has lost a member", "adopt", old, "--data-dir", x)
    refused("m2 is missing", "dev", "--data-dir", x)


main([members_change, changes_that_would_cost_the_majority, from_one_machine, what_cannot_be_adopted, a_folder_that_is_taken, adopted_once, serves_and_ends, a_killed_leader, without_a_quorum, its_own_death, killed_and_started_at_once, one_at_a_time, what_cannot_be])
