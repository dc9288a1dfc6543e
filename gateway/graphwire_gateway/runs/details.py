"""What a run's row says beside its status: why the run has it, and what the run asks. All of it is small."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from graphwire_protocol.payloads import Failure, PendingInterrupt
from graphwire_protocol.types import Status

from graphwire_gateway.cutting import stand_in

MESSAGE_CHARS = 1000
"""The most characters of an error's message in a row."""

QUESTIONS_BYTES = 4 << 10
"""The most bytes of a row's questions, as JSON."""


@dataclass(frozen=True, slots=True)
class StatusDetails:
    """A status that a run has got, and what its rows say of it until the next one."""

    status: Status
    reason: str | None = None
    error: Failure | None = None
    interrupts: tuple[str, ...] | None = None
    """The ids of all questions."""
    questions: tuple[PendingInterrupt, ...] | None = None
    at: str = ""
    """Since when, as RFC 3339."""
    attempt: int = 1
    """How often the run was begun or taken over by then."""


def details_of(
    status: Status,
    reason: str | None = None,
    failure: Failure | None = None,
    asked: Iterable[PendingInterrupt] = (),
) -> StatusDetails:
    """Return the details of ``status``; what is too large for a row is shortened or left out."""
    asked = tuple(asked)
    ids = tuple(item.id for item in asked)
    return StatusDetails(status, reason, _short_failure(failure), ids or None, _short_questions(asked))


def _short_failure(failure: Failure | None) -> Failure | None:
    if failure is None or len(failure.message) <= MESSAGE_CHARS:
        return failure
    return failure.model_copy(update={"message": failure.message[: MESSAGE_CHARS - 1] + "…"})


def _short_questions(asked: Iterable[PendingInterrupt]) -> tuple[PendingInterrupt, ...] | None:
    """Return the questions up to ``QUESTIONS_BYTES``; one that is too large keeps its id and its place."""
    questions: list[PendingInterrupt] = []
    left = QUESTIONS_BYTES
    for question in asked:
        size = _size(question)
        if size > left:
            value = stand_in(len(orjson.dumps(question.value)))
            question = PendingInterrupt(id=question.id, ns=question.ns, value=value)
            size = _size(question)
            if size > left:
                break
        left -= size
        questions.append(question)
    return tuple(questions) or None


def _size(question: PendingInterrupt) -> int:
    return len(orjson.dumps(question.to_wire())) + 1  # and the comma behind it
