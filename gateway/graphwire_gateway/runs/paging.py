"""Pages of rows, newest first: a cursor names the last row of a page by its time and its names."""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson
from graphwire_protocol.errors import Refusal

T = TypeVar("T")


def page(
    rows: Sequence[T], place: Callable[[T], tuple[str, ...]], limit: int, cursor: str | None
) -> tuple[list[T], str | None]:
    """Return a page of ``rows`` and the cursor of the next one. ``place(row)`` is its time, then its names.

    Raises ``Refusal(invalid_argument)`` for a foreign cursor.
    """
    skip = 0 if cursor is None else _skip([place(row) for row in rows], cursor)
    found = list(rows[skip : skip + limit])
    has_more = len(rows) > skip + limit
    return found, _encode(place(found[-1])) if has_more else None


def _encode(place: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode("ascii")


def _skip(places: list[tuple[str, ...]], cursor: str) -> int:
    """Return how many rows a page begins behind; a row that is gone meanwhile is passed by its time."""
    try:
        at, *names = (str(part) for part in orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii"))))
    except (ValueError, TypeError):
        raise Refusal("invalid_argument", "list.cursor: not a cursor that this server gave") from None
    for index, place in enumerate(places):
        if list(place[1:]) == names:
            return index + 1
    return sum(place[0] >= at for place in places)
