"""About `gateway/graphwire_gateway/runs/registry.py`."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from graphwire_gateway.runs.registry import Registry


@dataclass(eq=False)
class Run:
    """As much of a run as a registry needs."""

    principal: str
    key: str


@pytest.fixture
def registry() -> Any:
    return Registry()


def added(registry: Any, principal: str, count: int) -> list[Run]:
    runs = [Run(principal, f"{principal}/{number}") for number in range(count)]
    for run in runs:
        registry.add(run)
    return runs


def timer() -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(60, lambda: None)


async def test_runs_are_found_by_principal_newest_first_and_by_key(registry) -> None:
    first, second = added(registry, "p", 2)
    (other,) = added(registry, "q", 1)
    assert list(registry.of("p")) == [second, first]
    assert registry.get("q/0") is other
    assert registry.get("q/1") is None
    assert list(registry.all()) == [first, second, other]
    assert not registry.remove(first), "it has not ended"
    assert list(registry.of("p")) == [second]
    assert not registry.holds(first)
    assert list(registry.of("nobody")) == []


async def test_ended_runs_are_known_in_the_order_of_their_ends(registry) -> None:
    first, second = added(registry, "p", 2)
    timers = [timer(), timer()]
    registry.end(second, timers[0])
    registry.end(first, timers[1])
    assert registry.unfinished() == []
    assert registry.first_ended("p") is second
    assert registry.remove(second)
    assert (timers[0].cancelled(), timers[1].cancelled()) == (True, False)
    assert registry.first_ended("p") is first
    assert list(registry.with_ended()) == ["p"]
    registry.stop_timers()
    assert timers[1].cancelled()
    registry.remove(first)
    assert list(registry.with_ended()) == []
