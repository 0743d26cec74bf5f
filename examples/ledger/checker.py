"""What must hold of the ledger after all that happened. Reads the database, what the clients were told, and the configuration as it was."""

import json
from collections import Counter, defaultdict

BOOKED, REFUSED = ("200", "201"), "422"


def read_clients(path):
    """{id: (payer, payee, amount)} of what was sent, {id: (status, fee)} of what was answered"""
    sent, answered = {}, {}
    for line in path.read_text().splitlines():
        word, *fields = line.split()
        if word == "sent":
            sent[fields[0]] = (fields[1], fields[2], int(fields[3]))
        elif word == "done":
            answered[fields[0]] = (fields[1], int(fields[2]))
    return sent, answered


def some(what, ids):
    ids = sorted(ids)
    return [f"{len(ids)} {what}: {', '.join(map(str, ids[:5]))}{', …' if len(ids) > 5 else ''}"] if ids else []


def check_answers(rows, sent, answered):
    """Each booking that was acknowledged is there, once, as it was sent; what was refused is not; nothing else is."""
    times = Counter(r["id"] for r in rows)
    by_id = {r["id"]: r for r in rows}
    acknowledged = {i for i, (status, _) in answered.items() if status in BOOKED}
    refused = {i for i, (status, _) in answered.items() if status == REFUSED}
    there = set(by_id)
    as_sent = lambda r: (r["payer"], r["payee"], r["amount"])
    return (some("acknowledged bookings are not there", acknowledged - there)
            + some("bookings are there more than once", {i for i, n in times.items() if n > 1})
            + some("refused bookings are there", refused & there)
            + some("bookings are there that nobody sent", there - set(sent))
            + some("bookings are not as they were sent", {i for i in there & set(sent) if as_sent(by_id[i]) != sent[i]})
            + some("bookings have another fee than was told", {i for i in acknowledged & there if answered[i][1] != by_id[i]["fee"]}))


def check_balances(rows, accounts):
    """What each account began with, and all bookings, make what it has."""
    should = {name: opening for name, (opening, _) in accounts.items()}
    for r in rows:
        should[r["payer"]] -= r["amount"] + r["fee"]
        should[r["payee"]] += r["amount"]
        should["fees"] += r["fee"]
    wrong = {f"{n} has {accounts[n][1]}, and should have {should[n]}" for n in accounts if should[n] != accounts[n][1]}
    total = [sum(a[column] for a in accounts.values()) for column in (0, 1)]
    made = [f"money was {'made' if total[1] > total[0] else 'lost'}: {abs(total[1] - total[0])}"] if total[0] != total[1] else []
    return some("balances do not add up", wrong) + made


def check_tokens(rows):
    """In the order of commits no token is smaller than one before it. rows: in that order."""
    seen, zombies = 0, set()
    for r in rows:
        if r["token"] < seen:
            zombies.add(r["id"])
        seen = max(seen, r["token"])
    return some("bookings were written by a leader that was none any more", zombies)


def fee(rules, amount):
    exact = amount * int(rules["fee-bp"])
    return (exact + {"down": 0, "up": 9999, "half": 5000}[rules["rounding"]]) // 10000


def check_rules(rows, rules_at):
    """Each was decided by the configuration as it was at the revision that it names: as a whole, never half of a change."""
    by_revision = defaultdict(list)
    for r in rows:
        by_revision[r["rules"]].append(r)
    wrong = set()
    for revision, some_rows in by_revision.items():
        rules = rules_at(revision)
        wrong |= {r["id"] for r in some_rows if r["fee"] != fee(rules, r["amount"]) or r["amount"] > int(rules["limit"])}
    return some("bookings do not follow the rules of their time", wrong)


def read_rules(system, revision):
    """The configuration as it was at a revision of the store."""
    r = system.cli("get", "--prefix", "/config/ledger/", "--rev", str(revision), "-o", "json")
    return {kv["key"].rsplit("/", 1)[1]: kv["value"] for kv in json.loads(r.stdout)["kvs"]}


def check(system):
    """(complaints, numbers) of a system whose instances have ended."""
    names = ("id", "payer", "payee", "amount", "fee", "rules", "token")
    rows = [{n: v if n in ("id", "payer", "payee") else int(v) for n, v in zip(names, row)} for row in system.postgres.rows(
        f"SELECT {', '.join(names)} FROM bookings ORDER BY pg_xact_commit_timestamp(xmin), seq")]
    accounts = {n: (int(o), int(b)) for n, o, b in system.postgres.rows("SELECT name, opening, balance FROM accounts")}
    sent, answered = read_clients(system.folder / "load.out")
    sent |= system.sent_by_others
    complaints = (check_answers(rows, sent, answered) + check_balances(rows, accounts) + check_tokens(rows)
                  + check_rules(rows, lambda revision: read_rules(system, revision)))
    longest, served = system.leaderless()
    statuses = Counter(status for status, _ in answered.values())
    numbers = {
        "bookings": len(rows),
        "of them answered only when sent again": statuses["200"],
        "refused by the rules": statuses[REFUSED],
        "leaderships": sum(len(i.led) for i in system.instances),
        "leaders that wrote": len({r["token"] for r in rows}),
        "revisions of the configuration that decided": len({r["rules"] for r in rows}),
        "zombie writes refused by the fence": system.postgres.refused(),
        "longest time without a leader": f"{longest / 1000:.1f} s",
        "while the servers were there": f"{served / 1000:.1f} s",
    }
    return complaints, numbers
