"""About `gateway/graphwire_gateway/connections/dispatch.py`,
`gateway/graphwire_gateway/connections/services.py`, `gateway/graphwire_gateway/connections/greeting.py`,
`gateway/graphwire_gateway/connections/waiting.py`,
`gateway/graphwire_gateway/connections/connection.py`, `gateway/graphwire_gateway/connections/peer.py`,
`gateway/graphwire_gateway/runs/command_replies.py` and `gateway/graphwire_gateway/runs/report.py`.

Whole connections with everything behind them, on sockets that the test plays.

Long because every command of a connection is here, with the sockets that the tests play.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections import dispatch
from graphwire_gateway.connections import peer as peer_module
from graphwire_gateway.connections.auth import Tokens
from graphwire_gateway.connections.connection import Connection
from graphwire_gateway.connections.dispatch import served
from graphwire_gateway.connections.intake import Intake
from graphwire_gateway.connections.peer import Peer
from graphwire_gateway.connections.services import Services
from graphwire_gateway.execution.execution import Executor
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog, GraphSpec
from graphwire_gateway.graphs.job import current_job
from graphwire_gateway.graphs.runner import Runner
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.runs import states
from graphwire_gateway.runs.command_replies import CommandReplies
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.states import States
from graphwire_gateway.telemetry import RateLimitedLogger, logger
from graphwire_protocol import codes
from graphwire_protocol.commands import Product
from graphwire_protocol.errors import Refusal
from graphwire_protocol.state import REPLY
from graphwire_protocol.types import TERMINAL
from graphwire_runtime import END, START, StateGraph, interrupt
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from tests.support.waiting import poll, settle, until

# ── a socket, a connection on it, and what is behind ─────────────────────────────────────────────


class Socket:
    """A WebSocket without a network, and its own transport. It takes nothing while ``takes`` is not set."""

    remote_address = ("peer", 1)

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.is_aborted = False
        self.takes = asyncio.Event()
        self.takes.set()
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._ended = asyncio.Event()

    @property
    def transport(self) -> "Socket":
        return self

    async def recv_streaming(self) -> AsyncIterator[Any]:
        item = await self._incoming.get()
        if isinstance(item, Exception):
            raise item
        yield item

    def silent_s(self) -> float:
        return 0.0

    def probe(self) -> None:
        pass

    def forget_headers(self) -> None:
        pass

    def forget_message(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_aborted

    async def wait_closed(self) -> None:
        await self._ended.wait()

    async def send(self, batch: bytes, *, text: bool) -> None:
        assert text
        await self.takes.wait()
        if self.is_aborted:
            raise ConnectionClosedError(None, None)
        parsed = orjson.loads(batch)
        self.frames += parsed if isinstance(parsed, list) else [parsed]

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self.put(ConnectionClosedOK(None, None))

    def get_write_buffer_size(self) -> int:
        return 1

    def abort(self) -> None:
        self.is_aborted = True
        self._ended.set()
        self.takes.set()
        self.put(ConnectionClosedError(None, None))

    def put(self, item: Any) -> None:
        """Let something come from the peer: a message, or the end."""
        self._incoming.put_nowait(item)


class Line:
    """A client of one connection."""

    def __init__(self, services: Services, store: Any) -> None:
        self.socket = Socket()
        self.connection = Connection(self.socket, services, served(services, store))  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(self.connection.main())
        self._runs = services.runs
        self._id = 0

    @property
    def frames(self) -> list[dict[str, Any]]:
        return self.socket.frames

    def send(self, type: str, **fields: Any) -> int:
        self._id += 1
        self.socket.put(orjson.dumps({"type": type, "id": self._id, **fields}).decode())
        return self._id

    async def replies(self, id: int) -> list[dict[str, Any]]:
        """Return what the request got, when it has got something."""
        await until(lambda: any(frame.get("id") == id for frame in self.frames))
        return [frame for frame in self.frames if frame.get("id") == id]

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        return (await self.replies(self.send(type, **fields)))[0]

    async def hello(self, **fields: Any) -> dict[str, Any]:
        return await self.ask("hello", **fields)

    async def start(self, run: str, graph: str, **fields: Any) -> dict[str, Any]:
        return await self.ask("run", **{"input": {}, "run": run, "graph": graph, **fields})

    async def status(self, run: str, wanted: str) -> None:
        """Wait until the run has that status."""
        found = await self._runs.find("anonymous", run)
        await until(lambda: found.status == wanted or found.status in TERMINAL)
        assert found.status == wanted

    def of(self, sub: int) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame.get("sub") == sub]

    async def hang_up(self) -> None:
        self.socket.put(ConnectionClosedOK(None, None))
        await asyncio.wait_for(self.task, 5)


class State(TypedDict, total=False):
    said: str


class Saver(InMemorySaver):
    """A saver that answers nothing while ``answers`` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0
        self.deaf = 0  # how many cancels it loses

    async def aget_tuple(self, config: Any) -> Any:
        self.asked += 1
        while not self.answers.is_set():
            try:
                await self.answers.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
                self.deaf -= 1
        return await super().aget_tuple(config)

    async def alist(self, config: Any, **options: Any) -> Any:
        await self.answers.wait()
        async for saved in super().alist(config, **options):
            yield saved


class Server:
    """What connections share. Graphs: ``say`` ends at once, ``ask`` asks, ``hold`` waits for ``gate``.

    ``deaf`` does so, too, and loses cancellations.
    """

    def __init__(self, limits: Limits, tokens: dict[str, str] | None) -> None:
        self.gate = asyncio.Event()
        self.savers = {name: Saver() for name in ("say", "ask", "hold", "deaf")}
        nodes: dict[str, Any] = {
            "say": lambda state: {"said": "hello"},
            "ask": lambda state: {"said": interrupt("how?")},
            "hold": self._hold,
            "deaf": self._deaf,
        }
        graphs = {name: GraphSpec(self._graph(name, node), "inline") for name, node in nodes.items()}
        self.catalog = Catalog(graphs)
        self.store: Any = MemoryStore()
        self.limits = limits
        self.tokens = Tokens(tokens)
        self.lines: list[Line] = []

    async def _hold(self, state: State) -> State:
        await self.gate.wait()
        return {"said": "at last"}

    async def _deaf(self, state: State) -> State:
        while not self.gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.gate.wait()
        return {"said": "what?"}

    def _graph(self, name: str, node: Any) -> Any:
        building = StateGraph(State)
        building.add_node(name, node)
        building.add_edge(START, name)
        building.add_edge(name, END)
        return building.compile(checkpointer=self.savers[name])

    async def open(self) -> None:
        await self.catalog.open()
        self.committer = Committer(self.store)
        self.committing = asyncio.ensure_future(self.committer.main())
        failures = Failures(expose=True)
        executor = Executor(self.catalog, failures, self.limits.max_event_bytes)
        self.runs = Runs(self.catalog, executor, self.store, self.committer, self.limits)
        self.states = States(self.catalog, self.runs, failures, self.limits)
        listing = Listing(self.catalog, self.runs, failures)
        self.services = Services(
            server=Product(name="graphwire", version="0"),
            limits=self.limits,
            durability="none",
            tokens=self.tokens,
            catalog=self.catalog,
            runs=self.runs,
            replies=CommandReplies(self.catalog, self.runs, self.states, listing, self.limits),
            listing=listing,
            failures=failures,
        )

    def connect(self) -> Line:
        self.lines.append(Line(self.services, self.store))
        return self.lines[-1]

    async def greeted(self, **fields: Any) -> Line:
        line = self.connect()
        await line.hello(**fields)
        return line

    async def close(self) -> None:
        self.gate.set()
        for saver in self.savers.values():
            saver.answers.set()
        for line in self.lines:
            await line.hang_up()
        await self.runs.drain(0)
        await self.catalog.close(5)
        self.committing.cancel()
        await asyncio.gather(self.committing, return_exceptions=True)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    """``await serve(tokens, **limits)`` returns a server."""
    opened: list[Server] = []

    async def serve(tokens: dict[str, str] | None = None, **limits: Any) -> Server:
        opened.append(Server(Limits(**{"cancel_grace_s": 0.1, **limits}), tokens))
        await opened[-1].open()
        return opened[-1]

    yield serve
    for server in opened:
        await server.close()


CUSTOM = {"modes": ["custom"]}
VALUES = {"modes": ["values"]}


# ── every command and its reply ──────────────────────────────────────────────────────────────────

REQUESTS: dict[str, dict[str, Any]] = {
    "hello": {},
    "run": {"run": "new", "graph": "say", "input": {}, "subscribe": [{"sub": 5, "filter": VALUES}]},
    "subscribe": {"run": "held", "sub": 6, "filter": CUSTOM},
    "watch": {"sub": 7},
    "unsubscribe": {"sub": 1},
    "cancel": {"run": "held"},
    "respond": {"run": "asks", "responses": []},
    "result": {"run": "asks"},
    "list": {"what": "graphs"},
    "state": {"graph": "say", "thread": "t"},
    "state_history": {"graph": "say", "thread": "t"},
    "state_update": {"graph": "say", "thread": "t", "values": {"said": "x"}},
    "thread_update": {"graph": "say", "thread": "t", "metadata": {"title": "Cats"}},
    "delete": {"graph": "say", "thread": "t"},
}


async def prepared(server: Server) -> Line:
    """Return a connection with a run that is held, one that asks and one that has ended."""
    line = await server.greeted()
    await line.start("held", "hold", subscribe=[{"sub": 1, "filter": CUSTOM}])
    await line.start("asks", "ask", thread="t")
    await line.start("ended", "say", thread="t")
    await line.status("asks", "interrupted")
    await line.status("ended", "completed")
    return line


@pytest.mark.parametrize("type", REPLY)
async def test_each_request_gets_the_reply_that_it_is_owed(serve, type) -> None:
    server = await serve()
    line = server.connect() if type == "hello" else await prepared(server)
    id = line.send(type, **REQUESTS[type])
    first = (await line.replies(id))[0]
    assert first["type"] == REPLY[type]
    await settle()
    following = (await line.replies(id))[1:]
    assert [frame["type"] for frame in following] == (["subscribed"] if type == "run" else [])


async def test_the_welcome_says_who_serves_whom_and_within_which_limits(serve) -> None:
    server = await serve(tokens={"secret": "alice"}, max_active_runs=7)
    welcome = await server.connect().hello(token="secret")
    assert (welcome["principal"], welcome["limits"]["max_active_runs"]) == ("alice", 7)
    assert (welcome["server"]["name"], welcome["durability"]) == ("graphwire", "none")


async def test_a_run_is_started_once_and_its_subscriptions_see_it_from_the_beginning(serve) -> None:
    line = await (await serve()).greeted()
    spec = {"sub": 1, "filter": VALUES}
    id = line.send("run", run="r", graph="say", input={}, thread="t", subscribe=[spec])
    await until(lambda: any(frame["type"] == "closed" for frame in line.of(1)))
    started, subscribed = await line.replies(id)
    assert (started["created"], started["run"], started["thread"]) == (True, "r", "t")
    assert (subscribed["sub"], subscribed["recovery"], subscribed["head"]) == (1, "live", 0)
    events = [frame for frame in line.of(1) if frame["type"] == "event"]
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert [event["data"].get("status") for event in events] == ["running", None, "completed"]
    again = await line.start("r", "say")
    assert (again["created"], again["epoch"], again["status"]) == (False, started["epoch"], "completed")


async def test_a_result_has_the_output_once_it_is_completed(serve) -> None:
    server = await serve()
    line = await server.greeted()
    await line.start("r", "hold")
    reply = await line.ask("result", run="r")
    assert ("output" in reply, reply["status"]) == (False, "running")
    server.gate.set()
    await line.status("r", "completed")
    assert (await line.ask("result", run="r"))["output"] == {"said": "at last"}


async def test_an_answer_resumes_a_run(serve) -> None:
    line = await (await serve()).greeted()
    await line.start("r", "ask", thread="t", subscribe=[{"sub": 1, "filter": VALUES}])
    await until(lambda: any(frame.get("mode") == "interrupt" for frame in line.of(1)))
    (asked,) = next(frame for frame in line.of(1) if frame.get("mode") == "interrupt")["data"]["interrupts"]
    reply = await line.ask("respond", run="r", responses=[{"interrupt": asked["id"], "value": "so"}])
    assert reply["status"] == "running"
    await line.status("r", "completed")
    assert (await line.ask("result", run="r"))["output"] == {"said": "so"}


async def test_lists_have_graphs_runs_and_threads(serve) -> None:
    line = await prepared(await serve())
    graphs = (await line.ask("list", what="graphs"))["graphs"]
    assert [row["name"] for row in graphs] == ["say", "ask", "hold", "deaf"]
    assert [row["name"] for row in (await line.ask("list", what="graphs", graph="ask"))["graphs"]] == ["ask"]
    runs = (await line.ask("list", what="runs"))["runs"]
    assert {row["run"]: row["status"] for row in runs} == {
        "held": "running",
        "asks": "interrupted",
        "ended": "completed",
    }
    threads = (await line.ask("list", what="threads"))["threads"]
    assert {row["graph"]: row["status"] for row in threads} == {"ask": "interrupted", "say": "completed"}


async def test_states_are_read_written_and_deleted(serve) -> None:
    line = await prepared(await serve())
    where = {"graph": "say", "thread": "t"}
    assert (await line.ask("state", **where))["values"] == {"said": "hello"}
    config = (await line.ask("state_update", **where, values={"said": "x"}))["config"]
    assert config["configurable"]["thread_id"] == "t"
    states = (await line.ask("state_history", **where))["states"]
    assert [state["values"].get("said") for state in states][:2] == ["x", "hello"]
    assert (await line.ask("delete", **where))["type"] == "ok"
    assert (await line.ask("state", **where))["values"] == {}
    assert (await line.ask("result", run="ended"))["code"] == "not_found"
    assert (await line.ask("delete", run="asks"))["type"] == "ok"


async def test_a_state_is_measured_and_cut_on_the_loop_of_its_graph(serve, monkeypatch) -> None:
    line = await prepared(await serve())
    dumps, on_loops = orjson.dumps, []

    def noted(value: Any) -> bytes:
        on_loops.append(current_job() is not None)
        return dumps(value)

    monkeypatch.setattr(states, "orjson", SimpleNamespace(**{**vars(orjson), "dumps": noted}))
    assert (await line.ask("state", graph="say", thread="t"))["type"] == "ok"
    assert (await line.ask("state_history", graph="say", thread="t"))["type"] == "ok"
    assert on_loops
    assert all(on_loops)


async def test_what_a_request_does_in_threads_takes_the_share_of_its_principal(serve, monkeypatch) -> None:
    line = await prepared(await serve())
    principals: list[str] = []
    ask = Runner.ask

    async def note(self: Any, work: Any, on_end: Any = None, principal: str = "", fence: Any = None) -> Any:
        principals.append(principal)
        return await ask(self, work, on_end, principal, fence)

    monkeypatch.setattr(Runner, "ask", note)
    where = {"graph": "say", "thread": "t"}
    await line.ask("state", **where)
    await line.ask("state_history", **where)
    await line.ask("list", what="threads")
    await line.ask("delete", **where)
    assert len(principals) >= 4
    assert set(principals) == {"anonymous"}


async def test_credit_has_no_reply_and_lets_events_through(serve) -> None:
    line = await (await serve()).greeted()
    await line.start("r", "say", subscribe=[{"sub": 1, "filter": VALUES, "credit": 0}])
    await line.status("r", "completed")
    await settle()
    assert [frame["data"].get("status") for frame in line.of(1) if frame["type"] == "event"] == ["running"]
    before = len([frame for frame in line.frames if "id" in frame])
    line.socket.put('{"type":"credit","sub":1,"events":9}')
    line.socket.put('{"type":"credit","sub":99,"events":9}')
    await until(lambda: any(frame["type"] == "closed" for frame in line.of(1)))
    assert len([frame for frame in line.frames if "id" in frame]) == before


async def test_a_ping_gets_its_pong(serve) -> None:
    line = await (await serve()).greeted()
    line.socket.put('{"type":"ping","t":[1]}')
    await until(lambda: {"type": "pong", "t": [1]} in line.frames)


async def test_an_ended_subscription_s_number_is_free_and_an_unsubscribed_one_s_too(serve) -> None:
    server = await serve()
    line = await server.greeted()
    await line.start("r", "say", subscribe=[{"sub": 1, "filter": VALUES}])
    await until(lambda: any(frame["type"] == "closed" for frame in line.of(1)))
    for sub, type in ((1, "subscribed"), (2, "subscribed")):
        await line.start(f"h{sub}", "hold", subscribe=[{"sub": sub, "filter": VALUES}])
        assert (await line.ask("unsubscribe", sub=sub))["type"] == "ok"
        assert (await line.ask("subscribe", run=f"h{sub}", sub=sub, filter=VALUES))["type"] == type
    assert (await line.ask("subscribe", run="h2", sub=2, filter=VALUES))["code"] == "conflict"


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("type", "fields", "code"),
    [
        ("run", {"graph": "unknown"}, "not_found"),
        ("run", {"run": "held", "graph": "say"}, "conflict"),
        ("run", {"graph": "ask", "thread": "t", "checkpoint": "nowhere"}, "not_found"),
        ("subscribe", {"run": "unknown", "sub": 9, "filter": CUSTOM}, "not_found"),
        ("subscribe", {"run": "held", "sub": 9, "filter": VALUES}, "unsupported"),
        ("run", {"run": "held", "graph": "hold", "subscribe": [{"sub": 9, "filter": VALUES}]}, "unsupported"),
        ("unsubscribe", {"sub": 99}, "not_found"),
        ("cancel", {"run": "unknown"}, "not_found"),
        ("respond", {"run": "held", "responses": []}, "conflict"),
        ("respond", {"run": "unknown", "responses": []}, "not_found"),
        ("result", {"run": "unknown"}, "not_found"),
        ("list", {"what": "runs", "cursor": "x"}, "invalid_argument"),
        ("state", {"graph": "unknown", "thread": "t"}, "not_found"),
        ("state", {"graph": "say", "thread": "t", "checkpoint": "nowhere"}, "not_found"),
        ("state_update", {"graph": "say", "thread": "t", "values": {}, "as_node": "x"}, "invalid_argument"),
        ("delete", {"run": "held"}, "conflict"),
        ("delete", {"graph": "say", "thread": "nowhere"}, "not_found"),
        ("hello", {}, "invalid_argument"),
        ("auth", {"token": "x"}, "unsupported"),
    ],
)
async def test_a_request_that_is_refused_says_why_and_the_connection_stays_open(
    serve, type, fields, code
) -> None:
    line = await prepared(await serve())
    id = line.send(type, **fields)
    await until(lambda: any(frame.get("id") == id for frame in line.frames))
    (error,) = await line.replies(id)
    assert (error["type"], error["code"]) == ("error", code)
    assert (await line.ask("result", run="held"))["status"] == "running"
    if "sub" in fields and type != "unsubscribe":  # the number is free again
        assert (await line.ask("watch", sub=fields["sub"]))["type"] == "subscribed"


async def test_a_run_that_is_refused_for_its_subscription_is_not_started(serve) -> None:
    server = await serve()
    line = await server.greeted()
    spec = {"sub": 1, "filter": CUSTOM}
    server.store.read, read = _failing, server.store.read
    error = await line.start("r", "say", subscribe=[spec])
    assert (error["type"], error["code"], "error_id" in error["details"]) == ("error", "internal", True)
    server.store.read = read
    assert (await line.ask("result", run="r"))["code"] == "not_found"
    assert (await line.start("r", "say", subscribe=[spec]))["created"] is True


async def _failing(*args: Any) -> Any:
    raise RuntimeError("a fault")


async def test_a_fault_beside_the_connection_is_an_error_with_an_id_and_what_follows_is_done(serve) -> None:
    server = await serve()
    line = await prepared(server)
    server.states.get = _failing
    error = await line.ask("state", graph="say", thread="t")
    assert (error["code"], "fault" in error["message"]) == ("internal", True)
    assert (await line.ask("state_history", graph="say", thread="t"))["type"] == "ok"


@pytest.mark.parametrize("fault", [lambda: RuntimeError("a fault"), lambda: Refusal("not_found", "no graph")])
async def test_a_fault_behind_a_reply_ends_no_connection_and_is_logged(
    serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Callable[[], Exception]
) -> None:
    def failing(*args: Any) -> Any:
        raise fault()

    server = await serve()
    line = await prepared(server)
    monkeypatch.setattr(dispatch, "filter_notes", failing)
    id = line.send("subscribe", run="held", sub=9, filter=CUSTOM)
    assert [reply["type"] for reply in await line.replies(id)] == ["subscribed"]
    assert (await line.ask("result", run="held"))["status"] == "running"
    assert "subscribe, behind its reply" in caplog.text


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError])
async def test_graph_code_that_exits_or_cancels_itself_fails_its_request_alone(serve, kind) -> None:
    server = await serve()
    line = await prepared(server)
    tuples = server.savers["say"].aget_tuple

    async def leave(config: Any) -> Any:
        raise kind

    server.savers["say"].aget_tuple = leave
    assert (await line.ask("state", graph="say", thread="t"))["code"] == "internal"
    server.savers["say"].aget_tuple = tuples
    assert (await line.ask("state", graph="say", thread="t"))["type"] == "ok"


# ── the first frame, and what ends a connection ──────────────────────────────────────────────────


async def closed(line: Line) -> int:
    await asyncio.wait_for(line.task, 5)
    assert line.socket.closed is not None
    return line.socket.closed[0]


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_a_token_that_is_not_known_is_refused_and_the_connection_closed(serve, token) -> None:
    line = (await serve(tokens={"secret": "alice"})).connect()
    error = await line.hello(**({} if token is None else {"token": token}))
    assert error["code"] == "unauthenticated"
    assert await closed(line) == codes.UNAUTHENTICATED


async def test_another_frame_first_is_misuse(serve) -> None:
    line = (await serve()).connect()
    error = await line.ask("list", what="runs")
    assert error["code"] == "bad_frame"
    assert await closed(line) == codes.MISUSE


async def test_silence_is_ended(serve) -> None:
    line = (await serve(hello_timeout_s=0.01)).connect()
    assert await closed(line) == codes.TIMEOUT
    assert line.frames == []


async def test_binary_messages_are_misuse_and_malformed_ones_are_so_when_they_are_many(serve) -> None:
    server = await serve()
    line = await server.greeted()
    line.socket.put(b"{}")
    assert await closed(line) == codes.MISUSE
    other = await server.greeted()
    for _ in range(11):
        other.socket.put("{")
    assert await closed(other) == codes.MISUSE
    errors = [frame for frame in other.frames if frame["type"] == "error"]
    assert [error["code"] for error in errors] == ["bad_frame"] * 11


async def test_each_principal_has_so_many_connections_and_a_closed_one_is_counted_out(serve) -> None:
    server = await serve(tokens={"a": "alice", "b": "bob"}, max_connections=1)
    first = await server.greeted(token="a")
    assert (await server.connect().hello(token="b"))["type"] == "welcome"
    refused = server.connect()
    error = await refused.hello(token="a")
    assert (error["code"], error["after_ms"]) == ("limit_exceeded", 1000)
    assert await closed(refused) == codes.TOO_MANY
    assert (await server.connect().hello(token="a"))["code"] == "limit_exceeded"
    await first.hang_up()
    assert (await server.connect().hello(token="a"))["type"] == "welcome"


# ── what asks a saver goes beside the connection ─────────────────────────────────────────────────


async def test_a_saver_that_hangs_delays_only_what_asks_it(serve) -> None:
    server = await serve()
    line = await prepared(server)
    server.savers["say"].answers.clear()
    hanging = [
        line.send("state", graph="say", thread="t"),
        line.send("state_history", graph="say", thread="t"),
    ]
    assert (await line.ask("state", graph="ask", thread="t"))["next"] == ["ask"]
    assert (await line.ask("cancel", run="held"))["type"] == "ok"
    assert not any(frame.get("id") in hanging for frame in line.frames)
    server.savers["say"].answers.set()
    await line.replies(hanging[1])
    done = [frame["id"] for frame in line.frames if frame.get("id") in hanging]
    assert done == hanging  # those of one graph in order


async def test_those_of_one_graph_are_asked_one_after_another(serve) -> None:
    server = await serve()
    line = await prepared(server)
    saver = server.savers["say"]
    saver.answers.clear()
    before = saver.asked
    ids = [line.send("state", graph="say", thread="t") for _ in range(5)]
    await line.ask("result", run="held")
    await settle()
    assert saver.asked == before + 1
    saver.answers.set()
    for id in ids:
        assert (await line.replies(id))[0]["values"] == {"said": "hello"}


async def test_what_waits_for_a_saver_that_hangs_is_no_more_than_a_frame_may_be(serve) -> None:
    server = await serve(max_frame_bytes=10_000)
    line = await prepared(server)
    server.savers["say"].answers.clear()
    values = {"said": "x" * 4000}
    waiting = [line.send("state_update", graph="say", thread=f"t{n}", values=values) for n in range(2)]
    refused = await line.ask("state_update", graph="ask", thread="t", values=values)
    assert (refused["code"], refused["retry"]) == ("rate_limited", "after")
    assert refused["details"] == {"limit": "max_frame_bytes"}
    assert "no more than 10,000 may (max_frame_bytes)" in refused["message"]
    assert (await line.ask("state", graph="ask", thread="t"))["next"] == ["ask"], "a small one has room"
    assert (await line.ask("cancel", run="held"))["type"] == "ok"
    server.savers["say"].answers.set()
    for id in waiting:
        assert (await line.replies(id))[0]["type"] == "ok"
    for _ in range(4):
        answered = await line.ask("state_update", graph="say", thread="t0", values=values)
        assert answered["type"] == "ok", "what was answered waits no longer"


async def test_one_that_leaves_while_it_sends_too_fast_is_let_go_at_once(serve) -> None:
    server = await serve(requests_per_s=0.001, request_burst=1)
    line = await server.greeted()
    assert (await line.ask("list", what="graphs"))["code"] == "rate_limited"
    line.socket.abort()
    await asyncio.wait_for(line.task, 10)


async def test_a_saver_that_hangs_is_given_up_by_each_request_in_time(serve) -> None:
    server = await serve(state_timeout_s=0.2)
    line = await prepared(server)
    server.savers["say"].answers.clear()
    sent = {
        line.send("state", graph="say", thread="t"): "state",
        line.send("state_history", graph="say", thread="t"): "state_history",
        line.send("state_update", graph="say", thread="t", values={"said": "x"}): "state_update",
        line.send("delete", graph="say", thread="t"): "delete",
    }
    for id, type in sent.items():
        (reply,) = await line.replies(id)
        assert reply.get("code") == "unavailable", reply
        assert reply["message"].startswith(
            f"{type}: the graph or its checkpointer did not answer within 0.2 s"
        )
        assert ("look at the thread's state first" in reply["message"]) == (
            type in ("state_update", "delete")
        )
        assert reply["details"] == {"limit": "state_timeout_s"}
    server.savers["say"].answers.set()
    assert (await line.ask("state", graph="say", thread="t"))["values"] == {"said": "hello"}
    update = await line.ask("state_update", graph="say", thread="t", values={"said": "y"})
    assert update["type"] == "ok", "the thread is free again"


async def test_a_run_and_a_list_that_ask_it_are_given_up_as_well_and_what_is_behind_is_carried_out(
    serve,
) -> None:
    server = await serve(state_timeout_s=0.2)
    line = await prepared(server)
    server.savers["say"].answers.clear()
    started = [
        line.send("run", run=name, graph="say", thread="t", checkpoint="c", input={}) for name in ("a", "b")
    ]
    behind = line.send("cancel", run="b")
    lists = [line.send("list", what="threads", limit=5) for _ in range(2)]
    for id, type in (*((id, "run") for id in started), *((id, "list") for id in lists)):
        (reply,) = await line.replies(id)
        assert (reply["code"], reply["details"]) == ("unavailable", {"limit": "state_timeout_s"})
        assert reply["message"].startswith(
            f"{type}: the graph or its checkpointer did not answer within 0.2 s"
        )
        assert ("nothing was started" in reply["message"]) == (type == "run")
    assert (await line.replies(behind))[0]["code"] == "not_found"
    server.savers["say"].answers.set()
    assert (await line.start("a", "say", thread="t"))["created"]


async def test_a_deletion_of_a_run_waits_for_no_saver_and_says_that_it_waits_for_the_store(serve) -> None:
    server = await serve(state_timeout_s=0.2)
    line = await prepared(server)
    await line.start("r", "say")
    await line.start("s", "say")
    for run in ("r", "s"):
        await line.status(run, "completed")
    server.savers["say"].answers.clear()
    hanging = line.send("list", what="threads")
    assert (await line.ask("delete", run="r"))["type"] == "ok"
    assert not any(frame.get("id") == hanging for frame in line.frames)
    gate = asyncio.Event()
    delete = server.store.delete

    async def wait_and_delete(key: str) -> None:
        await gate.wait()
        await delete(key)

    server.store.delete = wait_and_delete
    refused = await line.ask("delete", run="s")
    assert refused["message"].startswith("delete: the store of this server did not answer within 0.2 s")
    gate.set()
    server.savers["say"].answers.set()


async def test_a_saver_that_hears_no_cancel_keeps_its_thread_and_no_other(serve) -> None:
    server = await serve(state_timeout_s=0.1)
    line = await prepared(server)
    saver = server.savers["say"]
    saver.answers.clear()
    saver.deaf = 1_000
    update = await line.ask("state_update", graph="say", thread="t", values={"said": "x"})
    assert update["code"] == "unavailable"
    refused = await line.ask("run", graph="say", thread="t", input={}, run="next", if_busy="interrupt")
    assert refused["status"] == "queued", "behind the request that has the thread"
    busy = await line.ask("state_update", graph="say", thread="t", values={"said": "x"})
    assert busy["code"] == "busy"
    saver.deaf = 0
    saver.answers.set()
    await line.status("next", "completed")


async def test_a_saver_that_loses_a_cancel_is_cancelled_again(serve) -> None:
    server = await serve(state_timeout_s=0.1)
    line = await prepared(server)
    saver = server.savers["say"]
    saver.answers.clear()
    saver.deaf = 1

    async def write() -> str:
        reply = await line.ask("state_update", graph="say", thread="t", values={"said": "x"})
        return reply["code"]

    assert await write() == "unavailable"
    *codes, _ = await poll(write, lambda code: code == "unavailable")
    assert set(codes) == {"busy"}


async def test_a_request_has_its_thread_while_it_is_carried_out(serve) -> None:
    server = await serve()
    line, other = await prepared(server), await server.greeted()
    saver = server.savers["say"]
    saver.answers.clear()
    before = saver.asked
    update = line.send("state_update", graph="say", thread="t", values={"said": "x"})
    await until(lambda: saver.asked > before)
    started = await other.start("late", "say", thread="t")
    assert started["status"] == "queued"
    server.savers["say"].answers.set()
    assert (await line.replies(update))[0]["type"] == "ok"
    await other.status("late", "completed")


async def test_requests_about_one_thread_keep_their_order(serve) -> None:
    server = await serve()
    line = await prepared(server)
    server.savers["say"].answers.clear()
    sent = [
        line.send("state", graph="say", thread="other"),
        line.send("state_update", graph="say", thread="t", values={"said": "x"}),
        line.send("run", run="late", graph="say", thread="t", input={}),
        line.send("delete", run="ended"),
        line.send("run", run="ended", graph="say", thread="t2", input={}),
    ]
    elsewhere = await line.start("now", "say", thread="t3")
    assert elsewhere["type"] == "started", "another thread is none of theirs"
    server.savers["say"].answers.set()
    replies = [(await line.replies(id))[0] for id in sent]
    assert [reply["type"] for reply in replies] == ["ok", "ok", "started", "ok", "started"]
    assert replies[-1]["created"], "the run of that id was deleted before"
    order = [frame["id"] for frame in line.frames if frame.get("id") in sent[:3]]
    assert order == sent[:3]


async def test_what_was_answered_holds_up_nothing(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await serve()
    line = await prepared(server)
    saver, gate = server.savers["say"], asyncio.Event()
    state = await line.ask("state", graph="say", thread="t")
    checkpoint = state["config"]["configurable"]["checkpoint_id"]
    read = saver.aget_tuple

    async def gated_read(config: Any) -> Any:
        if config["configurable"]["thread_id"].endswith("other"):
            await gate.wait()
        return await read(config)

    monkeypatch.setattr(saver, "aget_tuple", gated_read)
    started = line.send("run", run="r", graph="say", thread="t", input={}, checkpoint=checkpoint)
    behind = line.send("state", graph="say", thread="other")
    assert (await line.replies(started))[0]["type"] == "started"
    assert (await line.ask("cancel", run="r"))["type"] == "ok"
    assert not any(frame.get("id") == behind for frame in line.frames)
    gate.set()
    assert (await line.replies(behind))[0]["type"] == "ok"
    await until(lambda: not line.connection._dispatch._queued)
    assert not line.connection._dispatch._held


async def test_a_connection_that_closes_while_a_saver_hangs_lets_go_at_once(serve) -> None:
    server = await serve()
    line = await prepared(server)
    server.savers["say"].answers.clear()
    line.send("state", graph="say", thread="t")
    line.send("list", what="threads")
    await line.ask("result", run="held")
    await line.hang_up()
    server.savers["say"].answers.set()
    other = await server.greeted()
    assert (await other.ask("state", graph="say", thread="t"))["values"] == {"said": "hello"}


async def test_a_run_from_a_checkpoint_waits_for_its_saver_beside_the_connection(serve) -> None:
    server = await serve()
    line = await prepared(server)
    (first, *_) = (await line.ask("state_history", graph="say", thread="t"))["states"]
    checkpoint = first["config"]["configurable"]["checkpoint_id"]
    server.savers["say"].answers.clear()
    fields = {"graph": "say", "thread": "t", "checkpoint": checkpoint, "input": {}}
    run = line.send("run", run="again", **fields, subscribe=[{"sub": 9, "filter": VALUES, "credit": 0}])
    held = [
        line.send("subscribe", run="again", sub=10, filter={"modes": ["lifecycle"]}),
        line.send("result", run="again"),
        line.send("run", run="behind", graph="say", thread="t", input={}, if_busy="enqueue"),
        line.send("result", run="behind"),
    ]
    line.socket.put(orjson.dumps({"type": "credit", "sub": 9, "events": 100}).decode())
    unsubscribed = line.send("unsubscribe", sub=10)
    assert (await line.ask("list", what="graphs"))["type"] == "ok"
    assert (await line.ask("cancel", run="held"))["type"] == "ok"
    assert not any(frame.get("id") in (run, *held, unsubscribed) for frame in line.frames)
    server.savers["say"].answers.set()
    await line.replies(unsubscribed)
    first_replies = list(dict.fromkeys(frame["id"] for frame in line.frames if frame.get("id", 0) >= run))
    assert [id for id in first_replies if id in (run, *held, unsubscribed)] == [run, *held, unsubscribed]
    assert not [frame for frame in line.frames if frame["type"] == "error"]
    await until(lambda: any(frame["type"] == "event" for frame in line.of(9)))
    await line.status("behind", "completed")
    assert (await line.ask("result", run="again"))["status"] == "completed"  # nothing is held any more


# ── what the operator reads ──────────────────────────────────────────────────────────────────────


def events_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return level, event and fields of what that logger has logged."""
    return [
        (record.levelname, vars(record)["event"], vars(record)["fields"])
        for record in caplog.records
        if record.name == f"graphwire.{logger}"
    ]


async def test_the_log_has_the_start_and_the_end_of_each_run(serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "graphwire")
    server = await serve()
    line = await server.greeted()
    await line.start("r", "say", thread="t")
    await line.status("r", "completed")
    await line.start("held", "hold")
    await line.ask("cancel", run="held", reason="enough")
    await line.status("held", "cancelled")
    await until(lambda: len(events_of(caplog, "runs")) == 4)
    ids = {"run": "r", "graph": "say", "thread": "t", "principal": "anonymous"}
    started, ended, _, cancelled = events_of(caplog, "runs")
    assert started == ("INFO", "run started", ids)
    seconds, events = ended[2].pop("seconds"), ended[2].pop("events")
    assert ended == ("INFO", "run ended", {**ids, "status": "completed"})
    assert 0 <= seconds < 5
    assert events == 2
    expected = {"run": "held", "status": "cancelled", "reason": "enough", "principal": "anonymous"}
    assert expected.items() <= cancelled[2].items()
    assert "thread" not in cancelled[2], "its thread is private"


async def test_the_log_tells_a_run_that_asks_from_one_that_continues(
    serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "graphwire")
    server = await serve()
    line = await server.greeted()
    await line.start("r", "ask", thread="t")
    await line.status("r", "interrupted")
    (row,) = (await line.ask("list", what="runs"))["runs"]
    await line.ask("respond", run="r", responses=[{"interrupt": row["interrupts"][0], "value": "so"}])
    await line.status("r", "completed")
    await until(lambda: len(events_of(caplog, "runs")) == 4)
    names = [event for _, event, _ in events_of(caplog, "runs")]
    assert names == ["run started", "run waits for answers", "run resumed", "run ended"]


async def test_the_log_has_each_refused_token_with_its_peer_and_connections_at_debug(
    serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "graphwire")
    server = await serve(tokens={"known": "ann"})
    line = server.connect()
    line.send("hello", token="wrong")
    await until(lambda: len(events_of(caplog, "connection")) == 3)
    opened, refused, closed = events_of(caplog, "connection")
    assert opened == ("DEBUG", "connection opened", {"peer": ("peer", 1)})
    reason = "the token is not known"
    fields = {"peer": ("peer", 1), "count": 1, "reason": reason}
    assert refused == ("WARNING", "refused a token", fields)
    assert closed[:2] == ("DEBUG", "connection closed")
    assert "wrong" not in caplog.text, "a token is a secret"


async def test_a_thread_is_busy_until_a_cancelled_run_s_code_has_stopped_and_says_so(serve) -> None:
    server = await serve(cancel_grace_s=60)
    line = await server.greeted()
    await line.start("deaf", "deaf", thread="t")
    refused = await line.ask("run", run="x", graph="deaf", thread="t", input={})
    assert refused["message"].startswith("this thread has a run; wait for its end")
    await line.ask("cancel", run="deaf")
    refused = await line.ask("run", run="x", graph="deaf", thread="t", input={})
    assert refused["code"] == "busy"
    assert "was cancelled, but its code has not stopped yet" in refused["message"]
    server.gate.set()
    await line.status("deaf", "cancelled")


# ── a closed connection lets go ──────────────────────────────────────────────────────────────────


async def test_a_closed_connection_s_runs_are_cancelled_where_it_said_so_and_others_go_on(serve) -> None:
    server = await serve(disconnect_grace_s=0)
    line = await server.greeted()
    await line.start("mine", "hold", on_disconnect="cancel", subscribe=[{"sub": 1, "filter": VALUES}])
    await line.start("stays", "hold")
    await line.hang_up()
    other = await server.greeted()
    await other.status("mine", "cancelled")
    assert (await other.ask("result", run="stays"))["status"] == "running"


async def test_a_run_that_two_connections_started_lives_as_long_as_one_of_them(serve) -> None:
    server = await serve(disconnect_grace_s=0)
    first, second = await server.greeted(), await server.greeted()
    for line in (first, second):
        await line.start("shared", "hold", on_disconnect="cancel")
    await first.start("alone", "hold", on_disconnect="cancel")
    await first.hang_up()
    await second.status("alone", "cancelled")
    assert (await second.ask("result", run="shared"))["status"] == "running"


@pytest.mark.parametrize("how", ["unsubscribes", "hangs up"])
async def test_a_watch_ends_with_its_unsubscription_or_its_connection(serve, how) -> None:
    server = await serve()
    line = await server.greeted()
    await line.ask("watch", sub=1)
    await until(lambda: any(frame["type"] == "synced" for frame in line.of(1)))
    ended: list[Any] = []
    server.runs.unwatch, unwatch = (lambda watch: (ended.append(watch), unwatch(watch))), server.runs.unwatch
    if how == "hangs up":
        await line.hang_up()
    else:
        await line.ask("unsubscribe", sub=1)
        assert (await line.ask("watch", sub=1))["type"] == "subscribed"
    assert [watch.sub for watch in ended] == [1]
    before = len(line.of(1))
    await (await server.greeted()).start("r", "hold")
    await settle()
    if how == "hangs up":
        assert len(line.of(1)) == before
    else:
        await until(lambda: len(line.of(1)) > before)


async def test_a_closed_connection_reads_no_log(serve) -> None:
    server = await serve()
    line, other = await server.greeted(), await server.greeted()
    await line.start("r", "hold", subscribe=[{"sub": 1, "filter": VALUES}])
    run = await server.runs.find("anonymous", "r")
    await other.ask("subscribe", run="r", sub=1, filter=VALUES)
    assert run.log.readers == 2
    await line.hang_up()
    assert run.log.readers == 1


# ── going away, faults and stuck sockets ─────────────────────────────────────────────────────────


async def test_a_server_that_goes_away_says_so_and_closes_for_a_restart(serve) -> None:
    server = await serve()
    line = await server.greeted()
    line.connection.goaway(5, 100)
    line.connection.goaway(5, 100)  # once is enough
    await asyncio.wait_for(line.connection.leave(), 5)
    assert await closed(line) == codes.RESTART
    goaways = [frame for frame in line.frames if frame["type"] == "goaway"]
    assert goaways == [{"type": "goaway", "reason": "draining", "deadline_s": 5.0, "after_ms": 100}]


async def test_a_fault_of_the_delivery_closes_the_connection(serve) -> None:
    server = await serve()
    line = await server.greeted()
    await line.start("r", "hold", subscribe=[{"sub": 1, "filter": VALUES}])
    await until(lambda: line.of(1))
    server.store.read, read = _failing, server.store.read
    server.gate.set()
    assert await closed(line) == 1011
    server.store.read = read
    await (await server.greeted()).status("r", "completed")


async def test_a_socket_that_takes_nothing_is_aborted_and_one_that_takes_again_is_not(serve) -> None:
    server = await serve(send_timeout_s=0.04)
    stuck, slow = await server.greeted(), await server.greeted()
    for line in (stuck, slow):
        line.socket.takes.clear()
        line.send("list", what="graphs")
    left = iter(range(10**6, 0, -1))
    slow.socket.get_write_buffer_size = lambda: next(left)
    await until(lambda: stuck.socket.is_aborted)
    await asyncio.wait_for(stuck.task, 5)
    assert not slow.socket.is_aborted
    slow.socket.takes.set()
    assert (await slow.ask("list", what="runs"))["type"] == "ok"


async def test_a_client_that_reads_no_replies_is_not_read_either(serve) -> None:
    server = await serve(send_timeout_s=60)
    line = await server.greeted()
    line.socket.takes.clear()
    text = "x" * 100_000
    for _ in range(40):
        line.socket.put(orjson.dumps({"type": "ping", "t": text}).decode())
    last = line.send("list", what="graphs")
    await settle()
    assert line.socket._incoming.qsize() > 10
    line.socket.takes.set()
    await line.replies(last)
    assert len([frame for frame in line.frames if frame["type"] == "pong"]) == 40


# ── below the protocol ───────────────────────────────────────────────────────────────────────────


class Transport:
    def __init__(self) -> None:
        self.is_aborted = False
        self.written = b""

    def abort(self) -> None:
        self.is_aborted = True

    def write(self, data: bytes) -> None:
        self.written += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("peer", 1) if name == "peername" else default

    def set_write_buffer_limits(self, *args: Any, **limits: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


class Listener:
    """The server of a peer, which does nothing with it."""

    def __init__(self) -> None:
        self.handler_tasks: set[Any] = set()

    async def handler(self, connection: Any) -> None: ...


def new_peer() -> Peer:
    peer = Peer(ServerProtocol(), Listener(), ping_interval=None, intake=Intake())  # type: ignore[arg-type]
    peer.connection_made(Transport())  # type: ignore[arg-type]
    return peer


@pytest.fixture
async def peer() -> Peer:
    return new_peer()


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_a_flood_of_control_frames_drops_the_connection_and_a_burst_does_not(peer, opcode) -> None:
    peer.request = object()
    for _ in range(100):
        peer.process_event(Frame(opcode, b""))
    assert not peer.transport.is_aborted
    for _ in range(20):
        peer.process_event(Frame(opcode, b""))
    assert peer.transport.is_aborted


async def test_a_flood_of_messages_is_no_flood_of_control_frames(peer) -> None:
    peer.request = object()
    for _ in range(1000):
        peer.process_event(Frame(Opcode.TEXT, b"{}"))
    assert not peer.transport.is_aborted


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_a_request_that_wants_no_websocket_is_answered(peer, method) -> None:
    peer.data_received(f"{method} /ws HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert peer.transport.written.startswith(b"HTTP/1.1 405 ")


async def test_a_handshake_s_first_bytes_are_not_answered_here(peer) -> None:
    peer.data_received(b"GET /ws HTTP/1.1\r\n")
    peer.data_received(b"POST : of a header, no method\r\n")
    assert peer.transport.written == b""


def flood(peer: Peer) -> None:
    peer.request = object()  # type: ignore[assignment]
    for _ in range(120):
        peer.process_event(Frame(Opcode.PING, b""))
    assert peer.transport.is_aborted  # type: ignore[attr-defined]


def begin_with_too_much(peer: Peer) -> None:
    headers = "Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: " + "A" * 22 + "=="
    peer.data_received("\r\n".join(("GET /ws HTTP/1.1", *headers, key, "", "")).encode())
    peer.protocol.send_response(peer.protocol.accept(peer.request))  # type: ignore[arg-type]
    peer.data_received(b"\x81\xff" + (1 << 16).to_bytes(8, "big") + b"mask" + bytes(17 << 10))
    assert b"the first frame is 'hello'" in peer.transport.written  # type: ignore[attr-defined]


@pytest.mark.parametrize("attack", [flood, begin_with_too_much])
async def test_peers_without_a_token_do_not_fill_the_log(
    attack: Callable[[Peer], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(peer_module, "refusals", RateLimitedLogger(logger("connection"), every_s=1000))
    for _ in range(100):
        attack(new_peer())
    assert len(caplog.records) == 20, "a burst, and then a line now and then"


async def test_a_run_that_the_store_may_not_have_is_not_started_for_its_client(serve) -> None:
    server = await serve()
    line = await server.greeted()
    server.store.taken.set()  # another server has it
    id = line.send("run", run="r", graph="say", input={})
    await line.ask("list", what="runs")
    assert not [frame for frame in line.frames if frame.get("id") == id]
