"""A panel of `graphwire demo`. `tests/live/test_command.py` runs the whole command.

About `clients/python/graphwire/cli/demo.py`, `clients/python/graphwire/cli/cluster_demo.py` and
`clients/python/graphwire/cli/server_process.py`.
"""

import asyncio
import gc
import io
import os
import shlex
import signal
import socket
import sys
import textwrap
from typing import Any

import pytest
from graphwire.cli.demo import (
    RunPanel,
    _show_runs,
    configuration,
    ended_by_signals,
    explain,
    leave_questions,
)
from graphwire.cli.server_process import follow_log, free_port
from graphwire.client import connect
from graphwire.events import CustomEvent, LifecycleEvent, MessagesEvent, UpdatesEvent
from graphwire.messages import MessageChunk
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.commands import ThreadUpdate
from graphwire_protocol.types import STREAM_MODES
from rich.console import Console

from tests.support.model_server import settle

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def shown(panel: RunPanel) -> str:
    console = Console(file=io.StringIO(), width=60)
    with console.capture() as capture:
        console.print(panel.render(60))
    return capture.get()


def test_a_panel_shows_tokens_behind_their_node_updates_and_a_count():
    panel = RunPanel("a joke", "messages")
    for seq, text in enumerate(("Why ", "not?"), 1):
        chunk = MessageChunk("AIMessageChunk", text, id="m")
        panel.show(MessagesEvent(run="r", seq=seq, mode="messages", node="write", message=chunk, metadata={}))
    panel.show(UpdatesEvent(run="r", seq=3, mode="updates", node="write", data={}))
    panel.show(LifecycleEvent(run="r", seq=4, mode="lifecycle", status="completed", attempt=1, at=""))
    text = shown(panel)
    assert "write:" in text
    assert "Why not?" in text
    assert "✓ write" in text
    assert (panel.events, panel.status) == (4, "completed")


def test_progress_is_a_bar():
    panel = RunPanel("a long job", "custom")
    panel.show(CustomEvent(run="r", seq=1, mode="custom", data={"phase": "counting", "done": 3, "total": 10}))
    text = shown(panel)
    assert "counting …" in text
    assert "3 of 10" in text


def test_a_demo_keeps_its_port_though_connections_of_an_earlier_one_linger():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the server closes first, and its side lingers
            assert client.recv(1) == b""
            assert free_port(port) != port, "somebody listens"
    assert free_port(port) == port


async def test_the_server_s_log_follows_from_here_on(tmp_path, capsys):
    with (tmp_path / "log").open("w") as log:
        print("the start", file=log, flush=True)
        rest = iter(["run failed", None])

        def is_over() -> bool:
            line = next(rest)
            if line is not None:
                print(line, file=log, flush=True)
            return line is None

        await follow_log(log, is_over)
    assert capsys.readouterr().err == "run failed\n"


async def test_ctrl_c_in_the_middle_leaves_nothing_that_fails_later(server, client):
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    showing = asyncio.ensure_future(_show_runs(Console(file=io.StringIO()), client, "cats"))
    await settle()
    assert len(server.runs) == 3
    showing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await showing
    await client.close()
    del showing
    gc.collect()
    await asyncio.sleep(0)
    assert not faults


def test_every_graph_of_the_demo_records_what_a_console_shows():
    tables = tomllib.loads(configuration())["graphs"]
    assert list(tables) == ["joke_and_poem", "research", "longjob", "chat", "journey"]
    for table in tables.values():
        assert set(table["record"]) == set(STREAM_MODES) - {"debug"}
        assert table["record_subgraphs"] is True


async def test_a_chat_and_a_journey_are_left_that_have_titles_and_ask(server):
    server.minor, server.features = 1, ("threads",)
    async with connect("ws://model/ws", open=server.open) as client:
        await leave_questions(client, "cats")
    named = {(command.graph, command.thread): command.metadata for command in server.of(ThreadUpdate)}
    assert named == {
        ("chat", "mail"): {"title": "A mail about cats"},
        ("journey", "sea"): {"title": "A journey to the sea"},
    }
    assert [(command.graph, command.thread) for command in server.of(RunCommand)] == list(named)


@pytest.mark.parametrize("page", [None, "http://127.0.0.1:46123/"])
@pytest.mark.parametrize("url", ["ws://127.0.0.1:8765/ws", "ws://127.0.0.1:46123/ws"])
@pytest.mark.parametrize("topic", ["cats", "[b]rackets and it's"])
def test_what_to_try_is_narrow_and_can_be_pasted(url, topic, page):
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    explain(console, "Try it", url, topic, page)
    assert ("is the console" in out.getvalue()) == (page is not None)
    shown, _, program = out.getvalue().partition("or from Python")
    assert max(map(len, out.getvalue().splitlines())) <= 80
    command = shown[shown.index(" run joke_and_poem") :].replace("\\\n", "")
    assert f"topic={topic}" in shlex.split(command)
    assert ("--url" in command) == ("46123" in url)
    code = textwrap.dedent(program.partition(":\n")[2])
    compile(code, "shown", "exec")
    assert repr(topic) in code


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a signal ends a process at once")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_demo_as_ctrl_c_does_and_one_that_is_ignored_does_not(name: str) -> None:
    number = getattr(signal, name)
    seen: list[str] = []

    async def work(wait: bool) -> int:
        os.kill(os.getpid(), number)
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 5) if wait else await settle()
        finally:
            seen.append("closed")
        return 0

    before = signal.signal(number, lambda *_: seen.append("not handled"))
    try:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ended_by_signals(work(wait=True)))
        signal.signal(number, signal.SIG_IGN)
        assert asyncio.run(ended_by_signals(work(wait=False))) == 0
    finally:
        signal.signal(number, before)
    assert seen == ["closed", "closed"]
