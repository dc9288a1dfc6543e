"""What the cases against a server share: connections, runs, names, and the list of cases itself."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, TypeAlias

from graphwire_conformance.servers.attachment import Frame
from graphwire_conformance.servers.connection import PATIENCE_S, Wire, open_wire
from graphwire_conformance.verdict import Fault, LeftOut

ALL_MODES = ["custom", "messages", "updates", "tasks", "values"]
GRAPHS = ("counter", "values", "echo", "talk", "filters", "nested", "fails", "slow")


def data(name: str) -> Any:
    """Return one of the kit's data files."""
    return json.loads((files("graphwire_conformance") / "data" / name).read_text("utf-8"))


class Kit:
    """One server under test."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        drain: Callable[[], Awaitable[None]] | None = None,
        is_patient: bool = False,
    ) -> None:
        self.url = url
        self.token = token
        self.drain = drain
        self.is_patient = is_patient
        self.limits: dict[str, Any] = {}
        self.features: list[str] = []
        self.lone = ""  # an ended run that many cases look at, and its epoch
        self.epoch = ""
        self._wires: list[Wire] = []
        self._names = 0
        self._prefix = f"kit-{os.urandom(4).hex()}"

    def name(self) -> str:
        """Return a run id that nobody has used."""
        self._names += 1
        return f"{self._prefix}-{self._names}"

    def hello(self, **fields: Any) -> Frame:
        """Return a ``hello``."""
        token = {} if self.token is None else {"token": self.token}
        return {"type": "hello", **token, **fields}

    async def connect(self, *, greet: bool = True, **wire: Any) -> Wire:
        """Return a connection."""
        opened = await open_wire(self.url, **wire)
        if isinstance(opened, int):
            raise Fault("1: handshake", "the handshake goes through", f"HTTP {opened}")
        self._wires.append(opened)
        if greet:
            opened.welcome = await opened.ask(self.hello())
            if opened.welcome["type"] != "welcome":
                raise Fault("1: hello", "welcome", opened.welcome)
        return opened

    async def clean(self) -> None:
        """Leave nothing behind a case."""
        wires, self._wires = self._wires, []
        for wire in wires:
            await wire.cut()

    async def open(self) -> None:
        """Look at the server, and make the run that many cases look at."""
        wire = await self.connect(strict=False)
        self.limits = wire.welcome["limits"]
        self.features = wire.welcome["features"]
        listed = await wire.ask({"type": "list", "what": "graphs", "limit": 1000})
        names = {row["name"] for row in listed.get("graphs", [])}
        missing = [f"conformance.{name}" for name in GRAPHS if f"conformance.{name}" not in names]
        if missing:
            raise LeftOut(f"this server does not offer {', '.join(missing)}")
        self.lone = self.name()
        started = await wire.ask(
            run(
                "filters",
                {"topic": "t"},
                run=self.lone,
                metadata={"kit": "vectors"},
                record={"modes": ALL_MODES, "subgraphs": True},
            )
        )
        if started["type"] != "started":
            raise Fault("2: run", "started", started)
        self.epoch = started["epoch"]
        # Nothing is judged here, so that a server with one fault fails the case of that fault.
        until = asyncio.get_running_loop().time() + PATIENCE_S
        status = "running"
        while status in ("queued", "running"):
            status = (await wire.ask({"type": "result", "run": self.lone})).get("status", "unknown")
            if asyncio.get_running_loop().time() > until:
                raise Fault("2: run", "conformance.filters ends", f"it is {status}")
            await asyncio.sleep(0.01)
        await self.clean()


Case: TypeAlias = Callable[[Kit], Awaitable[None]]

CASES: list[tuple[str, str, Case]] = []
"""The written cases: name, rule, and what to do."""


def case(name: str, rule: str) -> Callable[[Case], Case]:
    """Add a case to the list."""

    def add(work: Case) -> Case:
        CASES.append((name, rule, work))
        return work

    return add


def spec(sub: int, *modes: str, **fields: Any) -> Frame:
    """Return a spec: ``credit`` and ``from_`` beside the filter's fields."""
    out: Frame = {"sub": sub}
    if "credit" in fields:
        out["credit"] = fields.pop("credit")
    if "from_" in fields:
        out["from"] = fields.pop("from_")
    return {**out, "filter": {"modes": list(modes), **fields}}


def run(graph: str, input: Any, *specs: Frame, **fields: Any) -> Frame:
    """Return a ``run`` of one of the kit's graphs."""
    return {
        "type": "run",
        "graph": f"conformance.{graph}",
        "input": input,
        "subscribe": list(specs),
        **fields,
    }


def subscribe(run: str, spec: Frame) -> Frame:
    """Return a ``subscribe``."""
    return {"type": "subscribe", "run": run, **spec}
