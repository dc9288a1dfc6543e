"""``graphwire delete``: delete a run, or a thread with its runs and checkpoints."""

import sys
from typing import Annotated

import typer

from graphwire.cli.options import DEFAULT_URL, Token, Url
from graphwire.cli.outcome import (
    FAILED,
    FINE,
    INTERRUPTED,
    REFUSED,
    UNREACHABLE,
    USAGE,
    exit_codes,
    say,
    talk,
)
from graphwire.client import Client

_CODES = exit_codes(FINE, FAILED, USAGE, UNREACHABLE, REFUSED, INTERRUPTED, failed="you did not confirm")

HELP = f"""Delete a run, or a thread with all its runs, checkpoints and metadata. This cannot be undone.

At a terminal you are asked before a thread is deleted. Elsewhere -y is required.

Example: [bold]graphwire delete --run run-7f3a[/bold], or [bold]graphwire delete chat mine -y[/bold]

{_CODES}
"""


def delete(
    graph: Annotated[str | None, typer.Argument(metavar="GRAPH", help="The graph of the thread.")] = None,
    thread: Annotated[
        str | None, typer.Argument(metavar="THREAD", help="The thread; see: graphwire threads")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Delete this run; its thread stays.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a thread is deleted.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Delete a run or a thread. ``HELP`` is the text for users."""
    if (run is not None) == (graph is not None) or (graph is None) != (thread is None):
        raise typer.BadParameter("name --run RUN, or a GRAPH and its THREAD")
    what = f"run {run}" if run is not None else f"thread {thread} of {graph}"
    if run is None and not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"deleting {what} needs -y when stdin is no terminal")
        typer.confirm(f"delete {what}, its runs and its checkpoints?", abort=True, err=True)

    async def work(client: Client) -> int:
        await client.delete(run=run, graph=graph, thread=thread)
        say(f"deleted {what}")
        return FINE

    raise typer.Exit(talk(url, token, work))
