"""The example of a whole system (examples/ledger): three instances, of which the one that leads writes to PostgreSQL behind the fence. A
short story of faults, after which the books must be right; and the same without the fence, which has to show the damage. (`make system`
plays many of them, at random, for long.)"""

import json
import sys
import urllib.error
import urllib.request

from harness import *

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "examples" / "ledger"))
import checker  # noqa: E402
import system as ledger  # noqa: E402

BUILD = Path(TENURE).parent
OUT_OF_ORDER = ("SELECT count(*) FROM (SELECT token, max(token) OVER (ORDER BY pg_xact_commit_timestamp(xmin), seq) AS seen "
                "FROM bookings) b WHERE token < seen")
SOON_S = PATIENCE_S * 3


@contextlib.contextmanager
def running(world, **options):
    why = ledger.missing(BUILD)
    if why:
        raise Skip(why)
    world.folder.chmod(0o755)
    system = ledger.System(world.folder, BUILD, world.server_kind, ttl=2, think="150ms", **options)
    try:
        system.begin()
        go_on(system)
        yield system
    except Exception:
        for log in sorted(world.folder.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines()[-12:]:
                print(f"# {log.name}: {line[:200]}")
        raise
    finally:
        system.close()
        show_reports(world)


def show_reports(world):
    """What a sanitizer said in the instances' logs (scripts/run-tests looks for it)."""
    for log in sorted(world.folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if ": runtime error: " in line:
                print(f"# {log.name}: {line[:300]}")


def go_on(system, n=8):
    """Somebody leads and books."""
    at = system.booked()
    await_(lambda: system.leader() and system.booked() >= at + n, "bookings go on", SOON_S)
    return system.leader()


def another_leads(system, than):
    """Somebody else leads, with a greater token, and has written under it."""
    token = than.led[-1][0]
    await_(lambda: (l := system.leader()) and l is not than and l.led[-1][0] > token
           and int(system.postgres.ask("SELECT coalesce(max(token), 0) FROM bookings")) > token, "somebody else books", SOON_S)


def make_zombie(system):
    """The leader is stopped until another one has written, with a booking in its hands, as a rule."""
    leader = go_on(system)
    leader.signal(signal.SIGSTOP)
    another_leads(system, leader)
    leader.signal(signal.SIGCONT)
    go_on(system, 4)


def until_zombie_wrote(system, seen):
    for _ in range(6):
        make_zombie(system)
        if seen():
            return
    raise Failure("a leader was stopped six times, and never with a write in its hands")


def ask(instance, path, body=None):
    """The status of its answer, where that leads, and what it says."""
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    url = f"http://127.0.0.1:{instance.port}{path}"
    try:
        with urllib.request.build_opener(Stay).open(url, body, SOON_S) as answer:
            return answer.status, None, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers["Location"], json.load(answer)
    except OSError:
        return 503, None, None


def answers(system):
    """Each kind of answer, by the leader and by one that is none. Who leads may change meanwhile."""
    order = lambda **other: json.dumps({"id": "a-1", "from": "account-1", "to": "account-2", "amount": 100, **other}).encode()

    def book(body):
        told = lambda: (leader := system.leader()) and (status := ask(leader, "/bookings", body)[0]) not in (307, 503) and status
        return await_(told, "an answer of the leader", SOON_S)

    def is_redirected():
        leader = system.leader()
        others = [i for i in system.instances if i is not leader]
        return leader and all(ask(i, "/bookings", order(id="a-5"))[:2] == (307, f"http://127.0.0.1:{leader.front.port}/bookings")
                              for i in others)

    true(book(order()) in (200, 201), "it is booked")
    equal([book(order()), book(order(amount=99))], [200, 409])
    equal([book(order(id="a-2", amount=10001)), book(order(id="a-3", to="nobody")), book(order(id="a-4", to="account-1"))], [422] * 3)
    for bad in (b"", b"x", b"[]", b"{}", order(amount=0), order(amount="1"), order(amount=2**62), order(id=""), order(id="a" * 64)):
        equal(book(bad), 400, bad)
    equal(book(b"x" * 5000), 413)
    await_(is_redirected, "followers send their clients to the leader", SOON_S)
    for i in system.instances:
        equal([ask(i, path)[0] for path in ("/bookings/a-1", "/bookings/a-2", "/x", "/status")], [200, 404, 404, 200])
    equal(ask(system.instances[0], "/bookings/a-1")[2]["amount"], 100)
    return {i: ("account-1", "account-2", 100) for i in ("a-1", "a-5")}


def the_books_are_right(world):
    """killed, stopped, cut off and restarted, the ledger has each booking once, and no zombie's"""
    with running(world) as system:
        system.sent_by_others = answers(system)
        until_zombie_wrote(system, lambda: system.postgres.refused() > 0)
        leader = go_on(system)
        leader.signal(signal.SIGKILL)
        another_leads(system, leader)
        leader.start()
        rules = max(i.status()["rules"] for i in system.instances if i.status())
        system.members[0].process.kill()
        system.members[0].process.wait()
        system.members[0].start()
        await_(lambda: system.set_rules({"fee-bp": "75", "rounding": "up"}), "the configuration is changed", SOON_S)
        await_(lambda: all((s := i.status()) and s["rules"] > rules for i in system.instances), "all have heard of it", SOON_S)
        system.postgres.stop(signal.SIGQUIT)
        system.postgres.start()
        leader = go_on(system)
        for link in leader.links:
            system.network.become(link, "silent")
        another_leads(system, leader)
        for link in leader.links:
            system.network.become(link, "open")
        leader = go_on(system)
        leader.signal(signal.SIGTERM)
        equal(leader.process.wait(SOON_S), 0, "exit code on TERM")
        leader.start()
        go_on(system)
        wrong = system.finish()
        complaints, numbers = checker.check(system)
        equal(wrong + complaints, [])
        print(f"# {numbers}")
        true(numbers["leaders that wrote"] >= 5, numbers)


def the_fence_is_what_saves_them(world):
    """without the fence the checker finds what zombies wrote, and balances that do not add up"""
    with running(world, fence=False) as system:
        until_zombie_wrote(system, lambda: int(system.postgres.ask(OUT_OF_ORDER)) > 0)
        go_on(system, 80)  # whose balances are those that the zombie has overwritten, or has not seen
        equal(system.finish(), [])
        complaints, _ = checker.check(system)
        for word in ("by a leader that was none any more", "balances do not add up"):
            true(any(word in c for c in complaints), f"'{word}' is among {complaints}")


def the_checker_bites(world):
    """each line of the checker finds the one thing that it is for"""
    row = lambda **other: {"id": "a", "payer": "x", "payee": "y", "amount": 100, "fee": 1, "rules": 7, "token": 5, **other}
    sent, answered = {"a": ("x", "y", 100)}, {"a": ("201", 1)}
    finds = lambda complaints, word: true(len(complaints) == 1 and word in complaints[0], f"{word}: {complaints}")
    equal(checker.check_answers([row()], sent, answered), [])
    finds(checker.check_answers([], sent, answered), "not there")
    finds(checker.check_answers([row(), row()], sent, answered), "more than once")
    finds(checker.check_answers([row()], sent, {"a": ("422", 0)}), "refused bookings")
    finds(checker.check_answers([row(), row(id="b")], sent, answered), "nobody sent")
    finds(checker.check_answers([row(amount=99)], sent, answered), "as they were sent")
    finds(checker.check_answers([row(fee=2)], sent, answered), "another fee")
    accounts = {"x": (1000, 899), "y": (1000, 1100), "fees": (0, 1)}
    equal(checker.check_balances([row()], accounts), [])
    finds(checker.check_balances([row()], {**accounts, "x": (1000, 898), "y": (1000, 1101)}), "do not add up")
    true(any("money was made" in c for c in checker.check_balances([row()], {**accounts, "x": (1000, 900)})), "money is made")
    equal(checker.check_tokens([row(), row(id="b"), row(id="c", token=6)]), [])
    finds(checker.check_tokens([row(), row(id="c", token=6), row(id="b")]), "none any more: b")
    rules = {"limit": "100", "fee-bp": "50", "rounding": "up"}
    equal(checker.check_rules([row()], lambda revision: rules), [])
    finds(checker.check_rules([row(fee=0)], lambda revision: rules), "rules of their time")
    finds(checker.check_rules([row()], lambda revision: {**rules, "limit": "99"}), "rules of their time")
    equal([checker.fee({"fee-bp": "50", "rounding": r}, 100) for r in ("down", "half", "up")], [0, 1, 1])


# What the fence does is the same on both servers and in each build, and so is the checker.
once = [] if "etcd" in sys.argv or os.environ.get("SANITIZED") else [the_fence_is_what_saves_them, the_checker_bites]
main([the_books_are_right, *once])
