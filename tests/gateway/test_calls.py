"""A call of a model is one message, whatever ids its chunks have; two calls are two, even under one id.

About `gateway/graphwire_gateway/execution/calls.py` and `gateway/graphwire_gateway/execution/origin.py`.
"""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from graphwire.event_reader import EventReader
from graphwire.events import MessagesEvent, SnapshotEvent
from graphwire_gateway.execution import calls
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.origin import Origin
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.record import Record
from graphwire_protocol.codec import decode_frames
from graphwire_protocol.deltas import preferred_id
from graphwire_protocol.filters import Address, Filter, Matcher
from graphwire_protocol.frames import Event, Snapshot
from graphwire_protocol.projection import Projector
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

EVERYTHING = Matcher(Filter(modes=("messages",), namespaces=(("**",),)))


def traced(node: str, **more: Any) -> dict[str, Any]:
    """Return metadata as LangGraph makes it for one call of a model in ``node``."""
    path = ("__pregel_pull", node)
    return {"langgraph_node": node, "langgraph_path": path, "langgraph_checkpoint_ns": f"{node}:1", **more}


def from_afar(node: str, task: str = "1") -> dict[str, Any]:
    """Return such metadata as it comes out of JSON: a new object for each chunk."""
    return {**traced(node), "langgraph_path": ["__pregel_pull", node], "langgraph_checkpoint_ns": task}


def chunk(text: str, id: str | None, last: bool = False) -> AIMessageChunk:
    return AIMessageChunk(content=text, id=id, chunk_position="last" if last else None)


class Taken:
    """What an encoder makes of chunks: the data of its events, and what they fold into."""

    def __init__(self) -> None:
        self.encoder = Encoder(Projector(), 1 << 20)
        self.fold = Fold()
        self.reader = EventReader("r")
        self.events: list[MessagesEvent] = []

    def take(self, message: BaseMessage, metadata: Any, ns: tuple[str, ...] = ()) -> dict[str, Any]:
        record = self.encoder.part(ns, "messages", (message, metadata))
        self.fold.add(record)
        event = self.reader.read(frame_of(record, len(self.events) + 1))
        assert isinstance(event, MessagesEvent)
        self.events.append(event)
        data = orjson.loads(record.data)
        assert isinstance(data, dict)
        assert record.call == (None if "message" in data else data.get("call", data["id"]))
        return data

    def take_all(self, *parts: tuple[str, str | None], metadata: Any) -> list[tuple[str, Any, Any]]:
        """Return the id, the call and the chunk's own id of each."""
        out = [self.take(chunk(text, id), metadata) for text, id in parts]
        return [(data["id"], data.get("call"), data["delta"].get("id")) for data in out]

    def rows(self, matcher: Matcher = EVERYTHING) -> list[tuple[str, Any, Any, Any]]:
        """Return id, call, node and text of each message in a snapshot."""
        rows = self.fold.snapshot(matcher)["messages"]
        assert all(row["message"].get("id", row["id"]) == row["id"] for row in rows)
        return [(row["id"], row.get("call"), row["node"], row["message"]["content"]) for row in rows]

    def sums(self) -> dict[str, Any]:
        """Return what the client adds up, by call."""
        out: dict[str, Any] = {}
        for event in self.events:
            assert event.call is not None
            known = out.get(event.call)
            out[event.call] = event.message if known is None else known + event.message
        return out


def frame_of(record: Record, seq: int) -> Event:
    meta = b"" if record.meta is None else b',"meta":%s' % record.meta
    (frame,) = decode_frames(b'{"type":"event","sub":1,"n":%d,"seq":%d,%s%s}' % (seq, seq, record.body, meta))
    assert isinstance(frame, Event)
    return frame


# ── one call, several ids ────────────────────────────────────────────────────────────────────────


def test_a_call_whose_first_chunk_alone_has_the_provider_s_id_is_one_message_of_that_id() -> None:
    taken = Taken()
    parts = [("", "msg_1"), ("Hello ", "lc_run--7"), ("there", "lc_run--7")]
    metadata = traced("say")
    told = taken.take_all(*parts, metadata=metadata)
    assert told == [("msg_1", None, None), ("msg_1", None, "lc_run--7"), ("msg_1", None, "lc_run--7")]
    assert taken.rows() == [("msg_1", None, "say", "Hello there")]
    end = taken.take(chunk("", "lc_run--7", last=True), metadata)
    assert (end["id"], end["delta"]["id"]) == ("msg_1", "lc_run--7")
    assert [event.chunk_id for event in taken.events] == ["msg_1", "lc_run--7", "lc_run--7", "lc_run--7"]


def test_a_provider_s_id_that_comes_late_names_the_message_and_the_call_keeps_its_key() -> None:
    taken = Taken()
    parts = [("a", "lc_run--7"), ("b", "msg_1"), ("c", "lc_run--7"), ("d", "msg_2")]
    told = taken.take_all(*parts, metadata=traced("say"))
    assert told == [
        ("lc_run--7", None, None),
        ("msg_1", "lc_run--7", None),
        ("msg_1", "lc_run--7", "lc_run--7"),
        ("msg_1", "lc_run--7", "msg_2"),
    ]
    assert taken.rows() == [("msg_1", "lc_run--7", "say", "abcd")]


def test_a_hot_token_costs_no_byte_for_its_call() -> None:
    data = Taken().take(chunk("Hello", "lc_run--7"), traced("say"))
    assert data == {"id": "lc_run--7", "delta": {"type": "AIMessageChunk", "content": "Hello"}}


ids = st.lists(st.sampled_from(["msg_1", "resp_1", "lc_run--7", "lc_7", "lc_8", "x"]), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(ids)
def test_the_id_of_a_message_is_the_one_that_langchain_s_sum_has(ids: list[str]) -> None:
    taken = Taken()
    metadata = traced("say")
    chunks = [chunk(str(number), id) for number, id in enumerate(ids)]
    data = [taken.take(each, metadata) for each in chunks]
    local = sum(chunks[1:], chunks[0])
    ((key, remote),) = taken.sums().items()
    assert (remote.id, remote.content) == (local.id, local.content)
    assert taken.rows() == [(local.id, None if key == local.id else key, "say", local.content)]
    assert data[-1]["id"] == local.id
    assert [event.chunk_id for event in taken.events] == ids


def test_an_empty_id_is_none() -> None:
    assert preferred_id("", "lc_8") == "lc_8"
    told = Taken().take_all(("a", None), ("b", "lc_run--7"), ("c", None), metadata=traced("say"))
    assert told[0][0] == "unnamed-1"
    assert [(id, call) for id, call, _ in told[1:]] == [("lc_run--7", "unnamed-1")] * 2


def test_chunks_that_each_have_an_id_of_their_own_and_the_answer_behind_them_are_one_message() -> None:
    """As of a model that reports its tokens itself, without ids: LangGraph gives each a new one."""
    taken = Taken()
    metadata = traced("say")
    taken.take_all(("a", "u1"), ("b", "u2"), ("c", "u3"), metadata=metadata)
    whole = taken.take(AIMessage("abc", id="lc_run--7-0"), metadata)
    assert (whole["id"], whole["call"]) == ("lc_run--7-0", "u1")
    assert taken.rows() == [("lc_run--7-0", "u1", "say", "abc")]


# ── several calls, one id ────────────────────────────────────────────────────────────────────────


def test_two_calls_with_one_id_are_two_messages_even_in_turns() -> None:
    taken = Taken()
    left, right = traced("a"), traced("b")
    told = [
        taken.take_all((text, "ai-1"), metadata=metadata)[0]
        for text, metadata in (("1", left), ("one", right), ("2", left), ("two", right), ("3", left))
    ]
    assert [call for _, call, _ in told] == [None, "call-2", None, "call-2", None]
    assert taken.rows() == [("ai-1", None, "a", "123"), ("ai-1", "call-2", "b", "onetwo")]
    assert {key: whole.text for key, whole in taken.sums().items()} == {"ai-1": "123", "call-2": "onetwo"}
    nodes = [event.metadata["langgraph_node"] for event in taken.events]
    assert nodes == ["a", "b", "a", "b", "a"]


def test_calls_of_one_task_are_told_apart_by_their_metadata() -> None:
    taken = Taken()
    first, second = traced("a"), traced("a")
    for metadata in (first, second, first, second):
        taken.take(chunk("x", "ai-1"), metadata)
    assert [row[1] for row in taken.rows()] == [None, "call-2"]


def test_calls_for_several_prompts_share_their_metadata_and_are_told_apart_by_their_runs() -> None:
    taken = Taken()
    metadata = traced("a")
    for text, id in (("1", "lc_run--1"), ("one", "lc_run--2"), ("2", "lc_run--1"), ("two", "lc_run--2")):
        taken.take(chunk(text, id), metadata)
    for id in ("lc_run--1", "lc_run--2"):
        taken.take(chunk("", id, last=True), metadata)
    taken.take(chunk("p", "msg_3"), metadata)
    assert [(row[0], row[3]) for row in taken.rows()] == [
        ("lc_run--1", "12"),
        ("lc_run--2", "onetwo"),
        ("msg_3", "p"),
    ]


def test_metadata_from_another_process_is_one_call_for_each_task_until_its_last_chunk() -> None:
    taken = Taken()
    for task in ("1", "2"):
        for text in "ab":
            taken.take(chunk(text, "ai-1"), from_afar("a", task))
    taken.take(chunk("", "ai-1", last=True), from_afar("a", "2"))
    taken.take(chunk("c", "ai-1"), from_afar("a", "2"))
    assert [(row[1], row[3]) for row in taken.rows()] == [(None, "ab"), ("call-2", "ab"), ("call-3", "c")]


def test_chunks_of_a_graph_of_another_kind_belong_together_by_their_id() -> None:
    taken = Taken()
    same = {"langgraph_node": "a"}
    for id in ("m1", "m2", "m1", "m2"):
        taken.take(chunk(id, id), same)
    assert [(row[0], row[3]) for row in taken.rows()] == [("m1", "m1m1"), ("m2", "m2m2")]


# ── whole messages ───────────────────────────────────────────────────────────────────────────────


def test_a_whole_message_replaces_what_was_shown_under_its_id() -> None:
    taken = Taken()
    taken.take(chunk("half", "m1"), traced("a"))
    data = taken.take(AIMessage("all of it", id="m1"), traced("a"))
    assert set(data) == {"id", "message"}
    assert taken.rows() == [("m1", None, "a", "all of it")]


def test_what_comes_again_from_elsewhere_is_once_in_a_snapshot_as_far_as_its_filter_admits_it() -> None:
    taken = Taken()
    taken.take(chunk("deep", "m1"), traced("inner"), ns=("outer:1",))
    taken.take(AIMessage("other", id="m2"), traced("outer"))
    taken.take(AIMessage("deep!", id="m1"), traced("outer"))
    assert taken.rows() == [("m1", None, "outer", "deep!"), ("m2", None, "outer", "other")]
    root = Matcher(Filter(modes=("messages",)))
    assert taken.rows(root) == taken.rows()
    below = Matcher(Filter(modes=("messages",), namespaces=(("outer", "**"),), nodes=("inner",)))
    assert taken.rows(below) == [("m1", None, "inner", "deep")]
    assert [event.metadata["langgraph_node"] for event in taken.events] == ["inner", "outer", "outer"]


def test_a_call_under_the_id_of_a_whole_message_is_another_message() -> None:
    taken = Taken()
    taken.take(ToolMessage("found", id="m1", tool_call_id="c"), traced("a"))
    taken.take(chunk("said", "m1"), traced("b"))
    assert [(row[1], row[3]) for row in taken.rows()] == [(None, "found"), ("call-2", "said")]


# ── what is remembered ───────────────────────────────────────────────────────────────────────────


def test_a_call_is_one_message_however_many_others_begin_before_its_end() -> None:
    taken = Taken()
    metas = [traced(f"n{number}") for number in range(1000)]
    for _ in range(2):
        for number, metadata in enumerate(metas):
            taken.take(chunk("x", f"m{number}"), metadata)
    assert taken.rows() == [(f"m{number}", None, f"n{number}", "xx") for number in range(1000)]


def test_no_key_is_given_twice_though_not_all_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("_KNOWN_IDS", 5), ("_KNOWN_ENDED", 2), ("_KNOWN_CALLS", 3)):
        monkeypatch.setattr(calls, name, most)
    taken = Taken()
    names = [f"m{number % 9}" for number in range(40)] + ["call-3", "call-41", "call-42", "call-90"] * 2
    for number, id in enumerate(names):
        taken.take(chunk("x", id, last=number % 2 == 0), traced("a"))
    assert len(taken.fold.snapshot(EVERYTHING)["messages"]) == len(names)
    known: Any = taken.encoder._calls
    assert max(map(len, (known.lines, known._calls, known._by_metadata))) <= 5
    assert len(known._keys) <= 5


def test_a_made_up_key_is_no_message_s_id() -> None:
    taken = Taken()
    for id in ("call-3", "m1", "m1"):
        taken.take(chunk("x", id), traced("a"))
    assert [row[:2] for row in taken.rows()] == [("call-3", "call-1"), ("m1", None), ("m1", "call-3")]


def test_an_origin_begins_its_events_with_its_address() -> None:
    assert Origin(Address("custom")).prefix == b'"mode":"custom","data":'
    origin = Origin(Address("messages", ("a:1",), "n"))
    assert origin.prefix == b'"mode":"messages","ns":["a:1"],"node":"n","data":'
    assert origin.start == len(origin.prefix)


def test_an_older_server_s_messages_go_by_their_ids() -> None:
    reader = EventReader("r")
    frames: Iterable[dict[str, Any]] = (
        {"data": {"id": "m", "delta": {"content": "a"}}, "meta": {"langgraph_node": "n"}},
        {"data": {"id": "m", "delta": {"content": "b"}}},
    )
    events = [
        reader.read(Event(sub=1, n=seq, seq=seq, mode="messages", **frame))
        for seq, frame in enumerate(frames, 1)
    ]
    told = [(each.call, each.chunk_id, each.metadata) for each in events if isinstance(each, MessagesEvent)]
    assert told == [("m", "m", {"langgraph_node": "n"})] * 2


def test_what_a_snapshot_cut_stays_cut_by_its_call_until_the_call_is_taken_back() -> None:
    reader = EventReader("r")
    message = {"type": "AIMessageChunk", "content": "whole"}
    cut = {"type": "AIMessageChunk", "$cut": {"reason": "size", "bytes": 9}}
    rows = ({"id": "m", "message": message}, {"id": "m", "call": "call-2", "message": cut})
    snapshot = Snapshot.model_validate(
        {"sub": 1, "seq": 1, "status": "running", "messages": rows, "interrupts": ()}
    )
    read = reader.read(snapshot)
    assert isinstance(read, SnapshotEvent)
    assert [(each.call, each.cut_bytes) for each in read.messages] == [("m", None), ("call-2", 9)]
    datas: Iterable[dict[str, Any]] = (
        {"id": "m", "delta": {"content": "a"}},
        {"id": "m", "call": "call-2", "delta": {"content": "b"}},
        {"id": "m", "call": "call-2", "delta": {}, "discard": True},
    )
    events = [
        reader.read(Event(sub=1, n=n, seq=n + 1, mode="messages", data=data))
        for n, data in enumerate(datas, 1)
    ]
    told = [(each.call, each.cut_bytes, each.discard) for each in events if isinstance(each, MessagesEvent)]
    assert told == [("m", None, False), ("call-2", 9, False), ("call-2", None, True)]


def test_what_a_snapshot_cut_is_whole_again_once_its_call_is_sent_anew() -> None:
    reader = EventReader("r")
    row = {"id": "m", "message": {"type": "AIMessageChunk", "$cut": {"reason": "size", "bytes": 9}}}
    reader.read(
        Snapshot.model_validate(
            {"sub": 1, "seq": 1, "status": "running", "messages": (row,), "interrupts": ()}
        )
    )
    life = {"status": "running", "attempt": 2, "at": "2026-01-01T00:00:00.000Z", "discard": ["m"]}
    reader.read(Event(sub=1, n=1, seq=2, mode="lifecycle", data=life))
    delta = {"id": "m", "delta": {"content": "a"}}
    event = reader.read(Event(sub=1, n=2, seq=3, mode="messages", data=delta))
    assert isinstance(event, MessagesEvent)
    assert (event.cut_bytes, event.message.text) == (None, "a")


def test_what_is_taken_back_or_replaced_is_not_counted_any_more() -> None:
    taken = Taken()
    metadata = traced("n")
    taken.take(chunk("a" * 1000, "lc_run--1"), metadata)
    one = taken.fold.size
    taken.take(chunk("b" * 1000, "lc_run--1"), metadata)
    assert taken.fold.size >= one + 1000
    taken.take(AIMessage("c" * 1000, id="lc_run--1"), metadata)
    assert abs(taken.fold.size - one) < 100
    assert taken.fold.copy().size == taken.fold.size
    for record in taken.encoder.take_back("n:1"):
        taken.fold.add(record)
    assert taken.fold.size == 0
