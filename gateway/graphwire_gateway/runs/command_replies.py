"""The replies to what a principal asks of runs, of threads and of the graphs that are served, but for a start
and for what is streamed.

In which order commands are carried out, and how replies are sent, is for whoever takes the commands.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.payloads import AskedInterrupt, PendingInterrupt
from graphwire_protocol.replies import Ok

from graphwire_gateway.cutting import cut_anywhere, question_slots, shrink
from graphwire_gateway.execution.names import graph_notes, update_notes
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.states import States

Asking: TypeAlias = (
    commands.Cancel
    | commands.Respond
    | commands.Result
    | commands.List
    | commands.State
    | commands.StateHistory
    | commands.StateUpdate
    | commands.ThreadUpdate
    | commands.Delete
)


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to a command that was carried out."""

    reply: Callable[[], Ok]
    settled: "asyncio.Future[None] | None" = None
    """Done once the store holds what the reply says; None if it says nothing new."""
    notes: Iterable[str] = ()
    """A sentence for each part of the command that is ignored."""


class CommandReplies:
    """Carries out these commands, of all principals."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        states: States,
        listing: Listing,
        limits: AnnouncedLimits,
        graphs_elsewhere: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._catalog = catalog
        self._graphs_elsewhere = graphs_elsewhere
        self._runs = runs
        self._states = states
        self._listing = listing
        self._max = limits.max_event_bytes

    async def to(self, command: Asking, principal: str) -> CommandReply:
        """Carry out a command; return the reply to it. Raises ``Refusal``."""
        match command:
            case commands.Cancel():
                run = await self._runs.find(principal, command.run)
                run.cancel(command.reason)
                return _status(command, run)
            case commands.Respond():
                run = await self._runs.find(principal, command.run)
                await self._runs.respond(run, command)
                return _status(command, run)
            case commands.Result():
                return _answer(self._result(command, await self._runs.find(principal, command.run)))
            case commands.List():
                ok = await self._list(command, principal)
                graphs = () if command.graph is None else (command.graph,)
                return _answer(ok, graph_notes("list.graph", graphs, self.served))
            case commands.State():
                return _answer(await self._states.get(command, principal))
            case commands.StateHistory():
                return _answer(await self._states.history(command, principal))
            case commands.StateUpdate():
                ok = await self._states.update(command, principal)
                return _answer(ok, update_notes(command, self._catalog.get(command.graph)))
            case commands.ThreadUpdate():
                return _answer(await self._states.update_thread(command, principal))
            case commands.Delete():
                ok = await self._states.delete(command, principal)
                settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                settled.set_result(None)
                return CommandReply(lambda: ok, settled)

    @property
    def served(self) -> list[str]:
        """The names of the graphs that are served, here or by others."""
        return [*(entry.name for entry in self._catalog.all()), *self._graphs_elsewhere()]

    async def _list(self, command: commands.List, principal: str) -> Ok:
        if command.what == "graphs":
            return self._listing.graphs(command)
        if command.what == "threads":
            return await self._listing.threads(command, principal)
        runs, cursor = self._runs.page(principal, command)
        return Ok(id=command.id, runs=tuple(runs), cursor=cursor)

    def _result(self, command: commands.Result, run: Run) -> Ok:
        size, status = None if run.output is None else cut_anywhere(run.output), run.known_status
        if status == "completed" and size is not None:
            raise Refusal(
                "too_large",
                f"result: the output takes {size:,} bytes, more than max_event_bytes, which is "
                f"{self._max:,}; subscribe to values with keys for parts of it, or raise that limit",
                details={"status": status, "bytes": size, "limit": "max_event_bytes"},
            )
        if status != "completed" or run.output is None:
            return Ok(id=command.id, status=status)
        marks = None if run.unanswered is None else self._marks(run.unanswered, len(run.output))
        return Ok(id=command.id, status=status, output=orjson.Fragment(run.output), interrupts=marks)

    def _marks(self, asked: Iterable[PendingInterrupt], beside: int) -> tuple[AskedInterrupt, ...]:
        """Return questions as a result has them, cut so that they fit beside so many bytes of output."""
        marks = [AskedInterrupt(**one.to_wire()).to_wire() for one in asked]
        shrink(question_slots(marks), len(orjson.dumps(marks)) + beside - self._max)
        return tuple(map(AskedInterrupt.model_validate, marks))


def _status(command: commands.Cancel | commands.Respond, run: Run) -> CommandReply:
    return CommandReply(lambda: Ok(id=command.id, status=run.known_status), run.settled())


def _answer(ok: Ok, notes: Iterable[str] = ()) -> CommandReply:
    return CommandReply(lambda: ok, None, notes)
