"""The models of the agents: toys that need no key. One line in ``chat_model()`` makes them real."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


def chat_model(role: str) -> BaseChatModel:
    """Return the model of the agent with this role, whose tokens have the role as a tag."""
    # or: return init_chat_model("openai:gpt-5-mini", tags=[role]), from langchain.chat_models
    return Scripted(script=SCRIPTS[role], tags=[role])


class Scripted(BaseChatModel):
    """A deterministic toy: a script says its next message, which it speaks word by word."""

    script: Callable[[list[BaseMessage]], AIMessage]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "Scripted":
        """Return the model itself; its script knows the tools."""
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.script(messages))])

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        message = self.script(messages)
        for word in re.findall(r"\S+\s*", message.text):
            await asyncio.sleep(float(os.environ.get("TRAVEL_PACE", "0.05")))  # seconds a word
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        for number, call in enumerate(message.tool_calls):
            chunk = tool_call_chunk(
                name=call["name"], args=f'{{"city": "{call["args"]["city"]}"}}', id=call["id"], index=number
            )
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[chunk]))


def _planner(messages: list[BaseMessage]) -> AIMessage:
    """Find trains, ask the scout, book, and say what became of it."""
    last = messages[-1]
    city = _city(messages)
    if isinstance(last, HumanMessage):
        return _calls("find_trains", city, messages)
    if last.name == "find_trains":
        return _calls("ask_scout", city, messages)
    if last.name == "ask_scout":
        return _calls("book", city, messages)
    asked = sum(isinstance(message, HumanMessage) for message in messages)
    return AIMessage(f"{last.text}. This was trip {asked} of our conversation.")


def _scout(messages: list[BaseMessage]) -> AIMessage:
    """Read the reviews, and sum them up."""
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return AIMessage(f"I have read it all: {last.text} Go there, and stay for a night or two.")
    return _calls("read_reviews", _city(messages), messages)


SCRIPTS = {"planner": _planner, "scout": _scout}


def _city(messages: list[BaseMessage]) -> str:
    """Return the last word of what the person wrote last."""
    said = [message.text for message in messages if isinstance(message, HumanMessage)]
    city: str = re.findall(r"\w+", said[-1])[-1]
    return city


def _calls(name: str, city: str, messages: list[BaseMessage]) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name=name, args={"city": city}, id=f"{name}-{len(messages)}")])
