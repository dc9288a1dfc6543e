"""How a command ends: its exit codes, and errors as one sentence on stderr.

``talk()`` connects, runs a command's work, and turns every expected error into a sentence and an exit code.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from graphwire.client import Client, connect
from graphwire.errors import (
    CannotConnect,
    ConnectionClosed,
    GraphwireError,
    Refused,
    RunEnded,
    Unauthenticated,
)
from graphwire.reconnector import ConnectionState

FINE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
WAITING = 5
INTERRUPTED = 130
CUT_OFF = 141

EXIT_CODES = (
    "Exit codes: 0 success; 1 the run failed or was cancelled; 2 wrong usage; 3 no connection to the server; "
    "4 refused by the server; 5 the run waits for an answer; 130 stopped by Ctrl-C; "
    "141 the reader of the output has gone."
)

TRACEBACK = "GRAPHWIRE_TRACEBACK"


def say(sentence: str) -> None:
    """Print a sentence for the user on stderr; stdout is for the command's output."""
    print(f"graphwire: {sentence}", file=sys.stderr, flush=True)


def talk(url: str, token: str | None, work: Callable[[Client], Awaitable[int]]) -> int:
    """Connect, await ``work(client)``, and return the exit code."""
    try:
        return asyncio.run(_connected(url, token, work))
    except KeyboardInterrupt:
        return INTERRUPTED


async def _connected(url: str, token: str | None, work: Callable[[Client], Awaitable[int]]) -> int:
    with _cancelled_by_ctrl_c():
        try:
            async with connect(url, token=token, on_state=_ReportOutages()) as client:
                return await work(client)
        except asyncio.CancelledError:
            return INTERRUPTED
        except GraphwireError as error:
            say(str(error))
            return exit_code(error)
        except (TypeError, ValueError) as error:
            if os.environ.get(TRACEBACK):
                raise
            say(str(error))
            return USAGE


def exit_code(error: GraphwireError) -> int:
    """Return the exit code for an error."""
    match error:
        case Unauthenticated() | Refused():
            return REFUSED
        case CannotConnect() | ConnectionClosed():
            return UNREACHABLE
        case RunEnded():
            return FAILED
    return FAILED


class _ReportOutages:
    """Tells the user when the connection is lost and when it is back."""

    def __init__(self) -> None:
        self._is_lost = False

    def __call__(self, state: ConnectionState) -> None:
        if state == "waiting" and not self._is_lost:
            self._is_lost = True
            say("the connection is lost; trying to connect again (Ctrl-C to give up)")
        elif state == "connected" and self._is_lost:
            self._is_lost = False
            say("connected again")


@contextlib.contextmanager
def _cancelled_by_ctrl_c() -> Iterator[None]:
    """Cancel the current task at the first Ctrl-C, so that it can end in order; the second one kills."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        task.cancel()

    try:
        loop.add_signal_handler(signal.SIGINT, cancel)
    except (NotImplementedError, ValueError, RuntimeError):  # Windows, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def words(error: Any) -> str:
    """Return the operating system's words for an error."""
    return getattr(error, "strerror", None) or str(error)
