"""Pages of rows, newest first. A cursor holds the key of a page's last row: its time, then its names.

Rows are sorted by time, since their own order may differ after a clock was set back. If the row of a cursor
is gone, rows of its millisecond may come twice, and none is left out. A page ends early, with a cursor, where
its rows would be larger than one reply may be.
"""

import base64
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import orjson
from graphwire_protocol.errors import Refusal

T = TypeVar("T")
Row = TypeVar("Row")


def page(
    rows: Sequence[Row],
    key: Callable[[Row], tuple[str, ...]],
    limit: int,
    cursor: str | None,
    most_bytes: float = math.inf,
) -> tuple[list[Row], str | None]:
    """Return a page of ``rows`` and the cursor of the next one. ``key(row)`` is its time, then its names.

    Rows of one time keep their order. The page has at most ``limit`` rows and ``most_bytes``, but one row at
    least. Raises ``Refusal(invalid_argument)`` for a foreign cursor.
    """
    return made_page(rows, key, lambda row: row, limit, cursor, most_bytes)


def made_page(
    items: Sequence[T],
    key: Callable[[T], tuple[str, ...]],
    make: Callable[[T], Row],
    limit: int,
    cursor: str | None,
    most_bytes: float = math.inf,
) -> tuple[list[Row], str | None]:
    """Return the same of ``items``, of which ``make(item)`` makes the rows: those of the page alone."""
    items = sorted(items, key=lambda item: key(item)[0], reverse=True)
    skip = 0 if cursor is None else _skip([key(item) for item in items], cursor)
    found = fitting(map(make, items[skip : skip + limit]), most_bytes)
    has_more = len(items) > skip + len(found)
    return found, cursor_of(key(items[skip + len(found) - 1])) if has_more else None


def fitting(rows: Iterable[Row], most_bytes: float) -> list[Row]:
    """Return the first rows, as many as take ``most_bytes`` in all, but one at least."""
    if most_bytes == math.inf:
        return list(rows)
    found: list[Row] = []
    size = 0
    for row in rows:
        size += len(orjson.dumps(row, default=_wire)) + 1
        if found and size > most_bytes:
            break
        found.append(row)
    return found


def _wire(row: Any) -> Any:
    return row.to_wire()


def cursor_of(key: tuple[str, ...]) -> str:
    """Return the cursor of a page whose last row has that key."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode("ascii")


def _skip(keys: list[tuple[str, ...]], cursor: str) -> int:
    """Return how many rows come before the page. If the cursor's row is gone, its time decides."""
    try:
        at, *names = (str(part) for part in orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii"))))
    except (ValueError, TypeError):
        raise Refusal("invalid_argument", "list.cursor: not a cursor that this server gave") from None
    with contextlib.suppress(ValueError):
        return keys.index((at, *names)) + 1
    return sum(key[0] > at for key in keys)
