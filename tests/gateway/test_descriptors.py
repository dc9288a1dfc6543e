"""The last descriptors of a process are not for connections.

About `gateway/graphwire_gateway/connections/descriptors.py`.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from graphwire_gateway.connections import descriptors
from graphwire_gateway.connections.descriptors import is_out, is_short


def transport(number: int | None) -> Any:
    socket = None if number is None else SimpleNamespace(fileno=lambda: number)
    return SimpleNamespace(get_extra_info=lambda name: socket)


@pytest.mark.parametrize(
    ("limit", "number", "short", "out"),
    [
        (64, 47, False, False),
        (64, 48, True, False),
        (64, 56, True, True),
        (1024, 959, False, False),
        (1024, 960, True, False),
        (1024, 992, True, True),
        (None, 10**6, False, False),
        (64, None, False, False),
    ],
)
def test_a_high_number_says_that_few_are_left(
    limit: int | None, number: int | None, short: bool, out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "soft_limit", lambda: limit)
    assert is_short(transport(number)) is short
    assert is_out(transport(number)) is out
