"""The options that several commands share."""

from typing import Annotated, TypeAlias

import typer

from graphwire.client import DEFAULT_URL as DEFAULT_URL

Url: TypeAlias = Annotated[
    str,
    typer.Option("--url", envvar="GRAPHWIRE_URL", metavar="URL", help="The server's address."),
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="GRAPHWIRE_TOKEN",
        metavar="TOKEN",
        help="Your token. Prefer the environment variable: other users of this machine can see options.",
        show_envvar=True,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document a line on stdout, and nothing else there."),
]
