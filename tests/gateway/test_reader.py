"""About `gateway/graphwire_gateway/connections/reader.py`.

One reader on a log in memory; the test writes the log and gives the reader its turns. Every frame is checked
against the protocol's table ``SUBSCRIPTION``, as a client would.

Long because each start, gap, mark and end of a subscription is tried against the table of states.
"""

import asyncio
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections.patching import Patches
from graphwire_gateway.connections.reader import Reader
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import NoLog
from graphwire_protocol.commands import Position
from graphwire_protocol.filters import Filter, Matcher
from graphwire_protocol.limits import DEFAULTS, AnnouncedLimits
from graphwire_protocol.projection import Projector
from graphwire_protocol.state import SUBSCRIPTION
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk

from tests.support.logs import LogWriter
from tests.support.stores import GatedStore

ROOM = 1 << 20
SMALL = LogLimits(events=8, min_age_s=0)  # keeps 8 or 9 events


class Attached:
    """A reader, what it has sent, and the state in which a client believes it to be."""

    def __init__(
        self,
        writer: LogWriter,
        credit: int | None,
        is_patched: bool,
        filter: dict[str, Any],
        limits: AnnouncedLimits = DEFAULTS,
    ) -> None:
        self.ready: list[Reader] = []
        matcher = Matcher(Filter.model_validate({"modes": ["custom"], **filter}))
        patches = Patches() if is_patched else None
        ready = self.ready.append
        self.reader = Reader(7, writer.log, writer.store, matcher, credit, ready, patches, limits)
        self.state: Any = "requested"
        self.frames: list[dict[str, Any]] = []
        self.next = ""

    async def attach(self, start: Any) -> tuple[str, int | None]:
        page, recovery, after = await self.reader.attach(start)
        assert page.head == self.reader.log.head
        self.state = SUBSCRIPTION[self.state, "subscribed live" if recovery == "live" else "subscribed"]
        self.reader.log.join(self.reader)
        return recovery, after

    async def turn(self, room: int = ROOM) -> list[Any]:
        """Give it one turn; return what it sends, shortly, and keep what follows in ``next``."""
        out: list[bytes] = []
        size, self.next = await self.reader.turn(out, room)
        assert size == sum(map(len, out))
        return self.note(out)

    async def turns(self) -> list[Any]:
        """Give it turns until it wants no more."""
        sent = await self.turn()
        while self.next == "turn":
            sent += await self.turn()
        return sent

    def mark(self) -> Any:
        frame = self.reader.mark()
        return None if frame is None else self.note([frame])[0]

    def note(self, out: list[bytes]) -> list[Any]:
        frames = [orjson.loads(frame) for frame in out]
        events = [frame for frame in self.frames if frame["type"] == "event"]
        for frame in frames:
            assert frame["sub"] == 7
            self.state = SUBSCRIPTION[self.state, frame["type"]]
            if frame["type"] == "mark":
                assert frame["n"] == len(events)
            if frame["type"] == "event":
                assert frame["n"] == (events[-1]["n"] + 1 if events else 1)
                assert not events or frame["seq"] > events[-1]["seq"]
                events.append(frame)
        self.frames += frames
        return [short(frame) for frame in frames]


def short(frame: dict[str, Any]) -> Any:
    match frame["type"]:
        case "event" if frame["mode"] == "lifecycle":
            return frame["data"]["status"]
        case "event":
            return frame["data"]
        case "gap":
            return ("gap", frame["after_seq"], frame["upto_seq"], frame["reason"])
        case "closed":
            return ("closed", frame["reason"])
        case kind:
            return (kind, frame["seq"])


async def a_log(events: int = 0, limits: LogLimits = LogLimits(min_age_s=0)) -> LogWriter:  # noqa: B008
    writer = await LogWriter(MemoryStore(limits), "r").create()
    for _ in range(events):
        await writer.customs(1)
    return writer


def reading(
    writer: LogWriter, *, credit: int | None = None, is_patched: bool = False, **filter: Any
) -> Attached:
    return Attached(writer, credit, is_patched, filter)


_ENCODER = Encoder(Projector(), 1 << 20)
_META = {"langgraph_node": "n"}


def delta(text: str, id: str = "m") -> Record:
    return _ENCODER.part((), "messages", (AIMessageChunk(content=text, id=id), _META))


# ── where an attachment begins ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("events", "start", "recovery", "sent"),
    [
        (0, "start", ("live", 0), []),
        (3, "start", ("replayed", 0), [0, 1, 2, ("synced", 3)]),
        (3, "now", ("live", 3), []),
        (0, "snapshot", ("snapshot", None), [("snapshot", 0), ("synced", 0)]),
        (3, "snapshot", ("snapshot", None), [("snapshot", 3), ("synced", 3)]),
        (3, Position(epoch="e", seq=0), ("replayed", 0), [0, 1, 2, ("synced", 3)]),
        (3, Position(epoch="e", seq=2), ("replayed", 2), [2, ("synced", 3)]),
        (3, Position(epoch="e", seq=3), ("live", 3), []),
        (
            3,
            Position(epoch="e", seq=4),
            ("gap", None),
            [("gap", 4, 0, "ahead"), ("snapshot", 0), 0, 1, 2, ("synced", 3)],
        ),
        (
            3,
            Position(epoch="old", seq=2),
            ("gap", None),
            [("gap", 2, 0, "epoch_changed"), ("snapshot", 0), 0, 1, 2, ("synced", 3)],
        ),
    ],
    ids=str,
)
async def test_a_reader_begins_where_it_was_asked_to(events, start, recovery, sent) -> None:
    writer = await a_log(events)
    line = reading(writer)
    assert await line.attach(start) == recovery
    assert await line.turns() == sent
    assert (line.next, line.state) == ("waiting", "live")
    await writer.customs(1)
    assert line.ready == [line.reader]
    assert await line.turns() == [events]


@pytest.mark.parametrize("start", ["start", Position(epoch="e", seq=1)])
async def test_what_is_evicted_comes_as_a_gap_and_a_snapshot(start) -> None:
    writer = await a_log(20, SMALL)
    evicted = (await writer.store.read("r", 0, 1)).evicted
    assert evicted >= 11
    line = reading(writer)
    assert await line.attach(start) == ("gap", None)
    after = 0 if start == "start" else 1
    gap = [("gap", after, evicted, "evicted"), ("snapshot", evicted)]
    assert await line.turns() == [*gap, *range(evicted, 20), ("synced", 20)]
    assert line.frames[0]["lost"] == ["custom"]


async def test_a_position_in_what_is_left_needs_no_gap() -> None:
    writer = await a_log(20, SMALL)
    evicted = (await writer.store.read("r", 0, 1)).evicted
    line = reading(writer)
    assert await line.attach(Position(epoch="e", seq=evicted)) == ("replayed", evicted)
    assert await line.turns() == [*range(evicted, 20), ("synced", 20)]


async def test_a_snapshot_is_of_the_log_s_head_as_the_filter_shows_it() -> None:
    writer = await a_log()
    await writer.write(("values", {"a": 1, "b": 2}), ("lifecycle", {"status": "running"}))
    await writer.store_records([delta("hel"), delta("lo")])
    await writer.write(("values", {"a": 3, "b": 4}))
    line = reading(writer, modes=["values"], keys=["a"])
    await line.attach("snapshot")
    await line.turns()
    snapshot = line.frames[0]
    assert (snapshot["values"], snapshot["messages"], snapshot["status"]) == ({"a": 3}, [], "running")
    other = reading(writer, modes=["messages"])
    await other.attach("snapshot")
    await other.turns()
    snapshot = other.frames[0]
    assert ("values" in snapshot, snapshot["messages"][0]["message"]["content"]) == (False, "hello")
    assert snapshot["messages"][0]["meta"] == _META


async def test_a_snapshot_holds_what_came_between_the_attachment_and_its_turn() -> None:
    writer = await a_log(2)
    line = reading(writer)
    await line.attach("snapshot")
    await writer.customs(2)
    assert await line.turns() == [("snapshot", 4), ("synced", 4)]


async def test_a_snapshot_of_a_log_that_is_evicted_meanwhile_is_one_of_its_head() -> None:
    writer = await a_log(2, SMALL)
    line = reading(writer)
    await line.attach("snapshot")
    for _ in range(300):
        await writer.customs(1)
    assert await line.turns() == [("snapshot", 302), ("synced", 302)]


async def test_a_log_that_is_gone_cannot_be_attached_to() -> None:
    for how in ("in the store", "here"):
        writer = await a_log(1)
        if how == "here":
            writer.log.delete()  # the store may have another one of its key
        else:
            await writer.store.delete("r")
        with pytest.raises(NoLog):
            await reading(writer).reader.attach("start")


# ── turns ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_takes_what_there_is_room_for_and_another_follows() -> None:
    writer = await a_log(10)
    line = reading(writer)
    await line.attach("start")
    assert await line.turn(room=1) == [0]
    assert line.next == "turn"
    assert await line.turn(room=100) == [1, 2]
    assert await line.turns() == [*range(3, 10), ("synced", 10)]


async def test_a_long_log_takes_several_turns_so_that_others_get_theirs() -> None:
    writer = await a_log()
    await writer.customs(600)
    line = reading(writer)
    await line.attach("start")
    turns = [len(await line.turn())]
    while line.next == "turn":
        turns.append(len(await line.turn()))
    assert (sum(turns), len(turns) > 2, max(turns) < 300) == (601, True, True)


async def test_a_reader_at_the_head_waits_for_growth_and_is_woken_once() -> None:
    writer = await a_log(1)
    line = reading(writer)
    await line.attach("now")
    assert await line.turn() == []
    assert (line.next, line.ready) == ("waiting", [])
    await writer.customs(1)
    await writer.customs(1)
    assert line.ready == [line.reader]
    assert await line.turns() == [1, 2]


async def test_what_the_filter_holds_back_is_counted_and_the_server_s_own_events_come_anyway() -> None:
    writer = await a_log()
    await writer.write(("values", {}), ("custom", 1), ("lifecycle", {"status": "running"}), ("updates", {}))
    line = reading(writer)
    await line.attach("start")
    assert await line.turns() == [1, "running", ("synced", 4)]
    assert [frame["seq"] for frame in line.frames] == [2, 3, 4]
    await writer.end()
    await line.turns()
    closed = line.frames[-1]
    assert (closed["delivered"], closed["skipped"]) == (3, 2)


async def test_keys_cut_states_and_an_event_of_which_nothing_is_left_is_skipped() -> None:
    writer = await a_log()
    await writer.write(
        ("values", {"a": 1, "b": 2}), ("values", {"b": 3}), ("updates", {"n": {"a": 4, "b": 5}})
    )
    line = reading(writer, modes=["values", "updates"], keys=["a"])
    await line.attach("start")
    sent = await line.turns()
    assert sent[0] == {"a": 1}
    assert {"n": {"a": 4}} in sent
    assert not any("b" in str(item) for item in sent)


async def test_patches_start_from_the_state_that_was_sent_last() -> None:
    writer = await a_log()
    long = "x" * 200
    for number in range(3):
        await writer.write(("values", {"long": long, "count": number}))
    line = reading(writer, modes=["values"], is_patched=True)
    await line.attach("start")
    await line.turns()
    assert line.frames[0]["data"] == {"long": long, "count": 0}
    assert [frame.get("base") for frame in line.frames] == [None, 1, 2, None]
    assert all(long not in str(frame) for frame in line.frames[1:])


# ── metadata ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_s_metadata_comes_with_its_first_delta_of_each_attachment() -> None:
    writer = await a_log()
    await writer.store_records([delta("a"), delta("b")])
    line, late = reading(writer, modes=["messages"]), reading(writer, modes=["messages"])
    await line.attach("start")
    await line.turns()
    await late.attach(Position(epoch="e", seq=1))
    await late.turns()
    await writer.store_records([delta("c"), delta("d", "other")])
    for each in (line, late):
        await each.turns()
    metas = [[f.get("meta") for f in each.frames if f["type"] == "event"] for each in (line, late)]
    assert metas == [[_META, None, None, _META], [_META, None, _META]]


async def test_metadata_comes_again_behind_a_gap() -> None:
    writer = await a_log(0, SMALL)
    await writer.store_records([delta("a")])
    line = reading(writer, modes=["messages"])
    await line.attach("start")
    await line.turns()
    for _ in range(30):
        await writer.store_records([delta("x")])
    sent = await line.turns()
    assert [item[0] for item in sent if isinstance(item, tuple)] == ["gap", "snapshot"]
    events = [frame for frame in line.frames if frame["type"] == "event"]
    assert [bool(frame.get("meta")) for frame in events[:3]] == [True, True, False]


async def test_a_gap_names_messages_if_its_snapshot_has_no_room_for_all_of_them() -> None:
    limits = AnnouncedLimits(max_event_bytes=1000, max_frame_bytes=1000)
    for count, lost in ((4000, ["messages"]), (100, [])):
        writer = await a_log(0, SMALL)
        for number in range(count):
            await writer.store_records([delta("x" * 100, f"m{number}")])
        line = Attached(writer, None, False, {"modes": ["messages"]}, limits)
        await line.attach("start")
        await line.turn()
        gap, snapshot = line.frames
        assert gap["lost"] == lost
        assert len(orjson.dumps(snapshot)) <= limits.largest_message


# ── credit ───────────────────────────────────────────────────────────────────────────────────────


async def test_without_credit_a_reader_stalls_and_continues_with_it() -> None:
    writer = await a_log(5)
    line = reading(writer, credit=2)
    await line.attach("start")
    assert await line.turns() == [0, 1]
    assert line.next == "stalled"
    line.reader.grant(0)
    await writer.customs(1)
    assert line.ready == []  # neither nothing nor growth wakes it
    line.reader.grant(3)
    assert line.ready == [line.reader]
    assert await line.turns() == [2, 3, 4, ("synced", 5)]
    line.reader.grant(1)
    assert await line.turns() == [5]


async def test_credit_that_comes_before_it_is_needed_asks_for_no_turn() -> None:
    writer = await a_log(3)
    line = reading(writer, credit=1)
    await line.attach("start")
    line.reader.grant(1)
    assert line.ready == []
    assert await line.turns() == [0, 1]


async def test_the_server_s_own_events_need_no_credit() -> None:
    writer = await a_log()
    await writer.write(("lifecycle", {"status": "running"}), ("custom", 1))
    line = reading(writer, credit=0)
    await line.attach("start")
    assert await line.turns() == ["running"]
    assert line.next == "stalled"


@pytest.mark.parametrize("start", ["snapshot", Position(epoch="old", seq=1)])
async def test_a_snapshot_waits_for_credit(start) -> None:
    writer = await a_log(1)
    line = reading(writer, credit=0)
    await line.attach(start)
    assert (await line.turns(), line.next) == ([], "stalled")
    line.reader.grant(5)
    assert line.ready == [line.reader]
    assert (await line.turns())[-1] == ("synced", 1)


# ── a reader that falls behind ───────────────────────────────────────────────────────────────────


async def test_a_reader_that_falls_behind_while_live_gets_a_gap_from_where_it_is() -> None:
    writer = await a_log(2, SMALL)
    line = reading(writer)
    await line.attach("start")
    assert await line.turns() == [0, 1, ("synced", 2)]
    for _ in range(30):
        await writer.customs(1)
    evicted = (await writer.store.read("r", 0, 1)).evicted
    assert await line.turns() == [
        ("gap", 2, evicted, "evicted"),
        ("snapshot", evicted),
        *range(evicted, 32),
    ]
    assert line.state == "live"


async def test_a_reader_that_falls_behind_while_it_replays_is_synced_all_the_same() -> None:
    writer = await a_log(5, SMALL)
    line = reading(writer)
    await line.attach("start")
    assert await line.turn(room=1) == [0]
    for _ in range(30):
        await writer.customs(1)
    sent = await line.turns()
    assert sent[0][:2] == ("gap", 1)
    assert sent[-2:] == [34, ("synced", 35)]


# ── marks ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cursor_that_moves_in_silence_is_marked_once() -> None:
    writer = await a_log()
    line = reading(writer)
    await line.attach("now")
    await line.turns()
    assert (line.reader.is_silent, line.mark()) == (False, None)
    await writer.write(("values", {}), ("values", {}))
    assert await line.turns() == []
    assert line.reader.is_silent
    assert line.mark() == ("mark", 2)
    assert (line.reader.is_silent, line.mark()) == (False, None)


async def test_an_event_says_by_itself_where_the_cursor_is() -> None:
    writer = await a_log()
    line = reading(writer)
    await line.attach("now")
    await writer.write(("values", {}), ("custom", 1))
    assert await line.turns() == [1]
    assert line.mark() is None


async def test_nothing_is_marked_before_what_was_missed_is_sent_nor_after_the_end() -> None:
    writer = await a_log()
    await writer.write(("values", {}), ("custom", 1), ("custom", 2))
    line = reading(writer, credit=1)
    await line.attach("start")
    await line.turns()
    await writer.write(("values", {}))
    assert line.mark() is None
    line.reader.grant(9)
    await line.turns()
    line.mark()
    line.reader.is_over = True
    assert line.mark() is None


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_end_follows_the_last_event_with_the_run_s_status() -> None:
    writer = await a_log(2)
    line = reading(writer)
    await line.attach("start")
    await line.turns()
    await writer.end("failed")
    assert await line.turns() == ["failed", ("closed", "end")]
    closed = line.frames[-1]
    assert (closed["seq"], closed["status"], closed["delivered"]) == (3, "failed", 3)
    assert (line.next, line.reader.is_over, line.state) == ("closed", True, "ended")
    assert await line.turn() == []
    assert line.next == "over"


@pytest.mark.parametrize("start", ["start", "now", "snapshot"])
async def test_a_log_that_has_ended_is_read_to_its_end(start) -> None:
    writer = await a_log(2)
    await writer.end()
    line = reading(writer)
    await line.attach(start)
    sent = await line.turns()
    assert sent[-1] == ("closed", "end")
    assert ("completed" in sent) is (start == "start")


async def test_a_reader_at_the_head_of_a_log_that_ends_with_what_it_has_read_is_closed() -> None:
    writer = await a_log()
    writer.log.seal("completed")
    await writer.store.append([])
    line = reading(writer)
    await line.attach("now")
    assert (await line.turns(), line.next) == ([], "waiting")
    writer.log.end = "completed"
    assert await line.turns() == [("closed", "end")]


@pytest.mark.parametrize("how", ["in the store", "here"])
@pytest.mark.parametrize("start", ["start", "snapshot"])
async def test_a_log_that_is_deleted_closes_its_readers(how, start) -> None:
    writer = await a_log(2)
    line = reading(writer, credit=0)
    await line.attach(start)
    await line.turns()
    assert line.next == "stalled"
    line.reader.grant(0 if how == "here" else 1)
    if how == "here":
        writer.log.delete()
    else:
        await writer.store.delete("r")
    assert line.ready == [line.reader]
    line.reader.grant(1)
    assert await line.turns() == [("closed", "deleted")]
    closed = line.frames[-1]
    assert ("seq" in closed, "status" in closed) == (False, False)


@pytest.mark.parametrize("start", ["start", "snapshot"])
async def test_a_reader_that_is_left_while_the_store_reads_sends_nothing(start) -> None:
    store = GatedStore()
    writer = await LogWriter(store, "r").create()
    await writer.customs(3)
    line = reading(writer)
    await line.attach(start)
    store.read_gate.clear()
    turn = asyncio.ensure_future(line.turn())
    await asyncio.wait_for(store.reading.wait(), 5)
    line.reader.is_over = True
    store.read_gate.set()
    assert (await turn, line.next) == ([], "over")


# ── whatever happens in whatever order ───────────────────────────────────────────────────────────

STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 12)),
    st.tuples(st.just("skip"), st.integers(1, 3)),
    st.tuples(st.just("turn"), st.integers(1, 300)),
    st.tuples(st.just("grant"), st.integers(0, 5)),
    st.tuples(st.just("mark"), st.just(0)),
)
STARTS = st.one_of(
    st.sampled_from(["start", "now", "snapshot"]),
    st.builds(Position, epoch=st.sampled_from(["e", "old"]), seq=st.integers(0, 20)),
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 20), STARTS, st.sampled_from([None, 0, 3]), st.lists(STEPS, max_size=20))
def test_every_event_is_sent_or_stands_in_a_snapshot(
    before: int, start: Any, credit: int | None, steps: list[tuple[str, int]]
) -> None:
    async def main() -> None:
        writer = await a_log(before, SMALL)
        written = set(range(1, before + 1))
        line = reading(writer, credit=credit)
        recovery, after = await line.attach(start)
        for step, number in steps:
            if step == "write":
                for _ in range(number):
                    await writer.customs(1)
                    written.add(writer.log.head)
            elif step == "skip":
                await writer.write(*[("values", {})] * number)
            elif step == "turn":
                await line.turn(number)
            elif step == "grant":
                line.reader.grant(number)
            else:
                line.mark()
        line.reader.grant(1000)
        await line.turns()
        await writer.end()
        assert (await line.turns())[-1] == ("closed", "end")
        # A client's cursor, which only these frames move.
        cursor, seen = (0 if after is None else after), set()
        for frame in line.frames:
            if frame["type"] == "event":
                assert not written & set(range(cursor + 1, frame["seq"]))
                cursor = frame["seq"]
                seen.add(cursor)
            elif frame["type"] == "snapshot":
                cursor = frame["seq"]
            elif frame["type"] in ("mark", "synced"):
                assert not written & set(range(cursor + 1, frame["seq"] + 1))
                cursor = frame["seq"]
        assert cursor == writer.log.head
        assert recovery != "gap" or line.frames[0]["type"] == "gap"

    asyncio.run(main())
