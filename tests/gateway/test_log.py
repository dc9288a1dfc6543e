"""About `gateway/graphwire_gateway/log/log.py` and `gateway/graphwire_gateway/log/record.py`.

The log alone: the test carries batches where the committer would, and moves the head where the store would.
"""

from collections.abc import Callable
from typing import Any

import pytest
from graphwire_gateway.log.log import UNCHANGED, Changes, Log
from graphwire_gateway.log.record import RECORD_OVERHEAD, Record, server_record
from graphwire_gateway.log.store import Batch
from graphwire_protocol.filters import Address
from graphwire_protocol.payloads import Lifecycle


class Owner:
    """Notes what it hears of its log, in order."""

    def __init__(self) -> None:
        self.kept: Changes = UNCHANGED
        self.heard: list[Any] = []
        self.on_stored: Callable[[], None] = lambda: None

    def stored(self, batch: Batch) -> None:
        self.heard.append(("stored", batch.first_seq, len(batch.records)))
        self.on_stored()

    def changes(self) -> Changes:
        kept, self.kept = self.kept, UNCHANGED
        return kept

    def sealed(self) -> None:
        self.heard.append("sealed")

    def lost(self, *, is_taken: bool) -> None:
        self.heard.append("lost")


class Reader:
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class Bench:
    """A log, its owner, and who asked for its commit."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.dirty: list[Log] = []
        self.log = Log("p/r", "r", "e1", self.owner, self.dirty.append)

    def reader(self, *, waits: bool = True) -> Reader:
        reader = Reader()
        self.log.join(reader)
        if waits:
            self.log.wait(reader)
        return reader

    def store(self) -> Batch:
        """Carry one batch into a store that takes it."""
        batch = self.log.batch()
        assert batch is not None
        self.log.grow(batch.first_seq + len(batch.records) - 1)
        self.log.stored(batch)
        return batch


@pytest.fixture
def bench() -> Bench:
    return Bench()


def plain(size: int = 10) -> Record:
    return Record(Address("custom"), b"x" * size, 0, size)


def delta(message: str) -> Record:
    return Record(Address("messages"), b"{}", 0, 2, message, b"{}")


# ── what is kept beside the events ───────────────────────────────────────────────────────────────


async def test_what_the_owner_wants_to_be_kept_goes_with_the_next_batch_or_alone(bench) -> None:
    bench.owner.kept = b"standing", b"start"
    bench.log.append([plain()])
    batch = bench.store()
    assert (batch.standing, batch.start, len(batch.records)) == (b"standing", b"start", 1)
    bench.owner.kept = b"next", None
    bench.log.touch()
    assert bench.dirty == [bench.log, bench.log]
    batch = bench.store()
    assert (batch.standing, batch.start, batch.first_seq, len(batch.records)) == (b"next", None, 2, 0)
    assert bench.log.batch() is None
    assert bench.log.append([plain()]) == 2


async def test_a_log_is_settled_when_the_store_holds_what_there_was(bench) -> None:
    assert bench.log.settled().done()
    bench.log.append([plain()])
    first = bench.log.settled()
    batch = bench.log.batch()
    during = bench.log.settled()
    bench.log.touch()
    second = bench.log.settled()
    assert [first.done(), during.done()] == [False, False]
    bench.log.stored(batch)
    assert (first.done(), during.done(), second.done()) == (True, True, False)
    bench.store()
    assert second.done()


@pytest.mark.parametrize("is_lost", [True, False])
async def test_nobody_waits_for_a_log_that_takes_nothing_more(bench, is_lost: bool) -> None:
    bench.log.append([plain()])
    first = bench.log.settled()
    bench.log.batch()
    bench.log.touch()
    second = bench.log.settled()
    if is_lost:
        bench.log.lost(is_taken=False)
    else:
        bench.log.delete()
    assert first.done()
    assert second.done()
    assert bench.log.settled().done()
    assert bench.log.batch() is None


async def test_a_log_goes_on_behind_what_an_earlier_process_wrote(bench) -> None:
    bench.log.take_up(7, None)
    assert (bench.log.head, bench.log.end) == (7, None)
    assert bench.log.append([plain()]) == 8
    assert bench.store().first_seq == 8
    bench.log.take_up(9, "completed")
    assert bench.log.end == "completed"


# ── the three moments of an event ────────────────────────────────────────────────────────────────


def test_what_is_appended_asks_for_a_commit_and_knows_its_seq_but_no_reader_sees_it(bench) -> None:
    reader = bench.reader()
    assert bench.log.append([plain(), plain()]) == 2
    assert bench.log.append([plain()]) == 3
    assert bench.dirty == [bench.log, bench.log]
    assert (bench.log.head, reader.woken, bench.owner.heard) == (0, 0, [])


def test_a_batch_takes_all_that_is_pending_in_its_order_once(bench) -> None:
    records = [plain(), plain(), plain()]
    bench.log.append(records[:2])
    bench.log.append(records[2:])
    batch = bench.log.batch()
    assert (batch.run, batch.epoch, batch.first_seq, list(batch.records)) == ("p/r", "e1", 1, records)
    assert batch.size == sum(record.size for record in records)
    assert bench.log.batch() is None
    assert (bench.log.head, bench.owner.heard) == (0, [])


def test_numbers_have_no_holes_over_several_batches_whenever_the_store_answers(bench) -> None:
    bench.log.append([plain(), plain()])
    first = bench.log.batch()
    assert bench.log.append([plain()]) == 3  # while the first is on its way
    second = bench.log.batch()
    bench.log.stored(first)
    assert bench.log.append([plain(), plain()]) == 5
    third = bench.log.batch()
    assert [batch.first_seq for batch in (first, second, third)] == [1, 3, 4]


def test_a_batch_is_heard_of_when_it_is_stored_and_the_store_moves_the_head(bench) -> None:
    bench.log.append([plain(), plain()])
    batch = bench.log.batch()
    bench.log.grow(2)
    assert (bench.log.head, bench.owner.heard) == (2, [])
    bench.log.stored(batch)
    assert (bench.log.head, bench.owner.heard) == (2, [("stored", 1, 2)])


def test_an_owner_may_append_when_it_hears_that_a_batch_is_stored(bench) -> None:
    bench.log.append([plain()])
    bench.owner.on_stored = lambda: bench.log.append([plain()]) if not bench.log.end else None
    bench.log.seal("completed")
    bench.store()
    assert bench.log.end is None  # what it appended is the last record now
    bench.owner.on_stored = lambda: None
    assert bench.store().first_seq == 2
    assert bench.log.end == "completed"


# ── a message's deltas ───────────────────────────────────────────────────────────────────────────


def test_each_delta_knows_the_seq_of_the_one_before_it_over_several_batches(bench) -> None:
    written = [delta("a"), plain(), delta("b"), delta("a"), delta("a"), delta("b"), plain(), delta("a")]
    for first, behind in ((0, 3), (3, 4), (4, 8)):
        bench.log.append(written[first:behind])
        bench.store()
    assert [record.previous for record in written] == [0, 0, 0, 1, 4, 3, 0, 5]


def test_a_message_that_thousands_of_others_have_followed_begins_anew(bench) -> None:
    bench.log.append([delta("old"), *(delta(f"m{number}") for number in range(5_000))])
    bench.store()
    late, recent = delta("old"), delta("m4999")
    bench.log.append([late, recent])
    bench.store()
    assert (late.previous, recent.previous) == (0, 5001)


# ── readers ──────────────────────────────────────────────────────────────────────────────────────


def test_growth_wakes_each_waiting_reader_once_and_no_other(bench) -> None:
    waiting, twice, elsewhere = bench.reader(), bench.reader(), bench.reader(waits=False)
    bench.log.wait(twice)
    bench.log.append([plain()])
    bench.store()
    assert (waiting.woken, twice.woken, elsewhere.woken) == (1, 1, 0)
    bench.log.append([plain()])
    bench.store()
    assert (waiting.woken, twice.woken, elsewhere.woken) == (1, 1, 0)


def test_a_reader_that_waits_again_as_it_is_woken_waits_for_the_next_growth(bench) -> None:
    class Eager(Reader):
        def wake(self) -> None:
            super().wake()
            bench.log.wait(self)

    eager = Eager()
    bench.log.join(eager)
    bench.log.wait(eager)
    bench.log.grow(1)
    assert eager.woken == 1
    bench.log.grow(2)
    assert eager.woken == 2


def test_a_reader_that_has_left_is_not_woken(bench) -> None:
    gone, stays = bench.reader(), bench.reader()
    bench.log.leave(gone)
    bench.log.grow(1)
    bench.log.delete()
    assert (gone.woken, stays.woken) == (0, 2)


def test_a_log_counts_its_readers_and_says_when_the_last_one_has_left(bench) -> None:
    first, second = bench.reader(), bench.reader(waits=False)
    emptied: list[int] = []
    bench.log.on_empty = lambda: emptied.append(bench.log.readers)
    assert bench.log.readers == 2
    bench.log.leave(first)
    assert (bench.log.readers, emptied) == (1, [])
    bench.log.leave(second)
    assert (bench.log.readers, emptied) == (0, [0])


# ── how a log ends ───────────────────────────────────────────────────────────────────────────────


def test_a_sealed_log_has_its_end_when_its_last_record_is_stored_and_not_before(bench) -> None:
    bench.log.append([plain()])
    early = bench.log.batch()
    bench.log.append([plain()])
    bench.log.seal("failed")
    bench.log.append([plain()])
    bench.log.stored(early)
    assert (bench.log.end, bench.owner.heard) == (None, [("stored", 1, 1)])
    reader = bench.reader()
    last = bench.log.batch()
    assert (bench.log.end, reader.woken) == (None, 0)
    bench.log.stored(last)
    assert bench.log.end == "failed"
    assert bench.owner.heard == [("stored", 1, 1), ("stored", 2, 2), "sealed"]


def test_a_reader_at_the_head_is_woken_by_the_end_itself(bench) -> None:
    bench.log.seal("completed")
    bench.log.append([plain()])
    batch = bench.log.batch()
    bench.log.grow(1)
    at_head = bench.reader()  # it has read all, and waits before the log's owner hears of it
    bench.log.stored(batch)
    assert (at_head.woken, bench.log.end) == (1, "completed")


def test_a_log_is_sealed_once(bench) -> None:
    bench.log.seal("completed")
    bench.log.append([plain()])
    batch = bench.store()
    bench.log.stored(batch)
    assert bench.owner.heard.count("sealed") == 1


def test_a_lost_log_forgets_what_is_pending_and_wakes_the_readers_that_wait(bench) -> None:
    bench.log.append([plain()])
    bench.store()
    bench.log.append([plain()])
    bench.log.seal("completed")
    waiting, elsewhere = bench.reader(), bench.reader(waits=False)
    bench.log.lost(is_taken=False)
    assert bench.log.batch() is None
    assert (waiting.woken, elsewhere.woken) == (1, 0)
    assert bench.owner.heard == [("stored", 1, 1), "lost"]
    assert (bench.log.head, bench.log.end, bench.log.is_deleted) == (1, None, False)


def test_a_deletion_wakes_every_reader_once_also_those_that_do_not_wait(bench) -> None:
    waiting, stalled = bench.reader(), bench.reader(waits=False)
    bench.log.delete()
    assert bench.log.is_deleted
    assert (waiting.woken, stalled.woken) == (1, 1)
    bench.log.grow(7)  # what was on its way to the store
    assert (waiting.woken, stalled.woken) == (1, 1)


# ── records ──────────────────────────────────────────────────────────────────────────────────────


def test_a_record_counts_its_bytes_and_itself_and_shows_its_data() -> None:
    body = b'"mode":"custom","data":[1,2],"interrupts":[]'
    record = Record(Address("custom"), body, 23, 28)
    assert record.data == b"[1,2]"
    assert record.size == len(body) + RECORD_OVERHEAD
    assert (record.call, record.meta, record.previous) == (None, None, 0)


def test_the_server_s_own_event_is_at_the_root_and_has_its_data_whole() -> None:
    record = server_record("lifecycle", Lifecycle(status="running", attempt=1, at="t"))
    assert (record.address.mode, record.address.ns, record.address.node) == ("lifecycle", (), None)
    assert record.data == b'{"status":"running","attempt":1,"at":"t"}'
    assert record.body == b'"mode":"lifecycle","data":' + record.data
