"""The commands as a person runs them: processes, their output, their errors, their exit codes.

About `gateway/graphwire_gateway/serve/command.py`, `gateway/graphwire_gateway/serve/config.py`,
`gateway/graphwire_gateway/serve/process.py`, `gateway/graphwire_gateway/serve/reload.py`,
`clients/python/graphwire/cli/app.py`, `clients/python/graphwire/cli/demo.py` and
`gateway/graphwire_gateway/serve/selection.py`.

Long because it starts the command once for each thing that a person can ask of it.
"""

import asyncio
import http.client
import json
import os
import re
import shlex
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import graphwire
import pytest
from graphwire_gateway.connections.console_files import console_files

from tests.support.processes import started

pytestmark = pytest.mark.processes

_DEADLINE_S = 90.0  # a process may take half a minute to begin where others use the machine

PROGRAM = [sys.executable, "-c", "from graphwire.cli import main; main()"]

GRAPHS = """
import asyncio
from typing import TypedDict
from graphwire_runtime import START, StateGraph, StreamWriter


class State(TypedDict, total=False):
    topic: str
    joke: str


async def tell(state: State, writer: StreamWriter) -> State:
    writer({"about": state["topic"]})
    return {"joke": f"On {state['topic']}."}


async def wait(state: State) -> State:
    await asyncio.Event().wait()
    return {}


async def fail(state: State) -> State:
    raise ValueError("no joke today")


def graph(node):
    return StateGraph(State).add_node(node).add_edge(START, node.__name__).compile()


joke, waits, fails = graph(tell), graph(wait), graph(fail)
unfinished = StateGraph(State)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graphs.py").write_text(GRAPHS)
    (tmp_path / "broken.py").write_text("import graphwire_runtime\n\nimport a_package_that_is_not_there\n")
    (tmp_path / "raising.py").write_text("x = 1\ny = x / 0\n")
    return tmp_path


class Program:
    """A process of the command line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, pattern: str) -> re.Match[str]:
        """Return the first match on standard error."""
        assert self.process.stderr is not None
        while line := (await asyncio.wait_for(self.process.stderr.readline(), _DEADLINE_S)).decode():
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no {pattern!r} in {self.lines}")

    async def end(self) -> tuple[int, str, str]:
        out, err = await asyncio.wait_for(self.process.communicate(), _DEADLINE_S)
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), "".join(self.lines) + err.decode()


@asynccontextmanager
async def program(folder: Path, *arguments: str, **env: str) -> AsyncIterator[Program]:
    async with started(
        *PROGRAM,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **env},
    ) as process:
        yield Program(process)


async def run(folder: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    async with program(folder, *arguments, **env) as ran:
        return await ran.end()


Serving = Callable[..., object]


@asynccontextmanager
async def serving(folder: Path, *targets: str) -> AsyncIterator[tuple[Program, str]]:
    async with program(folder, "serve", *targets, "--port", "0") as server:
        url = (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1)
        yield server, url


async def test_a_served_graph_is_listed_run_and_streamed_by_the_command_line(folder: Path) -> None:
    async with serving(folder, "joke=./graphs.py:joke", "fails=graphs:fails") as (_, url):
        code, out, _ = await run(folder, "graphs", GRAPHWIRE_URL=url)
        assert (code, "joke" in out, "fails" in out) == (0, True, True)
        code, out, err = await run(
            folder, "run", "joke", "-f", "topic=cats", "-m", "updates", "-m", "custom", "--json", "--url", url
        )
        assert code == 0, err
        lines = [json.loads(line) for line in out.splitlines()]
        data = [line["data"] for line in lines if line["mode"] in ("custom", "updates")]
        assert data == [{"about": "cats"}, {"tell": {"joke": "On cats."}}]
        code, out, _ = await run(folder, "run", "joke", '{"topic": "dogs"}', "--url", url)
        assert code == 0
        assert "On dogs." in out
        code, _, err = await run(folder, "run", "fails", "{}", "--url", url)
        assert code == 1
        assert "no joke today" in err
        assert "Traceback" not in err
        code, out, _ = await run(folder, "runs", "--json", "--url", url)
        assert [json.loads(line)["status"] for line in out.splitlines()] == [
            "failed",
            "completed",
            "completed",
        ]
        code, _, err = await run(folder, "run", "none", "--url", url)
        assert code == 4
        assert "this server has: fails, joke" in err


async def test_a_failed_runs_traceback_is_shown_where_the_server_runs(folder: Path) -> None:
    async with serving(folder, "fails=./graphs.py:fails") as (server, url):
        await run(folder, "run", "fails", "{}", "--url", url)
        await server.until(r"ValueError: no joke today")
        server.process.send_signal(signal.SIGTERM)
        code, _, err = await server.end()
    assert code == 0
    assert "graphs.py" in err


async def _refusal(client: graphwire.Client) -> str:
    """Start runs until the server takes no more."""
    while True:
        try:
            await client.run("waits", {}, modes=["updates"])
        except graphwire.Refused as refused:
            return refused.message


async def _all(waiting: graphwire.Run) -> list[graphwire.Event]:
    return [event async for event in waiting]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_a_second_one_stops_at_once(folder: Path, number: signal.Signals) -> None:
    async with serving(folder, "waits=./graphs.py:waits") as (server, url):
        async with graphwire.connect(url) as client:
            waiting = await client.run("waits", {}, modes=["updates"])
            server.process.send_signal(number)
            assert "going away" in await asyncio.wait_for(_refusal(client), _DEADLINE_S)
            server.process.send_signal(number)
            events = await asyncio.wait_for(_all(waiting), _DEADLINE_S)
            assert isinstance(events[-1], graphwire.LifecycleEvent)
            assert (events[-1].status, events[-1].reason) == ("cancelled", "shutdown")
        code, _, err = await server.end()
    assert code == 0, err
    assert "Traceback" not in err


STUCK = """
import asyncio, time
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    n: int


def node(state):
    time.sleep(60)


async def to_thread(state):
    await asyncio.to_thread(time.sleep, 60)


async def blocks(state):
    time.sleep(60)


pool = ThreadPoolExecutor()


async def own_pool(state):
    await asyncio.wrap_future(pool.submit(time.sleep, 60))


def graph(node):
    return StateGraph(State).add_node("n", node).add_edge(START, "n").compile()


node, to_thread, blocks, own_pool = map(graph, (node, to_thread, blocks, own_pool))
"""


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("graph", ["node", "to_thread", "blocks", "own_pool"])
async def test_code_that_is_stuck_does_not_keep_a_server_alive(
    folder: Path, graph: str, signals: int
) -> None:
    (folder / "stuck.py").write_text(STUCK)
    env = {"GRAPHWIRE_LIMITS__DRAIN_S": "0.1" if signals == 1 else "60"}
    async with program(folder, "serve", f"./stuck.py:{graph}", "--port", "0", **env) as server:
        url = (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1)
        async with graphwire.connect(url) as client:
            run = await client.run(graph, {"n": 1})
            async for event in run:
                assert isinstance(event, graphwire.LifecycleEvent), event
                if event.status == "running":
                    break
            await asyncio.sleep(0.2)  # let the node begin
            server.process.send_signal(signal.SIGTERM)
            if signals == 2:
                await server.until("^draining")
                server.process.send_signal(signal.SIGTERM)
            code, _, err = await server.end()
    assert code == 0, err


async def test_a_server_that_does_not_come_up_can_be_stopped(folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import asyncio, sys\n"
        "async def make():\n"
        "    print('connecting', file=sys.stderr, flush=True)\n"
        "    await asyncio.Event().wait()\n"
    )
    async with program(folder, "serve", "slow:make", "--port", "0") as server:
        await server.until("^connecting$")
        server.process.send_signal(signal.SIGINT)
        code, _, err = await server.end()
    assert code == 0, err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no graphs to serve", "graphwire serve joke=app.graphs:joke"]),
        (["joke"], ["'joke'", "NAME=module:attribute"]),
        (
            ["./graphs.py:jok"],
            ["'jok'", "no attribute 'jok'", "did you mean 'joke'?", "has the graphs: joke"],
        ),
        (["graphs:joke", "./graphs.py:joke"], ["are both called 'joke'", "NAME=./graphs.py:joke"]),
        (["."], ["there is no file langgraph.json"]),
        (["none.json"], ["there is no file none.json"]),
        (["a.json", "b.json"], ["a.json and b.json are two projects"]),
        (["graphs:joke", "--checkpointer", "graphs:joke"], ["the checkpointer: graphs:joke is of type"]),
        (["j=./none.py:joke"], ["'j'", "there is no file", "none.py"]),
        (["j=no.such.module:joke"], ["'j'", "no module 'no'"]),
        (["j=./graphs.py:unfinished"], ["'j'", "does not compile", "no entry"]),
        (["j=./graphs.py:State"], ["'j'", "is the class State, not a graph"]),
        (["j=./broken.py:graph"], ["'j'", "a_package_that_is_not_there", "broken.py, line 3", "install"]),
        (["j=./raising.py:graph"], ["'j'", "ZeroDivisionError", "raising.py, line 2"]),
        (["j=./graphs.py:joke", "--config", "none.toml"], ["cannot read none.toml"]),
        (["j=./graphs.py:joke", "--host", "0.0.0.0"], ["anybody could run", "--insecure"]),
        (["j=./graphs.py:joke", "--store", "mysql://x"], ["'mysql'", "memory://"]),
        (["j=./graphs.py:joke", "--port", "99999"], ["server.port", "65535"]),
    ],
)
async def test_what_cannot_be_served_is_said_in_a_sentence(
    folder: Path, arguments: list[str], words: list[str]
) -> None:
    code, out, err = await run(folder, "serve", *arguments)
    assert (code, out) == (2, "")
    assert [word for word in words if word not in err] == [], err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[graphs\n", ["graphwire.toml is not TOML"]),
        ("[limits]\ndrain_s = 'long'\n", ["limits.drain_s"]),
        ("[limits]\ndrain = 3\n", ["limits.drain"]),
        ("[graphs.j]\nrunner = 'sofa'\n", ["graphs.j", "runner"]),
    ],
)
async def test_a_wrong_configuration_is_named_by_its_setting(
    folder: Path, text: str, words: list[str]
) -> None:
    (folder / "graphwire.toml").write_text(text)
    code, _, err = await run(folder, "serve", "j=./graphs.py:joke", "--port", "0")
    assert code == 2
    assert [word for word in words if word not in err] == [], err
    assert "Traceback" not in err


async def test_a_port_in_use_is_said_with_the_way_out(folder: Path) -> None:
    async with serving(folder, "joke=./graphs.py:joke") as (_, url):
        port = url.rsplit(":", 1)[1].partition("/")[0]
        code, _, err = await run(folder, "serve", "joke=./graphs.py:joke", "--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert "--port" in err
    assert "Traceback" not in err


async def test_the_file_configures_and_the_environment_and_the_command_line_win(folder: Path) -> None:
    (folder / "graphwire.toml").write_text(
        '[graphs]\njoke = "graphs:joke"\n'
        "[server]\nport = 1\n"
        '[auth]\ntokens = { secret = "alice" }\n'
        "[limits]\nmax_active_runs = 7\ndrain_s = 1\n"
    )
    async with program(folder, "serve", "--port", "0", GRAPHWIRE_LIMITS__DRAIN_S="3") as server:
        url = (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1)
        code, _, err = await run(folder, "graphs", "--url", url)
        assert code == 4
        assert "token" in err
        async with graphwire.connect(url, token="secret") as client:
            assert client.server is not None
            assert client.server.principal == "alice"
            limits = client.server.limits
    assert (limits["max_active_runs"], limits["drain_s"]) == (7, 3)


@pytest.mark.parametrize("auth", ["", '[auth]\ntokens = { secret = "alice" }\n'])
async def test_the_commands_that_a_server_names_work_when_they_are_pasted(folder: Path, auth: str) -> None:
    (folder / "graphwire.toml").write_text(f'[graphs]\njoke = "graphs:joke"\n{auth}')
    async with program(folder, "serve", "--port", "0") as server:
        await server.until("Ctrl-C drains")
        commands = [shlex.split(line) for line in server.lines if line.startswith("  graphwire ")]
        assert [words[1] for words in commands] == ["graphs", "run"]
        assert any("in GRAPHWIRE_TOKEN:" in line for line in server.lines) == bool(auth)
        for words in commands:
            pasted = ["topic=cats" if word == "KEY=VALUE" else word for word in words[1:]]
            code, out, err = await run(folder, *pasted, **({"GRAPHWIRE_TOKEN": "secret"} if auth else {}))
            assert (code, "joke" in out) == (0, True), err


@pytest.mark.parametrize("tokens", ["", '[auth]\ntokens = { a-long-token-of-alice = "alice" }\n'])
async def test_the_server_names_the_address_of_its_console(folder: Path, tokens: str) -> None:
    (folder / "graphwire.toml").write_text(f'[graphs]\njoke = "graphs:joke"\n{tokens}')
    async with program(folder, "serve", "--port", "0", COLUMNS="80") as server:
        port = (await server.until(r"at ws://[\d.]+:(\d+)/ws$")).group(1)
        await server.until("Ctrl-C drains")
        named = [line for line in server.lines if "console" in line]
        status, text = await asyncio.to_thread(page, port)
    if console_files():
        assert named == [f"the console is at http://127.0.0.1:{port}/: open it in a browser\n"]
        assert (status, text[:15].lower()) == (200, "<!doctype html>")
    else:  # a source tree in which it was never built
        assert ["make console" in line for line in named] == [True]
        assert (status, "make console" in text) == (404, True)


async def test_without_its_console_the_server_names_none(folder: Path) -> None:
    (folder / "langgraph.json").write_text(json.dumps(PROJECT))
    for arguments, env in ((["--no-console"], {}), ([], {"GRAPHWIRE_CONSOLE": "false"})):
        async with program(folder, "serve", *arguments, "--port", "0", **env) as server:
            port = (await server.until(r"at ws://[\d.]+:(\d+)/ws$")).group(1)
            await server.until("Ctrl-C drains")
            assert "console" not in "".join(server.lines)
            assert (await asyncio.to_thread(page, port))[0] == 404


def page(port: str) -> tuple[int, str]:
    """Return status and text of what a server answers a browser."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


async def test_the_file_names_encoders(folder: Path) -> None:
    (folder / "graphs.py").write_text(GRAPHS + "\n\nwrong = 5\n")
    (folder / "graphwire.toml").write_text('[server]\nencoders = "./graphs.py:wrong"\n')
    code, _, err = await run(folder, "serve", "j=./graphs.py:joke", "--port", "0")
    assert code == 2
    assert "is of type int, not a mapping of classes to functions" in " ".join(err.split())
    assert "Traceback" not in err


async def test_a_graph_without_a_name_is_called_by_its_attribute_or_its_module(folder: Path) -> None:
    (folder / "agent.py").write_text("from graphs import joke as graph\n")
    targets = ["./graphs.py:joke", "agent:graph", "x=graphs:graph_of_config", "graphs:Makers.kept"]
    (folder / "graphs.py").write_text(
        GRAPHS
        + "\n\ndef graph_of_config(config):\n    return joke\n"
        + "class Makers:\n    kept = graph(tell)\n"
        + "from langgraph.checkpoint.memory import InMemorySaver\n"
        + "Makers.kept.checkpointer = InMemorySaver()\n"
    )
    async with program(folder, "serve", *targets, "--port", "0") as server:
        assert await server.until("serves joke, agent, x, kept at ws://")
        assert await server.until(r"  joke   ./graphs.py:joke$")
        assert await server.until(r"  agent  agent:graph$")
        assert await server.until(r"  x      graphs:graph_of_config, made for each run$")
        assert await server.until(r"  kept   graphs:Makers.kept, threads in its own InMemorySaver$")
        assert await server.until(r"^threads are kept in memory, until this server ends$")


PROJECT = {
    "$schema": "https://langgra.ph/schema.json",
    "dependencies": ["."],
    "graphs": {"joke": {"path": "./graphs.py:joke", "description": "Tells one."}},
    "env": {"TOPIC": "of the project", "GRAPHWIRE_LIMITS__DRAIN_S": "2"},
    "ui": {"x": "./x.tsx"},
}


async def test_a_project_of_langgraph_is_served_as_it_is_from_its_folder_or_beside_it(folder: Path) -> None:
    (folder / "langgraph.json").write_text(json.dumps(PROJECT))
    text = GRAPHS.replace("On {", "{os.environ['TOPIC']}: {").replace(
        "import asyncio", "import asyncio, os", 1
    )
    (folder / "graphs.py").write_text(text)
    (folder / ".env").write_text("TOPIC=of the file\nGRAPHWIRE_PORT=0\n")
    async with program(folder, "serve", TOPIC="of the process") as server:
        assert await server.until("graphwire does not honour ui$")
        assert await server.until(r"read \./\.env: 2 variables; set already, and left as they were: TOPIC$")
        url = (await server.until(r"serves joke at (ws://[\d.]+:\d+/ws)")).group(1)
        assert not url.endswith(":8765/ws"), "the port is what .env says"
        _, out, err = await run(folder, "run", "joke", "-f", "topic=cats", "--json", "--url", url)
        assert "of the process: cats" in out, err
        async with graphwire.connect(url) as client:
            assert client.server is not None
            assert client.server.limits["drain_s"] == 2
            (row,) = await client.graphs()
            assert row.description == "Tells one."
    (folder / "beside").mkdir()
    for place in ("..", "../langgraph.json", "--config=../langgraph.json"):
        async with program(folder / "beside", "serve", place, "--port", "0") as server:
            assert await server.until("serves joke at ws://")
            assert await server.until(r"  joke  .*/graphs.py:joke$")


async def test_the_environment_of_a_project_is_read_and_told_once(folder: Path) -> None:
    (folder / "langgraph.json").write_text(json.dumps({**PROJECT, "env": ".env"}))
    (folder / ".env").write_text("ONLY_HERE=1\n")
    async with program(folder, "serve", "--port", "0") as server:
        assert await server.until("serves joke at ws://")
    assert [line.partition("read ")[2] for line in server.lines if "read " in line] == [
        "./.env: 1 variable\n"
    ]


async def test_a_project_that_wants_encryption_is_served_only_to_whoever_does_without(folder: Path) -> None:
    (folder / "langgraph.json").write_text(
        json.dumps({**PROJECT, "encryption": {"path": "./e.py:encryption"}})
    )
    code, _, err = await run(folder, "serve", "--port", "0")
    assert code == 2
    assert "langgraph.json wants encryption, and graphwire encrypts nothing at rest" in err
    knowingly = re.search(r"(GRAPHWIRE_\w+)=(\w+)", err)
    assert knowingly is not None
    async with program(folder, "serve", "--port", "0", **{knowingly[1]: knowingly[2]}) as server:
        assert await server.until("graphwire does not honour encryption, ui$")
        assert await server.until("serves joke at ws://")
    (folder / "graphwire.toml").write_text("[server]\nignore_encryption = true\n")
    async with program(folder, "serve", "--port", "0") as server:
        assert await server.until("serves joke at ws://")


async def test_the_server_starts_anew_when_its_code_changes(folder: Path) -> None:
    file = folder / "graphs.py"
    async with program(folder, "serve", "joke=./graphs.py:joke", "--reload", "--port", "0") as server:
        assert await server.until(r"^watching \. for changes$")
        url = (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1)
        await server.until("Ctrl-C drains")
        file.write_text(GRAPHS.replace("On {", "About {"))
        assert await server.until(r"^graphs.py changed: restarting$")
        assert (await server.until(r"^graphwire serves joke again at (ws://[\d.]+:\d+/ws)$")).group(1) == url
        code, out, err = await run(folder, "run", "joke", '{"topic": "dogs"}', "--url", url)
        assert "About dogs." in out, err
        for name in ("notes.txt", "script.py", "pyproject.toml", "data.json"):
            (folder / name).write_text("what the server is not made of changes nothing")
        file.write_text(GRAPHS + "\nimport nobody_has_this\n")
        assert await server.until(r"imports 'nobody_has_this' \(./graphs.py, line \d+\)")
        assert await server.until(r"exit code 2\); waiting for a change")
        file.write_text(GRAPHS)
        assert await server.until(r"^graphs.py changed: restarting$")
        assert (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1) == url
        await server.until("Ctrl-C drains")
        (folder / "graphwire.toml").write_text("[limits]\ndrain_s = 1\n")
        assert await server.until(r"^graphwire.toml changed: restarting$")
        await server.until("Ctrl-C drains")
        assert "draining" not in "".join(server.lines)
        server.process.send_signal(signal.SIGTERM)
        code, _, err = await server.end()
    assert code == 0, err
    assert "Traceback" not in "".join(server.lines) + err
    assert "draining: runs get 1 s" in err
    told = [line for line in server.lines if "changed" in line]
    assert told == [f"{name} changed: restarting\n" for name in ("graphs.py",) * 3 + ("graphwire.toml",)]


async def test_a_server_that_reloads_ends_with_whoever_watches(folder: Path) -> None:
    async with program(folder, "serve", "joke=./graphs.py:joke", "--reload", "--port", "0") as server:
        await server.until("Ctrl-C drains")
        server.process.kill()
        await server.process.wait()
        assert await server.until("draining"), "and its standard error comes to an end"
        await server.end()


async def test_nobody_there_is_said_with_what_to_do(folder: Path) -> None:
    code, _, err = await run(folder, "runs", "--url", "ws://127.0.0.1:9/ws")
    assert code == 3
    assert "127.0.0.1:9" in err
    assert "Traceback" not in err


async def test_a_watch_prints_changes_until_ctrl_c_or_until_nobody_reads_it(folder: Path) -> None:
    async with serving(folder, "joke=./graphs.py:joke") as (_, url):
        async with program(folder, "watch", "--json", "--url", url) as watching:
            assert watching.process.stdout is not None
            await run(folder, "run", "joke", "-f", "topic=cats", "--run-id", "r", "--url", url)
            statuses = []
            while statuses[-1:] != ["completed"]:
                line = await asyncio.wait_for(watching.process.stdout.readline(), _DEADLINE_S)
                statuses.append(json.loads(line)["status"])
            watching.process.send_signal(signal.SIGINT)
            assert (await watching.end())[0] == 130
        piped = f"{shlex.join(PROGRAM)} watch --url {url} | head -1; exit ${{PIPESTATUS[0]}}"
        async with started(
            "bash", "-c", piped, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        ) as process:
            out, err = await asyncio.wait_for(process.communicate(), _DEADLINE_S)
        assert (process.returncode, out.decode().split()[:3]) == (141, ["r", "joke", "completed"]), err


async def test_the_demo_runs_three_graphs_over_one_connection_and_ends(folder: Path) -> None:
    store = ("--store", "sqlite:///demo.db")
    code, out, err = await run(folder, "demo", "--once", "--topic", "penguins", "--port", "0", *store)
    assert code == 0, err
    with closing(sqlite3.connect(folder / "demo.db")) as file:
        rows = file.execute("SELECT standing FROM logs").fetchall()
    assert [json.loads(row[0].split(b"\n")[0])["status"] for row in rows] == ["completed"] * 3
    assert "three runs, four filters, one WebSocket" in out
    for word in (
        "tag joke",
        "node *poem",
        "all namespaces",
        "custom",
        "penguins",
        "make demo",
        "async with graphwire.connect",
        *(["http://127.0.0.1:8765/ is the console"] if console_files() else []),
    ):
        assert word in out, word


async def test_a_signal_that_ends_the_demo_ends_its_server_too(folder: Path, unused_tcp_port: int) -> None:
    url = f"ws://127.0.0.1:{unused_tcp_port}/ws"
    async with (
        program(folder, "demo", "--port", str(unused_tcp_port)) as ran,
        graphwire.connect(url, wait=30),
    ):
        ran.process.send_signal(signal.SIGTERM)
        code, _, err = await ran.end()
    assert code in (130, 0), err  # 0 if its runs were over: then it only serves
    assert "Traceback" not in err
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", unused_tcp_port)
