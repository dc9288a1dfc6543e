"""Which store a URL names.

``memory://`` keeps logs as long as the process lives. ``sqlite:///file`` keeps them in a file; with
``?synchronous=full`` what clients were shown also survives a loss of power.
"""

from pathlib import Path
from typing import get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.database import Synchronous
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Store

_KNOWN = "this version has memory:// and sqlite:///file"


def store_of(store: str | Store, limits: LogLimits) -> Store:
    """Return the store that a URL names; a store is returned as it is. Raises ``CannotServe``."""
    if not isinstance(store, str):
        return store
    if store == "memory://":
        return MemoryStore(limits)
    url = urlsplit(store)
    if url.scheme == "sqlite":
        return _sqlite(store, limits)
    raise CannotServe(f"store {url.scheme or store!r} is not known; {_KNOWN}")


def threads_file(store: Store) -> Path | None:
    """Return the file in which threads are kept that go with a store; None if there are none."""
    return store.path.with_name(f"{store.path.name}-threads") if isinstance(store, SqliteStore) else None


def _sqlite(text: str, limits: LogLimits) -> SqliteStore:
    url = urlsplit(text)
    path = unquote(url.path[1:])  # sqlite:///a is relative, sqlite:////a is not, as elsewhere in Python
    if url.netloc or not path or path == ":memory:" or path.endswith("/"):
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
