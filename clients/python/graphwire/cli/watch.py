"""``graphwire watch``: all your runs, or threads, and every change of them, until Ctrl-C."""

import asyncio
import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, Any

import typer
from graphwire_protocol.replies import ThreadRow
from graphwire_protocol.titles import has_title
from rich.console import Console, Group
from rich.live import Live

from graphwire.cli.board import Board, asks_of, note_of
from graphwire.cli.listing import refuse_unknown
from graphwire.cli.options import DEFAULT_URL, Json, OnlyStatuses, OnlyThread, Search, Token, Url
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
from graphwire.cli.thread_board import ThreadBoard
from graphwire.cli.threads import title_of
from graphwire.client import Client
from graphwire.rows import RunGone, ThreadGone, WatchSynced

HELP = f"""Watch your runs, or with --threads your threads: what there is, and every change, until Ctrl-C.

At a terminal it is a table that is kept up to date. What is no longer there has the status "gone".

{piped("run", "graph", "thread", "status", "note")} The note says what the run asks or why it ended.
With --threads the cells are graph, thread, status, run, title, note.

Examples: [bold]graphwire watch --graph joke --status interrupted[/bold], and
[bold]graphwire watch --threads --search cats[/bold]

{exit_codes(USAGE, UNREACHABLE, REFUSED, INTERRUPTED, CUT_OFF)}
"""

REFRESH_S = 0.5
"""Seconds between two drawings of the table."""


def watch(
    graph: Annotated[
        list[str] | None,
        typer.Option("--graph", metavar="GRAPH", help="Only runs or threads of these graphs. Repeatable."),
    ] = None,
    status: OnlyStatuses = None,
    thread: OnlyThread = None,
    threads: Annotated[bool, typer.Option("--threads", help="Watch threads, not runs.")] = False,
    search: Search = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Watch runs or threads. ``HELP`` is the text for users."""
    if search is not None and not threads:
        raise typer.BadParameter("--search is for --threads")
    console = Console()
    is_table = console.is_terminal and not as_json
    statuses: Any = status or None  # checked by the client

    async def work(client: Client) -> int:
        await refuse_unknown(client, graph or ())
        items: AsyncIterator[Any]
        board: Board | ThreadBoard
        if threads:
            board = ThreadBoard()
            items = client.watch_threads(
                graphs=graph or None, thread=thread, status=statuses, search=search, synced=True
            )
        else:
            board = Board()
            items = client.watch(
                graphs=graph or None, thread=thread, status=statuses, progress=is_table, synced=True
            )
        if is_table:
            await _draw(client, items, board, console, statuses, search)
        else:
            await _until_unread(_print(items, as_json, "threads" if threads else "runs"))
        return FINE

    raise typer.Exit(talk(url, token, work))


async def _draw(
    client: Client,
    items: AsyncIterator[Any],
    board: Any,
    console: Console,
    statuses: list[str] | None,
    search: str | None,
) -> None:
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
                board.put(_if_matching(item, statuses, search), time.time())
        finally:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)
            live.update(draw(), refresh=True)


def _if_matching(item: Any, statuses: list[str] | None, search: str | None) -> Any:
    """Return the item; in place of a row that does not match any more, that it is gone."""
    if isinstance(item, WatchSynced) or item.status == "gone":
        return item
    is_matching = statuses is None or item.status in statuses
    if isinstance(item, ThreadRow):
        is_matching = is_matching and has_title(item.metadata or {}, search)
        return item if is_matching else ThreadGone(item.graph, item.thread, "")
    return item if is_matching else RunGone(item.run, "")


async def _print(items: AsyncIterator[Any], as_json: bool, what: str) -> None:
    async for item in items:
        match item:
            case WatchSynced(cut=cut):
                if cut:
                    say(f"the list leaves out the {cut} oldest {what} (max_watch_runs of the server)")
            case ThreadGone() if as_json:
                fields = {"graph": item.graph, "thread": item.thread}
                print_json({**fields, "status": item.status, "reason": item.reason})
            case ThreadGone():
                print_row((item.graph, item.thread, item.status, "", "", item.reason))
            case RunGone() if as_json:
                print_json({"run": item.run, "status": item.status, "reason": item.reason})
            case RunGone():
                print_row((item.run, "", "", item.status, item.reason))
            case row if as_json:
                print_json(row.to_wire())
            case ThreadRow() as row:
                print_row((row.graph, row.thread, row.status, row.run or "", title_of(row), asks_of(row)))
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
