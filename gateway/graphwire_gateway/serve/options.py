"""The options that ``graphwire serve`` and ``graphwire worker`` both have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file. (default: ./graphwire.toml, if it exists)",
    ),
]

LogFormat: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="console or json. (default: console)")
]

LogLevel: TypeAlias = Annotated[
    str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error. (default: info)")
]
