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

    The questions themselves stand on the screen already.
    """
    if not interrupts:
        line = await _line("Enter to go on: ")
        return {} if line else None
    answers: dict[str, Any] = {}
    for number, one in enumerate(interrupts, 1):
        which = f" {number} of {len(interrupts)} ({one.id})" if len(interrupts) > 1 else ""
        line = await _line(f"answer{which}: ")
        if not line:
            return None
        answers[one.id] = value_of(line.rstrip("\n"))
    return answers


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


def how_to_answer(run: str, interrupts: Sequence[Interrupt], url: str) -> str:
    """Return a sentence with the command that answers."""
    where = [] if url == DEFAULT_URL else ["--url", url]
    command = shlex.join(["graphwire", "respond", *where, run, *(f"{one.id}=ANSWER" for one in interrupts)])
    what = "for an answer" if interrupts else "at a breakpoint"
    return f"run {run} waits {what}: {command}"
