"""Three regions as network namespaces, 80 ms from each other: each has an address of its own for each server, under which all others
reach it, over the network with delays (harness.py's Delayed) and nothing else.

    netns.enter()                                         # first of all, or the test is skipped
    with regions(world) as r:                             # eu, us, ap: a `tenure serve` each (or --server etcd: three members each)
        r.eu.url, r.eu.endpoints                          # the same from everywhere
        r.eu.tenure("put", "a", "1")                      # a command in that region, with its own cluster as endpoints
        r.eu.start("mirror", …)
        r.cut(r.eu); r.heal(r.eu)                         # off from the other regions, not from itself, nor from the test
        r.cut_one_way(r.eu, r.us)                         # what eu sends to us is lost

The test itself reaches all of them at once, whatever is cut.
"""

import netns
from faults import PORT, HostServer
from replicas import *

DELAY_MS = 40  # one way
NAMES = ("eu", "us", "ap")


class Host:
    """A server's address within a region."""

    def __init__(self, region, number):
        self.region, self.number = region, region.number * 10 + number
        self.address = f"10.8.{region.number}.{number}"

    def command(self, argv):
        return self.region.command(argv)


class RegionReplica(Replica):
    """`tenure replica` in a region, of what another one (or a URL) serves."""

    def __init__(self, region, folder, source, host, *options):
        super().__init__(folder, source, "--insecure-listen-anywhere", *options)
        self.region, self.host, self.port = region, host.address, PORT

    def command(self, data, url):
        return self.region.command(super().command(data, url))


class Region:
    def __init__(self, world, net, name, number):
        self.world, self.net, self.name, self.number = world, net, name, number
        # Holds the namespace; ends with the pipe, whatever becomes of the test.
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.inside = ["nsenter", "-t", str(self.holder.pid), "-n"]
        netns.must(*self.command(["ip", "link", "set", "lo", "up"]))
        self.hosts = [Host(self, n) for n in range(1, 6)]  # five servers at most
        self.servers = []

    def command(self, argv):
        return [*self.inside, *argv]

    @property
    def url(self):
        return self.servers[0].url

    @property
    def endpoints(self):
        return ",".join(s.url for s in self.servers)

    def environment(self, **more):
        return {**os.environ, "TENURE_ENDPOINTS": self.endpoints, "LC_ALL": "C.UTF-8",
                "XDG_CONFIG_HOME": self.world.path(f"config-{self.name}"), **more}

    def tenure(self, *args, **how):
        """Runs `tenure ARGS` here to its end."""
        return self.world.run(self.command([TENURE, *args]), env=self.environment(), **how)

    def start(self, *args, **popen):
        """Starts `tenure ARGS` here; the world ends it."""
        program, *before = self.command([TENURE])
        return self.world.start(*before, *args, program=program, env=self.environment(), **popen)

    def serve(self, kind):
        """One server, or three members."""
        hosts = self.hosts[:3] if kind == "etcd" else self.hosts[:1]
        self.servers = [HostServer(kind, self.world.folder / f"{self.name}-{h.number}", h, hosts if kind == "etcd" else ()) for h in hosts]

    def replica(self, source, *options, number=5):
        """A replica in this region of another region's servers."""
        return RegionReplica(self, self.world.folder / f"{self.name}-replica-{number}", source, self.hosts[number - 1], *options)

    def gateway(self):
        return Gateway(self.url)

    def end(self):
        for server in self.servers:
            server.end()
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()


class Regions:
    """The regions by name, as attributes, and the network between them."""

    def __init__(self, world, names, delay_ms):
        self.world, self.net = world, Delayed()
        self.all = [Region(world, self.net, name, number) for number, name in enumerate(names, 1)]
        for region in self.all:
            setattr(self, region.name, region)
        netns.must("ip", "link", "set", "lo", "up")
        for region in self.all:
            self._addresses(region.command)
            self.net.link(f"test>{region.name}", 0)
            for other in self.all:
                if other is not region:
                    self.net.link(f"{region.name}>{other.name}", delay_ms)
        self._addresses(lambda argv: argv)
        self._routes()

    def _addresses(self, command):
        """All that anybody serves at is an address of everybody's: there is no other network."""
        for region in self.all:
            netns.must(*command(["ip", "addr", "replace", f"10.8.{region.number}.0/24", "dev", "lo"]))

    def _routes(self):
        for to in self.all:
            for host in to.hosts:
                at = f"{host.address}:{PORT}"
                self.net.route(f"test>{to.name}", at, at, (os.getpid(), to.holder.pid))
                for by in self.all:
                    if by is not to:
                        self.net.route(f"{by.name}>{to.name}", at, at, (by.holder.pid, to.holder.pid))

    def serve(self, kind, serving):
        for region in serving:
            region.serve(kind)
        starts = [threading.Thread(target=s.start) for region in serving for s in region.servers]
        for thread in starts:
            thread.start()
        for thread in starts:
            thread.join()
        for region in serving:
            for server in region.servers:
                true(server.process and server.process.poll() is None, f"a server of {region.name} serves")
                self.world.will_end(server.pid)

    def others(self, region):
        return [other for other in self.all if other is not region]

    def cut(self, region, *from_whom):
        """Off from some, or from all the others: both ways, and without a word."""
        for other in from_whom or self.others(region):
            self.net.cut(f"{region.name}>{other.name}")
            self.net.cut(f"{other.name}>{region.name}")

    def cut_one_way(self, sender, receiver):
        self.net.cut(f"{sender.name}>{receiver.name}", "up")
        self.net.cut(f"{receiver.name}>{sender.name}", "down")

    def heal(self, region, *with_whom, connections="keep"):
        """connections: what becomes of those that stood; see Delayed.heal."""
        for other in with_whom or self.others(region):
            self.net.heal(f"{region.name}>{other.name}", connections)
            self.net.heal(f"{other.name}>{region.name}", connections)

    def end(self):
        for region in self.all:
            region.end()
        self.net.end()


@contextlib.contextmanager
def regions(world, serving=NAMES, delay_ms=DELAY_MS):
    """serving: the regions that have servers of their own."""
    r = Regions(world, NAMES, delay_ms)
    try:
        r.serve(world.server_kind, [region for region in r.all if region.name in serving])
        yield r
    finally:
        r.end()
