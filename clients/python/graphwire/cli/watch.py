"""``graphwire watch``: all your runs, and every change of them, until Ctrl-C."""

import asyncio
import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live

from graphwire.cli.board import Board, note_of
from graphwire.cli.listing import refuse_unknown
from graphwire.cli.options import DEFAULT_URL, Json, OnlyStatuses, OnlyThread, Token, Url
from graphwire.cli.outcome import (
    CUT_OFF,
    FINE,
    INTERRUPTED,
    REFUSED,
    UNREACHABLE,
    USAGE,
    exit_codes,
    say,
    talk,
)
from graphwire.cli.show import piped, print_json, print_row
from graphwire.client import Client
from graphwire.rows import RunGone, WatchSynced

HELP = f"""Watch your runs: what there is, and every change, until Ctrl-C.

At a terminal it is a table that is kept up to date. A run that is no longer there has the status "gone".

{piped("run", "graph", "thread", "status", "note")} The note says what the run asks or why it ended.

Example: [bold]graphwire watch --graph joke --status interrupted[/bold]

{exit_codes(USAGE, UNREACHABLE, REFUSED, INTERRUPTED, CUT_OFF)}
"""

REFRESH_S = 0.5
"""Seconds between two drawings of the table."""


def watch(
    graph: Annotated[
        list[str] | None,
        typer.Option("--graph", metavar="GRAPH", help="Only runs of these graphs. Repeatable."),
    ] = None,
    status: OnlyStatuses = None,
    thread: OnlyThread = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Watch runs. ``HELP`` is the text for users."""
    console = Console()
    is_table = console.is_terminal and not as_json
    statuses: Any = status or None  # checked by the client

    async def work(client: Client) -> int:
        await refuse_unknown(client, graph or ())
        items: AsyncIterator[Any] = client.watch(
            graphs=graph or None, thread=thread, status=statuses, progress=is_table, synced=True
        )
        if is_table:
            await _draw(client, items, console, statuses)
        else:
            await _until_unread(_print(items, as_json))
        return FINE

    raise typer.Exit(talk(url, token, work))


async def _draw(
    client: Client, items: AsyncIterator[Any], console: Console, statuses: list[str] | None
) -> None:
    board = Board()

    def draw() -> Group:
        remark = "" if client.connection_state == "connected" else "connecting again"
        return Group(*board.lines(console.width, max(4, console.height - 1), time.time(), remark))

    async def refresh() -> None:
        while True:
            live.update(draw(), refresh=True)
            await asyncio.sleep(REFRESH_S)

    with Live(console=console, auto_refresh=False) as live:
        refreshing = asyncio.ensure_future(refresh())
        try:
            async for item in items:
                if statuses is not None and not isinstance(item, WatchSynced) and item.status not in statuses:
                    item = RunGone(item.run, "")  # it does not match any more
                board.put(item, time.time())
        finally:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)
            live.update(draw(), refresh=True)


async def _print(items: AsyncIterator[Any], as_json: bool) -> None:
    async for item in items:
        match item:
            case WatchSynced(cut=cut):
                if cut:
                    say(f"the list leaves out the {cut} oldest runs (max_watch_runs of the server)")
            case RunGone() if as_json:
                print_json({"run": item.run, "status": item.status, "reason": item.reason})
            case RunGone():
                print_row((item.run, "", "", item.status, item.reason))
            case row if as_json:
                print_json(row.to_wire())
            case row:
                print_row((row.run, row.graph, row.thread or "", row.status, note_of(row)))


async def _until_unread(printing: Awaitable[None]) -> None:
    """Await ``printing``. Raises ``BrokenPipeError`` when nobody reads stdout any more.

    Without this, ``graphwire watch | head -1`` would wait for one more change to find that out.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(printing)
    is_unread = asyncio.Event()
    pipe = _piped_stdout()

    def stop() -> None:
        is_unread.set()
        task.cancel()

    if pipe is not None:
        # A pipe's writing end is never readable; the loop calls this for its error when the reader has gone.
        loop.add_reader(pipe, stop)
    try:
        await task
    except asyncio.CancelledError:
        if is_unread.is_set():
            raise BrokenPipeError from None
        raise
    finally:
        if pipe is not None:
            loop.remove_reader(pipe)


def _piped_stdout() -> int | None:
    try:
        output = sys.stdout.fileno()
        return output if stat.S_ISFIFO(os.fstat(output).st_mode) and os.name == "posix" else None
    except (OSError, ValueError):  # stdout is no file, as in tests
        return None
