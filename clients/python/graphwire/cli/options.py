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
        help="Who you are to the server. Prefer the environment: other users see a command's options.",
        show_envvar=True,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="One JSON document a line on stdout, and nothing else there."),
]
