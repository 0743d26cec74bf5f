"""The zombie test, for each resource that refuses stale tokens (M3): a leader is stopped past its lease, the next one writes, the first
goes on and writes: refused. With the checker off the same shows the damage, so the test is known to bite."""

import http.client
import http.server
import json
import os
import shutil
import signal
import sys
import subprocess
import threading

from harness import *
from postgres import Postgres

WRITER = str(Path(__file__).with_name("fenced_writer.py"))


# --- leaders ----------------------------------------------------------------------------------------------------------


class Leader:
    """Holds the lock, and has a writer beside it. Both can be stopped, as a program is that hangs."""

    def __init__(self, world, kind, where, ttl="2"):
        self.lock = world.start("lock", "billing", "--ttl", ttl, "-o", "json")
        held = json.loads(self.lock.stdout.readline())
        self.token, self.key = held["token"], held["key"]
        env = world.environment(HOLDER_KEY=self.key, TENURE=TENURE)
        self.writer = world.start(WRITER, kind, where, str(self.token), program=sys.executable, env=env,
                                  stdin=subprocess.PIPE)
        equal(self.writer.stdout.readline(), "ready\n")

    def begin(self, word):
        self.writer.stdin.write(word + "\n")
        self.writer.stdin.flush()

    def end(self):
        return self.writer.stdout.readline().strip()

    def write(self, word):
        self.begin(word)
        return self.end()

    def stop(self):
        for p in (self.writer, self.lock):
            stop(p.pid)

    def go_on(self):
        for p in (self.lock, self.writer):
            p.send_signal(signal.SIGCONT)


def zombie(world, kind, where, read):
    """The story; `read` says what the resource holds."""
    first = Leader(world, kind, where)
    equal(first.write("first"), "written")
    first.stop()
    first.begin("zombie")  # what it was about to do
    second = Leader(world, kind, where)  # waits for the first one's lease to end
    true(second.token > first.token, f"{second.token} after {first.token}")
    equal(second.write("second"), "written")
    first.go_on()
    told = first.end()
    checked = not kind.startswith("unchecked-")
    equal((told, read()), ("fenced", "second") if checked else ("written", "zombie"), kind)
    equal(first.lock.wait(PATIENCE_S), 121)
    equal(second.write("third"), "written")
    equal(read(), "third")
    second.lock.terminate()
    equal(second.lock.wait(PATIENCE_S), 0)


def both(world, kind, where, read):
    zombie(world, kind, where, read)
    zombie(world, f"unchecked-{kind}", where, read if kind in ("redis", "file", "store", "http") else lambda: read("unprotected"))


# --- resources --------------------------------------------------------------------------------------------------------


def script(world, *words):
    return world.tenure("fence", "script", *words, check=True).stdout


def in_postgresql(world):
    """PostgreSQL: the trigger refuses a smaller token, and a transaction without one"""
    pg = Postgres(world)
    try:
        for _ in range(2):  # it can be installed again
            pg.ask(script(world, "postgresql"))
        for table in ("orders", "unprotected"):
            pg.ask(f"CREATE TABLE {table} (id int PRIMARY KEY, value text); INSERT INTO {table} VALUES (1, '')")
        pg.ask(script(world, "postgresql", "--table", "orders", "--resource", "billing"))
        both(world, "postgresql", pg.dsn, lambda table="orders": pg.ask(f"SELECT value FROM {table}"))
        for text in ("UPDATE orders SET value = 'x'", "DELETE FROM orders", "TRUNCATE orders", "INSERT INTO orders VALUES (2, 'x')",
                     "BEGIN; SELECT tenure_fence.admit('other', 9); UPDATE orders SET value = 'x'; COMMIT"):
            r = pg.psql("\\set VERBOSITY verbose\n" + text)
            true(r.returncode != 0 and "TF002" in r.stderr and "admit" in r.stderr, f"{text}: {r.stderr}")
        r = pg.psql("BEGIN; SAVEPOINT s; SELECT tenure_fence.admit('billing', 9000000000000000000); ROLLBACK TO s; DELETE FROM orders;")
        true("shown no token" in r.stderr, r.stderr)
        refused = pg.psql("SELECT tenure_fence.admit('billing', 1)")
        true("fenced: billing has seen token" in refused.stderr, refused.stderr)
        for bad in ("'', 1", "'a', 0", "'a', NULL", "NULL, 1"):
            true("expected" in pg.psql(f"SELECT tenure_fence.admit({bad})").stderr, bad)
        pg.ask("SELECT tenure_fence.unprotect('orders'); UPDATE orders SET value = 'free'")
        at_once(world, lambda token, n: ["psql", pg.dsn, "-qAt"], lambda token: f"BEGIN; SELECT tenure_fence.admit('many', {token}); "
                "INSERT INTO many (token) VALUES ({0}); COMMIT;\n".format(token),
                lambda: pg.ask("CREATE TABLE many (id serial, token bigint); SELECT tenure_fence.protect('many', 'many')"),
                lambda: pg.ask("SELECT token FROM many ORDER BY id").split())
    finally:
        pg.close()


def at_once(world, command, transaction, prepare, rows):
    """Writers whose tokens overlap, at once: what was let in has tokens that never go back."""
    prepare()
    writers = []
    for n in range(4):
        text = "".join(transaction(1 + n + i // 5 * 3) for i in range(60))
        p = world.start(*command(0, n)[1:], program=command(0, n)[0], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        writers.append((p, text))
    for p, text in writers:
        p.stdin.write(text)
        p.stdin.flush()
    for p, _ in writers:
        p.stdin.close()
    for p, _ in writers:
        p.wait(PATIENCE_S * 3)
        p.stdin = None
    tokens = [int(t) for t in rows()]
    equal(tokens, sorted(tokens), "tokens in the order in which they were written")
    true(len(set(tokens)) > 5 and len(tokens) < 240, f"{len(tokens)} of 240 were let in, some were refused")


def in_sqlite(world):
    """SQLite: the same, by its triggers"""
    path = world.path("app.db")
    sql = lambda text: world.run(["sqlite3", "-bail", path], input=text)
    for _ in range(2):
        equal(sql(script(world, "sqlite")).stderr, "")
    for table in ("orders", "unprotected"):
        sql(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO {table} VALUES (1, '');")
    equal(sql(script(world, "sqlite", "--table", "orders", "--resource", "billing")).stderr, "")
    both(world, "sqlite", path, lambda table="orders": sql(f"SELECT value FROM {table};").stdout.strip())
    for text in ("UPDATE orders SET value = 'x';", "DELETE FROM orders;", "INSERT INTO orders VALUES (2, 'x');"):
        true("shown no token" in sql(text).stderr, text)
    for bad in ("'a', 0", "'a', '7'", "NULL, 1", "'a', 1.5"):
        true("expected" in sql(f"INSERT INTO tenure_fence_admit VALUES ({bad});").stderr, bad)
    at_once(world, lambda token, n: ["sqlite3", "-cmd", ".timeout 60000", path], lambda token: "BEGIN IMMEDIATE; "
            f"INSERT INTO tenure_fence_admit VALUES ('many', {token});\nINSERT INTO many (token) SELECT {token} WHERE EXISTS "
            f"(SELECT 1 FROM tenure_fence_admitted WHERE resource = 'many');\nDELETE FROM tenure_fence_admitted;\nCOMMIT;\n",
            lambda: sql("CREATE TABLE many (id INTEGER PRIMARY KEY, token INTEGER);" + script(world, "sqlite", "--table", "many")),
            lambda: sql("SELECT token FROM many ORDER BY id;").stdout.split())


def in_redis(world):
    """Redis: the same, by a script; tokens beyond 53 bits are told apart"""
    if not shutil.which("redis-server"):
        raise Skip("there is no redis-server here")
    where = world.path("redis.sock")
    world.start("--port", "0", "--unixsocket", where, "--save", "", "--dir", str(world.folder), program="redis-server",
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    redis = lambda *words: world.run(["redis-cli", "-s", where, *words])
    await_(lambda: redis("PING").stdout == "PONG\n", "Redis answers")
    both(world, "redis", where, lambda: redis("GET", "orders").stdout.strip())
    fence = script(world, "redis")
    write = lambda token, *words: redis("EVAL", fence, "2", "big", "k", token, *words).stdout.strip()
    equal([write("9007199254740993", "SET", "a"), write("9007199254740992", "SET", "b")[:6], redis("GET", "k").stdout],
          ["OK", "FENCED", "a\n"])
    equal(write("9223372036854775807", "APPEND", "z"), "2")
    for token in ("0", "-1", "x", "1.5", "10000000000000000000", ""):
        true(write(token, "SET", "b").startswith("ERR"), token)


def in_a_file(world):
    """a file: the same; the command's exit code, and who waits"""
    path = world.path("orders")
    both(world, "file", path, lambda: read(path))
    fence = lambda *words: world.tenure("fence", "file", *words)
    other = world.path("other")
    equal(fence(other, "--token", "7", "--", "sh", "-c", "exit 5").returncode, 5)
    equal([fence(other, "--token", t, "--", "true").returncode for t in ("6", "7", "8", "7")], [121, 0, 0, 121])
    equal([fence(other, "--token", "9", "--", "no-such-command").returncode, fence(other, "--token", "x", "--", "true").returncode,
           fence(other, "--", "true").returncode], [127, 125, 125])
    slow = world.start("fence", "file", other, "--token", "20", "--", "sh", "-c", "echo in; read x", stdin=subprocess.PIPE)
    equal(slow.stdout.readline(), "in\n")
    equal([fence(other, "--token", "21", "--timeout", t, "--", "true").returncode for t in ("0", "100ms")], [124, 124])
    slow.kill()  # its command goes on writing, so nobody else gets in
    slow.wait()
    equal(fence(other, "--token", "21", "--timeout", "0", "--", "true").returncode, 124)
    slow.stdin.write("\n")
    slow.stdin.flush()
    equal(fence(other, "--token", "21", "--timeout", "20s", "--", "true").returncode, 0)


def in_the_store(world):
    """the store itself: the transaction is guarded by the lock's key"""
    both(world, "store", "", lambda: world.tenure("get", "/orders", "--print-value-only", check=True).stdout.strip())


class Service(http.server.ThreadingHTTPServer):
    """An HTTP service that keeps what was put last, and notes which tokens came when; /slow waits for `go_on`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.value)))
            self.end_headers()
            self.wfile.write(self.server.value)

        def do_PUT(self):
            value = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/slow":
                self.server.is_slow.set()
                self.server.go_on.wait(PATIENCE_S)
            with self.server.lock:
                self.server.value = value
                self.server.tokens.append(int(self.headers.get("Tenure-Fencing-Token", 0)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            pass

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.value, self.tokens, self.lock = b"", [], threading.Lock()
        self.is_slow, self.go_on = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def proxy_before(world, url, *words):
    """A fencing proxy and where it is."""
    p = world.start("fence", "proxy", "--listen", "http://127.0.0.1:0", "--upstream", url, *words)
    return p, p.stdout.readline().split()[2]


def ask(url, method, path, body=None, token=None):
    """Status, and the answer as it is or, of an error, what its JSON says."""
    c = http.client.HTTPConnection(url.split("//")[1], timeout=PATIENCE_S)
    try:
        c.request(method, path, body, {} if token is None else {"Tenure-Fencing-Token": str(token)})
        r = c.getresponse()
        text = r.read().decode()
        return r.status, json.loads(text) if r.status >= 400 else text
    finally:
        c.close()


def behind_a_proxy(world):
    """an HTTP service behind the proxy: the same; what it keeps, whom it lets wait, what it answers"""
    service = Service()
    state = world.path("tokens")
    p, url = proxy_before(world, service.url, "--resource", "orders", "--state", state)
    both(world, "http", f"{url} {service.url}", lambda: ask(service.url, "GET", "/")[1])
    service.tokens.clear()

    # by hand: a smaller one, none, one that is none, a read
    big = 1 << 60
    equal(ask(url, "PUT", "/", "a", big), (204, ""))
    status, told = ask(url, "PUT", "/", "b", big - 1)
    equal([status, told["error"], told["resource"], told["token"], told["seen"]], [412, "fenced", "orders", big - 1, big])
    equal([ask(url, "PUT", "/", "b")[0], ask(url, "PUT", "/", "b", "x")[0], ask(url, "GET", "/")], [428, 400, (200, "a")])

    # a smaller one that is under way is waited for, and nobody with it is let in any more
    slow = threading.Thread(target=lambda: told_slow.append(ask(url, "PUT", "/slow", "slow", big)))
    next_one = threading.Thread(target=lambda: told_next.append(ask(url, "PUT", "/", "next", big + 1)))
    told_slow, told_next = [], []
    slow.start()
    true(service.is_slow.wait(PATIENCE_S), "the service has it")
    next_one.start()
    await_(lambda: ask(url, "PUT", "/", "late", big)[0] == 412, "the greater one has been seen")
    service.go_on.set()
    slow.join()
    next_one.join()
    equal([told_slow, told_next], [[(204, "")], [(204, "")]])
    equal(service.tokens, sorted(service.tokens))
    equal(ask(service.url, "GET", "/")[1], "next")

    # killed and started again it has forgotten nothing; two of them are not let at it
    p.kill()
    p.wait()
    p, url = proxy_before(world, service.url, "--resource", "orders", "--state", state)
    equal(ask(url, "PUT", "/", "c", big)[1]["seen"], big + 1)
    second = world.tenure("fence", "proxy", "--listen", "http://127.0.0.1:0", "--upstream", service.url, "--state", state)
    true(second.returncode == 1 and "another proxy" in second.stderr, second.stderr)

    # many at once
    service.tokens.clear()
    one = lambda n: [ask(url, "PUT", "/", "m", big + 2 + n + i // 3 * 2) for i in range(30)]
    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(service.tokens, sorted(service.tokens), "tokens in the order in which the service took them")
    true(len(service.tokens) > 5, service.tokens)

    # the service is gone
    service.shutdown()
    service.server_close()
    equal([ask(url, "GET", "/")[0], ask(url, "GET", "/")[1]["error"]], [502, "bad-gateway"])
    p.terminate()
    equal(p.wait(PATIENCE_S), 0)
    for bad in (["proxy"], ["proxy", "--listen", "http://127.0.0.1:0", "--upstream", service.url, "--by-path", "1", "--resource", "x"],
                ["proxy", "--listen", "http://127.0.0.1:0", "--upstream", service.url, "--methods", "put"]):
        equal(world.tenure("fence", *bad).returncode, 2, bad)


def uuids(world):
    """a UUID per leadership: drawn by the leader, valid until the next one draws, or the lease ends"""
    out = world.path("uuid")
    leader = world.start("elect", "sched", "--", "sh", "-c", f'"$0" fence generate sched >{out} && echo up && read x', TENURE,
                         stdin=subprocess.PIPE)
    equal(leader.stdout.readline(), "up\n")
    uuid = read(out).strip()
    valid = lambda u: world.tenure("fence", "validate", "sched", u).returncode
    equal([valid(uuid), valid(uuid[:-1] + ("0" if uuid[-1] != "0" else "1"))], [0, 1])
    equal(world.tenure("get", "/leader/sched/fencing-token", "--print-value-only").stdout.strip(), uuid)
    stale = world.tenure("fence", "generate", "sched", "--token", "1", "--holder-key", "/election/sched/1")
    true(stale.returncode == 1 and "does not stand" in stale.stderr, stale.stderr)
    leader.communicate("\n")
    await_(lambda: valid(uuid) == 1, "it is gone with the leadership")
    for bad in ([], ["file", "x"], ["generate"], ["validate", "a"], ["script"], ["script", "oracle"], ["generate", "a"]):
        equal(world.tenure("fence", *bad).returncode, 2)


main([in_postgresql, in_sqlite, in_redis, in_a_file, in_the_store, behind_a_proxy, uuids])
