"""A replica of a source with authentication on: everybody reads there what he may read at the source, and nothing else."""

import subprocess

from replicas import *


class User(Gateway):
    """A gateway that asks as somebody; name None: as nobody."""

    def __init__(self, url, name=None, at=None):
        super().__init__(url)
        self.token = None
        if name:
            self.token = (at or self).ask("auth/authenticate", {"name": name, "password": "pw-" + name})["token"]

    def ask(self, path, request, timeout=OPEN_TIMEOUT_S):
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection(self.address, timeout=timeout)
            headers = {"Content-Type": "application/json"}
            if self.token:
                headers["Authorization"] = self.token
            self.connection.request("POST", "/v3/" + path, json.dumps(request), headers)
            answer = self.connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise ConnectionError(self.address)
        self.headers = answer.headers
        if answer.status != 200:
            raise Refused(body)
        return body

    def watch(self, create):
        """The first answers of a watch: whether it was created, or why not; then the stream."""
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        headers = {"Authorization": self.token} if self.token else {}
        connection.request("POST", "/v3/watch", json.dumps({"create_request": create}), headers)
        answer = connection.getresponse()
        first = json.loads(answer.readline())
        return first.get("result", first), answer, connection


def role(admin, name, *permissions):
    admin.ask("auth/role/add", {"name": name})
    for kind, key, end in permissions:
        admin.ask("auth/role/grant", {"name": name, "perm": {"permType": kind, "key": b64(key), "range_end": b64(end)}})


def user(admin, name, *roles):
    admin.ask("auth/user/add", {"name": name, "password": "pw-" + name})
    for r in roles:
        admin.ask("auth/user/grant", {"user": name, "role": r})


def users_are_on(world):
    """Authentication is on at the source, which has some keys; answers root there."""
    source = User(world.server.url)
    for key in ("a/1", "a/2", "b/1", "single"):
        source.put(key, "1")
    source.ask("auth/role/add", {"name": "root"})
    user(source, "root", "root")
    role(source, "reader", ("READ", "a/", "a0"), ("READ", "single", ""))
    role(source, "writer", ("WRITE", "b/", "b0"))
    user(source, "reader", "reader")
    user(source, "writer", "writer")
    user(source, "nothing")
    source.ask("auth/enable", {})
    return User(world.server.url, "root")


class UserReplica(Replica):
    """Its password is in a file, beside its data."""

    def command(self, data, url):
        file = self.folder / "password"
        file.write_text("pw-root\n")
        file.chmod(0o600)
        return super().command(data, url) + ["--user", "root", "--password-file", str(file)]


class CertificateReplica(UserReplica):
    scheme = "https"

    def __init__(self, folder, source, certs):
        super().__init__(folder, source, "--listen-cert", f"{certs}/server.pem", "--listen-key", f"{certs}/server.key",
                         "--listen-client-ca", f"{certs}/ca.pem")


def outcome(what):
    """What was answered, or how it was refused; without what differs between any two answers."""
    try:
        body = what()
    except Refused as refused:
        return refused.status, refused.text
    body.pop("header", None)
    return body


RANGES = [("a/", "a0"), ("a/1", ""), ("a/1", "a/3"), ("b/", "b0"), ("b/1", ""), ("single", ""), ("single", "singlf"), ("a/", "b0"),
          ("\0", "\0"), ("a", "")]


def verify_as_root(world, *replicas):
    for replica in replicas:  # a token is known where it was got
        result = world.tenure("replica", "verify", "--from", world.server.url, "--endpoints", replica.url,
                              env=os.environ | {"TENURE_USER": "root", "TENURE_PASSWORD": "pw-root"}, check=True)
        true(" equals the source " in result.stdout, result.stdout)


def everybody_reads_what_he_may(world):
    '''at a replica, and at a replica of one, each user gets for each range, transaction and watch exactly what the source gives'''
    root = users_are_on(world)
    first = UserReplica(world.folder / "first", world.server)
    with servers(first.start()):
        second = UserReplica(world.folder / "second", first)
        with servers(second.start()):
            for name in (None, "root", "reader", "writer", "nothing"):
                there = User(world.server.url, name)
                for replica in (first, second):
                    here = await_(lambda: logged_in(replica, name), f"{name} is known")
                    await_(lambda: outcome(lambda: here.ask("kv/range", {"key": b64("a/1"), "serializable": True}))
                           == outcome(lambda: there.ask("kv/range", {"key": b64("a/1"), "serializable": True})), "users are known")
                    ranges = RANGES if replica is first else RANGES[::3]
                    for serializable in (True, False):
                        for key, end in ranges:
                            request = {"key": b64(key), "range_end": b64(end), "serializable": serializable}
                            equal(outcome(lambda: here.ask("kv/range", request)), outcome(lambda: there.ask("kv/range", request)),
                                  f"{request} as {name}")
                            txn = {"success": [{"request_range": request}], "failure": []}
                            equal(outcome(lambda: here.ask("kv/txn", txn)), outcome(lambda: there.ask("kv/txn", txn)), f"{txn} as {name}")
                    for key, end in ranges:
                        create = {"key": b64(key), "range_end": b64(end)}
                        answers = []
                        for who in (here, there):
                            result, _, connection = who.watch(create)
                            connection.close()
                            answers.append({k: result.get(k) for k in ("created", "canceled", "cancel_reason", "watch_id")})
                        equal(answers[0], answers[1], f"a watch of {create} as {name}")
            here = User(first.url, "writer")
            revision = here.put("b/2", "1")
            for gateway in (User(first.url, "root"), User(second.url, "root")):
                equal(outcome(lambda: here.ask("kv/put", {"key": b64("a/9")})), outcome(lambda: User(world.server.url, "writer").ask(
                    "kv/put", {"key": b64("a/9")})), "a write that is denied")
                equal(gateway.range()[0] >= revision, True, "what was written is there")
            nobody = User(first.url)
            for path, request in (("maintenance/snapshot", {}), ("maintenance/hash", {}), ("kv/put", {"key": b64("a/1")}),
                                  ("auth/user/list", {}), ("auth/disable", {})):
                answer = outcome(lambda: nobody.ask(path, request))
                true(isinstance(answer, tuple) or "error" in answer, f"{path} for nobody: {answer}")
            unknown = User(first.url)
            unknown.token = User(world.server.url, "reader").token  # the source gave it out, and not by way of the replica
            equal(unknown.ask("kv/range", {"key": b64("a/1"), "serializable": True})["count"], "1", "the source answers")
            equal(outcome(lambda: unknown.ask("kv/range", {"key": b64("b/1")})), outcome(lambda: User(world.server.url, "reader").ask(
                "kv/range", {"key": b64("b/1")})), "and refuses")
            unknown.token = "x" * 16 + ".7"
            true("invalid auth token" in outcome(lambda: unknown.ask("kv/range", {"key": b64("a/1"), "serializable": True}))[1], "a token of nobody's")
            catches_up_as(root, first, second)
            verify_as_root(world, first, second)


def logged_in(replica, name):
    with contextlib.suppress(ConnectionError, Refused):
        return User(replica.url, name)


def catches_up_as(root, *replicas):
    revision = root.range()[0]
    for replica in replicas:
        await_(lambda: User(replica.url, "root").range(serializable=True)[0] >= revision, "it has all")


def a_new_copy_is_made_by_the_same_user(world):
    '''a source that has compacted what the replica lacks is copied anew, and nobody reads before users are known again'''
    root = users_are_on(world)
    replica = UserReplica(world.folder / "replica", world.server)
    with servers(replica.start()):
        await_(lambda: logged_in(replica, "root"), "it follows")
        replica.kill()
        root.delete("a/1")
        root.compact(root.put("a/2", "2"))
        revision = root.put("a/3", "1")
        (replica.folder / "data" / "copy").write_text("in the way of a new one")
        replica.start()
        await_(lambda: "no new copy yet" in read(replica.folder / "log"), "it says that there is no new copy")
        reader = await_(lambda: logged_in(replica, "reader"), "it is known")
        get = {"key": b64("a/1"), "serializable": True}
        await_(lambda: not isinstance(outcome(lambda: reader.ask("kv/range", get)), tuple), "it reads from the old one")
        root.ask("auth/user/revoke", {"name": "reader", "role": "reader"})
        await_(lambda: outcome(lambda: reader.ask("kv/range", get)) == (7, "etcdserver: permission denied"), "it may not any more")
        root.ask("auth/user/grant", {"user": "reader", "role": "reader"})
        (replica.folder / "data" / "copy").unlink()

        def all_there():
            time.sleep(0.2)  # each look costs the source a password
            with contextlib.suppress(ConnectionError, Refused):
                return User(replica.url, "reader").range(key=b64("a/"), range_end=b64("a0"), serializable=True) == (
                    revision, {"a/2": "2", "a/3": "1"})
        await_(all_there, "the difference is there")
        equal(outcome(lambda: User(replica.url).ask("kv/range", {"key": b64("a/2"), "serializable": True}))[0], 3, "nobody")
        verify_as_root(world, replica)


def what_is_taken_away_is_gone(world):
    '''a role that is revoked, a password that is changed and a user that is deleted count at the replica soon, for watches too'''
    root = users_are_on(world)
    replica = UserReplica(world.folder / "replica", world.server)
    with servers(replica.start()):
        reader = await_(lambda: logged_in(replica, "reader"), "it is known")
        get = {"key": b64("a/1"), "serializable": True}
        await_(lambda: not isinstance(outcome(lambda: reader.ask("kv/range", get)), tuple), "it may read")
        result, stream, connection = reader.watch({"key": b64("a/"), "range_end": b64("a0")})
        true(result.get("created") and not result.get("canceled"), f"a watch: {result}")
        root.ask("auth/user/revoke", {"name": "reader", "role": "reader"})
        await_(lambda: outcome(lambda: reader.ask("kv/range", get)) == (7, "etcdserver: permission denied"), "it may not any more")
        told = json.loads(stream.readline())["result"]
        true(told.get("canceled") and "permission denied" in told["cancel_reason"], f"its watch ends: {told}")
        connection.close()
        root.ask("auth/user/grant", {"user": "reader", "role": "reader"})
        await_(lambda: not isinstance(outcome(lambda: reader.ask("kv/range", get)), tuple), "it may again, with the same token")
        root.ask("auth/user/changepw", {"name": "reader", "password": "other"})
        await_(lambda: "invalid auth token" in str(outcome(lambda: reader.ask("kv/range", get))), "a token of the old password is over", 40)
        nothing = logged_in(replica, "nothing")
        root.ask("auth/user/delete", {"name": "nothing"})
        await_(lambda: isinstance(outcome(lambda: nothing.ask("kv/range", get)), tuple), "a user that is gone")
        root.ask("auth/disable", {})
        await_(lambda: not isinstance(outcome(lambda: User(replica.url).ask("kv/range", get)), tuple), "with authentication off all may read")
        User(world.server.url).ask("auth/enable", {})
        await_(lambda: isinstance(outcome(lambda: User(replica.url).ask("kv/range", get)), tuple), "and on, nobody")


def cut_off_it_believes_whom_it_knows(world):
    '''without its source it takes the tokens that it knows, and no others; started again without it, nobody's'''
    users_are_on(world)
    replica = UserReplica(world.folder / "replica", world.server)
    with servers(replica.start()):
        reader = await_(lambda: logged_in(replica, "reader"), "it is known")
        get, other = {"key": b64("a/1"), "serializable": True}, {"key": b64("b/1"), "serializable": True}
        await_(lambda: not isinstance(outcome(lambda: reader.ask("kv/range", get)), tuple), "it may read")
        stranger = User(replica.url)
        stranger.token = User(world.server.url, "reader").token
        world.server.kill()
        equal(reader.ask("kv/range", get)["count"], "1", "a read by a token that is known")
        equal(outcome(lambda: reader.ask("kv/range", other))[0], 7, "what it may not read")
        result, _, connection = reader.watch({"key": b64("a/1")})
        connection.close()
        true(result.get("created") and not result.get("canceled"), f"a watch: {result}")
        world_without = outcome(lambda: User(replica.url).ask("kv/range", get))
        equal(world_without[0], 3, f"nobody: {world_without}")
        result = world.tenure("get", "a/1", "--serializable", "--endpoints", replica.url, "--call-timeout", "500ms",
                              env=os.environ | {"TENURE_AUTH_TOKEN": stranger.token})
        true(result.returncode != 0 and result.stdout == "", f"a token that is not known: {result.returncode} {result.stdout}")
        replica.kill()
        result = world.run([TENURE, "replica", "--from", world.server.url, "--data-dir", str(replica.folder / "data"), "--listen",
                            "http://127.0.0.1:0"])
        true(result.returncode == 1 and "--user" in result.stderr, f"without a user: {result.returncode} {result.stderr}")
        replica.start()
        for token in (None, reader.token, stranger.token):
            asks = User(replica.url)
            asks.token = token
            answer = outcome(lambda: asks.ask("kv/range", get))
            true(isinstance(answer, tuple) and answer[0] == 14, f"before users are known: {answer}")
        world.server.start()
        again = await_(lambda: logged_in(replica, "reader"), "it logs in again")
        await_(lambda: not isinstance(outcome(lambda: again.ask("kv/range", get)), tuple), "it reads again")


def who_is_not_root_cannot_follow(world):
    '''a replica whose user may not read users, or has another password, ends with a word'''
    users_are_on(world)
    for who in ("reader:pw-reader", "root:wrong"):
        result = world.run([TENURE, "replica", "--from", world.server.url, "--data-dir", str(world.folder / "copy"), "--listen",
                            "http://127.0.0.1:0", "--user", who], timeout=PATIENCE_S)
        true(result.returncode == 1, f"{who}: {result.returncode} {result.stderr}")
        true(not os.path.exists(world.folder / "copy" / "tenure.db"), "nothing was copied")


def signed_tokens_tell_their_user(world):
    '''with the source's key a signed token is taken that was got elsewhere, cut off too, and no forged one'''
    if world.server_kind != "tenure":
        raise Skip("etcd 3.4 tells no revision of users, without which signatures prove nothing")
    subprocess.run(["openssl", "genrsa", "-out", world.path("key.pem"), "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", world.path("key.pem"), "-pubout", "-out", world.path("pub.pem")], check=True, capture_output=True)
    option = f"jwt,pub-key={world.path('pub.pem')},sign-method=RS256"
    source = Server("tenure", world.folder / "source", f"--auth-token={option},priv-key={world.path('key.pem')},ttl=10m")
    with servers(source.start()):
        world._server = source
        users_are_on(world)
        token = User(source.url, "reader").token
        replica = UserReplica(world.folder / "replica", source, "--auth-token", option)
        with servers(replica.start()):
            asks = User(replica.url)
            asks.token = token
            get = {"key": b64("a/1"), "serializable": True}
            await_(lambda: not isinstance(outcome(lambda: asks.ask("kv/range", get)), tuple), "users are known")
            source.kill()
            equal(asks.ask("kv/range", get)["count"], "1", "a read by a signed token")
            equal(outcome(lambda: asks.ask("kv/range", {"key": b64("b/1"), "serializable": True}))[0], 7, "what it may not read")
            result, _, connection = asks.watch({"key": b64("a/1")})
            connection.close()
            true(result.get("created") and not result.get("canceled"), f"a watch: {result}")
            head, body, signature = token.split(".")
            asks.token = f"{head}.{body}.{signature[:-8]}AAAAAAA{signature[-1]}"
            result, _, connection = asks.watch({"key": b64("a/1")})
            connection.close()
            true(result.get("canceled"), f"a watch by a forged token: {result}")


class Named:
    """etcdctl with a certificate, or without one."""

    def __init__(self, world, certs, url, name, timeout="10s"):
        pair = [f"--cert={certs}/{name}.pem", f"--key={certs}/{name}.key"] if name else []
        self.world, self.argv = world, ["etcdctl", "--endpoints", url, f"--cacert={certs}/ca.pem", *pair, f"--command-timeout={timeout}"]

    def ask(self, *args):
        """Standard output, or what it was refused with."""
        result = self.world.run([*self.argv, *args], env={**os.environ, "ETCDCTL_API": "3"}, timeout=PATIENCE_S)
        return result.stdout.strip() if result.returncode == 0 else "refused: " + result.stderr.strip().replace("\n", " ")

    def watch(self, path, *args):
        """What it says goes into the file."""
        with open(path, "wb") as out:
            return subprocess.Popen([*self.argv, "watch", *args], env={**os.environ, "ETCDCTL_API": "3"}, stdout=out, stderr=out)


def certificates_tell_their_user(world):
    '''a client is known by its certificate, and judged by users as they are followed, cut off too; nothing is written in its name'''
    certs = world.folder / "certs"
    certs.mkdir()
    world.run([os.environ["MKCERTS"], str(certs)], env=dict(os.environ), check=True)
    root = users_are_on(world)
    user(root, "alice", "reader")
    replica = CertificateReplica(world.folder / "replica", world.server, certs)
    with servers(replica.start()):
        alice, bob = (Named(world, certs, replica.url, name) for name in ("alice", "bob"))
        nobody, other = (Named(world, certs, replica.url, name, "1s") for name in (None, "stranger"))
        await_(lambda: alice.ask("get", "a/1", "--consistency=s", "--print-value-only") == "1", "alice reads what a reader may")
        equal(alice.ask("get", "a/", "--prefix", "--keys-only").split(), ["a/1", "a/2"], "a linearizable range")
        for key in ("b/1", ""):
            true("permission denied" in alice.ask("get", key, "--prefix"), f"what a reader may not: {key!r}")
        for who in (bob, nobody, other):
            true(who.ask("get", "a/1", "--consistency=s").startswith("refused: "), "who is no user, and who has no certificate of this authority")
        true(alice.ask("put", "a/1", "2").startswith("refused: "), "a write goes on without a name")
        told = world.path("told")
        watching = alice.watch(told, "a/1", f"--rev={root.put('a/1', '2')}")
        try:
            await_(lambda: read(told).split() == ["PUT", "a/1", "2"], "a watch")
            root.ask("auth/user/revoke", {"name": "alice", "role": "reader"})
            await_(lambda: "permission denied" in alice.ask("get", "a/1", "--consistency=s"), "the role is taken away")
            await_(lambda: watching.poll() is not None, "the watch ends")
        finally:
            watching.kill()
            watching.wait()
        root.ask("auth/user/grant", {"user": "alice", "role": "reader"})
        await_(lambda: alice.ask("get", "a/1", "--consistency=s", "--print-value-only") == "2", "and given back")
        world.server.kill()
        equal(alice.ask("get", "a/1", "--consistency=s", "--print-value-only"), "2", "cut off")
        true("permission denied" in alice.ask("get", "b/1", "--consistency=s"), "cut off, what a reader may not")


def chosen_prefixes_have_users_too(world):
    '''of a copy of chosen prefixes each user gets what he may read of these, and is told what is not held'''
    users_are_on(world)
    replica = UserReplica(world.folder / "replica", world.server, "--prefix", "a/")
    with servers(replica.start()):
        reader, writer, nobody = User(replica.url, "reader"), User(replica.url, "writer"), User(replica.url)
        for serializable in (True, False):
            ask = {"key": b64("a/"), "range_end": b64("a0"), "serializable": serializable}
            await_(lambda: not isinstance(outcome(lambda: reader.ask("kv/range", ask)), tuple), "users are known")
            equal([text(kv["key"]) for kv in reader.ask("kv/range", ask)["kvs"]], ["a/1", "a/2"], "what a reader may read")
            for who in (writer, nobody):
                equal(outcome(lambda: who.ask("kv/range", ask)), outcome(lambda: User(world.server.url, who is writer and "writer").ask("kv/range", ask)),
                      "who may not is refused as there")
        equal(outcome(lambda: reader.ask("kv/range", {"key": b64("single"), "serializable": True}))[0], 9, "what is not held")
        result, _, connection = writer.watch({"key": b64("a/1")})
        connection.close()
        true(result.get("canceled") and "permission denied" in result.get("cancel_reason", ""), f"a watch of a writer: {result}")


def passwords_come_from_files(world):
    '''a password file that is empty, that others can read, or that is not there, is refused with a word'''
    if world.server_kind != "tenure":
        raise Skip("no server is asked")
    file = world.folder / "password"
    begin = [TENURE, "replica", "--from", "http://127.0.0.1:9", "--data-dir", world.path("copy"), "--password-file", str(file)]
    for text, mode, options, why in ((None, 0, ["--user", "root"], "No such file"), ("\n", 0o600, ["--user", "root"], "is empty"),
                                     ("x\n", 0o604, ["--user", "root"], "others can read it"), ("x\n", 0o600, [], "goes with --user"),
                                     ("x" * 300, 0o600, ["--user", "root"], "too long"), ("x\n", 0o600, ["--user", "root:x"], "was given as well")):
        if text is not None:
            file.write_text(text)
            file.chmod(mode)
        result = world.run(begin + options, timeout=PATIENCE_S)
        true(result.returncode == 2 and "--password-file" in result.stderr and why in result.stderr, f"{why}: {result.returncode} {result.stderr}")


main([signed_tokens_tell_their_user, everybody_reads_what_he_may, a_new_copy_is_made_by_the_same_user, what_is_taken_away_is_gone,
      cut_off_it_believes_whom_it_knows, who_is_not_root_cannot_follow, certificates_tell_their_user, chosen_prefixes_have_users_too, passwords_come_from_files])
