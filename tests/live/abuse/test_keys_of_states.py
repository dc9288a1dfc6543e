"""Hundreds of subscriptions choose keys of large states; others are served meanwhile.

About `gateway/graphwire_gateway/connections/sharing.py`.
"""

from typing import Any

import pytest
from graphwire_runtime import END, START, StateGraph
from typing_extensions import TypedDict

from tests.live.conftest import Connect, Serve
from tests.support.others import worst_ping_s
from tests.support.peer import spec

pytestmark = pytest.mark.abuse

STEPS = 12
SUBSCRIPTIONS = 300


class _State(TypedDict):
    n: int
    rows: list[list[int]]


def _graph() -> Any:
    rows = [[number, number] for number in range(50_000)]  # 0.6 MB, and many objects to parse
    graph = StateGraph(_State)
    graph.add_node("n", lambda state: {"n": state["n"] + 1, "rows": rows})
    graph.add_edge(START, "n")
    graph.add_conditional_edges("n", lambda state: END if state["n"] >= STEPS else "n")
    return graph.compile()


@pytest.mark.parametrize("values", ["full", "patch"])
@pytest.mark.parametrize("filters", [1, SUBSCRIPTIONS])
async def test_keys_of_many_subscriptions_delay_nobody(
    serve: Serve, connect: Connect, filters: int, values: str
) -> None:
    server = await serve({"wide": _graph()})
    attacker, other = await connect(server), await connect(server)
    await attacker.run(
        "wide", {"n": 0, "rows": []}, spec(0, "values", keys=["n"]), run="r", record={"modes": ["values"]}
    )
    await attacker.closed(0)

    async def attack() -> None:
        for sub in range(1, SUBSCRIPTIONS + 1):
            keys = ["n", f"other {sub % filters}"]
            filter = {"modes": ["values"], "keys": keys}
            await attacker.send(
                {
                    "type": "subscribe",
                    "id": sub,
                    "sub": sub,
                    "run": "r",
                    "from": "start",
                    "filter": filter,
                    "values": values,
                }
            )
        left = SUBSCRIPTIONS
        while left:
            left -= (await attacker.next())["type"] == "closed"

    assert await worst_ping_s(other, attack()) < 1, "it was many seconds before the readers shared their cuts"
