"""Workers and gateways are killed under a load: every run ends once, and what was shown stays.

About `gateway/graphwire_gateway/cluster/worker.py`, `gateway/graphwire_gateway/cluster/relay.py` and
`gateway/graphwire_gateway/cluster/directory.py`. The long form, ``make soak-cluster``, is run by hand.
"""

import pytest

from tests.support.cluster_soak.faults import GENTLE
from tests.support.cluster_soak.soak import Plan, soak

pytestmark = pytest.mark.processes


async def test_every_run_ends_once_whatever_is_killed() -> None:
    plan = Plan(runs=30, faults=3, seed=4, workers=2, kinds=GENTLE, longest_s=2, gap_s=0.5)
    clients, faults = await soak(plan)
    assert faults.made == 3
    assert len(clients.runs) == 30
    assert clients.counts["ticks: completed"] > 0
    assert clients.counts["asks: completed"] > 0
    assert (
        sum(count for name, count in clients.counts.items() if ": " in name and "refused" not in name) == 30
    )
    assert clients.reconnects > 30
