"""A projection succeeds whatever a value's own code does, and spoils none of the plain values beside it.

About `protocol/graphwire_protocol/projection.py` and `clients/python/graphwire/arguments.py`.
"""

import datetime
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from graphwire.arguments import projected
from graphwire_protocol import projection
from graphwire_protocol.projection import MAX_VALUES, Cut, Opaque, Projector, restore
from hypothesis import example, given

from tests.support.hostile import (
    BASES,
    MADE,
    METHODS,
    PROPERTIES,
    RAISED,
    SECRET,
    Attributes,
    Detached,
    EndlessList,
    EndlessMap,
    EndlessSet,
    Hidden,
    Liar,
    OddEnum,
    Price,
    Unkind,
    Whole,
    Wide,
    hostile,
    message,
    nests,
    raising,
)


def wire(value: Any) -> Any:
    return orjson.loads(Projector().dumps(value))


def back(value: Any) -> Any:
    return restore(wire(value))


def walked(value: Any) -> Iterator[Any]:
    """Return a value and all its parts."""
    yield value
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    for part in parts:
        yield from walked(part)


@given(nests())
@example((EndlessMap(), ["a"]))
def test_every_value_is_sent_and_its_neighbours_as_they_are(nest: tuple[Any, list[Any]]) -> None:
    inner, neighbours = nest
    sent = wire([*neighbours, inner, {"n": neighbours, "x": inner}, {1}])
    json.dumps(sent, allow_nan=False)
    restored = restore(sent)
    assert restored[: len(neighbours)] == neighbours
    assert restored[-2]["n"] == neighbours
    assert restored[-1] == {1}


@pytest.mark.parametrize("name", MADE)
def test_a_hostile_value_is_sent_and_says_no_secret(name: str) -> None:
    sent = Projector().dumps({"before": 1, "x": MADE[name](), "after": "b"})
    assert SECRET.encode() not in sent
    got = restore(orjson.loads(sent))
    assert (got["before"], got["after"]) == (1, "b")


@pytest.mark.parametrize("error", [*RAISED, Unkind])
@pytest.mark.parametrize("name", METHODS + PROPERTIES)
def test_nothing_that_a_value_raises_passes_through(name: str, error: type[BaseException]) -> None:
    values = [hostile(*base, [name], error) for base in BASES]
    assert back([*values, "plain"])[-1] == "plain"
    assert back({"values": values, "plain": [1]})["plain"] == [1]


# ── what stands in their place ───────────────────────────────────────────────────────────────────


def test_only_what_cannot_be_read_is_replaced() -> None:
    unread = Opaque("<cannot be read: PydanticSerializationError>", "object")
    assert back(Price()) == {"cents": unread, "note": "kept"}
    assert back(Detached()) == {"id": 1, "owner": Opaque("<cannot be read: RuntimeError>", "object")}
    assert back(Wide()) == {"a": "a", "bad": Opaque("<cannot be read: GeneratorExit>", "object"), "b": "b"}
    assert back(Hidden()) == {
        "secret": Opaque("<cannot be read: ZeroDivisionError>", "object"),
        "note": "kept",
    }


def test_a_field_of_a_message_that_cannot_be_read_leaves_the_others_whole() -> None:
    sent = wire(message())
    assert (sent["type"], sent["content"]) == ("ai", "hi")


def test_a_key_or_a_name_that_is_no_plain_text_costs_no_neighbour() -> None:
    class Name(str):
        encode = raising(SystemExit)

    class Own:
        __graphwire_message__ = True
        type, content = "ai", "hi"

    own = Own()
    own.__dict__[Name("x")] = 1
    assert wire(own) == {"type": "ai", "content": "hi", "x": 1}
    assert wire({"a": 1, Liar(): 2})["$map"][0] == ["a", 1]


def test_what_a_scalars_own_methods_return_is_not_trusted() -> None:
    class Moment(datetime.datetime):
        def isoformat(self, *args: Any) -> Any:
            return {1: object()}

    class Blob(bytes):
        __bytes__ = raising(SystemExit)

    assert back([Moment(2026, 1, 1), Blob(b"x"), 1])[1:] == [b"x", 1]
    assert back(Moment(2026, 1, 1)).text == "<cannot be read: TypeError>"


def test_a_repr_that_exits_is_named_and_one_that_lies_about_its_length_is_shortened() -> None:
    class Long(str):
        __len__ = lambda self: 0  # noqa: E731

    class Shown:
        def __repr__(self) -> str:
            return Long("x" * 10_000)

    exits = hostile(object, (), ["__repr__"], SystemExit)
    assert back(exits) == Opaque("<Hostile whose repr raised SystemExit>", "Hostile")
    assert len(back(Shown()).text) == 200


def test_a_serializer_that_raises_is_not_bypassed_by_a_repr() -> None:
    assert back(Whole()) == Opaque("<cannot be read: PydanticSerializationError>", "Whole")
    assert SECRET.encode() not in Projector().dumps([Price(), Whole(), {"deep": [Hidden(), {1}]}])


def test_an_error_that_cannot_be_described_is_an_error_without_a_description() -> None:
    assert Projector(raising(KeyboardInterrupt)).project([ValueError(), 1]) == [{"$error": {}}, 1]


def test_an_enum_whose_value_raises_is_replaced() -> None:
    opaque = Opaque("<cannot be read: SystemExit>", "OddEnum")
    for value in (OddEnum.A, [OddEnum.A, 1], {"a": {"b": OddEnum.A}}, {OddEnum.A: 1}):
        assert opaque in list(walked(back(value)))


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────


def test_a_collection_that_is_too_large_is_cut_alone_and_at_once() -> None:
    huge = dict.fromkeys(range(MAX_VALUES + 1))
    start = time.perf_counter()
    assert back({"huge": huge, "list": [{1}] * (MAX_VALUES + 1), "plain": [1, {2}]}) == {
        "huge": Cut("size", 2 * len(huge)),
        "list": Cut("size", 2 * len(huge)),
        "plain": [1, {2}],
    }
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("endless", [EndlessMap, EndlessSet, EndlessList])
def test_what_has_no_end_is_cut_and_its_neighbours_are_whole(endless: Callable[[], Any]) -> None:
    value = back({"many": [endless() for _ in range(40)], "plain": {"a": [1, {2}]}})
    assert {type(item) for item in value["many"]} == {Cut}
    assert value["plain"] == {"a": [1, {2}]}


def test_a_few_lists_that_stand_for_very_many_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "MAX_VALUES", 1 << 14)
    monkeypatch.setattr(projection, "MAX_BYTES", 1 << 24)
    many: Any = [{1}]
    for _ in range(12):
        many = [many] * 12
    sent = Projector().dumps([many, "plain"])
    assert b'"$cut":{"reason":"size"' in sent
    assert len(sent) < (1 << 14) * 50
    assert orjson.loads(sent)[-1] == "plain"
    text, blob = "x" * (1 << 20), b"x" * (1 << 20)
    assert len(Projector().dumps([{1}, *[text] * 100])) < (1 << 24) + 100_000
    assert len(Projector().dumps([{1}, *[blob] * 100])) < (1 << 24) + 100_000
    assert len(Projector().dumps([{1}, *[{text: 1}] * 100])) < (1 << 24) + 100_000


def test_bytes_that_are_too_many_are_cut_before_they_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "MAX_BYTES", 1000)
    assert back([b"x" * 1001, b"x" * 100]) == [Cut("size", 1001), b"x" * 100]


def test_a_mapping_that_another_thread_changes_is_read_as_it_is() -> None:
    shared: dict[Any, Any] = {n: n for n in range(100)}
    stop = threading.Event()

    def change() -> None:
        for n in itertools.count(100):
            shared[n] = n
            del shared[n - 100]
            if stop.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            assert isinstance(back(shared), dict)
    finally:
        stop.set()
        thread.join()


# ── encoders of an operator ──────────────────────────────────────────────────────────────────────


class Money:
    def __init__(self, cents: Any) -> None:
        self.cents = cents


class Tip(Money):
    pass


def encoded(value: Any, encoders: dict[type, Callable[[Any], Any]]) -> Any:
    return restore(orjson.loads(Projector(encoders=encoders).dumps(value)))


def test_an_encoder_is_asked_for_what_has_no_json_form_and_the_nearest_class_decides() -> None:
    encoders: dict[type, Callable[[Any], Any]] = {
        object: lambda value: "anything",
        Money: lambda value: {"cents": {value.cents}},
        str: lambda value: "never asked",
    }
    value = {"price": Money(5), "tip": Tip(6), "other": Attributes(), "text": "a", "list": [1]}
    assert encoded(value, encoders) == {
        "price": {"cents": {5}},
        "tip": {"cents": {6}},
        "other": "anything",
        "text": "a",
        "list": [1],
    }


@pytest.mark.parametrize("error", [*RAISED, Unkind])
def test_an_encoder_that_raises_makes_a_value_that_cannot_be_read(error: type[BaseException]) -> None:
    unread = Opaque(f"<cannot be read: {error.__name__}>", "Money")
    assert encoded([1, Money(5), {"a": 2}], {Money: raising(error)}) == [1, unread, {"a": 2}]


def test_an_encoder_without_an_end_is_cut() -> None:
    assert "depth" in str(encoded([Money(5)], {Money: lambda value: [Money(value.cents)]}))
    assert encoded(Money(5), {Money: lambda value: value}) == Cut("cycle")


# ── inputs of a client ───────────────────────────────────────────────────────────────────────────


UNREADABLE = (
    "field serializer",
    "model serializer",
    "one item",
    "endless map",
    "zone",
    "detached",
    "metaclass",
)


@pytest.mark.parametrize("name", [*UNREADABLE, "endless iterator", "lock", "cycle"])
def test_an_input_that_cannot_be_read_is_refused_by_its_path(name: str) -> None:
    with pytest.raises(TypeError, match=r"^input\.rows\[1\]\S* cannot be sent") as caught:
        projected({"rows": [1, MADE[name]()]}, "input")
    assert SECRET not in str(caught.value)
