#!/usr/bin/env python3
"""The library's own tests (test_lib_*.c) on three members of etcd, each on a host of its own, while one kind of fault comes again and
again. Network namespaces. Each program may fail in ways that are stated (see STATED); then it has another try.

Environment: KINDS (default: all of FAULTS), PROGRAMS (default: all), SEED (default 1), TRIES (default 3), GAP_S: the rest between two
faults (default 4). Prints a line for each program and fault, and a table in the end.
"""

import collections
import random
import re
import socketserver
import sys

import netns
from faults import *
from test_cluster import ClusterStorm, start_cluster

S = ClusterStorm
FAULTS = {
    "kill": (S.leader_killed, S.follower_killed),
    "stop": (S.leader_stopped, S.follower_stopped),
    "minority": (S.minority_cut, S.bridge),
    "majority": (S.quorum_lost,),
    "one-way": (S.leader_is_not_heard, S.leader_hears_nothing),
    "delay": (S.delayed, S.leader_delayed),
    "fsync": (S.leader_disk_slow, S.follower_disk_slow),
}
# Not `discover`, whose records name this machine.
PROGRAMS = """barrier cache config cron cut_lock delay election examples fence fork group iterator kv leaders lock multilock namespace
              node numbers picker place queue registry resume rwlock scope semaphore services session stm stop stop_claim stopped value
              watch""".split()
# A call had no answer, or none in time; what was held was lost with its lease; or a test waited for a dead one's lease to run out,
# which each new leader gives its whole TTL again.
STATED = re.compile(r"no answer|no endpoint answered|before the answer|deadline exceeded|not done within|timed out|lease lost|was lost|no leader"
                    r"|not acquired within|test_await.has_so_many")
SEED = int(os.environ.get("SEED", "1"))
TRIES = int(os.environ.get("TRIES", "3"))
GAP_S = float(os.environ.get("GAP_S", "4"))


class Faulty(ClusterStorm):
    """A cluster that has one kind of fault after the other, and does what a program asks of it in between."""

    def __init__(self, world, seed, kinds):
        self.world, self.random, self.kinds = world, random.Random(seed), kinds
        self.net, self.cuts, self.count = Net(), {}, 0
        self.servers = start_cluster(world, self.net, 3)
        self.host = self.net.host()
        self.endpoints = ",".join(s.url for s in self.servers)
        self.busy, self.stops = threading.Lock(), threading.Event()
        self.control = socketserver.ThreadingUnixStreamServer(world.path("control"), self._handler())
        for target in (self.control.serve_forever, self._play):
            threading.Thread(target=target, daemon=True).start()

    def _handler(self):
        storm = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                storm.asked(self.request.recv(64).decode())
                self.request.send(b".")
        return Handler

    def asked(self, what):
        """Between kill and restart, pause and resume, and in a lull, no fault comes."""
        if what == "lull":
            self.busy.acquire()
        elif what == "go on":
            self.busy.release()
        elif what in ("kill", "pause"):
            self.busy.acquire()
            for s in self.servers:
                s.kill() if what == "kill" else s.freeze()
        else:
            if what == "restart":
                start_all(self.servers)
            else:
                for s in self.servers:
                    s.thaw()
            self.busy.release()

    def _play(self):
        while not self.stops.wait(GAP_S):
            with self.busy:
                if self.stops.is_set():
                    return
                try:
                    self.random.choice(self.kinds)(self)
                    self.count += 1
                except (Failure, OSError) as e:
                    print(f"# a fault did not go: {e}", flush=True)

    def run(self, program):
        env = {**os.environ, "TENURE": TENURE, "TEST_SERVER": "given", "TEST_FAULTS": "0", "TEST_ENDPOINTS": self.endpoints,
               "TEST_CONTROL": self.world.path("control"), "EXAMPLES": f"{BUILD}/examples", "CMOCKA_MESSAGE_OUTPUT": "STDOUT"}
        with open(self.world.path("said"), "wb") as out:
            p = subprocess.Popen(self.host.command([f"{BUILD}/tests/e2e/e2e-lib-{program}"]), stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, env=env)
            try:
                code = p.wait(240)
            except subprocess.TimeoutExpired:
                p.kill()
                code = p.wait()
        return code, Path(self.world.path("said")).read_text(errors="replace")

    def end(self):
        self.stops.set()
        if self.busy.acquire(timeout=30):
            self.control.shutdown()
        self.net.close()


def why(said):
    return " | ".join(line.strip() for line in said.splitlines() if re.search(r"ERROR|LINE|^[a-z]+: ", line))[:300]


def play(program, kind):
    """ok, how many tries, what failed and whether that was stated"""
    notes = []
    for n in range(TRIES):
        world = World("etcd")
        try:
            storm = Faulty(world, SEED + n, FAULTS[kind])
            begun = time.monotonic()
            code, said = storm.run(program)
            storm.end()
            took = f"{time.monotonic() - begun:.0f} s, {storm.count} faults"
        finally:
            world.close()
        if code == 0:
            return n + 1, notes, took
        stated = bool(STATED.search(said))
        notes.append(f"{'stated' if stated else 'NOT STATED'}: {why(said)}")
        if not stated:
            break
    return 0, notes, took


def main_():
    kinds = os.environ.get("KINDS", ",".join(FAULTS)).split(",")
    programs = os.environ.get("PROGRAMS", ",".join(PROGRAMS)).split(",")
    table, failed = collections.defaultdict(dict), 0
    for kind in kinds:
        for program in programs:
            tries, notes, took = play(program, kind)
            failed += not tries
            table[program][kind] = str(tries) if tries else "FAILED"
            print(f"{kind} {program}: {f'passed, try {tries}' if tries else 'FAILED'}, seed {SEED}, {took}", flush=True)
            for note in notes:
                print(f"#   {note}", flush=True)
    print(f"{'':12}" + "".join(f"{k:>10}" for k in kinds))
    for program, row in table.items():
        print(f"{program:12}" + "".join(f"{row.get(k, ''):>10}" for k in kinds))
    print(f"{failed} failed")
    return failed


if __name__ == "__main__":
    netns.enter()
    sys.stdout.flush()
    os._exit(1 if main_() else 0)
