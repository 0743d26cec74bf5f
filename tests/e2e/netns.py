"""A network of the test's own: hosts in network namespaces on one bridge, whose links are cut one way, both ways, or to one
peer only.

    enter()                         first of all: goes on in a namespace of its own, or skips and says why
    net = Net()
    a, b = net.host(), net.host()   10.9.0.1, 10.9.0.2; the test itself is 10.9.0.254
    subprocess.Popen(a.command(["program", ...]))
    net.cut(a, b); net.heal(a, b)

A cut is silent: frames leave with a station's address that nobody has, so that no side gets an error, a RST or a lost link.
Nothing has a name in the system; all of it is gone when the test's processes are.
"""

import itertools
import os
import shutil
import subprocess
import sys

INSIDE = "TENURE_TEST_NETNS"
PREFIX = "10.9.0."


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

    def command(self, argv):
        return [*self.inside, *argv]

    def sends_to(self, other, station):
        must(*self.command(["ip", "neigh", "replace", other.address, "lladdr", station, "dev", self.device, "nud", "permanent"]))


class Net:
    numbers = itertools.count(1)  # over all of a test's: namespaces go when the kernel gets to it

    def __init__(self):
        self.here = Host(254)
        self.hosts = []
        self.holders = []

    def host(self):
        number = next(Net.numbers)
        # Holds the namespace; ends with the pipe, whatever becomes of the test.
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.holders.append(holder)
        holder.stdout.readline()
        host = Host(number, ["nsenter", "-t", str(holder.pid), "-n"])
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

    def heal(self, a, b):
        a.sends_to(b, b.station)
        b.sends_to(a, a.station)

    def close(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.stdout.close()
            holder.wait()
        self.holders.clear()
