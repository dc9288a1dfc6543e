"""``graphwire schema``: print the protocol's JSON Schema; write, check and release its reference."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from graphwire_protocol.growth import breaks
from graphwire_protocol.reference import documents, machine_readable
from graphwire_protocol.schema import pretty, schemas

from graphwire.cli.outcome import CUT_OFF, FAILED, FINE, USAGE, exit_codes, say, words

_CODES = exit_codes(
    FINE,
    FAILED,
    USAGE,
    CUT_OFF,
    failed="a file differs or cannot be read or written, or a client would break",
)

HELP = f"""Print the JSON Schema of the wire protocol, or write and check its reference.

Without options it prints one JSON object, with each schema under its file name. --write writes DIR/schema and
DIR/reference from the models. --check exits 1 if a file differs, or if a change would break a client of the
last release, whose documents are in DIR/baseline.

Example: [bold]graphwire schema --check proto-docs[/bold]

{_CODES}
"""

_BASELINE = "baseline"


def schema(
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Write the schema and the reference into DIR."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="DIR",
            help="Compare DIR with the models; exit 1 if they differ or a client breaks.",
        ),
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option("--release", metavar="DIR", help="Make the present protocol the baseline in DIR."),
    ] = None,
) -> None:
    """Print, write, check or release. ``HELP`` is the text for users."""
    chosen = [folder for folder in (write, check, release) if folder is not None]
    if len(chosen) > 1:
        raise typer.BadParameter("--write, --check and --release exclude each other")
    if write is not None:
        raise typer.Exit(_write(write, documents()))
    if check is not None:
        raise typer.Exit(_check(check))
    if release is not None:
        files = {name: pretty(document) for name, document in machine_readable().items()}
        raise typer.Exit(_write(release / _BASELINE, files))
    print(pretty(schemas()), end="")


def _write(folder: Path, files: dict[str, str]) -> int:
    try:
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        say(f"cannot write into {folder}: {words(error)}")
        return FAILED
    return FINE


def _check(folder: Path) -> int:
    code = FINE
    for name, text in documents().items():
        file = folder / name
        try:
            is_same = file.read_text(encoding="utf-8") == text
        except (OSError, UnicodeDecodeError):
            is_same = False
        if not is_same:
            what = "differs from the models" if file.exists() else "is missing"
            say(f"{file} {what}; write it with: graphwire schema --write {folder}")
            code = FAILED
    try:
        files = sorted((folder / _BASELINE).glob("*.json"))
        baseline = {file.name: orjson.loads(file.read_bytes()) for file in files}
        breaking = breaks(baseline, machine_readable())
    except (OSError, ValueError, KeyError) as error:
        say(f"the baseline in {folder / _BASELINE} cannot be read: {words(error)}")
        return FAILED
    for change in breaking:
        say(f"this breaks clients of the last release: {change}")
    return FAILED if breaking else code
