#!/usr/bin/env python3
"""Nothing configured: commands start a server of this user by themselves, and never mean two servers at once. In a network of the
test's own, because the port 2379 counts."""

import fcntl
import re
import resource
import select
import shutil

import netns
from harness import *

SAID = "started a server for you"


class Home:
    """A user's folders, and what runs for them."""

    def __init__(self, w, runtime="run"):
        self.w = w
        self.runtime = w.path(runtime)
        os.makedirs(self.runtime, 0o700)
        self.socket = f"{self.runtime}/tenure/auto/serve.sock"
        self.auto = w.path("state/tenure/auto")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("TENURE_", "XDG_", "ETCD"))}
        self.env |= {"HOME": w.path("home"), "XDG_RUNTIME_DIR": self.runtime, "XDG_STATE_HOME": w.path("state"),
                     "XDG_CONFIG_HOME": w.path("config"), "TENURE_SAYS": "inherited"}

    def tenure(self, *args, **more):
        env = {**self.env, **more.pop("env", {})}
        result = self.w.run([TENURE, *args], env=env, **more)
        self.servers()
        return result

    def start(self, *args):
        return self.w.start(*args, env=self.env)

    def servers(self):
        """The pids of those that serve the socket; the world ends them."""
        found = []
        for entry in Path("/proc").iterdir():
            words = read(entry / "cmdline").split("\0") if entry.name.isdigit() else []
            if "serve" in words and f"unix://{self.socket}" in words and is_running(int(entry.name)):
                found.append(self.w.will_end(int(entry.name)))
        return found


def serve_2379(w):
    p = w.start("serve", "--data-dir", w.path("data-2379"), env=dict(os.environ))
    true("serving" in p.stdout.readline(), "the server is ready")
    return p


def starts_one(w):
    """the first command starts a server and says so once; all of the user's commands mean it, those under a lock as well"""
    home = Home(w)
    first = home.tenure("lock", "a", "--", "sh", "-c", f'{TENURE} put from-inside "$TENURE_ENDPOINTS"')
    equal((first.returncode, first.stdout), (0, "OK\n"), "the lock")
    equal(first.stderr.count(SAID), 1, "said once")
    second = home.tenure("get", "from-inside", "--print-value-only")
    equal((second.stdout, second.stderr), (f"unix://{home.socket}\n", ""), "the second command")
    equal(len(home.servers()), 1, "servers")
    for folder in (os.path.dirname(home.socket), home.auto):
        equal(os.stat(folder).st_mode & 0o077, 0, f"bits for others on {folder}")


def of_many_at_once_one_starts(w):
    """ten commands at once start one server, and lose nothing"""
    home = Home(w)
    all_of_them = [home.start("counter", "add", "n") for _ in range(10)]
    said = [p.communicate(timeout=PATIENCE_S * 3)[1] for p in all_of_them]
    equal(len(home.servers()), 1, "servers")
    equal([p.returncode for p in all_of_them], [0] * 10, f"exit codes {said}")
    equal(sum(SAID in text for text in said), 1, "one said it")
    equal(home.tenure("counter", "get", "n").stdout, "10\n", "the counter")


def keeps_no_descriptor(w):
    """what the command had open is not the server's, whatever its number"""
    home = Home(w)
    _, upper = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = min(upper, 4096) - 1
    reader, writer = os.pipe()
    resource.setrlimit(resource.RLIMIT_NOFILE, (high + 1, upper))
    os.dup2(writer, high)
    os.close(writer)
    equal(home.tenure("put", "a", "1", pass_fds=[high]).returncode, 0)
    os.close(high)
    equal(len(home.servers()), 1, "servers")
    true(select.select([reader], [], [], PATIENCE_S)[0], "nobody else has the pipe")
    os.close(reader)


def outlives_a_loss(w):
    """a command that is ended because its lock was lost does not take with it the server that was started for it"""
    home = Home(w)
    holder = home.start("lock", "a", "--ttl", "60", "--", "sh", "-c", "echo began; exec sleep 600")
    equal(holder.stdout.readline(), "began\n")
    before = home.servers()
    equal(len(before), 1, "servers")
    key = home.tenure("get", "--prefix", "/locks/a/", "--keys-only").stdout.split()[0]
    equal(home.tenure("lease", "revoke", key.rsplit("/", 1)[1]).returncode, 0)
    equal(holder.wait(PATIENCE_S), 121)
    equal(home.servers(), before, "servers")


def prefers_2379(w):
    """a server on 2379 is used, and when it is gone none is started in its place until somebody says that it is gone for good"""
    home = Home(w)
    server = serve_2379(w)
    equal(home.tenure("put", "a", "there").stdout, "OK\n", "put")
    true(not os.path.exists(home.socket), "no server was started")
    server.terminate()
    server.wait(PATIENCE_S)
    gone = home.tenure("get", "a", "--call-timeout", "300ms")
    equal(gone.returncode, 3, "exit code")
    note = re.search(r"to leave it for good: rm (\S+)", gone.stderr)
    true(note, f"says how to leave it: {gone.stderr}")
    equal(home.servers(), [], "servers")
    os.remove(note[1])
    equal(home.tenure("put", "a", "here").stdout, "OK\n", "put")
    equal(len(home.servers()), 1, "servers")


def goes_on_after_a_death(w):
    """a server that died is started again with its data, also beside one on 2379: a lock may be held there"""
    home = Home(w)
    home.tenure("put", "a", "1", check=True)
    (pid,) = home.servers()
    os.kill(pid, signal.SIGKILL)
    await_(lambda: not is_running(pid), "it is dead")
    serve_2379(w)
    again = home.tenure("get", "a", "--print-value-only")
    equal(again.stdout, "1\n", f"the key: {again.stderr}")
    equal(len(home.servers()), 1, "servers")


def one_for_all_sessions(w):
    """a session with another runtime folder, as cron's, finds the server that was started, or starts that one again with its data"""
    home, cron = Home(w), Home(w, "cron")
    home.tenure("put", "a", "1", check=True)
    equal(cron.tenure("get", "a", "--print-value-only").stdout, "1\n", "from the other session")
    equal((len(home.servers()), len(cron.servers())), (1, 0), "servers")
    (pid,) = home.servers()
    os.kill(pid, signal.SIGKILL)
    await_(lambda: not is_running(pid), "it is dead")
    serve_2379(w)
    again = cron.tenure("get", "a", "--print-value-only")
    equal(again.stdout, "1\n", f"the key: {again.stderr}")
    (pid,) = home.servers()
    os.kill(pid, signal.SIGTERM)
    await_(lambda: not os.path.exists(home.socket), "it has stopped, in order")
    shutil.rmtree(home.runtime)  # the terminal's session has ended
    equal(cron.tenure("get", "a", "--print-value-only", "--call-timeout", "1s").stdout, "", "the one on 2379 is used now")


def only_where_wanted(w):
    """--no-autostart, its variable, commands that look after servers or ask none start none; configured endpoints are not replaced"""
    home = Home(w)
    quick = ("--call-timeout", "300ms")
    for args, env in ((("get", "a", "--no-autostart"), {}), (("get", "a"), {"TENURE_NO_AUTOSTART": "1"}), (("status",), {}),
                      (("get", "a"), {"TENURE_ENDPOINTS": "http://127.0.0.1:1"}),
                      (("get", "a", "--endpoints", "http://127.0.0.1:1"), {})):
        equal(home.tenure(*args, *quick, env=env).returncode, 3, f"{args} {env}")
    for args in (("version",), ("fence", "script", "redis"), ("lock", "--help"), ("get", "--no-such-option")):
        home.tenure(*args)
    equal(home.servers(), [], "servers")


def refuses_a_trap(w):
    """a folder for the socket in which others can write is refused by name, and one that answers there is not believed"""
    home = Home(w)
    os.makedirs(os.path.dirname(home.socket), 0o777)
    os.chmod(os.path.dirname(home.socket), 0o777)
    false_server = w.start("serve", "--data-dir", w.path("false"), "--listen-client-urls", f"unix://{home.socket}",
                           env=home.env)
    true("serving" in false_server.stdout.readline(), "the false server is ready")
    got = home.tenure("put", "secret", "1")
    equal(got.returncode, 3, "exit code")
    true(os.path.dirname(home.socket) in got.stderr and "0700" in got.stderr, f"names the folder: {got.stderr}")


def says_why_it_cannot(w):
    """a server that cannot start is named with the reason out of its log"""
    home = Home(w)
    os.makedirs(home.auto)
    Path(home.auto, "data").write_text("no folder")
    got = home.tenure("lock", "a", "--", "true")
    equal(got.returncode, 125, "exit code")
    true(f"{home.auto}/log" in got.stderr and f"{home.auto}/data" in got.stderr, f"log and reason: {got.stderr}")
    equal(home.servers(), [], "servers")
    os.remove(f"{home.auto}/log")
    os.mkdir(f"{home.auto}/log")
    got = home.tenure("lock", "a", "--", "true")
    equal(got.returncode, 125, "exit code")
    true(f"{home.auto}/log: Is a directory" in got.stderr and "try:" in got.stderr, f"a log that cannot be: {got.stderr}")


def stops_when_unused(w):
    """--stop-when-unused: not beside a connection, a lease or one who is about to connect; then in order"""
    socket_path = w.path("s.sock")
    url = f"unix://{socket_path}"
    env = {**os.environ, "TENURE_ENDPOINTS": url}
    p = w.start("serve", "--data-dir", w.path("data"), "--listen-client-urls", url, "--stop-when-unused", "500ms")
    true("serving" in p.stdout.readline(), "it is ready")
    lock = open(socket_path + ".lock", "w")
    fcntl.flock(lock, fcntl.LOCK_SH)

    def lives_until(instant):
        while time.monotonic() < instant:
            true(p.poll() is None, f"it has not stopped {instant - time.monotonic():.1f} s before")
            time.sleep(0.05)

    w.run([TENURE, "put", "a", "1"], env=env, check=True)
    watch = w.start("watch", "a", "--rev", "1", env=env)
    equal(watch.stdout.readline(), "PUT\n", "the watch")
    lives_until(time.monotonic() + 0.8)  # beside a connection
    w.run([TENURE, "lease", "grant", "2"], env=env, check=True)
    watch.kill()
    watch.wait()
    granted = time.monotonic()
    lives_until(granted + 1.5)  # beside the lease
    lives_until(granted + 2 + 1.5)  # it tries to stop, and somebody is about to connect
    lock.close()
    await_(lambda: p.poll() is not None, "it stops")
    equal(p.returncode, 0, "exit code")
    true(not os.path.exists(socket_path), "the socket is gone")
    true("nobody needs the server" in p.stderr.read(), "it says why")


if __name__ == "__main__":
    netns.enter()
    main([starts_one, of_many_at_once_one_starts, keeps_no_descriptor, outlives_a_loss, prefers_2379, goes_on_after_a_death, one_for_all_sessions, only_where_wanted, refuses_a_trap,
          says_why_it_cannot, stops_when_unused])
