"""`Timeout`: limits how long one attempt to run a node takes, and how long it may make no progress.

The limits come from a `TimeoutPolicy`. Progress is anything that the node puts into its stream writer, any
call of a LangChain callback by the node or by what it calls, and its own heartbeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from langchain_core.callbacks import BaseCallbackHandler

from graphwire_runtime.errors import NodeTimeoutError
from graphwire_runtime.plan.policies import TimeoutPolicy

__all__ = ["Timeout"]


class Timeout:
    """The time limits of one attempt to run a node.

    Args:
        name: the name of the node, for the error.
        policy: the limits, in seconds.

    Made on the event loop that the node runs on.
    """

    def __init__(self, name: str, policy: TimeoutPolicy) -> None:
        self._name = name
        self._run: Any = policy.run_timeout
        self._idle: Any = policy.idle_timeout
        self._time: Callable[[], float] = asyncio.get_running_loop().time
        self._began = self._latest = self._time()
        self.pulse: BaseCallbackHandler | None = (
            _Pulse(self.beat) if policy.idle_timeout is not None and policy.refresh_on == "auto" else None
        )

    def beat(self, *_: Any, **__: Any) -> None:
        """Report progress, from any thread."""
        self._latest = self._time()

    async def limit(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work. At the first limit that it reaches, cancel it and raise NodeTimeoutError."""
        working = asyncio.get_running_loop().create_task(work)
        try:
            while True:
                kind, left = self._next_limit()
                if left <= 0:
                    raise self._error(kind)
                await asyncio.wait((working,), timeout=left)
                if working.done():
                    return working.result()
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait((working,))
                if not working.cancelled():
                    working.exception()  # retrieved, or asyncio would log it; the timeout is the error

    def _next_limit(self) -> tuple[Literal["idle", "run"], float]:
        now = self._time()
        limits: list[tuple[float, Literal["idle", "run"]]] = []
        if self._run is not None:
            limits.append((self._began + self._run - now, "run"))
        if self._idle is not None:
            limits.append((self._latest + self._idle - now, "idle"))
        left, kind = min(limits)
        return kind, left

    def _error(self, kind: Literal["idle", "run"]) -> NodeTimeoutError:
        elapsed = self._time() - (self._began if kind == "run" else self._latest)
        return NodeTimeoutError(
            self._name, elapsed, kind=kind, run_timeout=self._run, idle_timeout=self._idle
        )


class _Pulse(BaseCallbackHandler):
    """A LangChain callback that reports every call as progress."""

    run_inline = True

    def __init__(self, beat: Callable[[], None]) -> None:
        self.beat = beat


def _beat(self: _Pulse, *args: Any, **kwargs: Any) -> None:
    self.beat()


for _name in dir(BaseCallbackHandler):
    if _name.startswith("on_"):
        setattr(_Pulse, _name, _beat)
