"""`graphwire run`: what it asks for, prints and reads, and what Ctrl-C does.

About `clients/python/graphwire/cli/run.py` and `clients/python/graphwire/cli/show.py`.
"""

import asyncio
import io
import json
from typing import Any

import graphwire
import graphwire.cli
import pytest
import typer
from graphwire.cli import outcome
from graphwire.cli.app import run
from graphwire.cli.hints import Hints
from graphwire.cli.options import DEFAULT_URL, path_segments
from graphwire.cli.run import read_input, watch
from graphwire.cli.show import Flow
from graphwire.events import MessagesEvent, SnapshotEvent, SnapshotMessage
from graphwire.messages import Message, MessageChunk
from graphwire_protocol.commands import Run as RunCommand
from rich.console import Console

from tests.support.model_run import ModelRun
from tests.support.model_server import ModelServer, impatient, settle

HERE = Hints(DEFAULT_URL, None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()

    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    monkeypatch.setenv("COLUMNS", "100")
    return server


def tell(run: ModelRun) -> None:
    run.lifecycle("running")
    run.tokens("m1", "Why", " did", " it?")
    run.emit("updates", {"write": {"joke": "Why did it?"}}, node="write")
    run.emit("custom", {"progress": 1})
    run.complete()


def test_tokens_flow_behind_the_name_of_their_node(server, capsys):
    server.on_run = tell
    assert run(["run", "joke", "-f", "topic=cats"]) == 0
    out, err = capsys.readouterr()
    assert out == "write  Why did it?\nwrite  joke=(above)\ncustom  progress=1\n"
    assert err == ""


def test_json_is_one_document_a_line_and_nothing_else(server, capfdbinary):
    server.on_run = tell
    assert run(["run", "joke", "--json"]) == 0
    documents = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [document["mode"] for document in documents] == [
        "lifecycle",
        *["messages"] * 3,
        "updates",
        "custom",
        "lifecycle",
    ]
    assert documents[1]["message"]["content"] == "Why"
    assert documents[4]["data"] == {"write": {"joke": "Why did it?"}}


def test_the_options_become_the_filter(server):
    server.on_run = tell
    line = "run joke -m messages -m updates -N ** -N a/b -N . --node w* --tag x --key joke --run-id mine"
    assert run(line.split()) == 0
    (command,) = server.of(RunCommand)
    assert command.run == "mine"
    assert command.subscribe[0].filter.to_wire() == {
        "modes": ["messages", "updates"],
        "namespaces": [["**"], ["a", "b"], []],
        "nodes": ["w*"],
        "tags": ["x"],
        "keys": ["joke"],
    }


def test_detaching_prints_the_id_and_leaves_the_run_alone(server, capsys):
    assert run(["run", "joke", "--run-id", "mine", "--detach"]) == 0
    assert capsys.readouterr().out == "mine\n"
    assert server.runs["mine"].status() == "running"


def test_a_failed_run_ends_with_1_and_one_sentence(server, capsys):
    error = {"code": "graph_error", "message": "no cats", "error_id": "x1", "type": "ValueError"}
    server.on_run = lambda run: run.lifecycle("failed", error=error)
    assert run(["run", "joke"]) == 1
    assert "failed with graph_error: ValueError: no cats (error_id x1" in capsys.readouterr().err


def test_a_cancelled_run_ends_with_1(server, capsys):
    server.on_run = lambda run: run.lifecycle("cancelled", reason="enough")
    assert run(["run", "joke"]) == 1
    assert capsys.readouterr().err == "graphwire: the run is cancelled: enough\n"


def test_an_interrupted_run_shows_its_question(server, capsys):
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt("i1", "sure?"))
    assert run(["run", "joke", "--run-id", "mine"]) == 5
    out, err = capsys.readouterr()
    assert "sure?" in out
    assert err == "graphwire: run mine waits for an answer; to give it:\n  graphwire respond mine ANSWER\n"


async def test_ctrl_c_cancels_a_run_that_was_started_here(server, client, capsys):
    started = await client.run("joke", run="mine")
    watching = asyncio.ensure_future(watch(started, False, HERE))
    await settle()
    watching.cancel()
    assert await watching == 130
    assert server.runs["mine"].status() == "cancelled"
    assert "cancelled run mine" in capsys.readouterr().err


async def test_ctrl_c_only_leaves_a_run_that_was_there_before(server, client, capsys):
    server.run("mine")
    found = await client.run("joke", run="mine")
    watching = asyncio.ensure_future(watch(found, False, HERE))
    await settle()
    watching.cancel()
    assert await watching == 130
    assert server.runs["mine"].status() == "running"
    assert capsys.readouterr().err == "graphwire: left run mine as it is\n"


def test_what_a_model_writes_cannot_drive_the_terminal(server, capsys):
    def told(run: ModelRun) -> None:
        run.lifecycle("running")
        run.tokens("m1", "a\x1b[2Jb")
        run.complete()

    server.on_run = told
    assert run(["run", "joke"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def read(text: str | None, *fields: str, stdin: str = "") -> Any:
    return read_input(text, list(fields), io.StringIO(stdin))


def test_input_is_json_a_file_stdin_or_fields(tmp_path):
    file = tmp_path / "input.json"
    file.write_text('{"a": 1}')
    assert read('{"a": 1}') == {"a": 1}
    assert read(f"@{file}") == {"a": 1}
    assert read("-", stdin='{"a": 1}') == {"a": 1}
    assert read(None) is None
    assert read('{"a": 1}', "topic=cats", "n=2", "on=true", "eq=a=b") == {
        "a": 1,
        "topic": "cats",
        "n": 2,
        "on": True,
        "eq": "a=b",
    }


@pytest.mark.parametrize(
    ("text", "fields", "named"),
    [
        ("cats", (), "INPUT is not JSON"),
        ("@nowhere.json", (), "cannot read nowhere.json: No such file"),
        ("[1]", ("a=1",), "INPUT is no object"),
        (None, ("cats",), "KEY=VALUE"),
    ],
)
def test_input_that_cannot_be_read_is_named(text, fields, named):
    with pytest.raises(typer.BadParameter, match=named):
        read(text, *fields)


def test_a_path_of_nodes_becomes_segments():
    assert [path_segments(path) for path in ("**", "a/b", ".")] == [["**"], ["a", "b"], []]


def test_parallel_messages_are_shown_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    flow = Flow(Console(highlight=False, soft_wrap=True))

    def token(id: str, node: str, text: str, **extras: Any) -> MessagesEvent:
        chunk = MessageChunk(type="AIMessageChunk", content=text, id=id, extras=extras)
        return MessagesEvent(
            run="r", seq=1, namespace=(), node=node, mode="messages", data={}, message=chunk, metadata={}
        )

    for event in (
        token("a", "joke", "one "),
        token("b", "poem", "red "),
        token("a", "joke", "two"),
        token("b", "poem", "rose "),
        token("a", "joke", "", chunk_position="last"),
        token("b", "poem", "red"),
    ):
        flow.show(event)
    flow.end()
    assert capsys.readouterr().out == "joke  one two\npoem  red rose red\n"


def test_a_message_that_was_cut_is_shown_as_its_size_once(capsys: pytest.CaptureFixture[str]) -> None:
    flow = Flow(Console(highlight=False, soft_wrap=True))
    cut = SnapshotMessage(Message("AIMessageChunk", id="m1"), {}, (), "write", 5000, "c1")
    flow.show(SnapshotEvent(run="r", seq=1, mode="snapshot", status="running", messages=(cut,)))
    for seq, last in ((2, {}), (3, {"chunk_position": "last"})):
        piece = MessageChunk("unknown", id="m1", extras=last)
        common: Any = {"run": "r", "seq": seq, "mode": "messages", "node": "write", "cut_bytes": 5000}
        flow.show(MessagesEvent(message=piece, metadata={}, call="c1", **common))
    whole = Message("unknown", id="m2")
    common = {"run": "r", "seq": 4, "mode": "messages", "node": "draw", "cut_bytes": 7000}
    flow.show(MessagesEvent(message=whole, metadata={}, call="m2", **common))
    flow.end()
    assert capsys.readouterr().out == (
        "write  [5,000 bytes, too large to send]\ndraw  [7,000 bytes, too large to send]\n"
    )


def test_what_a_node_said_in_vain_is_said_to_be_void_and_dropped_if_nobody_saw_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flow = Flow(Console(highlight=False, soft_wrap=True))

    def token(call: str, node: str, text: str, **more: Any) -> MessagesEvent:
        chunk = MessageChunk(type="AIMessageChunk", content=text, id="same")
        fields: Any = {"run": "r", "seq": 1, "node": node, "mode": "messages", "metadata": {}, **more}
        return MessagesEvent(message=chunk, call=call, **fields)

    for event in (
        token("a", "joke", "one "),
        token("b", "poem", "red "),
        token("b", "poem", "", discard=True),
        token("a", "joke", "two"),
        token("c", "poem", "rose"),
        token("a", "joke", "", discard=True),
        token("d", "joke", "three"),
    ):
        flow.show(event)
    flow.end()
    out, err = capsys.readouterr()
    assert out == "joke  one two\npoem  rose\njoke  three\n"
    assert err.count("does not count") == 1
    assert "joke failed and begins again" in err
