"""One frame names 15,000 keys that are similar to those of the graph; others are served meanwhile.

About `gateway/graphwire_gateway/execution/names.py`.
"""

import pytest
from graphwire_runtime import END, START, StateGraph
from typing_extensions import TypedDict

from tests.live.conftest import Connect, Serve
from tests.support.others import worst_ping_s

pytestmark = pytest.mark.abuse

LONG = "abcdefgh" * 6
Wide = TypedDict("Wide", {LONG + str(number): int for number in range(10)}, total=False)  # type: ignore[misc]


async def test_names_that_are_compared_delay_nobody(serve: Serve, connect: Connect) -> None:
    graph = StateGraph(Wide).add_node("n", lambda state: {}).add_edge(START, "n").add_edge("n", END).compile()
    server = await serve({"wide": graph})
    attacker, other = await connect(server), await connect(server)
    filters = [{"modes": ["values"], "keys": [f"{LONG}x{sub % 10}"] * 15} for sub in range(1000)]
    specs = [{"sub": sub + 1, "filter": filter} for sub, filter in enumerate(filters)]

    async def attack() -> None:
        await attacker.run("wide", {}, *specs)
        await attacker.settled()

    worst = await worst_ping_s(other, attack())
    assert worst < 2, "no ping was answered within 10 s before names were compared a few times only"
