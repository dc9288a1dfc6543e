"""Nodes that block, compute, sleep in threads or leave tasks behind delay the runs of nobody else; nor does
a saver that hangs.

About `gateway/graphwire_gateway/graphs/node_threads.py`, `gateway/graphwire_gateway/graphs/job.py` and
`gateway/graphwire_gateway/graphs/runner.py`.
"""

import pytest

from tests.support.attacks.code import CODE
from tests.support.attacks.figures import holds

pytestmark = pytest.mark.abuse

RUN_S = 1.5
"""What a run of others may take on a busy machine."""


@pytest.mark.parametrize("name", ["nodes that block their loop", "nodes that compute"])
async def test_a_graph_with_a_loop_of_its_own_delays_no_other(name: str) -> None:
    figures = await holds(CODE[name])
    assert max(figures.during.runs) < RUN_S


async def test_each_user_has_a_share_of_the_threads_and_gets_it_back() -> None:
    figures = await holds(CODE["nodes that sleep in threads"])
    assert max(figures.during.runs) < RUN_S
    assert figures.report["own_run_s"] < 10


async def test_whoever_asks_a_saver_that_hangs_is_answered_in_time() -> None:
    figures = await holds(CODE["a saver that hangs"])
    assert figures.report == {"answers": ["unavailable", "unavailable", "not_found"]}, "and holds no thread"


async def test_tasks_that_a_run_has_left_are_cancelled() -> None:
    await holds(CODE["tasks that are left"])
