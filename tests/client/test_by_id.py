"""Runs that are acted on by their ids, in the client and on the command line.

About `clients/python/graphwire/streams.py`, `clients/python/graphwire/cli/attach.py` and
`clients/python/graphwire/cli/cancel.py`.
"""

import json
from typing import Any

import graphwire
import pytest
from graphwire.cli import outcome
from graphwire.cli.app import run as command_line
from graphwire_protocol.commands import Cancel, Respond, Subscribe

from tests.support.model_server import ModelServer, impatient


@pytest.fixture
def terminal(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    monkeypatch.setenv("COLUMNS", "100")
    return server


# ── the client ───────────────────────────────────────────────────────────────────────────────────


async def test_a_run_is_cancelled_by_its_id_without_attaching(client, server):
    server.run("r1")
    assert await client.cancel("r1", reason="enough") == "running"
    assert await client.cancel("r1") == "cancelled"
    assert server.of(Cancel)[0].reason == "enough"
    assert not server.of(Subscribe)


async def test_a_run_is_answered_by_its_id(client, server):
    server.run("r1").interrupt("i1", "sure?", "i2", "really?")
    assert await client.respond("r1", {"i1": True}) == "interrupted"
    assert await client.respond("r1", {"i2": False}, partial=True) == "running"
    assert [command.partial for command in server.of(Respond)] == [False, True]
    assert not server.of(Subscribe)


async def test_a_breakpoint_is_passed_by_its_run_s_id(client, server):
    server.run("r1").interrupt()
    assert await client.respond("r1") == "running"


async def test_a_result_is_asked_for_by_id_and_raises_what_its_run_would(client, server):
    server.run("done").complete({"joke": "Why"})
    assert await client.result("done") == {"joke": "Why"}
    server.run("bad").lifecycle("failed", error={"code": "graph_error", "message": "no cats"})
    with pytest.raises(graphwire.RunFailed, match="no cats"):
        await client.result("bad")
    server.run("asks").interrupt("i1", "sure?")
    with pytest.raises(graphwire.RunInterrupted) as raised:
        await client.result("asks")
    assert [one.id for one in raised.value.interrupts] == ["i1"]
    await client.cancel("asks", reason="late")
    with pytest.raises(graphwire.RunCancelled, match="late"):
        await client.result("asks")


async def test_an_unknown_id_is_refused_and_a_malformed_one_never_sent(client, server):
    for act in (client.cancel, client.respond, client.result):
        with pytest.raises(graphwire.Refused, match="no run 'ghost'"):
            await act("ghost")
        sent = len(server.received)
        with pytest.raises(ValueError, match="an id takes"):
            await act("no spaces please")
        assert len(server.received) == sent


async def test_a_filter_cancels_what_it_finds_and_what_has_not_ended(client, server):
    for number in range(5):
        server.run(f"joke-{number}")
    server.run("joke-1").complete()
    server.run("poem", graph="poem")
    assert sorted(await client.cancel(graph="joke")) == ["joke-0", "joke-2", "joke-3", "joke-4"]
    statuses = {run.id: run.status() for run in server.runs.values()}
    assert (statuses["joke-1"], statuses["poem"]) == ("completed", "running")
    assert await client.cancel(status=["completed"]) == []
    assert await client.cancel(status=["running"], reason="all") == ["poem"]
    assert len(server.of(Cancel)) == 5


async def test_a_filter_also_names_the_idle_runs_that_it_cancelled(client, server):
    for name, status in (("waits", "queued"), ("asks", "interrupted"), ("works", "running")):
        server.run(name).lifecycle(status)
    assert sorted(await client.cancel(graph="joke")) == ["asks", "waits", "works"]
    assert await client.cancel(graph="joke") == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "needs the id of a run"),
        ({"run": None}, "needs the id"),
        ({"run": "r1", "graph": "joke"}, "graph="),
    ],
)
async def test_what_would_cancel_everything_or_two_things_is_refused(client, server, arguments, named):
    server.run("r1")
    with pytest.raises(ValueError, match=named):
        await client.cancel(**arguments)
    assert not server.of(Cancel)


# ── the command line ─────────────────────────────────────────────────────────────────────────────


def test_named_runs_are_cancelled_and_an_unknown_one_is_reported(terminal, capsys):
    terminal.run("r1")
    terminal.run("r2").complete()
    assert command_line(["cancel", "r1", "ghost", "r2", "r1", "--reason", "enough"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "cancelled run r1" in err
    assert "no run 'ghost'" in err
    assert "run r2 has ended already: completed" in err
    assert [command.run for command in terminal.of(Cancel)] == ["r1", "ghost", "r2"]
    assert terminal.run("r1").status() == "cancelled"


@pytest.mark.parametrize("status", ["queued", "interrupted"])
def test_an_idle_run_that_is_cancelled_had_not_ended_already(terminal, capsys, status):
    terminal.run("r1").lifecycle(status)
    assert command_line(["cancel", "r1"]) == 0
    err = capsys.readouterr().err
    assert "run r1 is cancelled" in err
    assert "already" not in err


def test_named_runs_are_json_lines(terminal, capfdbinary):
    terminal.run("r1")
    assert command_line(["cancel", "r1", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"run": "r1", "status": "running"}


@pytest.mark.parametrize(
    ("line", "cancelled"),
    [("cancel --graph joke", {"r1"}), ("cancel --all", {"r1", "p1"})],
)
def test_filters_cancel_what_is_active_and_print_the_ids(terminal, capsys, line, cancelled):
    terminal.run("r1")
    terminal.run("p1", graph="poem")
    terminal.run("old").complete()
    assert command_line(line.split()) == 0
    out, err = capsys.readouterr()
    assert set(out.split()) == cancelled
    assert f"cancelled {len(cancelled)} run" in err


@pytest.mark.parametrize(
    "line", ["cancel", "cancel r1 --all", "cancel --all --graph joke", "cancel r1 --graph joke"]
)
def test_what_to_cancel_is_said_once(terminal, capsys, line):
    terminal.run("r1")
    assert command_line(line.split()) == 2
    assert not terminal.of(Cancel)


def test_attaching_shows_a_run_from_its_start_or_from_a_place(terminal, capsys):
    run = terminal.run("r1")
    run.emit("custom", {"progress": 1})
    run.complete()
    assert command_line(["attach", "r1"]) == 0
    assert capsys.readouterr() == ("custom  progress=1\n", "")
    assert command_line(["attach", "r1", "--from", "now", "-m", "custom"]) == 0
    assert capsys.readouterr() == ("", "graphwire: run r1 has completed; there was nothing to show\n")


@pytest.mark.parametrize(
    ("line", "code"),
    [("attach ghost", 4), ("attach r1 --from yesterday", 2), ("attach bad", 1), ("attach asks", 5)],
)
def test_attaching_exits_like_the_other_commands(terminal, capsys, line, code):
    terminal.run("r1").complete()
    terminal.run("bad").lifecycle("failed", error={"code": "graph_error", "message": "no cats"})
    terminal.run("asks").interrupt("i1", "sure?")
    assert command_line(line.split()) == code


def test_attaching_speaks_json(terminal, capfdbinary):
    terminal.run("r1").complete()
    assert command_line(["attach", "r1", "--json"]) == 0
    documents = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [document["status"] for document in documents] == ["running", "completed"]
