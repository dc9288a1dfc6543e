"""Whatever happens to a thread, whoever follows it sees each event once and ends with the saver's messages.

About `clients/python/graphwire/follow.py`, `clients/python/graphwire/follow_log.py` and
`clients/python/graphwire/follow_watch.py`, by random stories on real servers.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import graphwire
import pytest
from graphwire.transport import NotOpened, open_websocket
from graphwire_gateway import Gateway, Limits
from graphwire_protocol.types import TERMINAL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.following import Gates, Page, Shown, as_message, chat, shown
from tests.support.graphs import LIBRARIES, Library, library
from tests.support.model_server import impatient
from tests.support.waiting import until

EXAMPLES = int(os.environ.get("FOLLOW_STORIES", "12"))
"""Stories in each run of the test; ``FOLLOW_STORIES=1000`` for a long one."""

RECORDED = ("messages", "custom", "lifecycle", "interrupt")
LIMITS: dict[str, dict[str, Any]] = {
    "plenty": {},
    "small logs": {"log_events": 3, "log_min_age_s": 0},
    "short memory": {"result_ttl_s": 0},
    "both": {"log_events": 3, "log_min_age_s": 0, "result_ttl_s": 0, "max_watch_runs": 1},
}


class Story:
    """A thread, the servers that serve it one after the other, its pages, and what happens."""

    def __init__(self, lib: Library, limits: str) -> None:
        self.gates = Gates()
        self.graph = chat(lib, self.gates, InMemorySaver())
        self.limits = Limits(**{"cancel_grace_s": 5, **LIMITS[limits]})
        self.stack = AsyncExitStack()
        self.url: str | None = None
        self.transports: list[Any] = []
        self.tabs: list[tuple[Page, asyncio.Task[None]]] = []
        self.past: list[Page] = []
        self.ends: dict[str, set[Shown]] = {}  # what the thread held after a run, until the next one
        self.last: str | None = None
        self.logs: dict[str, list[int]] = {}
        self.whole: set[str] = set()
        self.readers: list[asyncio.Task[None]] = []
        self.active: list[graphwire.Run] = []
        self.said = 0
        self.is_edited = False
        self.is_away = False

    # ── the server ───────────────────────────────────────────────────────────────────────────────

    async def open(self, url: str, timeout_s: float) -> Any:
        if self.url is None or (self.is_away and url.endswith("pages")):
            raise NotOpened("the server is down")
        transport = await open_websocket(self.url, timeout_s)
        self.transports.append(transport)
        return transport

    async def start(self) -> None:
        gateway = Gateway({"chat": self.graph}, limits=self.limits)
        self.url = (await self.stack.enter_async_context(gateway.serve("127.0.0.1", 0))).url

    async def cut(self) -> None:
        transports, self.transports = self.transports, []
        for transport in transports:
            transport._socket.transport.abort()
        await asyncio.sleep(0)

    async def away(self) -> None:
        """Let the pages be offline, until the next call."""
        self.is_away = not self.is_away
        await self.cut()

    async def restart(self) -> None:
        """As after a crash: nobody hears of the end of what was running."""
        self.url = None
        await self.cut()
        await self.stack.aclose()
        self.active.clear()
        await self.start()

    @contextlib.asynccontextmanager
    async def client(self, path: str = "ws") -> AsyncIterator[graphwire.Client]:
        url = f"ws://story/{path}"
        async with graphwire.connect(url, open=self.open, backoff=impatient(), wait=20) as client:
            yield client

    # ── pages ────────────────────────────────────────────────────────────────────────────────────

    async def tab(self) -> None:
        tab = Page(self.viewer.follow("chat", "t", window=3))
        self.tabs.append((tab, asyncio.ensure_future(tab.read())))
        await asyncio.sleep(0)

    async def reload(self) -> None:
        if self.tabs:
            await self.close_tab(0)
            await self.tab()

    async def close_tab(self, index: int) -> None:
        tab, task = self.tabs.pop(index)
        self.past.append(tab)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task
        await tab.follower.aclose()

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, kind: str, with_values: bool, **fields: Any) -> graphwire.Run | None:
        self.said += 1
        text = f"{kind} {self.said}"
        modes = ["messages", "custom", *(["values"] if with_values else [])]
        message = graphwire.Message("human", text, id=f"h{self.said}")
        try:
            run = await self.client_.run(
                "chat", {"messages": [message]}, thread="t", modes=modes, run=f"r{self.said}", **fields
            )
        except graphwire.Refused as refused:
            if refused.code != "busy":
                raise
            return None
        self.readers.append(asyncio.ensure_future(self.note(run)))
        self.active.append(run)
        self.last = None
        self.is_edited = False
        return run

    async def note(self, run: graphwire.Run) -> None:
        """Read the whole log of a run, as its starter does."""
        log = self.logs[run.id] = []
        try:
            while run.status not in TERMINAL:
                async for event in run:
                    if isinstance(event, graphwire.GapEvent | graphwire.SnapshotEvent):
                        return
                    if event.mode in RECORDED:
                        log.append(event.seq)
        except graphwire.Refused:
            return
        self.whole.add(run.id)

    async def ended(self, run: graphwire.Run | None, *statuses: str) -> None:
        """Wait until a run has ended, or has one of these statuses."""
        if run is None:
            return
        while (row := (await self.rows()).get(run.id)) is not None:
            if row.status in TERMINAL or row.status in statuses:
                break
            await asyncio.sleep(0.005)  # as fast as requests_per_s allows
        if row is None or row.status in TERMINAL:
            self.active.remove(run)
            if not self.active:
                self.last = run.id
                self.ends[run.id] = {await self.saved()}

    async def rows(self) -> dict[str, graphwire.RunRow]:
        """Return the rows of the runs that the server knows."""
        return {row.run: row async for row in self.client_.runs(graph="chat")}

    async def saved(self, checkpoint: str | None = None) -> Shown:
        place = {"thread_id": "chat/anonymous/t"}
        if checkpoint is not None:
            place["checkpoint_id"] = checkpoint
        state = await self.graph.aget_state({"configurable": place})
        return shown(m for m in map(as_message, state.values.get("messages", ())))

    async def say(self, with_values: bool) -> None:
        await self.ended(await self.begin("plain", with_values))

    async def fail(self, with_values: bool) -> None:
        await self.ended(await self.begin("fail", with_values))

    async def hold(self, with_values: bool) -> None:
        await self.begin("hold", with_values)

    async def ask(self, with_values: bool) -> None:
        await self.ended(await self.begin("ask", with_values), "interrupted")

    async def enqueue(self, with_values: bool) -> None:
        await self.begin("plain", with_values, if_busy="enqueue")

    async def take_over(self, with_values: bool) -> None:
        await self.begin("plain", with_values, if_busy="interrupt")

    async def edit(self, with_values: bool) -> None:
        history = [state async for state in self.client_.state_history("chat", "t")]
        earlier = [state.checkpoint for state in history if state.next == ()]
        if earlier:
            await self.ended(await self.begin("plain", with_values, checkpoint=earlier[-1]))

    async def update(self) -> None:
        self.said += 1
        self.is_edited = True
        message = graphwire.Message("human", "by hand", id=f"u{self.said}")
        with contextlib.suppress(graphwire.Refused):
            await self.client_.update_state("chat", "t", {"messages": [message]}, as_node="answer")
            await self.edited()

    async def release(self) -> None:
        """Let every held run go on; answer what is asked."""
        while self.active:
            for gate in list(self.gates.values()):
                gate.open()
            rows = await self.rows()
            for run in list(self.active):
                row = rows.get(run.id)
                if row is None or row.status in TERMINAL:
                    self.active.remove(run)
                elif row.status == "interrupted":
                    with contextlib.suppress(graphwire.Refused):
                        await run.respond(dict.fromkeys(row.interrupts or (), "indeed"))
            await asyncio.sleep(0.005)  # as fast as requests_per_s allows

    async def cancel(self) -> None:
        if self.active:
            run = self.active[0]
            with contextlib.suppress(graphwire.Refused):
                await run.cancel()
            await self.ended(run)

    async def delete(self) -> None:
        self.is_edited = True
        with contextlib.suppress(graphwire.Refused):
            await self.client_.delete(graph="chat", thread="t")
            await self.edited()

    async def edited(self) -> None:
        if self.last is not None:
            self.ends[self.last].add(await self.saved())

    # ── all of it ────────────────────────────────────────────────────────────────────────────────

    async def play(self, actions: list[tuple[str, Any]]) -> None:
        await self.start()
        try:
            async with self.client() as self.client_, self.client("pages") as self.viewer:
                await self.tab()
                for name, argument in actions:
                    await getattr(self, name)(*(() if argument is None else (argument,)))
                    self.check_all()
                self.is_away = False
                await self.release()
                await asyncio.gather(*self.readers)
                if self.is_edited:
                    await self.say(True)  # an edit between runs is seen by the next one
                final = await self.saved()
                for tab, task in self.tabs:
                    await self.caught_up(tab, task, final)
                self.check_all()
                while self.tabs:
                    await self.close_tab(0)
                await self.check_logs()
        finally:
            left = [*self.readers, *(task for _, task in self.tabs)]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self.stack.aclose()

    async def caught_up(self, tab: Page, task: asyncio.Task[None], final: Shown) -> None:
        def is_there() -> bool:
            return task.done() or (tab.follower.run is None and shown(tab.follower.messages) == final)

        try:
            await until(is_there)
        except AssertionError:
            raise AssertionError(
                f"{tab.follower.run}: {shown(tab.follower.messages)} is not {final}"
            ) from None

    def check_all(self) -> None:
        for tab, task in self.tabs:
            if task.done():
                task.result()
            assert not tab.faults, tab.faults

    async def check_logs(self) -> None:
        for tab in self.past:
            assert not tab.faults, tab.faults
            for run, messages in tab.ends:
                if run in self.ends:
                    assert messages in self.ends[run], f"the end of {run}"
            for run, checkpoint, messages in tab.bases:
                held = await self.saved(checkpoint) if checkpoint else ()
                assert messages == held or not held, f"the start of {run}"
            for run, log in tab.logs.items():
                wanted = self.logs[run]
                if run in self.whole and run not in tab.holes and tab.current != run:
                    assert log == wanted, f"the events of {run}"


def flags(*names: str) -> Any:
    return st.tuples(st.sampled_from(names), st.booleans())


ACTIONS = st.lists(
    st.one_of(
        flags("say", "hold", "ask", "fail", "enqueue", "take_over", "edit"),
        st.tuples(
            st.sampled_from(
                ["release", "cancel", "tab", "reload", "cut", "away", "restart", "update", "delete"]
            ),
            st.none(),
        ),
    ),
    max_size=10,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(actions=ACTIONS, lib=st.sampled_from(LIBRARIES), limits=st.sampled_from(sorted(LIMITS)))
@pytest.mark.filterwarnings("default")
def test_whoever_follows_a_thread_sees_each_event_once_and_what_the_saver_has(actions, lib, limits) -> None:
    story = Story(library(lib), limits)
    asyncio.run(asyncio.wait_for(story.play(actions), 60))
