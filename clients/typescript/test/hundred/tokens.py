"""A graph that streams words at a steady pace, for the page of a hundred runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph


class SteadyModel(BaseChatModel):
    """Streams `words` words, `rate` a second; what a pause was too long by, the next ones make up for."""

    words: int
    rate: float

    @property
    def _llm_type(self) -> str:
        return "steady"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        text = "".join(f"w{number:04} " for number in range(self.words))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        began = time.monotonic()
        for number in range(self.words):
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"w{number:04} "))
            await asyncio.sleep(max(0.0, began + (number + 1) / self.rate - time.monotonic()))


class State(MessagesState):
    """How many words to write, and how many a second."""

    words: int
    rate: float


async def write(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Let the model speak."""
    model = SteadyModel(words=state["words"], rate=state["rate"])
    return {"messages": [await model.ainvoke("go on", config)]}


tokens = StateGraph(State).add_node("write", write).add_edge(START, "write").add_edge("write", END).compile()
