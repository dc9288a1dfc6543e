"""The server's saver and graph store, for graphs compiled without a checkpointer or a store.

A saver is LangGraph's checkpointer, a graph store LangGraph's ``BaseStore``. If they are given as a factory,
each runner gets its own, since their connections belong to one loop; an object is shared by all runners.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore, Op, Result
from langgraph.store.memory import InMemoryStore

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.factory import enter, factory_of
from graphwire_gateway.graphs.job import is_cancelled
from graphwire_gateway.graphs.load import describe, line_of, resolve
from graphwire_gateway.graphs.memory_saver import BoundedMemorySaver, ThreadLimits

_PROBE = "graphwire:probe"
"""The id of a thread that is never written; reading it shows whether a saver works."""


class Savers:
    """Makes the server's saver and graph store for each loop.

    ``checkpointer`` and ``graph_store`` are each a target, an object or a factory; None keeps them in memory.
    If ``checkpointer`` is False, graphs without one of their own have no threads. ``limits`` bound the
    threads in memory, of each loop.
    """

    def __init__(
        self, checkpointer: Any = None, graph_store: Any = None, limits: ThreadLimits | None = None
    ) -> None:
        self._checkpointer = checkpointer
        self._graph_store = graph_store
        self._shared = SharedInMemoryStore() if graph_store is None else None
        self._entered: set[int] = set()
        self._limits = limits or ThreadLimits()
        self._users: dict[object, tuple[Callable[[str], bool], Callable[[str], None]]] = {}
        self.description = ""
        """What the threads are kept in, for people. Set once a saver is made."""

    def join(self, is_in_use: Callable[[str], bool], let_go: Callable[[str], None]) -> Callable[[], None]:
        """Ask whether threads that memory keeps are in use, and say which it has let go; return how to stop.

        Both are called with the saver's id of a thread, on any thread of the process.
        """
        user = object()
        self._users[user] = is_in_use, let_go

        def leave() -> None:
            self._users.pop(user, None)

        return leave

    def _is_in_use(self, thread: str) -> bool:
        return any(is_in_use(thread) for is_in_use, _ in list(self._users.values()))

    def _let_go(self, thread: str) -> None:
        for _, let_go in list(self._users.values()):
            let_go(thread)

    async def saver(self, stack: AsyncExitStack) -> Any:
        """Return the saver for the graphs of this loop, or None; ``stack`` closes what it opens.

        Raises ``CannotServe``.
        """
        if self._checkpointer is False:
            return None
        if self._checkpointer is None:
            self.description = "memory, until this server ends"
            return BoundedMemorySaver(
                self._limits,
                self._is_in_use,
                on_let_go=self._let_go,
            )
        saver, source = await self._open(stack, "checkpointer", self._checkpointer, BaseCheckpointSaver)
        own = getattr(self._checkpointer, "description", None)
        self.description = own if isinstance(own, str) else f"{type(saver).__name__} ({source})"
        loop = getattr(saver, "loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise CannotServe(
                f"the checkpointer: {source} belongs to another event loop than the graphs; name a function "
                "that makes it instead, so that each loop gets its own"
            )
        try:
            await saver.aget_tuple({"configurable": {"thread_id": _PROBE, "checkpoint_ns": ""}})
        except NotImplementedError as error:
            raise CannotServe(
                f"the checkpointer: {type(saver).__name__} ({source}) has no async methods; use its async "
                "counterpart, such as AsyncSqliteSaver or AsyncPostgresSaver"
            ) from error
        except BaseException as error:
            if is_cancelled(error):
                raise
            raise CannotServe(f"the checkpointer: {source} cannot be read: {describe(error)}") from error
        return saver

    async def graph_store(self, stack: AsyncExitStack) -> Any:
        """Return the graph store for the graphs of this loop; ``stack`` closes what it opens.

        Raises ``CannotServe``.
        """
        if self._graph_store is None:
            return self._shared
        return (await self._open(stack, "graph_store", self._graph_store, BaseStore))[0]

    async def _open(self, stack: AsyncExitStack, name: str, given: Any, kind: type) -> tuple[Any, str]:
        label = f"the {name}"
        found, source = resolve(label, given)

        def is_product(value: Any) -> bool:
            return isinstance(value, kind)

        try:
            factory = None if is_product(found) else factory_of(label, source, found, is_product)
            if factory is None:
                self._enter_once(label, source, found, is_product)
                made = await enter(stack, found, is_product)
            elif factory.is_per_use:
                raise CannotServe(
                    f"{label}: {source} takes {', '.join(factory.parameters)}, which cannot be given"
                )
            else:
                made = await stack.enter_async_context(factory.open())
        except CannotServe:
            raise
        except BaseException as error:
            if is_cancelled(error):
                raise
            raise CannotServe(f"{label}: {source} raised {describe(error)} ({line_of(error)})") from error
        if not is_product(made):
            origin = source if factory is None else f"what {source} makes"
            raise CannotServe(f"{label}: {origin} is of type {type(made).__name__}, not a {kind.__name__}")
        return made, source

    def _enter_once(self, label: str, source: str, found: Any, is_product: Any) -> None:
        """Refuse a context manager that another loop has entered before."""
        is_context = isinstance(
            found, contextlib.AbstractAsyncContextManager | contextlib.AbstractContextManager
        )
        if is_product(found) or not is_context:
            return
        if id(found) in self._entered:
            raise CannotServe(
                f"{label}: {source} is a context manager that can be entered once, and the graphs run on "
                "several loops; name the function that makes it"
            )
        self._entered.add(id(found))


class SharedInMemoryStore(InMemoryStore):
    """LangGraph's store in memory, for graphs on the loops of several threads: a lock guards each batch."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out the operations without interruption by another thread."""
        with self._lock:
            return super().batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out the operations; the lock is held too briefly to need a thread of its own."""
        return self.batch(ops)
