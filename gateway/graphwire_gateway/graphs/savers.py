"""What keeps the threads and the memories of graphs that bring nothing of the kind: a saver, a store.

A runner has a saver of its own where one is made for it, since a saver's connections belong to one loop. What
is given whole is shared by all.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore, Op, Result
from langgraph.store.memory import InMemoryStore

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.factory import entered, factory_of
from graphwire_gateway.graphs.load import found_at, line_of, told

_PROBE = "graphwire:probe"


class Keeping:
    """The server's saver and store. Each is a target, an object or a factory; None means in memory, and a
    ``checkpointer`` that is False means that graphs without one have no threads.
    """

    def __init__(self, checkpointer: Any = None, graph_store: Any = None) -> None:
        self._checkpointer = checkpointer
        self._graph_store = graph_store
        self._memories = SharedMemory() if graph_store is None else None
        self._entered: set[int] = set()
        self.told = ""
        """What keeps the threads, as people read it."""

    async def saver(self, stack: AsyncExitStack) -> Any:
        """Return the saver for the graphs of this loop; what it opens is closed by ``stack``."""
        if self._checkpointer is False:
            return None
        if self._checkpointer is None:
            self.told = "memory, until this server ends"
            return InMemorySaver()
        saver, source = await self._open(stack, "checkpointer", self._checkpointer, BaseCheckpointSaver)
        self.told = f"{type(saver).__name__} ({source})"
        loop = getattr(saver, "loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise CannotServe(
                f"the checkpointer: {source} belongs to another event loop than the graph's; name a function "
                "that makes it instead, and each loop gets its own"
            )
        try:
            await saver.aget_tuple({"configurable": {"thread_id": _PROBE, "checkpoint_ns": ""}})
        except NotImplementedError as error:
            raise CannotServe(
                f"the checkpointer: {type(saver).__name__} ({source}) has no async methods; take its async "
                "kind, such as AsyncSqliteSaver or AsyncPostgresSaver"
            ) from error
        except Exception as error:
            raise CannotServe(f"the checkpointer: {source} cannot be read: {told(error)}") from error
        return saver

    async def graph_store(self, stack: AsyncExitStack) -> Any:
        """Return the store for the graphs of this loop; what it opens is closed by ``stack``."""
        if self._graph_store is None:
            return self._memories
        return (await self._open(stack, "graph_store", self._graph_store, BaseStore))[0]

    async def _open(self, stack: AsyncExitStack, name: str, given: Any, kind: type) -> tuple[Any, str]:
        what = f"the {name}"
        found, source = found_at(what, given)

        def is_product(value: Any) -> bool:
            return isinstance(value, kind)

        try:
            factory = None if is_product(found) else factory_of(what, source, found, is_product)
            if factory is None:
                self._enter_once(what, source, found, is_product)
                made = await entered(stack, found, is_product)
            elif factory.is_per_use:
                raise CannotServe(f"{what}: {source} takes {', '.join(factory.wants)}, which cannot be given")
            else:
                made = await stack.enter_async_context(factory.open())
        except CannotServe:
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise CannotServe(f"{what}: {source} raised {told(error)} ({line_of(error)})") from error
        if not is_product(made):
            behind = source if factory is None else f"what {source} makes"
            raise CannotServe(f"{what}: {behind} is of type {type(made).__name__}, not a {kind.__name__}")
        return made, source

    def _enter_once(self, what: str, source: str, found: Any, is_product: Any) -> None:
        is_context = isinstance(
            found, contextlib.AbstractAsyncContextManager | contextlib.AbstractContextManager
        )
        if is_product(found) or not is_context:
            return
        if id(found) in self._entered:
            raise CannotServe(
                f"{what}: {source} is a context manager that can be entered once, and there are several "
                "loops to serve; name the function that makes it"
            )
        self._entered.add(id(found))


class SharedMemory(InMemoryStore):
    """A store in memory that graphs on several loops may use at once."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out the operations, undisturbed."""
        with self._lock:
            return super().batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out the operations, undisturbed; nothing here waits."""
        return self.batch(ops)
