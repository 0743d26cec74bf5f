"""What the end-to-end tests share: servers and commands as real processes, waiting for events, and TAP.

A test file defines functions whose docstring is a sentence and hands them to main():

    from harness import *

    def what_holds(world):
        '''a key that was put can be read'''
        world.tenure("put", "a", "1", check=True)
        equal(world.tenure("get", "a", "--print-value-only").stdout, "1\\n")

    main([what_holds])

It runs as `test_x.py [--server tenure|etcd] [NAME…]` and prints one TAP line a function. Each function gets a world of
its own: a temporary folder, a server that is started when `world.server` is first asked for, commands that talk to it.
Whatever a world started is ended (by its process id, never by name) and its folder removed when its function is over.

Environment: TENURE names the binary (default: build/tenure); with E2E_KEEP=1 the folders stay.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

os.environ.setdefault("TENURE_NO_AUTOSTART", "1")  # such a server would outlive its test
ROOT = Path(__file__).resolve().parents[2]
TENURE = os.path.abspath(os.environ.get("TENURE", ROOT / "build" / "tenure"))
PATIENCE_S = float(os.environ.get("E2E_PATIENCE", "20"))  # how long an event may take before a test gives up on it


class Failure(Exception):
    """What a test expected did not hold."""


class Skip(Exception):
    """It cannot run here; the text says why."""


# --- expectations -----------------------------------------------------------------------------------------------------


def equal(got, wanted, what="value"):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


def true(holds, what):
    if not holds:
        raise Failure(f"does not hold: {what}")


def await_(event, what, timeout_s=None):
    """Calls event until it answers something true, which is returned; asks every 10 ms at first, then less often."""
    until = time.monotonic() + (timeout_s or PATIENCE_S)
    pause = 0.005
    while True:
        result = event()
        if result:
            return result
        if time.monotonic() >= until:
            raise Failure(f"did not come about within {timeout_s or PATIENCE_S:g} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.05)


def boottime_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def read(path):
    """The file's text, '' while it does not exist, or no more: one of /proc may go between opening and reading."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def lines(path):
    """The complete lines of a file."""
    text = read(path)
    return text[: text.rfind("\n") + 1].splitlines()


def process_state(pid):
    """The letter of /proc/PID/stat (R, S, T, Z, …); None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_running(pid):
    return process_state(pid) not in (None, "Z", "X")


def stop(pid):
    """SIGSTOP, and waits until all of it stands: until one of its threads has taken the signal, the others run on."""
    def stands():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return all(process_state(f"{pid}/task/{task.name}") not in ("R", "S", "D", "W", "P")
                       for task in Path(f"/proc/{pid}/task").iterdir())
        return True

    os.kill(pid, signal.SIGSTOP)
    await_(stands, f"{pid} stands")


def children(pid):
    """The direct children of a process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    return []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- servers ----------------------------------------------------------------------------------------------------------


class Server:
    """`tenure serve` or etcd in a folder, on a free port of the loopback interface."""

    scheme = "http"  # flow.py has servers with TLS
    host = "127.0.0.1"  # netns.py has servers elsewhere

    def __init__(self, kind, folder, *options):
        self.kind, self.folder, self.options = kind, Path(folder), options
        self.process = self.port = None
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Starts it (again: on the same port and data) and waits until it serves."""
        for attempt in range(3):
            port = self.port or free_port()
            if self._begin(port):
                self.port = port
                return self
            if self.port:
                break
        raise Failure(f"{self.kind} did not become ready:\n{read(self.folder / 'log')[-2000:]}")

    def _begin(self, port):
        log = open(self.folder / "log", "ab")
        begins_at = log.tell()
        data = str(self.folder / "data")
        argv = self.command(data, f"{self.scheme}://{self.host}:{port}")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        ready = b"tenure: serving" if self.kind == "tenure" else b"ready to serve client requests"

        def settled():
            with open(self.folder / "log", "rb") as text:
                text.seek(begins_at)
                return ready in text.read() or self.process.poll() is not None

        await_(settled, f"{self.kind} is ready", 60)
        return self.process.poll() is None

    def command(self, data, url):
        if self.kind == "tenure":
            return [TENURE, "serve", "--data-dir", data, "--listen-client-urls", url, *self.options]
        peer = f"http://127.0.0.1:{free_port()}"
        return ["etcd", "--data-dir", data, "--listen-client-urls", url,
                "--advertise-client-urls", url, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}", *self.options]

    def signal(self, number):
        os.kill(self.process.pid, number)

    def freeze(self):
        stop(self.pid)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """-9, as when the machine's power goes."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """In order; its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def end(self):
        """Whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.kill()


# --- a network with delays ----------------------------------------------------------------------------------------------


class Delayed:
    """Carries TCP between processes with a delay, as a network that is cut, healed and narrowed by word; tests/lib/delayed.c says
    what happens to connections.

        net = Delayed()                                     # ended by net.end()
        net.link("ab", 40)                                  # 40 ms one way, 80 ms a round
        port = net.route("ab", server.port)                 # connections to 127.0.0.1:port go to the server over it
        net.cut("ab"); net.cut("ab", "up"); net.heal("ab")  # up: from those who connect; down: to them
        net.rate("ab", 100_000)                             # bytes a second, each direction; 0: without a limit

    Between hosts of netns.py (whose network namespaces need no link then): net.route("ab", "10.9.0.2:2379",
    listen="10.9.0.2:2379", namespaces=(pid_of_a, pid_of_b)), where a has 10.9.0.2 as an address of its own.
    """

    PROGRAM = Path(TENURE).parent / "tests" / "lib" / "delayed"

    def __init__(self):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([self.PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        start_new_session=True)

    def tell(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            answer = self.process.stdout.readline().split(None, 1)
        if answer[:1] != ["ok"]:
            raise Failure(f"delayed: {words}: {answer}")
        return answer[1].split() if len(answer) > 1 else []

    def link(self, name, delay_ms):
        self.tell("link", name, delay_ms)
        return name

    def route(self, link, target, listen="127.0.0.1:0", namespaces=()):
        """The port that it listens at. Target: a port of 127.0.0.1, or IP:PORT."""
        return int(self.tell("route", link, listen, f"127.0.0.1:{target}" if isinstance(target, int) else target, *namespaces)[0])

    def delay(self, link, delay_ms):
        """For what is sent from now on."""
        self.tell("delay", link, delay_ms)

    def rate(self, link, bytes_per_s):
        self.tell("rate", link, bytes_per_s)

    def cut(self, link, direction="both"):
        """Silently: nothing is refused or ended, bytes wait where they are."""
        self.tell("cut", link, direction)

    def heal(self, link, connections="keep"):
        """What becomes of connections that stood: keep, what waited arrives, as by TCP's retransmission; reset; silent for ever."""
        self.tell("heal", link, connections)

    def stats(self, link):
        """accepted and open connections, bytes up and down, bytes that are under way."""
        return dict(zip(("accepted", "open", "up", "down", "held"), map(int, self.tell("stats", link))))

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class ClusterServer(Server):
    """Three members of Debian's etcd under `tenure cluster dev`, in the place of one server: killed and started again together."""

    endpoints = None

    @property
    def url(self):
        return self.endpoints

    def start(self):
        log = open(self.folder / "log", "ab")
        begins_at = log.tell()
        argv = [TENURE, "cluster", "dev", "--port", "0", "--data-dir", str(self.folder / "data")]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()

        def told():
            with open(self.folder / "log", "rb") as text:
                text.seek(begins_at)
                said = text.read().decode(errors="replace")
            true(self.process.poll() is None, f"the cluster runs: {said[-2000:]}")
            return said.partition("export TENURE_ENDPOINTS=")[2].partition("\n")[0] if "members serve" in said else None

        self.endpoints = await_(told, "the members serve", 60)
        return self

    def members(self):
        return [int(p) for i in (1, 2, 3) if (p := read(self.folder / "data" / f"m{i}.pid").strip())]

    def freeze(self):
        for pid in [self.pid, *self.members()]:
            stop(pid)

    def thaw(self):
        for pid in [*self.members(), self.pid]:
            os.kill(pid, signal.SIGCONT)

    def kill(self):
        super().kill()  # first, or it would start its members again
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                await_(lambda: not is_running(pid), f"{pid} is gone")


# --- one test's world ---------------------------------------------------------------------------------------------------


class World:
    def __init__(self, server_kind):
        self.server_kind = server_kind
        self.folder = Path(tempfile.mkdtemp(prefix="tenure-e2e."))
        self._server = None
        self._processes = []
        self._pids = []
        self._servers = []

    @property
    def server(self):
        if not self._server:
            make = ClusterServer if self.server_kind == "cluster" else Server
            self._server = make(self.server_kind, self.folder / "server").start()
        return self._server

    def path(self, name):
        return str(self.folder / name)

    def environment(self, **more):
        return {**os.environ, "TENURE_ENDPOINTS": self.server.url, "ETCDCTL_ENDPOINTS": self.server.url,
                "ETCDCTL_API": "3", "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": self.path("config"), **more}

    def tenure(self, *args, check=False, timeout=None, **popen):
        """Runs `tenure ARGS` to its end; the result has returncode, stdout, stderr (text)."""
        return self.run([TENURE, *args], check=check, timeout=timeout, **popen)

    def etcdctl(self, *args, check=False, timeout=None, **popen):
        return self.run(["etcdctl", *args], check=check, timeout=timeout, **popen)

    def run(self, argv, check=False, timeout=None, env=None, input=None, **popen):
        stdin = {} if input is not None else {"stdin": subprocess.DEVNULL}
        result = subprocess.run(argv, env=env or self.environment(), text=True, capture_output=True, input=input,
                                timeout=timeout or PATIENCE_S * 3, **stdin, **popen)
        if check and result.returncode != 0:
            raise Failure(f"{' '.join(argv)}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def start(self, *args, program=TENURE, env=None, **popen):
        """Starts `tenure ARGS` (or another program) with pipes; the world ends it."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen([program, *args], env=env or self.environment(), text=True, **popen)
        self._processes.append(process)
        return process

    def will_end(self, pid):
        """Registers a process that a test knows by number only, such as a guardian."""
        self._pids.append(pid)
        return pid

    def will_end_server(self, server):
        """The same of a server: whichever process it is then."""
        self._servers.append(server)
        return server

    def show_logs(self, failed):
        """What the servers said: where a test failed, the end of it, and always what a sanitizer found (scripts/run-tests looks)."""
        if failed and self._server and self._server.process and self._server.process.poll() is not None:
            print(f"# the server has ended with {self._server.process.returncode}")
        for log in sorted(self.folder.rglob("log")):
            if not log.is_file():
                continue
            said = log.read_text(errors="replace").splitlines()
            for line in said[-25:] if failed else [line for line in said if ": runtime error: " in line]:
                print(f"# {log.parent.name}: {line[:300]}")

    def close(self):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
            process.wait()
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for server in [self._server, *self._servers]:
            if server:
                server.end()
        if os.environ.get("E2E_KEEP"):
            print(f"# kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


# --- TAP --------------------------------------------------------------------------------------------------------------


def run_one(function, server_kind):
    world, failed = World(server_kind), True
    try:
        function(world)
        failed = False
        return "ok", ""
    except Skip as why:
        failed = False
        return "ok", f" # SKIP {why}"
    except Exception:  # a test that breaks in any way has failed
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        return "not ok", ""
    finally:
        world.show_logs(failed)
        world.close()


def main(functions):
    # A shell's background job ignores INT and QUIT, what nohup starts HUP, a daemon's child may have others blocked; and what is
    # started here would inherit it. (Python itself ignores PIPE and XFSZ, and its subprocess sets them back.)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    args = sys.argv[1:]
    server_kind = "tenure"
    if args[:1] == ["--server"]:
        server_kind, args = args[1], args[2:]
    if server_kind in ("etcd", "cluster") and not shutil.which("etcd"):
        print("1..0 # SKIP there is no etcd on this machine")
        sys.exit(77)
    functions = [f for f in functions if not args or f.__name__ in args]
    failed = 0
    print(f"1..{len(functions)}", flush=True)
    for number, function in enumerate(functions, 1):
        begun = time.monotonic()
        verdict, note = run_one(function, server_kind)
        failed += verdict != "ok"
        name = " ".join((function.__doc__ or function.__name__).split())
        print(f"{verdict} {number} - {name} [{server_kind}]{note}", flush=True)
        print(f"# {function.__name__}: {time.monotonic() - begun:.1f} s", flush=True)
    # Not sys.exit: threads that a library left behind (grpcio's) may crash an interpreter that is taking itself down, after
    # the last test has passed. Nothing is left to do here; each world has ended its servers and removed its folder.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if failed else 0)
