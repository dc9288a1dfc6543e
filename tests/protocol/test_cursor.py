"""One subscription of a client: what it shows, and where its next attachment begins.

About `protocol/graphwire_protocol/cursor.py`.
"""

from typing import Any

import pytest
from graphwire_protocol.commands import Position, Spec
from graphwire_protocol.credit import Window
from graphwire_protocol.cursor import OutOfStep, Subscription
from graphwire_protocol.filters import Filter
from graphwire_protocol.frames import Event, Gap, Mark, Snapshot
from graphwire_protocol.replies import Subscribed


def subscription(window: int | None = None, **spec: Any) -> Subscription:
    made = Spec(sub=1, filter=Filter(modes=("values", "custom")), **spec)
    return Subscription("r", made, None if window is None else Window(window))


def attached(epoch: str = "e1", after: int | None = 0, recovery: str = "replayed") -> Subscribed:
    return Subscribed.model_validate(
        {"id": 1, "sub": 1, "epoch": epoch, "after": after, "recovery": recovery}
    )


def event(n: int, seq: int, mode: str = "custom", **fields: Any) -> Event:
    return Event(sub=1, n=n, seq=seq, mode=mode, **{"data": None, **fields})


def test_without_a_cursor_an_attachment_begins_where_the_spec_says() -> None:
    fresh = subscription(from_="now")
    assert fresh.position == "now"
    fresh.subscribed(attached(after=5))
    assert fresh.position == Position(epoch="e1", seq=5)


def test_an_event_at_or_below_the_cursor_is_not_shown_again() -> None:
    one = subscription()
    one.subscribed(attached())
    assert one.receive(event(1, 1)) is not None
    assert one.receive(event(2, 2)) is not None
    spec = one.spec()
    assert spec["from_"] == Position(epoch="e1", seq=2)
    one.subscribed(attached(after=2))
    assert one.receive(event(1, 2)) is None
    assert one.receive(event(2, 3)) is not None


def test_a_hole_in_n_is_out_of_step() -> None:
    one = subscription()
    one.subscribed(attached())
    one.receive(event(1, 1))
    with pytest.raises(OutOfStep, match="n=3"):
        one.receive(event(3, 3))


def test_a_gap_moves_the_cursor_with_its_snapshot_and_not_before() -> None:
    one = subscription()
    one.subscribed(attached())
    one.receive(event(1, 4))
    one.spec()
    one.subscribed(attached("e2", None, "gap"))
    one.receive(Gap(sub=1, after_seq=4, upto_seq=2, reason="epoch_changed", lost=()))
    assert one.position == Position(epoch="e1", seq=4)
    one.receive(Snapshot(sub=1, seq=2, status="running", messages=(), interrupts=()))
    assert one.position == Position(epoch="e2", seq=2)


def test_a_mark_moves_the_cursor_forward_only_and_is_not_shown() -> None:
    one = subscription()
    one.subscribed(attached(after=3))
    assert one.receive(Mark(sub=1, seq=7)) is None
    assert one.receive(Mark(sub=1, seq=5)) is None
    assert one.position == Position(epoch="e1", seq=7)


def test_a_mark_that_names_another_n_is_out_of_step_and_leaves_the_cursor() -> None:
    one = subscription()
    one.subscribed(attached())
    one.receive(event(1, 1))
    assert one.receive(Mark(sub=1, seq=4, n=1)) is None
    with pytest.raises(OutOfStep, match="n=2"):
        one.receive(Mark(sub=1, seq=9, n=2))
    assert one.position == Position(epoch="e1", seq=4)


def test_a_mark_before_the_first_event_names_n_0() -> None:
    one = subscription()
    one.subscribed(attached())
    assert one.receive(Mark(sub=1, seq=4, n=0)) is None
    one.spec()
    one.subscribed(attached(after=4))
    with pytest.raises(OutOfStep, match="n=1"):
        one.receive(Mark(sub=1, seq=9, n=1))


def test_patches_become_whole_states_and_start_anew_with_each_attachment() -> None:
    one = subscription(values="patch")
    one.subscribed(attached())
    one.receive(event(1, 1, "values", data={"a": 1}))
    patch = [{"op": "add", "path": "/b", "value": 2}]
    shown = one.receive(event(2, 2, "values", data=patch, base=1))
    assert isinstance(shown, Event)
    assert (shown.data, shown.base) == ({"a": 1, "b": 2}, None)
    one.spec()
    one.subscribed(attached(after=2))
    with pytest.raises(OutOfStep, match="patch of seq 2"):
        one.receive(event(1, 3, "values", data=patch, base=2))


def test_an_attachment_opens_with_the_credit_that_the_window_has_left() -> None:
    one = subscription(window=4)
    assert one.spec()["credit"] == 4
    one.subscribed(attached())
    one.receive(event(1, 1))
    assert one.spec()["credit"] == 3
