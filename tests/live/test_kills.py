"""A server is killed in the middle of everything: nothing that clients saw is taken back, on any store that
outlives it.

About `gateway/graphwire_gateway/log/sqlite.py`, `gateway/graphwire_gateway/log/redis_owner.py`,
`gateway/graphwire_gateway/log/redis_opening.py` and `gateway/graphwire_gateway/runs/recovery.py`. The long
form, ``python -m tests.support.kills``, is run by hand.
"""

from pathlib import Path

import pytest

from tests.support.kills.killing import kill_again_and_again
from tests.support.kills.load import Load
from tests.support.redis import redis_server

pytestmark = pytest.mark.processes


async def test_every_run_ends_once_and_what_was_shown_stays(tmp_path: Path) -> None:
    judge(await kill_again_and_again(f"sqlite:///{tmp_path / 'runs.db'}", kills=3, seed=7))


async def test_so_it_is_in_redis() -> None:
    with redis_server(appendonly="yes") as server:
        judge(await kill_again_and_again(server.url, kills=3, seed=8))


def judge(load: Load) -> None:
    assert load.shown > 150
    assert load.reconnects > len(load.runs)
    assert load.counts["ticks: completed"] > 0
    assert load.counts.pop("went on") > 0
    assert sum(load.counts.values()) == len(load.runs)
