#!/usr/bin/env python3
"""Debian's Patroni keeps a pair of PostgreSQL servers by the gateway: it elects, replicates, fails over when the leader is
killed, takes the old one back, switches over when asked, and bears a restart of the server below. On `tenure serve` and on
etcd alike."""

import json
import urllib.error
import urllib.request

import flow
from harness import *

BIN = "/usr/lib/postgresql/15/bin"
SLOW_S = 90  # for what starts or copies a database, on a loaded machine
PATRONI, PATRONICTL = ["patroni"], ["patronictl"]
FORMER = "--master"  # how patronictl is told whom to switch over from

CONFIG = """
scope: demo
name: {name}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3: {{host: "127.0.0.1:{etcd}"{etcd_more}}}
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    postgresql: {{use_pg_rewind: false, use_slots: true}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, {{auth: trust}}, no-sync]
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: "{folder}/data"
  bin_dir: "{bin}"
  pgpass: "{folder}/pgpass"
  authentication:
    superuser: {{username: postgres, password: p}}
    replication: {{username: replicator, password: p}}
  parameters: {{unix_socket_directories: "{folder}", fsync: "off", shared_buffers: "16MB", max_connections: 20}}
"""


def etcd_options(w):
    if flow.MODE == "plain":
        return ""
    c = flow.certificates(w)
    c.chmod(0o755)
    for file in c.iterdir():
        file.chmod(0o644)
    own = {"tls": "", "mtls": f', cert: "{c}/alice.pem", key: "{c}/alice.key"',
           "auth": f", username: patroni, password: {flow.PASSWORD}"}
    return f', protocol: https, cacert: "{c}/ca.pem"{own[flow.MODE]}'


def let_in(w):
    """A user who may do what Patroni has to, and nothing else."""
    ask = ["etcdctl", *flow.etcdctl_options(w)]
    for words in (f"user add patroni:{flow.PASSWORD}", "role add patroni", "user grant-role patroni patroni",
                  "role grant-permission patroni --prefix=true readwrite /service/"):
        w.run([*ask, *words.split()], env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": w.server.url}, check=True)


class Node:
    """One Patroni with its PostgreSQL."""

    def __init__(self, w, name):
        self.w, self.name = w, name
        self.rest, self.port = free_port(), free_port()
        self.folder = w.folder / name
        self.folder.mkdir()
        self.config = self.folder / "patroni.yml"
        self.config.write_text(CONFIG.format(name=name, rest=self.rest, port=self.port, folder=self.folder, bin=BIN,
                                             etcd=w.server.port, etcd_more=etcd_options(w), ttl=5))
        self.as_user = []
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            w.folder.chmod(0o755)
            shutil.chown(self.folder, "postgres", "postgres")
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def start(self):
        log = open(self.w.folder / f"{self.name}.log", "ab")
        program, *words = [*self.as_user, *PATRONI, str(self.config)]
        self.process = self.w.start(*words, program=program, stdout=log, stderr=log,
                                    env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(self.folder)})
        log.close()
        return self

    def is_in(self, role):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/{role}", timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def await_role(self, role):
        try:
            await_(lambda: self.is_in(role) or (self.process.poll() is not None and None), f"{self.name} is {role}", SLOW_S)
        except Failure as why:
            raise Failure(f"{why}\n{read(self.w.folder / (self.name + '.log'))[-3000:]}") from None

    def postmaster(self):
        text = read(self.folder / "data" / "postmaster.pid").split()
        return int(text[0]) if text else None

    def kill(self):
        """-9 to both, as when the machine is gone."""
        postmaster = self.postmaster()
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster, signal.SIGKILL)
        await_(lambda: not is_running(postmaster), "the postmaster is gone")

    def sql(self, text):
        r = self.w.run([f"{BIN}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAtc", text], check=True)
        return r.stdout.strip()

    def end(self):
        with contextlib.suppress(ProcessLookupError, TypeError):
            self.process.kill()
            os.kill(self.postmaster(), signal.SIGKILL)


def fails_over(w):
    """Patroni elects a leader, fails over, takes the old one back, switches over and bears a restart of the server"""
    if not (shutil.which(PATRONI[0]) and os.path.exists(f"{BIN}/postgres") and shutil.which("setpriv")):
        raise Skip("there is no patroni with PostgreSQL 15 on this machine")
    if flow.MODE == "auth" and PATRONI == ["patroni"]:
        raise Skip("Patroni 3.0 lists the members before it logs in")
    w._server = flow.start(w, w.server_kind)
    if flow.MODE == "auth":
        let_in(w)
    one, two = Node(w, "one"), Node(w, "two")
    try:
        one.start().await_role("primary")
        two.start().await_role("replica")
        one.sql("create table t (n int)")
        one.sql("insert into t values (1)")
        await_(lambda: two.sql("select to_regclass('t') is not null") == "t" and two.sql("select n from t") == "1",
               "it is replicated", SLOW_S)
        one.kill()
        two.await_role("primary")
        await_(lambda: two.sql("select pg_is_in_recovery()") == "f", "the new leader takes writes", SLOW_S)
        two.sql("insert into t values (2)")
        one.start().await_role("replica")
        await_(lambda: one.sql("select count(*) from t") == "2", "the old leader has followed", SLOW_S)
        listed = json.loads(w.run([*PATRONICTL, "-c", str(one.config), "list", "-f", "json"], check=True).stdout)
        equal(sorted((m["Member"], m["Role"]) for m in listed), [("one", "Replica"), ("two", "Leader")])
        w.server.kill()
        w.server.start()
        w.run([*PATRONICTL, "-c", str(one.config), "switchover", FORMER, "two", "--candidate", "one", "--force"],
              check=True)
        one.await_role("primary")
        two.await_role("replica")
        equal(one.sql("select count(*) from t"), "2")
    finally:
        one.end()
        two.end()


if __name__ == "__main__":
    main([fails_over])
