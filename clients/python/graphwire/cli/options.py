"""The options that several commands share."""

from typing import Annotated, TypeAlias

import typer
from graphwire_protocol.types import STREAM_MODES

from graphwire.client import DEFAULT_URL as DEFAULT_URL
from graphwire.streams import DEFAULT_MODES

URL_VARIABLE = "GRAPHWIRE_URL"
TOKEN_VARIABLE = "GRAPHWIRE_TOKEN"
_REPEATABLE = " Repeatable."

Url: TypeAlias = Annotated[
    str,
    typer.Option("--url", envvar=URL_VARIABLE, metavar="URL", help="The server's address."),
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar=TOKEN_VARIABLE,
        metavar="TOKEN",
        help="Your token. Prefer the environment variable: other users of this machine can see options.",
        show_envvar=True,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document a line on stdout, and nothing else there."),
]
Modes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--mode",
        "-m",
        metavar="MODE",
        help=f"What to stream: {', '.join(STREAM_MODES)}. Default: {', '.join(DEFAULT_MODES)}.{_REPEATABLE}",
    ),
]
Namespaces: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        "-N",
        metavar="PATH",
        help='Which subgraphs: "**" all, "." the root (default), "a" the subgraph at node a, '
        f'"a/b" the one at b in it, "*" for any one node.{_REPEATABLE}',
    ),
]
Nodes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--node", metavar="GLOB", help=f"Only events of these nodes, such as 'write*'.{_REPEATABLE}"
    ),
]
Tags: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="GLOB", help=f"Only tokens of model calls with this tag.{_REPEATABLE}"),
]
Keys: TypeAlias = Annotated[
    list[str] | None, typer.Option("--key", metavar="KEY", help=f"Only these keys of the state.{_REPEATABLE}")
]
OnlyStatuses: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help=f"Only these: queued, running, interrupted, completed, failed, cancelled.{_REPEATABLE}",
    ),
]
OnlyThread: TypeAlias = Annotated[
    str | None, typer.Option("--thread", metavar="ID", help="Only runs of this conversation.")
]


def path_segments(path: str) -> list[str]:
    """Return the segments of a namespace: ``"a/b"`` is ``["a", "b"]``, ``"."`` the root ``[]``."""
    return [] if path == "." else path.split("/")
