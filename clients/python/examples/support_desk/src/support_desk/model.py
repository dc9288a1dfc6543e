"""The desk's model: a toy that needs no key. One line in ``chat_model()`` replaces it by a real one."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable


def chat_model() -> BaseChatModel:
    """Return the model that all graphs use."""
    return Clerk()  # or: init_chat_model("openai:gpt-5-mini"), from langchain.chat_models


class Clerk(BaseChatModel):
    """A deterministic toy: it repeats the last message and the ones before."""

    @property
    def _llm_type(self) -> str:
        return "clerk"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Return the model with the first of these tools."""
        return self.bind(tool=tools[0].name)

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        last = messages[-1]
        order = re.search(r"order (\w+)", last.text) if isinstance(last, HumanMessage) else None
        if "tool" in kwargs and order is not None:
            call = tool_call_chunk(
                name=kwargs["tool"], args=f'{{"order": "{order[1]}"}}', id=f"call-{len(messages)}", index=0
            )
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))
            return
        for word in re.findall(r"\S+\s*", _said(messages)):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        whole = [chunk.message for chunk in self._stream(messages, **kwargs)]
        message: Any = whole[0]
        for chunk in whole[1:]:
            message += chunk
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage(message.text, tool_calls=message.tool_calls))]
        )


def _said(messages: list[BaseMessage]) -> str:
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return f"Done: {last.text}"
    asked = [message.text for message in messages if isinstance(message, HumanMessage)]
    before = f" Before that you wrote: {'; '.join(asked[:-1])}." if asked[:-1] else ""
    return f"You wrote: {asked[-1]}.{before} How can we help?"
