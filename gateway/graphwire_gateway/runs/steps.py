"""Which events of a run belong to which checkpoint of its thread, so that another process can go on there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphwire_protocol.types import Seq

from graphwire_gateway.graphs.pause import Pause

_KEPT = 4
"""Checkpoints that are known; a saver is rarely behind its run by more, and then the input is repeated."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run goes on: all events behind ``after`` are void, and come again.

    With the ``checkpoint``, or without any if it is ""; ``with_input`` says whether the run begins there with
    its input. With a ``pause`` it continues there with what it was given, its answers or its command.
    """

    after: Seq
    checkpoint: str
    with_input: bool
    pause: Pause | None = None


class Steps:
    """The newest checkpoints of a run, each with the seq of the last event that its steps made.

    Later events are of steps that the checkpoint does not hold, earlier ones of those that it holds.
    """

    def __init__(self) -> None:
        self.began: Seq | None = None
        """The seq behind which all events come again if the run begins once more with its input.

        None once it has waited for answers: what it was given is not kept any longer.
        """
        self.marks: tuple[tuple[Seq, str], ...] = ()
        """Seqs and ids of checkpoints, oldest first."""
        self.pause: Pause | None = None
        """Where it waits, has waited or began without an input, until enough checkpoints are behind that."""
        self.answered: Seq | None = None
        """The seq behind which all events come again if it continues there once more."""
        self.answers: dict[str, Any] = {}
        """With ``answered``: what it continued with, as the client sent it."""

    def begin(self, seq: Seq) -> None:
        """Note the event that says that the run executes, before any of its graph."""
        self._forget()
        self.began = seq

    def mark(self, seq: Seq, checkpoint: str) -> None:
        """Note that a checkpoint holds the steps of all events up to ``seq``, and of no other."""
        self.marks = (*self.marks[1 - _KEPT :], (seq, checkpoint))
        if len(self.marks) == _KEPT:
            self.pause, self.answered, self.answers = None, None, {}

    def wait(self, pause: Pause | None) -> None:
        """Note where it waits for answers; None if nothing could be repeated from there."""
        self._forget()
        self.pause = pause

    def resume(self, seq: Seq, answers: dict[str, Any]) -> None:
        """Note the event that says that the run continues with ``answers``, before any of its graph."""
        pause = self.pause
        self._forget()
        if pause is not None:
            self.pause, self.answered, self.answers = pause, seq, answers

    def restore(
        self,
        began: Seq | None,
        marks: Sequence[tuple[Seq, str]],
        pause: Pause | None = None,
        answered: Seq | None = None,
        answers: dict[str, Any] | None = None,
    ) -> None:
        """Be as an earlier process left it."""
        self.began, self.marks = began, tuple(marks)
        self.pause, self.answered, self.answers = pause, answered, answers or {}

    def go_on(self, place: Place) -> None:
        """Forget what belongs to void events."""
        self.marks = tuple(mark for mark in self.marks if mark[0] <= place.after)
        if place.with_input or place.pause is not None:
            self.marks = ()

    def _forget(self) -> None:
        self.restore(None, ())
