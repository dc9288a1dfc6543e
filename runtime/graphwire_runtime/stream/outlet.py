"""The way of a chunk from a running graph to whoever iterates: outlets, and the bells that wake their
readers.

An `Outlet` is one consumer's stream: what it asked for, in which shape, and the chunks not yet taken. A run
and the runs nested in it push; one driver (in `compiled`) takes. A `Bell` lets that driver sleep until
something was pushed or a task ended, from whichever thread. Outlets have no bound: a node is never held up
by its reader, which gets the floor back at the latest between two supersteps.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from graphwire_runtime.stream.tokens import TokenTap

__all__ = ["INTERRUPT", "AsyncBell", "Bell", "Namespace", "Outlet", "Printer", "ThreadBell"]

Namespace = tuple[str, ...]
"""Where in the tree of graphs a chunk comes from: `"node:task_id"` per level, `()` for the outermost."""

INTERRUPT = "__interrupt__"
"""The key under which values and updates show the interrupts that stopped a graph."""

Shape = Callable[[str, Namespace, Any], Any]


class Bell(Protocol):
    """Wakes one sleeper; ringing while nobody sleeps is cheap and leaves nothing behind."""

    def ring(self) -> None:
        """Wake the sleeper, from any thread."""


class Outlet:
    """One consumer's stream of chunks.

    Args:
        modes: the stream modes as they were asked for: a name, or a sequence of names. Only a `list` puts the
            mode's name beside each chunk.
        subgraphs: whether chunks of nested graphs are wanted; puts the namespace before each chunk.
        parts: whether each item is a mapping `{"type", "ns", "data"}` instead, whatever the two above say.
        namespace: where the consumer's own graph stands.
    """

    __slots__ = ("bell", "items", "modes", "namespace", "parts", "shape", "subgraphs", "tap")

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
        self.tap: TokenTap | None = None
        self.shape: Shape = _part if parts else _SHAPES[subgraphs, isinstance(modes, list)]

    def push(self, mode: str, namespace: Namespace, chunk: Any) -> None:
        """Add a chunk of one of this outlet's modes; safe from any thread."""
        self.items.append(self.shape(mode, namespace, chunk))
        if self.bell is not None:
            self.bell.ring()

    def push_values(self, namespace: Namespace, chunk: Any, interrupts: tuple[Any, ...] = ()) -> None:
        """Add a chunk of the values mode; interrupts stand beside a part's data, and inside any other."""
        if self.parts:
            item: Any = {"type": "values", "ns": namespace, "data": chunk, "interrupts": interrupts}
        else:
            if interrupts:
                chunk = {**(chunk if isinstance(chunk, dict) else {}), INTERRUPT: interrupts}
            item = self.shape("values", namespace, chunk)
        self.items.append(item)
        if self.bell is not None:
            self.bell.ring()


class Printer(Outlet):
    """Puts its chunks on the terminal instead of keeping them for a reader."""

    __slots__ = ()

    def push(self, mode: str, namespace: Namespace, chunk: Any) -> None:
        """Print a chunk."""
        print(f"\x1b[1m[{mode}]\x1b[0m {chunk}")

    def push_values(self, namespace: Namespace, chunk: Any, interrupts: tuple[Any, ...] = ()) -> None:
        """Print a state."""
        if interrupts:
            chunk = {**(chunk if isinstance(chunk, dict) else {}), INTERRUPT: interrupts}
        self.push("values", namespace, chunk)


def _part(mode: str, namespace: Namespace, chunk: Any) -> Any:
    return {"type": mode, "ns": namespace, "data": chunk}


_SHAPES: dict[tuple[bool, bool], Shape] = {
    (False, False): lambda mode, namespace, chunk: chunk,
    (False, True): lambda mode, namespace, chunk: (mode, chunk),
    (True, False): lambda mode, namespace, chunk: (namespace, chunk),
    (True, True): lambda mode, namespace, chunk: (namespace, mode, chunk),
}


class ThreadBell:
    """A bell for a driver that blocks its thread."""

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
        """Block until the bell rings; not at all if `unless()` holds once ringing would be heard."""
        self._asleep = True
        if unless():
            self._asleep = False  # a ring that came in between only makes a later sleep shorter
            return
        with suppress(Empty):
            self._rings.get(timeout=timeout)


class AsyncBell:
    """A bell for a driver that awaits, on the event loop it was made on."""

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
        self._future = None  # whoever rings next need not wake the loop again
        if get_ident() == self._thread:
            _wake(future)
        elif not self._loop.is_closed():  # a node's thread may outlive a run that was abandoned
            self._loop.call_soon_threadsafe(_wake, future)

    async def sleep(self, unless: Callable[[], bool]) -> None:
        """Wait until the bell rings; not at all if `unless()` holds once ringing would be heard."""
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
