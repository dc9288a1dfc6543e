"""What a watch yields beside rows of runs, and rows with their values restored."""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from graphwire_protocol.replies import RunRow, ThreadRow

from graphwire.events import restored

RowT = TypeVar("RowT", RunRow, ThreadRow)


@dataclass(frozen=True, slots=True)
class RunGone:
    """A run that a watch has shown is no longer there; take it off the board.

    ``reason`` is the server's: ``deleted``, ``expired`` (its result was kept long enough) or ``evicted`` (it
    made room for others). It is ``unlisted`` if the list after a reconnect does not name the run: it was lost
    with a restart of the server, or it was deleted or stopped matching meanwhile.

    ``status`` is always ``gone``, so that code may look at the status of whatever a watch yields.
    """

    run: str
    reason: str
    status: Literal["gone"] = "gone"


@dataclass(frozen=True, slots=True)
class ThreadGone:
    """A thread that a watch has shown is no longer there; take it off the list.

    ``reason`` is the server's: ``deleted``, ``expired`` (its last run was forgotten, and no checkpoint is
    left) or ``evicted`` (it made room for others in the server's memory). It is ``unlisted`` if the list
    after a reconnect does not name the thread. ``status`` is always ``gone``, as of ``RunGone``.
    """

    graph: str
    thread: str
    reason: str
    status: Literal["gone"] = "gone"


@dataclass(frozen=True, slots=True)
class WatchSynced:
    """The watch has yielded all that matches now, after its start and after each reconnect.

    ``cut`` is how many runs or threads it left out, because they are more than the server's
    ``max_watch_runs``; the newest are there. If it is not 0, one that was shown before a reconnect may be
    gone without a ``RunGone`` or ``ThreadGone``.
    """

    cut: int = 0


def restored_row(row: RowT) -> RowT:
    """Return the row with what its questions ask as it was before it was sent."""
    if row.questions is None:
        return row
    questions = tuple(item.model_copy(update={"value": restored(item.value)}) for item in row.questions)
    update: dict[str, Any] = {"questions": questions}
    return row.model_copy(update=update)
