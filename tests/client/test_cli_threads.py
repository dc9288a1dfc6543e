"""The commands about threads: continuing one, answering, listing, showing states, deleting.

About `clients/python/graphwire/cli/respond.py`, `clients/python/graphwire/cli/answers.py`,
`clients/python/graphwire/cli/threads.py`, `clients/python/graphwire/cli/state.py` and
`clients/python/graphwire/cli/delete.py`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import graphwire
import pytest
from graphwire.cli import answers, outcome
from graphwire.cli import run as run_command
from graphwire.cli.app import run
from graphwire_protocol.commands import Delete, List, Respond, State, StateHistory
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.replies import StateTask, ThreadRow, ThreadState

from tests.support.model_run import AT, ModelRun
from tests.support.model_server import ModelServer, impatient


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()

    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    monkeypatch.setenv("COLUMNS", "100")
    server.on_run = ask
    return server


def ask(run: ModelRun) -> None:
    run.lifecycle("running")
    run.interrupt("i1", "sure?")


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What somebody at the terminal types, line by line."""
    lines: list[str] = []

    async def line(prompt: str) -> str:
        print(prompt, file=sys.stderr)
        return lines.pop(0)

    monkeypatch.setattr(answers, "_line", line)
    for module in (run_command, sys.modules["graphwire.cli.respond"]):
        monkeypatch.setattr(module, "is_interactive", lambda: True)
    yield lines
    assert not lines


# ── run ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_goes_on_with_a_thread(server):
    server.on_run = lambda run: run.complete()
    line = "run joke -f topic=cats --thread t --checkpoint c1 --if-busy enqueue"
    assert run(line.split()) == 0
    (command,) = server.of(RunCommand)
    assert (command.thread, command.checkpoint, command.if_busy) == ("t", "c1", "enqueue")


@pytest.mark.parametrize(("text", "value"), [("yes", "yes"), ("true", True), ('{"n": 1}', {"n": 1})])
def test_resuming_takes_the_answer_instead_of_an_input(server, text, value):
    server.on_run = lambda run: run.complete()
    assert run(["run", "joke", "--thread", "t", "--resume", text]) == 0
    (command,) = server.of(RunCommand)
    assert command.input is None
    assert command.command.resume == value


@pytest.mark.parametrize(
    ("line", "acts", "is_told"),
    [
        ("run joke --thread t --resume yes", False, True),
        ("run joke --thread t --resume yes --json", False, True),
        ("run joke --thread t --resume yes", True, False),
        ("run joke --thread t --resume yes -m messages", False, False),
        ("run joke --thread t", False, False),
    ],
)
def test_a_resumed_thread_that_waits_for_nothing_is_told_so(server, capsys, line, acts, is_told):
    def go_on(run: ModelRun) -> None:
        run.lifecycle("running")
        if acts:
            run.emit("updates", {"a": 1}, node="a")
        run.complete()

    server.on_run = go_on
    assert run(line.split()) == 0
    assert ("nothing to resume: thread t" in capsys.readouterr().err) == is_told


@pytest.mark.parametrize(
    "line",
    [
        "run joke -f a=1 --thread t --resume yes",
        "run joke --checkpoint c1",
        "run joke --resume yes",
        "run joke --thread t --if-busy whatever",
        "respond mine i1=yes i1=no",
        "state joke t --history --checkpoint c1",
        "delete",
        "delete joke",
        "delete joke t --run r",
    ],
)
def test_wrong_usage_is_2(server, line):
    assert run(line.split()) == 2
    assert not server.of(RunCommand)


def test_without_a_terminal_a_thread_is_not_deleted_but_by_y(server, capsys):
    assert run(["delete", "joke", "t"]) == 2
    assert "-y" in capsys.readouterr().err
    assert not server.of(Delete)
    assert run(["delete", "joke", "t", "-y"]) == 0
    assert server.of(Delete)


def test_a_person_at_the_terminal_answers_and_the_run_goes_on(server, capsys, person):
    person[:] = ["yes\n"]
    assert run(["run", "joke"]) == 0
    assert server.of(Respond)[0].responses[0].value == "yes"
    out, err = capsys.readouterr()
    assert out == "asks (i1)  sure?\n"
    assert "answer: " in err


def test_several_questions_are_asked_one_after_the_other(server, capsys, person):
    person[:] = ["1\n", "two\n"]
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt("a", "one?", "b", "two?"))
    assert run(["run", "joke"]) == 0
    assert {item.interrupt: item.value for item in server.of(Respond)[0].responses} == {"a": 1, "b": "two"}
    assert "answer 2 of 2 (b): " in capsys.readouterr().err


def test_enter_is_no_answer_and_the_keys_are_told_once(server, capsys, person):
    person[:] = ["\n", "  \n", '""\n', "b\n"]

    def again(run: ModelRun) -> None:
        run.on_answers = ModelRun.complete
        run.interrupt("i2", "really?")

    def begin(run: ModelRun) -> None:
        run.on_answers = again
        ask(run)

    server.on_run = begin
    assert run(["run", "joke", "--run-id", "mine"]) == 0
    assert [item.value for command in server.of(Respond) for item in command.responses] == ["", "b"]
    keys = "Ctrl-C cancels the run; Ctrl-D leaves the question open, to answer later:\n  graphwire respond"
    assert capsys.readouterr().err.count(keys) == 1


def test_enter_passes_a_breakpoint(server, person):
    person[:] = ["\n", "\n"]

    def begin(run: ModelRun) -> None:
        run.on_answers = lambda run: setattr(run, "on_answers", ModelRun.complete) or run.interrupt()
        run.lifecycle("running")
        run.interrupt()

    server.on_run = begin
    assert run(["run", "joke"]) == 0
    assert [command.responses for command in server.of(Respond)] == [(), ()]


def test_a_person_who_closes_the_input_leaves_the_run_waiting(server, capsys, person):
    person[:] = [""]
    assert run(["run", "joke", "--run-id", "mine"]) == 5
    assert "to give it:\n  graphwire respond mine ANSWER\n" in capsys.readouterr().err
    assert server.runs["mine"].status() == "interrupted"


def test_the_hint_names_a_server_elsewhere_and_a_breakpoint(server, capsys):
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt())
    assert run(["run", "joke", "--run-id", "mine", "--url", "ws://there/ws"]) == 5
    hint = "at a breakpoint; to continue:\n  graphwire respond --url ws://there/ws mine\n"
    assert hint in capsys.readouterr().err


async def test_a_line_is_read_from_a_terminal_without_holding_up_the_loop(monkeypatch, capsys):
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        asking = asyncio.ensure_future(answers.ask([graphwire.Interrupt("i1", "sure?")]))
        await asyncio.sleep(0)
        os.write(keyboard, b'{"n": 1}\n')
        assert await asking == {"i1": {"n": 1}}
        again = asyncio.ensure_future(answers.ask([]))
        await asyncio.sleep(0)
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again
        assert capsys.readouterr().err.endswith("Enter to continue: \n")
    os.close(keyboard)


# ── respond ──────────────────────────────────────────────────────────────────────────────────────


def waiting(server: ModelServer, *asks: Any) -> ModelRun:
    model = server.run("mine")
    model.interrupt(*(asks or ("i1", "sure?")))
    return model


def tell(model: ModelRun) -> None:
    model.emit("custom", model.answers)
    model.complete()


def test_an_answer_is_given_and_the_rest_is_shown(server, capsys):
    waiting(server).on_answers = tell
    assert run(["respond", "mine", "i1=true"]) == 0
    assert server.of(Respond)[0].responses[0].value is True
    assert capsys.readouterr().out == "custom  i1=true\n"


def test_detached_the_status_is_printed(server, capsys):
    waiting(server).on_answers = lambda run: None
    assert run(["respond", "mine", "i1=yes", "--detach"]) == 0
    assert capsys.readouterr().out == "running\n"
    waiting(server).on_answers = lambda run: None
    assert run(["respond", "mine", "i1=yes", "--detach", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": "mine", "status": "running"}


def test_an_answer_that_leaves_others_open_ends_with_5(server, capsys):
    waiting(server, "a", 1, "b", 2)
    assert run(["respond", "mine", "a=1"]) == 5
    assert "waits for more answers" in capsys.readouterr().err
    assert run(["respond", "mine", "b=1", "--partial"]) == 0


def test_without_answers_a_breakpoint_is_passed(server):
    model = server.run("mine")
    model.interrupt()
    assert run(["respond", "mine"]) == 0
    assert model.status() == "completed"


def test_without_answers_a_person_is_asked_what_stands_there(server, capsys, person):
    person[:] = ["yes\n"]
    waiting(server)
    assert run(["respond", "mine"]) == 0
    out, err = capsys.readouterr()
    assert "sure?" in out
    assert "Ctrl-C leaves the run as it is" in err
    assert server.of(Respond)[0].responses[0].value == "yes"


FORM = {"properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def test_without_answers_the_questions_are_listed_with_the_command_that_answers(server, capsys):
    server.run("mine").interrupt("i1", "sure?", "i2", {"about": "cats"}, schema=FORM)
    assert run(["respond", "mine"]) == 5
    assert capsys.readouterr().err == (
        "graphwire: run mine asks:\n"
        "  i1  sure?\n"
        "  i2  about=cats\n"
        '    expects {"ok": boolean}\n'
        "to answer:\n"
        "  graphwire respond mine i1=ANSWER i2=ANSWER\n"
    )


def test_a_person_sees_what_is_expected_and_is_asked_again_after_a_refusal(server, capsys, person):
    person[:] = ["maybe\n", '{"ok": true}\n']
    model = server.run("mine")
    model.interrupt("i1", "sure?", schema=FORM)
    model.refused = "respond.responses[0].value: expected object"
    assert run(["respond", "mine"]) == 0
    out, err = capsys.readouterr()
    assert 'expects  {"ok": boolean}' in out
    assert "graphwire: respond.responses[0].value: expected object\n" in err
    assert [command.responses[0].value for command in server.of(Respond)] == ["maybe", {"ok": True}]


def test_a_thread_is_answered_without_the_run_s_id(server, capsys):
    waiting(server)
    assert run(["respond", "--graph", "joke", "--thread", "t", "i1=yes"]) == 0
    (command,) = server.of(Respond)
    assert (command.run, command.responses[0].value) == ("mine", "yes")


def test_a_thread_whose_run_is_forgotten_is_resumed_by_a_new_one(server, states):
    server.on_run = lambda model: model.complete()
    assert run(["respond", "--graph", "joke", "--thread", "t", "i1=yes"]) == 0
    (command,) = server.of(RunCommand)
    assert (command.thread, command.command.resume) == ("t", {"i1": "yes"})


def test_a_thread_without_answers_has_its_questions_named(server, states, capsys):
    assert run(["respond", "--graph", "joke", "--thread", "t"]) == 5
    assert capsys.readouterr().err == (
        "graphwire: thread t asks:\n"
        "  i1  sure?\n"
        "to answer:\n"
        "  graphwire respond --graph joke --thread t ANSWER\n"
    )
    assert not server.of(RunCommand)


def test_a_refused_answer_is_4(server, capsys):
    waiting(server)
    assert run(["respond", "mine", "other=1"]) == 4
    assert "no such interrupt" in capsys.readouterr().err


# ── threads, states, deleting ────────────────────────────────────────────────────────────────────


def test_threads_are_a_table_or_json(server, capsys):
    server.threads = [ThreadRow(graph="joke", thread="t", status="interrupted", updated_at=AT)]
    assert run(["threads", "--graph", "joke", "--status", "interrupted"]) == 0
    assert capsys.readouterr().out == "joke\tt\tinterrupted\t2026-03-01 12:00:00Z\t\t\n"
    assert server.of(List)[1].status == ("interrupted",)
    assert run(["threads", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["thread"] == "t"
    server.threads = []
    assert run(["threads"]) == 0
    assert capsys.readouterr() == ("", "graphwire: no threads\n")


@pytest.fixture
def states(server: ModelServer) -> None:
    def state(id: str, **more: Any) -> ThreadState:
        place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": id}}
        fields: dict[str, Any] = {"next": (), "tasks": (), "interrupts": (), "config": place}
        return ThreadState(**fields | {"created_at": AT, "metadata": {"source": "loop", "step": 1}} | more)

    asks = ({"id": "i1", "value": "sure?"},)
    task = StateTask(id="t1", name="ask", interrupts=asks)
    server.states = [
        state("c2", values={"topic": "cats"}, next=("ask",), tasks=(task,), interrupts=asks),
        state("c1", values={"topic": "dogs"}),
    ]


def test_a_state_shows_its_values_and_what_it_waits_for(server, states, capsys):
    assert run(["state", "joke", "t", "--key", "topic", "--checkpoint", "c2"]) == 0
    shown = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert shown[:3] == [["topic", "cats"], ["asks", "i1 sure?"], ["next", "ask"]]
    assert (server.of(State)[0].keys, server.of(State)[0].checkpoint) == (("topic",), "c2")


def test_a_history_names_its_checkpoints(server, states, capsys):
    assert run(["state", "joke", "t", "--history", "--limit", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == ["c2", "2026-03-01 12:00:00Z", "loop 1", "ask", "topic=cats"]
    assert lines[1].split("\t")[0] == "c1"
    assert server.of(StateHistory)[0].limit == 5


def test_states_are_json_with_all_they_hold(server, states, capsys):
    assert run(["state", "joke", "t", "--history", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["tasks"][0]["name"] == "ask"
    assert first["interrupts"][0]["value"] == "sure?"
    assert second["values"] == {"topic": "dogs"}


def test_a_thread_that_nobody_has_written_says_so(server, capsys):
    server.states = [ThreadState(values={}, next=(), tasks=(), interrupts=(), config={})]
    assert run(["state", "joke", "t"]) == 0
    assert "nothing has been written to this thread yet" in capsys.readouterr().err


def test_a_run_and_a_thread_are_deleted(server, capsys):
    server.run("mine").complete()
    assert run(["delete", "--run", "mine"]) == 0
    assert run(["delete", "joke", "t", "-y"]) == 0
    assert [command.to_wire().keys() - {"type", "id"} for command in server.of(Delete)] == [
        {"run"},
        {"graph", "thread"},
    ]
    assert "deleted thread t of joke" in capsys.readouterr().err


def test_at_a_terminal_a_thread_is_deleted_only_when_that_is_confirmed(server, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *args, **kwargs: (_ for _ in ()).throw(SystemExit(1)))
    assert run(["delete", "joke", "t"]) == 1
    assert not server.of(Delete)
    assert run(["delete", "joke", "t", "--yes"]) == 0
    assert server.of(Delete)
