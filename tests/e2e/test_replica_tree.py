"""A tree of replicas: a source, three that follow it, nine that follow those. What is put reaches every leaf, the source carries
three watches however many there are below, and the children of one that is killed go on with another.

`make bench-regions` measures more of it (docs/replica-scale.md).
"""

import re
import threading
import urllib.request
from types import SimpleNamespace

from replicas import *

FAN = Path(os.environ.get("BUILD", ROOT / "build")) / "tests" / "busy" / "fan"
WATCHES, SECONDS, RATE = 20, float(os.environ.get("TREE_S", "1")), float(os.environ.get("TREE_RATE", "20"))


def metric(server, name):
    text = urllib.request.urlopen(server.url + "/metrics", timeout=PATIENCE_S).read().decode()
    return int(float(re.search(rf"^{name} (\S+)$", text, re.M)[1]))


def watches_at(server):
    return metric(server, "etcd_debugging_mvcc_watcher_total")


def start_all(replicas):
    """At once: most of what that takes is waiting."""
    threads = [threading.Thread(target=replica.start) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    true(all(replica.port for replica in replicas), "all have begun")


@contextlib.contextmanager
def tree(world):
    """The levels below the source. A leaf knows its parent and the one beside that."""
    inner = [Replica(world.folder / f"inner{i}", world.server) for i in range(3)]
    leaves = []
    try:
        start_all(inner)
        for i in range(9):
            urls = ",".join(inner[k % 3].url for k in (i, i + 1))
            leaves.append(Replica(world.folder / f"leaf{i}", SimpleNamespace(url=urls)))
        start_all(leaves)
        yield inner, leaves
    finally:
        for replica in inner + leaves:
            replica.end()


def fan(world, leaves, seconds):
    ports = ",".join(str(leaf.port) for leaf in leaves)
    return world.start("--source", str(world.server.port), "--at", ports, "--watches", str(WATCHES), "--rate", str(RATE),
                       "--seconds", str(seconds), program=FAN)


def result_of(process):
    out, err = process.communicate(timeout=120)
    equal(process.returncode, 0, f"every watch was told every put once ({out} {err}); the exit code of fan")
    result = json.loads(out.splitlines()[-1])
    for name in ("one", "all"):
        middle, late = (max(place[name][i] for place in result["at"]) / 1000 for i in (0, 1))
        print(f"# a put to {'a watch' if name == 'one' else 'all watches'} of the slowest leaf: {middle:.1f} ms (p50), {late:.1f} ms (p99)")
    return result


def grows_and_is_cut(world):
    '''a put is told to every watch of nine leaves, the source carries three watches, whoever watches below, and when an inner
    replica is killed its children follow another one, and no watch misses a put'''
    Gateway(world.server.url).put("fan", "0")
    with tree(world) as (inner, leaves):
        await_(lambda: watches_at(world.server) == 3 and sum(watches_at(replica) for replica in inner) == 9, "all follow")
        process = fan(world, leaves, SECONDS)
        equal(process.stdout.readline(), "watching\n", "all watch")
        equal(sum(watches_at(leaf) for leaf in leaves), 9 * WATCHES, "what the leaves carry")
        await_(lambda: watches_at(world.server) == 3 and sum(watches_at(replica) for replica in inner) == 9, "nobody else carries more for that")
        result_of(process)
        process = fan(world, leaves, SECONDS)
        equal(process.stdout.readline(), "watching\n", "all watch")
        victim = max(inner, key=watches_at)
        victim.kill()
        result_of(process)
        rest = [replica for replica in inner if replica is not victim]
        await_(lambda: sum(watches_at(replica) for replica in rest) == 9, "the other two carry all leaves")
        victim.start()
        verify(world, world.server, *inner, *leaves)


main([grows_and_is_cut])
