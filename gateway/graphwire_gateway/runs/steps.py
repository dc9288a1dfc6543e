"""Which events of a run belong to which checkpoint of its thread, so that another process can go on there."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphwire_protocol.types import Seq

_KEPT = 4
"""Checkpoints that are known; a saver is rarely behind its run by more, and then the input is repeated."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run goes on: all events behind ``after`` are void, and come again.

    With the ``checkpoint``, or without any if it is ""; ``with_input`` says whether the run begins there with
    its input.
    """

    after: Seq
    checkpoint: str
    with_input: bool


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

    def begin(self, seq: Seq) -> None:
        """Note the event that says that the run executes, before any of its graph."""
        self.began, self.marks = seq, ()

    def mark(self, seq: Seq, checkpoint: str) -> None:
        """Note that a checkpoint holds the steps of all events up to ``seq``, and of no other."""
        self.marks = (*self.marks[1 - _KEPT :], (seq, checkpoint))

    def resume(self) -> None:
        """Forget all: what the run does with answers is known again with the next checkpoint."""
        self.began, self.marks = None, ()

    def restore(self, began: Seq | None, marks: Sequence[tuple[Seq, str]]) -> None:
        """Be as an earlier process left it."""
        self.began, self.marks = began, tuple(marks)

    def go_on(self, place: Place) -> None:
        """Forget what belongs to void events."""
        self.marks = tuple(mark for mark in self.marks if mark[0] <= place.after)
        if place.with_input:
            self.marks = ()
