"""The questions of an interrupted run: asked at the terminal, or printed with the command that answers."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from graphwire.cli.gist import gist
from graphwire.cli.hints import Hints
from graphwire.cli.show import short
from graphwire.events import Interrupt

PLACEHOLDER = "ANSWER"
"""What stands for the answer in a hint; as an answer it is refused."""


def value_of(text: str) -> Any:
    """Return ``text`` read as JSON, or the text itself if it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def is_interactive() -> bool:
    """Return whether a person can be asked: stdin and stderr are terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask(interrupts: Sequence[Interrupt]) -> dict[str, Any] | None:
    """Ask for an answer to each question; return ``{interrupt's id: answer}``.

    At a breakpoint, which asks nothing, wait for Enter and return ``{}``. Return ``None`` if the person
    closes the input. The questions are on the screen already. Enter alone is no answer; ``""`` is the empty
    text.
    """
    if not interrupts:
        return {} if await _typed("Enter to continue: ") else None
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
        print(file=sys.stderr)  # Ctrl-D leaves the cursor after the prompt
    return line


async def _line(prompt: str) -> str:
    """Read a line without blocking the event loop, which serves Ctrl-C and the connection meanwhile."""
    print(prompt, end="", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    is_readable: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(sys.stdin, _complete, is_readable)
    except NotImplementedError:  # Windows
        return sys.stdin.readline()
    try:
        await is_readable
    except asyncio.CancelledError:  # Ctrl-C leaves the cursor after the prompt
        print(file=sys.stderr)
        raise
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def how_to_leave(run: str, interrupts: Sequence[Interrupt], hints: Hints, was_started_here: bool) -> str:
    """Return a sentence about Ctrl-D and Ctrl-C, for a person who is asked."""
    stops = "cancels the run" if was_started_here else "leaves the run as it is"
    what = "the question open, to answer" if interrupts else "the run at its breakpoint, to continue"
    return hints.to(f"Ctrl-C {stops}; Ctrl-D leaves {what} later", "respond", run)


def how_to_answer(run: str, interrupts: Sequence[Interrupt], hints: Hints) -> str:
    """Return a sentence with the command that answers later."""
    what = "for an answer; to give it" if interrupts else "at a breakpoint; to continue"
    return hints.to(f"run {run} waits {what}", "respond", run, *_answers_to(interrupts))


def list_questions(who: str, interrupts: Sequence[Interrupt], hints: Hints, *target: str) -> str:
    """Return what ``who`` asks, one question a line, and the command that answers ``target``."""
    lines = [f"{who} asks:"]
    for one in interrupts:
        lines.append(f"  {one.id}  {short(one.value)}")
        if one.response_schema is not None:
            lines.append(f"    expects {short(gist(one.response_schema))}")
    return "\n".join([*lines, hints.to("to answer", "respond", *target, *_answers_to(interrupts))])


def _answers_to(interrupts: Sequence[Interrupt]) -> list[str]:
    return [PLACEHOLDER] if len(interrupts) == 1 else [f"{one.id}={PLACEHOLDER}" for one in interrupts]
