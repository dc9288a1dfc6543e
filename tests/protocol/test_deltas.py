"""The deltas of a message add up to what LangChain's own chunks add up to.

About `protocol/graphwire_protocol/deltas.py`.
"""

import copy
from functools import reduce
from typing import Any

import pytest
from graphwire_protocol.deltas import MessageSum, add_delta
from graphwire_protocol.projection import message_fields
from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk

words = st.sampled_from(["", "a", "b ", "{", '"x": 1', "}"])
indexes = st.integers(0, 2)
text_blocks = st.fixed_dictionaries({"type": st.just("text"), "text": words, "index": indexes})
loose_blocks = st.fixed_dictionaries({"type": st.just("text"), "text": words})
# LangChain loses a text behind an empty list, which is not copied.
blocks = st.lists(text_blocks | loose_blocks | words, min_size=1, max_size=3)
call_chunks = st.fixed_dictionaries(
    {
        "name": st.none() | st.just("add"),
        "args": st.none() | words,
        "id": st.none() | st.sampled_from(["c1", "c2"]),
        "index": st.none() | indexes,
    }
)
counts = st.integers(0, 9)
usages = st.none() | st.builds(
    lambda into, out, cached: {
        "input_tokens": into,
        "output_tokens": out,
        "total_tokens": into + out,
        **({} if cached is None else {"input_token_details": {"cache_read": cached}}),
    },
    counts,
    counts,
    st.none() | counts,
)
extras = st.dictionaries(
    st.sampled_from(["model_provider", "stop", "index", "nested", "list", "n"]),
    st.none() | words | counts | st.lists(words, max_size=2) | st.dictionaries(words, words, max_size=2),
    max_size=2,
)
chunks = st.builds(
    lambda **fields: AIMessageChunk(id="run-1", **fields),
    content=words | blocks,
    tool_call_chunks=st.lists(call_chunks, max_size=2, unique_by=lambda chunk: chunk["index"]),
    usage_metadata=usages,
    additional_kwargs=extras,
    response_metadata=extras,
)


def folded(parts: list[Any]) -> dict[str, Any]:
    return reduce(add_delta, [message_fields(part) for part in parts])


@given(st.lists(chunks, min_size=1, max_size=5))
def test_deltas_add_up_as_chunks_do(parts: list[AIMessageChunk]) -> None:
    try:
        whole = reduce(lambda left, right: left + right, parts)
    except (TypeError, ValueError):
        assume(False)  # LangChain refuses to add these; what becomes of them is our own
        return
    rebuilt = AIMessageChunk(**folded(parts))
    assert rebuilt.content == whole.content
    assert rebuilt.tool_call_chunks == whole.tool_call_chunks
    assert rebuilt.tool_calls == whole.tool_calls
    assert rebuilt.additional_kwargs == whole.additional_kwargs
    assert rebuilt.response_metadata == whole.response_metadata
    assert (rebuilt.usage_metadata or {}) == (whole.usage_metadata or {})


@given(st.lists(chunks, min_size=1, max_size=4))
def test_adding_changes_neither_side(parts: list[AIMessageChunk]) -> None:
    fields = [message_fields(part) for part in parts]
    before = copy.deepcopy(fields)
    reduce(add_delta, fields)
    assert fields == before


@given(st.lists(st.tuples(chunks, st.booleans()), min_size=1, max_size=6))
def test_a_sum_that_is_read_now_and_then_is_the_same_and_what_was_read_stays(parts: list[Any]) -> None:
    fields = [message_fields(part) for part, _ in parts]
    total, seen = MessageSum({}), []
    for delta, (_, is_read) in zip(fields, parts, strict=True):
        total.add(delta)
        if is_read:
            seen.append((total.read(), copy.deepcopy(total.read())))
    assert total.read() == reduce(add_delta, fields, {})
    assert [now for now, _ in seen] == [then for _, then in seen]


@pytest.mark.parametrize("left", ["text", 1, 1.5, True, None, [1], {"a": 1}])
@pytest.mark.parametrize("right", ["text", 1, 1.5, True, None, [1], {"a": 1}])
def test_any_two_values_can_be_added(left: Any, right: Any) -> None:
    for name in ("content", "usage_metadata", "tool_call_chunks", "anything", "index"):
        add_delta({name: left}, {name: right})
        add_delta({"deep": {name: left}}, {"deep": {name: right}})


def test_a_message_that_was_cut_stays_as_it_is() -> None:
    cut = {"type": "AIMessageChunk", "$cut": {"reason": "size", "bytes": 9}}
    assert add_delta(cut, {"content": "the rest", "chunk_position": "last"}) == cut


@pytest.mark.parametrize(
    ("left", "right"), [({"index": True}, {"index": 1}), ({"index": 1}, {"index": True})]
)
def test_true_is_no_index_and_is_not_the_same_as_1(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert add_delta({"content": [left]}, {"content": [right]}) == {"content": [left, right]}
    left, right = {"index": 1, "id": True}, {"index": 1, "id": 1}
    assert add_delta({"content": [left]}, {"content": [right]}) == {"content": [left, right]}
