"""What a peer or a graph makes larger costs at most in proportion: counted in lines that run, and in copies.

About `protocol/graphwire_protocol/codec.py`, `protocol/graphwire_protocol/deltas.py`,
`protocol/graphwire_protocol/filters.py`, `protocol/graphwire_protocol/patches.py`,
`protocol/graphwire_protocol/projection.py`,
`gateway/graphwire_gateway/cutting.py`, `gateway/graphwire_gateway/log/fold.py` and
`gateway/graphwire_gateway/runs/answers.py`. Something of four times the size takes four times the lines; what
is quadratic takes sixteen times. Lines do not see what C copies, so folds count their copies, too.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from graphwire_gateway.cutting import cut
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.runs.answers import check_answers
from graphwire_protocol.codec import decode_command
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Address, Filter, Matcher
from graphwire_protocol.patches import difference
from graphwire_protocol.projection import Projector, restore
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import nests
from tests.support.logs import event
from tests.support.steps import copies_of, lines_of

TIMES = 4
SLACK = 1.6  # a sort, and what is done once


def check_linear(make: Callable[[int], Callable[[], Any]], size: int) -> None:
    """Check that what ``make(size)`` returns takes lines in proportion to ``size``."""
    small, large = lines_of(make(size)), lines_of(make(size * TIMES))
    assert large <= (small + 50) * TIMES * SLACK, f"{small} lines for {size}, {large} for {size * TIMES}"


def check_copies(make: Callable[[int], Callable[[], Any]], size: int) -> None:
    """Check that what ``make(size)`` returns copies in proportion to ``size``."""
    small, large = copies_of(make(size)), copies_of(make(size * TIMES))
    assert large <= (small + 500) * TIMES * SLACK, f"{small} copied for {size}, {large} for {size * TIMES}"


SIZES = st.integers(20, 60)
_GLOB = st.text("ab*?", min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.lists(_GLOB, min_size=1, max_size=8), st.text("ab", min_size=1, max_size=4))
def test_tags_and_nodes_against_globs(size: int, globs: list[str], part: str) -> None:
    matcher = Matcher(Filter(modes=("messages",), nodes=tuple(globs), tags=tuple(globs)))

    def make(size: int) -> Callable[[], Any]:
        address = Address("messages", (), part * size, (part * size, *[part] * size))
        return lambda: matcher.admits(address)

    check_linear(make, size)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.lists(st.sampled_from(["*", "**", "a", "a:1"]), min_size=1, max_size=8))
def test_namespaces_against_patterns(size: int, pattern: list[str]) -> None:
    matcher = Matcher(Filter(modes=("values",), namespaces=(tuple(pattern),)))
    check_linear(lambda size: lambda: matcher.admits(Address("values", ("a:1", "1") * size)), size)


_STATE = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=3),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("ab", max_size=2), part, max_size=3),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(SIZES, _STATE, _STATE)
def test_differences_of_states(size: int, old: Any, new: Any) -> None:
    def make(size: int) -> Callable[[], Any]:
        before = {"list": [old] * size, "keys": {str(number): old for number in range(size)}}
        after = {"list": [old] * (size - 1) + [new], "keys": {str(number): new for number in range(size)}}
        return lambda: difference(before, after)

    check_linear(make, size)


@settings(max_examples=30, deadline=None)
@given(SIZES, _STATE)
def test_cuts_of_states(size: int, value: Any) -> None:
    def make(size: int) -> Callable[[], Any]:
        data = orjson.dumps({f"key {number}": [value, "x" * 100] for number in range(size)})
        return lambda: cut(data, len(data) // 3, 1)

    check_linear(make, size)


def _call(number: int, index: int) -> dict[str, Any]:
    return {"name": None, "args": "x" * 50, "id": f"c{number}", "index": index}


_DELTAS: dict[str, Callable[[int], dict[str, Any]]] = {
    "text": lambda number: {"content": "word " * 10},
    "blocks": lambda number: {"content": [{"type": "text", "text": "x" * 50, "index": 0}]},
    "blocks of langchain": lambda number: {"content": [{"text": "x" * 50, "index": f"lc_txt_{number % 3}"}]},
    "many blocks": lambda number: {"content": [{"type": "text", "text": "x" * 50, "index": number}]},
    "loose blocks": lambda number: {"content": [{"type": "text", "text": "x" * 50}]},
    "text behind blocks": lambda number: {"content": "x" * 50 if number else [{"text": "x", "index": 0}]},
    "blocks behind text": lambda number: {"content": [{"text": "x" * 50, "index": 0}] if number else "x"},
    "arguments": lambda number: {"tool_call_chunks": [{"args": "x" * 50, "id": None, "index": 0}]},
    "calls": lambda number: {"tool_call_chunks": [_call(number, number)]},
    "calls of one index": lambda number: {"tool_call_chunks": [_call(number, 0)]},
    "reasoning": lambda number: {"additional_kwargs": {"reasoning_content": "x" * 50}},
    "nested": lambda number: {"additional_kwargs": {"a": {"b": [{"index": 0, "c": {"d": "x" * 50}}]}}},
    "keys": lambda number: {"response_metadata": {f"key {number}": "x" * 50}},
    "names of indexes": lambda number: {"additional_kwargs": {"index": "x" * 50, "output_version": "x" * 50}},
    "counts": lambda number: {"usage_metadata": {"details": {f"key {number}": 1}, "total": 1}},
}


@pytest.mark.parametrize("kind", _DELTAS)
@pytest.mark.parametrize("calls", [1, 5])
def test_folds_of_messages(kind: str, calls: int) -> None:
    address = Address("messages")

    def make(size: int) -> Callable[[], Any]:
        records = []
        for number in range(size):
            delta = {"type": "AIMessageChunk", **_DELTAS[kind](number // calls)}
            records.append(event("messages", {"id": f"m{number % calls}", "delta": delta}))
            records[-1].address = address

        def fold() -> None:
            made = Fold()
            for record in records:
                made.add(record)
            made.snapshot(Matcher(Filter(modes=("messages",))))

        return fold

    check_linear(make, 50)
    check_copies(make, 50)


def test_folds_of_one_message_that_many_graphs_show() -> None:
    def make(size: int) -> Callable[[], Any]:
        records = []
        for number in range(size):
            delta = {"type": "AIMessageChunk", "content": "word "}
            records.append(event("messages", {"id": "m", "call": "m", "delta": delta}))
            records[-1].address = Address("messages", (f"graph:{number}",))

        def fold() -> None:
            made = Fold()
            for record in records:
                made.add(record)

        return fold

    check_linear(make, 200)


_JSON = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab$", max_size=3),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("ab$", max_size=2), part, max_size=3),
    max_leaves=6,
)


def _frame(fields: dict[str, Any]) -> str:
    return orjson.dumps({"type": "run", "id": 1, "graph": "g", **fields}).decode()


@settings(max_examples=30, deadline=None)
@given(SIZES, _JSON, st.sampled_from(["input", "unknown", "filter", "tags", "metadata", "subscribe"]))
def test_frames_whatever_is_large_in_them(size: int, value: Any, where: str) -> None:
    def make(size: int) -> Callable[[], Any]:
        many = {f"key{number}": value for number in range(size)}
        specs = [{"sub": 1, "filter": {"modes": ["values"], **(many if where == "filter" else {})}}]
        frame = {
            "input": {"input": {"list": [value] * size, **many}},
            "unknown": many,
            "filter": {"subscribe": specs},
            "tags": {"subscribe": [{"sub": 1, "filter": {"modes": ["values"], "tags": [value] * size}}]},
            "metadata": {"metadata": many},
            "subscribe": {"subscribe": [value] * size},
        }[where]
        text = _frame(frame)

        def read() -> None:
            with suppress(Refusal):
                decode_command(text)

        return read

    check_linear(make, size)


@settings(max_examples=30, deadline=None)
@given(SIZES, nests().map(lambda nest: nest[0]))
def test_projections_of_what_a_graph_makes(size: int, value: Any) -> None:
    check_linear(lambda size: lambda: Projector().dumps([value] * size), size)


@settings(max_examples=30, deadline=None)
@given(SIZES, _JSON)
def test_values_that_a_peer_sends(size: int, value: Any) -> None:
    def make(size: int) -> Callable[[], Any]:
        values = [orjson.loads(orjson.dumps(value)) for _ in range(size)]

        def read() -> None:
            with suppress(ValueError):
                restore(values)

        return read

    check_linear(make, size)


_SCHEMA: dict[str, Any] = {
    "type": "array",
    "uniqueItems": True,
    "items": {"anyOf": [{"type": "string", "pattern": "^a+$"}, {"$ref": "#/$defs/part"}]},
    "$defs": {"part": {"type": "object", "additionalProperties": {"$ref": "#/$defs/part"}}},
}


@settings(max_examples=30, deadline=None)
@given(SIZES, _JSON)
def test_answers_against_a_schema(size: int, value: Any) -> None:
    check_linear(lambda size: lambda: check_answers([(_SCHEMA, [value] * size, "answers")]), size)
