"""What a run asks, put to a person at the terminal, or told to whoever reads the output later."""

import asyncio
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from graphwire.cli.options import DEFAULT_URL
from graphwire.events import Interrupt


def value_of(text: str) -> Any:
    """Return the value that ``text`` is: JSON where it reads as such, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def is_someone_there() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask(interrupts: Sequence[Interrupt]) -> dict[str, Any] | None:
    """Ask for an answer to each question, for Enter at a breakpoint; ``None`` if the person closes the input.

    The questions themselves stand on the screen already. Enter alone is no answer; ``""`` is the empty one.
    """
    if not interrupts:
        return {} if await _typed("Enter to go on: ") else None
    answers: dict[str, Any] = {}
    for number, one in enumerate(interrupts, 1):
        which = f" {number} of {len(interrupts)} ({one.id})" if len(interrupts) > 1 else ""
        line = "\n"
        while line and not line.strip():
            line = await _typed(f"answer{which}: ")
        if not line:
            return None
        answers[one.id] = value_of(line.rstrip("\n"))
    return answers


async def _typed(prompt: str) -> str:
    line = await _line(prompt)
    if not line:
        print(file=sys.stderr)  # Ctrl-D leaves the cursor behind the prompt
    return line


async def _line(prompt: str) -> str:
    """Read a line without holding up the loop, so that Ctrl-C and the connection are served meanwhile."""
    print(prompt, end="", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(sys.stdin, _done, ready)
    except NotImplementedError:  # Windows
        return sys.stdin.readline()
    try:
        await ready
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _done(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def how_to_leave(run: str, interrupts: Sequence[Interrupt], url: str, is_ours: bool) -> str:
    """Return a sentence with the keys that end the asking."""
    what = "the question open" if interrupts else "the run at its breakpoint"
    stops = "cancels the run" if is_ours else "leaves the run as it is"
    return f"Ctrl-D leaves {what}, for {_respond(run, [], url)} later; Ctrl-C {stops}"


def how_to_answer(run: str, interrupts: Sequence[Interrupt], url: str) -> str:
    """Return a sentence with the command that answers."""
    command = _respond(run, [f"{one.id}=ANSWER" for one in interrupts], url)
    what = "for an answer" if interrupts else "at a breakpoint"
    return f"run {run} waits {what}: {command}"


def _respond(run: str, answers: Sequence[str], url: str) -> str:
    where = [] if url == DEFAULT_URL else ["--url", url]
    return shlex.join(["graphwire", "respond", *where, run, *answers])
