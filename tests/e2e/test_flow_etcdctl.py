#!/usr/bin/env python3
"""etcdctl, command by command and format by format: what it prints on `tenure serve` is what it prints on etcd."""

import flow
from harness import *


def keys_in_each_format(w):
    """put, get and del print the same in each format, with each of their options"""
    flow.run(w, r"""
        put a 1
        put a 2 --prev-kv
        put b '' -w json
        put c 3 -w fields
        put d 4 -w protobuf --prev-kv
        put d 5 -w json --prev-kv
        put e 6 -w fields --prev-kv
        put a --ignore-value
        put nobody --ignore-value
        put a 1 --ignore-lease
        put -w table a 1
        put < 'x\n'
        put from-stdin < 'some\nlines\n'
        get a
        get a -w json
        get a -w fields
        get a -w protobuf
        get nobody -w json
        get nobody -w fields
        get nobody -w protobuf
        get a -w table
        get a z
        get a z --limit=2 -w json
        get a z --limit=2 -w fields
        get a z --sort-by=VERSION --order=DESCEND
        get a z --sort-by=MODIFY --order=ASCEND
        get a z --sort-by=CREATE
        get a z --sort-by=VALUE --order=DESCEND
        get a z --sort-by=nonsense
        get a z --order=nonsense
        get '' --prefix -w json
        get '' --prefix --keys-only
        get '' --from-key --print-value-only
        get c --from-key
        get c --from-key --prefix
        get a --rev=2
        get a --rev=3 -w json
        get a --rev=999
        get a --rev=-1
        get a --consistency=s
        get a --consistency=x
        get a z --hex
        get
        get a b c
        del a --prev-kv
        del b c -w json --prev-kv
        del c -w fields --prev-kv
        del d -w protobuf --prev-kv
        del nobody
        del
        del '' --prefix
        get '' --prefix -w json
    """)


def transactions_in_each_format(w):
    """txn prints the same for each compare, each operation and each format"""
    flow.run(w, r"""
        put a 1
        put b 2
        lease grant 1000 -> L
        put l 1 --lease=$L
        txn < 'value("a") = "1"\n\nput a 2\nget a\ndel b\n\nget b\n\n'
        txn -w json < 'value("a") = "1"\n\nput a 2\n\nget a\nget b\n\n'
        txn -w fields < 'value("a") > "1"\n\nput a 3\nget a z\n\nget a\n\n'
        txn -w protobuf < 'value("a") < "9"\nmod("a") > "1"\n\nput a 4\nget a c\ndel nobody\n\nget a\n\n'
        txn < 'version("a") = "4"\ncreate("a") = "2"\n\nget a\n\nget b\n\n'
        txn < 'version("a") != "4"\n\nget a\n\nget b --prefix\n\n'
        txn < '\nput x 1\nput x 2\n\n\n'
        txn < '\nput x 1\ndel x\n\n\n'
        txn < '\nget a --rev=1\n\n\n'
        txn < '\nget a --rev=99\n\n\n'
        txn < '\n\n\n'
        txn < 'nonsense\n\n\n\n'
        get '' --prefix -w json
    """)


def leases_in_each_format(w):
    """lease grant, list, timetolive, keep-alive and revoke print the same in each format"""
    flow.run(w, r"""
        lease grant 1000 -> L
        put k1 v --lease=$L
        put k2 v --lease=$L -w json
        get k1 -w json
        get k1 -w fields
        lease list
        lease list -w json
        lease list -w fields
        lease keep-alive --once $L
        lease keep-alive --once $L -w json
        lease keep-alive --once 123abc
        lease timetolive 123abc
        lease timetolive 123abc -w json
        lease timetolive 123abc -w fields
        lease timetolive nonsense
        lease grant nonsense
        lease grant 99999999999
        lease grant 9223372036854775808
        put k3 v --lease=77
        lease revoke $L
        lease revoke $L
        get '' --prefix -w json
        lease list
    """)


def compaction_prints_the_same(w):
    """compaction and what it leaves print the same"""
    flow.run(w, r"""
        put a 1
        put a 2
        put a 3
        del a
        compaction 4
        compaction 4
        compaction 3 --physical
        compaction 99
        compaction
        compaction nonsense
        compaction --physical 5
        get a --rev=4
        get a --rev=5 -w json
    """)


def the_member_and_its_state(w):
    """member list, endpoint health and endpoint status print the same but for numbers of their own"""
    flow.run(w, r"""
        put a 1
        put a 2
        endpoint health
        endpoint hashkv
        endpoint hashkv -w json
        endpoint hashkv -w fields
        compaction 2
        put a 3
        endpoint hashkv -w json
        member list
        member add x --peer-urls=nonsense
        member add x
        member remove 1234
        member remove nonsense
        member update 1234 --peer-urls=http://127.0.0.1:1
        member promote 1234
        alarm list
        alarm disarm
        move-leader 1234
        move-leader nonsense
        move-leader
        version
    """)


def users_and_roles(w):
    """users, roles and permissions are managed, and hold once authentication is on"""
    flow.run(w, r"""
        put a 1
        auth enable
        auth disable
        user list
        user add root:pw
        user add root:pw
        user add u1 --no-password
        user add u2:pw -w json
        user get root
        user get root -w json
        user get nobody
        user list -w fields
        user list -w table
        user grant-role root root
        role add root
        role add r1 -w json
        role add r1
        user grant-role root root
        user grant-role u2 r1
        user grant-role nobody r1
        user revoke-role u2 root
        role list
        role list -w json
        role grant-permission r1 readwrite foo
        role grant-permission r1 read a z -w json
        role grant-permission r1 write b --prefix
        role grant-permission r1 read c --from-key
        role grant-permission r1 nonsense c
        role grant-permission nobody read c
        role get r1
        role get r1 -w json
        role get r1 -w fields
        role get nobody
        user get u2 --detail
        role revoke-permission r1 nobody
        role revoke-permission r1 foo
        role get r1
        user passwd u2 --interactive=false < 'pw2\n'
        auth enable
        get a
        get a --user=root:wrong
        get a --user=root:pw
        get a --user=u2:pw2
        put a 3 --user=u2:pw2
        put bb 3 --user=u2:pw2
        get bb --user=u2:pw2
        get nobody --user=nobody:x
        user list --user=u2:pw2
        user get u2 --user=u2:pw2
        user get root --user=u2:pw2
        member list --user=u2:pw2
        alarm list --user=u2:pw2
        alarm disarm --user=u2:pw2
        txn --user=u2:pw2 < 'value("a") = "2"\n\nput bb 9\n\nget a\n\n'
        user revoke-role u2 r1 --user=root:pw
        get a --user=u2:pw2
        user delete u2 --user=root:pw
        role delete r1 --user=root:pw
        auth disable --user=root:pw
        user delete root
        role delete root
        user delete root
    """)


# In the other modes users are there from the beginning.
main([keys_in_each_format, transactions_in_each_format, leases_in_each_format, compaction_prints_the_same,
      the_member_and_its_state] + ([users_and_roles] if flow.MODE == "plain" else []))
