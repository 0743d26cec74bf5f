#!/usr/bin/env python3
"""Shows that scripts/run-tests counts exactly, gives a second chance to whom it is due, and that scripts/failures tells of it:
on a project of made-up programs, of which each fails in a way of its own. One case is run by meson, the others by a stand-in that
is quicker. Prints TAP."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
failures = SourceFileLoader("failures", str(ROOT / "scripts" / "failures")).load_module()
run_tests = SourceFileLoader("run_tests", str(ROOT / "scripts" / "run-tests")).load_module()

# Name -> (suite, protocol, what it does). `first` succeeds in a program's first run only.
FIRST = 'first() { [ ! -e "$0.ran" ] && : >"$0.ran"; }\n'
TWO_OF_THREE = "echo 1..3; echo 'ok 1 - a'; echo 'ok 2 - b'; echo '# because of that'; echo 'not ok 3 - c'; exit 1"
ALL_THREE = "echo 1..3; echo 'ok 1 - a'; echo 'ok 2 - b'; echo 'ok 3 - c'"
PROGRAMS = {
    "e2e/good": ("e2e", "tap", ALL_THREE),
    "e2e/once": ("e2e", "tap", f"if first; then {TWO_OF_THREE}; fi; {ALL_THREE}"),
    "e2e/once-2": ("e2e", "tap", f"if first; then {TWO_OF_THREE}; fi; {ALL_THREE}"),
    "e2e/once-3": ("e2e", "tap", f"if first; then {TWO_OF_THREE}; fi; {ALL_THREE}"),
    "e2e/once-4": ("e2e", "tap", f"if first; then {TWO_OF_THREE}; fi; {ALL_THREE}"),
    "e2e/flow": (["e2e", "flow"], "tap", f"if first; then {TWO_OF_THREE}; fi; {ALL_THREE}"),
    "e2e/always": ("e2e", "tap", TWO_OF_THREE),
    "e2e/worse": ("e2e", "tap", f"if first; then {TWO_OF_THREE}; fi; echo 1..3; exit 1"),
    "e2e/crash": ("e2e", "tap", f"if first; then echo 1..3; echo 'ok 1 - a'; kill -9 $$; fi; {ALL_THREE}"),
    "e2e/late": ("e2e", "tap", f"if first; then echo 1..3; sleep 60; fi; {ALL_THREE}"),
    "e2e/skips": ("e2e", "tap", f"if first; then {TWO_OF_THREE}; fi; echo '1..0 # SKIP not here'; exit 77"),
    "e2e/plain": ("e2e", "exitcode", "if first; then echo oh; exit 3; fi"),
    "e2e/report": ("e2e", "exitcode", 'if first; then p=${ASAN_OPTIONS##*log_path=}; echo a stack >"${p%%:*}.1"; exit 1; fi'),
    "e2e/report-later": ("e2e", "exitcode", 'if first; then exit 1; fi; p=${ASAN_OPTIONS##*log_path=}; echo a stack >"${p%%:*}.1"'),
    "e2e/undefined": ("e2e", "exitcode", "if first; then echo 'x.c:1:2: runtime error: signed overflow' >&2; exit 1; fi"),
    "e2e/code-99": ("e2e", "exitcode", "if first; then exit 99; fi"),
    "unit/good": ("unit", "tap", ALL_THREE),
    "unit/once": ("unit", "tap", f"if first; then {TWO_OF_THREE}; fi; {ALL_THREE}"),
    "unit/e2e": ("unit", "exitcode", "if first; then exit 1; fi"),
}


def as_meson_names_it(name):
    suite = PROGRAMS[name][0]
    return f"tenure:{suite if isinstance(suite, str) else '+'.join(suite)} / {name}"


def stand_in(build, base, args, jobs, logs, names):
    """Runs programs as meson does."""
    entries = []
    for name in names:
        with subprocess.Popen([build.parent / name.replace("/", "-")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=run_tests.sanitizer_environment(logs), start_new_session=True) as p:
            try:
                out, err = p.communicate(timeout=2 if name == "e2e/late" else 60)
                result = {0: "OK", 77: "SKIP"}.get(p.returncode, "FAIL")
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, 9)
                (out, err), result = p.communicate(), "TIMEOUT"
        entries.append({"name": as_meson_names_it(name), "stdout": out, "stderr": err, "returncode": p.returncode,
                        "result": result, "duration": 0})
    return sum(e["result"] not in ("OK", "SKIP") for e in entries), entries


class Project:
    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="tenure-scripts."))
        self.build = self.root / "build"
        text = "project('tenure')\n"
        for name, (suite, protocol, body) in PROGRAMS.items():
            program = self.root / name.replace("/", "-")
            program.write_text(f"#!/bin/sh\n{FIRST}{body}\n")
            program.chmod(0o755)
            text += f"test('{name}', find_program('{program}'), suite: {suite!r}, protocol: '{protocol}', timeout: 1)\n"
        (self.root / "meson.build").write_text(text)
        subprocess.run(["meson", "setup", self.build, self.root], check=True, capture_output=True)

    def run(self, *names, chance=True, meson=False):
        """(what went to the totals, what was noted, the exit code, what was printed)"""
        for ran in self.root.glob("*.ran"):
            ran.unlink()
        totals, noted = self.root / "totals", self.root / "failures"
        totals.unlink(missing_ok=True)
        noted.unlink(missing_ok=True)
        argv = [str(ROOT / "scripts" / "run-tests"), str(self.build), "made-up", "--totals", str(totals),
                *(["--second-chance"] if chance else []), *names]
        os.environ["TENURE_FAILURES"] = str(noted)
        if meson:
            done = subprocess.run(argv, capture_output=True, text=True)
            code, out = done.returncode, done.stdout + done.stderr
        else:
            run_tests.run_meson = stand_in
            run_tests.expected_names = lambda _, names: [as_meson_names_it(name) for name in names]
            sys.argv = argv
            with contextlib.redirect_stdout(io.StringIO()) as text:
                code = run_tests.main()
            out = text.getvalue()
        notes = [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []
        return totals.read_text().split(), notes, code, out


def counted(*names, chance=True, meson=False, passed, failed=0, skipped=0, unsteady=(), noted=()):
    """What the run of these programs has to come to."""
    totals, notes, code, out = PROJECT.run(*names, chance=chance, meson=meson)
    assert totals == ["made-up", str(passed), str(failed), str(skipped)], f"{totals}\n{out}"
    assert code == (1 if failed else 0), f"exit code {code}"
    headlines = sorted(" ".join(n["headline"].split(":")[:2]) for n in notes)
    wanted = sorted([f"unsteady  made-up {n}" for n in unsteady] + [f"failed  made-up {n}" for n in noted])
    assert [h.split(": ")[0] for h in headlines] == wanted, f"{headlines}, wanted {wanted}"
    return notes


def told():
    """the note holds the case, why it failed, and the headline names variant and program"""
    [note] = counted("e2e/once", "e2e/good", "unit/good", meson=True, passed=9, unsteady=["e2e/once"])
    assert note["headline"].startswith("unsteady: made-up e2e/once: 2 passed, 1 failed, 0 skipped (meson: "), note
    assert note["text"].startswith("# because of that\nnot ok 3 - c\n-- the end of its output:\n1..3\nok 1 - a"), note


def bounded():
    """however many fail and whatever they print, what is shown has its bound, and names the first ones at least"""
    path = str(PROJECT.root / "many")
    for n in range(300):
        failures.note(f"failed: made-up e2e/n{n}", "not ok 1 - x\n" + f"{n} and so on{'.' * 80}\n" * 500, path)
    text = failures.render(failures.read(path))
    assert len(text) <= failures.ALL_CHARS, len(text)
    assert all(f"e2e/n{n}\n" in text for n in range(15)) and text.endswith(" more]"), text
    text = failures.render(failures.read(path)[:2])
    assert 9000 < len(text) <= failures.ALL_CHARS and text.count("not ok 1 - x") == 2 and text.count("1 and so on") >= 45, text
    assert failures.render([]) == ""
    assert failures.render(failures.read(str(PROJECT.root / "no such file"))) == ""


def cmocka():
    """of a cmocka program the failed test, where and why, are picked out"""
    out = "[ RUN      ] a\n[  ERROR   ] --- 1 != 2\n[   LINE   ] --- t.c:7: error: Failure!\n[  FAILED  ] a\n" + "more\n" * 100
    text = failures.describe(out)
    assert text.startswith("[  ERROR   ] --- 1 != 2\n[   LINE   ] --- t.c:7: error: Failure!\n[  FAILED  ] a\n-- the end"), text
    assert text.count("more") == 60, text


CASES = [
    ("what passes is counted", lambda: counted("e2e/good", passed=3)),
    ("a program that fails once and passes alone counts as it ran alone", told),
    ("three of them are given the chance", lambda: counted(
        "e2e/once", "e2e/once-2", "e2e/flow", "e2e/good", passed=12, unsteady=["e2e/once", "e2e/once-2", "e2e/flow"])),
    ("more than three are not", lambda: counted(
        "e2e/once", "e2e/once-2", "e2e/once-3", "e2e/once-4", passed=8, failed=4,
        noted=["e2e/once", "e2e/once-2", "e2e/once-3", "e2e/once-4"])),
    ("nobody gets one who did not ask", lambda: counted("e2e/once", chance=False, passed=2, failed=1, noted=["e2e/once"])),
    ("what fails again is counted as at first", lambda: counted("e2e/always", "e2e/once", passed=5, failed=1,
                                                                 noted=["e2e/always"], unsteady=["e2e/once"])),
    ("also when it is worse", lambda: counted("e2e/worse", passed=2, failed=1, noted=["e2e/worse"])),
    ("and when it is skipped then", lambda: counted("e2e/skips", passed=2, failed=1, noted=["e2e/skips"])),
    ("a crash in the middle is a failed case for each that was announced, and has its chance", lambda: (
        counted("e2e/crash", chance=False, passed=1, failed=2, noted=["e2e/crash"]), counted("e2e/crash", passed=3, unsteady=["e2e/crash"]))),
    ("so has what took too long", lambda: counted("e2e/late", passed=3, unsteady=["e2e/late"])),
    ("and a program without cases", lambda: counted("e2e/plain", passed=1, unsteady=["e2e/plain"])),
    ("other suites have none", lambda: counted("unit/once", "unit/e2e", passed=2, failed=2, noted=["unit/once", "unit/e2e"])),
    ("one that failed of another suite takes it from nobody", lambda: counted(
        "unit/once", "e2e/once", passed=5, failed=1, noted=["unit/once"], unsteady=["e2e/once"])),
    ("a sanitizer's report takes it from all", lambda: counted(
        "e2e/report", "e2e/once", passed=2, failed=2, noted=["e2e/report", "e2e/once", "sanitizer report report.1"])),
    ("so does a line about undefined behaviour", lambda: counted(
        "e2e/undefined", "e2e/once", passed=2, failed=2, noted=["e2e/undefined", "e2e/once"])),
    ("and a sanitizer's exit code", lambda: counted("e2e/code-99", "e2e/once", passed=2, failed=2, noted=["e2e/code-99", "e2e/once"])),
    ("a report of the second run is a failure", lambda: counted(
        "e2e/report-later", passed=1, failed=1, unsteady=["e2e/report-later"], noted=["sanitizer report report.1"])),
    (bounded.__doc__, bounded),
    (cmocka.__doc__, cmocka),
]


def main():
    print(f"1..{len(CASES)}", flush=True)
    failed = 0
    for number, (what, check) in enumerate(CASES, 1):
        try:
            check()
            print(f"ok {number} - {what}", flush=True)
        except AssertionError as why:
            failed += 1
            for line in str(why).splitlines()[:60]:
                print(f"# {line}")
            print(f"not ok {number} - {what}", flush=True)
    shutil.rmtree(PROJECT.root)
    return 1 if failed else 0


if __name__ == "__main__":
    PROJECT = Project()
    sys.exit(main())
