"""Flat objects become LangChain's messages, or an error that says why not.

About `gateway/graphwire_gateway/execution/inputs.py`.
"""

from typing import Any

import pytest
from graphwire_gateway.execution.inputs import message_of
from graphwire_protocol.projection import message_fields
from langchain_core import messages

MESSAGES: list[messages.BaseMessage] = [
    messages.HumanMessage("hello", id="1", name="ann"),
    messages.AIMessage("", tool_calls=[{"name": "search", "args": {"q": "x"}, "id": "c"}]),
    messages.SystemMessage("be short"),
    messages.ToolMessage("found", tool_call_id="c", status="error"),
    messages.FunctionMessage("found", name="search"),
    messages.ChatMessage("hello", role="guest"),
    messages.RemoveMessage("1"),
    messages.HumanMessageChunk("hel"),
    messages.AIMessageChunk("hel", id="2"),
    messages.SystemMessageChunk("be"),
    messages.ToolMessageChunk("fo", tool_call_id="c"),
    messages.FunctionMessageChunk("fo", name="search"),
    messages.ChatMessageChunk("hel", role="guest"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was_written(message: messages.BaseMessage) -> None:
    fields = {**message_fields(message), "type": message.type}
    back = message_of(fields)
    assert type(back) is type(message)
    assert back == message


def test_a_removal_needs_no_content_and_ignores_it() -> None:
    assert message_of({"type": "remove", "id": "1", "content": "x"}) == messages.RemoveMessage("1")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "robot", "content": "x"}, "type"),
        ({"type": "human"}, "not a valid HumanMessage"),
        ({"type": "ai", "content": 1}, "not a valid AIMessage"),
        ({"type": "remove", "content": ""}, "not a valid RemoveMessage"),
    ],
)
def test_fields_that_make_no_message_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        message_of(fields)
