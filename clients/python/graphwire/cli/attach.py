"""``graphwire attach``: watch a run that exists, without any power over it."""

from typing import Annotated, Any

import typer

from graphwire.cli.hints import Hints
from graphwire.cli.options import (
    DEFAULT_URL,
    Json,
    Keys,
    Modes,
    Namespaces,
    Nodes,
    Tags,
    Token,
    Url,
    path_segments,
)
from graphwire.cli.outcome import STREAMS, saying_so, talk
from graphwire.cli.run import watch
from graphwire.client import Client

HELP = f"""Watch a run that exists, from its beginning or from now on.

Ctrl-C leaves the run as it is; graphwire cancel stops it. If the run asks something, you are asked at a
terminal; elsewhere the command exits with 5 and prints the command that answers.

Example: [bold]graphwire attach run-7f3a --from now[/bold]

{STREAMS}
"""


def attach(
    run: Annotated[str, typer.Argument(metavar="ID", help="The run's id; see: graphwire runs")],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="start: the whole run; snapshot: its present state, and what follows; now: what follows.",
        ),
    ] = "start",
    mode: Modes = None,
    namespace: Namespaces = None,
    node: Nodes = None,
    tag: Tags = None,
    key: Keys = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Attach to a run. ``HELP`` is the text for users."""
    if start not in ("start", "snapshot", "now"):
        raise typer.BadParameter(f"--from is start, snapshot or now, not {start!r}")
    arguments: dict[str, Any] = {"modes": mode or None, "nodes": node, "tags": tag, "keys": key}
    if namespace:
        arguments["namespaces"] = [path_segments(path) for path in namespace]

    async def work(client: Client) -> int:
        with saying_so("the server has not found the run yet"):
            attached = await client.attach(run, start=start, **arguments)
        return await watch(attached, as_json, Hints(url, token))

    raise typer.Exit(talk(url, token, work))
