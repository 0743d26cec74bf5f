#!/usr/bin/env python3
"""A user of locks and elections by plain transactions, leases and watches of Debian's python3-etcd3, in etcd's layout: one of
those whom tests/interop/mixed starts. What it does and notes is told in holder/holder.c.

    plain.py ADDRESS NAME DIR ID
"""

import os
import sys
import threading
import time

import etcd3

TTL_S = 4
PATIENCE_S = 60
SHOWN = 3  # of its failures; a server that is away makes many


class Plain:
    def __init__(self, address, name, folder, me):
        host, port = address.split(":")
        self.client = etcd3.client(host=host, port=int(port), timeout=10)
        self.name, self.folder, self.me = name, folder, me
        self.log = os.open(f"{folder}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.lease, self.renewed = None, 0

    def note(self, what, token):
        os.write(self.log, f"{what} {self.me} {token}\n".encode())

    def renew(self):
        """Keeps the lease while this process lives; a lost one is replaced."""
        while True:
            time.sleep(TTL_S / 4)
            try:
                if self.lease:
                    self.lease.refresh()
            except Exception:  # the next acquisition finds out
                pass

    def before(self, token):
        """The newest of the keys that were made before ours."""
        keys = [m for _, m in self.client.get_prefix(self.name + "/") if m.create_revision < token]
        return max(keys, key=lambda m: m.create_revision, default=None)

    def enter(self, key):
        """Makes the key and waits until nobody is before it; the token, or None when the key is lost."""
        compare, put = [self.client.transactions.create(key) == 0], [self.client.transactions.put(key, self.me, self.lease)]
        self.client.transaction(compare=compare, success=put, failure=[])
        _, own = self.client.get(key)
        if own is None:
            return None
        token = own.create_revision
        while (ahead := self.before(token)) is not None:
            gone = threading.Event()
            watch = self.client.add_watch_callback(ahead.key, lambda _: gone.set(), start_revision=ahead.mod_revision + 1)
            gone.wait(PATIENCE_S)
            self.client.cancel_watch(watch)
        _, own = self.client.get(key)
        return token if own is not None and own.create_revision == token else None

    def inside(self, key, token):
        self.note("enter", token)
        try:
            os.rename(f"{self.folder}/die.{self.me}", f"{self.folder}/dying.{self.me}")
            time.sleep(30)
        except FileNotFoundError:
            pass
        try:
            was, _ = self.client.get(self.name + ".count")
            text = f"{int((was or b'0').split()[0]) + 1} {token}"
            done, _ = self.client.transaction(compare=[self.client.transactions.create(key) == token],
                                              success=[self.client.transactions.put(self.name + ".count", text)], failure=[])
            if not done:
                self.note("lost", token)
        except etcd3.exceptions.Etcd3Exception:
            self.note("unsure", token)
        self.note("leave", token)

    def once(self):
        if self.lease is None:
            self.lease = self.client.lease(TTL_S)
        key = f"{self.name}/{self.lease.id & (2**64 - 1):x}"
        token = self.enter(key)
        if token is not None:
            self.inside(key, token)
        self.client.delete(key)

    def run(self):
        threading.Thread(target=self.renew, daemon=True).start()
        failures = 0
        while not os.path.exists(f"{self.folder}/stop"):
            try:
                self.once()
            except Exception as failed:  # a server that is away, a lease that is lost: begin anew
                failures += 1
                if failures <= SHOWN:
                    print(f"plain {self.me}: {failed!r}", file=sys.stderr)
                time.sleep(0.1)
                old, self.lease = self.lease, None
                try:
                    old.revoke()
                except Exception:
                    pass
        if failures > SHOWN:
            print(f"plain {self.me}: {failures} failures, and began anew", file=sys.stderr, flush=True)
        os._exit(0)  # grpcio's threads may keep an exit from ending


if __name__ == "__main__":
    Plain(*sys.argv[1:]).run()
