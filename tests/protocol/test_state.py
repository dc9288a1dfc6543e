"""The tables of legal transitions, and how a state moves by them.

About `protocol/graphwire_protocol/state.py`.
"""

from typing import Any, get_args

import pytest
from graphwire_protocol.commands import Command
from graphwire_protocol.errors import IllegalTransition
from graphwire_protocol.frames import SubFrame
from graphwire_protocol.replies import Reply
from graphwire_protocol.state import (
    CONNECTION,
    REPLY,
    RUN,
    SUBSCRIPTION,
    ConnectionState,
    SubscriptionState,
    advance,
)
from graphwire_protocol.types import TERMINAL, Status


def reached(table: dict[tuple[Any, str], Any], start: Any) -> set[tuple[Any, str]]:
    """Return every pair of the table that a walk from ``start`` can come to."""
    states, pairs = {start}, set()
    while True:
        fresh = {pair for pair in table if pair[0] in states} - pairs
        if not fresh:
            return pairs
        pairs |= fresh
        states |= {table[pair] for pair in fresh}


def test_every_pair_of_the_connection_can_be_reached_and_every_state_is_left_but_closed() -> None:
    assert reached(CONNECTION, "opening") == set(CONNECTION)
    assert {state for state, _ in CONNECTION} == set(get_args(ConnectionState)) - {"closed"}


def test_every_pair_of_a_subscription_can_be_reached_and_every_state_is_left_but_ended() -> None:
    assert reached(SUBSCRIPTION, "requested") == set(SUBSCRIPTION)
    assert {state for state, _ in SUBSCRIPTION} == set(get_args(SubscriptionState)) - {"ended"}


def test_every_frame_of_a_subscription_has_a_place_in_its_table() -> None:
    frames = {model.model_fields["type"].default for model in get_args(SubFrame)}
    assert {frame for _, frame in SUBSCRIPTION} == frames | {"subscribed", "subscribed live", "error"}


def test_a_gap_is_always_followed_by_its_snapshot_or_the_end() -> None:
    behind = {frame for state, frame in SUBSCRIPTION if state in ("gapped", "live_gapped")}
    assert behind == {"snapshot", "closed"}


def test_a_run_moves_as_the_protocol_says() -> None:
    statuses = set(get_args(Status))
    assert reached({pair: pair[1] for pair in RUN}, None) == set(RUN)
    assert {before for before, _ in RUN} == statuses - TERMINAL | {None}
    assert {after for _, after in RUN} == statuses
    assert {after for before, after in RUN if before == "queued"} == {"running", "cancelled"}
    assert {after for before, after in RUN if before == "interrupted"} == {"running", "cancelled"}


@pytest.mark.parametrize("table", [CONNECTION, SUBSCRIPTION, RUN], ids=["connection", "subscription", "run"])
def test_a_state_advances_by_its_table_and_refuses_every_other_step(
    table: dict[tuple[Any, str], Any],
) -> None:
    states = {state for state, _ in table} | set(table.values())
    steps = {step for _, step in table}
    for state in states:
        for step in steps:
            if (state, step) in table:
                assert advance(table, state, step) == table[state, step]
            else:
                with pytest.raises(IllegalTransition) as illegal:
                    advance(table, state, step)
                assert (illegal.value.state, illegal.value.happening) == (state, step)


def test_a_run_takes_the_status_that_happens() -> None:
    assert all(after == status for (_, status), after in RUN.items())


def test_every_request_has_its_reply() -> None:
    commands = {model.model_fields["type"].default for model in get_args(get_args(Command)[0])}
    assert set(REPLY) == commands - {"credit", "ping"}
    assert set(REPLY.values()) | {"error"} == {
        model.model_fields["type"].default for model in get_args(Reply)
    }
