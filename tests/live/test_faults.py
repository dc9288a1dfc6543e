"""A thousand faults of networks, readers and runs lose and repeat no event, says an independent oracle.

About `gateway/graphwire_gateway/connections/delivery.py`, `gateway/graphwire_gateway/log/log.py`,
`gateway/graphwire_gateway/log/commit.py` and `clients/python/graphwire/reconnector.py`.
"""

from typing import Any

import pytest

from tests.support.faults.report import Report
from tests.support.faults.storm import Plan, storm

pytestmark = [pytest.mark.slow_store, pytest.mark.abuse]


async def test_a_thousand_faults_and_200_000_events_without_a_broken_promise(store_kind: Any) -> None:
    whole = Report()
    seed = 0
    while not whole.violations and (whole.faults.total() < 1_000 or whole.events < 200_000):
        seed += 1
        # Of three storms one has logs so short that readers fall behind them.
        log_events = 200 if seed % 3 == 0 else 100_000
        whole.add(await storm(Plan(seed, log_events=log_events), store_kind))
    print(whole)
    assert not whole.violations, str(whole)
    assert whole.faults.total() >= 1_000
    assert whole.events >= 200_000
    # It was bad weather of every sort.
    kinds = {"cut in handshake", "cut in frame", "cut in replay", "stall of down", "stall of up", "throttle"}
    kinds |= {"restart", "flood", "subscription replaced", "run cancelled", "loop left and entered again"}
    assert {kind for kind in kinds if whole.faults[kind] < 3} == set()
    assert whole.figures["gaps"] >= 100
    assert whole.figures["snapshots"] >= 100


async def test_while_logs_are_long_enough_nobody_meets_a_gap(store_kind: Any) -> None:
    report = await storm(Plan(101, faults=60), store_kind)
    assert not report.violations, str(report)
    # But who asks for another log's cursor is told that it is not this one.
    assert report.figures["gaps"] <= report.faults["cursor of another epoch"]
