"""What one connection sends, on a fake socket: turns, batches, replies first, and nothing kept.

About `gateway/graphwire_gateway/connections/delivery.py` and
`gateway/graphwire_gateway/connections/reader.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections import delivery as module
from graphwire_gateway.connections.delivery import BATCH_BYTES, CONTROL_BYTES, Delivery, batches
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import Batch
from graphwire_protocol.commands import Spec
from graphwire_protocol.errors import Refusal
from hypothesis import given
from hypothesis import strategies as st

from tests.support.logs import LogWriter
from tests.support.stores import GatedStore


class Wire:
    """A delivery on a socket that takes as much as ``room`` messages allow."""

    def __init__(self, store: Any) -> None:
        self.sent: list[bytes] = []
        self.released: list[int] = []
        self.room = asyncio.Semaphore(1 << 30)
        self.stands = asyncio.Event()
        self.came = asyncio.Event()
        self.delivery = Delivery(store, self._send, self.released.append)
        self.task = asyncio.ensure_future(self.delivery.main())

    async def _send(self, message: bytes) -> None:
        self.stands.set()
        await self.room.acquire()
        self.stands.clear()
        self.sent.append(message)
        self.came.set()

    async def until(self, kind: str) -> None:
        """Wait until a frame of that type was sent."""
        while not any(frame["type"] == kind for frame in self.frames):
            self.came.clear()
            await asyncio.wait_for(self.came.wait(), 5)

    @property
    def frames(self) -> list[Any]:
        out = []
        for message in self.sent:
            parsed = orjson.loads(message)
            out.extend(parsed if isinstance(parsed, list) else [parsed])
        return out

    async def settled(self) -> list[Any]:
        await asyncio.wait_for(self.delivery.flushed(), 5)
        return self.frames

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.delivery.close()


@pytest.fixture
async def wire() -> AsyncIterator[Callable[..., Any]]:
    """``await wire(limits, runs)`` returns a wire and so many writers."""
    made: list[Wire] = []

    async def make(runs: int = 1, limits: LogLimits = LogLimits(min_age_s=0)) -> Any:  # noqa: B008
        store = MemoryStore(limits)
        made.append(Wire(store))
        return made[-1], [await LogWriter(store, f"r{number}").create() for number in range(runs)]

    yield make
    for each in made:
        await each.close()


def wish(sub: int, *modes: str, **fields: Any) -> Spec:
    return Spec.model_validate({"sub": sub, "filter": {"modes": modes or ["custom"]}, **fields})


async def attach(wire: Wire, writer: LogWriter, spec: Spec) -> Any:
    reader, reply = await wire.delivery.attach(1, writer.log, spec)
    wire.delivery.begin(reader)
    return reply


async def test_what_is_there_and_what_comes_is_sent_once_in_order(wire) -> None:
    line, (log,) = await wire()
    await log.customs(300)
    await attach(line, log, wish(1))
    await line.settled()
    await log.customs(300)
    await log.end()
    frames = await line.settled()
    assert [frame.get("data") for frame in frames if frame["type"] == "event"][:600] == list(range(600))
    assert [frame["type"] for frame in frames if frame["type"] != "event"] == ["synced", "closed"]
    assert line.released == [1]


async def test_nobody_is_told_of_the_end_before_it_is_sealed(wire) -> None:
    line, (log,) = await wire()
    await attach(line, log, wish(1))
    await log.write(("lifecycle", {"status": "completed", "attempt": 1, "at": "t"}))
    frames = await line.settled()
    assert [frame["type"] for frame in frames] == ["event"]
    log.log.seal("completed")
    log.log.stored(Batch("r0", "e", 2, [], 0))
    assert [frame["type"] for frame in await line.settled()] == ["event", "closed"]


async def test_replies_overtake_events_that_wait_for_the_socket(wire) -> None:
    line, (log,) = await wire()
    line.room = asyncio.Semaphore(0)
    await log.customs(5000)
    await attach(line, log, wish(1))
    await asyncio.wait_for(line.stands.wait(), 5)
    line.delivery.reply(b'{"type":"pong","t":1}')
    for _ in range(1 << 10):
        line.room.release()
    frames = await line.settled()
    at = next(number for number, frame in enumerate(frames) if frame["type"] == "pong")
    assert at < len(frames) - 1000


async def test_replies_beyond_their_bound_stop_the_reader_until_they_are_taken(wire) -> None:
    line, _ = await wire()
    line.room = asyncio.Semaphore(0)
    line.delivery.reply(b'{"x":1}')
    await asyncio.wait_for(line.stands.wait(), 5)
    line.delivery.reply(b'{"y":"%s"}' % (b"y" * CONTROL_BYTES))
    waiting = asyncio.ensure_future(line.delivery.room())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    line.room.release()
    line.room.release()
    await asyncio.wait_for(waiting, 5)


async def test_who_waits_for_room_is_let_go_when_the_connection_is_gone(wire) -> None:
    line, _ = await wire()
    line.task.cancel()
    line.delivery.reply(b'{"y":"%s"}' % (b"y" * 2 * CONTROL_BYTES))
    waiting = asyncio.ensure_future(line.delivery.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    line.delivery.close()
    await asyncio.wait_for(waiting, 5)
    line.delivery.reply(b'{"y":"%s"}' % (b"y" * 2 * CONTROL_BYTES))
    await asyncio.wait_for(line.delivery.room(), 5)


async def test_flushed_waits_for_the_batch_that_is_with_the_socket(wire) -> None:
    line, (log,) = await wire()
    line.room = asyncio.Semaphore(0)
    await log.customs(10)
    await log.end()
    await attach(line, log, wish(1))
    await asyncio.wait_for(line.stands.wait(), 5)
    flushed = asyncio.ensure_future(line.delivery.flushed())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not flushed.done()
    for _ in range(10):
        line.room.release()
    await asyncio.wait_for(flushed, 5)
    assert line.frames[-1]["type"] == "closed"


async def test_turns_are_fair(wire) -> None:
    line, logs = await wire(8)
    for log in logs:
        await log.customs(2000)
    for sub, log in enumerate(logs):
        await attach(line, log, wish(sub))
    frames = await line.settled()
    last = dict.fromkeys(range(8), 0)
    for frame in frames:
        if frame["type"] != "event":
            continue
        last[frame["sub"]] = frame["n"]
        unfinished = [n for n in last.values() if n < 2000]
        assert not unfinished or max(unfinished) - min(unfinished) <= 600
    assert set(last.values()) == {2000}


async def test_no_frame_follows_a_detachment_even_in_the_middle_of_a_turn(wire) -> None:
    line, (log,) = await wire()
    await log.customs(5000)
    await attach(line, log, wish(1))
    await asyncio.sleep(0)
    line.delivery.detach(1)
    line.delivery.reply(b'{"type":"ok","id":9}')
    await attach(line, log, wish(1, credit=3))
    frames = await line.settled()
    at = next(number for number, frame in enumerate(frames) if frame["type"] == "ok")
    assert [frame["n"] for frame in frames[at + 1 :]] == [1, 2, 3]
    assert log.log.readers == 1


@pytest.mark.parametrize("how", ["from the log", "by snapshot"])
async def test_no_frame_follows_a_detachment_while_the_store_is_reading(how: str) -> None:
    store = GatedStore()
    line = Wire(store)
    log = await LogWriter(store, "r").create()
    await log.customs(100)
    reader, _ = await line.delivery.attach(
        1, log.log, wish(1, **({"from": "snapshot"} if how == "by snapshot" else {}))
    )
    store.read_gate.clear()
    line.delivery.begin(reader)
    await asyncio.wait_for(store.reading.wait(), 5)  # its turn has begun
    line.delivery.detach(1)
    line.delivery.reply(b'{"type":"ok","id":9}')
    store.read_gate.set()
    assert await line.settled() == [{"type": "ok", "id": 9}]
    await line.close()


async def test_who_leaves_is_counted_out_once(wire) -> None:
    line, (log,) = await wire()
    emptied: list[int] = []
    log.log.on_empty = lambda: emptied.append(1)
    for sub in range(3):
        await attach(line, log, wish(sub))
    assert log.log.readers == 3
    line.delivery.detach(0)
    line.delivery.detach(0)
    await line.settled()
    assert (log.log.readers, emptied) == (2, [])
    await log.end()
    await line.settled()
    assert (log.log.readers, emptied) == (0, [1])
    line.delivery.close()
    assert log.log.readers == 0


async def test_a_log_that_is_gone_closes_its_subscriptions_and_can_have_no_new_ones(wire) -> None:
    line, (log,) = await wire()
    await log.customs(3)
    await attach(line, log, wish(1))
    await line.settled()
    await log.store.delete(log.log.key)
    log.log.grow(4)
    frames = await line.settled()
    assert (frames[-1]["type"], frames[-1]["reason"], frames[-1]["delivered"]) == ("closed", "deleted", 3)
    with pytest.raises(Refusal) as caught:
        await line.delivery.attach(1, log.log, wish(2))
    assert caught.value.code == "not_found"


async def test_a_delivery_that_is_closed_ends_though_the_store_swallows_its_cancellation() -> None:
    store = GatedStore()
    line = Wire(store)
    log = await LogWriter(store, "r").create()
    await log.customs(3)
    await attach(line, log, wish(1))
    store.read_gate.clear()
    wait = store.read_gate.wait

    async def swallowed() -> bool:
        try:
            return await wait()
        except asyncio.CancelledError:
            return True

    store.read_gate.wait = swallowed  # type: ignore[assignment,method-assign]
    await asyncio.wait_for(store.reading.wait(), 5)
    line.task.cancel()
    line.delivery.close()
    await asyncio.wait_for(asyncio.shield(line.task), 5)


async def test_a_silent_cursor_is_marked_once_and_not_beyond_what_waits_for_credit(wire, monkeypatch) -> None:
    monkeypatch.setattr(module, "MARK_S", 0)
    line, (log,) = await wire()
    await attach(line, log, wish(1, "updates"))
    await attach(line, log, wish(2, "updates", "custom", credit=2))
    await log.write(("custom", 1), ("custom", 2), ("updates", {"a": 1}), ("custom", 3))
    await line.until("mark")
    for _ in range(20):
        await asyncio.sleep(0)
    told = [(frame["sub"], frame["type"], frame["seq"]) for frame in await line.settled()]
    assert [row for row in told if row[0] == 1] == [(1, "event", 3), (1, "mark", 4)]
    assert [row for row in told if row[0] == 2] == [(2, "event", 1), (2, "event", 2)]


@given(st.lists(st.integers(2, 100_000), max_size=60))
def test_batches_hold_every_frame_in_order_and_are_bounded(sizes: list[int]) -> None:
    frames = [b'"%s"' % (b"%d" % number).zfill(size) for number, size in enumerate(sizes)]
    out = batches(frames)
    back = []
    for message in out:
        assert len(message) <= BATCH_BYTES
        parsed = orjson.loads(message)
        assert not isinstance(parsed, list) or len(parsed) > 1
        back.extend(parsed if isinstance(parsed, list) else [parsed])
    assert back == [orjson.loads(frame) for frame in frames]


def test_a_frame_that_is_larger_than_a_batch_goes_alone() -> None:
    large = b'"%s"' % (b"x" * BATCH_BYTES)
    assert batches([b"1", large, b"2", b"3"]) == [b"1", large, b"[2,3]"]
