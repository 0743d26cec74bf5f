"""Regions for tests: several clusters, each a server of its own, that know each other."""

from harness import *


class Regions:
    """A server a region, of the kind that the world has; the first one's is the world's own. Named eu, us and ap."""

    NAMES = ("eu", "us", "ap")

    def __init__(self, world, n=3, known=True):
        self.world, self.servers = world, {}
        for name in self.NAMES[:n]:
            server = world.server if not self.servers else Server(world.server_kind, world.folder / f"server-{name}").start()
            self.servers[name] = server
            world.will_end(server.pid)
        if known:
            self.introduce()

    def __getitem__(self, name):
        return self.servers[name]

    def introduce(self):
        first, *others = self.servers
        self.at(first, "region", "init", first, check=True)
        for name in others:
            self.at(first, "region", "add", name, self[name].url, "--distance", f"{first}=80", check=True)

    def environment(self, name, **more):
        return self.world.environment(TENURE_ENDPOINTS=self[name].url, ETCDCTL_ENDPOINTS=self[name].url, **more)

    def at(self, name, *args, **options):
        """`tenure ARGS` as somebody in that region runs it, to its end."""
        return self.world.tenure(*args, env=self.environment(name), **options)

    def start(self, name, *args, **options):
        return self.world.start(*args, env=self.environment(name), **options)

    def value(self, name, key):
        return self.at(name, "get", key, "--print-value-only", check=True).stdout.strip()
