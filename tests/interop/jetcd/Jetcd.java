import static java.util.stream.Collectors.joining;

import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.ClientBuilder;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.KeyValue;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.auth.Permission;
import io.etcd.jetcd.common.exception.CompactedException;
import io.etcd.jetcd.election.LeaderKey;
import io.etcd.jetcd.election.LeaderResponse;
import io.etcd.jetcd.election.NoLeaderException;
import io.etcd.jetcd.election.NotLeaderException;
import io.etcd.jetcd.kv.GetResponse;
import io.etcd.jetcd.kv.TxnResponse;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.CompactOption;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.support.CloseableClient;
import io.etcd.jetcd.watch.WatchEvent;
import io.etcd.jetcd.watch.WatchResponse;
import io.grpc.stub.StreamObserver;

/**
 * jetcd on servers that are fresh: `Jetcd FOLDER NAME URL CA-FILE …`. NAME is said in each line of TAP, and FOLDER/NAME.db
 * will be a snapshot for others to look at. A server is restarted by whoever reads `# restart NAME`, and a line says that it is done.
 * The CA's certificate is used if the URL begins with https.
 */
public final class Jetcd {
    private static String url;
    private static Path ca;
    private static Path snapshot;
    private static String server;
    private static Client client;
    private static KV kv;
    private static Watch watch;

    private static ClientBuilder builder() throws Exception {
        ClientBuilder builder = Client.builder().endpoints(url);
        return ca == null ? builder : builder.sslContext(ssl -> ssl.trustManager(ca.toFile()));
    }

    private static ByteSequence b(String text) {
        return Check.b(text);
    }

    private static long put(String key, String value) throws Exception {
        return Check.get(kv.put(b(key), b(value))).getHeader().getRevision();
    }

    /** "key=value" of each, in their order. */
    private static String shown(GetResponse r) {
        return r.getKvs().stream().map(Jetcd::shown).collect(joining(" "));
    }

    private static String shown(KeyValue k) {
        return k.getKey() + "=" + k.getValue();
    }

    private static String all(String prefix) throws Exception {
        return shown(Check.get(kv.get(b(prefix), GetOption.builder().isPrefix(true).build())));
    }

    private static long grant(long ttl) throws Exception {
        return Check.get(client.getLeaseClient().grant(ttl)).getID();
    }

    // --- keys and transactions ---

    private static void keys() throws Exception {
        long first = put("kv/a", "1");
        Check.equal(put("kv/a", "2"), first + 1);
        KeyValue before = Check.get(kv.put(b("kv/a"), b("3"), PutOption.builder().withPrevKV().build())).getPrevKv();
        Check.equal(shown(before) + " " + before.getVersion(), "kv/a=2 2");
        KeyValue now = Check.get(kv.get(b("kv/a"))).getKvs().get(0);
        Check.equal(List.of(now.getCreateRevision(), now.getModRevision(), now.getVersion(), now.getLease()),
            List.of(first, first + 2, 3L, 0L));
        for (String k : List.of("b", "c", "d")) {
            put("kv/" + k, k.repeat(2));
        }
        GetOption.Builder some = GetOption.builder().isPrefix(true).withLimit(2)
            .withSortField(GetOption.SortTarget.VALUE).withSortOrder(GetOption.SortOrder.DESCEND);
        GetResponse r = Check.get(kv.get(b("kv/"), some.build()));
        Check.equal(shown(r) + " " + r.isMore() + " " + r.getCount(), "kv/d=dd kv/c=cc true 4");
        Check.equal(shown(Check.get(kv.get(b("kv/b"), GetOption.builder().withRange(b("kv/d")).withKeysOnly(true).build()))),
            "kv/b= kv/c=");
        r = Check.get(kv.get(b("kv/"), GetOption.builder().isPrefix(true).withCountOnly(true).withSerializable(true).build()));
        Check.equal(r.getCount() + " " + r.getKvs().size(), "4 0");
        Check.equal(shown(Check.get(kv.get(b("kv/a"), GetOption.builder().withRevision(first + 1).build()))), "kv/a=2");
        r = Check.get(kv.get(b("kv/"), GetOption.builder().isPrefix(true).withMinCreateRevision(first + 1).build()));
        Check.equal(r.getKvs().size(), 3);
        var gone = Check.get(kv.delete(b("kv/b"), DeleteOption.builder().isPrefix(true).withPrevKV(true).build()));
        Check.equal(gone.getDeleted() + " " + shown(gone.getPrevKvs().get(0)), "1 kv/b=bb");
        Check.get(kv.compact(first + 2, CompactOption.builder().withCompactPhysical(true).build()));
        Check.refused(kv.get(b("kv/a"), GetOption.builder().withRevision(first).build()),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
        Check.refused(kv.get(b("kv/a"), GetOption.builder().withRevision(first + 100000).build()),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
        Check.refused(kv.put(b(""), b("x")), "INVALID_ARGUMENT etcdserver: key is not provided");
        Client under = builder().namespace(b("kv/")).build();
        Check.equal(shown(Check.get(under.getKVClient().get(b("c")))), "c=cc");
        under.close();
    }

    private static void transactions() throws Exception {
        long at = put("txn/a", "1");
        Cmp[] holds = {new Cmp(b("txn/a"), Cmp.Op.EQUAL, CmpTarget.value(b("1"))),
            new Cmp(b("txn/a"), Cmp.Op.EQUAL, CmpTarget.version(1)),
            new Cmp(b("txn/a"), Cmp.Op.GREATER, CmpTarget.modRevision(at - 1)),
            new Cmp(b("txn/a"), Cmp.Op.LESS, CmpTarget.createRevision(at + 1)),
            new Cmp(b("txn/none"), Cmp.Op.EQUAL, CmpTarget.createRevision(0))};
        Op nested = Op.txn(new Cmp[] {new Cmp(b("txn/a"), Cmp.Op.NOT_EQUAL, CmpTarget.value(b("1")))},
            new Op[] {Op.put(b("txn/c"), b("then"), PutOption.DEFAULT)},
            new Op[] {Op.put(b("txn/c"), b("else"), PutOption.DEFAULT)});
        TxnResponse r = Check.get(kv.txn().If(holds)
            .Then(Op.put(b("txn/b"), b("2"), PutOption.DEFAULT), Op.get(b("txn/b"), GetOption.DEFAULT),
                Op.delete(b("txn/none"), DeleteOption.DEFAULT), nested)
            .Else(Op.get(b("txn/a"), GetOption.DEFAULT)).commit());
        Check.isTrue(r.isSucceeded(), "the comparisons hold");
        Check.equal(shown(r.getGetResponses().get(0)) + " " + r.getDeleteResponses().get(0).getDeleted(), "txn/b=2 0");
        Check.isTrue(!r.getTxnResponses().get(0).isSucceeded(), "the nested one does not");
        Check.equal(all("txn/"), "txn/a=1 txn/b=2 txn/c=else");
        r = Check.get(kv.txn().If(new Cmp(b("txn/a"), Cmp.Op.EQUAL, CmpTarget.value(b("no"))))
            .Then(Op.put(b("txn/a"), b("x"), PutOption.DEFAULT)).Else(Op.get(b("txn/a"), GetOption.DEFAULT)).commit());
        Check.equal(r.isSucceeded() + " " + shown(r.getGetResponses().get(0)), "false txn/a=1");
        Op twice = Op.put(b("txn/a"), b("x"), PutOption.DEFAULT);
        Check.refused(kv.txn().Then(twice, twice).commit(),
            "INVALID_ARGUMENT etcdserver: duplicate key given in txn request");
    }

    /** Nobody is lost when twenty add to one number at once. */
    private static void counting() throws Exception {
        put("count", "0");
        CompletableFuture<?>[] all = new CompletableFuture<?>[20];
        for (int i = 0; i < all.length; i++) {
            all[i] = CompletableFuture.runAsync(() -> {
                try {
                    boolean done = false;
                    while (!done) {
                        KeyValue now = Check.get(kv.get(b("count"))).getKvs().get(0);
                        String next = String.valueOf(Integer.parseInt(now.getValue().toString()) + 1);
                        done = Check.get(kv.txn()
                            .If(new Cmp(b("count"), Cmp.Op.EQUAL, CmpTarget.modRevision(now.getModRevision())))
                            .Then(Op.put(b("count"), b(next), PutOption.DEFAULT)).commit()).isSucceeded();
                    }
                } catch (Exception broken) {
                    throw new IllegalStateException(broken);
                }
            });
        }
        Check.get(CompletableFuture.allOf(all));
        Check.equal(all("count"), "count=20");
    }

    // --- leases and watches ---

    private static void leases() throws Exception {
        var leases = client.getLeaseClient();
        long id = grant(100);
        Check.get(kv.put(b("lease/a"), b("1"), PutOption.builder().withLeaseId(id).build()));
        var left = Check.get(leases.timeToLive(id, LeaseOption.builder().withAttachedKeys().build()));
        Check.equal(left.getGrantedTTL() + " " + left.getKeys(), "100 [lease/a]");
        Check.equal(Check.get(leases.keepAliveOnce(id)).getTTL(), 100L);
        Check.get(leases.revoke(id));
        Check.equal(all("lease/"), "");
        Check.refused(leases.revoke(id), "NOT_FOUND etcdserver: requested lease not found");
        Check.refused(kv.put(b("lease/a"), b("1"), PutOption.builder().withLeaseId(id).build()),
            "NOT_FOUND etcdserver: requested lease not found");
        Check.equal(Check.get(leases.timeToLive(id, LeaseOption.DEFAULT)).getTTL(), -1L);
        Check.refused(leases.grant(9_000_000_001L), "OUT_OF_RANGE etcdserver: too large lease TTL");
    }

    /** Kept alive longer than its time; gone after that, and a watch tells. */
    private static void keepalive() throws Exception {
        long id = grant(2);
        Check.get(kv.put(b("alive"), b("1"), PutOption.builder().withLeaseId(id).build()));
        Check.Heard<WatchResponse> seen = new Check.Heard<>();
        Check.Heard<LeaseKeepAliveResponse> kept = new Check.Heard<>();
        try (Watch.Watcher w = watch.watch(b("alive"), Watch.listener(seen::add, seen::fail))) {
            long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
            try (CloseableClient keeper = client.getLeaseClient().keepAlive(id, observer(kept))) {
                do {
                    Check.equal(kept.next().getTTL(), 2L);
                } while (System.nanoTime() < until);
                Check.equal(all("alive"), "alive=1");
            }
            Check.equal(seen.next().getEvents().get(0).getEventType(), WatchEvent.EventType.DELETE);
        }
        Check.Heard<LeaseKeepAliveResponse> none = new Check.Heard<>();
        try (CloseableClient keeper = client.getLeaseClient().keepAlive(id, observer(none))) {
            Check.isTrue(none.error().getMessage().contains("requested lease not found"), "a lease that ended cannot be kept");
        }
    }

    private static <T> StreamObserver<T> observer(Check.Heard<T> heard) {
        return new StreamObserver<>() {
            @Override
            public void onNext(T item) {
                heard.add(item);
            }

            @Override
            public void onError(Throwable why) {
                heard.fail(why);
            }

            @Override
            public void onCompleted() {
                heard.fail(new IllegalStateException("completed"));
            }
        };
    }

    private static String events(Check.Heard<WatchResponse> seen, int n) throws Exception {
        StringBuilder text = new StringBuilder();
        while (n > 0) {
            for (WatchEvent e : seen.next().getEvents()) {
                text.append(e.getEventType()).append(' ').append(shown(e.getKeyValue()))
                    .append(e.getPrevKV().getVersion() > 0 ? " before " + e.getPrevKV().getValue() : "").append("; ");
                n--;
            }
        }
        return text.toString();
    }

    private static void watches() throws Exception {
        long begun = put("w/a", "1");
        Check.Heard<WatchResponse> past = new Check.Heard<>();
        Check.Heard<WatchResponse> deleted = new Check.Heard<>();
        WatchOption whole = WatchOption.builder().isPrefix(true).withRevision(begun).withPrevKV(true).build();
        WatchOption noPut = WatchOption.builder().isPrefix(true).withNoPut(true).withCreateNotify(true).build();
        try (Watch.Watcher one = watch.watch(b("w/"), whole, Watch.listener(past::add, past::fail));
            Watch.Watcher two = watch.watch(b("w/"), noPut, Watch.listener(deleted::add, deleted::fail))) {
            Check.isTrue(deleted.next().isCreatedNotify(), "it says that it was created");
            put("w/a", "2");
            put("w/b", "3");
            Op put = Op.put(b("w/c"), b("4"), PutOption.DEFAULT);
            Check.get(kv.txn().Then(Op.delete(b("w/a"), DeleteOption.DEFAULT), put).commit());
            Check.equal(events(past, 5), "PUT w/a=1; PUT w/a=2 before 1; PUT w/b=3; DELETE w/a= before 2; PUT w/c=4; ");
            Check.equal(events(deleted, 1), "DELETE w/a=; ");
            watch.requestProgress();
            WatchResponse progress = past.next();
            Check.isTrue(progress.isProgressNotify() && progress.getHeader().getRevision() >= begun + 3, "progress is told");
        }
        Check.get(kv.compact(begun + 1));
        Check.Heard<WatchResponse> late = new Check.Heard<>();
        try (Watch.Watcher w = watch.watch(b("w/"), whole, Watch.listener(late::add, late::fail))) {
            Throwable why = late.error();
            Check.isTrue(why instanceof CompactedException e && e.getCompactedRevision() == begun + 1, "compacted: " + why);
        }
    }

    /** Who started this kills the server, starts it again, and says so. */
    private static void restart() throws Exception {
        System.out.println("# restart " + server);
        Check.isTrue(System.in.read() == '\n', "it was started again");
    }

    /**
     * A watch misses nothing and says nothing twice, and a lease is kept, when the server was killed and is there again. jetcd tells
     * the listener of the loss, and goes on by itself.
     */
    private static void overARestart() throws Exception {
        long id = grant(6);
        Check.get(kv.put(b("r/held"), b("1"), PutOption.builder().withLeaseId(id).build()));
        Check.Heard<WatchResponse> seen = new Check.Heard<>();
        Check.Heard<LeaseKeepAliveResponse> kept = new Check.Heard<>();
        WatchOption whole = WatchOption.builder().isPrefix(true).build();
        try (Watch.Watcher w = watch.watch(b("r/"), whole, Watch.listener(seen::add, lost -> { }));
            CloseableClient keeper = client.getLeaseClient().keepAlive(id, observer(kept))) {
            kept.next();
            put("r/a", "1");
            Check.equal(events(seen, 1), "PUT r/a=1; ");
            restart();
            put("r/b", "2");
            Check.get(kv.delete(b("r/a")));
            Check.equal(events(seen, 2), "PUT r/b=2; DELETE r/a=; ");
            kept.clear();
            Check.equal(kept.next().getTTL(), 6L);
            Check.equal(all("r/"), "r/b=2 r/held=1");
        }
        Check.get(client.getLeaseClient().revoke(id));
    }

    private static void manyWatches() throws Exception {
        Check.Heard<WatchResponse> seen = new Check.Heard<>();
        Watch.Watcher[] all = new Watch.Watcher[100];
        for (int i = 0; i < all.length; i++) {
            WatchOption told = WatchOption.builder().withCreateNotify(true).build();
            all[i] = watch.watch(b("many"), told, Watch.listener(seen::add, seen::fail));
        }
        for (int i = 0; i < all.length; i++) {
            Check.isTrue(seen.next().isCreatedNotify(), "all are created");
        }
        put("many", "x");
        Check.equal(events(seen, all.length), "PUT many=x; ".repeat(all.length));
        Arrays.stream(all).forEach(Watch.Watcher::close);
    }

    // --- the Lock and Election services ---

    private static void locks() throws Exception {
        long one = grant(60);
        long two = grant(60);
        long three = grant(60);
        var lock = client.getLockClient();
        ByteSequence held = Check.get(lock.lock(b("lock"), one)).getKey();
        Check.equal(held.toString(), "lock/" + Long.toHexString(one));
        Check.equal(Check.get(lock.lock(b("lock"), one)).getKey(), held); // again by the same lease: it has it
        var second = lock.lock(b("lock"), two);
        Check.waits(second);
        var third = lock.lock(b("lock"), three);
        Check.waits(third);
        Check.get(lock.unlock(held));
        Check.equal(Check.get(second).getKey().toString(), "lock/" + Long.toHexString(two));
        Check.waits(third);
        long token = Check.get(kv.get(Check.get(second).getKey())).getKvs().get(0).getCreateRevision();
        Check.get(client.getLeaseClient().revoke(two)); // the holder is gone without letting go
        ByteSequence last = Check.get(third).getKey();
        Check.isTrue(Check.get(kv.get(last)).getKvs().get(0).getCreateRevision() > token, "tokens grow from holder to holder");
        Check.get(lock.unlock(last));
        Check.refused(lock.lock(b("lock"), two), "UNKNOWN etcdserver: requested lease not found");
    }

    private static void elections() throws Exception {
        Election election = client.getElectionClient();
        ByteSequence name = b("election");
        Check.isTrue(cause(election.leader(name)) instanceof NoLeaderException, "there is no leader yet");
        Check.Heard<LeaderResponse> seen = new Check.Heard<>();
        election.observe(name, new Election.Listener() {
            @Override
            public void onNext(LeaderResponse r) {
                seen.add(r);
            }

            @Override
            public void onError(Throwable why) {
                seen.fail(why);
            }

            @Override
            public void onCompleted() {
                seen.fail(new IllegalStateException("completed"));
            }
        });
        long one = grant(60);
        long two = grant(60);
        LeaderKey first = Check.get(election.campaign(name, one, b("one"))).getLeader();
        Check.equal(first.getKey() + " " + first.getLease(), "election/" + Long.toHexString(one) + " " + one);
        Check.equal(seen.next().getKv().getValue(), b("one"));
        var waiting = election.campaign(name, two, b("two"));
        Check.waits(waiting);
        Check.get(election.proclaim(first, b("still one")));
        Check.equal(seen.next().getKv().getValue(), b("still one"));
        Check.equal(Check.get(election.leader(name)).getKv().getValue(), b("still one"));
        Check.get(election.resign(first));
        LeaderKey second = Check.get(waiting).getLeader();
        Check.isTrue(second.getRevision() > first.getRevision(), "fencing tokens grow");
        Check.equal(seen.next().getKv().getValue(), b("two"));
        Check.isTrue(cause(election.proclaim(first, b("me"))) instanceof NotLeaderException, "who resigned cannot proclaim");
        Check.get(election.resign(second));
        Check.isTrue(cause(election.leader(name)) instanceof NoLeaderException, "nobody leads in the end");
    }

    private static Throwable cause(CompletableFuture<?> future) throws Exception {
        try {
            return new AssertionError("answered: " + Check.get(future));
        } catch (java.util.concurrent.ExecutionException refused) {
            return refused.getCause();
        }
    }

    // --- the server itself, users ---

    private static void maintenance() throws Exception {
        var m = client.getMaintenanceClient();
        var status = Check.get(m.statusMember(url));
        Check.isTrue(status.getVersion().startsWith("3.7."), "it says which version it is");
        Check.equal(status.getErrorList() + " " + status.isLearner(), "[] false");
        Check.equal(status.getLeader(), status.getHeader().getMemberId());
        Check.isTrue(status.getDbSize() > 0 && status.getDbSizeInUse() > 0, "it has a size");
        long at = put("m", "1");
        put("m", "2");
        int hash = Check.get(m.hashKV(url, at)).getHash();
        Check.isTrue(hash != Check.get(m.hashKV(url, at + 1)).getHash(), "each revision has a hash of its own");
        Check.get(m.defragmentMember(url));
        Check.equal(Check.get(m.listAlarms()).getAlarms().size(), 0);
        Check.refused(m.moveLeader(12345), "FAILED_PRECONDITION etcdserver: bad leader transferee");
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        long bytes = Check.get(m.snapshot(file));
        byte[] all = file.toByteArray();
        Check.equal((long) all.length, bytes);
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Arrays.copyOf(all, all.length - 32));
        Check.isTrue(Arrays.equals(digest, Arrays.copyOfRange(all, all.length - 32, all.length)), "it ends with its sha256");
        Files.write(snapshot, all); // who started this has a look at it
        var members = Check.get(client.getClusterClient().listMember()).getMembers();
        Check.equal(members.size() + " " + members.get(0).getClientURIs(), "1 " + List.of(URI.create(url)));
        Check.refused(client.getClusterClient().removeMember(1), "NOT_FOUND etcdserver: member not found");
    }

    private static void users() throws Exception {
        var auth = client.getAuthClient();
        for (String role : List.of("root", "reader")) {
            Check.get(auth.roleAdd(b(role)));
        }
        Check.get(auth.roleGrantPermission(b("reader"), b("u/"), b("u0"), Permission.Type.READ));
        Check.equal(Check.get(auth.roleGet(b("reader"))).getPermissions().stream()
            .map(p -> p.getPermType() + " " + p.getKey() + " " + p.getRangeEnd()).collect(joining()), "READ u/ u0");
        Check.refused(auth.authEnable(), "FAILED_PRECONDITION etcdserver: root user does not exist");
        for (String user : List.of("root", "alice")) {
            Check.get(auth.userAdd(b(user), b("pw")));
            Check.get(auth.userGrantRole(b(user), b(user.equals("root") ? "root" : "reader")));
        }
        Check.refused(auth.userAdd(b("alice"), b("pw")), "FAILED_PRECONDITION etcdserver: user name already exists");
        Check.equal(Check.get(auth.userList()).getUsers(), List.of("alice", "root"));
        Check.equal(Check.get(auth.roleList()).getRoles(), List.of("reader", "root"));
        Check.equal(Check.get(auth.userGet(b("alice"))).getRoles(), List.of("reader"));
        put("u/a", "1");
        Check.get(auth.authEnable());
        Check.refused(kv.get(b("u/a")), "INVALID_ARGUMENT etcdserver: user name is empty");
        Client root = builder().user(b("root")).password(b("pw")).build();
        Client alice = builder().user(b("alice")).password(b("pw")).build();
        Client wrong = builder().user(b("alice")).password(b("no")).build();
        try {
            asAlice(root, alice);
            Check.refused(wrong.getKVClient().get(b("u/a")), "UNAUTHENTICATED null"); // jetcd keeps the reason to itself
        } finally {
            Check.get(root.getAuthClient().authDisable());
            for (Client c : List.of(root, alice, wrong)) {
                c.close();
            }
        }
        for (String user : List.of("root", "alice")) {
            Check.get(auth.userDelete(b(user)));
        }
        for (String role : List.of("root", "reader")) {
            Check.get(auth.roleDelete(b(role)));
        }
    }

    private static void asAlice(Client root, Client alice) throws Exception {
        Check.equal(shown(Check.get(alice.getKVClient().get(b("u/a")))), "u/a=1");
        Check.refused(alice.getKVClient().put(b("u/a"), b("2")), "PERMISSION_DENIED etcdserver: permission denied");
        Check.refused(alice.getAuthClient().userList(), "PERMISSION_DENIED etcdserver: permission denied");
        Check.Heard<WatchResponse> seen = new Check.Heard<>();
        WatchOption told = WatchOption.builder().isPrefix(true).withCreateNotify(true).build();
        try (Watch.Watcher w = alice.getWatchClient().watch(b("u/"), told, Watch.listener(seen::add, seen::fail))) {
            Check.isTrue(seen.next().isCreatedNotify(), "who may read may watch");
            Check.get(root.getKVClient().put(b("u/b"), b("2")));
            Check.equal(events(seen, 1), "PUT u/b=2; ");
        }
        restart(); // makes tokens void: jetcd logs in again, for calls on keys at least, which root makes for that reason
        Check.equal(shown(Check.get(alice.getKVClient().get(b("u/b")))), "u/b=2");
        Check.get(root.getKVClient().get(b("u/b")));
        // Another password makes her tokens invalid: this client would log in with the old one, in vain.
        Check.get(root.getAuthClient().userChangePassword(b("alice"), b("new")));
        Client again = builder().user(b("alice")).password(b("new")).build();
        Check.equal(shown(Check.get(again.getKVClient().get(b("u/b")))), "u/b=2");
        Check.get(root.getAuthClient().roleRevokePermission(b("reader"), b("u/"), b("u0")));
        Check.refused(again.getKVClient().get(b("u/b")), "PERMISSION_DENIED etcdserver: permission denied");
        Check.get(root.getAuthClient().userRevokeRole(b("alice"), b("reader")));
        again.close();
    }

    private record Named(String name, Check.Case body) {}

    private static final List<Named> CASES = List.of(
        new Named("keys, ranges, the past, compaction", Jetcd::keys),
        new Named("transactions with each comparison, nested", Jetcd::transactions),
        new Named("twenty count at once", Jetcd::counting),
        new Named("leases", Jetcd::leases),
        new Named("a lease is kept alive, ends, and a watch tells", Jetcd::keepalive),
        new Named("watches from now and from the past, filters, progress, compacted", Jetcd::watches),
        new Named("a hundred watches on one stream", Jetcd::manyWatches),
        new Named("a watch and a lease over a kill -9 of the server", Jetcd::overARestart),
        new Named("the Lock service", Jetcd::locks),
        new Named("the Election service", Jetcd::elections),
        new Named("status, hashes, snapshot, members", Jetcd::maintenance),
        new Named("users, roles, permissions", Jetcd::users));

    public static void main(String[] args) throws Exception {
        Check.plan(CASES.size() * (args.length / 3));
        for (int i = 1; i + 2 < args.length; i += 3) {
            server = args[i];
            snapshot = Path.of(args[0], server + ".db");
            url = args[i + 1];
            ca = url.startsWith("https") ? Path.of(args[i + 2]) : null;
            client = builder().build();
            kv = client.getKVClient();
            watch = client.getWatchClient();
            for (Named c : CASES) {
                Check.that("jetcd: " + c.name(), server, c.body());
            }
            client.close();
        }
        System.exit(Check.exitCode());
    }
}
