"""Every form of output of the commands for keys, against what was recorded."""

from forms import *


def keys(world):
    """get, put, del and txn print what was recorded, in every form"""
    forms = Forms(world, "keys")
    forms.each("version")
    forms.each("put", "/a/{f}", "1")
    forms.each("put", "/a/{f}", "two\nlines", "--prev-kv")
    world.tenure("put", "/wide", "日本 \x1b[2Jx", check=True)
    world.run(["sh", "-c", f"printf '\\377\\376' | {TENURE} put /bytes"], check=True)
    world.tenure("put", "/empty", "", check=True)
    forms.each("get", "/a/text")
    forms.each("get", "", "--prefix")
    forms.each("get", "/none")
    forms.each("get", "", "--prefix", "--keys-only", "--limit", "2")
    forms.each("get", "", "--prefix", "--count-only")
    forms.each("get", "/a/json", "--print-value-only")
    world.tenure("put", "/u", "1", check=True)
    transaction = 'create("/a/text") > "0"\n\nput /t 1\nget /a/ --prefix\ndel /u --prev-kv\n\nget /none\n\n'
    forms.each("txn", input=transaction)
    forms.each("txn", input='create("/none") > "0"\n\n\nget /none\n\n')
    forms.each("txn", input='create("/none") = "0"\n\n\n\n')
    forms.each("watch", "", "--prefix", "--rev", "2", "-n", "5")
    forms.each("watch", "/t", "--rev", "2", "-n", "2", "--prev-kv")
    forms.each("del", "/a/{f}", "--prev-kv")
    forms.each("del", "/a/{f}")
    forms.each("compact", "2")
    forms.close()


def leases(world):
    """lease prints what was recorded, in every form"""
    forms = Forms(world, "leases", [(r'"ttl":\d+', '"ttl":<number>'), (r"remaining\(\d+s\)", "remaining(<number>s)"),
                                    (r"^(<id>|[0-9a-f]{16}) +\d+( |$)", r"\1  <number>\2")])
    forms.each("lease", "list")
    for n, form in enumerate(FORMS, 1):
        world.tenure("lease", "grant", "500", "--id", f"694d77aa9e38260{n}", check=True)
        world.tenure("put", f"/l/{form}", "1", "--lease", f"694d77aa9e38260{n}", check=True)
    forms.each("lease", "list")
    forms.each("lease", "grant", "60")
    forms.each("lease", "keepalive", "694d77aa9e382601", "--once")
    forms.each("lease", "ttl", "694d77aa9e382601")
    forms.each("lease", "ttl", "694d77aa9e382602", "--keys")
    forms.each("get", "/l/{f}")
    for n, form in enumerate(FORMS, 1):
        forms.once(form, "lease", "revoke", f"694d77aa9e38260{n}")
    forms.close()


def caches(world):
    """cache leader prints what was recorded, in every form"""
    forms = Forms(world, "caches", [(r'"stale_ms":\d+', '"stale_ms":<number>'), (r"^(none  -.* )\d+$", r"\1<number>")])
    forms.each("cache", "leader", "none")
    forms.close()


main([keys, leases, caches])
