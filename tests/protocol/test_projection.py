"""Python values as JSON and back: what comes back unchanged, and what stands for a value that cannot travel.

About `protocol/graphwire_protocol/projection.py`.

Long because it is one list of values and what each becomes, both ways.
"""

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import math
import pathlib
import sys
import uuid
import weakref
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from graphwire_protocol.codec import decode_frames
from graphwire_protocol.projection import (
    MAX_DEPTH,
    Cut,
    Failed,
    Opaque,
    Projector,
    TagError,
    is_message_class,
    looks_like_message,
    message_fields,
    restore,
)
from graphwire_protocol.types import MAX_INT
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    SecretStr,
    field_serializer,
    model_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from tests.support.steps import calls_of

SECRET = "hunter2-xyzzy"


def wire(value: Any) -> Any:
    return orjson.loads(Projector().dumps(value))


def back(value: Any, **options: Any) -> Any:
    return restore(wire(value), **options)


# ── round trips ──────────────────────────────────────────────────────────────────────────────────

texts = st.text(max_size=6) | st.sampled_from(["$", "$bytes", "$obj", "type", "content", "ai", "human"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-MAX_INT - 2, -MAX_INT + 2)
    | st.integers(MAX_INT - 2, MAX_INT + 2)
    | st.floats()
    | texts
    | st.binary(max_size=6)
)
hashables = st.recursive(
    leaves.filter(lambda leaf: leaf == leaf),  # two NaNs are two entries of a set and cannot be compared
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(texts, inner, max_size=4)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.sets(hashables, max_size=3)
        | st.fixed_dictionaries({"type": st.sampled_from(["ai", "human", "XMessageChunk"]), "content": inner})
    ),
    max_leaves=12,
)


def like_json(value: Any) -> Any:
    """Return what comes back: tuples as lists, but for where only a tuple can be."""
    if isinstance(value, dict):
        return {key: like_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [like_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return set(value)
    return value


def same(left: Any, right: Any) -> bool:
    """Compare types as well, and take NaN for equal to NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return len(left) == len(right) and all(key in right and same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)


@given(values)
def test_every_nested_value_comes_back_as_it_was(value: Any) -> None:
    assert same(back(value), like_json(value))


@given(values)
def test_every_nested_value_comes_in_as_it_was(value: Any) -> None:
    assert same(back(value, inbound=True), like_json(value))


@given(values)
def test_the_fast_way_means_what_the_slow_way_means(value: Any) -> None:
    projector = Projector()
    assert orjson.loads(projector.dumps(value)) == orjson.loads(orjson.dumps(projector.project(value)))


@given(values)
def test_nothing_that_is_sent_looks_like_a_message_unless_it_was_one(value: Any) -> None:
    made: list[Any] = []
    restore(wire(value), made.append)
    assert made == []


class Colour(enum.Enum):
    RED = "red"
    DEEP = ("a", 1)
    NONE = None


class Level(enum.IntEnum):
    LOW = 1
    HUGE = 2**60


class Word(str, enum.Enum):
    YES = "yes"


Point = namedtuple("Point", "x y")


class Text(str):
    def __str__(self) -> str:
        return "something else"


UTC = datetime.timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Colour.RED, "red"),
        (Colour.DEEP, ["a", 1]),
        (Colour.NONE, None),
        (Level.LOW, 1),
        (Level.HUGE, {"$int": str(2**60)}),
        (Word.YES, "yes"),
        ({Word.YES: 1}, {"yes": 1}),
        (Text("text"), "text"),
        ({Text("key"): 1}, {"key": 1}),
        (Point(1, 2), [1, 2]),
        (deque([1, 2]), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (bytearray(b"ab"), {"$bytes": "YWI="}),
        (memoryview(b"aXbX")[::2], {"$bytes": "YWI="}),
        ({}.keys(), {"$set": []}),
        (datetime.datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
        (datetime.datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=BERLIN), "2026-03-01T12:00:00.000005+01:00"),
        (datetime.datetime(2026, 3, 1, 12), "2026-03-01T12:00:00"),
        # Before time zones an offset had seconds, which RFC 3339 cannot say.
        (datetime.datetime(1890, 1, 1, tzinfo=BERLIN), "1889-12-31T23:06:32+00:00"),
        (datetime.date(5, 1, 1), "0005-01-01"),
        (datetime.time(1, 2, 3), "01:02:03"),
        (datetime.time(1, 2, tzinfo=UTC), "01:02:00+00:00"),
        (datetime.timedelta(days=1, milliseconds=1), 86400.001),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (fractions.Fraction(1, 3), {"$repr": "Fraction(1, 3)", "$type": "Fraction"}),
        (1j, {"$repr": "1j", "$type": "complex"}),
        (float("nan"), {"$float": "nan"}),
        (float("-inf"), {"$float": "-inf"}),
        (2**53, {"$int": "9007199254740992"}),
        (-(2**53), {"$int": "-9007199254740992"}),
        ({1: "a"}, {"$map": [[1, "a"]]}),
        ({None: "a", "b": 1}, {"$map": [[None, "a"], ["b", 1]]}),
        ({"$a": 1}, {"$obj": {"$a": 1}}),
        ({"type": "ai", "content": None}, {"$obj": {"type": "ai", "content": None}}),
        ({"type": "ai", "text": ""}, {"type": "ai", "text": ""}),
        ({"type": ["ai"], "content": ""}, {"type": ["ai"], "content": ""}),
        ("\ud800", "\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ({"a\udfff": ["\ud800b"]}, {"a\ufffd": ["\ufffdb"]}),
        (Opaque("text", "T"), {"$repr": "text", "$type": "T"}),
        (Failed("id", "T", "m"), {"$error": {"error_id": "id", "type": "T", "message": "m"}}),
        (Failed(), {"$error": {}}),
        (Cut("size", 5), {"$cut": {"reason": "size", "bytes": 5}}),
        (Cut("depth"), {"$cut": {"reason": "depth"}}),
    ],
)
def test_a_value_is_sent_so_alone_and_beside_what_takes_the_slow_way(value: Any, sent: Any) -> None:
    assert wire(value) == sent
    assert wire([value, {1}]) == [sent, {"$set": [1]}]


@given(st.datetimes(timezones=st.none() | st.timezones()))
def test_a_time_is_the_same_instant_whatever_stands_beside_it(moment: datetime.datetime) -> None:
    assert wire(moment) == wire([moment, {1}])[0]
    if moment.utcoffset() is not None and moment.year > 1:
        assert datetime.datetime.fromisoformat(wire(moment)) - moment == datetime.timedelta(0)


@given(st.dates() | st.times() | st.uuids() | st.decimals() | st.timedeltas())
def test_what_has_no_parts_is_the_same_whatever_stands_beside_it(value: Any) -> None:
    assert wire([value]) == wire([value, {1}])[:1]


@pytest.mark.parametrize(
    "stand_in", [Opaque("text", "T"), Failed("id", "T", "m"), Cut("depth"), Cut("size", 9)]
)
def test_what_stands_for_something_else_comes_back_as_that_and_never_comes_in(stand_in: Any) -> None:
    assert back({"a": [stand_in]}) == {"a": [stand_in]}
    with pytest.raises(TagError) as caught:
        back({"a": [stand_in]}, inbound=True)
    assert caught.value.path == "a[0]"


def test_the_longest_integer_comes_back_and_a_longer_one_is_told_by_its_size() -> None:
    longest = 10**4300 - 1
    assert back([longest, -longest]) == [longest, -longest]
    assert back(10**4300) == Opaque(f"<an integer of {(10**4300).bit_length()} bits>", "int")


# ── what must not go on for ever ─────────────────────────────────────────────────────────────────


def test_a_cycle_is_cut_where_it_closes() -> None:
    loop: dict[str, Any] = {"a": 1}
    loop["self"] = [loop]
    assert back(loop) == {"a": 1, "self": [Cut("cycle")]}


def test_what_stands_twice_without_a_cycle_is_sent_twice() -> None:
    twin = {"a": {1}}
    assert back([twin, twin]) == [{"a": {1}}, {"a": {1}}]


def nested(make: Any, depth: int) -> Any:
    value: Any = "core"
    for _ in range(depth):
        value = make(value)
    return value


@dataclasses.dataclass
class Box:
    inner: Any


@pytest.mark.parametrize(
    "make",
    [
        lambda value: [value],
        lambda value: {"a": value},
        lambda value: {1: value},
        lambda value: {"$a": value},
        lambda value: (value, b"x"),
        lambda value: Box(value),
        lambda value: AIMessage(content="", additional_kwargs={"a": value}),
    ],
    ids=["list", "dict", "map", "obj", "tuple", "dataclass", "message"],
)
def test_nesting_is_whole_up_to_the_limit_and_cut_behind_it(make: Any) -> None:
    levels = 2 if isinstance(make(0), AIMessage) else 1  # a message and its additional_kwargs
    cut = b'"$cut":{"reason":"depth"}'
    assert cut not in Projector().dumps(nested(make, MAX_DEPTH // levels))
    assert cut in Projector().dumps(nested(make, MAX_DEPTH // levels + 1))
    deep = Projector().dumps(nested(make, MAX_DEPTH * 4))
    assert cut in deep
    assert b"core" not in deep
    # What is cut at the limit can be read by a client, inside a frame and a batch.
    [event] = decode_frames(b'[{"type":"event","sub":1,"n":1,"seq":1,"mode":"custom","data":' + deep + b"}]")
    restore(event.data)


# ── what must not be sent ────────────────────────────────────────────────────────────────────────


class Account(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str = "ann"
    password: str = Field(default=SECRET, exclude=True)
    hint: str = Field(default=SECRET, exclude_if=lambda value: "hunter" in value)
    _private: str = SECRET

    @functools.cached_property
    def derived(self) -> str:
        return SECRET

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter([SECRET])

    def __repr__(self) -> str:
        return SECRET


@pydantic_dataclass
class Record:
    name: str = "ann"
    password: str = Field(default=SECRET, exclude=True)


class SecretMessage(AIMessage):
    password: str = Field(default=SECRET, exclude=True)

    @functools.cached_property
    def derived(self) -> str:
        return SECRET


def test_an_excluded_field_never_leaks_from_wherever_its_model_stands() -> None:
    account, message = Account(extra="kept"), SecretMessage(content="hi")
    assert account.derived == message.derived == SECRET
    sent = Projector().dumps(
        {"a": account, "list": [account], "r": Record(), "m": message, "map": {1: account}}
    )
    assert SECRET.encode() not in sent
    assert wire(account) == {"name": "ann", "extra": "kept"}
    assert wire(Record()) == {"name": "ann"}
    assert wire(message) == {"type": "ai", "content": "hi"}


def test_a_secret_of_pydantic_keeps_its_stars() -> None:
    assert SECRET.encode() not in Projector().dumps({"token": SecretStr(SECRET)})


def test_an_exception_tells_nothing_unless_the_server_describes_it() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        caught = error
    assert wire({"e": caught}) == {"e": {"$error": {}}}
    assert back(caught) == Failed()

    describing = Projector(lambda error: {"error_id": "e1", "type": type(error).__name__})
    sent = describing.dumps([caught])
    assert SECRET.encode() not in sent
    assert restore(orjson.loads(sent)) == [Failed("e1", "ValueError", None)]


# ── objects ──────────────────────────────────────────────────────────────────────────────────────


class Numbers(RootModel[list[int]]):
    def __iter__(self) -> Iterator[int]:  # type: ignore[override]
        return iter(self.root)


class Inner(BaseModel):
    when: datetime.date


class Outer(BaseModel):
    inner: Inner
    tags: set[str] = {"a"}
    numbers: Numbers = Numbers([1])


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: Any = None
    unset: int = dataclasses.field(init=False)


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


def test_models_and_dataclasses_are_sent_as_objects_all_the_way_down() -> None:
    outer = Outer(inner=Inner(when=datetime.date(2026, 1, 2)))
    assert wire(outer) == {"inner": {"when": "2026-01-02"}, "tags": {"$set": ["a"]}, "numbers": [1]}
    assert wire(Slotted(1, [outer.inner])) == {"a": 1, "b": [{"when": "2026-01-02"}]}
    assert wire(Outer.model_construct(tags=set())) == {"tags": {"$set": []}, "numbers": [1]}
    assert wire(Slotted)["$type"] == "type"


def test_a_users_object_that_looks_like_a_message_is_no_message_to_a_receiver() -> None:
    @dataclasses.dataclass
    class Post:
        type: str
        content: str

    assert wire(Post("human", "hi")) == {"$obj": {"type": "human", "content": "hi"}}
    assert wire(Post("post", "hi")) == {"type": "post", "content": "hi"}


def test_a_set_or_map_of_objects_comes_back_as_a_list_and_does_not_come_in() -> None:
    value = {"set": {Frozen(1)}, "map": {Frozen(1): "one"}}
    assert back(value) == {"set": [{"x": 1}], "map": [({"x": 1}, "one")]}
    for name in value:
        with pytest.raises(TagError) as caught:
            back({"deep": [value[name]]}, inbound=True)
        assert caught.value.path == "deep[0]"


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


def test_an_object_that_json_cannot_hold_is_told_shortly() -> None:
    assert back(Shy()) == Opaque("<Shy whose repr raised RuntimeError>", "Shy")
    assert len(back(type("Long", (), {"__repr__": lambda self: "x" * 10_000})()).text) == 200
    assert back({"f": len}) == {"f": Opaque("<built-in function len>", "builtin_function_or_method")}


def test_a_class_that_was_met_is_not_kept_for_ever() -> None:
    made = []
    base = dataclasses.make_dataclass("Base", ["a"])
    for n in range(3000):
        cls = type(f"Made{n}", (base,), {})
        wire(cls(1))
        made.append(weakref.ref(cls))
        del cls
    gc.collect()
    assert sum(ref() is not None for ref in made) < 2500


# ── messages ─────────────────────────────────────────────────────────────────────────────────────

TOOL_CALL = {"name": "add", "args": {"a": 1}, "id": "call", "type": "tool_call"}
CLASSES = {
    cls.model_fields["type"].default: cls
    for cls in (AIMessage, AIMessageChunk, HumanMessage, HumanMessageChunk, SystemMessage, ToolMessage,
                FunctionMessage, ChatMessage, RemoveMessage)
}  # fmt: skip


def make(fields: dict[str, Any]) -> BaseMessage:
    return CLASSES[fields["type"]](**fields)


MESSAGES = [
    HumanMessage("hi"),
    HumanMessage("hi", id="h", name="ann", example=True),
    HumanMessage([{"type": "text", "text": "hi"}, "plain"]),
    HumanMessageChunk("hi"),
    SystemMessage("be kind", additional_kwargs={"deep": {"type": "ai", "content": "no message"}}),
    AIMessage("", tool_calls=[TOOL_CALL], id="a"),
    AIMessage("hi", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    AIMessage("hi", response_metadata={"logprobs": None, "raw": b"\0", "when": {1: "a"}}),
    AIMessage("hi", invalid_tool_calls=[{"name": "x", "args": "{", "id": "1", "error": None}]),
    AIMessage("hi", extra=None, other=[]),
    AIMessageChunk("", tool_call_chunks=[{"name": "add", "args": '{"a": 1', "id": "call", "index": 0}]),
    AIMessageChunk("", tool_call_chunks=[{"name": None, "args": "}", "id": None, "index": 0}], id="run-1"),
    AIMessageChunk("", tool_calls=[TOOL_CALL]),
    AIMessageChunk("last", chunk_position="last", id="run-1"),
    AIMessageChunk(
        "", tool_call_chunks=[{"name": "a", "args": "{}", "id": "c", "index": 0}], chunk_position="last"
    ),
    ToolMessage("42", tool_call_id="call", artifact={"rows": {1, 2}}),
    ToolMessage("", tool_call_id="", status="error"),
    FunctionMessage("42", name="add"),
    ChatMessage("hi", role="critic"),
    ChatMessage("", role=""),
    RemoveMessage(id="gone"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_langchain_message_is_rebuilt_equal(message: BaseMessage) -> None:
    rebuilt = back({"m": [message]}, message=make)["m"][0]
    assert type(rebuilt) is type(message)
    assert rebuilt == message
    assert rebuilt.model_dump() == message.model_dump()


def test_a_message_is_a_flat_object_without_empty_fields() -> None:
    assert wire(HumanMessage("hi")) == {"type": "human", "content": "hi"}
    assert wire(AIMessageChunk("to", id="run-1")) == {
        "type": "AIMessageChunk",
        "content": "to",
        "id": "run-1",
    }


def test_chunks_of_tool_calls_go_without_what_is_derived_from_them() -> None:
    chunk = AIMessageChunk("", tool_call_chunks=[{"name": "add", "args": "{}", "id": "c", "index": 0}])
    assert chunk.tool_calls
    assert "tool_calls" not in message_fields(chunk)
    assert "tool_call_chunks" in message_fields(chunk)


def test_a_message_with_a_dollar_among_its_extra_fields_loses_nothing() -> None:
    assert back(AIMessage("hi", **{"$x": 1}))["$x"] == 1


def test_messages_are_known_by_their_class_and_own_ones_by_their_mark() -> None:
    class BaseMessage(BaseModel):
        type: str = "ai"
        content: str = ""

    class Own:
        __graphwire_message__ = True

        def __init__(self) -> None:
            self.type, self.content, self.id, self.name, self.none = "ai", "hi", "m", "ann", None

    assert is_message_class(AIMessageChunk)
    assert not is_message_class(BaseMessage)
    assert wire(BaseMessage()) == {"$obj": {"type": "ai", "content": ""}}
    assert wire([Own()]) == [{"type": "ai", "content": "hi", "id": "m", "name": "ann"}]


@pytest.mark.parametrize(
    "kind", ["human", "ai", "system", "tool", "function", "chat", "remove", "XMessageChunk"]
)
def test_a_receiver_takes_an_object_with_content_and_such_a_type_for_a_message(kind: str) -> None:
    assert looks_like_message({"type": kind, "content": None})
    assert not looks_like_message({"type": kind})
    assert not looks_like_message({"type": kind.upper() + "!", "content": ""})


# ── tags that cannot be undone ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "tag",
    [
        {"$unknown": SECRET},
        {"$": SECRET},
        {"$bytes": f"{SECRET}!"},
        {"$bytes": "ä"},
        {"$bytes": [SECRET]},
        {"$bytes": "YQ==", "more": 1},
        {"$int": SECRET},
        {"$int": ""},
        {"$int": "-"},
        {"$int": "--5"},
        {"$int": "+5"},
        {"$int": " 5"},
        {"$int": "1_000"},
        {"$int": "٥"},
        {"$int": "9" * 4301},
        {"$int": 5},
        {"$float": SECRET},
        {"$float": "Infinity"},
        {"$float": "1.5"},
        {"$set": SECRET},
        {"$set": {"a": 1}},
        {"$map": [[1, 2, 3]]},
        {"$map": [1]},
        {"$map": {"a": 1}},
        {"$obj": [SECRET]},
        {"$obj": {}, "$bytes": ""},
        {"$repr": "no type"},
        {"$cut": {"reason": SECRET}},
        {"$cut": {"reason": "size"}},
        {"$error": SECRET},
        {"a": 1, "$b": 2},
    ],
)
@pytest.mark.parametrize("inbound", [True, False])
def test_an_unknown_or_malformed_tag_is_refused_with_its_path_and_without_its_value(
    tag: dict[str, Any], inbound: bool
) -> None:
    with pytest.raises(TagError) as caught:
        restore({"a": [0, {"b": tag}]}, inbound=inbound)
    assert caught.value.path == "a[1].b"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"$x": 1}, "input"),
        ([{"$x": 1}], "input[0]"),
        ({"$obj": {"a": {"$x": 1}}}, "input.a"),
        ({"$set": [1, {"$x": 1}]}, "input.$set[1]"),
        ({"$map": [[1, 2], [3, {"$x": 1}]]}, "input.$map[1][1]"),
        ({"a": {"type": "human", "content": {"$x": 1}}}, "input.a.content"),
    ],
)
def test_the_path_of_a_fault_starts_where_the_caller_says(value: Any, path: str) -> None:
    with pytest.raises(TagError) as caught:
        restore(value, inbound=True, path="input")
    assert caught.value.path == path


def test_a_message_that_cannot_be_made_is_a_fault_with_its_path_and_without_its_value() -> None:
    with pytest.raises(TagError) as caught:
        restore({"a": [{"type": "tool", "content": SECRET}]}, make, inbound=True)
    assert caught.value.path == "a[0]"
    assert SECRET not in f"{caught.value}{caught.value.__cause__}"


def test_restoring_costs_no_more_where_a_long_name_stands_above_a_long_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A path is made for an error only, not for each of the items on the way.
    class Name(str):
        def __format__(self, spec: str) -> str:
            raise AssertionError("a path was made although nothing is wrong")

        def __getitem__(self, key: Any) -> str:
            raise AssertionError("a path was made although nothing is wrong")

    assert restore({Name("key"): [1, 2]}) == {"key": [1, 2]}
    with pytest.raises(TagError) as caught:
        restore({"k" * 10_000: [{"$x": 1}]})
    assert len(caught.value.path) < 100


def test_restoring_plain_values_costs_no_call_for_each() -> None:
    def calls(value: Any) -> int:
        return calls_of(lambda: restore(value, inbound=True))

    leaves: list[Any] = [1, 2.5, "text", True, None]
    few, many = calls(leaves), calls(leaves * 1_000)
    assert many - few < 10
    few, many = (calls({str(key): leaves[key % 5] for key in range(count)}) for count in (10, 5_000))
    assert many - few < 10


def test_the_deepest_json_that_a_parser_takes_is_restored() -> None:
    for head, tail in (("[", "]"), ('{"a":', "}"), ('{"$obj":{"a":', "}}"), ('{"$map":[[1,', "]]}")):
        depth = 200 // (len(tail))
        restore(orjson.loads(head * depth + "1" + tail * depth), inbound=True)


def test_a_mapping_may_be_any_mapping() -> None:
    class Odd(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return 1

        def __iter__(self) -> Iterator[str]:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    assert wire(Odd()) == {"a": 1}


def test_what_a_models_own_serializers_hide_stays_hidden() -> None:
    class Masked(BaseModel):
        key: str
        pin: Annotated[str, PlainSerializer(lambda pin: "*" * len(pin))] = "1234"

        @field_serializer("key")
        def _mask(self, key: str) -> str:
            return key[:2] + "…"

    class Whole(BaseModel):
        secret: str = "s3cret"

        @model_serializer
        def _told(self) -> dict[str, str]:
            return {"$safe": "yes"}

    assert Projector().project([Masked(key="sk-123"), Whole()]) == [
        {"key": "sk…", "pin": "****"},
        {"$obj": {"$safe": "yes"}},
    ]


def test_entries_of_one_hash_are_refused_before_they_are_compared() -> None:
    modulus = sys.hash_info.modulus
    same = [{"$int": str(number * modulus)} for number in range(30_000)]
    for value in ({"$set": same}, {"$map": [[key, 1] for key in same]}, {"$set": [[key] for key in same]}):
        with pytest.raises(TagError, match="more than 64 entries have the same hash"):
            restore(value, inbound=True)
    assert restore({"$set": same[:64]}) == {number * modulus for number in range(64)}
    assert len(restore({"$set": list(range(30_000))})) == 30_000
