"""Pages of rows, newest first. A cursor holds the key of a page's last row: its time, then its names."""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson
from graphwire_protocol.errors import Refusal

T = TypeVar("T")


def page(
    rows: Sequence[T], key: Callable[[T], tuple[str, ...]], limit: int, cursor: str | None
) -> tuple[list[T], str | None]:
    """Return a page of ``rows`` and the cursor of the next one. ``key(row)`` is its time, then its names.

    Raises ``Refusal(invalid_argument)`` for a foreign cursor.
    """
    skip = 0 if cursor is None else _skip([key(row) for row in rows], cursor)
    found = list(rows[skip : skip + limit])
    has_more = len(rows) > skip + limit
    return found, _encode(key(found[-1])) if has_more else None


def _encode(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode("ascii")


def _skip(keys: list[tuple[str, ...]], cursor: str) -> int:
    """Return how many rows come before the page. If the cursor's row is gone, its time decides."""
    try:
        at, *names = (str(part) for part in orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii"))))
    except (ValueError, TypeError):
        raise Refusal("invalid_argument", "list.cursor: not a cursor that this server gave") from None
    for index, key in enumerate(keys):
        if list(key[1:]) == names:
            return index + 1
    return sum(key[0] >= at for key in keys)
