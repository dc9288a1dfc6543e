"""Where a Redis server is: what a url says, and a client that connects to it, by its Sentinels perhaps."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import redis as blocking
from hiredis import pack_command
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff
from redis.connection import parse_url as blocking_parse_url
from redis.exceptions import ConnectionError
from redis.retry import Retry as BlockingRetry
from redis.sentinel import Sentinel as BlockingSentinel

TIMEOUT_S = 5.0  # each for a connection and an answer; the url may say socket_timeout=..
_BASE_S, _CAP_S = 0.05, 1.0  # the first wait between attempts, and the longest
_SENTINEL_PORT = 26379

_URL = re.compile(r"(?P<scheme>rediss?)\+sentinel://(?:(?P<user>[^@/]*)@)?(?P<hosts>[^/?]+)/(?P<rest>[^?]+)")


def client_of(
    address: str, query: str, attempts: int, on_connect: Callable[[Any], Awaitable[None]]
) -> tuple[Redis, Sentinel | None]:
    """Return a client, and the Sentinels by which it finds its server. Raises ``ValueError``, ``TypeError``.

    ``on_connect`` prepares each new connection.
    """
    retry = Retry(ExponentialBackoff(cap=_CAP_S, base=_BASE_S), attempts - 1)
    place = _place(address, query, parse_url, retry)
    sentinel: Sentinel | None = None
    if place.service is None:
        client = Redis.from_pool(ConnectionPool(redis_connect_func=on_connect, **place.settings))
    else:
        sentinel = Sentinel(place.hosts, sentinel_kwargs=place.of_sentinels)  # type: ignore[no-untyped-call]
        client = sentinel.master_for(place.service, redis_connect_func=on_connect, **place.settings)
    pool: Any = client.connection_pool
    pool.connection_class = type(
        f"Plain{pool.connection_class.__name__}", (_Plain, pool.connection_class), {}
    )
    return client, sentinel


class _Plain:
    """A connection of redis-py's, with two differences.

    It says that it has ended as redis-py expects it, so that that tries again: uvloop says it by a
    ``RuntimeError``, where the server ended a connection that was just made. And hiredis packs its commands,
    as it does for redis-py's blocking connections: in Python that is a tenth of what an append costs.
    """

    def pack_commands(self, commands: Iterable[tuple[Any, ...]]) -> list[bytes]:
        return [pack_command((*command[0].split(), *command[1:])) for command in commands]

    async def send_packed_command(self, *args: Any, **named: Any) -> None:
        try:
            await super().send_packed_command(*args, **named)  # type: ignore[misc]
        except RuntimeError as error:
            raise ConnectionError(str(error)) from error


def blocking_client_of(
    address: str, query: str, timeout_s: float, on_connect: Callable[[Any], None]
) -> blocking.Redis:
    """Return a client for a thread; it tries once, and waits ``timeout_s`` at most for each answer.

    ``on_connect`` prepares each new connection. Raises ``ValueError``, ``TypeError``.
    """
    place = _place(address, query, blocking_parse_url, BlockingRetry(ExponentialBackoff(), 0))
    for settings in (place.settings, place.of_sentinels):
        for name in ("socket_timeout", "socket_connect_timeout"):
            settings[name] = min(settings.get(name, timeout_s), timeout_s)
    if place.service is None:
        pool = blocking.ConnectionPool(redis_connect_func=on_connect, **place.settings)
        return blocking.Redis.from_pool(pool)
    sentinel = BlockingSentinel(place.hosts, sentinel_kwargs=place.of_sentinels)  # type: ignore[no-untyped-call]
    client: blocking.Redis = sentinel.master_for(  # type: ignore[no-untyped-call]
        place.service, redis_connect_func=on_connect, **place.settings
    )
    return client


def without_password(url: str) -> str:
    """Return a url without its password and its options."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def with_prefix(url: str, prefix: str) -> str:
    """Return the url of a store whose keys begin with another prefix."""
    address, _, query = url.partition("?")
    pairs = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "prefix"]
    return f"{address}?{urlencode([*pairs, ('prefix', prefix)])}"


class _Place(NamedTuple):
    """What redis-py takes to connect to a server, or to one that Sentinels know as ``service``."""

    settings: dict[str, Any]
    service: str | None
    hosts: list[tuple[str, int]]
    of_sentinels: dict[str, Any]


def _place(address: str, query: str, parse: Callable[[str], Any], retry: Any) -> _Place:
    behind_sentinels = _URL.fullmatch(address)
    if behind_sentinels is None:
        database = urlsplit(address).path.strip("/")
        if database and not database.isdigit() and not address.startswith("unix:"):
            raise ValueError(f"a database is a number, and not {database!r}")
        return _Place(_settings(parse(f"{address}?{query}"), retry), None, [], {})
    parts = behind_sentinels.groupdict()
    service, _, db = parts["rest"].partition("/")
    user = "" if parts["user"] is None else f"{parts['user']}@"
    settings = _settings(parse(f"{parts['scheme']}://{user}/{db}?{query}"), retry)
    settings.pop("connection_class", None)
    has_tls = parts["scheme"] == "rediss"
    names = ("username", "password")
    of_sentinels = {
        name: settings.pop(f"sentinel_{name}") for name in names if f"sentinel_{name}" in settings
    }
    shared = ("socket_", "ssl_", "retry", "protocol") if has_tls else ("socket_", "retry", "protocol")
    of_sentinels |= {name: value for name, value in settings.items() if name.startswith(shared)}
    settings["ssl"] = of_sentinels["ssl"] = has_tls
    return _Place(
        settings, unquote(service), [_host(each) for each in parts["hosts"].split(",")], of_sentinels
    )


def _settings(said: Any, retry: Any) -> dict[str, Any]:
    """Return what redis-py takes of a url, and what a store needs."""
    return {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        **said,
        "retry": retry,
        "protocol": 2,
        "decode_responses": False,
    }


def _host(text: str) -> tuple[str, int]:
    """Return a host and its port of ``HOST``, ``HOST:PORT`` or ``[IPv6]:PORT``."""
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, str(_SENTINEL_PORT)
    return host.strip("[]"), int(port)
