"""Which store a URL names, and which saver goes with a store.

``memory://`` keeps logs as long as the process lives. ``sqlite:///file`` keeps them in a file; with
``?synchronous=full`` what clients were shown also survives a loss of power. ``redis://host``, and the other
addresses of a ``RedisServer``, keep them in Redis or Valkey.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlsplit

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.sqlite_saver import SqliteSavers
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.database import Synchronous
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Store

BESIDE = "store"
"""The checkpointer that goes with the store."""

_KNOWN = "this version has memory://, sqlite:///file and redis://host"
_REDIS = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")


@runtime_checkable
class _InRedis(Protocol):
    """A ``RedisStore``, which is imported only where one is used."""

    @property
    def name(self) -> str: ...

    @property
    def prefix(self) -> str: ...

    def another_client(self) -> AbstractAsyncContextManager[Any]: ...


def store_of(store: str | Store, limits: LogLimits) -> Store:
    """Return the store that a URL names; a store is returned as it is. Raises ``CannotServe``."""
    if not isinstance(store, str):
        return store
    if store == "memory://":
        return MemoryStore(limits)
    url = urlsplit(store)
    if url.scheme in ("sqlite", *_REDIS) and "://" not in store:
        example = "sqlite:///runs.db" if url.scheme == "sqlite" else "redis://localhost:6379/0"
        raise CannotServe(f"store {store!r} lacks the slashes behind the colon, as in {example}")
    if url.scheme == "sqlite":
        return _sqlite(store, limits)
    if url.scheme in _REDIS:
        return _redis(store, limits)
    hint = "" if url.scheme else f"; a file is sqlite:///{store.lstrip('/')}"
    raise CannotServe(f"store {url.scheme or store!r} is not known; {_KNOWN}{hint}")


def is_shared(store: str | Store) -> bool:
    """Tell whether several processes can serve one store: it is the URL of one in Redis."""
    return isinstance(store, str) and urlsplit(store).scheme in _REDIS and "://" in store


def shown_store(store: str) -> str:
    """Return the URL of a store as it may be shown: of one in Redis without password and options."""
    if urlsplit(store).scheme not in _REDIS:
        return store
    from graphwire_gateway.log.redis_address import without_password

    return without_password(store)


def saver_for(checkpointer: Any, store: Store) -> Any:
    """Return what ``Savers`` takes: ``checkpointer``, or what makes the savers that go with ``store``.

    The latter is the default if the store has such. Raises ``CannotServe`` if it is asked for and there is
    none.
    """
    if checkpointer is not None and checkpointer != BESIDE:
        return checkpointer
    if isinstance(store, SqliteStore):
        return SqliteSavers(store.path.with_name(f"{store.path.name}-threads"))
    if isinstance(store, _InRedis):
        from graphwire_gateway.graphs.redis_saver import RedisSavers

        return RedisSavers(store.another_client, store.name, store.prefix)
    if checkpointer == BESIDE:
        raise CannotServe(
            f"the checkpointer: {BESIDE!r} keeps threads beside the logs, which only sqlite:// and redis:// "
            "stores have; name such a store, or another checkpointer"
        )
    return None


def _sqlite(text: str, limits: LogLimits) -> SqliteStore:
    url = urlsplit(text)
    path = unquote(url.path[1:])  # sqlite:///a is relative, sqlite:////a is not, as elsewhere in Python
    if url.netloc or not path or path == ":memory:" or not Path(path).name or path.endswith("/"):
        raise CannotServe(
            f"store {text!r} names no file; it is sqlite:///runs.db in the working directory, or "
            "sqlite:////var/lib/graphwire/runs.db with four slashes for an absolute path"
        )
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "normal")
    if options:
        raise CannotServe(f"store {text!r}: {next(iter(options))!r} is not known; it takes synchronous")
    for known in get_args(Synchronous):
        if synchronous == known:
            return SqliteStore(Path(path), limits, known)
    raise CannotServe(f"store {text!r}: synchronous is normal or full, not {synchronous!r}")


def needs_redis() -> None:
    """Check that redis-py is installed. Raises ``CannotServe``."""
    try:
        import hiredis  # noqa: F401
        import redis  # noqa: F401
    except ImportError as error:
        raise CannotServe(
            "a redis:// store needs redis-py, which is not installed: pip install 'graphwire[redis]'"
        ) from error


def _redis(text: str, limits: LogLimits) -> Store:
    needs_redis()
    from graphwire_gateway.log.redis import RedisStore

    return RedisStore(text, limits, is_alone=True)
