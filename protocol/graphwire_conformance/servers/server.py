"""The server under test: its address, what it announces, and the connections of the case that is tried."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.connection import PATIENCE_S, RawConnection, open_connection
from graphwire_conformance.verdict import Skipped, Violation

_GRAPHS = ("counter", "values", "echo", "talk", "filters", "nested", "fails", "slow")


class ServerUnderTest:
    """One server under test.

    ``drain`` makes it drain; None if it cannot be made to. ``tries_slow`` says whether cases are tried that
    take seconds, and ``patience_s`` how long a case waits for a frame. ``open`` fills in ``minor``,
    ``limits`` and ``features``, as ``welcome`` has them, and ``ended_run`` and its ``epoch``: a run of
    ``conformance.filters`` that has ended and that many cases look at.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        drain: Callable[[], Awaitable[None]] | None = None,
        tries_slow: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.url = url
        self.token = token
        self.drain = drain
        self.tries_slow = tries_slow
        self.patience_s = patience_s
        self.minor = 0
        self.limits: dict[str, Any] = {}
        self.features: list[str] = []
        self.ended_run = ""
        self.epoch = ""
        self.minor = 0
        self._connections: list[RawConnection] = []
        self._names = 0
        self._prefix = f"kit-{os.urandom(4).hex()}"

    def new_id(self) -> str:
        """Return an id that is not in use, for a run or a thread."""
        self._names += 1
        return f"{self._prefix}-{self._names}"

    def hello(self, **fields: Any) -> Frame:
        """Return a ``hello`` with the token."""
        token = {} if self.token is None else {"token": self.token}
        return {"type": "hello", **token, **fields}

    def require(self, feature: str) -> None:
        """Raise ``Skipped`` unless the server has enabled ``feature``."""
        if feature not in self.features:
            raise Skipped(f"the server has not enabled {feature}")

    def require_minor(self, minor: int) -> None:
        """Raise ``Skipped`` unless the server knows the additions of this minor version."""
        if self.minor < minor:
            raise Skipped(f"the server is of minor version {self.minor}")

    async def connect(self, *, greet: bool = True, **options: Any) -> RawConnection:
        """Return a new connection, with ``hello`` answered if ``greet``; ``options`` as of
        ``open_connection``.
        """
        opened = await open_connection(self.url, patience_s=self.patience_s, **options)
        if isinstance(opened, int):
            raise Violation("1: handshake", "the handshake goes through", f"HTTP {opened}")
        self._connections.append(opened)
        if greet:
            opened.welcome = await opened.ask(self.hello())
            if opened.welcome["type"] != "welcome":
                raise Violation("1: hello", "welcome", opened.welcome)
        return opened

    async def clean(self) -> None:
        """Drop the connections of the case that was tried."""
        conns, self._connections = self._connections, []
        for conn in conns:
            await conn.cut()

    async def open(self) -> None:
        """Read what the server announces, check that it offers the kit's graphs, and make ``ended_run``.

        Raises ``Skipped`` if a graph is missing, ``Violation`` if the run cannot be made.
        """
        conn = await self.connect(strict=False)
        self.minor = conn.welcome["minor"]
        self.limits = conn.welcome["limits"]
        self.features = conn.welcome["features"]
        self.minor = conn.welcome["minor"]
        listed = await conn.ask({"type": "list", "what": "graphs", "limit": 1000})
        names = {row["name"] for row in listed.get("graphs", [])}
        missing = [f"conformance.{name}" for name in _GRAPHS if f"conformance.{name}" not in names]
        if missing:
            raise Skipped(f"this server does not offer {', '.join(missing)}")
        self.ended_run = self.new_id()
        started = await conn.ask(
            {
                "type": "run",
                "graph": "conformance.filters",
                "input": {"topic": "t"},
                "run": self.ended_run,
                "metadata": {"kit": "vectors"},
                "record": {"modes": ["custom", "messages", "updates", "tasks", "values"], "subgraphs": True},
            }
        )
        if started["type"] != "started":
            raise Violation("2: run", "started", started)
        self.epoch = started["epoch"]
        # Nothing else is judged here: a server with one fault should fail the case of that fault.
        until = asyncio.get_running_loop().time() + self.patience_s
        status = "running"
        while status in ("queued", "running"):
            status = (await conn.ask({"type": "result", "run": self.ended_run})).get("status", "unknown")
            if asyncio.get_running_loop().time() > until:
                raise Violation("2: run", "conformance.filters ends", f"it is {status}")
            await asyncio.sleep(0.01)
        await self.clean()
