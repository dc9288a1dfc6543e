"""How many runs of a principal are active, where several servers have a part each.

About `gateway/graphwire_gateway/runs/elsewhere.py` and `gateway/graphwire_gateway/cluster/active_runs.py`.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from graphwire_gateway.cluster.active_runs import ActiveRuns
from graphwire_gateway.cluster.groups import Groups, shards_of
from graphwire_gateway.log.store import StoreAway
from graphwire_protocol.errors import Refusal

from tests.gateway.test_runs import Bench, catalog, make, stopped
from tests.support.waiting import until

__all__ = ["catalog", "make"]  # fixtures


class Others:
    """What the other servers know of the principal ``p``."""

    def __init__(self) -> None:
        self.asked = 0
        self.known = 0
        self.error: Exception | None = None

    async def active(self, principal: str, own: int) -> int:
        self.asked += 1
        self.known = own
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()
        raise AssertionError

    def note(self, principal: str, count: int) -> None:
        self.known = count


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_start_that_fails_while_others_are_asked_is_counted_nowhere(
    make: Callable[..., Bench], is_cancelled: bool
) -> None:
    bench, others = make(), Others()
    bench.runs._elsewhere = others
    if is_cancelled:
        starting = asyncio.ensure_future(bench.start("r"))
        await until(lambda: others.asked)
        assert others.known == 1
        await stopped(starting)
    else:
        others.error = StoreAway("away")
        with pytest.raises(Refusal, match="the store of this server is away"):
            await bench.start("r")
    assert (others.asked, others.known) == (1, 0)
    assert not bench.runs._starts, "nothing is left of who starts nothing"


async def test_what_a_group_that_is_away_had_active_does_not_count() -> None:
    asked: list[str] = []

    async def ask_one(*command: Any) -> int:
        _, _, count, *rest = command
        asked[:] = rest[:count]
        return 0

    groups = Groups(2, {}, {"a": "", "b": "gpu"})
    directory: Any = SimpleNamespace(groups=groups, active_key=str, ask_one=ask_one)
    active = ActiveRuns(directory, 1, SimpleNamespace(place=("owner", b"w")))  # type: ignore[arg-type]
    for away, shards in (([], [1, 0, *shards_of("gpu", 2)]), (["gpu"], [1, 0]), (["gpu", ""], [1, 0])):
        directory.groups_away = frozenset(away)
        assert await active.active("p", 1) == 0
        assert asked == list(map(str, shards))
