"""Credit, as the server spends it and as the client grants it.

About `protocol/graphwire_protocol/credit.py`.
"""

import pytest
from graphwire_protocol.credit import Allowance, Window
from hypothesis import given
from hypothesis import strategies as st


def test_credit_covers_so_many_events_and_lifecycle_and_interrupt_always() -> None:
    allowance = Allowance(1)
    assert allowance.covers("values")
    allowance.spend("values")
    assert not allowance.covers("values")
    for mode in ("lifecycle", "interrupt"):
        assert allowance.covers(mode)
        allowance.spend(mode)
    allowance.add(2)
    assert allowance.left == 2


def test_without_credit_everything_is_covered_and_adding_some_does_not_start_to_count() -> None:
    allowance = Allowance(None)
    allowance.spend("values")
    allowance.add(1)
    assert allowance.left is None
    assert allowance.covers("values")


def test_a_window_holds_at_least_one_event() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Window(0)


@given(st.integers(1, 20), st.lists(st.sampled_from(["put", "take", "attach", "lifecycle"]), max_size=80))
def test_a_window_is_never_overrun_and_never_starves(size: int, steps: list[str]) -> None:
    window = Window(size)
    server = Allowance(window.opening())
    for step in steps:
        if step == "put" and server.covers("values"):
            server.spend("values")
            window.put("values")
        elif step == "take" and window.held:
            server.add(window.take("values"))
        elif step == "attach":
            server = Allowance(window.opening())
        elif step == "lifecycle":
            window.put("lifecycle")
            assert window.take("lifecycle") == 0
        assert server.left is not None
        assert 0 <= window.held + server.left <= size
        # A client that has taken everything has granted enough for the server to continue.
        assert window.held or server.left


def test_credit_goes_back_in_few_frames() -> None:
    window = Window(100)
    grants = []
    for _ in range(1000):
        window.put("values")
        grants.append(window.take("values"))
    assert sum(grants) == 1000
    assert sum(map(bool, grants)) == 20
