"""The same calls, made to a local graph and to a remote one through LangGraph's methods alone.

A story is a coroutine function of a ``Teller``, which makes the calls and notes everything that the graph
yields, returns and raises.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import graphwire
from graphwire_protocol.projection import Failed

from tests.support import chunks
from tests.support.graphs import Library
from tests.support.story_graphs import words


@dataclass
class Teller:
    """A graph, the words of its library, a thread's config, and what was heard so far."""

    graph: Any
    lib: Library
    thread: dict[str, Any] = field(default_factory=lambda: {"configurable": {"thread_id": "conversation"}})
    heard: list[Any] = field(default_factory=list)

    @property
    def words(self) -> SimpleNamespace:
        """``Command``, ``Send`` and the like of the graph's library."""
        return words(self.lib)

    async def stream(self, input: Any, config: Any = None, **way: Any) -> list[Any]:
        """Stream a run to its end; hear every item, and the error that it ends with."""
        chunks: list[Any] = []
        stream = self.graph.astream(input, self.thread if config is None else config, **way)
        await self._hear(_into(chunks, stream))
        self.heard.extend(chunks)
        return chunks

    async def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        """Hear what an invocation returns or raises."""
        return await self._hear(self.graph.ainvoke(input, self.thread if config is None else config, **more))

    async def state(self, config: Any = None, **more: Any) -> Any:
        """Hear a state."""
        return await self._hear(self.graph.aget_state(self.thread if config is None else config, **more))

    async def history(self, config: Any = None, **more: Any) -> list[Any]:
        """Hear all states of the history, newest first."""
        states: list[Any] = []
        history = self.graph.aget_state_history(self.thread if config is None else config, **more)
        await self._hear(_into(states, history))
        self.heard.extend(states)
        return states

    async def update(self, values: Any, config: Any = None, **more: Any) -> Any:
        """Hear the config that an update returns, or that it was refused."""
        try:
            config = await self.graph.aupdate_state(self.thread if config is None else config, values, **more)
        except Exception as error:
            if type(error).__name__ not in ("InvalidUpdateError", "Refused"):
                raise
            config = "refused"
        self.heard.append(config)
        return config

    async def _hear(self, work: Awaitable[Any]) -> Any:
        try:
            out = await work
        except graphwire.RemoteError as error:
            self.heard.append(("raised", error.type, error.message))
        except Exception as error:
            self.heard.append(("raised", type(error).__name__, str(error)))
        else:
            self.heard.append(out)
            return out
        return None


async def _into(out: list[Any], items: AsyncIterator[Any]) -> None:
    out.extend([item async for item in items])


Story = Callable[[Teller], Awaitable[Any]]


def comparable(heard: list[Any]) -> list[str]:
    """Return what was heard as JSON that is the same for the same story."""
    return chunks.comparable([_told(item) for item in heard])


def _told(value: Any) -> Any:
    """Return ``value`` without what only a log or a local process knows."""
    if isinstance(value, Failed):  # stands for an exception, or for the text that a checkpointer made of one
        return value.message
    if isinstance(value, BaseException):
        return str(value)
    if isinstance(value, dict):
        # LangGraph's configs of subgraphs repeat the checkpoints above them, of which one is enough over the
        # wire, and hold the saver itself once such a config was read.
        own = ("checkpoint_map", "__pregel_checkpointer")
        return {key: _told(item) for key, item in value.items() if key not in own}
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    return value
