"""Fixtures of the runtime's tests: a model that streams, a way to drain either stream, a Postgres server, and
LangGraph's tasks in a determinate order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from tests.support.postgres import server
from tests.support.settled_tasks import settled_tasks

Drain = Callable[..., Awaitable[list[Any]]]


class Speaker(BaseChatModel):
    """Streams its words, one a chunk; raises before word number `breaks_at`, counted from 0."""

    words: str = "one two"
    breaks_at: int | None = None

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.words))])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[ChatGenerationChunk]:
        for index, word in enumerate(self.words.split()):
            if index == self.breaks_at:
                raise ConnectionError("the line went dead")
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages):
            yield chunk


@pytest.fixture
def speaker() -> type[Speaker]:
    return Speaker


@pytest.fixture(autouse=True, scope="session")
def determinate_tasks() -> Iterator[None]:
    """LangGraph's tasks in threads are reported before their callers go on, as ours are."""
    with settled_tasks() if find_spec("langgraph") else nullcontext():
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The folder of the socket of a Postgres server."""
    with server() as folder:
        yield folder


@pytest.fixture(params=["stream", "astream"])
def drain(request: pytest.FixtureRequest) -> Drain:
    """`await drain(graph, input, **kwargs)`: the chunks of `stream` or of `astream`, each test with both.

    `into` is a list to put the chunks into, for a run that will fail.
    """

    async def drained(graph: Any, value: Any, *, into: list[Any] | None = None, **kwargs: Any) -> list[Any]:
        chunks = [] if into is None else into
        if request.param == "stream":
            for chunk in graph.stream(value, **kwargs):
                chunks.append(chunk)
        else:
            async for chunk in graph.astream(value, **kwargs):
                chunks.append(chunk)
        return chunks

    return drained
