"""A server on a SQLite store is killed in the middle of everything: nothing that clients saw is taken back.

About `gateway/graphwire_gateway/log/sqlite.py` and `gateway/graphwire_gateway/runs/recovery.py`. The long
form, ``python -m tests.support.kills``, is run by hand.
"""

from pathlib import Path

import pytest

from tests.support.kills.killing import kill_again_and_again

pytestmark = pytest.mark.processes


async def test_every_run_ends_once_and_what_was_shown_stays(tmp_path: Path) -> None:
    load = await kill_again_and_again(tmp_path, kills=3, seed=7)
    assert load.shown > 150
    assert load.reconnects > len(load.runs)
    assert load.counts["ticks: completed"] > 0
    assert load.counts.pop("went on") > 0
    assert sum(load.counts.values()) == len(load.runs)
