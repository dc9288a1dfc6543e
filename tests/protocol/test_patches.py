"""A patch turns the old state into the new one, and costs what has changed.

About `protocol/graphwire_protocol/patches.py`.
"""

from typing import Any

import orjson
import pytest
from graphwire_protocol.patches import PatchError, apply, difference
from hypothesis import given
from hypothesis import strategies as st

_SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2, width=16) | st.text("ab/~", max_size=4)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~0", max_size=2), inner, max_size=4)
    ),
    max_leaves=12,
)


def _exact(value: Any) -> bytes:
    """JSON that tells 1 from 1.0 and from true."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@given(_JSON, _JSON)
def test_the_difference_applied_to_the_old_state_is_the_new_one(old: Any, new: Any) -> None:
    before = _exact(old)
    operations = orjson.loads(orjson.dumps(difference(old, new)))
    assert _exact(apply(old, operations)) == _exact(new)
    assert _exact(old) == before, "the old state is left as it is"


@given(_JSON)
def test_nothing_changed_is_no_operation(state: Any) -> None:
    assert difference(state, orjson.loads(orjson.dumps(state))) == []


@pytest.mark.parametrize(
    ("old", "new", "operations"),
    [
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        ({"a": 1}, {"a": 1.0}, [{"op": "replace", "path": "/a", "value": 1.0}]),
        ({"t": "ab"}, {"t": "abc"}, [{"op": "append", "path": "/t", "value": "c"}]),
        ({"l": [1]}, {"l": [1, 2, 3]}, [{"op": "append", "path": "/l", "value": [2, 3]}]),
        ({"l": [1, 2, 3]}, {"l": [1]}, [{"op": "remove", "path": "/l/2"}, {"op": "remove", "path": "/l/1"}]),
        (
            {"a/b": 1, "~": 2},
            {"~": 3},
            [{"op": "remove", "path": "/a~1b"}, {"op": "replace", "path": "/~0", "value": 3}],
        ),
        (
            {"m": [{"c": "x"}, 1, 2]},
            {"m": [{"c": "xy"}, 1, 2]},
            [{"op": "append", "path": "/m/0/c", "value": "y"}],
        ),
        ({}, {"": None}, [{"op": "add", "path": "/", "value": None}]),
        ([1, 2], [3, 4], [{"op": "replace", "path": "", "value": [3, 4]}]),
    ],
)
def test_operations_say_what_has_changed_and_no_more(old: Any, new: Any, operations: Any) -> None:
    assert difference(old, new) == operations


def test_a_chat_that_grows_by_a_message_costs_the_message() -> None:
    chat = {"messages": [{"type": "human", "content": f"message {i}"} for i in range(200)]}
    grown = {"messages": [*chat["messages"], {"type": "ai", "content": "an answer"}]}
    assert len(orjson.dumps(difference(chat, grown))) < 120


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "append", "path": "/n", "value": "x"},
        {"op": "append", "path": "/l", "value": "x"},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "/l/-1", "value": 1},
        {"op": "remove", "path": "/l/9"},
        {"op": "replace", "path": "/n/deeper", "value": 1},
        {"op": "move", "path": "/n", "from": "/l"},
        {"op": "remove", "path": ""},
        {"path": "/n"},
    ],
)
def test_what_does_not_fit_is_an_error_and_no_wrong_state(operation: Any) -> None:
    with pytest.raises(PatchError):
        apply({"n": 1, "l": [1]}, [operation])
