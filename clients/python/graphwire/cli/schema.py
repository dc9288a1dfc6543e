"""``graphwire schema``: the protocol's JSON Schema, printed, written or compared."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from graphwire_protocol.schema import schemas

from graphwire.cli.outcome import FAILED, FINE, say, words

HELP = """Print the JSON Schema of the wire protocol, write it to files, or compare it with them.

Printed is one JSON object, with each schema under its file's name. --check exits 1 where a file differs.

Example: [bold]graphwire schema --write proto-docs/schema[/bold]
"""


def schema(
    write: Annotated[
        Path | None, typer.Option("--write", metavar="DIR", help="Write one file a schema into DIR.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="DIR", help="Compare the files in DIR; exit 1 if one differs."),
    ] = None,
) -> None:
    """Print, write or compare the schema; the help's text stands in ``HELP``."""
    if write is not None and check is not None:
        raise typer.BadParameter("--write and --check exclude each other")
    if write is not None:
        raise typer.Exit(_write(write))
    if check is not None:
        raise typer.Exit(_check(check))
    print(pretty(schemas()), end="")


def pretty(document: Any) -> str:
    """Return a document as it is committed: indented, sorted, with a final newline."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options).decode()


def _write(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in schemas().items():
            (folder / name).write_text(pretty(document), encoding="utf-8")
    except OSError as error:
        say(f"cannot write into {folder}: {words(error)}")
        return FAILED
    return FINE


def _check(folder: Path) -> int:
    code = FINE
    for name, document in schemas().items():
        file = folder / name
        try:
            is_same = file.read_text(encoding="utf-8") == pretty(document)
        except (OSError, UnicodeDecodeError):
            is_same = False
        if not is_same:
            what = "differs from the models" if file.exists() else "is missing"
            say(f"{file} {what}; write it with: graphwire schema --write {folder}")
            code = FAILED
    return code
