"""The TypeScript client and the console keep the rules of the house that are not about Python.

About `clients/typescript/` and `clients/console/`. The console's built files, in the gateway's package, are
nobody's to read: no rule is about them, but that git shows no differences of them.
"""

import itertools
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "typescript"
CONSOLE = ROOT / "clients" / "console"
BUILT = "gateway/graphwire_gateway/console/"
"""Where the console's built files are."""

WRITTEN = "// Written by"
"""How a file begins that a script has written."""

FILES = [
    path
    for folder in ("src", "test", "scripts")
    for path in sorted((CLIENT / folder).rglob("*"))
    if path.suffix in {".ts", ".tsx", ".mjs"}
    and "node_modules" not in path.parts
    and not path.read_text("utf-8").startswith(WRITTEN)
]
SOURCES = [path for path in FILES if CLIENT / "src" in path.parents]
EXPORT = re.compile(r"^export (?:declare |abstract |async )*(?:class|function|const|type|interface) (\w+)")


PAGES = [
    path
    for folder in ("src", "test")
    for path in sorted((CONSOLE / folder).rglob("*"))
    if path.suffix in {".ts", ".tsx", ".mjs", ".css"}
]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT / "clients"))


def test_there_are_files() -> None:
    assert len(SOURCES) > 20
    assert len([path for path in PAGES if path.suffix == ".css"]) > 20


def test_a_file_has_at_most_400_lines() -> None:
    lines = {named(path): len(path.read_text("utf-8").splitlines()) for path in (*FILES, *PAGES)}
    assert {name: count for name, count in lines.items() if count > 400} == {}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_file_says_what_it_is_about_and_so_does_what_it_exports(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("/**")
    exported = [
        (match[1], before) for before, line in itertools.pairwise(lines) if (match := EXPORT.match(line))
    ]
    assert [name for name, before in exported if not before.endswith("*/")] == []


@pytest.mark.parametrize("folder", [CLIENT, CONSOLE], ids=named)
def test_no_address_of_a_registry_is_committed(folder: Path) -> None:
    assert "http" not in (folder / "package-lock.json").read_text("utf-8"), "write it with `npm run lock`"


def test_client_and_console_have_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version
    for folder in (CLIENT, CONSOLE):
        assert json.loads((folder / "package.json").read_text("utf-8"))["version"] == version[1]
    assert f'VERSION = "{version[1]}"' in (CLIENT / "src" / "client.ts").read_text("utf-8")


def test_built_files_are_marked_and_hold_no_python() -> None:
    assert f"{BUILT}** linguist-generated -diff -text" in (ROOT / ".gitattributes").read_text("utf-8")
    assert [path for path in (ROOT / BUILT).rglob("*") if path.suffix == ".py"] == []
