"""Arguments of Python become what the wire takes: values as JSON, filters and positions as models.

A wrong argument raises here, before anything is sent, with the path of what is wrong.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import orjson
from graphwire_protocol.base import Wire
from graphwire_protocol.commands import From, Position, Response
from graphwire_protocol.filters import Filter
from graphwire_protocol.projection import Projector, TagError, restore
from graphwire_protocol.types import Mode
from pydantic import ValidationError

IfBusy: TypeAlias = Literal["reject", "enqueue", "interrupt"]
"""What a run does on a thread that has a run already."""

Start: TypeAlias = str | tuple[str, int]
"""Where a stream starts: ``"start"``, ``"now"``, ``"snapshot"``, or after the position ``(epoch, seq)``."""

_ID = "A-Z a-z 0-9 . _ : -"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._:\-]")
_LONGEST_ID = 128

W = TypeVar("W", bound=Wire)

_PROJECTOR = Projector()


def projected(value: Any, name: str) -> Any:
    """Return ``value`` as the wire's JSON. Raises ``TypeError`` if it has no JSON form; ``name`` begins the
    path.
    """
    plain = orjson.loads(_PROJECTOR.dumps(value))
    try:
        restore(plain, inbound=True, path=name)
    except TagError as error:
        raise TypeError(
            f"{error.path or name} cannot be sent to a server: it holds an object without a JSON form or "
            "one that cannot be read, a cycle, too deep a nesting, or too much"
        ) from None
    return plain


def checked(model: type[W], fields: Mapping[str, Any], name: str = "") -> W:
    """Return ``model(**fields)``. Raises ``ValueError`` with the path of the first error; ``name`` begins
    it.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise ValueError(_sentence(error, name)) from None


def _sentence(error: ValidationError, name: str) -> str:
    first = error.errors(include_url=False)[0]
    parts = [str(part) for part in first["loc"]]
    path = ".".join([name, *parts] if name else parts)
    if first["type"] == "string_pattern_mismatch" and (wrong := _why_no_id(first["input"])):
        return f"{path} {wrong}"
    return f"{path}: {first['msg']}" if path else first["msg"]


def responses_of(responses: Mapping[str, Any] | None) -> tuple[Response, ...]:
    """Return the answers by interrupt as the wire has them. Raises ``TypeError``."""
    if not isinstance(responses, Mapping | None):
        raise TypeError(
            f"respond() takes a dict, {{interrupt's id: answer}}, not {type(responses).__name__}; "
            "if the run asks one question, answer(value) needs no id"
        )
    return tuple(
        Response(interrupt=id, value=projected(value, f"responses[{id!r}]"))
        for id, value in (responses or {}).items()
    )


def refuse_unknown(
    given: Mapping[str, Any], known: Iterable[str], name: str, elsewhere: Mapping[str, str] | None = None
) -> None:
    """Raise ``ValueError`` for a key of ``given`` that is none of ``known``: it would have no effect.

    ``name`` is the argument that holds ``given``; ``elsewhere`` says what to write instead of a key.
    """
    takes = sorted(known)
    for key in given:
        if key in takes:
            continue
        instead = (elsewhere or {}).get(key)
        if instead is None:
            similar = difflib.get_close_matches(str(key), takes, n=1)
            instead = f"did you mean {similar[0]!r}?" if similar else f"it takes {', '.join(takes)}"
        raise ValueError(f"{name}[{key!r}] has no effect; {instead}")


def require_id(value: str, path: str) -> None:
    """Raise ``ValueError`` if ``value`` cannot be an id; ``path`` says where the user wrote it."""
    wrong = _why_no_id(value)
    if wrong is not None:
        raise ValueError(f"{path} {wrong}")


def _why_no_id(value: str) -> str | None:
    """Return the rest of a sentence about why ``value`` cannot be an id; None if it can."""
    bad = dict.fromkeys(_NOT_IN_IDS.findall(value))
    if bad:
        quoted = _NOT_IN_IDS.sub(lambda found: f":{ord(found[0]):x}", value)
        characters = " ".join(map(repr, bad))
        return (
            f"{value!r} holds {characters}; an id takes {_ID} only: replace or quote the others, "
            f"as in {quoted!r}"
        )
    if not 1 <= len(value) <= _LONGEST_ID:
        return f"has {len(value)} characters; an id takes 1 to {_LONGEST_ID}, of {_ID}"
    return None


def filter_of(
    modes: Sequence[Mode],
    namespaces: Sequence[Sequence[str]] | None,
    nodes: Sequence[str] | None,
    tags: Sequence[str] | None,
    keys: Sequence[str] | None,
    exclude: Mapping[str, Any] | None,
) -> Filter:
    """Return the filter of these arguments. Raises ``ValueError``."""
    given = {"modes": modes, "nodes": nodes, "tags": tags, "keys": keys, "namespaces": namespaces}
    for name, value in given.items():
        if isinstance(value, str):
            raise ValueError(f"{name} is a list, such as {name}=[{value!r}], not a string")
    for pattern in namespaces or ():
        if isinstance(pattern, str):
            raise ValueError(f"each of namespaces is a list of segments, such as [{pattern!r}], not a string")
    fields = {name: value for name, value in given.items() if value is not None}
    if exclude is not None:
        fields["exclude"] = dict(exclude)  # type: ignore[assignment]
    return checked(Filter, fields, "filter")


def position_of(start: Start) -> From:
    """Return the position for ``start``. Raises ``ValueError``."""
    if isinstance(start, str):
        if start not in ("start", "now", "snapshot"):
            raise ValueError(f'start is "start", "now", "snapshot" or (epoch, seq), not {start!r}')
        return start  # type: ignore[return-value]
    epoch, seq = start
    return checked(Position, {"epoch": epoch, "seq": seq}, "start")
