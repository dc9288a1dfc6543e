"""Arguments of Python become what the wire takes: values as JSON, filters and positions as models.

A wrong argument raises here, before anything is sent, with the path of what is wrong.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import orjson
from graphwire_protocol.base import Wire
from graphwire_protocol.commands import From, Position, Response
from graphwire_protocol.errors import path_text
from graphwire_protocol.filters import Exclude, Filter
from graphwire_protocol.projection import Projector, TagError, restore
from graphwire_protocol.suggest import choices_of, did_you_mean
from graphwire_protocol.types import Mode
from pydantic import ValidationError

IfBusy: TypeAlias = Literal["reject", "enqueue", "interrupt"]
"""What a run does on a thread that has a run already."""

Start: TypeAlias = str | tuple[str, int]
"""Where a stream starts: ``"start"``, ``"now"``, ``"snapshot"``, or after the position ``(epoch, seq)``."""

_ID = "A-Z a-z 0-9 . _ : -"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._:\-]")
_LONGEST_ID = 128

_ARGUMENTS = {"credit": "window"}
"""Arguments that have another name than the field that they become."""

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
    given = first["input"]
    # The names of the members of a union that were tried are no part of the path.
    parts = [
        part
        for part in first["loc"]
        if isinstance(part, int) or not (part.endswith("]") or part in ("Position", "str"))
    ]
    if parts and parts[0] in _ARGUMENTS and not name:
        parts[0] = _ARGUMENTS[parts[0]]
    path = path_text(parts, name)
    if first["type"] == "string_pattern_mismatch" and (wrong := _why_no_id(given)):
        return f"{path} {wrong}"
    if choices := choices_of(first):
        meant = did_you_mean(given, choices) if isinstance(given, str) else ""
        return f"{path}: {given!r} is none of {', '.join(choices)}{meant}"
    message = "a list is expected here" if first["type"] == "tuple_type" else first["msg"]
    return f"{path}: {message}" if path else message


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
            instead = did_you_mean(str(key), takes)[2:] or f"it takes {', '.join(takes)}"
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
        refuse_unknown(exclude, Exclude.model_fields, "exclude")
        fields["exclude"] = dict(exclude)  # type: ignore[assignment]
    return checked(Filter, fields)


def position_of(start: Start) -> From:
    """Return the position for ``start``. Raises ``ValueError``."""
    if isinstance(start, str):
        if start not in ("start", "now", "snapshot"):
            raise ValueError(f'start is "start", "now", "snapshot" or (epoch, seq), not {start!r}')
        return start  # type: ignore[return-value]
    epoch, seq = start
    return checked(Position, {"epoch": epoch, "seq": seq}, "start")
