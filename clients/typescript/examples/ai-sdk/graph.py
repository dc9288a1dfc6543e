"""The agent of the example: a toy model that needs no key. Give `create_agent` a real one to talk with it.

`graphwire serve agent=./graph.py:agent`
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.config import get_stream_writer


class ToyModel(BaseChatModel):
    """Calls a tool if it is asked to look or to delete, and else tells a story, word by word."""

    @property
    def _llm_type(self) -> str:
        return "toy"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Knows its tools already."""
        return self

    def _chunks(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        last = messages[-1]
        text = str(last.text)
        if last.type == "tool":
            return _words(f"Done. The tool says: {text}")
        for word, name in (("look", "look_up"), ("delete", "delete_file")):
            if word in text.lower():
                pieces = [
                    (f"call-{len(messages)}", name, "{"),
                    (None, None, f'"name": "{text.split()[-1]}"}}'),
                ]
                return _thought(f"The user wants me to {word}.") + [
                    AIMessageChunk(
                        content="", tool_call_chunks=[{"id": id, "name": tool, "args": args, "index": 0}]
                    )
                    for id, tool, args in pieces
                ]
        story = f"You said “{text}”. " + "And so the story of the harbour goes on, wave after wave. " * 12
        return _thought("A story, then.") + _words(story)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        text = "".join(str(chunk.text) for chunk in self._chunks(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            await asyncio.sleep(0.06)
            yield ChatGenerationChunk(message=chunk)


def _thought(text: str) -> list[AIMessageChunk]:
    words = text.split(" ")
    blocks = [{"type": "reasoning", "reasoning": f"{word} ", "index": 0} for word in words]
    return [AIMessageChunk(content=[block]) for block in blocks]


def _words(text: str) -> list[AIMessageChunk]:
    words = text.split(" ")
    return [AIMessageChunk(content=[{"type": "text", "text": f"{word} ", "index": 1}]) for word in words]


@tool
async def look_up(name: str) -> dict[str, Any]:
    """Look something up."""
    for done in (1, 2, 3):
        await asyncio.sleep(0.4)
        get_stream_writer()({"type": "data-progress", "id": name, "data": {"pages": done, "of": 3}})
    return {"name": name, "pages": 3}


@tool
async def delete_file(name: str) -> str:
    """Delete a file; a human is asked first."""
    return f"{name} is deleted"


agent = create_agent(
    ToyModel(),
    [look_up, delete_file],
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"delete_file": True})],
)
