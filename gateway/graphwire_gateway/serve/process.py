"""A process that only serves: its thread switch interval, its garbage collector, and how it ends."""

import atexit
import contextlib
import gc
import os
import sys
import threading

from graphwire_gateway.telemetry import logger

log = logger("serve")

SWITCH_S = 0.0005
"""Seconds that a thread may hold the interpreter while others wait. A tenth of CPython's default, so that a
graph that computes does not delay the main loop."""

_COLLECTIONS = 20_000, 20, 10
"""Allocations between two collections of the youngest generation, and collections between two of the others.
Streaming makes many objects that reference counting frees at once; at CPython's default the collector took
half of the time spent on a token. What is left in cycles is LangGraph's, and the application's."""

_THREADS_S = 1.0
"""How long the end of the process waits for threads that graph code has left."""


def tune() -> None:
    """Apply the settings.

    Call it once the graphs are imported: objects that exist now are never collected.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


def end_soon(code: int) -> None:
    """Let the process end with ``code`` whatever graph code has left: threads or coroutines that do not end.

    The interpreter would wait for these threads for ever, and close coroutines, which may swallow that. Call
    it last.
    """
    threads_ended = threading.Event()

    def end_here() -> None:
        threads_ended.set()
        atexit.unregister(end_here)
        _end(code)

    atexit.register(end_here)  # exit handlers run behind the threads, the last one first

    def end() -> None:
        if not threads_ended.wait(_THREADS_S):
            _end(code, "the process ends although threads are stuck")

    threading.Thread(target=end, name="graphwire-end", daemon=True).start()


def end_within(seconds: float, code: int) -> None:
    """End the process with ``code`` in that many seconds, whatever it does then."""
    timer = threading.Timer(seconds, _end, (code,))
    timer.name, timer.daemon = "graphwire-end", True
    timer.start()


def _end(code: int, warning: str | None = None) -> None:
    # In a thread of its own: a handler may hang, and a pipe that nobody reads takes nothing.
    finishing = threading.Thread(target=_finish, args=(warning,), name="graphwire-end", daemon=True)
    with contextlib.suppress(RuntimeError):
        finishing.start()
        finishing.join(_THREADS_S)
    os._exit(code)


def _finish(warning: str | None) -> None:
    if warning is not None:
        log.warning(warning)
    with contextlib.suppress(BaseException):  # handlers of the application
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
