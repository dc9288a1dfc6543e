"""How a command ends: its exit codes, and errors as one sentence on stderr.

``talk()`` connects, runs a command's work, and turns every expected error into a sentence and an exit code.
"""

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from graphwire.cli.hints import Hints, program
from graphwire.client import Client, connect
from graphwire.errors import (
    CannotConnect,
    ConnectionClosed,
    GraphwireError,
    Refused,
    RunEnded,
    RunLost,
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

_MEANINGS = {
    FINE: "success",
    FAILED: "the run failed or was cancelled",
    USAGE: "wrong usage",
    UNREACHABLE: "no connection to the server",
    REFUSED: "refused by the server",
    WAITING: "the run waits for an answer",
    INTERRUPTED: "stopped by Ctrl-C",
    CUT_OFF: "the reader of the output has gone",
}

TRACEBACK = "GRAPHWIRE_TRACEBACK"


def exit_codes(*codes: int, failed: str = _MEANINGS[FAILED]) -> str:
    """Return the sentence of a command's help about the exit codes that it can have.

    ``failed`` is what 1 means.
    """
    meanings = _MEANINGS | {FAILED: failed}
    return f"Exit codes: {'; '.join(f'{code} {meanings[code]}' for code in codes)}."


LISTS = exit_codes(FINE, USAGE, UNREACHABLE, REFUSED, INTERRUPTED, CUT_OFF)
"""Of commands that print what the server has."""

STREAMS = exit_codes(*_MEANINGS)
"""Of commands that watch a run."""


_COMMAND = re.compile(r"(?<=: )graphwire( [^;()]*[^;() ])")  # in a sentence, as in "see: graphwire --help"


def say(sentence: str) -> None:
    """Print a sentence for the user on stderr; stdout is for the command's output.

    Commands in it call this program as it was called. At a terminal it is broken between words, but not
    within a command; indented lines stay as they are.
    """
    is_terminal = sys.stderr.isatty()
    gap = "\N{NO-BREAK SPACE}" if is_terminal else " "

    def command(found: re.Match[str]) -> str:
        return f"{program()}{found[1]}".replace(" ", gap)

    text = _COMMAND.sub(command, f"graphwire: {visible(sentence)}")
    if is_terminal:
        width = shutil.get_terminal_size().columns
        lines = [line if line[:1] == " " else _wrapped(line, width) for line in text.split("\n")]
        text = "\n".join(lines).replace(gap, " ")
    print(text, file=sys.stderr, flush=True)


def _wrapped(line: str, width: int) -> str:
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def visible(text: str) -> str:
    """Return a text with a mark for each character that could move the cursor or change the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def talk(url: str, token: str | None, work: Callable[[Client], Awaitable[int]]) -> int:
    """Connect, await ``work(client)``, and return the exit code."""
    try:
        return asyncio.run(_connected(url, token, work))
    except KeyboardInterrupt:
        return INTERRUPTED


async def _connected(url: str, token: str | None, work: Callable[[Client], Awaitable[int]]) -> int:
    with _cancelled_by_ctrl_c(), say_logs():
        try:
            async with contextlib.AsyncExitStack() as stack:
                connecting = connect(url, token=token, on_state=_ReportOutages())
                with saying_so(f"{url} has not answered yet"):
                    client = await stack.enter_async_context(connecting)
                return await work(client)
        except asyncio.CancelledError:
            return INTERRUPTED
        except GraphwireError as error:
            say(_in_commands(error, Hints(url, token)))
            return exit_code(error)
        except (TypeError, ValueError) as error:
            if os.environ.get(TRACEBACK):
                raise
            say(_in_options(str(error)))
            return USAGE


_SILENCE_S = 3.0


@contextlib.contextmanager
def saying_so(what: str) -> Iterator[None]:
    """Say what is waited for, if it takes seconds."""
    sentence = f"{what}; waiting (Ctrl-C to give up)"
    timer = asyncio.get_running_loop().call_later(_SILENCE_S, say, sentence)
    try:
        yield
    finally:
        timer.cancel()


def _in_commands(error: GraphwireError, hints: Hints) -> str:
    """Return an error's sentence, with a command where it would name a method of the client."""
    if isinstance(error, RunLost) and error.graph is not None and error.thread is not None:
        what = (
            f"the server no longer knows run {error.run}: it restarted, or the run was deleted; "
            f"thread {error.thread} is as its checkpointer kept it; to continue it"
        )
        return hints.to(what, "respond", "--graph", error.graph, "--thread", error.thread)
    return str(error)


_OPTIONS = {
    "status": "--status",
    "modes": "--mode",
    "namespaces": "--namespace",
    "nodes": "--node",
    "tags": "--tag",
    "keys": "--key",
    "if_busy": "--if-busy",
}


def _in_options(sentence: str) -> str:
    """Return a sentence about an argument of the client as one about the option that it came from."""
    found = re.match(r"(\w+)(\[\d+\])*: ", sentence)
    option = _OPTIONS.get(found[1]) if found else None
    return sentence if found is None or option is None else f"{option}: {sentence[found.end() :]}"


class _Say(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextlib.contextmanager
def say_logs() -> Iterator[None]:
    """Say what the client logs, such as a server's notices, in the style of all other sentences."""
    log, handler = logging.getLogger("graphwire"), _Say(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


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
