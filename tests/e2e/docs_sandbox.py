"""Where a page of the documentation is run: folders of its own, a server or none, a PATH with what the page calls."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import docs_kinds
from docs_terminal import Stuck, Terminal, Words, commands, sweep
from harness import ROOT, TENURE, Failure, Server, Skip, World, await_, free_port
from postgres import Postgres

MACHINES = [f"10.0.0.{n}:2379" for n in (1, 2, 3)]
# A program that a page calls and that does nothing here: stub NAME…, in the PATH, or with a slash where it says.
STUB = """#!/bin/sh
for name; do
    case $name in */*) to=$name ;; *) to=$DOCS_BIN/$name ;; esac
    mkdir -p "$(dirname "$to")"
    printf '#!/bin/sh\\nexit 0\\n' >"$to"
    chmod +x "$to"
done
"""


class Cluster:
    """Three members of etcd."""

    def __init__(self, folder):
        self.members = [Server("etcd", folder / f"m{n}") for n in (1, 2, 3)]
        peers = [f"http://127.0.0.1:{free_port()}" for _ in self.members]
        every = ",".join(f"m{n}={peer}" for n, peer in enumerate(peers, 1))
        for n, (member, peer) in enumerate(zip(self.members, peers), 1):
            member.port = free_port()
            argv = ["etcd", "--name", f"m{n}", "--data-dir", str(member.folder / "data"), "--listen-client-urls", member.url,
                    "--advertise-client-urls", member.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", every, "--unsafe-no-fsync"]
            with open(member.folder / "log", "wb") as log:
                member.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def await_(self):
        for member in self.members:
            log = member.folder / "log"
            await_(lambda: b"ready to serve client requests" in log.read_bytes(), f"{log}: the member is ready", 60)

    @property
    def addresses(self):
        return [f"127.0.0.1:{m.port}" for m in self.members]

    def end(self):
        for member in self.members:
            member.end()


class Sandbox:
    """autostart: there is no server before a command starts one. bare: nor that. postgres: psql finds a database."""

    def __init__(self, page, autostart=False, bare=False, postgres=False):
        self.page, self.autostart, self.bare = page, autostart, bare
        self.folder = Path(tempfile.mkdtemp(prefix="td."))  # short: a socket lies in it
        self.home = self.folder / "home"
        self.terminals, self.staying, self.skipped, self.ran = [], [], [], 0
        self.server = self.cluster = self.world = self.postgres = self.main = None
        runnable = "".join(b.text for b in page.blocks if not b.skip and b.kind == "sh")
        for name in ("home", "bin", "run", "etc", "var", "tmp"):
            (self.folder / name).mkdir(mode=0o700)
        self._programs()
        fixed = {f"/{name}": str(self.folder / name) for name in ("etc", "tmp", "run")} | {"/var/lib": str(self.folder / "var"), "/var/tmp": str(self.folder / "tmp")}
        if not autostart and not bare:
            self.server = Server("tenure", self.folder / "server").start()
        if MACHINES[1] in runnable and shutil.which("etcd") and autostart:
            self.cluster = Cluster(self.folder)
        elif not self.server and not bare and MACHINES[0] in runnable:
            self.server = Server("tenure", self.folder / "server").start()
        there = self.cluster.addresses if self.cluster else [f"127.0.0.1:{self.server.port}"] * 3 if self.server else []
        fixed |= dict(zip(MACHINES, there))
        if not bare:
            self.port_2379 = f"127.0.0.1:{free_port()}" if autostart else there[0]  # of a server that the page starts
            fixed |= {"127.0.0.1:2379": self.port_2379, "localhost:2379": self.port_2379}
        self.words = Words(fixed)
        self.env = self._environment()
        if postgres and "psql" in runnable:
            self._start_postgres()
        self.main = self.terminal()

    def _start_postgres(self):
        self.world = World("tenure")
        with contextlib.suppress(Skip):
            self.postgres = Postgres(self.world)
            self.env |= {"PGHOST": self.postgres.folder, "PGUSER": "postgres"}
            self.postgres.ask("CREATE DATABASE shop")

    def _programs(self):
        folder = self.folder / "bin"
        flags = " ".join(docs_kinds.sanitizers())
        for name, text in (("stub", STUB), ("systemctl", "#!/bin/sh\n"), ("cc", f'#!/bin/sh\nexec /usr/bin/cc {flags} "$@"\n')):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        (folder / "libtenure.pc").write_text(f"Name: libtenure\nDescription: as it is built\nVersion: 0\n"
                                             f"Cflags: -I{ROOT}/include\nLibs: -L{Path(TENURE).parent} -ltenure\n")
        (folder / "tenure").symlink_to(TENURE)
        (self.home / "build").mkdir()
        (self.home / "build" / "tenure").symlink_to(TENURE)

    def _environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TENURE_", "XDG_", "ETCD", "PG")) and k != "MAKEFLAGS"}
        libraries = Path(TENURE).parent
        env |= {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.folder / "run"), "DOCS_BIN": str(self.folder / "bin"),
                "XDG_STATE_HOME": str(self.home / ".local/state"), "XDG_CONFIG_HOME": str(self.home / ".config"),
                "PATH": f"{self.folder}/bin:{env.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC",
                "NO_COLOR": "1", "HOSTNAME": "web-1", "LD_LIBRARY_PATH": str(libraries), "ETCDCTL_API": "3",
                "PKG_CONFIG_PATH": str(self.folder / "bin")}
        if self.autostart:
            return env | {"ETCD_LISTEN_CLIENT_URLS": f"http://{self.port_2379}"}
        if self.bare:
            return env | {"TENURE_NO_AUTOSTART": "1"}
        return env | {"TENURE_NO_AUTOSTART": "1", "TENURE_ENDPOINTS": self.server.url, "ETCDCTL_ENDPOINTS": self.server.url}

    def terminal(self):
        """One more, with what the reader has exported in the first."""
        self.terminals.append(Terminal(self.home, self.env))
        if self.main:
            self._type(self.main, 'export -p >"$DOCS_BIN/../exported"', 0, "")
            self._type(self.terminals[-1], '. "$DOCS_BIN/../exported"', 0, "")
            self.main.transcript.pop()
        return self.terminals[-1]

    # ---- blocks ----

    def run(self):
        """All blocks; the complaints."""
        complaints = []
        for block in self.page.blocks:
            try:
                self._run_block(block)
            except Skip as why:
                self.skipped.append((block.place, str(why)))
            except Stuck as why:
                return [*complaints, str(why)]
            except Failure as why:
                complaints.append(str(why))
        for block, terminal, shown, where in self.staying:
            try:
                terminal.shows(self.words, shown, where, whole=False)
            except Failure as why:
                complaints.append(str(why))
        return complaints

    def _run_block(self, block):
        if block.skip:
            raise Skip(block.skip)
        for program in block.needs:
            if not shutil.which(program) or (program == "psql" and not self.postgres):
                raise Skip(f"there is no {program} here")
        self.words.varies |= set(block.vary)
        self.words.any |= set(block.any)
        if block.before:
            self._type(self.main, self.words.real(block.before), 0, f"{block.place}: before it")
            self.main.pass_over()
        self.ran += 1
        if block.file:
            path = self.home / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.words.real(block.text))
            path.chmod(0o600)
        if block.kind == "c":
            docs_kinds.c_block(block)
        elif block.kind == "json":
            docs_kinds.json_block(block)
        elif block.kind == "yaml":
            docs_kinds.yaml_block(block)
        elif block.kind == "sql":
            self._sql(block)
        elif block.kind == "unit":
            docs_kinds.unit_block(block, self.folder / "etc")
        elif block.kind == "crontab":
            for command in docs_kinds.cron_commands(block):
                # root's folders do not depend on HOME; what this names must not be the machine's.
                keep = " ".join(f'{name}="${name}"' for name in ("HOME", "PATH", "XDG_STATE_HOME", "LD_LIBRARY_PATH"))
                self._type(self.main, f"env -i {keep} /bin/sh -c {self._quoted(command)}", 0, block.place)
                self.main.pass_over()
        elif block.parse:
            self._parse(block)
        elif block.kind == "sh" and not block.file:
            self._shell(block)
        elif not block.file:
            raise Failure(f"{block.place}: a block of text is neither a file's nor skipped with a reason")

    def _quoted(self, text):
        return "'" + self.words.real(text).replace("'", "'\\''") + "'"

    def _sql(self, block):
        if not self.postgres:
            raise Skip("there is no PostgreSQL here")
        (self.home / "block.sql").write_text(self.words.real(block.text))
        self._type(self.main, "psql -qAtv ON_ERROR_STOP=1 -f block.sql shop", block.exit, block.place)
        self.main.pass_over()

    def _parse(self, block):
        found = [argv for command, _ in commands(block.text) for argv in docs_kinds.calls(command, self.folder)]
        if not found:
            raise Failure(f"{block.place}: there is no command in it to parse")
        for argv in found:
            docs_kinds.parses(argv, self.folder, block.place)

    def _shell(self, block):
        typed = commands(block.text)
        if not typed:
            raise Failure(f"{block.place}: there is no command in it")
        if self.cluster and any(machine in block.text for machine in MACHINES):
            self.cluster.await_()
        is_compared = any(shown for _, shown in typed) or block.stays
        for n, (command, shown) in enumerate(typed):
            is_last = n + 1 == len(typed)
            command, where = self.words.real(command), f"{block.place}: $ {command}"
            while shown and not shown[-1].strip():
                shown = shown[:-1]
            if block.stays and is_last:
                terminal = self.terminal()
                terminal.type(command)
                terminal.has_jobs = True
                terminal.shows(self.words, shown[:1], where, whole=False)
                self.staying.append((block, terminal, shown, where))
                continue
            if shown[-1:] == ["^C"]:
                self._interrupted(command, shown[:-1], where)
                continue
            asks = not is_last and typed[n + 1][0].strip() == "echo $?"
            self._type(self.main, command, block.exit if is_last else None if asks else 0, where)
            if is_compared:
                self.main.shows(self.words, shown, where)
            else:
                self.main.pass_over()

    def _interrupted(self, command, shown, where):
        """A command that the reader ends, in a terminal of its own, because the shell's own end comes with it."""
        terminal = self.terminal()
        terminal.type(command)
        terminal.has_jobs = True
        terminal.shows(self.words, shown, where)
        terminal.interrupt()

    def _type(self, terminal, command, wanted, where):
        terminal.type(command)
        try:
            code = terminal.exit_code()
        except Stuck as why:
            raise Stuck(f"{where}\n{why}") from None
        if code != wanted and wanted is not None:
            text, terminal.text = terminal.text, ""
            raise Failure(f"{where}\nended with {code} instead of {wanted}; printed:\n{text}")

    def close(self, failed=False):
        transcript = [line for terminal in self.terminals for line in [*terminal.transcript, terminal.text]]
        for terminal in self.terminals:
            terminal.end()
        if self.postgres:
            self.postgres.close()
        for it in (self.world, self.cluster, self.server):
            if it:
                it.close() if it is self.world else it.end()
        sweep(self.folder)
        logs = [line for log in self.folder.rglob("log") if log.is_file() for line in log.read_text(errors="replace").splitlines()
                if ": runtime error: " in line]
        if not os.environ.get("E2E_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        return logs + ([text for text in transcript if failed] or [])
