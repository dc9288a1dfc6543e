"""The commands that pages and helps show are commands: what they name exists, and they can be pasted.

About `clients/python/graphwire/cli/app.py`, `gateway/graphwire_gateway/serve/command.py` and
`protocol/graphwire_conformance/command.py`.
"""

import importlib
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer.main
from graphwire.cli.app import GROUP, build
from typer.exceptions import TyperException

ROOT = Path(__file__).parents[2]
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "tests/benchmarks/README.md")
    ),
    *sorted((ROOT / "proto-docs").rglob("*.md")),
    *(page for page in sorted((ROOT / "clients").rglob("README.md")) if "node_modules" not in page.parts),
]
COMMANDS = typer.main.get_command(build([], entry_points(group=GROUP)))


def of_pages() -> Iterator[tuple[str, str]]:
    """Where each command stands, and what it is."""
    for page in PAGES:
        text = page.read_text("utf-8")
        shown = re.findall(r"^\$ (graphwire .*?)(?: +#.*)?$", text, re.MULTILINE)
        yield from (
            (page.name, command) for command in [*shown, *re.findall(r"`(graphwire [a-z][^`]*)`", text)]
        )


def of_helps(command: Any = COMMANDS, name: str = "graphwire") -> Iterator[tuple[str, str]]:
    for shown in re.findall(r"\[bold\](graphwire .*?)\[/bold\]", command.help or ""):
        yield name, shown
    for word, one in getattr(command, "commands", {}).items():
        yield from of_helps(one, f"{name} {word}")


SHOWN = sorted({*of_pages(), *of_helps()})


def test_there_are_commands_to_check():
    assert len(SHOWN) > 30


@pytest.mark.parametrize(("where", "text"), SHOWN)
def test_a_command_that_is_shown_is_understood(where, text):
    command: Any = COMMANDS
    _, *words = shlex.split(text)
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"{where}: no command {name}"
        command = command.commands[name]
    if not words:  # the command is only named
        return
    try:
        command.make_context(text, [word.strip("[]") for word in words])
    except TyperException as wrong:
        pytest.fail(f"{where}: {text}: {wrong.format_message()}")


@pytest.mark.parametrize(("where", "text"), [(where, text) for where, text in SHOWN if "graphwire_" in text])
def test_what_is_served_from_these_packages_is_there(where, text):
    for module, attribute in re.findall(r"(graphwire_[\w.]+):(\w+)", text):
        assert hasattr(importlib.import_module(module), attribute), f"{where}: {text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_file_of_this_repository_that_a_command_names_is_there(page):
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    named = re.findall(r"\bclients/[\w./-]+", "\n".join(blocks))
    assert [path for path in named if not (ROOT / path).exists()] == []
