"""Where runs and threads belong, and how homes know gateways.

About `gateway/graphwire_gateway/cluster/shards.py` and `gateway/graphwire_gateway/cluster/home_tokens.py`.
"""

import pytest
from graphwire_gateway.cluster.home_tokens import HomeTokens, home_token
from graphwire_gateway.cluster.shards import index_of, owner_of, thread_key
from graphwire_gateway.scope import run_key
from graphwire_protocol.errors import Refusal


def test_every_process_of_every_version_finds_the_same_shard() -> None:
    # These must never change: logs and threads are where they are.
    assert index_of(thread_key("ann", "joke", "t1", is_shared=False), 8) == 0
    assert index_of(thread_key("ann", "joke", "t1", is_shared=True), 8) == 7
    assert index_of(run_key("ann", "r1"), 8) == 3


def test_runs_are_spread_evenly() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[index_of(run_key("anonymous", f"r-{number}"), 8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


def test_each_name_has_one_owner() -> None:
    owners = [owner_of(shard, 5) for shard in range(5)]
    for number in range(100):
        assert sum(owns(f"name {number}") for owns in owners) == 1


@pytest.mark.parametrize("principal", ["ann", "a/b", "", "ü@example.org"])
async def test_a_gateway_speaks_for_a_principal(principal: str) -> None:
    assert await HomeTokens("secret", 3).principal(home_token("secret", 3, principal)) == principal


@pytest.mark.parametrize(
    "token",
    [None, "", "secret", "secret/4/ann", "secret/33/ann", "wrong!/3/ann", home_token("secret", 4, "3/ann")],
)
async def test_nobody_else_gets_into_a_home(token: str | None) -> None:
    tokens = HomeTokens("secret", 3)
    assert tokens
    assert tokens.are_needed
    with pytest.raises(Refusal, match="this address is for gateways") as refused:
        await tokens.principal(token)
    assert refused.value.close == 4401
