"""A run of the model server: its whole log, and what one subscription may be sent of it.

It pretends to evict, and starts new epochs, when a test says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphwire_conformance.protocol import call_of
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Position, Respond, Run, Spec
from graphwire_protocol.credit import Allowance
from graphwire_protocol.deltas import add_delta
from graphwire_protocol.filters import Address, Matcher

TERMINAL = ("completed", "failed", "cancelled")
AT = "2026-03-01T12:00:00.000Z"


class Pumps(Protocol):
    """The server, as far as its runs need it."""

    def pump(self) -> None:
        """Let every connection send what it may."""


@dataclass
class Record:
    """One event of a log."""

    seq: int
    mode: str
    data: Any
    ns: tuple[str, ...] = ()
    node: str | None = None
    meta: dict[str, Any] | None = None
    interrupts: list[dict[str, Any]] | None = None


@dataclass
class ModelRun:
    """A run, played by the test: ``emit()``, ``interrupt()``, ``complete()``."""

    server: Pumps
    id: str
    graph: str
    command: Run | None = None
    epoch: str = "e1"
    log: list[Record] = field(default_factory=list)
    evicted: int = 0
    output: Any = None
    modes: tuple[str, ...] = ("values", "updates", "custom", "messages")
    answers: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None
    """Why the next answer does not fit its schema."""
    on_answers: Callable[["ModelRun"], object] = lambda run: run.complete(run.answers)

    @property
    def head(self) -> int:
        return len(self.log)

    def status(self, seq: int | None = None) -> str:
        known = [r.data["status"] for r in self.log[:seq] if r.mode == "lifecycle"]
        return known[-1] if known else "queued"

    def emit(self, mode: str, data: Any, **fields: Any) -> None:
        """Append an event, and let every connection send what it may."""
        self.log.append(Record(self.head + 1, mode, data, **fields))
        self.server.pump()

    def tokens(self, id: str, *texts: str, node: str = "write", tags: tuple[str, ...] = ()) -> None:
        meta = {"langgraph_node": node, **({"tags": list(tags)} if tags else {})}
        for text in texts:
            delta = {"type": "AIMessageChunk", "content": text}
            self.emit("messages", {"id": id, "delta": delta}, node=node, meta=meta)

    def lifecycle(self, status: str, **more: Any) -> None:
        self.emit("lifecycle", {"status": status, "attempt": 1, "at": AT, **more})

    def complete(self, output: Any = None) -> None:
        self.output = output
        self.lifecycle("completed")

    def interrupt(self, *asks: Any, schema: Any = None) -> None:
        """Interrupt with questions, given as id, value, id, value …; none is a static breakpoint.

        ``schema`` is the ``response_schema`` of the last one.
        """
        pending = [{"id": id, "value": asks[at + 1], "ns": []} for at, id in enumerate(asks) if at % 2 == 0]
        if schema is not None:
            pending[-1]["response_schema"] = schema
        self.answers = {}
        self.emit("interrupt", {"interrupts": pending})
        self.lifecycle("interrupted")

    @property
    def asked(self) -> list[str]:
        """The interrupts that have no answer yet."""
        asks = [r.data["interrupts"] for r in self.log if r.mode == "interrupt"]
        return [item["id"] for item in asks[-1] if item["id"] not in self.answers]

    def respond(self, command: Respond) -> str:
        given = {item.interrupt: item.value for item in command.responses}
        if self.status() != "interrupted" or given.keys() & self.answers.keys():
            raise Refusal("conflict", f"run {self.id} does not wait for that")
        if given.keys() - set(self.asked):
            raise Refusal("not_found", "no such interrupt", details={"kind": "interrupt"})
        if self.refused is not None:
            reason, self.refused = self.refused, None
            raise Refusal("invalid_argument", reason)
        is_break = not self.asked
        self.answers |= given
        if (self.asked and not (command.partial and given)) or not (given or is_break):
            return "interrupted"
        return "running"

    def evict(self, upto: int) -> None:
        self.evicted = max(self.evicted, min(upto, self.head))
        self.server.pump()

    def restart_log(self) -> None:
        """Pretend that the store lost its tail: the same events, in a new epoch."""
        self.epoch += "x"
        self.evicted = 0

    def snapshot(self, sub: int, seq: int) -> dict[str, Any]:
        values = [r.data for r in self.log[:seq] if r.mode == "values" and not r.ns]
        messages: dict[str, dict[str, Any]] = {}
        for record in self.log[:seq]:
            if record.mode == "messages":
                item = messages.setdefault(
                    call_of(record.data),
                    {"ns": record.ns, "node": record.node, "message": {}, "meta": record.meta},
                )
                item |= {name: record.data[name] for name in ("id", "call") if name in record.data}
                delta = {name: value for name, value in record.data["delta"].items() if name != "id"}
                item["message"] = add_delta(item["message"], delta)
        pending = [r.data["interrupts"] for r in self.log[:seq] if r.mode == "interrupt"]
        return {
            "type": "snapshot",
            "sub": sub,
            "seq": seq,
            "status": self.status(seq),
            **({"values": values[-1]} if values else {}),
            "messages": list(messages.values()),
            "interrupts": pending[-1] if pending and self.status(seq) == "interrupted" else [],
        }


class Attachment:
    """One subscription on one connection."""

    def __init__(self, run: ModelRun, spec: Spec) -> None:
        self.run = run
        self.sub = spec.sub
        self.matcher = Matcher(spec.filter)
        self.allowance = Allowance(spec.credit)
        self.epoch = run.epoch
        self.n = self.skipped = 0
        self.metas: set[str | None] = set()
        self.first: list[dict[str, Any]] = []
        self.after: int | None
        self.sync_at: int | None
        self.recovery, self.cursor = self._begin(spec.from_)
        self.after = None if self.first else self.cursor
        self.sync_at = run.head if self.recovery != "live" else None

    def _begin(self, start: Any) -> tuple[Any, int]:
        run = self.run
        if start == "now":
            return "live", run.head
        if start == "snapshot":
            self.first = [run.snapshot(self.sub, run.head)]
            return "snapshot", run.head
        if isinstance(start, Position):
            reason = None
            if start.epoch != run.epoch:
                reason = "epoch_changed"
            elif start.seq > run.head:
                reason = "ahead"
            elif start.seq < run.evicted:
                reason = "evicted"
            after = start.seq
        else:
            after, reason = 0, "evicted" if run.evicted else None
        if reason is None:
            return ("replayed" if after < run.head else "live"), after
        self.first = self._gap(after, reason)
        return "gap", run.evicted

    def _gap(self, after: int, reason: str) -> list[dict[str, Any]]:
        upto = self.run.evicted
        gap = {"type": "gap", "sub": self.sub, "after_seq": after, "upto_seq": upto, "reason": reason}
        lost = [m for m in ("updates", "custom") if m in self.matcher.filter.modes]
        return [{**gap, "lost": lost}, self.run.snapshot(self.sub, upto)]

    def frames(self) -> list[dict[str, Any]]:
        """Return the frames that may be sent now."""
        out: list[dict[str, Any]] = []
        run = self.run
        skipped_before = self.skipped
        while True:
            if not self.first and self.cursor < run.evicted:
                self.first = self._gap(self.cursor, "evicted")
                self.cursor = run.evicted
            if self.first:
                if not self.allowance.covers("values"):
                    return out
                out += self.first
                self.first = []
            if self.sync_at is not None and self.cursor >= self.sync_at:
                out.append({"type": "synced", "sub": self.sub, "seq": self.cursor})
                self.sync_at = None
            if self.cursor >= run.head:
                break
            record = run.log[self.cursor]
            tags = tuple((record.meta or {}).get("tags", ()))
            if not self.matcher.admits(Address(record.mode, record.ns, record.node, tags)):
                self.skipped += 1
                self.cursor += 1
                continue
            if not self.allowance.covers(record.mode):
                return out
            self.allowance.spend(record.mode)
            self.cursor += 1
            out.append(self._event(record))
        if self.skipped > skipped_before:
            out.append({"type": "mark", "sub": self.sub, "seq": self.cursor, "n": self.n})
        return out

    def _event(self, record: Record) -> dict[str, Any]:
        self.n += 1
        frame: dict[str, Any] = {"type": "event", "sub": self.sub, "n": self.n, "seq": record.seq}
        frame |= {"mode": record.mode, "data": record.data}
        if record.ns:
            frame["ns"] = list(record.ns)
        if record.node:
            frame["node"] = record.node
        if record.interrupts is not None:
            frame["interrupts"] = record.interrupts
        if record.meta is not None:
            call = call_of(record.data) if "id" in record.data else None
            if call not in self.metas:
                self.metas.add(call)
                frame["meta"] = record.meta
        return frame

    @property
    def has_ended(self) -> bool:
        return self.cursor == self.run.head and self.run.status() in TERMINAL and not self.first
