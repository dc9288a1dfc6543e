"""Messages: chunks add up, and messages are sent back as messages.

About `clients/python/graphwire/messages.py`.
"""

from typing import Any

import graphwire
import pytest
from graphwire.messages import message_from_json
from graphwire_protocol.projection import Projector, message_fields, restore
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk


def chunk(content: Any = "", **more: Any) -> graphwire.MessageChunk:
    message = message_from_json({"type": "AIMessageChunk", "content": content, **more})
    assert isinstance(message, graphwire.MessageChunk)
    return message


def test_texts_are_joined():
    assert (chunk("Hel", id="m") + chunk("lo", id="m")).text == "Hello"


def test_blocks_of_one_index_become_one_and_text_joins_the_text_blocks():
    first = chunk([{"type": "text", "text": "Hel", "index": 0}])
    second = chunk([{"type": "text", "text": "lo", "index": 0}, {"type": "image", "url": "x", "index": 1}])
    whole = first + second
    assert whole.content == [
        {"type": "text", "text": "Hello", "index": 0},
        {"type": "image", "url": "x", "index": 1},
    ]
    assert whole.text == "Hello"


def test_tool_calls_appear_once_their_arguments_are_whole():
    pieces = [
        chunk(tool_call_chunks=[{"name": "look", "args": '{"q":', "id": "t1", "index": 0}]),
        chunk(tool_call_chunks=[{"name": None, "args": ' "cats"}', "id": None, "index": 0}]),
    ]
    assert pieces[0].tool_calls == []
    whole = pieces[0] + pieces[1]
    assert whole.tool_calls == [{"name": "look", "args": {"q": "cats"}, "id": "t1", "type": "tool_call"}]


def test_tokens_are_summed():
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert (chunk(usage_metadata=usage) + chunk(usage_metadata=usage)).usage_metadata == {
        "input_tokens": 2,
        "output_tokens": 4,
        "total_tokens": 6,
    }


def test_a_chunk_adds_to_nothing_but_chunks():
    with pytest.raises(TypeError):
        chunk("a") + graphwire.Message("ai", "b")


def test_fields_without_a_place_stand_in_extras_and_travel_back_flat():
    flat = {"type": "tool", "content": "42", "id": "t", "tool_call_id": "c1", "artifact": {"n": 1}}
    message = message_from_json(flat)
    assert message.extras == {"tool_call_id": "c1", "artifact": {"n": 1}}
    assert message_fields(message) == flat


def test_a_message_in_a_state_is_a_message_to_the_server_and_back():
    state = {
        "messages": [
            graphwire.Message("ai", "hi", id="a1", tool_calls=[{"name": "f", "args": {}, "id": "1"}])
        ]
    }
    plain = Projector().project(state)
    assert plain["messages"][0]["type"] == "ai"
    assert "$obj" not in plain["messages"][0]
    assert restore(plain, message_from_json) == state


def test_a_message_cannot_be_changed():
    with pytest.raises(AttributeError):
        graphwire.Message("ai", "hi").content = "ho"  # type: ignore[misc]


BLOCK = st.builds(
    lambda text, index: {"type": "text", "text": text, "index": index}, st.text(max_size=3), st.integers(0, 2)
)
CONTENT = st.one_of(st.text(max_size=4), st.lists(BLOCK, min_size=1, max_size=2))
PIECE = st.fixed_dictionaries(
    {"content": CONTENT},
    optional={
        "tool_call_chunks": st.lists(
            st.builds(
                lambda args, index: {
                    "name": None,
                    "args": args,
                    "id": None,
                    "index": index,
                    "type": "tool_call_chunk",
                },
                st.text(max_size=3),
                st.integers(0, 1),
            ),
            max_size=2,
            unique_by=lambda piece: piece["index"],
        ),
        "additional_kwargs": st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=2), max_size=2),
        "usage_metadata": st.builds(
            lambda n: {"input_tokens": n, "output_tokens": 1, "total_tokens": n + 1}, st.integers(0, 9)
        ),
    },
)


@given(st.lists(PIECE, min_size=2, max_size=5))
def test_pieces_add_up_as_langchain_s_do(pieces):
    ours = chunk(**pieces[0], id="m")
    theirs = AIMessageChunk(**pieces[0], id="m")
    for piece in pieces[1:]:
        ours = ours + chunk(**piece, id="m")
        theirs = theirs + AIMessageChunk(**piece, id="m")
    assert ours.content == theirs.content
    assert ours.additional_kwargs == theirs.additional_kwargs
    assert ours.usage_metadata == theirs.usage_metadata
    assert [(c["args"], c["index"]) for c in ours.tool_call_chunks] == [
        (c["args"], c["index"]) for c in theirs.tool_call_chunks
    ]
