"""What the server does without the packages that only some need: each is hidden from a process of its own.

About `gateway/graphwire_gateway/stores.py` and the extras in `pyproject.toml`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

_HIDE = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(',')))"

_SERVES = """
import asyncio
from typing import TypedDict
import graphwire
from graphwire_gateway import Gateway
from graphwire_runtime import END, START, StateGraph

class State(TypedDict):
    n: int

graph = StateGraph(State).add_node("one", lambda state: {"n": state["n"] + 1})
graph = graph.add_edge(START, "one").add_edge("one", END).compile()

async def main():
    async with Gateway({"graph": graph}).serve("127.0.0.1", 0) as server:
        async with graphwire.connect(server.url) as client:
            run = await client.run("graph", {"n": 1}, thread="t")
            print(await run.result())

asyncio.run(main())
"""

_EXTRAS = ["redis", "langgraph.checkpoint.sqlite,aiosqlite", "langgraph.graph,langgraph.pregel"]


def without(
    modules: str, code: str, *arguments: str, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run code in a process that cannot import these modules."""
    command = [sys.executable, "-c", f"{_HIDE}\n{code}", modules, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.processes
@pytest.mark.parametrize("modules", _EXTRAS)
def test_a_server_in_memory_needs_no_other_package(modules: str) -> None:
    done = without(modules, _SERVES)
    assert done.stdout == "{'n': 2}\n", done.stderr


@pytest.mark.processes
@pytest.mark.parametrize("modules", _EXTRAS)
def test_the_command_line_is_there_without_other_packages(modules: str) -> None:
    for command in ("serve", "worker"):
        done = without(modules, "from graphwire.cli import main; main()", command, "--help")
        assert "Example" in done.stdout, done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "modules", "store", "extra"),
    [
        ("serve", "redis", "redis://127.0.0.1:1", "redis"),
        ("worker", "redis", "redis://127.0.0.1:1", "redis"),
        ("serve", "langgraph.checkpoint.sqlite", "sqlite:///runs.db", "sqlite"),
    ],
)
def test_what_is_missing_is_named_with_what_to_install(
    tmp_path: Path, command: str, modules: str, store: str, extra: str
) -> None:
    arguments = (command, "--conformance-graphs", "--store", store)
    done = without(modules, "from graphwire.cli import main; main()", *arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert f"pip install 'graphwire[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
