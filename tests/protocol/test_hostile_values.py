"""A projection succeeds whatever a value's own code does, and spoils none of the plain values beside it.

About `protocol/graphwire_protocol/projection.py` and `clients/python/graphwire/arguments.py`.

Long because it is one list of values whose own code misbehaves, and what is sent for each.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import PurePosixPath
from typing import Annotated, Any
from unittest.mock import MagicMock, Mock

import orjson
import pytest
from graphwire.arguments import projected
from graphwire_protocol import projection
from graphwire_protocol.projection import MAX_VALUES, Cut, Opaque, Projector, restore
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from pydantic import BaseModel, Field, PlainSerializer, RootModel, field_serializer, model_serializer

SECRET = "hunter2-xyzzy"
RAISED = [
    RuntimeError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    RecursionError,
    MemoryError,
    StopIteration,
]


def wire(value: Any) -> Any:
    return orjson.loads(Projector().dumps(value))


def back(value: Any) -> Any:
    return restore(wire(value))


class Unkind(BaseException):
    """An exception that is hostile itself."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


# ── values whose code raises ─────────────────────────────────────────────────────────────────────


def raising(error: type[BaseException]) -> Any:
    def method(*args: Any, **kwargs: Any) -> Any:
        raise error(SECRET)

    return method


METHODS = [
    *("__repr__", "__str__", "__format__", "__reduce_ex__", "__getattr__", "__getattribute__"),
    *("__iter__", "__len__", "__getitem__", "__contains__", "items", "keys", "values"),
    *("__hash__", "__eq__", "__bool__", "__int__", "__float__", "__index__"),
]
PROPERTIES = ["__class__", "__dict__", "value", "type", "content", "root"]
BASES: list[tuple[type, tuple[Any, ...]]] = [
    (object, ()),
    (dict, ({"a": 1, "b": [1]},)),
    (list, ([1, 2],)),
    (tuple, ([1, 2],)),
    (set, ([1],)),
    (frozenset, ([1],)),
    (collections.deque, ([1],)),
    (collections.OrderedDict, ({"a": 1},)),
    (str, ("text",)),
    (bytes, (b"text",)),
    (int, (2**60,)),
    (float, (1.5,)),
    (decimal.Decimal, ("1.5",)),
    (datetime.datetime, (2026, 1, 1)),
    (datetime.timedelta, (1,)),
    (ValueError, (SECRET,)),
]


def hostile(base: type, arguments: tuple[Any, ...], names: list[str], error: type[BaseException]) -> Any:
    body: dict[str, Any] = {}
    for name in names:
        body[name] = property(raising(error)) if name in PROPERTIES else raising(error)
    cls = type("Hostile", (base,), {**body, "__new__": base.__new__, "__init__": lambda self, *a: None})
    value = base.__new__(cls, *arguments)
    if base in (dict, list, set, collections.deque, collections.OrderedDict):
        base.__init__(value, *arguments)
    return value


hostiles = st.builds(
    lambda base, names, error: hostile(*base, names, error),
    st.sampled_from(BASES),
    st.lists(st.sampled_from(METHODS + PROPERTIES), min_size=1, max_size=4, unique=True),
    st.sampled_from([*RAISED, Unkind]),
)


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__module__", "__name__", "__qualname__", "__mro__"):
            raise RuntimeError(SECRET)
        return super().__getattribute__(name)


class OddClass(metaclass=Meta):
    pass


class Price(BaseModel):
    cents: Any = SECRET
    note: str = "kept"

    @field_serializer("cents")
    def dollars(self, cents: Any) -> Any:
        raise SystemExit(SECRET)


class Whole(BaseModel):
    secret: str = SECRET

    @model_serializer
    def fields(self) -> Any:
        raise RuntimeError(SECRET)


class Hidden(BaseModel):
    secret: str = Field(default=SECRET, exclude_if=lambda value: bool(1 / 0))
    note: str = "kept"


class Root(RootModel[Annotated[str, PlainSerializer(lambda value: raising(ValueError)())]]):
    pass


@dataclasses.dataclass
class Row:
    id: int = 1
    note: str = "kept"

    @property
    def owner(self) -> Any:
        raise RuntimeError(SECRET)


Detached = dataclasses.make_dataclass("Detached", [("id", int, 1), ("owner", Any, None)])
Detached.owner = property(raising(RuntimeError), lambda self, value: None)  # type: ignore[attr-defined]


class Attributes:
    """What attrs makes of a class, as far as one can see from outside."""

    __attrs_attrs__ = ()
    __slots__ = ("a",)

    def __repr__(self) -> str:
        return f"Attributes(a={self.a})"


class Wide(Mapping[Any, Any]):
    """A mapping of which one item cannot be read."""

    def __getitem__(self, key: Any) -> Any:
        if key == "bad":
            raise GeneratorExit
        return key

    def __iter__(self) -> Iterator[Any]:
        return iter(["a", "bad", "b"])

    def __len__(self) -> int:
        return 3


class EndlessMap(Mapping[Any, Any]):
    def __getitem__(self, key: Any) -> Any:
        return key

    def __iter__(self) -> Iterator[Any]:
        return map(str, itertools.count())

    def __len__(self) -> int:
        return 1


class EndlessSet(Set[Any]):
    def __contains__(self, key: Any) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return itertools.count()

    def __len__(self) -> int:
        return -1


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat(self)


class Zone(datetime.tzinfo):
    def utcoffset(self, moment: Any) -> Any:
        raise KeyboardInterrupt


class Liar:
    __class__ = str  # type: ignore[assignment]


class Chameleon(str):
    def __str__(self) -> Any:
        return 5

    __len__ = __hash__ = __eq__ = raising(SystemExit)


def recursive() -> Any:
    class Deep:
        def __repr__(self) -> str:
            return repr(self)

    return Deep()


def released() -> Any:
    view = memoryview(b"x")
    view.release()
    return view


def message() -> Any:
    class Odd(AIMessage):
        note: Any = None

    return Odd.model_construct(content="hi", type="ai", note=hostile(dict, (), ["__len__"], SystemExit))


def cycle() -> Any:
    loop: dict[Any, Any] = {1: [], "row": Row(note=SECRET)}
    loop[1].append((loop, {2: loop}))
    loop["row"].note = loop
    return loop


MADE: dict[str, Callable[[], Any]] = {
    "metaclass": OddClass,
    "field serializer": Price,
    "model serializer": Whole,
    "exclude_if": Hidden,
    "root serializer": lambda: Root.model_construct("x"),
    "empty model": lambda: Price.__new__(Price),
    "property": Row,
    "detached": lambda: Detached(),
    "slots": lambda: Attributes(),
    "one item": Wide,
    "endless map": EndlessMap,
    "endless set": EndlessSet,
    "endless list": EndlessList,
    "zone": lambda: datetime.datetime(2026, 1, 1, tzinfo=Zone()),
    "liar": Liar,
    "chameleon": lambda: Chameleon("text"),
    "repr of itself": recursive,
    "released": released,
    "message": message,
    "cycle": cycle,
    "generator": lambda: (x for x in [1]),
    "endless iterator": itertools.count,
    "lock": threading.Lock,
    "file": lambda: sys.__stderr__,
    "text": io.StringIO,
    "thread-local": threading.local,
    "mock": Mock,
    "magic mock": MagicMock,
    "mock of a dict": lambda: MagicMock(spec=dict),
    "mock of a model": lambda: Mock(spec=Price),
    "mock of a text": lambda: Mock(spec=str),
    "decimal": lambda: decimal.Decimal("sNaN"),
    "class": lambda: Price,
    "path": lambda: PurePosixPath("\udcff"),
    "error": lambda: Unkind(),
    "stand-in": lambda: Opaque(5, None),  # type: ignore[arg-type]
    "wrong cut": lambda: Cut(5, "x"),  # type: ignore[arg-type]
    "huge integer": lambda: 10**10_000,
}
made = st.sampled_from(list(MADE)).map(lambda name: MADE[name]())
plain = st.none() | st.booleans() | st.integers(-1000, 1000) | st.text("ab$", max_size=3)


@st.composite
def nests(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    """Return a nest of hostile values, and the plain neighbours at its top."""
    inner = draw(
        st.recursive(
            hostiles | made | plain,
            lambda part: (
                st.lists(part, max_size=3)
                | st.dictionaries(st.text("ab$", max_size=2) | st.integers(0, 3), part, max_size=3)
                | part.map(lambda value: Row(note=value))
                | part.map(lambda value: Price(cents=value))
                | st.tuples(part, part)
                | part.map(lambda value: AIMessage("", additional_kwargs={"a": value}))
            ),
            max_leaves=6,
        )
    )
    return inner, draw(st.lists(plain, min_size=1, max_size=3))


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
    class Odd(enum.Enum):
        A = 1

        @property
        def value(self) -> Any:
            raise SystemExit

    # Not by ``dumps``: orjson reads the value first, and crashes.
    sent = Projector().project([Odd.A, 1])
    assert restore(sent) == [Opaque("<cannot be read: SystemExit>", Odd.__qualname__), 1]


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
