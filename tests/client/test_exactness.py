"""Whatever happens, a reader gets what the log holds: nothing lost, repeated or out of order.

About `clients/python/graphwire/run.py` and `clients/python/graphwire/exchange.py`, by random actions.
"""

import asyncio
from typing import Any

import graphwire
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.model_server import ModelServer, impatient, settle

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.integers(1, 6)),
        st.tuples(st.just("other"), st.integers(1, 3)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("lose"), st.integers(1, 3)),
        st.tuples(st.just("rush"), st.integers(1, 12)),
        st.tuples(st.sampled_from(["cut", "leave", "evict", "epoch", "settle"]), st.none()),
    ),
    max_size=25,
)


class Viewer:
    """Keeps what a careful application would: the events it saw, and what a snapshot tells instead."""

    def __init__(self) -> None:
        self.state: list[int] = []
        self.seen: list[tuple[str, int]] = []
        self.gaps = 0

    def see(self, run: graphwire.Run, event: graphwire.Event) -> None:
        match event:
            case graphwire.ValuesEvent(data=data):
                assert run.epoch is not None
                assert (run.epoch, event.seq) not in self.seen, "an event was shown twice"
                self.seen.append((run.epoch, event.seq))
                self.state.append(data["n"])
            case graphwire.GapEvent():
                self.gaps += 1
            case graphwire.SnapshotEvent(values=values):
                # All that was there up to the snapshot, as the model numbers its values densely.
                self.state = list(range(values["n"] + 1)) if values else []


class Story:
    """One example: a run that is written, viewed, cut, left and evicted."""

    def __init__(self, window: int, batches: bool) -> None:
        self.server = ModelServer()
        self.server.batches = batches
        self.window = window
        self.viewer = Viewer()
        self.count = 0
        self.events: Any = None

    async def play(self, actions: list[tuple[str, int | None]]) -> None:
        async with graphwire.connect(
            "ws://model/ws", open=self.server.open, backoff=impatient(), window=self.window
        ) as client:
            self.run = await client.run("joke", modes=["values"])
            self.model = self.server.runs[self.run.id]
            for name, argument in actions:
                await getattr(self, name)(argument)
                self.check_credit()
            self.model.complete()
            await self.drain()

    async def emit(self, count: int) -> None:
        with self.server.held_back():
            for _ in range(count):
                self.model.emit("values", {"n": self.count})
                self.count += 1

    async def other(self, count: int) -> None:
        for _ in range(count):
            self.model.emit("custom", "passes no filter")

    async def take(self, count: int) -> None:
        """Take as many events as are there, up to ``count``."""
        await settle()
        if self.events is None:
            self.events = self.run.__aiter__()
        for _ in range(count):
            waiting = asyncio.ensure_future(self.events.__anext__())
            await settle()
            if not waiting.done():
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                return
            self.viewer.see(self.run, await waiting)

    async def lose(self, count: int) -> None:
        connection = self.server.connection
        connection.events_to_drop += count

    async def rush(self, ticks: int) -> None:
        for _ in range(ticks):
            await asyncio.sleep(0)

    async def cut(self, _: None) -> None:
        self.server.cut()

    async def leave(self, _: None) -> None:
        if self.events is not None:
            await self.events.aclose()
            self.events = None

    async def evict(self, _: None) -> None:
        self.model.evict(self.model.head)

    async def epoch(self, _: None) -> None:
        self.server.cut()
        self.model.restart_log()

    async def settle(self, _: None) -> None:
        await settle()

    def check_credit(self) -> None:
        """What the server may still send, and what is queued or on its way, fits into the window."""
        feed = self.run._queue
        if feed is None or self.server.connection.ended is not None:
            return
        attachment = self.server.connection.attachments.get(feed.sub)
        if attachment is None or attachment.allowance.left is None:
            return
        queued = [item.frame for item in feed._queue]
        held = sum(getattr(frame, "mode", None) == "values" for frame in queued)
        assert attachment.allowance.left + held <= self.window

    async def drain(self) -> None:
        events = self.events or self.run.__aiter__()
        self.server.connection.events_to_drop = 0
        async for event in events:
            self.viewer.see(self.run, event)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS, window=st.integers(1, 5), batches=st.booleans())
def test_a_viewer_ends_with_exactly_what_the_log_holds(actions, window, batches):
    story = Story(window, batches)
    asyncio.run(asyncio.wait_for(story.play(actions), 20))
    assert story.viewer.state == list(range(story.count))
    for epoch in {epoch for epoch, _ in story.viewer.seen}:
        seqs = [seq for of, seq in story.viewer.seen if of == epoch]
        assert seqs == sorted(seqs)


@settings(max_examples=100, deadline=None)
@given(
    actions=ACTIONS.map(lambda actions: [a for a in actions if a[0] not in ("evict", "epoch")]),
    window=st.integers(1, 5),
)
def test_without_an_eviction_there_is_no_gap_however_often_one_is_cut_off(actions, window):
    story = Story(window, batches=True)
    asyncio.run(asyncio.wait_for(story.play(actions), 20))
    assert story.viewer.gaps == 0
    assert len(story.viewer.seen) == story.count
