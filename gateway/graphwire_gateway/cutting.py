"""What is too large to send becomes smaller: its largest parts are replaced, by ``$cut`` with their size.

Everything here works on JSON that is encoded already, and only on what exceeds its limit. So what fits costs
nothing, and what is cut is the same for every reader. The largest parts are cut first, until the rest fits.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import orjson
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.projection import looks_like_message

Slot: TypeAlias = tuple[Any, Any]
"""A part that may be cut: the object or the list that holds it, and its key or index there."""

LEVELS = {"values": 1, "updates": 2, "tasks": 2, "checkpoints": 2, "debug": 3}
"""How many levels of objects the data of a mode has above the keys of states; other data is cut whole."""


def stand_in(size: int) -> dict[str, Any]:
    """Return what stands for a value of ``size`` bytes."""
    return {"$cut": {"reason": "size", "bytes": size}}


def cut_whole(size: int) -> bytes:
    """Return the same as JSON."""
    return orjson.dumps(stand_in(size))


_CUT_BYTES = len(cut_whole(0)) - 1
"""What it takes beside the digits of the size."""


def cut_anywhere(data: bytes) -> int | None:
    """Return the size of the first thing in ``data`` that was cut for its size; None if nothing was."""
    found = _CUT.search(data)
    return None if found is None else int(found[1])


_CUT = re.compile(rb'\{"\$cut":\{"reason":"size","bytes":(\d+)')
"""What stands for a value of some size. No text in JSON holds it: there a quote has a backslash before it."""


def cut(data: bytes, limit: int, levels: int = 0) -> bytes:
    """Return JSON of at most ``limit`` bytes: ``data``, or what is left of it.

    Down to ``levels`` of objects, the values of their keys are cut one by one, the largest first. If they all
    are small and still too many, and without levels, ``data`` is cut as a whole.

    It costs what parsing ``data`` costs, and beyond that about a microsecond for each key that is measured.
    None is if the names alone take more than ``limit``.
    """
    if len(data) <= limit:
        return data
    if levels:
        tree = orjson.loads(data)
        parts = list(slots(tree, levels))
        if _least(parts) <= limit and shrink(parts, len(data) - limit):
            return orjson.dumps(tree)
    return cut_whole(len(data))


def _least(parts: list[Slot]) -> int:
    """Return how many bytes ``parts`` take at least, whatever their values are."""
    return sum([len(key) for _, key in parts]) + len(b'"":0,') * len(parts)


def slots(tree: Any, levels: int) -> Iterator[Slot]:
    """Return the values of the keys of ``tree`` that may be cut, ``levels`` of objects deep.

    A list of objects is as deep as each of them. A message and a tagged value are cut only as a whole, but
    for ``$obj``, whose object is looked into.
    """
    if not _has_keys(tree):
        return
    if "$obj" in tree:
        tree = tree["$obj"]
    if levels == 1:
        yield from [(tree, key) for key in tree]
        return
    for key, value in tree.items():
        parts = value if isinstance(value, list) else [value]
        if parts and all(map(_has_keys, parts)):
            for part in parts:
                yield from slots(part, levels - 1)
        else:
            yield tree, key


def cut_snapshot(frame: bytes, limits: AnnouncedLimits) -> tuple[bytes, bool]:
    """Return a ``snapshot`` frame that fits, and whether its oldest messages had to be left out for that.

    Keys of its values, whole messages and questions are cut, the largest first, to ``max_event_bytes``
    together. A message that is cut keeps its ``type``, and what stands beside it: its id, its node, and its
    metadata as far as it fits.
    """
    if len(frame) <= limits.max_event_bytes:
        return frame, False
    tree = orjson.loads(frame)
    rows = tree["messages"]
    parts: list[Slot] = [(row, "message") for row in rows]
    parts += question_slots(tree["interrupts"])
    if "values" in tree:
        parts += list(slots(tree["values"], 1)) or [(tree, "values")]
    kinds = [row["message"].get("type") for row in rows]
    shrink(parts, sum(len(orjson.dumps(holder[key])) for holder, key in parts) - limits.max_event_bytes)
    for row, kind in zip(rows, kinds, strict=True):
        if "$cut" in row["message"] and isinstance(kind, str):
            row["message"] = {"type": kind, **row["message"]}
    excess = len(orjson.dumps(tree)) - limits.largest_message
    if excess > 0:
        shrink((slot for row in rows for slot in slots(row.get("meta"), 1)), excess)
        excess = len(orjson.dumps(tree)) - limits.largest_message
    first = 0
    while excess > 0 and first < len(rows):
        excess -= len(orjson.dumps(rows[first])) + 1
        first += 1
    tree["messages"] = rows[first:]
    if excess > 0 and "values" in tree:  # many small keys beside many questions
        tree["values"] = stand_in(len(orjson.dumps(tree["values"])))
    return orjson.dumps(tree), first > 0


def question_slots(questions: Iterable[dict[str, Any]]) -> Iterator[Slot]:
    """Return what may be cut of interrupts on the wire: all but how they are answered."""
    for question in questions:
        yield from ((question, name) for name in question if name not in ("id", "ns"))


def _has_keys(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    if len(value) == 1 and isinstance(value.get("$obj"), dict):
        return bool(value["$obj"])
    return not any(key.startswith("$") for key in value) and not looks_like_message(value)


def shrink(parts: Iterable[Slot], excess: int) -> bool:
    """Cut the largest of ``parts`` until ``excess`` bytes are saved; return whether they are.

    Of parts of the same size the first is cut.
    """
    if excess <= 0:
        return True
    sized = [(len(orjson.dumps(holder[key])), holder, key) for holder, key in parts]
    sized.sort(key=lambda part: -part[0])
    for size, holder, key in sized:
        saved = size - _CUT_BYTES - len(str(size))
        if saved <= 0:
            break
        holder[key] = stand_in(size)
        excess -= saved
        if excess <= 0:
            return True
    return False
