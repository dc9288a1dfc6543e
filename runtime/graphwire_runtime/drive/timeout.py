"""Keeping the time of one attempt to run a node: how long it takes, and how long it shows no progress.

Which limits there are is a `TimeoutPolicy`'s to say. Progress is what the node puts into its stream writer,
anything that LangChain's callbacks hear of it or of what it calls, and its own heartbeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import BaseCallbackHandler

from graphwire_runtime.errors import NodeTimeoutError

if TYPE_CHECKING:
    from graphwire_runtime.plan.policies import TimeoutPolicy

__all__ = ["Watch"]


class Watch:
    """One attempt's time.

    Args:
        name: the node's name, for the error.
        policy: the limits.
    """

    def __init__(self, name: str, policy: TimeoutPolicy) -> None:
        self._name = name
        self._run: Any = policy.run_timeout
        self._idle: Any = policy.idle_timeout
        self._time: Callable[[], float] = asyncio.get_running_loop().time
        self._began = self._latest = self._time()
        self.pulse = _Pulse(self) if policy.idle_timeout is not None and policy.refresh_on == "auto" else None

    def beat(self, *_: Any, **__: Any) -> None:
        """Hear of progress; from any thread."""
        self._latest = self._time()

    async def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work; cancel it and raise NodeTimeoutError at the first limit that it meets."""
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
                    working.exception()  # what it says when it is told to stop is nobody's concern

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
    """Takes everything that LangChain tells of a node for progress."""

    run_inline = True

    def __init__(self, watch: Watch) -> None:
        self.beat = watch.beat


def _beat(self: _Pulse, *args: Any, **kwargs: Any) -> None:
    self.beat()


for _name in dir(BaseCallbackHandler):
    if _name.startswith("on_"):
        setattr(_Pulse, _name, _beat)
