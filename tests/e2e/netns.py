"""A network of the test's own: hosts in network namespaces on one bridge, whose links are cut one way, both ways, or to one
peer only.

    enter()                         first of all: goes on in a namespace of its own, or skips and says why
    net = Net()
    a, b = net.host(), net.host()   10.9.0.1, 10.9.0.2; the test itself is 10.9.0.254
    subprocess.Popen(a.command(["program", ...]))
    net.cut(a, b); net.delay(a, b, 0.2); net.heal(a, b)
    net.host(disk=path, disk_mb=200)    what runs there sees a disk of its own at path, which can be full

A cut is silent: frames leave with a station's address that nobody has, so that no side gets an error, a RST or a lost link. A
delay is the same with the address of a station that passes them on (this needs no netem, which a kernel may lack).
Nothing has a name in the system; all of it is gone when the test's processes are.
"""

import heapq
import itertools
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time

INSIDE = "TENURE_TEST_NETNS"
PREFIX = "10.9.0."
PACKET_VNET_HDR = 15  # linux/if_packet.h: large segments and checksums that nobody has made yet stay what they are
VNET_HDR_LEN = 10


def run(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(77)


def enter():
    """Goes on in a namespace of its own: as root, or as a user who may have one."""
    if os.environ.get(INSIDE):
        why = prepare()
        return skip(f"no network namespaces here: {why}") if why else None
    for tool in ("ip", "unshare", "nsenter"):
        if not shutil.which(tool):
            skip(f"there is no {tool} on this machine")
    why = ""
    for options in (["-n"], ["-Urn"]):
        tried = run("unshare", *options, "true")
        if tried.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", *options, "--", sys.executable, *sys.argv])
        why = tried.stderr.strip()
    skip(f"no network namespaces here: {why}")


def prepare():
    """Why it does not go; None when it does."""
    for line in ("ip link set lo up", "ip link add name br0 type bridge", f"ip addr add {PREFIX}254/24 dev br0",
                 "ip link set dev br0 address 02:00:00:00:00:fe up", "ip link add name probe type veth peer name eborp",
                 "ip link del dev probe"):
        done = run(*line.split())
        if done.returncode != 0:
            return f"{line}: {done.stderr.strip()}"
    return None


def must(*argv):
    done = run(*argv)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")


class Host:
    def __init__(self, number, inside=()):
        self.number = number
        self.inside = list(inside)  # in front of a command that is to run there
        self.device = "eth0" if inside else "br0"

    @property
    def address(self):
        return f"{PREFIX}{self.number}"

    @property
    def station(self):
        return f"02:00:00:00:00:{self.number:02x}"

    @property
    def late_station(self):
        """Of the one who passes on to it, later."""
        return f"02:00:00:00:01:{self.number:02x}"

    def command(self, argv):
        return [*self.inside, *argv]

    def sends_to(self, other, station):
        must(*self.command(["ip", "neigh", "replace", other.address, "lladdr", station, "dev", self.device, "nud", "permanent"]))


class Late(threading.Thread):
    """The station that takes frames for late ones of hosts, and passes each on when its time has come, in order."""

    ours, theirs = bytes.fromhex("0200000001"), bytes.fromhex("0200000000")

    def __init__(self):
        super().__init__(daemon=True)
        must("ip", "link", "add", "name", "late0", "type", "veth", "peer", "name", "late1")
        must("ip", "link", "set", "dev", "late0", "master", "br0", "up")
        must("ip", "link", "set", "dev", "late1", "up")
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        self.socket.setsockopt(263, PACKET_VNET_HDR, 1)  # SOL_PACKET
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("late1", 0))
        self.seconds, self.numbers = {}, itertools.count()
        self.stops, self.stopper = os.pipe()

    def run(self):
        waiting = []
        while True:
            pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
            ready = select.select([self.socket, self.stops], [], [], pause)[0]
            if self.stops in ready:
                return
            if ready:
                self._take(self.socket.recv(1 << 17), waiting)
            while waiting and waiting[0][0] <= time.monotonic():
                try:
                    self.socket.send(heapq.heappop(waiting)[2])
                except OSError:
                    pass  # lost, as on any network

    def _take(self, frame, waiting):
        header, to, sender, rest = frame[:VNET_HDR_LEN], frame[10:16], frame[16:22], frame[22:]
        if to[:5] == self.ours and sender[:5] == self.theirs:
            passed_on = header + self.theirs + to[5:] + self.ours + sender[5:] + rest
            seconds = self.seconds.get((sender[5], to[5]), 0)
            heapq.heappush(waiting, (time.monotonic() + seconds, next(self.numbers), passed_on))

    def end(self):
        os.close(self.stopper)
        self.join()
        self.socket.close()
        os.close(self.stops)
        must("ip", "link", "del", "dev", "late0")


class Net:
    numbers = itertools.count(1)  # over all of a test's: namespaces go when the kernel gets to it

    def __init__(self):
        self.here = Host(254)
        self.hosts = []
        self.holders = []
        self.late = None

    def host(self, disk=None, disk_mb=0):
        number = next(Net.numbers)
        # Holds the namespaces; ends with the pipe, whatever becomes of the test.
        unshared, first = (["-n", "-m"], f"mount -t tmpfs -o size={disk_mb}m,mode=0700 disk '{disk}' && ") if disk else (["-n"], "")
        holder = subprocess.Popen(["unshare", *unshared, "sh", "-c", f"{first}echo; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.holders.append(holder)
        if not holder.stdout.readline():
            raise RuntimeError("no namespaces for a host")
        host = Host(number, ["nsenter", "-t", str(holder.pid), *unshared])
        port = f"port{number}"
        must("ip", "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        must("ip", "link", "set", "dev", port, "master", "br0", "up")
        must(*host.command(["ip", "link", "set", "lo", "up"]))
        must(*host.command(["ip", "link", "set", "dev", "eth0", "address", host.station, "up"]))
        must(*host.command(["ip", "addr", "add", f"{host.address}/24", "dev", "eth0"]))
        for other in [self.here, *self.hosts]:
            self.heal(host, other)
        self.hosts.append(host)
        return host

    def cut(self, a, b):
        self.cut_one_way(a, b)
        self.cut_one_way(b, a)

    def cut_one_way(self, sender, receiver):
        """What sender sends to receiver is lost from now on."""
        sender.sends_to(receiver, "02:00:00:00:00:ff")

    def delay(self, a, b, seconds):
        self.delay_one_way(a, b, seconds)
        self.delay_one_way(b, a, seconds)

    def delay_one_way(self, sender, receiver, seconds):
        """What sender sends to receiver arrives so much later from now on; in order."""
        if not self.late:
            self.late = Late()
            self.late.start()
        self.late.seconds[sender.number, receiver.number] = seconds
        sender.sends_to(receiver, receiver.late_station)

    def heal(self, a, b):
        a.sends_to(b, b.station)
        b.sends_to(a, a.station)

    def close(self):
        if self.late:
            self.late.end()
            self.late = None
        for holder in self.holders:
            holder.stdin.close()
            holder.stdout.close()
            holder.wait()
        self.holders.clear()
