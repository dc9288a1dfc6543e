"""A checkpointer's thread ids keep principals and graphs apart, and never leave the server.

About `gateway/graphwire_gateway/scope.py`.
"""

import json
from itertools import combinations
from typing import Any

import pytest
from graphwire_gateway.scope import (
    PRINCIPAL,
    PRIVATE,
    private_scope,
    public_checkpoint,
    public_config,
    thread_scope,
    without_own,
)
from hypothesis import given
from hypothesis import strategies as st

names = st.text(st.sampled_from("ab/%: ä"), max_size=4)
owners = st.tuples(names, names, names)


@given(one=owners, other=owners)
def test_each_thread_has_an_id_of_its_own(one: Any, other: Any) -> None:
    saved = [thread_scope(*each, is_shared=False).saved for each in (one, other)]
    assert (saved[0] == saved[1]) == (one == other)


def test_ids_that_would_collide_without_quoting_do_not() -> None:
    scopes = [
        thread_scope("ann", "g", "b/t", is_shared=False),
        thread_scope("ann/b", "g", "t", is_shared=False),
        thread_scope("b", "g/ann", "t", is_shared=False),
        thread_scope("", "g", "t", is_shared=False),
        private_scope("ann", "b/t"),
        private_scope("ann/b", "t"),
    ]
    assert all(one.saved != other.saved for one, other in combinations(scopes, 2))


def test_a_shared_thread_is_the_same_for_every_principal() -> None:
    ann, bob = (thread_scope(who, "g", "t", is_shared=True) for who in ("ann", "bob"))
    assert ann == bob
    assert not ann.is_private
    assert ann.saved != thread_scope("ann", "g", "t", is_shared=False).saved


@given(principal=names, graph=names, thread=names)
def test_no_thread_of_a_caller_looks_private(principal: str, graph: str, thread: str) -> None:
    for is_shared in (True, False):
        assert not thread_scope(principal, graph, thread, is_shared=is_shared).saved.startswith(PRIVATE)
    own = private_scope(principal, thread)
    assert own.saved.startswith(PRIVATE)
    assert own.is_private


def test_the_caller_s_name_replaces_the_checkpointer_s() -> None:
    scope = thread_scope("ann", "g", "t", is_shared=False)
    data = json.dumps({"thread_id": scope.saved, "text": f'he said "{scope.saved}"', "n": [scope.saved]})
    cleared = json.loads(scope.clear(data.encode()))
    assert cleared["thread_id"] == "t"
    assert cleared["n"] == ["t"]
    assert cleared["text"] == f'he said "{scope.saved}"', "a user's own text stays as it is"
    assert scope.clear_text(f"no checkpoint of {scope.saved}") == "no checkpoint of t"


def test_the_server_s_own_keys_are_left_out() -> None:
    own = {PRINCIPAL: "ann", "graphwire_run": "r"}
    config = {"tags": ["a"], "configurable": {"thread_id": "t", "_note": 1, "__pregel_send": print, **own}}
    assert public_config(config) == {"tags": ["a"], "configurable": {"thread_id": "t", "_note": 1}}
    assert without_own({"step": 1, **own}) == {"step": 1}
    assert without_own({"graphwire_note": "a user's"}) == {"graphwire_note": "a user's"}


@pytest.mark.parametrize("value", [None, "text", 1, {"tags": []}])
def test_what_is_no_config_is_returned_as_it_is(value: Any) -> None:
    assert public_config(value) == value
    assert without_own(value) == value
    assert public_checkpoint(value) == value


def test_a_checkpoint_is_cleared_in_each_of_its_configs() -> None:
    own: Any = {"configurable": {"thread_id": "t", PRINCIPAL: "ann"}}
    payload = {
        "config": own,
        "parent_config": own,
        "metadata": {"step": 1, PRINCIPAL: "ann"},
        "values": {"n": 1},
        "tasks": [{"name": "a", "state": own}, {"name": "b", "state": None}],
    }
    public = public_checkpoint(payload)
    assert PRINCIPAL not in json.dumps(public)
    assert public["parent_config"] == public["config"] == {"configurable": {"thread_id": "t"}}
    assert public["metadata"] == {"step": 1}
    assert [task["name"] for task in public["tasks"]] == ["a", "b"]
    assert PRINCIPAL in json.dumps(payload), "the graph's own objects are not changed"
