#!/usr/bin/env python3
"""The network with delays that other tests use (tests/lib/delayed.c, harness.py's Delayed) delays, keeps order and rate, is silent
when it is cut, and does to connections what is said of it."""

import select
import struct

from harness import *

DELAY_MS = 40


class Echo(threading.Thread):
    """Sends back what comes, and ends when the other side does; `got` is how many bytes came."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.got, self.accepted, self.ended, self.reset = self.listener.getsockname()[1], 0, 0, 0, 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                self.accepted += 1
                threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                while piece := connection.recv(1 << 16):
                    self.got += len(piece)
                    connection.sendall(piece)
                self.ended += 1
            except ConnectionResetError:
                self.reset += 1


@contextlib.contextmanager
def echo_over(delay_ms=DELAY_MS):
    net, echo = Delayed(), Echo()
    try:
        net.link("l", delay_ms)
        port = net.route("l", echo.port)
        yield net, echo, lambda: socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    finally:
        net.end()
        echo.listener.close()


def answer(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        if not piece:
            raise Failure(f"the connection ended after {len(got)} of {n} bytes")
        got += piece
    return got


def is_silent(s, seconds=0.3):
    return not select.select([s], [], [], seconds)[0]


def rounds(world):
    '''an answer takes a round of delays, the first of a connection one more'''
    with echo_over() as (net, _, connect):
        begun = time.monotonic()
        s = connect()
        for least in (4 * DELAY_MS, 2 * DELAY_MS, 2 * DELAY_MS):
            s.sendall(b"x")
            equal(answer(s, 1), b"x", "the answer")
            took = (time.monotonic() - begun) * 1000
            true(took >= least, f"{took:.1f} ms, {least} at least")
            begun = time.monotonic()
        net.delay("l", 0)
        s.sendall(b"y")
        equal(answer(s, 1), b"y", "the answer without a delay")


def much_is_under_way(world):
    '''any number of bytes are under way at once, and arrive in order'''
    with echo_over(60000) as (net, echo, connect):
        s = connect()
        data = b"".join(struct.pack(">I", i) for i in range(1 << 20))  # 4 MB
        s.sendall(data)
        await_(lambda: net.stats("l")["held"] == len(data), "all of it is under way")
        equal(echo.got, 0, "what has arrived")
    with echo_over() as (net, _, connect):
        s = connect()
        sender = threading.Thread(target=s.sendall, args=[data])
        sender.start()
        true(answer(s, len(data)) == data, "it comes back as it was")
        sender.join()


def narrow(world):
    '''a rate makes bytes come one after the other'''
    with echo_over(0) as (net, _, connect):
        s = connect()
        s.sendall(b"x")
        answer(s, 1)
        net.rate("l", 200000)
        begun = time.monotonic()
        s.sendall(b"y" * 100000)
        answer(s, 100000)
        took = time.monotonic() - begun
        true(took >= 0.45, f"100 kB at 200 kB/s took {took:.2f} s")


def cut_and_kept(world):
    '''a cut tells nobody, and behind it everything arrives, ends too'''
    with echo_over() as (net, echo, connect):
        s, ending = connect(), connect()
        for c in (s, ending):
            c.sendall(b"a")
            answer(c, 1)
        net.cut("l")
        s.sendall(b"b")
        late = connect()
        late.sendall(b"c")
        ending.close()
        true(is_silent(s) and is_silent(late), "nobody answers")
        equal((echo.got, echo.ended, echo.accepted), (2, 0, 2), "what came through")
        net.heal("l")
        equal((answer(s, 1), answer(late, 1)), (b"b", b"c"), "what waited")
        await_(lambda: echo.ended == 1, "the end arrives")


def one_way(world):
    '''each direction is cut by itself'''
    with echo_over() as (net, echo, connect):
        s = connect()
        s.sendall(b"a")
        answer(s, 1)
        net.cut("l", "down")
        s.sendall(b"b")
        await_(lambda: echo.got == 2, "the server hears it")
        true(is_silent(s), "its answer is lost")
        net.heal("l")
        answer(s, 1)
        net.cut("l", "up")
        s.sendall(b"c")
        true(is_silent(s), "there is no answer")
        equal(echo.got, 2, "what the server heard")
        net.heal("l")
        answer(s, 1)


def forgotten(world):
    '''connections that stood during a cut are reset behind it, or silent for ever; new ones are good'''
    with echo_over() as (net, echo, connect):
        s = connect()
        s.sendall(b"a")
        answer(s, 1)
        net.cut("l")
        s.sendall(b"b")
        net.heal("l", "reset")
        try:
            answer(s, 1)
            raise Failure("it was not reset")
        except ConnectionResetError:
            pass
        await_(lambda: echo.reset == 1, "the server's side is reset, too")
        s = connect()
        s.sendall(b"a")
        answer(s, 1)
        net.cut("l")
        net.heal("l", "silent")
        s.sendall(b"b")
        true(is_silent(s), "it is silent")
        t = connect()
        t.sendall(b"c")
        answer(t, 1)
        equal((echo.got, echo.ended), (3, 0), "what the server heard")


def ends(world):
    '''half-closed, reset and refused connections are so at the other side, a delay later'''
    with echo_over() as (net, echo, connect):
        s = connect()
        s.sendall(b"abc")
        s.shutdown(socket.SHUT_WR)
        equal((answer(s, 3), s.recv(1)), (b"abc", b""), "behind a half-close")
        s = connect()
        s.sendall(b"a")
        answer(s, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        await_(lambda: echo.reset == 1, "the server is told of the reset")
        await_(lambda: net.stats("l")["open"] == 0, "no connection is left")
        refused = net.route("l", free_port())
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", refused), timeout=PATIENCE_S) as s:
            try:
                s.recv(1)
                raise Failure("it was not refused")
            except ConnectionResetError:
                true(time.monotonic() - begun >= 2 * DELAY_MS / 1000, "refused after a round")


main([rounds, much_is_under_way, narrow, cut_and_kept, one_way, forgotten, ends])
