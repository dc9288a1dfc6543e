"""The connections that started a run with ``on_disconnect: "cancel"``."""

import asyncio
from collections.abc import Callable

from graphwire_gateway.log.log import Log


class Starters:
    """Calls ``on_alone`` once every starter of a run has been gone, without readers, for a while.

    ``may_cancel`` tells whether the run may still be cancelled for that.
    """

    def __init__(self, log: Log, may_cancel: Callable[[], bool], on_alone: Callable[[], None]) -> None:
        self._log = log
        self._may_cancel = may_cancel
        self._on_alone = on_alone
        self._starters: set[object] = set()
        self._grace_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, starter: object, grace_s: float) -> None:
        """Count ``starter``; the run may be alone for ``grace_s`` seconds."""
        self._starters.add(starter)
        self._grace_s = grace_s

    def discard(self, starter: object) -> None:
        """``starter`` is gone."""
        self._starters.discard(starter)
        self._log.on_empty = self._check
        self._check()

    @property
    def is_waiting(self) -> bool:
        """Whether the time runs that the run may be alone."""
        return self._timer is not None

    def stop(self) -> None:
        """Cancel the run no more, unless a reader or a starter leaves again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """Call nobody any more: the run was deleted. It is freed at once, for this has no part of it then."""
        self.stop()
        self._may_cancel, self._on_alone = _no, _nothing

    @property
    def _are_gone(self) -> bool:
        return not self._starters and not self._log.readers

    def _check(self) -> None:
        self.stop()
        if self._are_gone and self._may_cancel():
            self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._end)

    def _end(self) -> None:
        if self._are_gone:
            self._on_alone()


def _no() -> bool:
    return False


def _nothing() -> None:
    pass
