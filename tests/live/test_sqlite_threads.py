"""What goes from the file of threads beside a SQLite store: deleted threads, and those of runs that expired.

About `gateway/graphwire_gateway/graphs/sqlite_saver.py`.
"""

from pathlib import Path

import pytest

from tests.live.test_interrupts import asked
from tests.live.test_restart import kept_threads, row, url
from tests.support.graphs import OURS
from tests.support.peer import everything
from tests.support.questions import asker
from tests.support.waiting import poll


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_a_deleted_thread_leaves_nothing_in_the_file_and_the_others_stay(
    serve, connect, path: Path
) -> None:
    peer = await connect(await serve({"asker": asker(OURS)}, store=url(path)))
    for sub, thread in enumerate(("gone", "stays"), 1):
        await peer.run("asker", {"topic": "cats"}, everything(sub), run=f"r{sub}", thread=thread)
        await asked(peer, sub)
    assert len(await kept_threads(path)) == 2
    assert (await peer.ask(type="delete", graph="asker", thread="gone"))["type"] == "ok"
    (left,) = await kept_threads(path)
    assert left.endswith("stays")


async def test_a_run_that_nobody_answers_in_time_leaves_no_thread_of_its_own(
    serve, connect, path: Path
) -> None:
    server = await serve({"asker": asker(OURS)}, store=url(path), limits={"interrupt_ttl_s": 2})
    peer = await connect(server)
    await peer.run("asker", {"topic": "cats"}, everything(1), run="r")
    await asked(peer, 1)
    assert len(await kept_threads(path)) == 1
    await peer.closed(1)
    assert ((await row(peer))["status"], (await row(peer))["reason"]) == ("cancelled", "expired")
    await poll(lambda: kept_threads(path), lambda found: found == [])
