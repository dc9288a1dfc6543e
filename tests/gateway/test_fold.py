"""Folding a prefix and adding the rest equals folding everything, and equals LangChain's sums.

About `gateway/graphwire_gateway/log/fold.py` and `protocol/graphwire_protocol/deltas.py`.
"""

from typing import Any

import orjson
import pytest
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.record import server_record
from graphwire_protocol.deltas import add_delta
from graphwire_protocol.filters import Filter, Matcher
from graphwire_protocol.payloads import Interrupts, Lifecycle, PendingInterrupt
from graphwire_protocol.projection import Projector, message_fields
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, HumanMessage

EVERYTHING = Matcher(
    Filter(modes=("custom", "values", "messages", "updates", "tasks"), namespaces=(("**",),))
)
PROJECTOR = Projector()

texts = st.text(max_size=6)
indexes = st.integers(0, 2)
blocks = st.one_of(
    st.builds(lambda index, text: {"type": "text", "index": index, "text": text}, indexes, texts),
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda index, text: {"type": "reasoning", "index": index, "reasoning": text}, indexes, texts),
    st.builds(lambda index, text: {"type": "text", "index": f"lc_txt_{index}", "text": text}, indexes, texts),
)
# Within one chunk a model names each block once.
block_lists = st.lists(blocks, max_size=3, unique_by=lambda block: block.get("index"))
contents = st.one_of(texts, block_lists)
call_chunks = st.lists(
    st.builds(
        lambda name, args, id, index: {
            "name": name,
            "args": args,
            "id": id,
            "index": index,
            "type": "tool_call_chunk",
        },
        st.one_of(st.none(), st.sampled_from(["f", "g"])),
        st.one_of(st.none(), texts),
        st.one_of(st.none(), st.sampled_from(["c1", "c2"])),
        st.one_of(st.none(), indexes),
    ),
    max_size=2,
    unique_by=lambda chunk: chunk["index"],
)
counts = st.integers(0, 50)
usages = st.one_of(
    st.none(),
    st.builds(
        lambda left, right, read: {
            "input_tokens": left,
            "output_tokens": right,
            "total_tokens": left + right,
            "input_token_details": {"cache_read": read},
        },
        counts,
        counts,
        counts,
    ),
)
extras = st.dictionaries(
    st.sampled_from(["a", "b", "model_provider", "finish"]),
    st.one_of(texts, st.dictionaries(st.sampled_from(["x", "y"]), texts, max_size=2)),
    max_size=2,
)


@st.composite
def chunks(draw: Any, kind: Any = contents) -> AIMessageChunk:
    fields: dict[str, Any] = {"content": draw(kind), "id": "m"}
    fields["tool_call_chunks"] = draw(call_chunks)
    fields["usage_metadata"] = draw(usages)
    return AIMessageChunk(**fields)


# What LangChain itself can add: contents of one sort, as a model streams them.
streams = st.one_of(
    st.lists(chunks(texts), min_size=1, max_size=8),
    st.lists(chunks(block_lists), min_size=1, max_size=8),
    # An empty list of blocks swallows the text behind it there; no model sends one.
    st.lists(chunks(st.one_of(texts, block_lists.filter(bool))), min_size=1, max_size=8),
)


def delta(chunk: AIMessageChunk) -> dict[str, Any]:
    """Return a chunk's delta as it travels: an empty content is left out."""
    fields = orjson.loads(PROJECTOR.dumps_fields(message_fields(chunk)))
    if not fields["content"]:
        del fields["content"]
    return fields


def known(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty, which a receiver fills in; write a bare text as a list with one text."""
    out = dict(fields)
    content = out.get("content", [])
    out["content"] = [block for block in ([content] if isinstance(content, str) else content) if block != ""]
    return {name: value for name, value in out.items() if value not in ("", [], None, {})}


@settings(max_examples=300, deadline=None)
@given(streams)
def test_deltas_add_up_as_langchain_s_chunks_do(stream: list[AIMessageChunk]) -> None:
    total = stream[0]
    for chunk in stream[1:]:
        total = total + chunk
    merged: dict[str, Any] = {}
    for chunk in stream:
        merged = add_delta(merged, delta(chunk))
    expected = delta(total)
    expected.pop("tool_calls", None)
    expected.pop("invalid_tool_calls", None)
    assert known(merged) == known(expected)


@settings(max_examples=100, deadline=None)
@given(st.lists(extras, min_size=1, max_size=5))
def test_additional_kwargs_and_response_metadata_add_up_too(stream: list[dict[str, Any]]) -> None:
    parts = [AIMessageChunk(content="", additional_kwargs=each, response_metadata=each) for each in stream]
    try:
        total = parts[0]
        for part in parts[1:]:
            total = total + part
    except TypeError:
        return  # LangChain refuses to add these; a stream goes on all the same
    merged: dict[str, Any] = {}
    for part in parts:
        merged = add_delta(merged, delta(part))
    assert known(merged) == known(delta(total))


@settings(max_examples=100, deadline=None)
@given(streams, st.integers(0, 8))
def test_adding_changes_neither_side(stream: list[AIMessageChunk], at: int) -> None:
    left: dict[str, Any] = {}
    for chunk in stream[:at]:
        left = add_delta(left, delta(chunk))
    right = delta(stream[-1])
    before = orjson.dumps([left, right])
    add_delta(left, right)
    assert orjson.dumps([left, right]) == before


metas = [{"langgraph_node": "a", "tags": ["x"]}, {"langgraph_node": "b"}]


@st.composite
def parts(draw: Any) -> tuple[Any, ...]:
    kind = draw(
        st.sampled_from(
            ["token", "chunk", "message", "values", "inner", "custom", "updates", "interrupt", "life"]
        )
    )
    which = draw(st.integers(0, 1))
    match kind:
        case "token":
            return (
                "part",
                (),
                "messages",
                (AIMessageChunk(content=draw(texts), id=f"m{which}"), metas[which]),
            )
        case "chunk":
            chunk = draw(chunks())
            chunk.id = f"c{which}"
            return ("part", ("sub:1",), "messages", (chunk, metas[which]))
        case "message":
            return ("part", (), "messages", (HumanMessage(draw(texts), id=f"h{which}"), metas[which]))
        case "values":
            return ("part", (), "values", {"state": draw(texts)})
        case "inner":
            return ("part", ("sub:1",), "values", {"state": draw(texts)})
        case "custom" | "updates":
            return ("part", (), kind, {"node": draw(texts)})
        case "interrupt":
            item = PendingInterrupt(id=f"i{which}", value=draw(texts))
            return ("own", "interrupt", Interrupts(interrupts=(item,)))
    status = draw(st.sampled_from(["running", "interrupted", "completed"]))
    return ("own", "lifecycle", Lifecycle(status=status, attempt=1, at="2026-01-01T00:00:00Z"))


def encoded(log: list[tuple[Any, ...]]) -> list[Any]:
    encoder = Encoder(PROJECTOR, 1 << 20)
    return [encoder.part(*part[1:]) if part[0] == "part" else server_record(*part[1:]) for part in log]


def told(fold: Fold) -> Any:
    return orjson.loads(orjson.dumps({**fold.snapshot(EVERYTHING), "lost": fold.lost(EVERYTHING, 0)}))


@settings(max_examples=200, deadline=None)
@given(st.lists(parts(), max_size=25), st.integers(0, 25))
def test_a_folded_prefix_and_the_rest_equal_the_whole(log: list[tuple[Any, ...]], cut: int) -> None:
    records = encoded(log)
    whole = Fold()
    for record in records:
        whole.add(record)
    prefix = Fold()
    for record in records[:cut]:
        prefix.add(record)
    before = told(prefix.copy())
    rest = prefix.copy()
    told(rest)  # being looked at changes nothing
    for record in records[cut:]:
        rest.add(record)
    assert told(rest) == told(whole)
    assert rest.upto == len(records)
    assert told(prefix) == before  # a copy goes its own way
    assert whole.size >= 0


@settings(max_examples=100, deadline=None)
@given(st.lists(parts(), max_size=25))
def test_lost_is_exactly_what_no_snapshot_gives_back(log: list[tuple[Any, ...]]) -> None:
    fold = Fold()
    seqs: dict[str, int] = {}
    for seq, (part, record) in enumerate(zip(log, encoded(log), strict=True), 1):
        fold.add(record)
        if part[0] == "part" and (part[2] in ("custom", "updates") or (part[2] == "values" and part[1])):
            seqs[part[2]] = seq
    for after in range(len(log) + 1):
        assert fold.lost(EVERYTHING, after) == sorted(mode for mode, seq in seqs.items() if seq > after)
    narrow = Matcher(Filter(modes=("custom",), namespaces=(("nobody",),)))
    assert fold.lost(narrow, 0) == []


def test_a_terminal_status_and_going_on_both_answer_what_was_asked() -> None:
    for status in ("running", "completed", "cancelled", "failed"):
        fold = Fold()
        item = PendingInterrupt(id="i", value=1)
        log = [
            ("own", "interrupt", Interrupts(interrupts=(item,))),
            ("own", "lifecycle", Lifecycle(status="interrupted", attempt=1, at="t")),
        ]
        for record in encoded(log):
            fold.add(record)
        assert [each["id"] for each in told(fold)["interrupts"]] == ["i"]
        (record,) = encoded([("own", "lifecycle", Lifecycle(status=status, attempt=1, at="t"))])
        fold.add(record)
        assert told(fold)["interrupts"] == []
        assert fold.status == status


def test_what_is_asked_counts_and_is_cut_but_for_how_it_is_answered() -> None:
    fold = Fold()
    items = (PendingInterrupt(id="i", value="x" * 100_000), PendingInterrupt(id="j", value="small"))
    state = ("part", (), "values", {"note": "n"})
    for record in encoded([state, ("own", "interrupt", Interrupts(interrupts=items))]):
        fold.add(record)
    assert 100_000 < fold.size < 101_000
    assert fold.copy().size == fold.size
    fold.shrink(4096)
    assert fold.size < 4096
    snapshot = told(fold)
    large, small = snapshot["interrupts"]
    assert (large["id"], large["value"]) == ("i", {"$cut": {"reason": "size", "bytes": 100_002}})
    assert (small["id"], small["value"]) == ("j", "small")
    assert snapshot["values"] == {"note": "n"}
    (record,) = encoded([("own", "lifecycle", Lifecycle(status="running", attempt=1, at="t"))])
    fold.add(record)
    assert fold.size == len(b'{"note":"n"}')


def test_discarded_messages_are_not_in_the_fold() -> None:
    fold = Fold()
    log = [("part", (), "messages", (AIMessageChunk(content="half", id=id), metas[0])) for id in ("m1", "m2")]
    log.append(("own", "lifecycle", Lifecycle(status="running", attempt=2, at="t", discard=("m1",))))
    for record in encoded(log):
        fold.add(record)
    assert [row["id"] for row in told(fold)["messages"]] == ["m2"]


def test_the_calls_behind_an_event_are_those_that_said_something_there() -> None:
    fold = Fold()
    log = [
        ("part", (), "messages", (AIMessageChunk(content="x", id=id), metas[0])) for id in ("m1", "m2", "m1")
    ]
    for record in encoded(log):
        fold.add(record)
    assert [fold.calls_behind(seq) for seq in (0, 1, 2, 3)] == [["m1", "m2"], ["m1", "m2"], ["m1"], []]


def test_a_run_of_very_many_places_keeps_only_the_modes_of_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("graphwire_gateway.log.fold._LOST_ADDRESSES", 3)
    fold = Fold()
    encoder = Encoder(Projector(), 1 << 20)
    for number in range(10):
        fold.add(encoder.part((f"n:{number}",), "custom", number))
    deep = Matcher(Filter(modes=("custom",), namespaces=(("n:9",),)))
    assert fold.lost(deep, 0) == ["custom"], "it may have been among them"
    assert fold.lost(deep, 10) == []
    assert fold.lost(Matcher(Filter(modes=("updates",), namespaces=(("**",),))), 0) == []
    assert len(fold.copy()._lost) == 3


def test_a_message_that_was_cut_for_its_size_is_lost_and_the_rest_of_it_stays() -> None:
    encoder = Encoder(PROJECTOR, 600)
    fold = Fold()
    for text in ("a", "x" * 1000, "b"):
        chunk = AIMessageChunk(content=text, id="m")
        fold.add(encoder.part((), "messages", (chunk, {"langgraph_node": "n"})))
    assert fold.lost(EVERYTHING, 0) == ["messages"]
    assert fold.lost(EVERYTHING, 2) == []
    (row,) = fold.snapshot(EVERYTHING)["messages"]
    assert (row["id"], row["message"]["content"]) == ("m", "ab")
    assert "$cut" not in row["message"]
