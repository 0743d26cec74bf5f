"""A command to run under a lock: leaves a time stamp every few milliseconds, so that it is known when it lived.

    stamp.py FILE [--ignore-term] [--leave-behind]

Each line of FILE is "alive PID TOKEN MILLISECONDS" on CLOCK_BOOTTIME; TERM adds "term …" and ends it with exit code 3.
--ignore-term: it does not end. --leave-behind: a process of the same group goes on after the first one has exited 0.
"""

import os
import signal
import sys
import time

out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def leave(what):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    os.write(out, f"{what} {os.getpid()} {os.environ.get('TENURE_TOKEN', '-')} {now}\n".encode())


def on_term(number, frame):
    leave("term")
    os._exit(3)


if "--ignore-term" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, on_term)
if "--leave-behind" in sys.argv and os.fork() > 0:
    time.sleep(0.05)
    os._exit(0)
while True:
    leave("alive")
    time.sleep(0.004)
