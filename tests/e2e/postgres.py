"""PostgreSQL 15 for a test: on a socket in a folder of its own, as the user postgres where we are root."""

import os
import shutil
import signal
import subprocess
import tempfile

from harness import PATIENCE_S, Failure, Skip, await_

PG = "/usr/lib/postgresql/15/bin"


class Postgres:
    def __init__(self, world):
        if not os.path.exists(f"{PG}/postgres"):
            raise Skip("there is no PostgreSQL 15 here")
        self.world, self.folder, self.as_user = world, tempfile.mkdtemp(prefix="tenure-pg."), []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.dsn = f"host={self.folder} user=postgres dbname=postgres"
        world.run([*self.as_user, f"{PG}/initdb", "-D", f"{self.folder}/d", "-U", "postgres", "-A", "trust", "--no-sync"], check=True)
        self.process = world.start("-D", f"{self.folder}/d", "-c", "listen_addresses=", "-k", self.folder, "-c", "fsync=off",
                                   "-c", "max_connections=40", program=f"{PG}/postgres", stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **({"user": "postgres", "group": "postgres", "extra_groups": []} if self.as_user else {}))
        await_(lambda: self.psql("SELECT 1").returncode == 0, "PostgreSQL answers", 60)

    def psql(self, text):
        return self.world.run(["psql", self.dsn, "-qAtv", "ON_ERROR_STOP=1"], input=text)

    def ask(self, text):
        r = self.psql(text)
        if r.returncode:
            raise Failure(f"{text}: {r.stderr}")
        return r.stdout.strip()

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)
        shutil.rmtree(self.folder, ignore_errors=True)
