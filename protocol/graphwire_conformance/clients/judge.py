"""Judges a client, by the contract below: it is run once for each case against a scripted server.

The client under test is a command. It finds in its environment

``GRAPHWIRE_URL``
    the server's address, which also replaces a literal ``{url}`` in its arguments;
``GRAPHWIRE_CASE``
    the name of the case, which it may ignore;
``GRAPHWIRE_TASK``
    a JSON object: start the run ``run`` of ``graph`` with ``input``, subscribe to it from the start through
    ``filter``, and let at most ``window`` events be under way where it uses credit. Where it has ``answer``,
    that is what to answer to everything that the run asks, whenever it is interrupted; an answer whose reply
    is lost with the connection is sent again, and one that comes too late (``conflict``) is no fault.

It starts the run, follows it to its end whatever happens to the connection, and prints one JSON object a line
for each event that it shows its application (two of these are broken for the page)::

    {"seq": 2, "mode": "custom", "data": {"i": 0}}
    {"seq": 3, "mode": "messages", "data": {"id": "m-1", "content": "Soft", "node": "write"}}
    {"seq": 5, "mode": "interrupt", "data": {"interrupts": [{"id": "i-1", "value": "sure?"}]}}
    {"seq": 9, "mode": "gap",
     "data": {"after_seq": 3, "upto_seq": 9, "reason": "evicted", "lost": ["custom"]}}
    {"seq": 9, "mode": "snapshot",
     "data": {"status": "running", "messages": [{"id": "m-1", "content": "Soft"}]}}
    {"seq": 12, "mode": "lifecycle", "data": {"status": "completed"}}

``node`` is the message's metadata ``langgraph_node``; a snapshot has ``values`` where it came with some. Of
modes and frames that it does not know it prints what it likes, as long as ``mode`` tells them apart. Its last
line is ``{"end": "completed"}``, ``"failed"`` or ``"cancelled"``, or ``{"end": "error"}`` where it gives up.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from graphwire_conformance.clients import answers, losses, scripts
from graphwire_conformance.clients.stage import PATIENCE_S, Script, Stage
from graphwire_conformance.protocol import LOG_MODES, Frame
from graphwire_conformance.verdict import Verdict, Violation, brief, check, judged, wanted

Launch: TypeAlias = Callable[[dict[str, str]], Awaitable[list[str]]]
"""Runs the client with these variables and returns the lines that it printed."""

SCRIPTS = [*scripts.SCRIPTS, *answers.SCRIPTS, *losses.SCRIPTS]
"""Name, rule and script of every case."""

_MODES = frozenset({*LOG_MODES, "gap", "snapshot"})
END_S = 60.0
"""How long a client may take from its start to its end."""

_TAIL = 600  # characters of a client's last words


def names() -> list[tuple[str, str]]:
    """Return every case's name and rule."""
    return [(name, rule) for name, rule, _ in SCRIPTS]


def by_command(command: Sequence[str]) -> Launch:
    """Return what runs a command as the client."""

    async def launch(variables: dict[str, str]) -> list[str]:
        arguments = [argument.replace("{url}", variables["GRAPHWIRE_URL"]) for argument in command]
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                env={**os.environ, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Violation("the contract", "a command that can be run", f"{arguments[0]}: {error}") from None
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        printed = out.decode("utf-8", "replace").splitlines()
        if not printed:
            raise Violation(
                "the contract", "lines on stdout", err.decode("utf-8", "replace")[-_TAIL:] or "none"
            )
        return printed

    return launch


async def judge_client(
    launch: Launch,
    *,
    only: Sequence[str] = (),
    jobs: int = 2,
    on_verdict: Callable[[Verdict], None] = lambda verdict: None,
    patience_s: float = PATIENCE_S,
    end_s: float = END_S,
) -> list[Verdict]:
    """Try the cases that ``only`` names, ``jobs`` at once, against the client that ``launch`` runs.

    ``only`` holds names, globs or groups; empty, it names all. ``on_verdict`` is called with each verdict at
    once. A case fails when the client keeps it waiting for ``patience_s``, or has not ended after ``end_s``.
    """
    gate = asyncio.Semaphore(jobs)

    async def one(name: str, rule: str, script: Script) -> Verdict:
        async with gate:
            verdict = await judged(
                name, rule, lambda: _try(Stage(name, patience_s), rule, script, launch, end_s), time.monotonic
            )
        on_verdict(verdict)
        return verdict

    chosen = [entry for entry in SCRIPTS if wanted(entry[0], only)]
    return list(await asyncio.gather(*(one(*entry) for entry in chosen)))


async def _try(stage: Stage, rule: str, script: Script, launch: Launch, end_s: float) -> None:
    async with stage.open():
        variables = {
            "GRAPHWIRE_URL": stage.url,
            "GRAPHWIRE_CASE": stage.name,
            "GRAPHWIRE_TASK": json.dumps(stage.task),
        }
        # A script sets its task before its first await.
        playing = asyncio.ensure_future(script(stage))
        await asyncio.sleep(0)
        variables["GRAPHWIRE_TASK"] = json.dumps(stage.task)
        client = asyncio.ensure_future(launch(variables))
        try:
            await asyncio.wait({playing, client}, timeout=end_s, return_when=asyncio.FIRST_COMPLETED)
            if client.done() and not playing.done() and not client.exception():
                # The script may end at the same moment.
                await asyncio.wait({playing}, timeout=0.5)
                if not playing.done():
                    _compare(stage, rule, client.result())
                    raise Violation(rule, "the client stays to the script's end", "it has ended before")
            if playing.done():
                await playing
            printed = await asyncio.wait_for(client, end_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise Violation(rule, "the client comes to its end", f"it runs after {end_s:g} s") from None
        finally:
            for task in (playing, client):
                task.cancel()
            await asyncio.gather(playing, client, return_exceptions=True)
        _compare(stage, rule, printed)
        check(stage.has_no_other, rule, "no connection more than the script has", "another one")


def _compare(stage: Stage, rule: str, printed: list[str]) -> None:
    lines: list[Any] = []
    for line in printed:
        try:
            lines.append(json.loads(line))
        except ValueError:
            raise Violation("the contract", "a JSON object a line", brief(line)) from None
        check(isinstance(lines[-1], dict), "the contract", "a JSON object a line", line)
    end: Frame = lines.pop() if lines else {}
    expected = [line for line in stage.expected() if line["mode"] in _MODES]
    came = _once([line for line in lines if line.get("mode") in _MODES])
    for number, (due, shown) in enumerate(zip(expected, came, strict=False), 1):
        check(due == shown, rule, f"as line {number}: {brief(due)}", shown)
    if len(came) < len(expected):
        raise Violation(
            rule, f"{len(expected)} lines, next {brief(expected[len(came)])}", f"{len(came)} lines"
        )
    if len(came) > len(expected):
        raise Violation(
            rule, f"{len(expected)} lines", f"{len(came)} lines, more: {brief(came[len(expected)])}"
        )
    check(end.get("end") == stage.expected_end(), rule, f'{{"end": "{stage.expected_end()}"}}', end)


def _once(lines: list[Frame]) -> list[Frame]:
    """Leave out a gap that is printed again because its snapshot had not come."""
    return [
        line
        for index, line in enumerate(lines)
        if line["mode"] != "gap" or lines[index + 1 : index + 2] != [line]
    ]
