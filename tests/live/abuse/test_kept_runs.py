"""What the server keeps of runs is bounded, and keeps nobody from what is theirs.

About `gateway/graphwire_gateway/runs/runs.py`, `gateway/graphwire_gateway/runs/slots.py`,
`gateway/graphwire_gateway/runs/holdings.py`, `gateway/graphwire_gateway/runs/listing.py` and
`gateway/graphwire_gateway/log/fold.py`.
"""

import pytest

from tests.support.attacks.figures import holds
from tests.support.attacks.runs import RUNS
from tests.support.attacks.walks import WALKS

pytestmark = pytest.mark.abuse


@pytest.mark.parametrize("name", ["inputs of ended runs", "logs of running runs", "messages that merge"])
async def test_what_is_kept_of_runs_is_bounded(name: str) -> None:
    await holds(RUNS[name])


async def test_metadata_that_lists_repeat_is_limited() -> None:
    figures = await holds(WALKS["lists of large metadata"])
    assert figures.report == {"code": "limit_exceeded", "rows": 60}


async def test_runs_that_wait_for_an_answer_count_among_the_active_ones() -> None:
    figures = await holds(RUNS["runs that only ask"])
    assert figures.report["codes"] == ["limit_exceeded", None]


async def test_nobody_writes_another_s_threads_out_of_its_list() -> None:
    figures = await holds(RUNS["threads with many checkpoints"])
    assert figures.report["threads"] == ["t"]


async def test_nobody_pushes_out_another_s_results() -> None:
    assert (await holds(RUNS["results of others"])).report == {"kept": 10}


async def test_nobody_s_queue_of_runs_holds_up_another_s() -> None:
    figures = await holds(RUNS["a queue of runs"])
    assert figures.report["started"] == 900
    assert figures.report["other_waited_s"] < 8
