"""Which Redis a store takes, and what it promises by its configuration.

About `gateway/graphwire_gateway/log/redis_address.py`, `gateway/graphwire_gateway/log/redis_keys.py` and
`gateway/graphwire_gateway/log/redis_server.py`.
"""

import asyncio
import re
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.redis_saver import RedisSaver
from graphwire_gateway.log import redis_owner
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from langgraph.checkpoint.base import empty_checkpoint
from redis.asyncio import Connection, Redis

from tests.gateway.test_store import batch
from tests.support.redis import RedisProcess, free_port, redis_server
from tests.support.redis_stores import asked, opened, renewed, seen


async def refused(url: str) -> str:
    """Open a store, which must fail; return why."""
    store = RedisStore(url)
    try:
        with pytest.raises(CannotServe) as caught:
            await store.open()
    finally:
        await store.aclose()
    assert "secret" not in str(caught.value)
    return str(caught.value)


def as_user(server: RedisProcess, user: str, password: str = "secret") -> str:
    return server.url.replace("//", f"//{user}:{password}@")


async def set_user(server: RedisProcess, *rules: str) -> None:
    async with Redis.from_url(server.url) as client:
        await client.execute_command("ACL", "SETUSER", "ann", "reset", "on", ">secret", *rules)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of a store renews its place all the time."""
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.02)


# ── what is refused by name ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"cluster_enabled": "yes"}, "is a node of a Redis Cluster"),
        ({"replicaof": "127.0.0.1 1"}, "is a replica, and cannot be written"),
        ({"maxmemory": "100mb", "maxmemory_policy": "allkeys-lru"}, r"deletes keys .* \(it is allkeys-lru\)"),
        ({"requirepass": "secret"}, "refuses the user or the password"),
        ({"sentinel": ""}, "is a Sentinel; write redis\\+sentinel://"),
    ],
)
async def test_a_server_that_cannot_keep_logs_is_refused_by_name(config: Any, why: str) -> None:
    with redis_server(**config) as server:
        assert re.search(f"redis://127.0.0.1:{server.port}/0 {why}", await refused(server.url))


async def test_a_full_cache_that_deletes_nothing_is_taken() -> None:
    with redis_server(maxmemory="100mb", maxmemory_policy="noeviction") as server:
        async with opened(server.url) as store:
            await store.create("r", "e")


async def test_wrong_passwords_and_users_without_rights_are_refused_by_name() -> None:
    with redis_server() as server:
        await set_user(server, "~*", "&*", "+@all")
        assert "refuses the user or the password" in await refused(as_user(server, "ann", "other"))
        assert "refuses the user or the password" in await refused(as_user(server, "nobody"))
        for rules in (
            ("~*", "&*", "+@all", "-xadd"),
            ("~other:*", "&*", "+@all"),
            ("~*", "&*", "+@all", "-set"),
            ("~*", "&*", "+@all", "-zadd"),
            ("~*", "&*", "+@all", "-subscribe"),
            ("~*", "&other:*", "+@all"),
            ("~*", "&*", "-@all", "+hello", "+config"),
        ):
            await set_user(server, *rules)
            assert "refuses what a store does" in await refused(as_user(server, "ann")), rules


async def test_the_rights_that_are_named_are_enough(often: None) -> None:
    with redis_server(appendonly="yes") as server:
        await set_user(server, "~graphwire:*", "&graphwire:*", "-@all")
        why = await refused(as_user(server, "ann"))
        assert (
            "'~graphwire:*', '&graphwire:*', @connection, @hash, @string, @stream, @sortedset, @set, "
            "@keyspace, @scripting, @pubsub and time" in why
        )
        named = ("connection", "hash", "string", "stream", "sortedset", "set", "keyspace", "scripting")
        named = (*named, "pubsub")
        rights = [f"+@{name}" for name in named]
        await set_user(server, "~graphwire:*", "&graphwire:*", *rights, "+time")
        async with opened(as_user(server, "ann") + "?durability=crash", is_alone=True) as store:
            await renewed(server)
            async with asked(server) as client:
                users = [each["user"] for each in await client.client_list()]
            assert users.count("default") == 1, "all but this client are the store's"
            assert store.durability == "crash", "as the url says, where the configuration cannot be read"
            await store.create("r", "e")
            heads: list[int] = []
            store.tail("r", heads.append)
            await store.append([batch("r", 1, 100)])
            await store.trim(store.size)
            await store.touch(["r"])
            assert await store.claim("r", "e", "e2") == 100
            await store.close("r", 1)
            assert (await store.base("r")).upto == 100
            await store.delete("r")
        async with opened(as_user(server, "ann")) as store:
            assert store.durability == "none"
        async with RedisSaver.from_url(as_user(server, "ann")) as saver:
            place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
            await saver.aput(place, empty_checkpoint(), {}, {})
            await saver.adelete_thread("t")
            assert await saver.aget_tuple(place) is None


async def test_what_is_no_server_or_no_address_is_refused() -> None:
    assert "cannot be reached" in await refused(f"redis://127.0.0.1:{free_port()}/0")
    assert "cannot be reached" in await refused(f"redis+sentinel://127.0.0.1:{free_port()}/service")
    for url in (
        "http://localhost",
        "redis+sentinel://localhost",
        "redis://localhost?socket_timeout=soon",
        "redis://h?wrong=1",
        "redis://h/1/x",
        "redis://h/name",
    ):
        with pytest.raises(CannotServe, match="is no address of a Redis server"):
            RedisStore(url)
    with pytest.raises(CannotServe, match="'wrong' is no option of it"):
        RedisStore("redis://h?wrong=1")
    with pytest.raises(CannotServe, match="a database is a number, and not '1/x'"):
        RedisStore("redis://h/1/x")
    with pytest.raises(CannotServe, match="prefix is empty; leave it out, or name one"):
        RedisStore("redis://h?prefix=")
    with pytest.raises(CannotServe, match="durability is one of none, crash, power"):
        RedisStore("redis://localhost?durability=all")


# ── what is promised ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "query", "durability"),
    [
        ({}, "", "none"),
        ({"save": '"1 1"'}, "", "none"),
        ({"appendonly": "yes", "appendfsync": "no"}, "", "crash"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "", "crash"),
        ({"appendonly": "yes", "appendfsync": "always", "no_appendfsync_on_rewrite": "no"}, "", "power"),
        ({"appendonly": "yes", "appendfsync": "always", "no_appendfsync_on_rewrite": "yes"}, "", "crash"),
        ({}, "?durability=power", "power"),
    ],
)
async def test_what_survives_is_what_the_configuration_promises(
    config: Any, query: str, durability: str
) -> None:
    with redis_server(**config) as server:
        async with opened(f"{server.url}{query}") as store:
            assert store.durability == durability


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


def certified(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of 127.0.0.1, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    now = datetime.now(timezone.utc)
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(host, False).add_extension(x509.BasicConstraints(True, None), True)
    certificate, secret = folder / "redis.pem", folder / "redis.key"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    return certificate, secret


async def test_a_store_speaks_tls_and_checks_who_answers(tmp_path: Path, often: None) -> None:
    certificate, key = certified(tmp_path)
    port = free_port()
    config = {"tls_port": str(port), "tls_cert_file": str(certificate), "tls_key_file": str(key)}
    with redis_server(**config, tls_ca_cert_file=str(certificate), tls_auth_clients="no") as server:
        url = f"rediss://127.0.0.1:{port}/0"
        assert "CERTIFICATE_VERIFY_FAILED" in await refused(url)
        async with opened(f"{url}?ssl_ca_certs={certificate}", is_alone=True) as store:
            await renewed(server)
            await store.create("r", "e")
            heads: list[int] = []
            store.tail("r", heads.append)
            await store.append([batch("r", 1, 100)])
            assert await seen(store, "r") == list(range(1, 101))


async def test_many_may_ask_at_once() -> None:
    with redis_server() as server:
        async with opened(server.url) as store, asked(server) as client:
            runs = [f"r{number}" for number in range(300)]
            await client.config_resetstat()
            await asyncio.gather(*(store.create(run, "e") for run in runs))
            await store.append([batch(run, 1) for run in runs])
            pages = await asyncio.gather(*(store.read(run, 0, 1) for run in runs), *map(store.base, runs))
            assert [page.head for page in pages[:300]] == [1] * 300
            assert (await client.info("stats"))["total_connections_received"] < 20


async def test_a_connection_that_ends_while_it_is_made_is_one_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send, cuts = Connection.send_packed_command, 0

    async def cut(*args: Any, **named: Any) -> None:
        nonlocal cuts
        if cuts:
            cuts -= 1
            raise RuntimeError("unable to perform operation; the handler is closed")  # as uvloop says it
        await send(*args, **named)

    monkeypatch.setattr(Connection, "send_packed_command", cut)
    with redis_server() as redis:
        server = RedisServer(redis.url)
        patient = RedisServer(redis.url, attempts=3)
        try:
            cuts = 1
            with pytest.raises(CannotServe, match="cannot be reached: unable to perform"):
                await server.open()
            await server.open()
            cuts = 1
            with pytest.raises(StoreAway, match="the handler is closed"):
                await server.answers([("PING",)])
            assert await server.answers([("PING",)]) == [True]
            cuts = 2
            assert await patient.client.ping(), "as after any other failure, it is tried again"
        finally:
            await server.aclose()
            await patient.aclose()


# ── Sentinels ────────────────────────────────────────────────────────────────────────────────────


def test_the_address_of_a_service_behind_sentinels_is_read_whole() -> None:
    url = "rediss+sentinel://ann:s%40t@one:1,two,[::1]:3/my%20service/4?sentinel_password=x&socket_timeout=2"
    server = RedisServer(url)
    assert server.name == "rediss+sentinel://one:1,two,[::1]:3/my%20service/4"
    sentinel = server._sentinel
    assert sentinel is not None
    found = [each.connection_pool.connection_kwargs for each in sentinel.sentinels]
    assert [(each["host"], each["port"]) for each in found] == [("one", 1), ("two", 26379), ("::1", 3)]
    assert {(each["password"], each["socket_timeout"]) for each in found} == {("x", 2.0)}
    pool: Any = server._client.connection_pool
    assert pool.service_name == "my service"
    settings = pool.connection_kwargs
    names = ("username", "password", "db", "socket_timeout")
    assert [settings[name] for name in names] == ["ann", "s@t", 4, 2.0]
    assert "SSL" in pool.connection_class.__name__
    of_thread: Any = server.blocking_client(1.5, print).connection_pool
    assert of_thread.service_name == "my service"
    assert [of_thread.connection_kwargs[name] for name in names] == ["ann", "s@t", 4, 1.5]
    assert "SSL" in of_thread.connection_class.__name__
    found = [each.connection_pool.connection_kwargs for each in of_thread.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in found] == [("one", 1), ("two", 26379), ("::1", 3)]
    assert {(each["password"], each["socket_timeout"]) for each in found} == {("x", 1.5)}


@pytest.mark.long
async def test_a_store_behind_sentinels_goes_on_at_the_next_master(often: None) -> None:
    with redis_server(appendonly="yes", appendfsync="always") as first:
        follows = {"replicaof": f"127.0.0.1 {first.port}", "repl_diskless_sync_delay": "0"}
        with redis_server(**follows) as second:
            async with Redis.from_url(second.url) as client:
                while (await client.info("replication"))["master_link_status"] != "up":
                    pass
            watch = (
                f"sentinel monitor logs 127.0.0.1 {first.port} 1\nsentinel down-after-milliseconds logs 500"
            )
            with redis_server(sentinel=watch) as sentinel:
                url = f"redis+sentinel://127.0.0.1:{sentinel.port}/logs"
                async with opened(url, is_alone=True) as store, opened(url) as reader:
                    await renewed(first)
                    assert store.durability == "crash", "the next master may lack what this one has synced"
                    await store.create("r", "e")
                    heads: list[int] = []
                    reader.tail("r", heads.append)
                    await store.append([batch("r", 1, 3)])
                    async with Redis.from_url(first.url) as client:
                        await client.wait(1, 5000)
                    first.kill()
                    while True:
                        try:
                            assert await store.append([batch("r", 4, 2)]) == [5]
                            break
                        except StoreAway:
                            continue
                    await renewed(second)
                    assert await seen(reader, "r") == [1, 2, 3, 4, 5]
                    while heads[-1:] != [5]:
                        await reader.read("r", 0, 0)
