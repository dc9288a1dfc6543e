"""Where a Redis server is: what a url says, and a client that connects to it, by its Sentinels perhaps."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff

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
    behind_sentinels = _URL.fullmatch(address)
    if behind_sentinels is None:
        settings = _settings(f"{address}?{query}", attempts)
        return Redis.from_pool(ConnectionPool(redis_connect_func=on_connect, **settings)), None
    parts = behind_sentinels.groupdict()
    service, _, db = parts["rest"].partition("/")
    user = "" if parts["user"] is None else f"{parts['user']}@"
    settings = _settings(f"{parts['scheme']}://{user}/{db}?{query}", attempts)
    has_tls = settings.pop("connection_class", None) is SSLConnection
    names = ("username", "password")
    of_sentinels = {
        name: settings.pop(f"sentinel_{name}") for name in names if f"sentinel_{name}" in settings
    }
    shared = ("socket_", "ssl_", "retry", "protocol") if has_tls else ("socket_", "retry", "protocol")
    of_sentinels |= {name: value for name, value in settings.items() if name.startswith(shared)}
    hosts = [_host(each) for each in parts["hosts"].split(",")]
    of_sentinels["ssl"] = has_tls
    sentinel = Sentinel(hosts, sentinel_kwargs=of_sentinels)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(
        unquote(service), ssl=has_tls, redis_connect_func=on_connect, **settings
    )
    return client, sentinel


def without_password(url: str) -> str:
    """Return a url without its password and its options."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _settings(url: str, attempts: int) -> dict[str, Any]:
    """Return what redis-py takes of a url, and what a store needs."""
    return {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        **parse_url(url),
        "retry": Retry(ExponentialBackoff(cap=_CAP_S, base=_BASE_S), attempts - 1),
        "protocol": 2,
        "decode_responses": False,
    }


def _host(text: str) -> tuple[str, int]:
    """Return a host and its port of ``HOST``, ``HOST:PORT`` or ``[IPv6]:PORT``."""
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, str(_SENTINEL_PORT)
    return host.strip("[]"), int(port)
