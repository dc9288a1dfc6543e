"""A projection costs no more than in proportion to what may be sent, loses no key, and always makes JSON.

About `protocol/graphwire_protocol/projection.py`, `protocol/graphwire_protocol/plain.py` and
`protocol/graphwire_protocol/scalars.py`.
"""

import datetime
import enum
import itertools
import json
import math
from typing import Any

import orjson
import pytest
from graphwire_gateway.cutting import LEVELS, cut, cut_whole
from graphwire_protocol import projection
from graphwire_protocol.plain import is_plain
from graphwire_protocol.projection import Cut, Projector, TagError, restore
from graphwire_protocol.scalars import sendable
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.hostile import EndlessList, EndlessMap, EndlessSet, OddEnum, nests

LIMIT = 20_000
HIGH, LOW = chr(0xD800), chr(0xDFFF)
"""Surrogates, each of which is no character alone."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the values that projections visit, in the only entry."""
    count = [0]
    visit = projection._Walk.value

    def counted(self: Any, value: Any, depth: int) -> Any:
        count[0] += 1
        return visit(self, value, depth)

    monkeypatch.setattr(projection._Walk, "value", counted)
    return count


def ballooning(leaf: Any, width: int = 10, depth: int = 20) -> Any:
    """A few lists that stand for very many: each holds the one below it ``width`` times."""
    for _ in range(depth):
        leaf = [leaf] * width
    return leaf


# ── what is plain ────────────────────────────────────────────────────────────────────────────────

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text("ab$\ud800", max_size=4),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text("ab$", max_size=3), part, max_size=4),
    max_leaves=20,
)


@given(plain | nests().map(lambda nest: nest[0]))
@example({"a": {"b": None}})
@example([math.nan])
def test_the_short_way_writes_what_the_long_way_writes(value: Any) -> None:
    if is_plain(value, projection.MAX_DEPTH, 10_000, 10_000):
        assert orjson.loads(Projector().dumps(value)) == Projector().project(value)


@pytest.mark.parametrize(
    ("value", "is_so"),
    [
        ({"a": 1, "b": None, "c": "x", "d": True}, True),
        ({"a": [1.5, {"b": (1, 2)}]}, True),
        ([math.nan], False),
        ({"a": math.inf}, False),
        ({1: 2, "a": []}, False),
        ([OddEnum.A], False),
        ({"a": {"b": OddEnum.A}}, False),
        (OddEnum.A, False),
        ({"a": {1}}, False),
        (ballooning(1), False),
        (["x" * 400] * 5, False),
        ({"x" * 400: [{"x" * 400: []}] * 5}, False),
        (list(range(2000)), False),
        # Small objects, whose parts are repeated.
        ({"a": dict.fromkeys("abc", "x" * 400)}, False),
        ({"a": ["x" * 400] * 3}, False),
        ({"a": {"x" * 400: 1}, "b": {"x" * 400: 1}, "c": {"x" * 400: 1}}, False),
        ({"x" * 1001: 1}, False),
        ({"a": "x" * 900, "b": {"c": [1, None, True]}}, True),
        ({"a": {1: 2}}, False),
    ],
)
def test_only_what_is_of_pythons_own_classes_and_not_too_much_is_plain(value: Any, is_so: bool) -> None:
    assert is_plain(value, 64, 1000, 1000) is is_so


def test_nesting_and_cycles_are_no_deeper_than_the_bound() -> None:
    deep: Any = []
    for _ in range(63):
        deep = [deep]
    assert is_plain(deep, 64, 1000, 1000)
    assert not is_plain([deep], 64, 1000, 1000)
    loop: list[Any] = []
    loop.append(loop)
    assert not is_plain({"a": loop}, 64, 1000, 1000)


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────

LARGE = {
    "endless list": EndlessList,
    "endless map": EndlessMap,
    "endless set": EndlessSet,
    "very many keys": lambda: dict.fromkeys(range(200_000)),
    "very many lists": lambda: [[] for _ in range(200_000)],
    "a million shared lists": lambda: ballooning(1, 10, 6),
    "very many shared lists": lambda: ballooning(1),
    "very many shared sets": lambda: ballooning({1}),
    "very many shared texts": lambda: ballooning("x" * 1000),
    "a large text": lambda: "x" * 1_000_000,
    "large bytes": lambda: b"x" * 1_000_000,
    "a long key": lambda: {"k" * 1_000_000: 1, 1: 1},
    "a generator": lambda: itertools.count(),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("beside", [1, "text", {1}])
def test_what_is_too_large_costs_what_may_be_sent_and_no_neighbour(
    name: str, beside: Any, steps: list[int]
) -> None:
    neighbour = {"a": [1, "b", {"c": [2]}], "t": "n" * 500, "beside": beside}
    value = {"first": neighbour, "x": LARGE[name](), "y": LARGE[name](), "last": neighbour}
    sent = Projector(max_bytes=LIMIT).dumps(value)
    assert steps[0] <= LIMIT
    assert len(sent) <= 20 * LIMIT
    got = restore(orjson.loads(sent))
    assert got["first"] == got["last"] == neighbour
    assert len(got) == 4


def test_however_many_are_too_large_each_neighbour_has_its_share(steps: list[int]) -> None:
    state = {f"{n}": ballooning({n}) if n % 2 else {"n": [n, {"deep": [n] * 5}]} for n in range(40)}
    got = restore(orjson.loads(Projector(max_bytes=LIMIT).dumps({"node": state})))["node"]
    assert all(got[f"{n}"] == state[f"{n}"] for n in range(0, 40, 2))
    assert steps[0] <= LIMIT


def test_what_fits_is_never_cut() -> None:
    for value in ([[]] * (LIMIT // 3 - 1), [0] * (LIMIT // 2 - 1), ["x"] * (LIMIT // 4 - 1)):
        for more in (value, [*value[:-9], {1}]):
            sent = Projector(max_bytes=LIMIT).dumps(more)
            assert len(sent) <= LIMIT
            assert orjson.loads(sent)[:-9] == value[: len(more) - 9]


@settings(deadline=None)
@given(nests(), st.integers(300, 2000), st.sampled_from(["values", "updates", "custom"]))
def test_what_any_value_becomes_is_json_within_the_limit(
    nest: tuple[Any, list[Any]], limit: int, mode: str
) -> None:
    inner, neighbours = nest
    state = {"x": inner, "n": neighbours, "y": {1: inner}}
    data = {"node": state} if mode == "updates" else state
    encoded = Projector(max_bytes=limit).dumps(data)
    left = cut(encoded, limit, LEVELS.get(mode, 0))
    assert len(left) <= limit
    got = json.loads(left, parse_constant=pytest.fail)
    if left == cut_whole(len(encoded)):
        assert len(encoded) > limit
        return
    found = got["node"] if mode == "updates" else got
    assert restore(found["n"]) in (neighbours, Cut("size", len(orjson.dumps(neighbours))))


# ── keys and texts ───────────────────────────────────────────────────────────────────────────────


class Color(enum.Enum):
    RED = "red"


class Text(str):
    """A text that is no other's equal."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def test_a_lone_surrogate_is_replaced_and_a_pair_is_its_character() -> None:
    assert sendable("a\ud83d") == "a\ufffd"
    assert sendable("\ude00a\ud83d\ude00\ufeff\U0001f600") == "\ufffda\U0001f600\ufeff\U0001f600"
    assert sendable("plain ü") == "plain ü"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"a" + HIGH: 1, "a" + LOW: 2}, {"$map": [["a\ufffd", 1], ["a\ufffd", 2]]}),
        ({"a" + HIGH: 1, "a\ufffd": 2}, {"$map": [["a\ufffd", 1], ["a\ufffd", 2]]}),
        ({1: "a", "1": "b"}, {"$map": [[1, "a"], ["1", "b"]]}),
        ({Color.RED: 1, "red": 2}, {"$map": [["red", 1], ["red", 2]]}),
        ({Text("a"): 1, Text("a"): 2}, {"$map": [["a", 1], ["a", 2]]}),
        ({None: 1, "null": 2, True: 3}, {"$map": [[None, 1], ["null", 2], [True, 3]]}),
    ],
)
def test_keys_that_json_takes_for_one_are_both_sent(value: Any, sent: Any) -> None:
    assert orjson.loads(Projector().dumps(value)) == sent
    assert Projector().project([value, {1}])[0] == sent
    pairs = [tuple(pair) for pair in sent["$map"]]
    back = restore(sent)
    assert sorted(map(repr, back.items() if isinstance(back, dict) else back)) == sorted(map(repr, pairs))


def test_a_key_that_occurs_twice_does_not_come_in() -> None:
    with pytest.raises(TagError, match="a key twice"):
        restore({"$map": [["a", 1], ["a", 2]]}, inbound=True)


keys = (
    st.text("a1\ud800\udfff\ufffd", max_size=2)
    | st.integers(0, 2)
    | st.none()
    | st.sampled_from([Color.RED, "red", Text("a"), datetime.date(2026, 1, 1), "2026-01-01", (1,), b"a"])
)


@given(st.dictionaries(keys, st.integers(0, 9), max_size=6))
def test_no_item_of_a_dict_is_lost(value: dict[Any, int]) -> None:
    sent = orjson.loads(Projector().dumps(value))
    items = [item for _, item in sent["$map"]] if "$map" in sent else [*(sent.get("$obj") or sent).values()]
    assert items == list(value.values())
    assert len(restore(sent)) == len(value)


def test_fields_of_one_name_are_both_sent_under_different_ones() -> None:
    sent = orjson.loads(Projector().dumps_fields({"a" + HIGH: 1, "a" + LOW: 2, "b": 3}))
    assert sent == {"a\ufffd": 1, "a\ufffd\ufffd": 2, "b": 3}
