"""The scripted server: one case's task and log, and the connections of the client under test.

How a case works. A *stage* is a WebSocket server for one client and one case. It runs no graph. It holds a
*log*, which is a plain list of events, and the *task* that the client finds in its environment. A *script* is
a coroutine that plays the server on that stage: it accepts the client's next connection, answers what the
client asks, sends as much of the log as it likes, and then does what a bad network or a restarted server
would do: it drops the connection, loses an event, sends one twice, or comes back with another log. Afterwards
the judge compares what the client printed with ``Stage.expected``, which is the whole log unless the script
says otherwise.

So a script reads as a dialogue, and every rule that it does not mention holds by itself::

    conn = await stage.accept()             # the client connects and says hello
    await conn.begin("live")                # it attaches; the stage answers
    await conn.send_log(1, 3)               # events 1 to 3, as its credit allows
    await conn.cut()                        # the connection is lost
    conn = await stage.accept()             # the client has to come back
    await resume(conn, 3)                   # with its cursor at 3
    await conn.finish(4)                    # the rest of the log, and the end

Three things happen without a line in the script. A connection answers pings, ``unsubscribe`` and ``result``,
and counts credit, in its own reading task (``ScriptedConnection.read``). Whatever the script awaits from the
client fails the case after ``patience_s``. A request that the script did not ask for waits in a queue; if the
script expects another one first, the case fails.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from graphwire_conformance.clients.connection import ScriptedConnection
from graphwire_conformance.protocol import SUBPROTOCOL, Frame
from graphwire_conformance.verdict import Violation, check

PATIENCE_S = 8.0
"""How long a script waits for its client."""

START_S = 30.0
"""How long it waits for the first connection: a command may take time to start."""

_AT = "2026-01-01T00:00:00.000Z"


def lifecycle(status: str, **fields: Any) -> Frame:
    """Return a lifecycle event of a log."""
    return {"mode": "lifecycle", "data": {"status": status, "attempt": 1, "at": _AT, **fields}}


def counting_log(count: int) -> list[Frame]:
    """Return the log of a run that counts from 0 to ``count - 1``."""
    events = [{"mode": "custom", "data": {"i": number}} for number in range(count)]
    return [lifecycle("running"), *events, lifecycle("completed")]


class Stage:
    """One case: its task, its log, the client's connections, and what the client is expected to print."""

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self.task: Frame = {
            "graph": "counting",
            "run": "run-1",
            "input": {"count": 4},
            "filter": {"modes": ["custom"]},
            "window": 16,
        }
        self.name = name
        self.patience_s = patience_s
        self.log = counting_log(4)
        self.head: int | None = None  # None: the end of the log
        self.epoch = "e1"
        self.is_started = False
        self.expected_lines: list[Frame] | None = None  # None: the whole log
        self.end: str | None = None  # None: the log's last status
        self.refusals: list[Callable[[ServerConnection], Response | None]] = []
        self.connections: list[ScriptedConnection] = []
        self._waiting: asyncio.Queue[ScriptedConnection] = asyncio.Queue()
        self._has_accepted = False
        self.url = ""

    def expected(self) -> list[Frame]:
        """Return the lines that the client is expected to print, except for its last one."""
        return printed_lines(self.log) if self.expected_lines is None else self.expected_lines

    def expected_end(self) -> str:
        """Return what the client's last line is expected to say."""
        return self.end or str(self.log[-1]["data"]["status"])

    async def accept(self, greet: bool = True) -> ScriptedConnection:
        """Wait for the client's next connection; answer its ``hello`` if ``greet``."""
        patience_s = self.patience_s if self._has_accepted else START_S
        self._has_accepted = True
        try:
            conn = await asyncio.wait_for(self._waiting.get(), patience_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise Violation("5: a client that was cut off comes back", "a connection", "none") from None
        if greet:
            await conn.welcome()
        return conn

    async def accept_again(self, conn: ScriptedConnection) -> ScriptedConnection:
        """Wait until the client attaches anew, on ``conn`` or on a new connection; return which."""
        request = asyncio.ensure_future(conn.requests.get())
        arrival = asyncio.ensure_future(self._waiting.get())
        done, _ = await asyncio.wait(
            {request, arrival}, timeout=self.patience_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in {request, arrival} - done:
            task.cancel()
        check(done, "3: a hole in n", "the client subscribes anew from its cursor", "nothing")
        if request in done:
            conn.requests.put_nowait(request.result())
            return conn
        other = arrival.result()
        await other.welcome()
        return other

    @property
    def has_no_other(self) -> bool:
        """Whether the script has accepted every connection."""
        return self._waiting.empty()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen while the context lasts."""

        async def connected(socket: ServerConnection) -> None:
            conn = ScriptedConnection(socket, self)
            self.connections.append(conn)
            self._waiting.put_nowait(conn)
            await conn.read()

        def shake_hands(connection: ServerConnection, request: Request) -> Response | None:
            return self.refusals.pop(0)(connection) if self.refusals else None

        async with serve(
            connected,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            process_request=shake_hands,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
        ) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"
            try:
                yield
            finally:
                for conn in self.connections:
                    conn.socket.transport.abort()


Script: TypeAlias = Callable[[Stage], Awaitable[None]]
"""Plays the server on a stage. Raises ``Violation`` where the client breaks a rule."""


class Scripts(list[tuple[str, str, Script]]):
    """Scripts in the order in which they are played, each with its name and its rule."""

    def add(self, name: str, rule: str) -> Callable[[Script], Script]:
        """Return a decorator that adds a script."""

        def decorate(script: Script) -> Script:
            self.append((name, rule, script))
            return script

        return decorate

    def add_with(self, name: str, rule: str, script: Callable[..., Any], *arguments: Any) -> None:
        """Add a script that takes arguments behind the stage."""
        self.append((name, rule, lambda stage: script(stage, *arguments)))


def hang_up(connection: ServerConnection) -> Response | None:
    """Refuse a handshake by dropping the connection."""
    connection.transport.abort()
    return None


def unavailable(connection: ServerConnection) -> Response | None:
    """Refuse a handshake with 503."""
    return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not now\n")


def printed_lines(log: Sequence[Frame], first: int = 1) -> list[Frame]:
    """Return what a client prints for these events of a log, of which the first has ``seq`` ``first``."""
    return [
        {"seq": seq, "mode": event["mode"], "data": _printed_data(event)}
        for seq, event in enumerate(log, first)
    ]


def _printed_data(event: Frame) -> Any:
    data = event["data"]
    if event["mode"] == "lifecycle":
        return {"status": data["status"]}
    if event["mode"] == "interrupt":
        return {"interrupts": [{"id": item["id"], "value": item["value"]} for item in data["interrupts"]]}
    if event["mode"] == "messages":
        part = data["message"] if "message" in data else data["delta"]
        return {"id": data["id"], "content": part.get("content", ""), "node": event["meta"]["langgraph_node"]}
    return data
