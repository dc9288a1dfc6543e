"""What a SQLite store keeps beyond its process, and what it refuses; `test_store` has what all stores share.

About `gateway/graphwire_gateway/log/sqlite.py`, `gateway/graphwire_gateway/log/database.py`,
`gateway/graphwire_gateway/log/packed.py`, `gateway/graphwire_gateway/log/addresses.py`,
`gateway/graphwire_gateway/log/tails.py`, `gateway/graphwire_gateway/log/eviction.py` and
`gateway/graphwire_gateway/log/shares.py`.

Long because each promise of a file has its test, and all of them open files in the same way.
"""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log import database, sqlite
from graphwire_gateway.log.addresses import address_of, fields_of, known
from graphwire_gateway.log.eviction import first
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.packed import packed, unpacked
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.shares import FLOOR, shares
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Batch, Fenced, Kept
from graphwire_gateway.log.tails import Tails
from graphwire_protocol.filters import Address, Filter, Matcher
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import settle, until

ALL = Matcher(Filter(modes=("custom", "values", "messages", "updates"), namespaces=(("**",),)))


def event(mode: str, data: Any, *, address: Address | None = None, **fields: Any) -> Record:
    text = orjson.dumps(data)
    body = b'"mode":"%s","data":%s' % (mode.encode(), text)
    return Record(address or Address(mode), body, len(body) - len(text), len(body), **fields)


def batch(run: str, first: int, records: list[Record], epoch: str = "e", **fields: Any) -> Batch:
    return Batch(run, epoch, first, records, sum(each.size for each in records), **fields)


def customs(first: int, count: int) -> list[Record]:
    return [event("custom", number) for number in range(first, first + count)]


@asynccontextmanager
async def opened(path: Path, *args: Any, **kwargs: Any) -> AsyncIterator[tuple[SqliteStore, list[Kept]]]:
    store = SqliteStore(path, *args, **kwargs)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        yield store, await store.open()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def seen(store: SqliteStore, run: str) -> list[Any]:
    """Return the data of all events that a log has, read in small pages."""
    found: list[Any] = []
    page = await store.read(run, 0, 0)
    while page.evicted + len(found) < page.head:
        page = await store.read(run, page.evicted + len(found), 7)
        found += [orjson.loads(record.data) for record in page.records]
    return found


# ── over a restart ───────────────────────────────────────────────────────────────────────────────


async def test_what_was_appended_is_there_again_in_the_order_of_creation(path: Path) -> None:
    async with opened(path) as (store, before):
        assert before == []
        for run in ("ann/b", "bob/a"):
            await store.create(run, f"epoch {run}", run.encode())
        await store.append([batch("ann/b", 1, customs(1, 150), "epoch ann/b", standing=b"first")])
        await store.append([batch("ann/b", 151, customs(151, 2), "epoch ann/b", standing=b"second")])
        await store.append([batch("ann/b", 153, [], "epoch ann/b")])
        size = store.size
    async with opened(path) as (store, kept):
        assert kept == [
            Kept("ann/b", "epoch ann/b", 152, b"ann/b", b"second"),
            Kept("bob/a", "epoch bob/a", 0, b"bob/a", None),
        ]
        assert (store.size, store.size_of("ann"), store.size_of("bob")) == (size, size, 0)
        assert await seen(store, "ann/b") == list(range(1, 153))
        assert await store.append([batch("ann/b", 153, customs(153, 1), "epoch ann/b")]) == [153]
        assert await seen(store, "ann/b") == list(range(1, 154))


async def test_a_log_can_be_made_again_if_whoever_asked_for_it_was_gone_before_it_was_made(
    path: Path,
) -> None:
    async with opened(path) as (store, _):
        store._is_away = True  # else it is written with its first records
        async with held(store, "append") as is_done:
            creating = asyncio.ensure_future(store.create("ann/r", "e1", b"first"))
            await until(is_done.is_set)
            creating.cancel()
            await asyncio.gather(creating, return_exceptions=True)
            deleting = asyncio.ensure_future(store.delete("ann/r"))
            await settle()
        await deleting
        await store.create("ann/r", "e2", b"second")
    async with opened(path) as (_, kept):
        assert kept == [Kept("ann/r", "e2", 0, b"second", None)]


async def test_a_new_log_costs_no_transaction_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_IDLE_S", 600)
    async with opened(path) as (store, _):
        done: list[str] = []
        store._file._writing.set_trace_callback(done.append)
        for run in ("ann/a", "ann/b"):
            await store.create(run, "e", run.encode())
        assert done == []
        assert (await store.read("ann/a", 0, 9)).head == (await store.base("ann/a")).upto == 0
        await store.append([batch(run, 1, customs(1, 1)) for run in ("ann/a", "ann/b")])
        assert done.count("COMMIT") == 1
        store._file._writing.set_trace_callback(None)
        await store.append([batch("ann/a", 2, customs(2, 1))])
    async with opened(path) as (store, kept):
        assert [(one.run, one.head, one.start) for one in kept] == [
            ("ann/a", 2, b"ann/a"),
            ("ann/b", 1, b"ann/b"),
        ]


async def test_a_log_that_is_deleted_before_its_first_event_leaves_nothing(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("ann/r", "e1")
        await store.delete("ann/r")
        assert isinstance((await store.append([batch("ann/r", 1, customs(1, 1), "e1")]))[0], Fenced)
        await store.create("ann/s", "e2")
    async with opened(path) as (store, kept):
        assert [one.run for one in kept] == ["ann/s"]
        await store.create("ann/r", "e3")
    async with opened(path) as (_, kept):
        assert [one.run for one in kept] == ["ann/s", "ann/r"]


async def test_a_file_that_has_taken_nothing_is_asked_at_once_for_a_new_log(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        writing = store._file._writing
        writing.execute("PRAGMA query_only=1")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.append([batch("r", 1, customs(1, 1))])
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.create("s", "e")
        writing.execute("PRAGMA query_only=0")
        await store.create("s", "e")
        assert await store.append([batch("r", 1, customs(1, 1)), batch("s", 1, customs(1, 1))]) == [1, 1]
        await store.create("t", "e")
    async with opened(path) as (_, kept):
        assert [(one.run, one.head) for one in kept] == [("r", 1), ("s", 1), ("t", 0)]


async def test_what_is_folded_is_counted_if_whoever_asked_for_it_is_gone(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("ann/r", "e")
        await store.append([batch("ann/r", 1, customs(1, 100))])
        async with held(store, "fold") as is_done:
            trimming = asyncio.ensure_future(store.trim(store.size))
            await until(is_done.is_set)
            trimming.cancel()
            await asyncio.gather(trimming, return_exceptions=True)
        await store.keep_thread("t", None)  # behind it
        await settle()
        size = store.size
    async with opened(path) as (again, _):
        assert again.size == size


@asynccontextmanager
async def held(store: SqliteStore, name: str) -> AsyncIterator[threading.Event]:
    """Let what the file does by that name wait when it is done; yield what says that it waits."""
    gate, is_done, database = threading.Event(), threading.Event(), store._file
    original = getattr(database, name)

    def wait(*args: Any) -> Any:
        done = original(*args)
        is_done.set()
        gate.wait()
        return done

    setattr(database, name, wait)
    try:
        yield is_done
    finally:
        gate.set()
        delattr(database, name)


async def test_a_standing_may_come_without_events(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        assert await store.append([batch("r", 1, [], standing=b"waits")]) == [0]
    async with opened(path) as (_, kept):
        assert [(one.head, one.standing) for one in kept] == [(0, b"waits")]


async def test_a_base_folds_on_behind_a_restart_as_if_there_had_been_none(path: Path) -> None:
    node = Address("messages", ("sub:1",), "node", ("tag",))
    records = [
        event("values", {"a": 1}),
        event("messages", {"id": "m", "delta": {"type": "AIMessageChunk", "content": "one "}}, address=node),
        event("updates", {"n": 1}),
        event("messages", {"id": "m", "delta": {"type": "AIMessageChunk", "content": "two"}}, address=node),
        event("interrupt", {"interrupts": [{"id": "q", "value": 1}]}),
    ]
    for record in records:
        if record.address is node:
            record.call, record.meta = "m", b'{"langgraph_node":"node"}'
    whole = Fold()
    for record in [*records, *records, event("custom", 0)]:
        whole.add(record)
    limits = LogLimits(events=1, bytes=1 << 20, min_age_s=0)
    async with opened(path, limits) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, [*records, event("custom", 0)])])
        assert (await store.base("r")).upto == 5
    async with opened(path, limits) as (store, _):
        await store.append([batch("r", 7, [*records[:4]])])
        await store.append([batch("r", 11, [records[4], event("custom", 0), event("custom", 0)])])
        base = await store.base("r")
    assert base.upto == 12
    expected = whole.snapshot(ALL)
    found = base.snapshot(ALL)
    assert orjson.loads(orjson.dumps(found["messages"])) == orjson.loads(orjson.dumps(expected["messages"]))
    assert orjson.loads(orjson.dumps(found["values"])) == {"a": 1}
    assert base.lost(ALL, 0) == ["custom", "updates"]


async def test_a_deleted_log_does_not_come_back(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, customs(1, 3))])
        await store.delete("r")
        await store.create("r", "e2")
    async with opened(path) as (store, kept):
        assert [(one.epoch, one.head) for one in kept] == [("e2", 0)]
        assert store.size == 0


async def test_a_disk_that_is_full_takes_nothing_and_the_same_batches_later(path: Path) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
        await store.append([batch("r", 1, customs(1, 1))])
        writing = store._file._writing
        pages = writing.execute("PRAGMA page_count").fetchone()[0]
        writing.execute(f"PRAGMA max_page_count={pages}")
        large = [event("custom", "x" * 1000) for _ in range(500)]
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await store.append([batch("r", 2, large), batch("r", 502, customs(502, 1))])
        assert (await store.read("r", 0, 9)).head == 1
        writing.execute("PRAGMA max_page_count=1000000")
        assert await store.append([batch("r", 2, large)]) == [501]
        assert len(await seen(store, "r")) == 501


async def test_records_are_taken_once_also_if_the_log_cannot_be_shortened_behind_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    async with opened(path, LogLimits(events=8, bytes=1 << 20, min_age_s=0)) as (store, _):
        await store.create("r", "e")
        with monkeypatch.context() as patch:
            patch.setattr(store._file, "fold", full)
            assert await store.append([batch("r", 1, customs(1, 20))]) == [20]
        assert (await store.read("r", 0, 0)).evicted == 0
        assert await store.append([batch("r", 21, customs(21, 1))]) == [21]
        assert (await store.read("r", 0, 0)).evicted == 13


def test_what_is_folded_at_once_is_bounded_by_records_and_by_bytes() -> None:
    for bounds, folded in (((9, 3, 1000), 3), ((2, 3, 1000), 2), ((9, 9, 100), 1), ((9, 9, 10), 1)):
        stop = first(*bounds)
        assert [stop(60, 0) for _ in range(5)].index(True) == folded  # one at least, however large


# ── a file that cannot be opened ─────────────────────────────────────────────────────────────────


async def test_a_second_store_on_a_file_is_refused_by_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOCK_S", 0.05)
    async with opened(path):
        with pytest.raises(CannotServe, match=r"runs\.db is open in another process"):
            async with opened(path):
                pass
    async with opened(path) as (_, kept):
        assert kept == []


async def test_files_of_others_and_of_newer_versions_are_refused(path: Path, tmp_path: Path) -> None:
    async with opened(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(CannotServe, match="written by a newer graphwire"):
        async with opened(path):
            pass
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(CannotServe, match="not one of graphwire's"):
        async with opened(other):
            pass
    text = tmp_path / "text.db"
    text.write_text("no database at all, and long enough to be read as one " * 20)
    for broken in (text, tmp_path / "nowhere" / "runs.db"):
        with pytest.raises(CannotServe, match="cannot be opened"):
            async with opened(broken):
                pass


@pytest.mark.parametrize(
    ("synchronous", "durability", "is_clean", "is_kept"),
    [
        ("normal", "crash", False, False),
        ("normal", "crash", True, True),
        ("full", "power", False, True),
    ],
)
async def test_a_loss_of_power_that_may_have_cost_events_makes_new_epochs(
    path: Path,
    synchronous: Any,
    durability: str,
    is_clean: bool,
    is_kept: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(path, synchronous=synchronous) as (store, _):
        assert store.durability == durability
        await store.create("r", "e")
        if not is_clean:  # the process is gone without having closed the file
            monkeypatch.setattr(database.Database, "close", lambda self: None)
    monkeypatch.undo()
    for connection in (store._database,):
        assert connection is None
    monkeypatch.setattr(database, "_LOCK_S", 0.05)
    monkeypatch.setattr(database, "boot_id", lambda: "another boot")
    monkeypatch.setattr(
        database, "_locked", lambda path: sqlite3.connect(":memory:", check_same_thread=False)
    )
    async with opened(path, synchronous=synchronous) as (_, kept):
        assert (kept[0].epoch == "e") is is_kept


async def test_a_loss_of_power_makes_new_epochs_after_a_clean_stop_and_another_start_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as (store, _):
        await store.create("r", "e")
    left = path.with_name("left.db")
    async with opened(path) as (store, _):
        await store.append([batch("r", 1, customs(1, 3))])
        shutil.copy(path, left)  # without the log beside it, which nothing has synced yet
    monkeypatch.setattr(database, "boot_id", lambda: "another boot")
    async with opened(left) as (_, kept):
        assert [(one.run, one.head) for one in kept] == [("r", 0)]
        assert kept[0].epoch != "e"


# ── its parts ────────────────────────────────────────────────────────────────────────────────────

words = st.text(max_size=5)
addresses = st.builds(
    Address,
    st.sampled_from(["messages", "values", "custom"]),
    st.lists(words, max_size=3).map(tuple),
    st.none() | words,
    st.lists(words, max_size=2).map(tuple),
)
records = st.builds(
    lambda address, data, call, meta: event("m", data, address=address, call=call, meta=meta),
    addresses,
    st.dictionaries(words, st.integers(0, 9) | words, max_size=3),
    st.none() | words,
    st.none() | st.binary(max_size=5),
)


@given(st.lists(records, max_size=20), st.integers(0, 5))
def test_records_come_back_as_they_were_packed(given_records: list[Record], previous: int) -> None:
    for record in given_records:
        record.previous = previous
    found = unpacked(packed(given_records))
    names = list(Record.__slots__)
    assert [[getattr(each, name) for name in names] for each in found] == [
        [getattr(each, name) for name in names] for each in given_records
    ], "addresses too are the same objects"


def test_equal_addresses_are_one_object_as_long_as_it_is_used() -> None:
    first = known(Address("values", ("a",), "n", ("t",)))
    assert known(Address("values", ("a",), "n", ("t",))) is first
    assert address_of(orjson.loads(orjson.dumps(fields_of(first)))) is first
    assert known(Address("values", ("a",), "n", ())) is not first


def test_tails_have_the_newest_records_and_a_bound_together() -> None:
    tails = Tails(most_bytes=1000)
    items = customs(1, 3)
    size = sum(each.size for each in items)
    tails.extend("a", 1, items, size)
    assert tails.read("a", 1, 9) == items[1:]
    assert tails.read("a", 3, 9) == []
    assert tails.read("b", 0, 9) is None
    tails.extend("a", 9, items, size)
    assert tails.read("a", 7, 9) is None, "a hole lets go what was before it"
    tails.extend("b", 1, items, size)
    assert (tails.read("a", 8, 9), tails.size) == (None, size)
    assert tails.read("b", 0, 2) == items[:2]


def test_the_largest_logs_share_what_is_left() -> None:
    logs = [("ann", 100_000), ("ann", 10_000), ("bob", 20_000)]
    assert shares(logs, {"ann": 110_000, "bob": 20_000}, 90_000) == {"ann": 60_000}
    assert shares(logs, {"ann": 110_000, "bob": 20_000}, 0) == {"ann": FLOOR, "bob": FLOOR}


async def test_a_damaged_file_is_refused_by_name(path: Path) -> None:
    async with opened(path) as (store, _):
        for number in range(400):
            await store.create(f"ann/{number}", "e", b"x" * 200)
    _damage(path)
    store = SqliteStore(path)
    with pytest.raises(CannotServe, match=r"runs\.db cannot be opened: .*malformed"):
        await store.open()
    await store.aclose()


def _damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096 * 5) + data[-4096 * 4 :])


async def test_a_store_that_was_closed_is_opened_again(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(2):
        kept = await store.open()
        assert len(kept) == number
        await store.create(f"r{number}", "e")
        await store.append([batch(f"r{number}", 1, customs(1, 3))])
        size = store.size
        await store.aclose()
    await store.open()
    assert store.size == size
    await store.aclose()
