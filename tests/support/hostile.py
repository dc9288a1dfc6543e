"""Values of graphs whose own code misbehaves in every way that is known, and nests of them for hypothesis."""

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import PurePosixPath
from typing import Annotated, Any
from unittest.mock import MagicMock, Mock

import attrs
from graphwire_protocol.projection import Cut, Opaque
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


@attrs.define
class Attributes:
    """A class of attrs; its ``repr`` raises if an attribute was never set."""

    a: Any = attrs.field(init=False)


class OddEnum(enum.Enum):
    """An enum whose value cannot be read: a JSON library that reads it by itself crashes."""

    A = 1

    @property
    def value(self) -> Any:
        raise SystemExit(SECRET)


def stand_in(module: str, name: str, base: type = object) -> type:
    """Return a class that calls itself one of another package, and is useless."""
    body = {"__module__": module, "astype": raising(RuntimeError), "__str__": raising(SystemExit)}
    return type(name, (base,), body)


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
    "enum": lambda: OddEnum.A,
    "time of numpy": lambda: stand_in("numpy", "datetime64")(),
    "duration of numpy": lambda: stand_in("numpy", "timedelta64")(),
    "array of numpy": lambda: stand_in("numpy", "ndarray")(),
    "time of pandas": lambda: stand_in("pandas._libs.tslibs", "Timestamp")(),
    "struct of msgspec": lambda: stand_in("msgspec", "Struct")(),
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
