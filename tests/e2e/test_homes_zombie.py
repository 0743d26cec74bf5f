"""The zombie over regions, for each resource that refuses stale tokens (M3): the home is cut off and well, so its leader goes on holding; another
region is promoted, its leader writes; then the old one writes: refused. With the checker off the same shows the damage."""

import http.client
import http.server
import json
import shutil
import sys
import subprocess
import threading

from harness import *
from homes import Regions
from postgres import Postgres

WRITER = str(Path(__file__).with_name("fenced_writer.py"))


class Leader:
    """Holds the lock at its home, asked for in a region, and has a writer beside it."""

    def __init__(self, r, region, name, kind, where):
        self.lock = r.start(region, "lock", "--region", "home", name, "-o", "json")
        held = json.loads(self.lock.stdout.readline())
        self.token = held["token"]
        env = r.environment(region, HOLDER_KEY=held["key"], TENURE=TENURE)
        self.writer = r.world.start(WRITER, kind, where, str(self.token), program=sys.executable, env=env, stdin=subprocess.PIPE)
        equal(self.writer.stdout.readline(), "ready\n")

    def write(self, word):
        self.writer.stdin.write(word + "\n")
        self.writer.stdin.flush()
        return self.writer.stdout.readline().strip()


def story(r, kind, where, read, stops):
    """`stops`: the old leader's process stands meanwhile; else it is well, in a home that nobody else can reach."""
    checked = not kind.startswith("unchecked-")
    prefix = f"{kind}-{'stopped' if stops else 'cut'}/"
    r.at("eu", "region", "home", f"/locks/{prefix}", "eu", check=True)
    first = Leader(r, "eu", prefix + "billing", kind, where)
    equal(first.write("first"), "written")
    if stops:
        stop(first.writer.pid)
        stop(first.lock.pid)
    # The way from us to eu is cut: what is found there is not eu. (Nobody at all would be the same, after a deadline.)
    r.at("us", "put", "/regions/eu", json.dumps({"endpoints": [r["us"].url]}), check=True)
    if stops:
        refused = r.at("us", "region", "promote", "us", "--prefix", f"/locks/{prefix}")
        true(refused.returncode == 1 and "--force" in refused.stderr, refused.stderr)
    r.at("us", "region", "promote", "us", "--prefix", f"/locks/{prefix}", "--force", check=True)
    second = Leader(r, "us", prefix + "billing", kind, where)
    low = (1 << 44) - 1
    true(second.token & low < first.token & low, "of a smaller revision")
    true(second.token > first.token, f"{second.token} after {first.token}")
    equal(second.write("second"), "written")
    if stops:
        first.lock.send_signal(signal.SIGCONT)
        first.writer.send_signal(signal.SIGCONT)
    equal(first.lock.poll(), None, "the old one believes that it holds")
    told = first.write("zombie")
    equal((told, read()), ("fenced", "second") if checked else ("written", "zombie"), kind)
    r.at("us", "put", "/regions/eu", json.dumps({"endpoints": [r["eu"].url]}), check=True)  # it heals
    r.at("us", "region", "sync", check=True)
    equal(first.lock.wait(PATIENCE_S), 121, "the old one has lost it")
    equal(second.write("third"), "written")
    equal(read(), "third")
    second.lock.terminate()
    equal(second.lock.wait(PATIENCE_S), 0)


def each(world, kind, where, read, read_unchecked=None):
    r = Regions(world, 2)
    for n in range(10):  # revisions of the old home are the greater ones
        r.at("eu", "put", "/busy", str(n), check=True)
    story(r, kind, where, read, False)
    story(r, f"unchecked-{kind}", where, read_unchecked or read, False)
    return r


def script(world, *words):
    return world.tenure("fence", "script", *words, check=True).stdout


def in_postgresql(world):
    """PostgreSQL"""
    pg = Postgres(world)
    try:
        pg.ask(script(world, "postgresql"))
        for table in ("orders", "unprotected"):
            pg.ask(f"CREATE TABLE {table} (id int PRIMARY KEY, value text); INSERT INTO {table} VALUES (1, '')")
        pg.ask(script(world, "postgresql", "--table", "orders", "--resource", "billing"))
        each(world, "postgresql", pg.dsn, lambda: pg.ask("SELECT value FROM orders"), lambda: pg.ask("SELECT value FROM unprotected"))
    finally:
        pg.close()


def in_sqlite(world):
    """SQLite"""
    path = world.path("app.db")
    sql = lambda text: world.run(["sqlite3", "-bail", path], input=text)
    sql(script(world, "sqlite"))
    for table in ("orders", "unprotected"):
        sql(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO {table} VALUES (1, '');")
    sql(script(world, "sqlite", "--table", "orders", "--resource", "billing"))
    value = lambda table: sql(f"SELECT value FROM {table};").stdout.strip()
    each(world, "sqlite", path, lambda: value("orders"), lambda: value("unprotected"))


def in_redis(world):
    """Redis, whose scripts count in doubles"""
    if not shutil.which("redis-server"):
        raise Skip("there is no redis-server here")
    where = world.path("redis.sock")
    world.start("--port", "0", "--unixsocket", where, "--save", "", "--dir", str(world.folder), program="redis-server",
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    redis = lambda *words: world.run(["redis-cli", "-s", where, *words])
    await_(lambda: redis("PING").stdout == "PONG\n", "Redis answers")
    each(world, "redis", where, lambda: redis("GET", "orders").stdout.strip())


def in_a_file(world):
    """a file; also where the old leader's process stood"""
    path = world.path("orders")
    r = each(world, "file", path, lambda: read(path))
    story(r, "file", path + "2", lambda: read(path + "2"), True)


class Service(http.server.ThreadingHTTPServer):
    """Keeps what was put last."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            self.server.value = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.value = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()


def behind_a_proxy(world):
    """an HTTP service behind the proxy"""
    service = Service()
    url = f"http://127.0.0.1:{service.server_address[1]}"
    proxy = world.start("fence", "proxy", "--listen", "http://127.0.0.1:0", "--upstream", url, "--resource", "billing",
                        "--state", world.path("state"))
    listens = proxy.stdout.readline() + ""
    where = next(word for word in listens.split() if word.startswith("http://127.0.0.1:"))
    each(world, "http", f"{where} {url}", lambda: service.value)
    service.shutdown()


main([in_postgresql, in_sqlite, in_redis, in_a_file, behind_a_proxy])
