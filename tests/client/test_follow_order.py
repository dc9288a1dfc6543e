"""About `clients/python/graphwire/follow_order.py`."""

from typing import Any

import pytest
from graphwire.follow_order import MOST_ROWS, RunOrder
from graphwire_protocol.replies import RunRow


def row(number: int | None, status: str = "running", epoch: str = "e", **fields: Any) -> RunRow:
    return RunRow(
        run=f"{epoch}{number}",
        graph="g",
        metadata={},
        status=status,  # type: ignore[arg-type]
        attempt=1,
        epoch="x",
        head=1,
        created_at="",
        modes=(),
        thread_seq=number,
        thread_epoch=None if number is None else epoch,
        **fields,
    )


def following(order: RunOrder) -> str | None:
    found = order.following()
    return found.run if isinstance(found, RunRow) else found


@pytest.fixture
def order() -> RunOrder:
    """An order behind run 2 of the numbering e."""
    order = RunOrder()
    order.add(row(2, "completed"))
    order.begin(("e", 2), is_shown=order.has_ended(("e", 2), order.now), before=order.now)
    return order


def test_runs_come_one_after_the_other_by_their_numbers(order: RunOrder) -> None:
    assert following(order) is None
    for number in (4, 3):  # newest first, as after a reconnect
        order.add(row(number))
    assert following(order) == "e3"
    order.done()
    assert following(order) == "e4"
    order.done()
    assert following(order) is None
    assert order.shown == ("e", 4)


def test_a_hole_is_missed(order: RunOrder) -> None:
    order.add(row(4))
    assert following(order) == "missed"


def test_another_numbering_is_missed_even_if_the_next_run_is_there(order: RunOrder) -> None:
    order.add(row(3))
    order.add(row(1, epoch="f"))
    assert following(order) == "missed"


def test_without_a_numbering_the_first_run_of_any_is_expected() -> None:
    order = RunOrder()
    order.begin(None, is_shown=False, before=0)
    assert order.shown is None
    order.add(row(1, epoch="f"))
    assert following(order) == "f1"
    assert order.epoch == "f"
    late = RunOrder()
    late.begin(None, is_shown=False, before=0)
    late.add(row(2, epoch="f"))
    assert following(late) == "missed"


def test_rows_of_runs_that_never_began_or_were_shown_say_nothing(order: RunOrder) -> None:
    order.add(row(None, "queued"))
    order.add(row(None, "cancelled"))
    order.add(row(1, "completed"))
    order.add(row(2, "completed"))
    assert order.now == 1
    assert following(order) is None


def test_a_state_shows_a_run_whole_only_if_its_end_was_known_before_it_was_asked_for() -> None:
    order = RunOrder()
    order.add(row(1))
    before = order.now
    order.add(row(1, "completed"))
    assert not order.has_ended(("e", 1), before)
    assert order.has_ended(("e", 1), order.now)
    assert not order.has_ended(None, order.now)
    order.begin(("e", 1), is_shown=False, before=before)
    assert following(order) == "e1"


def test_what_a_complete_list_does_not_name_is_forgotten_unless_it_was_cut(order: RunOrder) -> None:
    order.add(row(3))
    order.begin_list()
    order.add(row(4))
    order.end_list(is_cut=True)
    assert following(order) == "e3"
    order.end_list()
    assert following(order) == "missed"
    order.forget("e4")
    assert following(order) is None


def test_rows_of_other_numberings_are_over_if_they_came_before_the_state_was_asked_for() -> None:
    order = RunOrder()
    order.add(row(5, epoch="old"))
    before = order.now
    order.add(row(1, epoch="new"))
    order.begin(("e", 2), is_shown=True, before=before)
    assert order.find(("old", 5)) is None
    assert following(order) == "missed"
    order.begin(("new", 1), is_shown=False, before=order.now)
    assert following(order) == "new1"


def test_too_many_rows_drop_the_oldest_and_that_is_a_hole(order: RunOrder) -> None:
    for number in range(3, 3 + MOST_ROWS):
        order.add(row(number))
    assert following(order) == "e3"
    order.add(row(3 + MOST_ROWS))
    assert following(order) == "missed"
