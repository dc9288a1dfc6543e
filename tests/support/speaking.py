"""A model that streams given chunks, each with an id of its own or none, and graphs that call it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any

from graphwire_runtime import add_messages
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from typing_extensions import TypedDict

from tests.support.graphs import Library

Pieces = Sequence[tuple[str, str | None]]
"""The text and the id of each chunk; LangChain gives an id to one that has none."""


class Scripted(BaseChatModel):
    """Streams ``pieces``."""

    pieces: list[tuple[str, str | None]]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        text = "".join(text for text, _ in self.pieces)
        whole = AIMessage(text, id=next((id for _, id in self.pieces if id is not None), None))
        return ChatResult(generations=[ChatGeneration(message=whole)])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for text, id in self.pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=text, id=id))

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in self._stream(messages):
            yield piece
            await asyncio.sleep(0)


RESPONSES_API: Pieces = (("", "resp_1"), ("", "msg_1"), ("Hello ", None), ("there", None))
"""As OpenAI's Responses API: the provider's ids come first, and once each."""

NAMED_THROUGHOUT: Pieces = (("Hello ", "msg_2"), ("there", "msg_2"))
"""The provider's id is in every chunk, but not in the last one, which LangChain adds."""

NAMED_LATE: Pieces = (("Hello ", None), ("there", "msg_3"))
"""The provider's id comes behind one of LangChain's."""


class Said(TypedDict):
    """The messages so far."""

    messages: Annotated[list[AnyMessage], add_messages]


def chat(
    lib: Library,
    *nodes: tuple[str, Sequence[Pieces]],
    parallel: bool = False,
    sync: bool = False,
    **model: Any,
) -> Any:
    """Return a graph of these nodes, which call one model after the other, each once."""
    graph = lib.StateGraph(Said)
    before = lib.START
    for name, calls in nodes:
        models = [Scripted(pieces=list(pieces), **model) for pieces in calls]
        graph.add_node(name, _blocking(models) if sync else _awaiting(models)).add_edge(before, name)
        before = lib.START if parallel else name
    return graph.compile()


class Failing:
    """A failure behind the model's answers, ``times`` times; a node awaits or calls it."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> None:
        """Raise, if there is a failure left."""
        if self.left:
            self.left -= 1
            raise ConnectionError("not now")


def _awaiting(models: list[Scripted]) -> Any:
    async def ask(state: Said, config: RunnableConfig) -> Any:
        return {"messages": [await model.ainvoke("go on", config) for model in models]}

    return ask


def _blocking(models: list[Scripted]) -> Any:
    def ask(state: Said, config: RunnableConfig) -> Any:
        return {"messages": [model.invoke("go on", config) for model in models]}

    return ask
