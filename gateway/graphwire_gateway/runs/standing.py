"""What a store that outlives the process keeps of a run beside its events, and how that is read back.

A run's start is what it was asked for. Its standing is where it is; each new one comes in the transaction of
the events that tell of it. Together they are enough for another process to show the run, to answer it and to
start it. What a run no longer needs leaves its start: what it was given, once it waits for answers, and all
of its arguments, once it has ended.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from graphwire_protocol import commands
from graphwire_protocol.base import Json, Maybe, Wire
from graphwire_protocol.codec import encode
from graphwire_protocol.payloads import Failure, PendingInterrupt
from graphwire_protocol.types import STREAM_MODES, Mode, Seq, Status

from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.graphs.pause import Pause
from graphwire_gateway.log.store import Kept
from graphwire_gateway.runs.details import StatusDetails
from graphwire_gateway.scope import Scope, run_key


class _StartHead(Wire):
    principal: str
    run: str
    created_at: str
    saved: Maybe[str] = None
    """The checkpointer's id of the thread; left out without one."""
    thread: str = ""
    is_private: bool = False
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a run was asked for, by whom, and the thread that it has.

    ``frame`` is the ``run`` frame without its subscriptions; its ``record`` says what the log records, as
    client and operator asked for it.
    """

    principal: str
    run: str
    created_at: str
    frame: commands.Run
    scope: Scope | None = None

    def dump(self) -> bytes:
        """Return it as bytes, which ``found_run`` reads."""
        # The frame is a text of its own: within another object it might be nested too deep to be read.
        head = _StartHead(principal=self.principal, run=self.run, created_at=self.created_at)
        if self.scope is not None:
            head = head.model_copy(update=asdict(self.scope))
        return b"\n".join([encode(head), encode(self.frame)])

    @classmethod
    def load(cls, data: bytes) -> "RunStart":
        """Read what ``dump`` wrote. Raises ``ValueError``."""
        first, _, frame = data.partition(b"\n")  # JSON as it is written here has no line's end
        head = _StartHead.model_validate_json(first)
        scope = None
        if head.saved is not None:
            scope = Scope(head.saved, head.thread, head.is_private, head.is_held)
        return cls(head.principal, head.run, head.created_at, commands.Run.model_validate_json(frame), scope)

    @property
    def modes(self) -> frozenset[Mode]:
        """The modes that the log records."""
        modes = () if self.frame.record is None else self.frame.record.modes or ()
        return frozenset(mode for mode in STREAM_MODES if mode in modes)

    @property
    def subgraphs(self) -> bool:
        """Whether the log records subgraphs."""
        return self.frame.record is not None and bool(self.frame.record.subgraphs)

    def without_input(self) -> "RunStart":
        """Return what is needed to continue: nothing that the run began with."""
        return self._with_frame({"input": None, "command": None, "checkpoint": None})

    def without_arguments(self) -> "RunStart":
        """Return what is needed to show the run: nothing of what its graph was given."""
        names = ("input", "command", "checkpoint", "config", "context", "options")
        return self._with_frame(dict.fromkeys(names))

    def _with_frame(self, changes: Mapping[str, Any]) -> "RunStart":
        return replace(self, frame=self.frame.model_copy(update=changes))


def start_of(command: commands.Run, request: RunRequest, created_at: str) -> RunStart:
    """Return the start of a run that ``command`` asked for, and ``request`` is what became of that."""
    record = commands.RecordOptions(modes=tuple(sorted(request.modes)), subgraphs=request.subgraphs)
    frame = command.model_copy(update={"subscribe": (), "record": record})
    return RunStart(request.principal, request.run, created_at, frame, request.scope)


class RunStanding(Wire):
    """Where a run is. The fields without a word here are those of its row, or of the ``Run`` of that name."""

    status: Status
    at: str
    reason: Maybe[str] = None
    error: Maybe[Failure] = None
    """As rows show it; ``failure`` is the whole."""
    interrupts: Maybe[tuple[str, ...]] = None
    questions: Maybe[tuple[PendingInterrupt, ...]] = None
    attempt: int = 1
    handed_over: int = 0
    """How many of its attempts ended because a server that went handed it over."""
    started_at: Maybe[str] = None
    ended_at: Maybe[str] = None
    thread_seq: Maybe[int] = None
    thread_epoch: Maybe[str] = None
    numbering: Maybe[tuple[str, int]] = None
    """Of its thread: the numbering's id, and the last number."""
    epoch: Maybe[str] = None
    """The log's, as long as the store has lost nothing."""
    checkpoint: Maybe[str] = None
    began: Maybe[Seq] = None
    """This and the next three are those of its ``Steps``."""
    marks: tuple[tuple[Seq, str], ...] = ()
    pause: Maybe[Pause] = None
    answered: Maybe[Seq] = None
    cancelled_by: Maybe[str] = None
    failure: Maybe[Failure] = None
    unanswered: Maybe[tuple[PendingInterrupt, ...]] = None
    is_resumed: bool = False
    is_deleted: bool = False
    kept_bytes: int = 0
    has_output: bool = False
    schemas: Maybe[dict[str, dict[str, Any]]] = None
    """The JSON Schemas of answers to open questions, by interrupt."""
    answers: Maybe[dict[str, Json]] = None
    """Answers that wait for others, or with which it continues, by interrupt, as the client sent them."""

    def dump(self, output: bytes | None) -> bytes:
        """Return it and the run's output as bytes, which ``found_run`` reads."""
        return b"\n".join([encode(self), output or b""])

    @property
    def details(self) -> StatusDetails:
        """Its status, with what goes with it."""
        return StatusDetails(
            self.status, self.reason, self.error, self.interrupts, self.questions, self.at, self.attempt
        )


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run of an earlier process. Without a ``standing`` it never began, and nobody knows of it."""

    key: str
    epoch: str
    head: Seq
    start: RunStart
    standing: RunStanding | None
    output: bytes | None


def found_run(kept: Kept) -> FoundRun:
    """Read what is kept of a run. Raises ``ValueError``."""
    start = RunStart.load(kept.start)
    if kept.run != run_key(start.principal, start.run):
        raise ValueError(f"it is kept as {kept.run!r}, and says that it is another run")
    if kept.standing is None:
        return FoundRun(kept.run, kept.epoch, kept.head, start, None, None)
    head, _, output = kept.standing.partition(b"\n")
    standing = RunStanding.model_validate_json(head)
    datetime.fromisoformat(standing.at.replace("Z", "+00:00"))
    return FoundRun(kept.run, kept.epoch, kept.head, start, standing, output if standing.has_output else None)
