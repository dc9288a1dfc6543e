"""The terminal dashboard shows runs as they are, and starts, opens, answers and cancels them.

About `clients/python/graphwire/watching.py`. The example is in `clients/python/examples/dashboard_textual`.
"""

import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import graphwire
import pytest

from tests.support import waiting
from tests.support.graphs import OURS, Gate, storyteller
from tests.support.questions import asker

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[2] / "clients" / "python" / "examples" / "dashboard_textual" / "dashboard.py"


@pytest.fixture
def example() -> Any:
    pytest.importorskip("textual")
    spec = importlib.util.spec_from_file_location("dashboard_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def shown(example: Any, server: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the dashboard in a terminal of 80 columns, and its pilot."""
    async with graphwire.connect(server.url) as client:
        app = example.Dashboard(client)
        async with app.run_test(size=(80, 30), notifications=True) as pilot:
            yield app, pilot


async def until(pilot: Any, condition: Callable[[], Any]) -> None:
    """Wait for what is drawn. Not by the pilot, which waits for widgets that have gone meanwhile, too."""
    try:
        await waiting.until(condition, 20)
    except AssertionError:
        pytest.fail(f"it does not come to that:\n{screen(pilot.app)}")


def lines(app: Any) -> list[str]:
    """The screen, as text."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip)[:width].rstrip() for strip in strips[:height]]


def screen(app: Any) -> str:
    return "\n".join(lines(app))


def column(app: Any, name: str) -> list[str]:
    table = app.query_one("#list")
    return [cell.plain for cell in table.get_column(name)] if table.columns else []


async def write(pilot: Any, text: str) -> None:
    await pilot.press(
        *("space" if c == " " else "semicolon" if c == ";" else "underscore" if c == "_" else c for c in text)
    )
    await pilot.press("enter")


async def test_several_runs_are_started_opened_side_by_side_and_cancelled(serve: Any, example: Any) -> None:
    gate = Gate()
    server = await serve({"story": storyteller(gate, OURS)})
    async with shown(example, server) as (app, pilot):
        await pilot.press("n")
        await write(pilot, "story cats; dogs; birds")
        await until(pilot, lambda: column(app, "status") == ["running"] * 3)
        assert "3 running" in lines(app)[0]
        await pilot.press("up", "up", "enter", "down", "enter", "down", "enter")
        await until(pilot, lambda: screen(app).count("b39") == 3)
        assert "b40" not in screen(app)
        await pilot.press("up", "up", "enter")
        await until(pilot, lambda: screen(app).count("b39") == 2)
        await pilot.press("c")
        await until(pilot, lambda: sorted(column(app, "status")) == ["cancelled", "running", "running"])
        gate.open()
        await until(pilot, lambda: sorted(column(app, "status")) == ["cancelled", "completed", "completed"])
        await until(pilot, lambda: screen(app).count("b59") == 2)


async def test_what_waits_is_first_and_is_answered_from_the_list(serve: Any, example: Any) -> None:
    gate = Gate()
    server = await serve({"ask": asker(OURS), "story": storyteller(gate, OURS)})
    async with shown(example, server) as (app, pilot), graphwire.connect(server.url) as other:
        run = await other.run("ask", {"topic": "cats"}, thread="t")
        await until(pilot, lambda: column(app, "status") == ["interrupted"])
        await other.run("story", {"topic": "dogs"})
        await until(pilot, lambda: column(app, "status") == ["interrupted", "running"])
        assert column(app, "last")[0] == 'asks: {"about": "cats"}'
        await pilot.press("up", "up", "enter", "a")
        assert 'answer: {"about": "cats"}' in screen(app)
        await write(pilot, "yes")
        await until(pilot, lambda: column(app, "status") == ["running", "completed"])
        assert (await run.result())["said"][1:] == ["yes", "done"]
        await until(pilot, lambda: "— completed" in screen(app))
        gate.open()


async def test_markup_and_escapes_of_a_graph_are_shown_as_they_are(serve: Any, example: Any) -> None:
    server = await serve({"ask": asker(OURS)})
    async with shown(example, server) as (app, pilot), graphwire.connect(server.url) as other:
        await other.run("ask", {"topic": "[bold]\x1b[2Jcats[/]"}, thread="t")
        await until(pilot, lambda: "[bold]" in screen(app))
        await pilot.press("enter", "a")
        await until(pilot, lambda: screen(app).count("cats[/]") == 2)
        assert "\x1b[2J" not in screen(app)


async def test_a_name_that_is_wrong_is_said_and_nothing_starts(serve: Any, example: Any) -> None:
    server = await serve({"ask": asker(OURS)})
    async with shown(example, server) as (app, pilot):
        await pilot.press("n")
        await write(pilot, "asks cats")
        await until(pilot, lambda: "no graph" in screen(app))
        assert column(app, "run") == []
        await pilot.press("a")
        await until(pilot, lambda: "asks nothing" in screen(app))


async def test_a_server_that_is_not_there_is_one_sentence(
    example: Any, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["dashboard.py", "ws://127.0.0.1:9/ws"])
    assert await example.main() == 1
    assert capsys.readouterr().err.count("\n") == 1
