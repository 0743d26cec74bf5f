#!/usr/bin/env python3
"""kill -9 of the server under the load of 64 writers, again and again (KV3, L5).

CRASH_REPEATS says how often (default 25; the claim is made for 200: `CRASH_REPEATS=200 tests/e2e/test_crash.py`).
"""

import os
import random

from harness import *

WRITERS = os.environ.get("CRASH_WRITERS", str(ROOT / "build/tests/e2e/crash_writers"))
REPEATS = int(os.environ.get("CRASH_REPEATS", "25"))


def crashes(world):
    """no acknowledged write and no renewed lease is lost over kills at any moment"""
    rng = random.Random(int(os.environ.get("CRASH_SEED", "1")))
    server = world.server
    total = 0
    for i in range(REPEATS):
        book = world.folder / f"book-{i}"
        writer = subprocess.Popen([WRITERS, "run", str(server.port), str(book), str(i)], stdout=subprocess.PIPE, text=True)
        try:
            equal(writer.stdout.readline(), "writing\n", "the writers' first word")
            time.sleep(rng.uniform(0, 0.12))  # the moment of the crash: any
            server.kill()
            equal(writer.wait(PATIENCE_S), 0, "the writers' exit code")
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        server.start()
        total += len(lines(book))
        done = subprocess.run([WRITERS, "check", str(server.port), str(book)], capture_output=True, text=True)
        equal((done.returncode, done.stdout.splitlines()[-1:]), (0, ["0 lost"]), f"after crash {i + 1}: {done.stdout[-500:]}{done.stderr}")
    true(total > REPEATS * 64, "the writers wrote something")


main([crashes])
