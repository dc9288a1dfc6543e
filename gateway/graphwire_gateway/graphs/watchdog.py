"""The watchdog: a thread that notices graph code blocking its loop, and logs the line that blocks it."""

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
    """A loop, and when it was last asked to answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        self.loop = loop
        self.thread = thread
        self.asked_at: float | None = None
        self.is_reported = False

    def answer(self) -> None:
        """Runs on the loop, as soon as that is free."""
        if self.is_reported and self.asked_at is not None:
            log.info("the graphs' loop runs again", blocked_s=round(time.monotonic() - self.asked_at, 1))
        self.asked_at, self.is_reported = None, False


class Watchdog:
    """Logs a warning for a loop that does not answer within ``patience_s`` seconds, once for each block.

    The thread looks at the loops every ``patience_s / 2`` seconds.
    """

    def __init__(self, patience_s: float = 1.0) -> None:
        self._patience = patience_s
        self._watched: list[_Watched] = []
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        """Watch a loop that runs in the thread with the ident ``thread``."""
        self._watched.append(_Watched(loop, thread))
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="graphwire-watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop watching, and wait for the thread to end."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _main(self) -> None:
        while not self._closed.wait(self._patience / 2):
            for watched in self._watched:
                self._look(watched)

    def _look(self, watched: _Watched) -> None:
        now = time.monotonic()
        asked_at = watched.asked_at
        if asked_at is None:
            watched.asked_at = now
            try:
                watched.loop.call_soon_threadsafe(watched.answer)
            except RuntimeError:  # the loop is closed
                watched.asked_at = None
        elif now - asked_at >= self._patience and not watched.is_reported:
            watched.is_reported = True
            log.warning(
                "graph code blocks its event loop: await it, or run it by asyncio.to_thread(); "
                'with runner = "own" it blocks no other graph',
                where=_where(watched.thread),
            )


def _where(thread: int) -> str:
    """Return file, line and function of the innermost frame outside the libraries."""
    frame = sys._current_frames().get(thread)
    stack = traceback.extract_stack(frame) if frame is not None else []
    own = [line for line in stack if not line.filename.startswith((*_LIBRARIES, "<"))]
    if not stack:
        return "unknown: the thread has ended"
    at = (own or stack)[-1]
    return f"{at.filename}, line {at.lineno}, in {at.name}"
