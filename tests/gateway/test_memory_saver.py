"""The saver in memory keeps its limits: what is idle longest goes, what is in use never.

About `gateway/graphwire_gateway/graphs/memory_saver.py`.
"""

import logging
from typing import Any

import pytest
from graphwire_gateway import Gateway
from graphwire_gateway.graphs.memory_saver import BoundedMemorySaver, ThreadLimits
from graphwire_gateway.scope import PRINCIPAL
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint

from tests.support.graphs import LIBRARIES, Library, library
from tests.support.questions import stepper

TOPIC = "x" * 10_000


@pytest.fixture(params=LIBRARIES)
def lib(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


class Kept:
    """A saver, and a graph of each library that writes threads into it."""

    def __init__(self, lib: Library, *busy: str, **limits: Any) -> None:
        self.now = 0.0
        self.busy = set(busy)
        self.saver = BoundedMemorySaver(
            ThreadLimits(**limits), lambda thread: thread in self.busy, lambda: self.now
        )
        self.graph = stepper(lib, self.saver)

    async def write(self, *threads: str, principal: str = "") -> None:
        for thread in threads:
            await self.graph.ainvoke({"topic": TOPIC}, at(thread, principal=principal))

    def has(self, thread: str) -> bool:
        return self.saver.get_tuple(at(thread)) is not None

    @property
    def threads(self) -> set[str]:
        return {saved.config["configurable"]["thread_id"] for saved in self.saver.list(None)}


def at(thread: str, ns: str = "", principal: str = "") -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, PRINCIPAL: principal}}


async def size_of_one(lib: Library) -> int:
    kept = Kept(lib)
    await kept.write("one")
    return kept.saver.bytes


async def test_nobody_s_threads_push_out_those_of_others(lib: Library) -> None:
    one = await size_of_one(lib)
    kept = Kept(lib, bytes=8 * one)
    await kept.write("quiet", principal="ann")
    await kept.write(*(f"busy{number}" for number in range(30)), principal="bob")
    assert kept.saver.bytes <= 8 * one
    assert "quiet" in kept.threads
    assert "busy29" in kept.threads
    assert len(kept.threads) > 4
    for thread in kept.threads:
        kept.saver.delete_thread(thread)
    assert kept.saver.bytes == 0


async def test_the_limit_is_kept_though_the_largest_principal_uses_all_its_threads(lib: Library) -> None:
    one = await size_of_one(lib)
    used = [f"used{number}" for number in range(30)]
    kept = Kept(lib, *used, bytes=int(50.5 * one))
    await kept.write(*used, principal="ann")
    await kept.write("quiet", principal="cid")
    for number in range(40):
        await kept.write(f"idle{number}", principal="bob")
        assert kept.saver.bytes <= 50.5 * one
    assert {"quiet", "idle39", *used} <= kept.threads


async def test_the_limit_is_kept_while_the_only_thread_of_the_largest_is_written(lib: Library) -> None:
    one = await size_of_one(lib)
    kept = Kept(lib, bytes=int(14.5 * one))
    await kept.write("quiet", principal="cid")
    await kept.write(*(f"idle{number}" for number in range(6)), principal="bob")
    for _ in range(20):  # its history grows
        await kept.write("long", principal="ann")
    assert {"quiet", "long"} <= kept.threads
    assert "idle0" not in kept.threads
    assert {"idle4", "idle5"} <= kept.threads, "a fair share is left to everybody"


async def test_threads_in_use_push_out_nobody_who_keeps_within_a_share(lib: Library) -> None:
    one = await size_of_one(lib)
    used = [f"used{number}" for number in range(20)]
    kept = Kept(lib, *used, bytes=8 * one)
    await kept.write("a", "b", "c", principal="bob")
    await kept.write("quiet", principal="cid")
    await kept.write(*used, principal="ann")
    assert {"b", "c", "quiet", *used} <= kept.threads


async def test_many_threads_stay_within_the_limit(lib: Library) -> None:
    one = await size_of_one(lib)
    assert one > len(TOPIC)
    kept = Kept(lib, bytes=5 * one)
    for number in range(40):
        await kept.write(f"t{number}")
        assert kept.saver.bytes <= 5 * one
    assert {"t38", "t39"} <= kept.threads <= {f"t{number}" for number in range(35, 40)}
    stored = {key[0] for key in (*kept.saver.blobs, *kept.saver.writes)} | set(kept.saver.storage)
    assert stored == kept.threads, "nothing of the others is left"


async def test_the_least_recently_used_goes_first_and_one_in_use_never(lib: Library) -> None:
    kept = Kept(lib, "busy", bytes=int(3.5 * await size_of_one(lib)))
    await kept.write("busy", "a", "b")
    assert kept.has("a"), "a read is a use"
    await kept.write("c")
    assert kept.threads == {"busy", "a", "c"}
    await kept.write("d", "e", "f")
    assert "busy" in kept.threads
    kept.busy.clear()
    await kept.write("g", "h", "i", "j")
    assert "busy" not in kept.threads


async def test_one_write_looks_at_few_threads_however_many_are_in_use(lib: Library) -> None:
    names = [f"t{number}" for number in range(100)]
    kept = Kept(lib, *names, bytes=1)
    await kept.write(*names)
    assert kept.threads == set(names)
    looked: list[str] = []
    kept.saver._is_in_use = lambda thread: not looked.append(thread)  # type: ignore[func-returns-value]
    kept.saver.put_writes(
        {"configurable": {"thread_id": "t0", "checkpoint_ns": "", "checkpoint_id": "c"}},
        [("said", "x")],
        "task",
    )
    assert 0 < len(looked) <= 20


async def test_when_a_principal_s_threads_were_written_is_read_without_values_and_without_others(
    lib: Library,
) -> None:
    kept = Kept(lib)
    await kept.write("a", "b", principal="ann")
    await kept.write(*(f"t{number}" for number in range(50)), principal="bob")
    await kept.write("a", principal="ann")
    times: dict[str, list[str]] = {}
    for saved in kept.saver.list(None):
        times.setdefault(saved.config["configurable"]["thread_id"], []).append(saved.checkpoint["ts"])
    read: list[int] = []
    loads = kept.saver.serde.loads_typed

    def count(data: Any) -> Any:
        read.append(len(data[1]))
        return loads(data)

    kept.saver.serde.loads_typed = count  # type: ignore[method-assign]
    of_ann = [(thread, min(times[thread]), max(times[thread])) for thread in ("a", "b")]
    assert list(kept.saver.spans("ann")) == of_ann, "the one used last is the first"
    assert len(read) == 4
    assert max(read) < len(TOPIC)
    assert list(kept.saver.spans("nobody")) == []
    assert kept.saver.span("a") == of_ann[0][1:]
    assert kept.saver.span("nothing") is None
    assert {thread for thread, _, _ in kept.saver.spans(None)} == set(times)


async def test_a_thread_that_goes_while_a_list_is_read_is_left_out(lib: Library) -> None:
    kept = Kept(lib)
    await kept.write("a", "b", principal="ann")
    found = kept.saver.spans("ann")
    assert next(found)[0] == "b"
    kept.saver.delete_thread("a")
    assert list(found) == []
    assert set(kept.saver.storage) == {"b"}


async def test_a_thread_that_is_too_old_is_gone_unless_it_is_in_use(lib: Library) -> None:
    kept = Kept(lib, "busy", ttl_s=60)
    await kept.write("busy", "old")
    kept.now = 50
    await kept.write("young")
    kept.now = 61
    assert (kept.has("busy"), kept.has("old"), kept.has("young")) == (True, False, True)
    kept.busy.clear()
    kept.now = 200
    assert kept.threads == set()
    assert kept.saver.bytes == 0
    assert not kept.saver.storage
    assert not kept.saver.blobs
    assert not kept.saver.writes


async def test_a_thread_that_was_let_go_is_as_if_never_written(lib: Library) -> None:
    kept = Kept(lib, ttl_s=60)
    await kept.write("t")
    kept.now = 61
    state = await kept.graph.aget_state(at("t"))
    assert (state.values, state.next, state.metadata) == ({}, (), None)
    assert [one async for one in kept.graph.aget_state_history(at("t"))] == []
    assert (await kept.graph.ainvoke({"topic": "new"}, at("t")))["topic"] == "new"


async def test_reading_threads_that_do_not_exist_keeps_nothing(lib: Library) -> None:
    kept = Kept(lib)
    await kept.write("t")
    spaces = len(kept.saver.storage["t"])
    for number in range(20):
        assert not kept.has(f"no{number}")
        assert list(kept.saver.list(at(f"no{number}"))) == []
        assert kept.saver.get_tuple(at("t", f"no{number}")) is None
    assert set(kept.saver.storage) == {"t"}
    assert len(kept.saver.storage["t"]) == spaces


async def test_a_checkpoint_that_cannot_be_saved_is_counted_and_deleted(lib: Library) -> None:
    kept = Kept(lib)
    checkpoint = {"id": "c", "channel_values": {"a": TOPIC, "b": lambda: 0}}
    with pytest.raises(TypeError):
        kept.saver.put(at("t"), checkpoint, {}, {"a": 1, "b": 1})
    assert kept.saver.bytes > len(TOPIC)
    await kept.saver.adelete_thread("t")
    assert kept.saver.bytes == 0
    assert not kept.saver.blobs


async def test_the_log_says_how_many_went_once_a_minute(
    lib: Library, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(lib, bytes=2 * await size_of_one(lib))
    with caplog.at_level(logging.WARNING, "graphwire.threads"):
        for _ in range(2):
            await kept.write(*(f"t{number}" for number in range(10)))
        assert len(caplog.records) == 1
        kept.now = 61
        await kept.write("t10")
    assert len(caplog.records) == 2
    assert "thread_bytes" in caplog.text


@pytest.mark.parametrize(
    "setting", [{"thread_bytes": 0}, {"thread_bytes": 1.5}, {"thread_ttl_s": 0}, {"thread_ttl_s": -1}]
)
def test_a_limit_that_is_none_is_refused(setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=name):
        Gateway({}, **setting)


def test_a_page_of_checkpoints_is_whole_though_a_subgraph_begins_meanwhile() -> None:
    def at_namespace(namespace: str) -> RunnableConfig:
        return {"configurable": {"thread_id": "t", "checkpoint_ns": namespace}}

    saver = BoundedMemorySaver(ThreadLimits(), lambda _: True)
    for number in range(3):
        saver.put(at_namespace(""), {**empty_checkpoint(), "id": f"1{number}"}, {}, {})
    page = saver.list({"configurable": {"thread_id": "t"}}, limit=9)
    first = next(page)
    saver.put(at_namespace("sub:1"), {**empty_checkpoint(), "id": "20"}, {}, {})
    assert [item.checkpoint["id"] for item in (first, *page)] == ["12", "11", "10"]
