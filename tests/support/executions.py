"""Executions that run no graph: the test says what each makes, and sees what each is asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.execution import ExecutionOwner, Made, Outcome
from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.failures import Failures
from graphwire_gateway.log.record import Record
from graphwire_protocol.projection import Projector


class PlayedExecution:
    """An execution that runs nothing. ``calls`` has what its owner asked of it, in order.

    ``is_over`` says whether its code has ended.
    """

    def __init__(self, request: RunRequest, owner: ExecutionOwner, *, is_over: bool) -> None:
        self.request = request
        self.owner = owner
        self.is_over = is_over
        self.has_outcome = False
        self.events_before = 0
        self.calls: list[tuple[Any, ...]] = []
        self.following: PlayedExecution | None = None
        """What continues it."""

    # ── asked by its owner ───────────────────────────────────────────────────────────────────────

    def stored(self, events: int, size: int) -> None:
        self.calls.append(("stored", events))

    def cancel(self, again_s: float) -> None:
        self.calls.append(("cancel", again_s))

    def drop(self) -> None:
        self.calls.append(("drop",))

    def delete_private_thread(self) -> None:
        self.calls.append(("delete_private_thread",))

    def resume(self, answers: Mapping[str, Any]) -> "PlayedExecution":
        self.calls.append(("resume", dict(answers)))
        self.following = PlayedExecution(self.request, self.owner, is_over=False)
        return self.following

    def asked(self, name: str) -> list[tuple[Any, ...]]:
        """Return the calls of that name."""
        return [call for call in self.calls if call[0] == name]

    # ── played by the test ───────────────────────────────────────────────────────────────────────

    def make(self, *items: Any, marks: Sequence[tuple[int, str]] = ()) -> None:
        """Hand over what was made in one tick: numbers are custom events, an outcome is the last item.

        ``marks`` are checkpoints, with the numbers of items before them.
        """
        outcome = items[-1] if items and isinstance(items[-1], Outcome) else None
        made = items if outcome is None else items[:-1]
        self.has_outcome = self.has_outcome or outcome is not None
        records = [item if isinstance(item, Record) else custom(item) for item in made]
        self.owner.receive(self, Made(records, outcome, marks=marks))  # type: ignore[arg-type]

    def stop(self) -> None:
        """Let the last of its code end."""
        self.is_over = True
        self.owner.stopped(self)  # type: ignore[arg-type]

    def end(self, *items: Any) -> None:
        """Hand over the last things, the outcome among them, and stop."""
        self.make(*items)
        self.stop()


class PlayedExecutor:
    """Starts executions that run nothing; ``started`` has them in order, ``of`` the latest of each owner.

    With ``are_over`` their code has ended from the beginning, so that an outcome is the end at once.
    """

    def __init__(self, *, are_over: bool = False) -> None:
        self.failures = Failures(expose=True)
        self.started: list[PlayedExecution] = []
        self._are_over = are_over

    def start(self, request: RunRequest, owner: ExecutionOwner) -> PlayedExecution:
        execution = PlayedExecution(request, owner, is_over=self._are_over)
        self.started.append(execution)
        return execution

    def again(self, request: RunRequest, owner: ExecutionOwner, events_before: int) -> PlayedExecution:
        execution = self.start(request, owner)
        execution.events_before = events_before
        return execution

    def paused(self, request: RunRequest, owner: ExecutionOwner, events_before: int) -> PlayedExecution:
        execution = PlayedExecution(request.paused(), owner, is_over=True)
        execution.events_before = events_before
        self.started.append(execution)
        return execution

    def of(self, owner: Any) -> PlayedExecution:
        """Return the execution that runs for ``owner`` now."""
        execution = next(one for one in reversed(self.started) if one.owner is owner)
        while execution.following is not None:
            execution = execution.following
        return execution


_ENCODER = Encoder(Projector(), 1 << 20)


def custom(value: Any) -> Record:
    """Return a custom event at the root."""
    return _ENCODER.part((), "custom", value)


def data_of(record: Record) -> Any:
    """Return the data of an event."""
    return orjson.loads(record.data)
