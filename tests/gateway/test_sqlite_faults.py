"""What a SQLite store does when its file is damaged, deleted, too large for its limits, or not to be written.

About `gateway/graphwire_gateway/log/sqlite.py`, `gateway/graphwire_gateway/log/database.py` and
`gateway/graphwire_gateway/log/packed.py`.
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log import sqlite
from graphwire_gateway.log.packed import packed, unpacked
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Damaged, StoreAway

from tests.gateway.test_sqlite import batch, customs, event, opened, seen

SMALL = LogLimits(events=8, bytes=1 << 20, min_age_s=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder / "runs.db"


def large(count: int) -> list[Record]:
    return [event("custom", "x" * 2000) for _ in range(count)]


@contextmanager
def away(path: Path, *, has_other: bool = False) -> Iterator[None]:
    """Let a file be somewhere else for a while, and perhaps an empty one in its place."""
    moved = path.with_name("moved")
    path.rename(moved)
    if has_other:
        path.write_bytes(b"")
    yield
    moved.replace(path)


def change(path: Path, *statements: str) -> None:
    """Change a file that no store has open."""
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


# ── a file that is not there any more ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["runs.db", "runs.db-wal"])
async def test_a_file_that_was_moved_takes_nothing_and_goes_on_when_it_is_back(path: Path, name: str) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        assert await store.append([batch("r", 1, customs(1, 1))]) == [1]
        with away(path.with_name(name)):
            for _ in range(2):
                with pytest.raises(StoreAway, match=rf"{name} cannot be found any more"):
                    await store.append([batch("r", 2, customs(2, 1))])
            with pytest.raises(StoreAway):
                await store.create("s", "e")
        assert await store.append([batch("r", 2, customs(2, 1))]) == [2]
        await store.create("s", "e")
    async with opened(path) as (store, kept):
        assert [(one.run, one.head) for one in kept] == [("r", 2), ("s", 0)]
        assert await seen(store, "r") == [1, 2]


async def test_another_file_in_its_place_is_not_taken_for_it(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, customs(1, 1))])
        told = pytest.raises(StoreAway, match="another file than the one that was opened")
        with away(path, has_other=True), told:
            await store.append([batch("r", 2, customs(2, 1))])


async def test_a_server_with_nothing_to_do_hears_with_its_next_run_that_the_file_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as (store, _):
        monkeypatch.setattr(sqlite, "_IDLE_S", 0)
        with away(path), pytest.raises(StoreAway):
            await store.create("r", "e")
        await store.create("r", "e")
        assert await store.append([batch("r", 1, customs(1, 1))]) == [1]


async def test_a_store_whose_file_is_gone_closes(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.create("r", "e")
    with away(path):
        await store.aclose()
    async with opened(path) as (_, kept):
        assert kept == []


# ── a file that cannot be written ────────────────────────────────────────────────────────────────


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process become larger than ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_that_may_not_grow_takes_nothing_and_goes_on_when_it_may(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, customs(1, 1))])
        with largest_file(path.with_name("runs.db-wal").stat().st_size + 8192):
            for _ in range(2):
                with pytest.raises(sqlite3.OperationalError):
                    await store.append([batch("r", 2, large(500))])
            with pytest.raises(sqlite3.OperationalError):
                await store.create("s", "e", b"x" * 10_000)
            assert (await store.read("r", 0, 9)).head == 1
        assert await store.append([batch("r", 2, large(500))]) == [501]
    async with opened(path) as (store, kept):
        assert [(one.run, one.head) for one in kept] == [("r", 501)]
        assert len(await seen(store, "r")) == 501


async def test_a_file_that_is_made_read_only_keeps_what_it_takes_until_it_is_closed(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, customs(1, 1))])
        for file in path.parent.iterdir():
            file.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            assert await store.append([batch("r", 2, customs(2, 1))]) == [2]
        finally:
            path.parent.chmod(0o755)
    for file in path.parent.iterdir():
        file.chmod(0o644)
    async with opened(path) as (store, _):
        assert await seen(store, "r") == [1, 2]


# ── damaged events ───────────────────────────────────────────────────────────────────────────────

DAMAGES = {
    "no chunk": "UPDATE chunks SET data = x'ffffffff00' WHERE id = (SELECT min(id) FROM chunks)",
    "cut off": "UPDATE chunks SET data = substr(data, 1, 900) WHERE id = (SELECT min(id) FROM chunks)",
    "another head": "UPDATE chunks SET data = x'0000000d5b5b5d2c5b5d2c5b5b315d5d5d' "
    "WHERE id = (SELECT min(id) FROM chunks)",
    "a hole": "DELETE FROM chunks WHERE id = (SELECT min(id) FROM chunks)",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_log_is_named_once_and_the_others_are_read_and_written(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as (store, _):
        for run in ("ann/broken", "ann/whole"):
            await store.create(run, "e")
            await store.append([batch(run, 1, large(64))])
            await store.append([batch(run, 65, large(64))])
    change(path, damage)
    async with opened(path, SMALL) as (store, kept):
        heads = {one.run: one.head for one in kept}
        for _ in range(3):
            with pytest.raises(Damaged):
                await store.read("ann/broken", 0, 99)
        assert len(await seen(store, "ann/whole")) == 128
        assert await store.append([batch("ann/broken", 129, customs(129, 1))]) == [129]
        assert await store.append([batch("ann/whole", 129, customs(129, 1))]) == [129]
        assert (await store.read("ann/whole", 0, 0)).evicted > 100, "the whole one is folded as ever"
        await store.trim(1 << 30)
        assert (await store.read("ann/whole", 0, 0)).evicted > 121
        assert heads == {"ann/broken": 128, "ann/whole": 128}
        assert (await store.read("ann/broken", 0, 0)).evicted == 0, "nothing is folded over what is missing"
    said = [one.getMessage() for one in caplog.records if "damaged" in one.getMessage()]
    assert len(said) == 1
    assert "ann/broken" in caplog.text


@pytest.mark.parametrize("change_of_base", ["evicted = evicted + 5", "base = x'00'", "base = NULL"])
async def test_a_base_that_does_not_match_its_log_is_damaged(path: Path, change_of_base: str) -> None:
    async with opened(path, SMALL) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, customs(1, 64))])
        assert (await store.read("r", 0, 0)).evicted == 56
    change(path, f"UPDATE logs SET {change_of_base}")
    async with opened(path, SMALL) as (store, _):
        with pytest.raises(Damaged):
            await store.base("r")


def test_a_chunk_that_was_cut_off_is_not_read() -> None:
    data = packed(customs(1, 3))
    assert len(unpacked(data)) == 3
    for end in range(len(data)):
        with pytest.raises((ValueError, TypeError, LookupError)):
            unpacked(data[:end])


# ── names ────────────────────────────────────────────────────────────────────────────────────────


async def test_principals_may_have_slashes_and_any_letters(path: Path) -> None:
    principals = ["a", "a/b", "/", "ünï/💥", "x" * 500, "'; DROP TABLE logs; --"]
    async with opened(path) as (store, _):
        for number, principal in enumerate(principals, 1):
            await store.create(f"{principal}/b", "e", principal.encode())
            await store.append([batch(f"{principal}/b", 1, customs(1, number))])
            await store.keep_thread(f"{principal}/t", principal.encode())
        sizes = [store.size_of(principal) for principal in principals]
    async with opened(path) as (store, kept):
        assert [(one.run, one.start.decode()) for one in kept] == [(f"{each}/b", each) for each in principals]
        assert [store.size_of(principal) for principal in principals] == sizes
        assert sorted(sizes) == sizes
        assert await store.threads() == {f"{each}/t": each.encode() for each in principals}
        await store.delete("a/b")
        assert (await store.read("a/b/b", 0, 9)).head == 2
