#!/usr/bin/env python3
"""Endpoints by DNS SRV, from a small DNS server that answers as the test says, rightly or not."""

import concurrent.futures
import os
import re
import socketserver
import sys
import threading

try:
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rrset
except ImportError:  # this Python may not be Debian's
    debian = "/usr/bin/python3"
    if os.path.realpath(sys.executable) != os.path.realpath(debian) and os.path.exists(debian):
        os.execv(debian, [debian, *sys.argv])
    raise

from harness import *

MKCERTS = os.environ["MKCERTS"]


class Dns:
    """On one port of 127.0.0.1, UDP and TCP. records: {service: [(priority, weight, port, target)]}, a service without its
    domain; what is not there is NXDOMAIN. treat(response, tcp) may change an answer; None = silence."""

    domain = "cluster.test"

    def __init__(self, records, ttl=300, treat=None):
        self.records, self.ttl, self.treat = records, ttl, treat or (lambda response, tcp: response)
        self.asked, self.over_tcp = [], 0
        dns_server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                wire = dns_server.answer(self.request[0], tcp=False)
                if wire:
                    self.request[1].sendto(wire, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                size = self.rfile.read(2)
                if len(size) < 2:
                    return
                dns_server.over_tcp += 1
                wire = dns_server.answer(self.rfile.read(int.from_bytes(size, "big")), tcp=True)
                if wire:
                    self.wfile.write(len(wire).to_bytes(2, "big") + wire)

        class TcpServer(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        for _ in range(20):  # a port that is free for both
            self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
            self.udp.daemon_threads = True
            try:
                self.tcp = TcpServer(self.udp.server_address, Tcp)
                break
            except OSError:
                self.udp.server_close()
        self.address = f"127.0.0.1:{self.udp.server_address[1]}"
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, wire, tcp):
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query, recursion_available=True)
        name = query.question[0].name
        self.asked.append(name.to_text())
        here = self.records.get(name.to_text().removesuffix(f".{self.domain}."))
        if here is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif here:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "SRV",
                                                       *[f"{p} {w} {port} {target}" for p, w, port, target in here]))
        response = self.treat(response, tcp)
        if isinstance(response, dns.message.Message):
            return response.to_wire(max_size=65535)
        return response

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()


PLAIN, TLS = "_etcd-client._tcp", "_etcd-client-ssl._tcp"


def environment(dns_server, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TENURE_", "ETCDCTL_"))}
    return {**env, "TENURE_DNS_SERVER": dns_server.address, **more}


def tenure(w, dns_server, *args, domain=Dns.domain, options=(), **more):
    return w.tenure(*args, "--discovery-srv", domain, *options, env=environment(dns_server), **more)


def finds_it(w, dns_server, **more):
    tenure(w, dns_server, "put", "a", "1", check=True, **more)
    equal(tenure(w, dns_server, "get", "a", "--print-value-only", check=True, **more).stdout, "1\n")


def fails(w, dns_server, wanted, call_timeout="1s", **more):
    p = tenure(w, dns_server, "get", "a", "--call-timeout", call_timeout, **more)
    true(p.returncode != 0 and re.search(wanted, p.stderr), f"{wanted!r} in {p.returncode} {p.stderr!r}")


def at_once(function, cases):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(function, cases))


def of(server):
    return int(server.url.rsplit(":", 1)[1])


def records_lead_to_the_server(w):
    """the records of a domain lead to the server, without any endpoint"""
    with Dns({PLAIN: [(0, 0, of(w.server), "localhost.")]}) as d:
        finds_it(w, d)
        equal(set(d.asked), {f"{PLAIN}.{d.domain}.", f"{TLS}.{d.domain}."})
        env = environment(d, TENURE_DISCOVERY_SRV=d.domain)
        equal(w.run([TENURE, "get", "a", "--print-value-only"], env=env).stdout, "1\n")
        asked = len(d.asked)
        env["TENURE_ENDPOINTS"] = w.server.url  # then the environment's domain is not asked
        equal(w.run([TENURE, "get", "a", "--print-value-only"], env=env).stdout, "1\n")
        equal(len(d.asked), asked)


def a_name_is_part_of_the_service(w):
    """a service name is asked for as etcd's clients do"""
    with Dns({"_etcd-client-blue._tcp": [(0, 0, of(w.server), "localhost.")]}) as d:
        finds_it(w, d, options=["--discovery-srv-name", "blue"])
        true(f"_etcd-client-ssl-blue._tcp.{d.domain}." in d.asked, f"{d.asked}")
        env = environment(d, TENURE_DISCOVERY_SRV=d.domain, TENURE_DISCOVERY_SRV_NAME="blue")
        equal(w.run([TENURE, "get", "a", "--print-value-only"], env=env).stdout, "1\n")


def the_lowest_priority_is_used(w):
    """what has the lowest priority is connected to, the others only when it cannot be reached"""
    other = Server(w.server_kind, w.path("other")).start()
    try:
        with Dns({PLAIN: [(20, 9, of(w.server), "localhost."), (10, 0, of(other), "localhost.")]}) as d:
            for i in range(3):
                p = tenure(w, d, "put", f"k{i}", "1", "--verbose", check=True)
                true(f"in use endpoint=http://localhost:{of(other)}" in p.stderr.replace('"', ""), p.stderr)
            other.kill()
            p = tenure(w, d, "put", "k", "1", "--verbose", check=True)
            true(f"in use endpoint=http://localhost:{of(w.server)}" in p.stderr.replace('"', ""), p.stderr)
    finally:
        other.end()


def records_may_change(w):
    """a handle that lives on follows the records when their time is over, and when its connection is lost"""
    other = Server(w.server_kind, w.path("other")).start()
    try:
        with Dns({PLAIN: [(0, 0, of(w.server), "localhost.")]}, ttl=0) as d:
            watch = w.start("watch", "a", "--discovery-srv", d.domain, "--verbose", env=environment(d))
            seen = []

            def says(text):
                while True:
                    line = watch.stderr.readline()
                    seen.append(line)
                    true(line, f"says {text}: {seen}")
                    if text in line.replace('"', ""):
                        return

            says(f"in use endpoint=http://localhost:{of(w.server)}")
            d.records = {PLAIN: [(0, 0, of(other), "localhost.")]}
            says(f"endpoint learnt endpoint=http://localhost:{of(other)}")
            w.server.kill()
            says(f"in use endpoint=http://localhost:{of(other)}")
            lost = [line for line in seen if f"localhost:{of(w.server)}" in line and "in use" in line]
            equal(len(lost), 1, "how often the one that has gone was used")
    finally:
        other.end()


def no_records(w):
    """no such domain, an empty answer and a target of "." are said by name"""
    w.server

    def says_so(records):
        with Dns(records) as d:
            fails(w, d, "_etcd-client._tcp.cluster.test: there are no SRV records")
    at_once(says_so, [{}, {PLAIN: []}, {PLAIN: [(0, 0, 0, ".")]}, {PLAIN: [(0, 0, 2379, "a,http://b.")]}])


def silence(w):
    """a server of names that is silent or fails keeps a call no longer than its deadline"""
    w.server
    with Dns({}, treat=lambda response, tcp: None) as d:
        fails(w, d, "not been answered yet|no server of names answers", call_timeout="300ms")

    def failing(response, tcp):
        response.set_rcode(dns.rcode.SERVFAIL)
        return response
    with Dns({}, treat=failing) as d:
        fails(w, d, "no server of names answers, or it has failed|not been answered yet")


def one_service_of_two(w):
    """the records that can be had are used, whatever becomes of the other service"""
    def no_tls(response, tcp):
        if "ssl" in response.question[0].name.to_text():
            response.set_rcode(dns.rcode.SERVFAIL)
        return response
    with Dns({PLAIN: [(0, 0, of(w.server), "localhost.")]}, treat=no_tls) as d:
        finds_it(w, d)


def truncation(w):
    """an answer that is cut is asked for again over TCP"""
    def cut(response, tcp):
        if not tcp:
            response.flags |= dns.flags.TC
            response.answer.clear()
        return response
    with Dns({PLAIN: [(0, 0, of(w.server), "localhost.")]}, treat=cut) as d:
        finds_it(w, d)
        true(d.over_tcp > 0, "TCP was used")


def many_records(w):
    """of hundreds of records those of the lowest priorities are kept"""
    def only_tcp(response, tcp):
        if not tcp:
            response.flags |= dns.flags.TC
            response.answer.clear()
        return response
    dead = [(9 + i % 3, 0, 1 + i, "localhost.") for i in range(300)]
    with Dns({PLAIN: [*dead, (0, 0, of(w.server), "localhost.")]}, treat=only_tcp) as d:
        finds_it(w, d)


def lies(w):
    """answers to another question, with another number, of another name, and noise are not believed"""
    w.server
    wrong = "6.6.6.6"

    def other_id(response, tcp):
        response.id ^= 1
        return response

    def other_owner(response, tcp):
        for rrset in response.answer:
            rrset.name = dns.name.from_text("_etcd-client._tcp.evil.test.")
        return response

    def noise(response, tcp):
        return response.to_wire()[:12] + b"\xff" * 40

    def is_not_believed(treat):
        with Dns({PLAIN: [(0, 0, 1, f"{wrong}.")]}, treat=treat) as d:
            p = tenure(w, d, "get", "a", "--call-timeout", "1s", "--verbose")
            true(p.returncode != 0 and wrong not in p.stdout + p.stderr, f"{treat.__name__}: {p.stderr}")
    at_once(is_not_believed, [other_id, other_owner, noise])


def an_alias(w):
    """an alias of the service is followed"""
    def alias(response, tcp):
        for rrset in list(response.answer):
            target = dns.name.from_text("_service.elsewhere.test.")
            response.answer.clear()
            response.answer.append(dns.rrset.from_text(rrset.name, 60, "IN", "CNAME", target.to_text()))
            rrset.name = target
            response.answer.append(rrset)
        return response
    with Dns({PLAIN: [(0, 0, of(w.server), "localhost.")]}, treat=alias) as d:
        finds_it(w, d)


def several_addresses(w):
    """a target with several addresses is reached by whichever answers"""
    w.server  # on 127.0.0.1 alone; localhost is ::1 as well, where the machine has it
    with Dns({PLAIN: [(0, 0, of(w.server), "localhost.")]}) as d:
        finds_it(w, d)


def certificates(w):
    """certificates must be for the domain"""
    if w.server_kind != "tenure":
        raise Skip("one server with TLS is enough")
    folder = Path(w.path("certs"))
    folder.mkdir()
    w.run([MKCERTS, str(folder)], env=dict(os.environ), check=True)
    server = w.start("serve", "--data-dir", w.path("tls"), "--listen-client-urls", "https://127.0.0.1:0", "--cert-file",
                     f"{folder}/server.pem", "--key-file", f"{folder}/server.key", env=dict(os.environ))
    port = int(re.search(r"https://[^ ]+:(\d+)", server.stdout.readline()).group(1))
    with Dns({TLS: [(0, 0, port, "localhost.")]}) as d:
        fails(w, d, "hostname mismatch", options=["--cacert", f"{folder}/ca.pem"])
        d.domain = "localhost"  # what the certificate is for
        finds_it(w, d, domain="localhost", options=["--cacert", f"{folder}/ca.pem"])


def what_cannot_be_is_refused(w):
    """a domain that is too long and a server that is no address are refused when the handle is opened"""
    env = {**os.environ, "TENURE_DNS_SERVER": "nowhere"}
    p = w.tenure("get", "a", "--discovery-srv", "x.test", env=env)
    true(p.returncode != 0 and "is not IPV4[:PORT]" in p.stderr, p.stderr)
    env["TENURE_DNS_SERVER"] = "127.0.0.1:53"
    p = w.tenure("get", "a", "--discovery-srv", "x" * 300, env=env)
    true(p.returncode != 0 and "too long" in p.stderr, p.stderr)


main([records_lead_to_the_server, a_name_is_part_of_the_service, the_lowest_priority_is_used, records_may_change, no_records,
      silence, one_service_of_two, truncation, many_records, lies, an_alias, several_addresses, certificates,
      what_cannot_be_is_refused])
