"""``graphwire types``: write TypeScript types of the graphs that a server offers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from graphwire_protocol.replies import GraphRow

from graphwire.cli.options import DEFAULT_URL, Token, Url
from graphwire.cli.outcome import (
    CUT_OFF,
    FAILED,
    FINE,
    INTERRUPTED,
    REFUSED,
    UNREACHABLE,
    USAGE,
    exit_codes,
    say,
    talk,
    words,
)
from graphwire.cli.typescript import declared, schemas_of, typescript_of
from graphwire.client import Client

_CODES = exit_codes(
    FINE,
    FAILED,
    USAGE,
    UNREACHABLE,
    REFUSED,
    INTERRUPTED,
    CUT_OFF,
    failed="there are no graphs, or the file is not current or cannot be read or written",
)

HELP = f"""Write TypeScript types of the graphs that the server offers you, for the TypeScript client's
`connect`: the input, the state and the context of each graph, from their JSON Schemas.

The types go to stdout, or into a file with --out. --check compares a file with them, for a CI job.

Example: [bold]graphwire types ws://127.0.0.1:8765/ws --out src/graphs.ts[/bold]

{_CODES}
"""


def types(
    server: Annotated[
        str | None, typer.Argument(metavar="URL", help="The server's address; the same as --url.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write into this file.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Compare this file; exit 1 if it is not current."),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Write or check the types. ``HELP`` is the text for users."""
    if out is not None and check is not None:
        raise typer.BadParameter("--out and --check exclude each other")
    address = server or url

    async def work(client: Client) -> int:
        rows = await client.graphs()
        if not rows:
            say("the server offers you no graphs, so there are no types to write")
            return FAILED
        _say_unknown(rows)
        text = typescript_of(rows)
        if check is not None:
            return _check(check, text, address)
        if out is None:
            print(text, end="")
            return FINE
        try:
            out.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            say(f"cannot write {out}: {words(error)}")
            return FAILED
        return FINE

    raise typer.Exit(talk(address, token, work))


def _say_unknown(rows: Sequence[GraphRow]) -> None:
    for row in rows:
        schemas = schemas_of(row)
        missing = [part for part in ("input", "state") if schemas[part] is None]
        if missing:
            say(f"the server has no schema of the {' or '.join(missing)} of {row.name}, which is unknown")


def _check(file: Path, text: str, address: str) -> int:
    write = f"write it with: graphwire types {address} --out {file}"
    try:
        present = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        say(f"{file} is missing; {write}")
        return FAILED
    except (OSError, UnicodeDecodeError) as error:
        say(f"cannot read {file}: {words(error)}")
        return FAILED
    if present == text:
        return FINE
    old, new = declared(present), declared(text)
    differences = [
        f"{verb} {', '.join(names)}"
        for verb, names in (
            ("changed", [name for name in new if name and name in old and new[name] != old[name]]),
            ("new", [name for name in new if name not in old]),
            ("gone", [name for name in old if name not in new]),
        )
        if names
    ]
    say(f"{file} is not current: {'; '.join(differences) or 'its first line or its order'}; {write}")
    return FAILED
