"""A part becomes bytes once, as the models say; later changes of its objects do not matter.

About `gateway/graphwire_gateway/execution/encode.py`.
"""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphwire.messages import message_from_json
from graphwire_gateway.execution import encode
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.log.record import Record
from graphwire_protocol.codec import decode_frames
from graphwire_protocol.payloads import MessageData
from graphwire_protocol.projection import Projector, message_fields
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    ToolMessageChunk,
)

META = {"langgraph_node": "talk", "langgraph_step": 1, "tags": ["a", "b"]}


def encoder(limit: int = 1 << 20) -> Encoder:
    return Encoder(Projector(), limit)


def event(record: Record) -> Any:
    """Return the event frame that delivery would make of a record."""
    raw = b'{"type":"event","sub":1,"n":1,"seq":1,%s}' % record.body
    (frame,) = decode_frames(raw)
    assert frame.type == "event"
    assert orjson.loads(record.data) == frame.data
    assert frame.mode == record.address.mode
    assert (frame.ns, frame.node) == (record.address.ns, record.address.node)
    return frame


fields = st.fixed_dictionaries(
    {
        "content": st.one_of(
            st.text(max_size=12), st.just("a\ud800"), st.just(""), st.just([{"type": "text", "text": "x"}])
        )
    },
    optional={
        "id": st.sampled_from(["run-1", 'quo"te', "ü"]),
        "name": st.sampled_from(["", "n"]),
        "additional_kwargs": st.sampled_from([{}, {"a": 1}]),
        "response_metadata": st.sampled_from([{}, {"finish_reason": "stop"}]),
        "tool_call_chunks": st.sampled_from(
            [[], [{"name": "f", "args": "{", "id": "c", "index": 0, "type": "tool_call_chunk"}]]
        ),
        "usage_metadata": st.sampled_from([None, {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}]),
        "chunk_position": st.sampled_from([None, "last"]),
        "own": st.sampled_from([None, "extra"]),
    },
)


@settings(max_examples=400, deadline=None)
@given(fields)
def test_the_quick_way_of_a_token_equals_the_general_one(values: dict[str, Any]) -> None:
    chunk = AIMessageChunk(**values)
    mine = encoder()
    frame = event(mine.part((), "messages", (chunk, META)))
    data = MessageData.model_validate(frame.data)
    assert data.id == (values.get("id") or "unnamed-1")
    expected = message_fields(chunk)
    expected.pop("id", None)
    if expected["content"] == "":
        del expected["content"]
    assert data.delta == orjson.loads(Projector().dumps_fields(expected))
    assert frame.node == "talk"


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("hi", id="1"),
        AIMessage("hi", id="1", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
        HumanMessageChunk(content="hi", id="1"),
        ToolMessageChunk(content="hi", id="1", tool_call_id="c"),
    ],
)
def test_other_messages_keep_their_type_and_their_form(message: Any) -> None:
    data = event(encoder().part((), "messages", (message, META))).data
    kind = "delta" if type(message).__name__.endswith("Chunk") else "message"
    assert set(data) == {"id", kind}
    assert data[kind]["type"] == message.type
    assert data[kind]["content"] == "hi"
    assert ("id" in data[kind]) == (kind == "message")


def test_blocks_behind_an_empty_list_of_them_add_up_to_what_they_do_locally() -> None:
    mine = encoder()
    block = {"type": "text", "text": "hi", "index": 0}
    chunks = [AIMessageChunk(content=content, id="m") for content in ([], [block], [])]
    deltas = [event(mine.part((), "messages", (chunk, META))).data["delta"] for chunk in chunks]
    local, remote = chunks[0] + chunks[1] + chunks[2], message_from_json(deltas[0])
    for delta in deltas[1:]:
        remote += message_from_json(delta)
    assert remote.content == local.content == [block]


def test_a_chunk_that_is_changed_afterwards_is_sent_as_it_was() -> None:
    chunk = AIMessageChunk(content="before", id="m", additional_kwargs={"a": [1]})
    state = {"messages": [chunk], "list": [1]}
    metadata = dict(META)
    mine = encoder()
    records = [mine.part((), "messages", (chunk, metadata)), mine.part((), "values", state)]
    before = [(record.body, record.meta) for record in records]
    chunk.content = "after"
    chunk.additional_kwargs["a"].append(2)
    state["list"].append(2)
    metadata["langgraph_step"] = 99
    assert [(record.body, record.meta) for record in records] == before
    assert b"before" in records[0].body


def test_metadata_is_encoded_once_a_message_and_again_when_it_is_another() -> None:
    mine = encoder()
    first, second = (mine.part((), "messages", (AIMessageChunk(content="a", id="m"), META)) for _ in range(2))
    assert first.meta is second.meta
    assert first.address is second.address
    assert orjson.loads(first.meta or b"") == META
    other = mine.part((), "messages", (AIMessageChunk(content="a", id="m"), {**META, "tags": ["c"]}))
    assert other.address.tags == ("c",)
    assert orjson.loads(other.meta or b"")["tags"] == ["c"]
    below = mine.part(("x:1",), "messages", (AIMessageChunk(content="a", id="m"), META))
    assert below.address.ns == ("x:1",)


def test_chunks_without_an_id_are_one_message_as_long_as_they_share_their_metadata() -> None:
    mine = encoder()
    other = dict(META)
    ids = [
        mine.part((), "messages", (AIMessageChunk(content="a"), metadata)).call
        for metadata in (META, META, other, META, other)
    ]
    assert ids == ["unnamed-1", "unnamed-1", "unnamed-2", "unnamed-1", "unnamed-2"]


def test_interrupts_stand_beside_the_data_and_never_in_it() -> None:
    asked = [SimpleNamespace(id="i", value={"q": (1, 2)})]
    for mode, data in (("updates", {}), ("values", {"a": 1})):
        frame = event(encoder().part(("x:1",), mode, {**data, "__interrupt__": asked}))
        assert frame.data == data
        assert [(item.id, item.value) for item in frame.interrupts] == [("i", {"q": [1, 2]})]
    frame = event(encoder().part((), "updates", {"__interrupt__": ()}))
    assert (frame.data, frame.interrupts) == ({}, ())


def test_a_node_is_told_where_the_part_tells_it() -> None:
    mine = encoder()
    assert event(mine.part((), "updates", {"n": {"a": 1}})).node == "n"
    assert event(mine.part((), "updates", {"__metadata__": {"cached": True}, "n": 1})).node == "n"
    assert event(mine.part((), "tasks", {"name": "n", "id": "1"})).node == "n"
    for mode in ("values", "custom", "debug", "checkpoints"):
        assert event(mine.part((), mode, {"n": 1})).node is None


class Name(str):
    """A name whose code would run where it is compared."""

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def test_names_and_ids_reach_the_main_loop_without_the_code_of_their_classes() -> None:
    metadata = {"langgraph_node": Name("node"), "tags": [Name("tag")]}
    chunk = AIMessageChunk("x")
    chunk.id = Name("id")
    whole = AIMessage("y")
    whole.id = Name("other")
    for message in (chunk, whole):
        record = encoder().part((), "messages", (message, metadata))
        names = [record.address.node, *record.address.tags, *([record.call] if record.call else [])]
        assert [type(name) for name in names] == [str] * len(names)
    updated = encoder().part((), "updates", {Name("node"): 1}).address.node
    assert (updated, type(updated)) == ("node", str)
    names = [name for _, _, *rest in encode._ROOT_ORIGINS for name in (rest[0], *rest[1]) if name is not None]
    assert {type(name) for name in names} == {str}, "all runs share these"


@pytest.mark.parametrize("size", [0, 10, 600])
def test_what_is_over_the_limit_is_cut_to_the_byte(size: int) -> None:
    data = {"text": "x" * size}
    length = len(orjson.dumps(data))
    assert event(encoder(length).part((), "custom", data)).data == data
    assert event(encoder(length - 1).part((), "custom", data)).data == {
        "$cut": {"reason": "size", "bytes": length}
    }
    chunk = AIMessageChunk(content="y" * (size + 1), id="m")
    whole = event(encoder().part((), "messages", (chunk, META))).data
    length = len(orjson.dumps(whole))
    assert event(encoder(length).part((), "messages", (chunk, META))).data == whole
    cut = encoder(length - 1).part((), "messages", (chunk, META))
    assert event(cut).data == {"id": "m", "$cut": {"reason": "size", "bytes": length}}
    assert cut.call == "m"


def test_a_run_with_more_places_than_are_remembered_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(encode, "_KNOWN_ORIGINS", 4)
    mine = encoder()
    for number in range(50):
        ns = (f"sub:{number % 7}",)
        assert event(mine.part(ns, "custom", number)).data == number
        chunk = AIMessageChunk(content="a", id=f"m{number % 9}")
        assert event(mine.part(ns, "messages", (chunk, META))).data["id"] == f"m{number % 9}"
    assert len(mine._origins) <= 4
