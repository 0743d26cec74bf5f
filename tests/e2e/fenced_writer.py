"""A writer under a lock: fenced_writer.py KIND WHERE TOKEN. For each line that it reads it writes that word to the resource, with
its token, and says "written", or "fenced" when the resource refused the token. KIND begins with "unchecked-" where the checker
is off."""

import http.client
import os
import subprocess
import sys

kind, where, token = sys.argv[1:4]
TENURE = os.environ["TENURE"]


def run(*argv, text=""):
    return subprocess.run(argv, input=text, text=True, capture_output=True)


def outcome(result, refused):
    if result.returncode == 0:
        return "written"
    return "fenced" if refused in result.stderr + result.stdout else result.stderr


def postgresql(word, check):
    admit = f"SELECT tenure_fence.admit('billing', {token});" if check else ""
    table = "orders" if check else "unprotected"
    r = run("psql", where, "-qAtv", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate",
            text=f"BEGIN; {admit} UPDATE {table} SET value = '{word}'; COMMIT;")
    return outcome(r, "TF001")


def sqlite(word, check):
    admit = f"INSERT INTO tenure_fence_admit VALUES ('billing', {token});" if check else ""
    table = "orders" if check else "unprotected"
    done = "DELETE FROM tenure_fence_admitted;" if check else ""
    r = run("sqlite3", "-bail", "-cmd", ".timeout 10000", where,
            text=f"BEGIN IMMEDIATE; {admit} UPDATE {table} SET value = '{word}'; {done} COMMIT;")
    return outcome(r, "fenced")


def redis(word, check):
    if not check:
        return outcome(run("redis-cli", "-e", "-s", where, "SET", "orders", word), "FENCED")
    script = run(TENURE, "fence", "script", "redis").stdout
    return outcome(run("redis-cli", "-e", "-s", where, "EVAL", script, "2", "fence", "orders", token, "SET", word), "FENCED")


def file(word, check):
    put = ["sh", "-c", 'printf %s "$1" > "$2"', "sh", word, where]
    if check:
        put = [TENURE, "fence", "file", where, "--token", token, "--", *put]
    return outcome(run(*put), "is refused")


def behind_a_proxy(word, check):
    proxy, service = where.split()
    c = http.client.HTTPConnection((proxy if check else service).split("//")[1], timeout=60)
    c.request("PUT", "/", word, {"Tenure-Fencing-Token": token})
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    if r.status < 300:
        return "written"
    return "fenced" if r.status == 412 and '"error":"fenced"' in text else text


def store(word, check):
    compare = f'create("{os.environ["HOLDER_KEY"]}") = "{token}"\n' if check else ""
    r = run(TENURE, "txn", text=f"{compare}\nput /orders {word}\n\n")
    return outcome(r, "") if r.returncode else "written" if "SUCCESS" in r.stdout else "fenced"


write = {"postgresql": postgresql, "sqlite": sqlite, "redis": redis, "file": file, "store": store,
         "http": behind_a_proxy}[kind.split("-")[-1]]
print("ready", flush=True)
for line in sys.stdin:
    print(write(line.strip(), not kind.startswith("unchecked-")), flush=True)
