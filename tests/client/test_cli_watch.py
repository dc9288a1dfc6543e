"""`graphwire watch`: the board at any width, and plain lines and JSON where there is no terminal.

About `clients/python/graphwire/cli/watch.py` and `clients/python/graphwire/cli/board.py`.
"""

import asyncio
import json
import os
import sys
from datetime import datetime
from typing import Any

import graphwire
import pytest
from graphwire.cli import outcome
from graphwire.cli import watch as command
from graphwire.cli.app import run
from graphwire.cli.board import Board
from graphwire_protocol.payloads import Failure, PendingInterrupt

from tests.support.model_server import ModelServer, impatient

AT = "2026-03-01T12:00:00.000Z"
NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00").timestamp()
ID = "run-" + "0123456789abcdef" * 2


def row(run: str = ID, status: Any = "running", **fields: Any) -> graphwire.RunRow:
    known: dict[str, Any] = {"graph": "joke", "metadata": {}, "attempt": 1, "epoch": "e", "head": 1}
    return graphwire.RunRow(
        run=run, status=status, **{**known, "created_at": AT, "started_at": AT, "modes": (), **fields}
    )


def board(*items: Any, at: float = NOON) -> Board:
    made = Board()
    for item in items:
        made.put(item, at)
    return made


def lines(
    board: Board, width: int = 140, height: int = 40, at: float = NOON + 90, remark: str = ""
) -> list[str]:
    out = [line.plain for line in board.lines(width, height, at, remark)]
    assert all(len(line) <= width for line in out)
    assert len(out) <= height
    return out


ASKS = row(
    "r2",
    "interrupted",
    thread="ann",
    created_at="2026-03-01T12:00:01Z",
    interrupts=("i", "j"),
    questions=(PendingInterrupt(id="i", value={"question": "Send it?"}),),
)


def test_a_board_shows_first_what_waits_for_an_answer_and_last_what_has_ended():
    failed = row("r3", "failed", created_at="2026-03-01T13:00:00Z", ended_at="2026-03-01T12:00:02Z")
    failed = failed.model_copy(update={"error": Failure(code="graph_error", message="no")})
    shown = lines(board(row(), failed, ASKS))
    assert shown[0] == "3 runs: 1 running, 1 interrupted, 1 failed"
    assert shown[1].split() == ["status", "graph", "thread", "elapsed", "events", "ev/s", "run"]
    assert shown[2].split() == ["interrupted", "joke", "ann", "1", "r2"]
    assert shown[3] == "  asks: question=Send it?; 1 more"
    assert shown[4].split() == ["running", "joke", "1m30s", "1", "0", ID]
    assert shown[5].split() == ["failed", "joke", "2.0s", "1", "r3"]
    assert shown[6] == "  graph_error: no"


def test_of_runs_of_one_kind_the_newest_is_first():
    times = {"c": "12:00:03", "a": "12:00:01", "b": "12:00:02"}
    made = board(*(row(id, created_at=f"2026-03-01T{at}Z") for id, at in times.items()))
    made.put(row("z", "completed", created_at="2026-03-01T13:00:00Z", ended_at=AT), NOON)
    made.put(row("q", "queued", created_at="2026-03-01T12:00:00Z"), NOON)
    assert [line.split()[-1] for line in lines(made)[2:]] == ["c", "b", "a", "q", "z"]


def test_at_80_columns_an_id_is_whole_on_a_line_of_its_own():
    shown = lines(board(row(graph="a" * 60, thread="t" * 60)), width=80)
    assert shown[2].split()[:3] == ["running", "a" * 23 + "…", "t" * 23 + "…"]
    assert shown[3] == f"  {ID}"
    narrow = lines(board(row()), width=80)
    assert narrow[1].split() == ["status", "graph", "thread", "elapsed", "events", "ev/s"]
    assert narrow[2:] == [narrow[2].replace(ID, ""), f"  {ID}"]


def test_a_board_that_is_too_high_says_how_many_runs_it_leaves_out():
    made = board(*(row(f"r{number}") for number in range(50)))
    shown = lines(made, height=10)
    assert (len(shown), shown[-1]) == (10, "… and 43 more")
    assert len(lines(made, height=52)) == 52


def test_a_board_says_what_it_does_not_show():
    made = board()
    assert lines(made) == ["…"]
    made.put(graphwire.WatchSynced(), NOON)
    assert lines(made) == ["no runs"]
    made.put(row(), NOON)
    made.put(graphwire.WatchSynced(cut=7), NOON)
    assert lines(made, remark="connecting again")[0] == (
        "connecting again; 1 run: 1 running; 7 older ones are not shown"
    )
    made.put(graphwire.RunGone(ID, "deleted"), NOON)
    made.put(graphwire.WatchSynced(), NOON)
    assert lines(made) == ["no runs"]


def test_events_a_second_are_those_of_the_last_seconds():
    made = board()
    for second in range(20):
        made.put(row(head=10 * second), NOON + second)
    assert made.rate(ID, NOON + 19) == pytest.approx(10)
    assert made.rate(ID, NOON + 60) == 0


@pytest.mark.parametrize(
    ("fields", "at", "expected"),
    [
        ({"started_at": None, "status": "queued"}, 5, ""),
        ({}, 5, "5.0s"),
        ({}, 3723, "1h02m"),
        ({}, -5, "0.0s"),
        ({"status": "completed", "ended_at": "2026-03-01T12:00:00.250Z"}, 99, "0.2s"),
    ],
)
def test_how_long_a_run_takes_is_short(fields, at, expected):
    (shown,) = lines(board(row("r", **fields)), at=NOON + at)[2:]
    assert (expected or "queued") in shown.split()


# ── where there is no terminal ───────────────────────────────────────────────────────────────────


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()
    server.ends_watching = 4403  # for good, so that the command ends
    server.board = [
        {"type": "run_info", **ASKS.to_wire()},
        {"type": "run_gone", "run": "r1", "reason": "expired"},
        {"type": "synced", "cut": 3},
    ]

    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    return server


def test_each_change_is_a_line(server, capsys):
    assert run(["watch"]) == outcome.UNREACHABLE
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "r2\tjoke\tann\tinterrupted\tasks: question=Send it?; 1 more",
        "r1\t\t\tgone\texpired",
    ]
    assert "leaves out the 3 oldest runs" in err


def test_each_change_is_a_document(server, capfdbinary):
    assert run(["watch", "--json", "--graph", "joke", "--thread", "ann", "--status", "interrupted"]) == 3
    first, second = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert (first["run"], first["questions"][0]["value"]) == ("r2", {"question": "Send it?"})
    assert second == {"run": "r1", "status": "gone", "reason": "expired"}
    asked = server.received[2]
    assert (asked.graphs, asked.thread, asked.status) == (("joke",), "ann", ("interrupted",))


def test_a_status_that_does_not_exist_is_wrong_usage(server, capsys):
    assert run(["watch", "--status", "asleep"]) == outcome.USAGE
    assert "graphwire: --status: 'asleep'" in capsys.readouterr().err


async def test_who_stops_reading_ends_it_though_nothing_changes(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(command._until_unread(idle))
        await asyncio.sleep(0)
        assert not waiting.done()
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            await asyncio.wait_for(waiting, 5)


def test_a_terminal_gets_a_table_without_runs_that_do_not_match_any_more(server, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "20")
    server.board = [
        {"type": "run_info", **row("mine").to_wire()},
        {"type": "run_info", **row("over", "completed").to_wire()},
        {"type": "synced"},
    ]
    assert run(["watch", "--status", "running"]) == outcome.UNREACHABLE
    out = capsys.readouterr().out
    assert "mine" in out
    assert "over" not in out
    assert server.received[1].progress
