"""The options that several commands share."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias

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
Search: TypeAlias = Annotated[
    str | None,
    typer.Option("--search", metavar="TEXT", help="Only threads whose title has this text, in any case."),
]
OnlyMetadata: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="KEY=VALUE",
        help=f"Only threads whose metadata has this; JSON, or else text.{_REPEATABLE}",
    ),
]


def pairs_of(given: Iterable[str] | None, option: str) -> dict[str, Any]:
    """Return ``KEY=VALUE`` texts as an object; a value is JSON if it can be read as such, else text."""
    pairs: dict[str, Any] = {}
    for text in given or ():
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise typer.BadParameter(f"{option} takes KEY=VALUE, not {text!r}")
        try:
            pairs[key] = json.loads(value)
        except ValueError:
            pairs[key] = value
    return pairs


def path_segments(path: str) -> list[str]:
    """Return the segments of a namespace: ``"a/b"`` is ``["a", "b"]``, ``"."`` the root ``[]``."""
    return [] if path == "." else path.split("/")
