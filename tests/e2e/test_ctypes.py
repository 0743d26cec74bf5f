#!/usr/bin/env python3
"""Python with nothing but ctypes and the shared library: a lock, and an election. Runs on `tenure serve` and on etcd."""

import ctypes as c
import threading

from harness import *

LIBRARY = os.environ.get("LIBTENURE", str(ROOT / "build" / "libtenure.so"))


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("kind", c.c_int), ("applied", c.c_int), ("grpc_status", c.c_int), ("text", c.c_char * 256)]


class Bytes(c.Structure):
    _fields_ = [("data", c.c_char_p), ("len", c.c_size_t)]


class LockOptions(c.Structure):
    """The first fields are enough: size says how many there are."""

    _fields_ = [("size", c.c_size_t), ("prefix", c.c_char_p), ("ttl_s", c.c_int64), ("wait_ms", c.c_int64), ("purpose", c.c_char_p)]


ON_GAINED = c.CFUNCTYPE(None, c.c_void_p, c.c_int64, c.c_void_p)
ON_LOST = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_void_p)
ON_STOPPED = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_void_p, c.c_void_p)


class ElectionOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("prefix", c.c_char_p), ("proposal", Bytes), ("ttl_s", c.c_int64), ("wait_ms", c.c_int64),
                ("once", c.c_bool), ("on_gained", ON_GAINED), ("on_lost", ON_LOST), ("on_stopped", ON_STOPPED), ("user", c.c_void_p)]


def library():
    lib = c.CDLL(LIBRARY)
    for name, result, *arguments in (
        ("tenure_open", c.c_void_p, c.c_char_p, c.c_void_p, c.POINTER(Error)),
        ("tenure_close", None, c.c_void_p),
        ("tenure_version", c.c_char_p),
        ("tenure_lock_acquire", c.c_void_p, c.c_void_p, c.c_char_p, c.POINTER(LockOptions), c.POINTER(Error)),
        ("tenure_lock_held", c.c_bool, c.c_void_p),
        ("tenure_lock_token", c.c_int64, c.c_void_p),
        ("tenure_lock_key", c.c_char_p, c.c_void_p),
        ("tenure_unlock", c.c_int, c.c_void_p, c.POINTER(Error)),
        ("tenure_election_start", c.c_void_p, c.c_void_p, c.c_char_p, c.POINTER(ElectionOptions), c.POINTER(Error)),
        ("tenure_election_leads", c.c_bool, c.c_void_p),
        ("tenure_election_token", c.c_int64, c.c_void_p),
        ("tenure_election_stop", None, c.c_void_p),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Handle:
    def __init__(self, w):
        self.lib, self.error = library(), Error()
        self.c = self.lib.tenure_open(w.server.url.encode(), None, c.byref(self.error))
        true(self.c, self.error.text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.tenure_close(self.c)

    def lock(self, name, wait_ms=0):
        o = LockOptions(size=c.sizeof(LockOptions), wait_ms=wait_ms)
        return self.lib.tenure_lock_acquire(self.c, name, c.byref(o), c.byref(self.error))


def a_lock_excludes(w):
    """a lock is held by one of two handles, its token grows, and etcdctl sees its key"""
    with Handle(w) as a, Handle(w) as b:
        held = a.lock(b"ctypes")
        true(held, a.error.text)
        true(a.lib.tenure_lock_held(held), "held")
        token = a.lib.tenure_lock_token(held)
        key = a.lib.tenure_lock_key(held).decode()
        true(key.startswith("/locks/ctypes/"), key)
        true(w.etcdctl("get", key, "--print-value-only", check=True).stdout.strip(), "the key says who holds it")
        equal(b.lock(b"ctypes", wait_ms=-1), None)
        equal(b.error.code, -18)  # TENURE_EBUSY
        equal(a.lib.tenure_unlock(held, c.byref(a.error)), 0)
        held = b.lock(b"ctypes")
        true(held and b.lib.tenure_lock_token(held) > token, "a greater token")
        equal(b.lib.tenure_unlock(held, c.byref(b.error)), 0)


def an_election_passes_on(w):
    """of two candidates one leads; when it stops the other one does, with a greater token"""
    gained = {"a": threading.Event(), "b": threading.Event()}
    tokens = {}
    keep = []  # ctypes frees a callback that nobody names

    def candidate(handle, name):
        def on_gained(_election, token, _user):
            tokens[name] = token
            gained[name].set()

        o = ElectionOptions(size=c.sizeof(ElectionOptions), proposal=Bytes(name.encode(), len(name)), ttl_s=10,
                            on_gained=ON_GAINED(on_gained), on_lost=ON_LOST(lambda *_: None),
                            on_stopped=ON_STOPPED(lambda *_: None))
        keep.append(o)
        election = handle.lib.tenure_election_start(handle.c, b"ctypes", c.byref(o), c.byref(handle.error))
        true(election, handle.error.text)
        return election

    with Handle(w) as a, Handle(w) as b:
        first = candidate(a, "a")
        true(gained["a"].wait(PATIENCE_S), "a leads")
        true(a.lib.tenure_election_leads(first), "a leads")
        second = candidate(b, "b")
        equal(b.lib.tenure_election_leads(second), False)
        a.lib.tenure_election_stop(first)
        true(gained["b"].wait(PATIENCE_S), "b leads")
        true(tokens["b"] > tokens["a"] > 0, tokens)
        b.lib.tenure_election_stop(second)


def an_error_is_named(w):
    """what cannot be opened is named"""
    lib, error = library(), Error()
    equal(lib.tenure_open(b"ftp://nowhere", None, c.byref(error)), None)
    true(b"ftp" in error.text, error.text)
    true(lib.tenure_version().count(b".") == 2, "a version")


main([a_lock_excludes, an_election_passes_on, an_error_is_named])
