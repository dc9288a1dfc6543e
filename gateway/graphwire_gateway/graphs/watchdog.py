"""Notices graph code that blocks its loop, and says where: all graphs on that loop stand still meanwhile."""

import asyncio
import sys
import sysconfig
import threading
import time
import traceback

from graphwire_gateway.telemetry import logger

log = logger("watchdog")

_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class _Watched:
    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        self.loop = loop
        self.thread = thread
        self.asked_at: float | None = None
        self.is_told = False

    def answer(self) -> None:
        """Runs on the loop, as soon as that turns again."""
        if self.is_told and self.asked_at is not None:
            log.info("the graphs' loop goes on", stood_s=round(time.monotonic() - self.asked_at, 1))
        self.asked_at, self.is_told = None, False


class Watchdog:
    """Asks each loop twice in ``patience_s`` seconds to answer, and warns of one that takes longer."""

    def __init__(self, patience_s: float = 1.0) -> None:
        self._patience = patience_s
        self._watched: list[_Watched] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        """Watch a loop that runs in the thread of that ``ident``."""
        self._watched.append(_Watched(loop, thread))
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="graphwire-watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _main(self) -> None:
        while not self._over.wait(self._patience / 2):
            for watched in self._watched:
                self._look(watched)

    def _look(self, watched: _Watched) -> None:
        now = time.monotonic()
        asked_at = watched.asked_at
        if asked_at is None:
            watched.asked_at = now
            try:
                watched.loop.call_soon_threadsafe(watched.answer)
            except RuntimeError:  # it is closed, or closing
                watched.asked_at = None
        elif now - asked_at >= self._patience and not watched.is_told:
            watched.is_told = True
            log.warning(
                "graph code blocks the loop of its graphs: await it, or run it by asyncio.to_thread(); "
                'runner = "own" keeps other graphs out of it',
                where=_where(watched.thread),
            )


def _where(thread: int) -> str:
    """Name file, line and function of the innermost frame that is no library's."""
    frame = sys._current_frames().get(thread)
    stack = traceback.extract_stack(frame) if frame is not None else []
    own = [entry for entry in stack if not entry.filename.startswith((*_LIBRARIES, "<"))]
    if not stack:
        return "nowhere: its thread has ended"
    at = (own or stack)[-1]
    return f"{at.filename}, line {at.lineno}, in {at.name}"
