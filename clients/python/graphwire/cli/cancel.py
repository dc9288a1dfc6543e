"""``graphwire cancel``: stop runs, by their ids or all that a filter finds."""

from typing import Annotated

import typer

from graphwire.cli.listing import refuse_unknown
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import FINE, LISTS, REFUSED, say, talk
from graphwire.cli.show import print_json
from graphwire.client import Client
from graphwire.errors import Refused
from graphwire.streams import ACTIVE

HELP = f"""Cancel runs: those that you name, all of one graph or thread, or all that you have.

A run that has ended stays as it is. The run's code may take a moment to stop; graphwire attach shows its end.

Example: [bold]graphwire cancel run-7f3a run-81c0[/bold], or [bold]graphwire cancel --graph joke[/bold]

{LISTS}
"""


def cancel(
    run: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of runs; see: graphwire runs")
    ] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="GRAPH", help="All your active runs of this graph.")
    ] = None,
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="ID", help="All your active runs of this conversation.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All your active runs.")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; whoever watches the run sees it.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Cancel runs. ``HELP`` is the text for users."""
    has_filter = graph is not None or thread is not None
    if (bool(run), has_filter, every).count(True) != 1:
        raise typer.BadParameter("name the ID of a run, --graph or --thread, or --all")

    async def work(client: Client) -> int:
        if not run:
            await refuse_unknown(client, [graph] if graph is not None else ())
            cancelled = await client.cancel(graph=graph, thread=thread, status=ACTIVE, reason=reason)
            for id in cancelled:
                print_json({"run": id}) if as_json else print(id)
            say(f"cancelled {len(cancelled)} run{'' if len(cancelled) == 1 else 's'}")
            return FINE
        code = FINE
        for id in dict.fromkeys(run):
            try:
                status = await client.cancel(id, reason=reason)
            except Refused as refused:
                say(str(refused))
                code = REFUSED
                continue
            if as_json:
                print_json({"run": id, "status": status})
            elif status in ("completed", "failed"):
                say(f"run {id} has ended already: {status}")
            else:  # one that was queued or interrupted is "cancelled" in the reply, like one cancelled before
                say(f"run {id} is cancelled" if status == "cancelled" else f"cancelled run {id}")
        return code

    raise typer.Exit(talk(url, token, work))
