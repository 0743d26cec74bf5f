"""Replies that are lost: a proxy of the tests' own that ends a connection in front of a chosen byte of what the server says.

    with Cut(server) as cut:
        cut.arm(120)            # the 121st byte from now on, counted over all connections, does not arrive; once
        cut.arm(120, dead=True) # and whoever comes after it is sent away
        ... a command to cut.url ...
        cut.disarm()            # whether it was cut

What was asked for arrives all the same: what the server was told it carries out.
"""

import selectors

from harness import *

READ = 1 << 16


class Cut(threading.Thread):
    def __init__(self, server):
        super().__init__(daemon=True)
        self.target = ("127.0.0.1", server.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.selector, self.lock = selectors.DefaultSelector(), threading.Lock()
        self.left, self.dead, self.was_cut, self.said, self.ending = None, False, False, 0, False
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending = True
        with contextlib.suppress(OSError):
            socket.create_connection(self.listener.getsockname()).close()
        self.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def arm(self, n, dead=False):
        with self.lock:
            self.left, self.will_die, self.was_cut, self.said = n, dead, False, 0

    def disarm(self):
        """Whether it was cut since arm()."""
        with self.lock:
            self.left, self.dead = None, False
            return self.was_cut

    def run(self):
        while not self.ending:
            for key, _ in self.selector.select():
                with self.lock, contextlib.suppress(OSError, KeyError):
                    if key.fileobj is self.listener:
                        self.take()
                    elif key.fileobj.fileno() >= 0:
                        self.carry(key.fileobj, *key.data)

    def take(self):
        client, _ = self.listener.accept()
        if self.dead or self.ending:
            client.close()
            return
        server = socket.create_connection(self.target)
        for a, b, down in ((client, server, False), (server, client, True)):
            a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(a, selectors.EVENT_READ, (b, down))

    def end(self, *sockets):
        for s in sockets:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(s)
            s.close()

    def carry(self, source, to, down):
        try:
            data = source.recv(READ)
            allowed = data[: self.left] if down and self.left is not None else data
            if down:
                self.said += len(allowed)
            to.sendall(allowed)
        except OSError:
            data = allowed = b""
        if down and self.left is not None:
            self.left -= len(allowed)
            if len(allowed) < len(data):
                self.left, self.was_cut, self.dead = None, True, self.will_die
                self.end(source, to)
                return
        if not data:
            self.end(source, to)
