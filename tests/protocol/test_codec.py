"""Bytes to frames and back: what is read, and what is refused with which path and reason.

About `protocol/graphwire_protocol/codec.py`, `protocol/graphwire_protocol/base.py`,
`protocol/graphwire_protocol/codes.py`, `protocol/graphwire_protocol/commands.py` and
`protocol/graphwire_protocol/types.py`.

Long because it is one list of frames and what each is refused for.
"""

import gc
import json
import math
import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import orjson
import pytest
from graphwire_protocol import codec, commands, frames, payloads, replies, schema
from graphwire_protocol.base import InputObject, JsonObject, Wire
from graphwire_protocol.codec import Unknown, decode_command, decode_frames, encode
from graphwire_protocol.codes import CLOSES, CODES, reconnects
from graphwire_protocol.commands import UNSERVED
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Exclude, Filter
from graphwire_protocol.types import MAX_INT, NAME_RULE, STREAM_MODES, Name
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

SECRET = "hunter2-xyzzy"

COMMANDS: list[type[Wire]] = list(get_args(get_args(commands.Command)[0]))
SERVER_FRAMES: list[type[Wire]] = list(get_args(get_args(frames.ServerFrame)[0]))


def refused(data: str | bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        decode_command(data)
    return caught.value


def whole_text(refusal: Refusal) -> str:
    """Everything of a refusal that could reach a peer or a log."""
    return f"{refusal} {refusal.message} {refusal.details} {refusal.__cause__}"


def paths(refusal: Refusal) -> list[str]:
    assert refusal.details is not None
    return [fault["path"] for fault in refusal.details["errors"]]


# ── what cannot be read ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data",
    [
        "",
        "   ",
        f"{SECRET}",
        f'{{"type":"hello","id":1,"token":"{SECRET}',
        f'{{"type":"hello","id":1,"token":"{SECRET}"}} trailing',
        f'{{"type":"hello","id":1,"token":"{SECRET}"',
        f'{{"type":"hello","id":1,"token":{SECRET}}}',
        f'{{"type":"hello",{SECRET}}}',
        f'{{"type":"hello","id":1,"token":"{SECRET}\\x"}}',
        f'{{"type":"ping","t":["{SECRET}",NaN]}}',
        f'{{"type":"ping","t":["{SECRET}",Infinity]}}',
        f'{{"type":"ping","t":["{SECRET}",-Infinity]}}',
        f'{{"type":"hello","id":NaN,"token":"{SECRET}"}}',
        f'{{"type":"hello","id":1,"token":"{SECRET}","unknown":NaN}}',
        f'{{"type":"hello","id":1,"token":"{SECRET}","unknown":-Infinity}}',
        f'{{"type":"ping","t":"{SECRET}\\ud8"}}',
        f'{{"type":"ping","t":"{SECRET}\ud800"}}',
        f'{{"type":"ping","t":"{SECRET}\n"}}',
        f'["{SECRET}"]',
        f'"{SECRET}"',
        "null",
        "17",
        f'{{"token":"{SECRET}"}}',
        f'{{"type":null,"token":"{SECRET}"}}',
        f'{{"type":["{SECRET}"]}}',
        '{"type":"ping","t":' + "[" * 300 + "]" * 300 + "}",
        '{"type":"ping","t":' + '{"a":' * 300 + "1" + "}" * 300 + "}",
        b'{"type":"ping","t":"\xff"}',
    ],
)
def test_what_is_not_one_json_object_with_a_type_is_a_bad_frame(data: str | bytes) -> None:
    refusal = refused(data)
    assert (refusal.code, refusal.retry) == ("bad_frame", "never")
    assert SECRET not in whole_text(refusal)


def test_the_word_nan_inside_a_text_is_no_number() -> None:
    assert decode_command('{"type":"ping","t":"NaN Infinity"}') == commands.Ping(t="NaN Infinity")


@pytest.mark.parametrize(
    ("data", "id"),
    [
        ('{"id":7}', 7),
        ('{"type":4,"id":7}', 7),
        ('{"type":"no_such","id":7}', 7),
        ('{"type":"watch","id":7}', 7),
        ('{"type":"cancel","id":7}', 7),
        ('{"type":"cancel","id":7,"run":"r","reason":5}', 7),
        ('{"type":"cancel","id":0,"run":5}', 0),
        (f'{{"type":"cancel","id":{MAX_INT},"run":5}}', MAX_INT),
        (f'{{"type":"cancel","id":{MAX_INT + 1},"run":5}}', None),
        ('{"type":"cancel","id":-1,"run":"r"}', None),
        ('{"type":"cancel","id":true,"run":"r"}', None),
        ('{"type":"cancel","id":1.0,"run":"r"}', None),
        ('{"type":"cancel","id":"7","run":"r"}', None),
        ('{"type":"cancel","run":"r"}', None),
        (f'{{"type":"run","id":7,"graph":"g","input":{"9" * 5000}}}', 7),
    ],
)
def test_a_refusal_carries_the_requests_id_if_it_can_be_read(data: str, id: int | None) -> None:
    assert refused(data).id == id


def test_an_unknown_type_is_named_and_cut_short() -> None:
    refusal = refused(json.dumps({"type": "x" * 10_000, "id": 1, "token": SECRET}))
    assert refusal.code == "unknown_type"
    assert "xxx" in refusal.message
    assert len(whole_text(refusal)) < 1000
    assert SECRET not in whole_text(refusal)


@pytest.mark.parametrize("kind", sorted(UNSERVED))
def test_a_type_of_the_protocol_that_is_not_served_is_unsupported(kind: str) -> None:
    refusal = refused(json.dumps({"type": kind, "id": 1, "token": SECRET}))
    assert (refusal.code, refusal.id) == ("unsupported", 1)
    assert SECRET not in whole_text(refusal)


# ── what fails validation ────────────────────────────────────────────────────────────────────────

SUBSCRIBE = {"type": "subscribe", "id": 1, "run": "r", "sub": 1, "filter": {"modes": ["values"]}}
RUN = {"type": "run", "id": 1, "graph": "g"}


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({"type": "hello", "id": SECRET}, "id"),
        ({"type": "hello"}, "id"),
        ({"type": "hello", "id": 1, "token": [SECRET]}, "token"),
        ({"type": "hello", "id": 1, "token": "x" * 65537}, "token"),
        ({"type": "hello", "id": 1, "client": SECRET}, "client"),
        ({"type": "hello", "id": 1, "client": {"name": [SECRET], "version": "1"}}, "client.name"),
        ({"type": "hello", "id": 1, "features": SECRET}, "features"),
        ({"type": "hello", "id": 1, "features": ["a", {SECRET: 1}]}, "features[1]"),
        ({**SUBSCRIBE, "run": f"{SECRET} has a space"}, "run"),
        ({**SUBSCRIBE, "run": f"{SECRET}\n"}, "run"),
        ({**SUBSCRIBE, "run": ""}, "run"),
        ({**SUBSCRIBE, "run": "r" * 129}, "run"),
        ({**SUBSCRIBE, "sub": 1.5}, "sub"),
        ({**SUBSCRIBE, "sub": 2**53}, "sub"),
        ({**SUBSCRIBE, "credit": -1}, "credit"),
        ({**SUBSCRIBE, "values": SECRET}, "values"),
        ({**SUBSCRIBE, "from": SECRET}, "from"),
        ({**SUBSCRIBE, "from": {"epoch": "", "seq": 1}}, "from"),
        ({**SUBSCRIBE, "from": {"epoch": "e"}}, "from"),
        ({**RUN, "graph": ""}, "graph"),
        ({**RUN, "graph": [SECRET]}, "graph"),
        ({**RUN, "if_busy": SECRET}, "if_busy"),
        ({**RUN, "on_disconnect": SECRET}, "on_disconnect"),
        ({**RUN, "config": {"recursion_limit": 0}}, "config.recursion_limit"),
        ({**RUN, "config": {"recursion_limit": SECRET}}, "config.recursion_limit"),
        ({**RUN, "config": {"tags": [[SECRET]]}}, "config.tags[0]"),
        ({**RUN, "config": {"configurable": SECRET}}, "config.configurable"),
        ({**RUN, "options": {"interrupt_before": SECRET}}, "options.interrupt_before"),
        ({**RUN, "options": {"output_keys": 5}}, "options.output_keys"),
        ({**RUN, "options": {"durability": SECRET}}, "options.durability"),
        ({**RUN, "record": {"modes": [SECRET]}}, "record.modes[0]"),
        ({**RUN, "record": {"subgraphs": SECRET}}, "record.subgraphs"),
        ({**RUN, "metadata": [SECRET]}, "metadata"),
        ({**RUN, "subscribe": SECRET}, "subscribe"),
        ({**RUN, "subscribe": [SECRET]}, "subscribe[0]"),
        ({**RUN, "input": {SECRET: 1}, "command": {"resume": SECRET}}, ""),
        ({**RUN, "checkpoint": "c"}, ""),
        ({"type": "respond", "id": 1, "run": "r"}, "responses"),
        ({"type": "respond", "id": 1, "run": "r", "responses": [{"interrupt": "i"}]}, "responses[0].value"),
        ({"type": "respond", "id": 1, "run": "r", "responses": [{"interrupt": "i", "value": 1}] * 2}, ""),
        ({"type": "state", "id": 1, "graph": "g"}, "thread"),
        ({"type": "state_history", "id": 1, "graph": "g", "thread": "t", "limit": 0}, "limit"),
        ({"type": "state_update", "id": 1, "graph": "g", "thread": "t"}, "values"),
        ({"type": "delete", "id": 1}, ""),
        ({"type": "delete", "id": 1, "thread": "t"}, ""),
        ({"type": "delete", "id": 1, "run": "r", "graph": "g", "thread": "t"}, ""),
        ({"type": "cancel", "id": 1, "run": "r", "reason": "x" * 1025}, "reason"),
        ({"type": "credit", "sub": 1, "events": SECRET}, "events"),
        ({"type": "list", "id": 1, "what": SECRET}, "what"),
        ({"type": "list", "id": 1, "what": "runs", "limit": 0}, "limit"),
        ({"type": "list", "id": 1, "what": "runs", "limit": 1001}, "limit"),
        ({"type": "list", "id": 1, "what": "runs", "status": [SECRET]}, "status[0]"),
        ({"type": "ping"}, "t"),
    ],
)
def test_a_faulty_field_is_an_invalid_argument_with_its_path_and_never_its_value(
    frame: dict[str, Any], path: str
) -> None:
    refusal = refused(json.dumps(frame))
    assert (refusal.code, refusal.retry) == ("invalid_argument", "never")
    assert refusal.id == (frame.get("id") if isinstance(frame.get("id"), int) else None)
    assert {found.removesuffix(".seq").removesuffix(".epoch") for found in paths(refusal)} == {path}
    assert refusal.message.startswith(f"{frame['type']}.{path}: " if path else f"{frame['type']}: ")
    assert refusal.details is not None
    assert all(fault["reason"] for fault in refusal.details["errors"])
    assert SECRET not in whole_text(refusal)


@pytest.mark.parametrize("wrong", ["ann@example.com", "two words", "a/b", "größe", "", "x" * 129])
@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({"type": "run", "id": 1, "graph": "g"}, "run"),
        ({"type": "run", "id": 1, "graph": "g"}, "thread"),
        ({"type": "run", "id": 1, "graph": "g", "thread": "t"}, "checkpoint"),
        ({"type": "state", "id": 1, "graph": "g"}, "thread"),
        ({"type": "watch", "id": 1, "sub": 1}, "thread"),
        ({"type": "cancel", "id": 1}, "run"),
    ],
)
def test_what_is_no_id_is_refused_in_words_and_not_by_a_regular_expression(
    frame: dict[str, Any], path: str, wrong: str
) -> None:
    refusal = refused(json.dumps({**frame, path: wrong}))
    assert refusal.message == f"{frame['type']}.{path}: {NAME_RULE}"
    assert "1 to 128 characters" in NAME_RULE
    assert "^" not in NAME_RULE


def test_no_field_but_an_id_has_a_pattern() -> None:
    (name,) = [item for item in Name.__metadata__ if item.pattern]
    patterns = re.findall(r'"pattern": ?("(?:[^"\\]|\\.)*")', json.dumps(schema.schemas()))
    assert {json.loads(text) for text in patterns} == {name.pattern}


@pytest.mark.parametrize(
    "filter",
    [
        {"modes": [SECRET]},
        {"modes": SECRET},
        {"modes": ["values"], "nodes": [f"{SECRET}\\"]},
        {"modes": ["values"], "namespaces": [[f"{SECRET}*"]]},
        {"modes": ["values"], "extra": SECRET},
        SECRET,
    ],
)
def test_a_faulty_filter_tells_its_path_and_never_its_value(filter: object) -> None:
    refusal = refused(json.dumps({**SUBSCRIBE, "filter": filter}))
    assert refusal.code == "invalid_filter"
    assert SECRET not in whole_text(refusal)


@pytest.mark.parametrize("number", ["1e999", "-1e999", str(2**64), str(-(2**63) - 1), "9" * 100])
@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ('{"type":"ping","t":%s}', "t"),
        ('{"type":"ping","t":{"a":[1,%s]}}', "t"),
        ('{"type":"run","id":1,"graph":"g","input":[%s]}', "input"),
        ('{"type":"run","id":1,"graph":"g","context":%s}', "context"),
        ('{"type":"run","id":1,"graph":"g","command":{"resume":[[%s]]}}', "command.resume"),
        ('{"type":"run","id":1,"graph":"g","metadata":{"a":%s}}', "metadata"),
        ('{"type":"run","id":1,"graph":"g","config":{"configurable":{"a":%s}}}', "config.configurable"),
        ('{"type":"list","id":1,"what":"runs","metadata":{"a":%s}}', "metadata"),
    ],
)
def test_a_number_that_the_server_cannot_hold_is_refused_where_it_stands(
    frame: str, path: str, number: str
) -> None:
    refusal = refused(frame % number)
    assert refusal.code == "invalid_argument"
    assert paths(refusal) == [path]
    assert number not in whole_text(refusal)


def test_an_integer_without_end_is_an_invalid_argument() -> None:
    digits = "9" * 5000
    refusal = refused(f'{{"type":"ping","t":{digits}}}')
    assert refusal.code == "invalid_argument"
    assert "99" not in whole_text(refusal)


@pytest.mark.parametrize("number", [0, -1, MAX_INT, -MAX_INT, 2**63, 2**64 - 1, -(2**63), 1.5, -0.0, 1e308])
def test_every_number_that_is_taken_comes_back_the_same(number: float) -> None:
    ping = decode_command(f'{{"type":"ping","t":{number!r}}}')
    assert isinstance(ping, commands.Ping)
    assert orjson.loads(encode(replies.Pong(t=ping.t)))["t"] == number


def optional_fields(model: type[Wire]) -> list[str]:
    values = model._values
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if name not in values and not field.is_required() and name != "type"
    ]


EXAMPLES: dict[str, dict[str, Any]] = {
    "hello": {"type": "hello", "id": 1},
    "run": RUN,
    "subscribe": SUBSCRIBE,
    "watch": {"type": "watch", "id": 1, "sub": 1},
    "unsubscribe": {"type": "unsubscribe", "id": 1, "sub": 1},
    "credit": {"type": "credit", "sub": 1, "events": 1},
    "cancel": {"type": "cancel", "id": 1, "run": "r"},
    "result": {"type": "result", "id": 1, "run": "r"},
    "respond": {"type": "respond", "id": 1, "run": "r", "responses": [{"interrupt": "i", "value": None}]},
    "state": {"type": "state", "id": 1, "graph": "g", "thread": "t"},
    "state_history": {"type": "state_history", "id": 1, "graph": "g", "thread": "t"},
    "state_update": {"type": "state_update", "id": 1, "graph": "g", "thread": "t", "values": None},
    "delete": {"type": "delete", "id": 1, "run": "r"},
    "thread_update": {"type": "thread_update", "id": 1, "graph": "g", "thread": "t", "metadata": {"a": None}},
    "list": {"type": "list", "id": 1, "what": "runs"},
    "ping": {"type": "ping", "t": 1},
}


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "watch", "id": 1, "sub": 1, "search": "cats"},
        {"type": "watch", "id": 1, "sub": 1, "what": "runs", "search": "cats"},
        {"type": "watch", "id": 1, "sub": 1, "what": "threads", "progress": True},
        {"type": "list", "id": 1, "what": "runs", "search": "cats"},
        {"type": "list", "id": 1, "what": "threads", "search": ""},
        {"type": "list", "id": 1, "what": "threads", "search": "c" * 257},
        {"type": "watch", "id": 1, "sub": 1, "what": "graphs"},
    ],
)
def test_what_only_runs_or_only_threads_have_is_refused_of_the_others(frame: dict[str, Any]) -> None:
    assert refused(json.dumps(frame)).code == "invalid_argument"


@pytest.mark.parametrize("model", COMMANDS, ids=lambda model: model.__name__)
def test_null_for_an_optional_field_is_refused(model: type[Wire]) -> None:
    frame = EXAMPLES[model.model_fields["type"].default]
    decode_command(json.dumps(frame))
    for name in optional_fields(model):
        refusal = refused(json.dumps({**frame, name: None}))
        assert refusal.code == "invalid_argument"
        assert set(paths(refusal)) == {name}


@pytest.mark.parametrize(
    ("name", "model"),
    [("config", commands.RunConfig), ("options", commands.RunOptions), ("record", commands.RecordOptions)],
)
def test_null_for_an_optional_field_of_a_part_is_refused(name: str, model: type[Wire]) -> None:
    for inner in optional_fields(model):
        refusal = refused(json.dumps({**RUN, name: {inner: None}}))
        assert set(paths(refusal)) == {f"{name}.{inner}"}


def test_null_is_kept_where_it_is_a_users_value() -> None:
    run = decode_command('{"type":"run","id":1,"graph":"g","input":null,"command":{"resume":null}}')
    assert b'"input":null' in encode(run)
    assert b'"resume":null' in encode(run)
    assert b'"context"' not in encode(run)
    assert b'"update"' not in encode(run)
    assert encode(replies.Ok(id=1, output=None)) == b'{"type":"ok","id":1,"output":null}'
    assert encode(replies.Ok(id=1)) == b'{"type":"ok","id":1}'


@pytest.mark.parametrize("frame", EXAMPLES.values(), ids=lambda frame: frame["type"])
def test_unknown_fields_are_ignored(frame: dict[str, Any]) -> None:
    assert decode_command(json.dumps({**frame, "future": {"deep": [1]}})) == decode_command(json.dumps(frame))


def test_a_field_is_known_by_its_name_on_the_wire_alone() -> None:
    subscribe = decode_command(json.dumps({**SUBSCRIBE, "from_": "now"}))
    assert isinstance(subscribe, commands.Subscribe)
    assert subscribe.from_ == "start"


def test_of_a_field_that_stands_twice_the_last_one_counts() -> None:
    assert decode_command('{"type":"ping","id":4,"t":1,"type":"hello"}') == commands.Hello(id=4)
    assert refused('{"type":"hello","id":4,"type":"no_such"}').code == "unknown_type"


def test_the_faults_of_a_frame_are_listed_up_to_a_bound() -> None:
    specs = [{"sub": -1, "filter": {"modes": ["x"], "nodes": [""], "tags": [""]}, "credit": -1}]
    metadata = {f"k{n}": 1 for n in range(100)}
    refusal = refused(json.dumps({**RUN, "subscribe": specs * 1000, "metadata": metadata}))
    assert 1 <= len(paths(refusal)) <= 16
    assert len(whole_text(refusal)) < 10_000


def test_a_long_name_of_a_peer_is_cut_short_in_a_path() -> None:
    refusal = refused(json.dumps({**SUBSCRIBE, "filter": {"modes": ["values"], "x" * 10_000: 1}}))
    assert refusal.code == "invalid_filter"
    assert len(whole_text(refusal)) < 1000


# ── what a client reads ──────────────────────────────────────────────────────────────────────────

SYNCED = {"type": "synced", "sub": 1, "seq": 2}


def test_one_message_holds_one_frame_or_a_batch() -> None:
    synced = frames.Synced(sub=1, seq=2)
    assert decode_frames(json.dumps(SYNCED)) == [synced]
    assert decode_frames(json.dumps([SYNCED, SYNCED])) == [synced, synced]
    assert decode_frames(json.dumps([SYNCED]).encode()) == [synced]
    assert decode_frames("[]") == []
    assert decode_frames(f" {json.dumps([SYNCED])} ") == [synced]


def test_an_unknown_frame_is_told_as_unknown_inside_a_batch_and_alone() -> None:
    future = {"type": "hologram", "sub": 1, "light": [1, 2]}
    unknown = Unknown("hologram", future)
    synced = frames.Synced(sub=1, seq=2)
    assert decode_frames(json.dumps(future)) == [unknown]
    assert decode_frames(json.dumps([SYNCED, future, SYNCED])) == [synced, unknown, synced]


def test_an_unknown_mode_code_and_field_are_passed_on() -> None:
    [event] = decode_frames('{"type":"event","sub":1,"n":1,"seq":1,"mode":"smell","data":null,"new":1}')
    assert (event.mode, event.data) == ("smell", None)
    [error] = decode_frames('{"type":"error","code":"too_hot","message":"m","retry":"never"}')
    assert error.code == "too_hot"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "nonsense",
        f'"{SECRET}"',
        f'["{SECRET}"]',
        f'[{{"type":"synced","sub":1,"seq":2}},{{"sub":"{SECRET}"}}]',
        f'{{"type":"synced","sub":"{SECRET}","seq":2}}',
        f'{{"type":"synced","sub":1,"seq":"{SECRET}"}}',
        f'[[{{"type":"synced","sub":1,"seq":"{SECRET}"}}]]',
        f'{{"type":"closed","sub":1,"reason":"{SECRET}","delivered":0,"skipped":0}}',
    ],
)
def test_what_no_server_may_send_is_a_value_error_without_the_value(data: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        decode_frames(data)
    assert SECRET not in str(caught.value)


# ── round trips ──────────────────────────────────────────────────────────────────────────────────

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
name_values = st.text("aZ09._:-", min_size=1, max_size=128)
segment_values = st.sampled_from(["*", "**", "node", "node:6f", "\\*"])
glob_values = st.text("ab*?", min_size=1, max_size=4)


def an_optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(values, max_size=2)


filter_values = st.builds(
    Filter,
    modes=st.lists(st.sampled_from(STREAM_MODES), min_size=1, max_size=3),
    namespaces=an_optional(st.lists(segment_values, max_size=2)),
    nodes=an_optional(glob_values),
    tags=an_optional(glob_values),
    keys=an_optional(st.text(max_size=3)),
    exclude=st.none() | st.builds(Exclude, nodes=an_optional(glob_values)),
)

subgraph_values = st.recursive(
    st.builds(replies.Subgraph, node=st.text(max_size=3), nodes=st.just(("a",)), edges=st.just(())),
    lambda inner: st.builds(
        replies.Subgraph,
        node=st.text(max_size=3),
        nodes=st.just(()),
        edges=st.just(()),
        subgraphs=st.none() | st.lists(inner, max_size=2).map(tuple),
        cut=st.sampled_from([None, True]),
    ),
    max_leaves=4,
)


def of_type(kind: Any, field: FieldInfo | None = None) -> st.SearchStrategy[Any]:
    """Draw values of a field's type from the annotations that the model itself is made of."""
    if kind is Filter:
        return filter_values
    if kind in (JsonObject, InputObject):
        return json_objects
    if kind is Any:
        return json_values
    marks = [] if field is None else field.metadata
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return of_type(args[0], FieldInfo.from_annotation(kind))
    if origin in (Union, UnionType):
        return st.one_of([of_type(arg, field) for arg in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(of_type(args[0]), max_size=2).map(tuple)
    if origin is dict:
        return (
            json_objects
            if args[1] is Any
            else st.dictionaries(st.text(max_size=3), of_type(args[1]), max_size=2)
        )
    if kind is int:
        low = max([mark.ge for mark in marks if getattr(mark, "ge", None) is not None], default=0)
        high = min([mark.le for mark in marks if getattr(mark, "le", None) is not None], default=MAX_INT)
        return st.integers(low, high)
    if kind is str:
        if any(getattr(mark, "pattern", None) for mark in marks):
            return name_values
        least = max([mark.min_length for mark in marks if getattr(mark, "min_length", None)], default=0)
        return st.text(min_size=least, max_size=8)
    if kind is replies.Subgraph:
        return subgraph_values
    if isinstance(kind, type) and issubclass(kind, Wire):
        return of_model(kind)
    simple = {
        float: st.floats(0, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return simple[kind]


def of_model(model: type[Wire]) -> st.SearchStrategy[Wire]:
    drawn = {
        name: of_type(field.annotation, field) for name, field in model.model_fields.items() if name != "type"
    }
    required = {name: drawn[name] for name, field in model.model_fields.items() if field.is_required()}
    optional = {name: value for name, value in drawn.items() if name not in required}
    if model is commands.Run:
        del optional["command"], optional["checkpoint"]  # not every one goes; that is a test of its own
    if model in (commands.Watch, commands.List):
        del optional["search"]  # nor this
        optional.pop("progress", None)
    if model is commands.Respond:
        required["responses"] = st.lists(
            of_model(commands.Response), max_size=2, unique_by=lambda response: response.interrupt
        ).map(tuple)
    if model is commands.Delete:
        thread = {"graph": st.text(min_size=1, max_size=8), "thread": name_values}
        whole = st.fixed_dictionaries({"run": name_values}) | st.fixed_dictionaries(thread)
        return st.builds(lambda id, fields: model(id=id, **fields), required["id"], whole)
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: model(**fields))


FEW = settings(max_examples=50)  # for each of forty models, whose fields have mostly the same few types


@pytest.mark.parametrize("model", COMMANDS, ids=lambda model: model.__name__)
def test_every_command_is_read_as_it_was_written(model: type[Wire]) -> None:
    @FEW
    @given(of_model(model))
    def round_trip(frame: Wire) -> None:
        wire = encode(frame)
        assert decode_command(wire) == frame
        assert encode(decode_command(wire.decode())) == wire

    round_trip()


@pytest.mark.parametrize("model", SERVER_FRAMES, ids=lambda model: model.__name__)
def test_every_server_frame_is_read_as_it_was_written(model: type[Wire]) -> None:
    other = replies.Pong(t=1)

    @FEW
    @given(of_model(model))
    def round_trip(frame: Wire) -> None:
        wire = encode(frame)
        assert decode_frames(wire) == [frame]
        assert decode_frames(b"[" + wire + b"," + encode(other) + b"]") == [frame, other]

    round_trip()


@pytest.mark.parametrize(
    "model", [payloads.Lifecycle, payloads.Interrupts, payloads.MessageData, commands.GraphCommand]
)
def test_every_payload_is_read_as_it_was_written(model: type[Wire]) -> None:
    @FEW
    @given(of_model(model))
    def round_trip(payload: Wire) -> None:
        assert model.model_validate_json(encode(payload), strict=True) == payload

    round_trip()


@given(st.sampled_from(list(EXAMPLES.values())), st.data())
def test_a_frame_with_any_one_field_replaced_is_read_or_refused_and_never_a_crash(
    frame: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*frame, "from", "config", "options", "credit", "input", "subscribe"]))
    broken = {**frame, name: data.draw(json_values)}
    try:
        command = decode_command(json.dumps(broken))
    except Refusal as refusal:
        code = refusal.code
    else:
        code = None
        assert decode_command(encode(command)) == command
    assert code in (None, "bad_frame", "unknown_type", "invalid_argument", "invalid_filter")


@given(st.text(max_size=20) | st.binary(max_size=20))
def test_noise_is_refused_and_never_a_crash(noise: str | bytes) -> None:
    assert refused(noise).code in ("bad_frame", "invalid_argument")


# ── the tables and the schema ────────────────────────────────────────────────────────────────────


def test_every_code_of_a_refusal_is_in_the_table_under_its_own_name() -> None:
    assert all(code.name == name and code.meaning for name, code in CODES.items())
    assert Refusal("busy", "m").retry == "after"


@pytest.mark.parametrize(
    ("code", "again"),
    [(1000, False), (1006, True), (1009, True), (1012, True), (4400, False), (4401, False), (4403, False),
     (4408, True), (4429, True), (1015, True), (3000, True), (4999, False)],
)  # fmt: skip
def test_a_close_code_says_whether_to_connect_again(code: int, again: bool) -> None:
    assert reconnects(code) is again
    assert code not in CLOSES or CLOSES[code].code == code


def test_the_schema_is_json_and_lets_no_optional_field_be_null() -> None:
    for name, document in schema.schemas().items():
        assert json.loads(json.dumps(document, allow_nan=False)) == document, name
        assert b'"null"' not in orjson.dumps(document).replace(b'{"type":"number"},{"type":"null"}', b""), (
            name
        )


def test_infinity_never_leaves() -> None:
    with pytest.raises(ValueError, match="finite"):
        replies.Goaway(reason="r", deadline_s=math.inf, after_ms=1)


LONE = [
    (r'"\ud83d"', "\ufffd"),
    (r'"\uDE00"', "\ufffd"),
    (r'"a\ud83db"', "a\ufffdb"),
    (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
    (r'"\ude00\ud83d"', "\ufffd\ufffd"),
    (r'"\\\ud83d"', "\\\ufffd"),
]


@pytest.mark.parametrize(("text", "meant"), LONE)
@pytest.mark.parametrize("form", [str, str.encode])
def test_a_lone_surrogate_is_replaced(text: str, meant: str, form: Any) -> None:
    data = form(f'{{"type":"run","id":7,"graph":"g","input":{{"x":{text},{text}:1}}}}')
    command = decode_command(data)
    assert command.input == {"x": meant, meant: 1}


def test_an_escaped_backslash_before_a_surrogate_s_digits_is_text() -> None:
    command = decode_command(r'{"type":"run","id":7,"graph":"g","input":{"x":"\\ud83d","y":"\ud83d"}}')
    assert command.input == {"x": "\\ud83d", "y": "\ufffd"}


def test_a_frame_with_a_lone_surrogate_that_is_wrong_elsewhere_is_refused_with_its_id() -> None:
    with pytest.raises(Refusal) as caught:
        decode_command(r'{"type":"run","id":7,"graph":3,"input":{"x":"\ud83d"}}')
    assert (caught.value.code, caught.value.id) == ("invalid_argument", 7)


def test_a_word_that_is_spelled_almost_right_is_suggested_and_never_repeated() -> None:
    frame = {"type": "subscribe", "id": 1, "sub": 1, "run": "r", "filter": {"modes": ["mesages"]}}
    with pytest.raises(Refusal, match=r"did you mean 'messages'\?$") as refused:
        decode_command(json.dumps(frame))
    assert "mesages" not in str(refused.value)


def test_a_refused_frame_leaves_nothing_to_the_collector() -> None:
    unknown = {f"key{number}": [] for number in range(5_000)}
    frame = json.dumps({"type": "run", "id": 1, "graph": "g", "subscribe": [{"sub": 1, "filter": unknown}]})
    for text in (frame, frame.replace('"id": 1', '"id": "x"'), frame.replace('"run"', '"ran"')):
        gc.collect()
        gc.disable()
        try:
            with pytest.raises(Refusal):
                decode_command(text)
            assert gc.collect() < 500, "what was parsed is freed with the refusal"
        finally:
            gc.enable()


UNKNOWN = {f"{number:x}": 1 for number in range(20_000)}
SPEC = {"sub": 1, "filter": {"modes": ["values"]}}
WIDE: dict[str, tuple[dict[str, Any], str]] = {
    "filter": ({"type": "subscribe", "run": "r", "sub": 1, "filter": UNKNOWN}, "invalid_filter"),
    "exclude": ({"type": "subscribe", "filter": {"exclude": UNKNOWN}}, "invalid_filter"),
    "from": ({"type": "subscribe", "run": "r", **SPEC, "from": UNKNOWN}, "invalid_argument"),
    "client": ({"type": "hello", "client": UNKNOWN}, "invalid_argument"),
    "filter of a run": ({"type": "run", "subscribe": [SPEC, {"filter": UNKNOWN}]}, "invalid_filter"),
    "from of a run": ({"type": "run", "subscribe": [{**SPEC, "from": UNKNOWN}]}, "invalid_argument"),
}


@pytest.mark.parametrize("where", WIDE)
def test_a_large_frame_of_unknown_fields_is_refused_before_it_is_validated(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "_validated", lambda data: pytest.fail("each field was looked at"))
    frame, code = WIDE[where]
    refusal = refused(json.dumps({"id": 7, **frame}))
    assert (refusal.code, refusal.id) == (code, 7)
    assert "more than 16 fields that this server does not know" in str(refusal)


def test_what_a_large_frame_knows_or_leaves_to_its_user_is_not_counted() -> None:
    known = {"modes": ["values"], "nodes": ["n"], "tags": ["t"], "keys": ["k"], "exclude": {"nodes": ["m"]}}
    specs = [
        {"sub": sub, "filter": known, "from": {"epoch": "e", "seq": 1}, "credit": 1, "values": "patch"}
        for sub in range(1000)
    ]
    run = {"type": "run", "id": 1, "graph": "g", "input": UNKNOWN, "metadata": UNKNOWN, "subscribe": specs}
    command = decode_command(json.dumps({**run, **UNKNOWN}))
    assert isinstance(command, commands.Run)
    assert (len(command.subscribe), command.input) == (1000, UNKNOWN)


def test_a_few_unknown_fields_of_a_large_frame_are_named_as_in_a_small_one() -> None:
    frame = {"type": "subscribe", "id": 1, "sub": 1, "run": "r", "filter": {"modes": ["values"], "node": []}}
    small, large = refused(json.dumps(frame)), refused(json.dumps({**frame, "more": "x" * 100_000}))
    assert str(large) == str(small)
