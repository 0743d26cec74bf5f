#!/usr/bin/env python3
"""A program outside the tree, with nothing but the installed library: it holds a lock, leads, and mirrors a prefix, all at
once, through a restart of the server, a partition, and the loss of two endpoints of three. Network namespaces."""

import netns
from faults import *

TTL_S = 2
ELECTION_MS = 1000  # etcd's timeout
COMPACTED, UNAVAILABLE, TIMEOUT = -13, -7, -8  # TENURE_E…


def survives(world):
    """it holds, leads and mirrors, through kill -9 of the server and a partition, told "held" never beyond safe-until"""
    net = Net()
    at, client = net.host(), net.host()
    server = world._server = HostServer(world.server_kind, world.folder / "server", at).start()
    build_keeper(world)
    a = Keeper(world, client, server.url, "a", ttl_s=TTL_S)
    a.await_more("got", 0)
    a.await_more("gained", 0)
    # Somebody on the other side of the partition, who takes over there, and gives back.
    b = Keeper(world, net.here, server.url, "b", ttl_s=TTL_S, hold_ms=1500)
    history, writer = History(Gateway(at.address)), Writer(at.address)
    writer.start()
    b.await_more("stats", 0)
    a.await_more("event", 30)  # all keys have been there

    server.kill()
    server.start()
    a.await_more("event", len(a.said("event")) + 30)
    if not a.said("lost"):
        a.await_more("got", 0)

    got, gained, others = len(a.said("got")), len(a.said("gained")), len(b.said("got"))
    net.cut(client, at)
    cut_at = boottime_ms()
    b.await_more("got", others)
    b.await_more("gained", 0)
    history.collect()
    Gateway(at.address).post("/v3/kv/compaction", {"revision": str(history.next - 1)})
    time.sleep(max(0, PARTITION_S - (boottime_ms() - cut_at) / 1000))
    healed_at = boottime_ms()
    net.heal(client, at)

    a.await_more("got", got)
    true(a.said("got")[-1][3] > b.said("got")[0][3] > a.said("got")[got - 1][3], "tokens grow over the partition")
    true(any(r[3] == COMPACTED for r in a.said("resync")), "what was compacted meanwhile came as a difference")
    writer.end()
    settle([a, b], history)
    b.quit()
    a.await_more("gained", gained)
    time.sleep(0.2)
    a.quit()
    history.collect()
    verdict([a, b], history, cuts={"a": [(cut_at, healed_at)]}, ttl_s=TTL_S, name="l")
    nothing_left(history.gateway, "/locks/", "/election/")
    net.close()


def goes_on_by_the_third(world):
    """two of three endpoints are cut off from it: nothing is lost; the quorum is gone: lost at safe-until, then had again"""
    ttl_s = 5
    net = Net()
    servers = start_cluster(world, net, 3)
    client = net.host()
    build_keeper(world)
    a = Keeper(world, client, ",".join(s.url for s in servers), "a", ttl_s=ttl_s)
    a.await_more("got", 0)
    a.await_more("gained", 0)
    history, writer = History(Gateway(servers[2].host)), Writer(servers[2].host)
    writer.start()

    # Whichever it talks to is among those that go. Longer than a TTL, so that what is not renewed is lost.
    for away in ((0, 1), (1, 2)):
        for i in away:
            net.cut(client, servers[i].where)
        time.sleep(ttl_s + 1)
        for s in servers:
            net.heal(client, s.where)
    await_(lambda: a.said("read")[-1][4] == 0, "a reads")
    equal((a.said("lost"), a.said("deposed")), ([], []), "what it lost, by the third endpoint")

    writer.end()
    history.collect()
    first, second = len(a.said("failed")), len(a.said("got"))
    for s in servers[:2]:
        s.kill()
    # A member that led goes on answering keepalives until it steps down (etcd's #15247, see docs/etcd-faults.md).
    dead_at = boottime_ms() + 2 * ELECTION_MS
    a.await_more("lost", 0)
    a.await_more("failed", first)
    back_at = boottime_ms()
    starts = [threading.Thread(target=s.start) for s in servers[:2]]
    for t in starts:
        t.start()
    for t in starts:
        t.join()
    for s in servers:
        world.will_end(s.process.pid)
    a.await_more("got", second)
    a.await_more("gained", 1)
    true(a.said("failed")[-1][4] in (TIMEOUT, UNAVAILABLE), f"it was told why: {a.said('failed')[-1]}")
    settle([a], history)
    a.quit()
    history.collect()
    verdict([a], history, cuts={"a": [(dead_at, back_at)]}, ttl_s=ttl_s, name="l")
    net.close()


if __name__ == "__main__":
    netns.enter()
    # Members there are of etcd alone; what is to be shown takes longer than a TTL, thrice.
    main([survives] + ([goes_on_by_the_third] if "etcd" in sys.argv else []))
