"""What is too large is cut key by key, the largest first, and no more than has to be.

About `gateway/graphwire_gateway/cutting.py` and `gateway/graphwire_gateway/execution/encode.py`.
"""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphwire_gateway.cutting import LEVELS, cut, cut_anywhere, cut_snapshot, cut_whole
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.log.record import Record
from graphwire_protocol.filters import NOTHING, Filter, Matcher
from graphwire_protocol.frames import Snapshot
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.projection import Projector
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, HumanMessage

LIMIT = 1000
BIG = "x" * 2000
GONE = {"$cut": {"reason": "size", "bytes": 2002}}


def record(mode: str, data: Any, limit: int = LIMIT) -> Record:
    return Encoder(Projector(), limit).part((), mode, data)


def sent(mode: str, data: Any, limit: int = LIMIT) -> Any:
    made = record(mode, data, limit)
    assert len(made.data) <= limit
    return orjson.loads(made.data)


def seen(mode: str, data: Any, *keys: str) -> Any:
    matcher = Matcher(Filter(modes=(mode,), keys=keys))
    return matcher.project(mode, orjson.loads(record(mode, data).data))


# ── states, updates and what holds states ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mode", "data", "left"),
    [
        ("values", {"pdf": BIG, "note": "n"}, {"pdf": GONE, "note": "n"}),
        ("values", {"$pdf": BIG, "note": "n"}, {"$obj": {"$pdf": GONE, "note": "n"}}),
        ("updates", {"load": {"pdf": BIG, "note": "n"}}, {"load": {"pdf": GONE, "note": "n"}}),
        (
            "updates",
            {"load": [{"note": "n"}, {"pdf": BIG}], "__metadata__": {"cached": True}},
            {"load": [{"note": "n"}, {"pdf": GONE}], "__metadata__": {"cached": True}},
        ),
        ("updates", {"load": BIG, "sum": {"note": "n"}}, {"load": GONE, "sum": {"note": "n"}}),
        (
            "tasks",
            {"id": "1", "name": "load", "input": {"pdf": BIG, "note": "n"}, "triggers": ["a"]},
            {"id": "1", "name": "load", "input": {"pdf": GONE, "note": "n"}, "triggers": ["a"]},
        ),
        (
            "checkpoints",
            {"values": {"pdf": BIG}, "tasks": [{"id": "1", "state": None}], "next": ["a"]},
            {"values": {"pdf": GONE}, "tasks": [{"id": "1", "state": None}], "next": ["a"]},
        ),
        (
            "debug",
            {"step": 1, "type": "task_result", "payload": {"id": "1", "result": {"pdf": BIG}}},
            {"step": 1, "type": "task_result", "payload": {"id": "1", "result": {"pdf": GONE}}},
        ),
        ("custom", {"pdf": BIG}, {"$cut": {"reason": "size", "bytes": 2010}}),
        ("values", BIG, GONE),
        ("values", [BIG], {"$cut": {"reason": "size", "bytes": 2004}}),
        ("values", {1: BIG}, {"$cut": {"reason": "size", "bytes": 2017}}),
    ],
)
def test_only_the_key_that_is_too_large_is_cut(mode: str, data: Any, left: Any) -> None:
    assert sent(mode, data) == left


@pytest.mark.parametrize("mode", ["values", "updates"])
def test_a_view_of_keys_still_gets_those_beside_a_large_one(mode: str) -> None:
    state = {"note": "loaded", "pdf": BIG}
    wrap = (lambda left: left) if mode == "values" else (lambda left: {"load": left})
    assert seen(mode, wrap(state), "note") == wrap({"note": "loaded"})
    assert seen(mode, wrap(state), "pdf") == wrap({"pdf": GONE})
    assert seen(mode, wrap({"pdf": BIG}), "note") is NOTHING


def test_of_keys_that_are_too_large_together_the_largest_goes_first() -> None:
    state = {"a": "x" * 500, "b": "x" * 600, "c": "x" * 300, "d": 1}
    assert sent("values", state) == {**state, "b": {"$cut": {"reason": "size", "bytes": 602}}}
    left = sent("values", state, 500)
    assert [key for key in state if left[key] != state[key]] == ["a", "b"]


def test_of_keys_of_the_same_size_the_first_goes() -> None:
    left = sent("values", {"a": "x" * 600, "b": "y" * 600})
    assert left["a"] == {"$cut": {"reason": "size", "bytes": 602}}
    assert left["b"] == "y" * 600


def test_keys_that_all_are_small_and_too_many_are_cut_as_a_whole() -> None:
    state = {str(number): number for number in range(1000)}
    size = len(orjson.dumps(state))
    assert sent("values", state) == {"$cut": {"reason": "size", "bytes": size}}


def test_of_keys_whose_names_are_too_large_no_value_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    data = orjson.dumps({f"key {number}": "x" * 99 for number in range(1000)})
    dumps, measured = orjson.dumps, 0

    def counted(value: Any) -> bytes:
        nonlocal measured
        measured += 1
        return dumps(value)

    monkeypatch.setattr("graphwire_gateway.cutting.orjson.dumps", counted)
    assert cut(data, LIMIT, 1) == cut_whole(len(data))
    assert measured == 2, "what stands for the whole, made twice"


def test_names_that_just_fit_beside_what_stands_for_their_values_stay() -> None:
    state = {"a": BIG, "b": "", "c": 1}
    left = {**state, "a": GONE}
    size = len(orjson.dumps(left))
    assert orjson.loads(cut(orjson.dumps(state), size, 1)) == left
    assert orjson.loads(cut(orjson.dumps({"a" * 99: BIG}), 150, 1)) == {"a" * 99: GONE}


def test_a_message_in_a_state_is_never_cut_in_half() -> None:
    state = {"last": HumanMessage(BIG, id="m"), "note": "n"}
    left = sent("values", state)
    assert left["note"] == "n"
    assert set(left["last"]) == {"$cut"}
    assert set(sent("updates", {"say": state})["say"]["last"]) == {"$cut"}
    assert set(sent("updates", {"say": HumanMessage(BIG, id="m")})["say"]) == {"$cut"}


def test_the_id_of_a_large_message_is_sent() -> None:
    chunk = AIMessageChunk(content=BIG, id="m")
    assert sent("messages", (chunk, {"langgraph_node": "n"})).keys() == {"id", "$cut"}


def test_the_metadata_of_a_message_is_cut_by_its_keys() -> None:
    encoder = Encoder(Projector(), LIMIT, None, 500)
    made = encoder.part((), "messages", (AIMessageChunk(content="hi", id="m"), {"n": "say", "big": BIG}))
    assert made.meta is not None
    assert orjson.loads(made.meta) == {"n": "say", "big": GONE}


texts = st.text("ab", max_size=80)
states = st.dictionaries(st.text("abc", min_size=1, max_size=4), texts | st.lists(texts, max_size=4))


@given(states, st.integers(60, 400), st.sampled_from(["values", "updates", "debug"]))
def test_what_is_left_fits_and_is_as_it_was(state: dict[str, Any], limit: int, mode: str) -> None:
    data = state if mode == "values" else {"n": state}
    encoded = orjson.dumps(data)
    left = cut(encoded, limit, LEVELS[mode])
    assert len(left) <= limit
    assert left == cut(encoded, limit, LEVELS[mode])
    if len(encoded) <= limit:
        assert left == encoded
    if left == cut_whole(len(encoded)):
        return
    found = orjson.loads(left) if mode == "values" else orjson.loads(left)["n"]
    assert list(found) == list(state)
    kept = [len(orjson.dumps(state[key])) for key in state if found[key] == state[key]]
    gone = [len(orjson.dumps(state[key])) for key in state if found[key] != state[key]]
    assert all(
        found[key] in (state[key], orjson.loads(cut_whole(len(orjson.dumps(state[key]))))) for key in state
    )
    assert not gone or not kept or max(kept) <= min(gone), "a smaller one was cut before a larger one"


def test_what_stands_for_a_value_says_its_size() -> None:
    assert cut_anywhere(cut_whole(5)) == 5
    assert cut_anywhere(b'{"a":{"$cut":{"reason":"size","bytes":5}}}') == 5
    assert cut_anywhere(b'{"$cut":{"reason":"depth"}}') is None
    assert cut_anywhere(orjson.dumps([cut_whole(5).decode()])) is None


# ── questions ────────────────────────────────────────────────────────────────────────────────────


def test_questions_that_are_too_large_together_keep_their_ids_and_the_smaller_ones_their_text() -> None:
    asked = tuple(
        PendingInterrupt(id=f"q{number}", value="x" * size, ns=("sub:1",))
        for number, size in enumerate((300, 700, 100))
    )
    left = Encoder(Projector(), LIMIT).questions(asked)
    assert [(one.id, one.ns) for one in left] == [(one.id, one.ns) for one in asked]
    assert [one.value for one in left] == ["x" * 300, {"$cut": {"reason": "size", "bytes": 702}}, "x" * 100]
    assert Encoder(Projector(), 5000).questions(asked) is asked


@pytest.mark.parametrize(("mode", "data"), [("values", {"a": "y" * 400}), ("updates", {})])
def test_a_state_and_what_is_asked_with_it_fit_together(mode: str, data: Any) -> None:
    asked = [SimpleNamespace(id="i", value="x" * 700), SimpleNamespace(id="j", value="x" * 500)]
    made = record(mode, {**data, "__interrupt__": asked})
    event = orjson.loads(b"{%s}" % made.body)
    assert len(orjson.dumps(event["data"])) + len(orjson.dumps(event["interrupts"])) <= LIMIT
    assert [one["id"] for one in event["interrupts"]] == ["i", "j"]
    assert [type(one["value"]) for one in event["interrupts"]] == [dict, str]
    assert event["data"] == data


# ── snapshots ────────────────────────────────────────────────────────────────────────────────────


def snapshot(sizes: list[int], meta: Any = None, **fields: Any) -> bytes:
    messages = [
        {
            "id": f"m{n}",
            "ns": [],
            "node": "say",
            "message": {"type": "ai", "content": "x" * size},
            "meta": meta or {},
        }
        for n, size in enumerate(sizes)
    ]
    frame = {
        "type": "snapshot",
        "sub": 1,
        "seq": 9,
        "status": "running",
        "messages": messages,
        "interrupts": [],
    }
    return orjson.dumps({**frame, **fields})


def test_a_snapshot_that_fits_is_sent_as_it_is() -> None:
    limits = AnnouncedLimits(max_event_bytes=LIMIT)
    frame = snapshot([10, 20])
    assert cut_snapshot(frame, limits) == (frame, False)


def test_the_largest_of_a_snapshot_is_cut_and_keeps_its_id_its_node_and_its_type() -> None:
    limits = AnnouncedLimits(max_event_bytes=LIMIT)
    asked = [{"id": "q", "value": "?" * 400, "ns": []}]
    frame = snapshot([2000, 100, 300], values={"pdf": BIG, "note": "n" * 50}, interrupts=asked)
    left, lacks = cut_snapshot(frame, limits)
    read = Snapshot.model_validate_json(left)
    assert not lacks
    assert [row.id for row in read.messages] == ["m0", "m1", "m2"]
    size = len(orjson.dumps({"type": "ai", "content": "x" * 2000}))
    assert read.messages[0].message == {"type": "ai", "$cut": {"reason": "size", "bytes": size}}
    assert (read.messages[0].node, read.messages[1].message["content"]) == ("say", "x" * 100)
    assert read.values == {"pdf": GONE, "note": "n" * 50}
    assert [one.value for one in read.interrupts] == ["?" * 400]


def test_a_snapshot_of_very_many_messages_lacks_the_oldest_and_says_so() -> None:
    limits = AnnouncedLimits(max_event_bytes=LIMIT, max_frame_bytes=1000)
    left, lacks = cut_snapshot(snapshot([100] * 5000), limits)
    assert lacks
    assert limits.largest_message - 1000 < len(left) <= limits.largest_message
    assert orjson.loads(left)["messages"][-1]["id"] == "m4999"
    left, lacks = cut_snapshot(snapshot([100] * 1000, {"big": "m" * 1000}), limits)
    assert not lacks
    assert len(left) <= limits.largest_message


def test_a_snapshot_of_many_questions_keeps_their_ids_and_lacks_values_of_many_keys() -> None:
    limits = AnnouncedLimits(max_event_bytes=400_000, max_frame_bytes=1000)
    values = {f"k{number}": number for number in range(30_000)}
    asked = [{"id": f"{number:032}", "value": None} for number in range(6000)]
    left, _ = cut_snapshot(snapshot([], values=values, interrupts=asked), limits)
    assert len(left) <= limits.largest_message
    read = orjson.loads(left)
    assert read["interrupts"] == asked
    assert read["values"] == {"$cut": {"reason": "size", "bytes": len(orjson.dumps(values))}}
