"""What the tests of `tenure lock` share: commands under a lock that leave stamps (stamp.py), and who holds it next."""

import sys

from harness import *

STAMP = str(Path(__file__).with_name("stamp.py"))
MARGIN_MS = 250  # and 1 % of the TTL


class Stamps:
    """What stamp.py left in a file: (what, pid, token, ms)."""

    def __init__(self, path):
        self.path = path

    def all(self):
        return [(w, int(p), int(t), int(ms)) for w, p, t, ms in (line.split() for line in lines(self.path))]

    def first(self):
        return self.all()[0]

    def last(self):
        return self.all()[-1]

    def await_alive(self):
        await_(lambda: self.all(), "the command has begun")
        return self


def begin(world, name, *command_options, ttl="4", options=()):
    """A command under the lock that stamps a file of its own; (process, stamps)."""
    stamps = Stamps(world.path(f"{name}.{len(os.listdir(world.folder))}.stamps"))
    process = world.start("lock", name, "--ttl", ttl, *options, "--", sys.executable, STAMP, stamps.path, *command_options)
    return process, stamps


def ended(process, code):
    out, err = process.communicate(timeout=PATIENCE_S)
    equal(process.returncode, code, f"exit code (stderr: {err.strip()})")
    return err


def guardian_of(world, process, command_pid=None):
    """The child of tenure that is not the command."""

    def find():
        found = [pid for pid in children(process.pid) if pid != command_pid and
                 read(f"/proc/{pid}/comm").strip() == "tenure-guardian"]
        return found[0] if found else None

    return world.will_end(await_(find, "a guardian is there"))


def is_free(world, prefix="/locks/"):
    """No key and no lease is left: whoever comes next has it at once."""
    return (world.tenure("get", "--prefix", prefix, check=True).stdout == ""
            and world.tenure("lease", "list", check=True).stdout == "")


def free(world):
    true(is_free(world), "no key and no lease is left behind")


def next_holder(world, name):
    """Waits for the lock; (token, milliseconds at which it began to hold it)."""
    stamps = Stamps(world.path(f"next.{len(os.listdir(world.folder))}"))
    process = world.start("lock", name, "--ttl", "4", "--", sys.executable, STAMP, stamps.path)
    stamps.await_alive()
    _, _, token, ms = stamps.first()
    process.terminate()
    ended(process, 3)
    return token, ms


def handed_over(world, name, stamps):
    """The next holder begins only after the last sign of life of the one before, with a greater token (M2, M12)."""
    token, began = next_holder(world, name)
    _, _, old_token, last = stamps.last()
    true(began > last, f"the next holder began at {began}, after the last sign of life at {last}")
    true(token > old_token, f"token {token} is greater than {old_token}")


def unlocked_soon(world, name):
    return world.tenure("lock", name, "--timeout", "10", "true").returncode
