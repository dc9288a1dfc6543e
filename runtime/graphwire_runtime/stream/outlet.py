"""Outlets and bells: how a chunk gets from a running graph to the consumer that iterates over it.

An `Outlet` is one consumer's stream: the modes that it asked for, the shape of its items, and the chunks that
it has not taken yet. A run, and the runs nested in it, push; `drive.iterate` takes. A `Bell` lets the taking
side sleep until something was pushed or a task ended, in whatever thread. An outlet has no bound: a node
never waits for its consumer, which gets its turn between two supersteps at the latest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import Any, Protocol

from graphwire_runtime.namespace import Namespace
from graphwire_runtime.types import with_interrupts

__all__ = ["AsyncBell", "Bell", "Outlet", "Printer", "ThreadBell"]

Shape = Callable[[str, Namespace, Any], Any]


class Bell(Protocol):
    """Wakes one sleeper. To ring while nobody sleeps is cheap and has no later effect."""

    def ring(self) -> None:
        """Wake the sleeper, from any thread."""


class Outlet:
    """One consumer's stream of chunks.

    Args:
        modes: the stream modes that were asked for, one name or a sequence. With a `list`, and only then,
            each item has the name of the mode.
        subgraphs: whether chunks of nested graphs are included; each item then has its namespace first.
        parts: whether each item is a mapping `{"type", "ns", "data"}` instead, whatever `modes` and
            `subgraphs` are.
        namespace: the namespace of the consumer's own graph.
        bell: rung whenever a chunk is added; None if nobody sleeps.
    """

    __slots__ = ("bell", "items", "modes", "namespace", "parts", "shape", "subgraphs")

    def __init__(
        self,
        modes: str | Sequence[str],
        *,
        subgraphs: bool,
        parts: bool,
        namespace: Namespace,
        bell: Bell | None,
    ) -> None:
        self.modes = frozenset((modes,) if isinstance(modes, str) else modes)
        self.subgraphs = subgraphs
        self.parts = parts
        self.namespace = namespace
        self.items: deque[Any] = deque()
        self.bell = bell
        self.shape: Shape = _part if parts else _SHAPES[subgraphs, isinstance(modes, list)]

    def push(self, mode: str, namespace: Namespace, chunk: Any) -> None:
        """Add a chunk of one of this outlet's modes; safe from any thread."""
        self.items.append(self.shape(mode, namespace, chunk))
        if self.bell is not None:
            self.bell.ring()

    def push_values(self, namespace: Namespace, chunk: Any, interrupts: tuple[Any, ...] = ()) -> None:
        """Add a chunk of the values mode. Interrupts go beside the data of a part, else into the chunk."""
        if self.parts:
            if interrupts and not isinstance(chunk, dict):
                chunk = {}  # as without parts, where it gives way to them
            item: Any = {"type": "values", "ns": namespace, "data": chunk, "interrupts": interrupts}
        else:
            item = self.shape("values", namespace, with_interrupts(chunk, interrupts))
        self.items.append(item)
        if self.bell is not None:
            self.bell.ring()


class Printer(Outlet):
    """Prints its chunks instead of keeping them for a consumer."""

    __slots__ = ()

    def push(self, mode: str, namespace: Namespace, chunk: Any) -> None:
        """Print a chunk."""
        print(f"\x1b[1m[{mode}]\x1b[0m {chunk}")

    def push_values(self, namespace: Namespace, chunk: Any, interrupts: tuple[Any, ...] = ()) -> None:
        """Print a state."""
        self.push("values", namespace, with_interrupts(chunk, interrupts))


def _part(mode: str, namespace: Namespace, chunk: Any) -> Any:
    return {"type": mode, "ns": namespace, "data": chunk}


_SHAPES: dict[tuple[bool, bool], Shape] = {
    (False, False): lambda mode, namespace, chunk: chunk,
    (False, True): lambda mode, namespace, chunk: (mode, chunk),
    (True, False): lambda mode, namespace, chunk: (namespace, chunk),
    (True, True): lambda mode, namespace, chunk: (namespace, mode, chunk),
}


class ThreadBell:
    """A bell for a consumer that blocks its thread."""

    __slots__ = ("_asleep", "_rings")

    def __init__(self) -> None:
        self._asleep = False
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake the sleeper, from any thread."""
        if self._asleep:
            self._asleep = False
            self._rings.put(None)

    def sleep(self, unless: Callable[[], bool], timeout: float | None = None) -> None:
        """Block until the bell rings, for at most `timeout` seconds.

        Returns at once if `unless()` is true: it is called when a ring would already wake this sleeper, so no
        change can go unnoticed.
        """
        self._asleep = True
        if unless():
            self._asleep = False  # a ring since then only shortens a later sleep
            return
        with suppress(Empty):
            self._rings.get(timeout=timeout)


class AsyncBell:
    """A bell for a consumer that awaits on the event loop `loop`."""

    __slots__ = ("_future", "_loop", "_thread")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = get_ident()
        self._future: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the sleeper, from any thread."""
        future = self._future
        if future is None:
            return
        self._future = None  # the next ring need not wake the loop again
        if get_ident() == self._thread:
            _wake(future)
        elif not self._loop.is_closed():  # a node's thread may outlive an abandoned run
            self._loop.call_soon_threadsafe(_wake, future)

    async def sleep(self, unless: Callable[[], bool]) -> None:
        """Wait until the bell rings; returns at once if `unless()` is true, see `ThreadBell.sleep`."""
        future = self._loop.create_future()
        self._future = future
        if unless():
            self._future = None
            return
        try:
            await future
        finally:
            self._future = None


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
