"""Graphs that were compiled without a checkpointer or a store get the server's, each loop its own saver.

About `gateway/graphwire_gateway/graphs/savers.py` and `gateway/graphwire_gateway/graphs/entry.py`.
"""

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway import CannotServe, GraphSpec
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.savers import Savers, SharedInMemoryStore
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from tests.support.graphs import Library, counter, library


@pytest.fixture(params=["graphwire_runtime", "langgraph"])
def lib(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


class Tally(TypedDict, total=False):
    count: int


async def add(state: Tally) -> Tally:
    return {"count": state.get("count", 0) + 1}


def tallies(lib: Library, **compiled: Any) -> Any:
    """A graph whose only node is a graph that counts."""

    def build(node: Any, **options: Any) -> Any:
        builder = lib.StateGraph(Tally).add_node("count", node)
        return builder.add_edge(lib.START, "count").compile(**options)

    return build(build(add), **compiled)


@contextlib.asynccontextmanager
async def served(
    graphs: dict[str, Any], runner: Any = "inline", **savers: Any
) -> AsyncIterator[dict[str, Entry]]:
    specs = {name: GraphSpec(graph, runner) for name, graph in graphs.items()}
    catalog = Catalog(specs, Savers(**savers))
    try:
        await catalog.open()
        yield {name: catalog.get(name) for name in graphs}
    finally:
        await catalog.close(5)


async def on_its_loop(entry: Entry, work: Any) -> Any:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, entry.runner.loop))


async def counted(entry: Entry, thread: str = "t", *, with_threads: bool = True) -> int:
    """Run the graph once on a thread and return its count."""
    config: RunnableConfig = {"configurable": {"thread_id": thread}}

    async def run() -> int:
        async with entry.open(config, with_threads=with_threads) as graph:
            values = [chunk async for chunk in graph.astream({}, config, stream_mode="values")]
            return int(values[-1]["count"])

    return int(await on_its_loop(entry, run()))


@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_a_graph_without_a_checkpointer_goes_on_with_its_threads(lib: Library, runner: str) -> None:
    graph = tallies(lib)
    async with served({"g": graph}, runner) as entries:
        assert (entries["g"].keeps_threads, entries["g"].takes_threads) == (False, True)
        counts = [await counted(entries["g"]) for _ in range(3)]
        assert [*counts, await counted(entries["g"], "other")] == [1, 2, 3, 1]
        assert await counted(entries["g"], with_threads=False) == 1
        assert graph.checkpointer is None, "the graph itself is left as it was"
        assert isinstance(entries["g"].saver, InMemorySaver)


async def test_a_subgraph_saves_where_its_parent_does(lib: Library) -> None:
    async with served({"g": tallies(lib)}) as entries:
        await counted(entries["g"])
        config: RunnableConfig = {"configurable": {"thread_id": "t"}}
        spaces = {
            saved.config["configurable"]["checkpoint_ns"] async for saved in entries["g"].saver.alist(config)
        }
    assert "" in spaces
    assert any(space.startswith("count:") for space in spaces)


async def test_a_graphs_own_checkpointer_and_its_refusal_stay(lib: Library) -> None:
    own = InMemorySaver()
    async with served(
        {"own": tallies(lib, checkpointer=own), "none": tallies(lib, checkpointer=False)}
    ) as got:
        assert (got["own"].keeps_threads, got["none"].takes_threads) == (True, False)
        assert [await counted(got["own"]) for _ in range(2)] == [1, 2]
        assert set(own.storage) == {"t"}
        assert [await counted(got["none"], with_threads=False) for _ in range(2)] == [1, 1]
        async with got["none"].open({}, with_threads=True) as graph:
            assert graph.checkpointer is False


async def test_without_a_saver_there_are_no_threads() -> None:
    async with served({"g": counter()}, checkpointer=False) as entries:
        assert entries["g"].saver is None
        assert not entries["g"].takes_threads


async def test_a_saver_is_made_for_each_loop_opened_and_closed_there(tmp_path: Path, lib: Library) -> None:
    seen: list[tuple[str, Any]] = []

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[AsyncSqliteSaver]:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
            seen.append(("open", asyncio.get_running_loop()))
            yield saver
            seen.append(("close", asyncio.get_running_loop()))

    graphs = {"a": tallies(lib), "b": tallies(lib)}
    async with served(graphs, "own", checkpointer=make) as entries:
        assert entries["a"].saver is not entries["b"].saver
        loops = {entry.runner.loop for entry in entries.values()}
        assert [await counted(entries["a"], "x") for _ in range(2)] == [1, 2]
        assert await counted(entries["b"], "x") == 3, "one file"
    assert [name for name, _ in seen] == ["open", "open", "close", "close"]
    assert {loop for _, loop in seen} == loops
    async with served(graphs, "inline", checkpointer=make) as entries:
        assert entries["a"].saver is entries["b"].saver
        assert await counted(entries["a"], "x") == 4, "what was saved outlives the server"


async def test_a_saver_for_each_use_of_a_graph_that_is_made_for_it(lib: Library) -> None:
    async with served({"g": lambda config: tallies(lib)}) as entries:
        assert [await counted(entries["g"]) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("key", ["checkpointer", "graph_store"])
async def test_what_is_no_saver_or_store_is_refused(key: str) -> None:
    for given, words in (
        (7, f"the {key}: the object given is of type int, not a Base"),
        (lambda: 7, f"the {key}: what the object given makes is of type int"),
        (lambda config: 7, f"the {key}: the object given takes config, which cannot be given"),
        ("nosuch:saver", f"the {key}: no module 'nosuch'"),
        (lambda: 1 / 0, f"the {key}: the object given raised ZeroDivisionError"),
    ):
        with pytest.raises(CannotServe, match=words):
            async with served({"g": counter()}, **{key: given}):
                pass


async def test_a_saver_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    class Away(InMemorySaver):
        def __init__(self, error: BaseException | None = None) -> None:
            super().__init__()
            self._error = error or ConnectionError("nobody there")

        async def aget_tuple(self, config: Any) -> Any:
            raise self._error

    def exits() -> Any:
        raise GeneratorExit

    def made_by(kind: Any) -> Any:
        with kind.from_conn_string(str(tmp_path / "x.db")) as saver:
            yield saver

    for given, words in (
        (contextlib.contextmanager(lambda: made_by(SqliteSaver)), "SqliteSaver .* has no async methods"),
        (Away, "is of type ABCMeta, not a BaseCheckpointSaver"),
        (lambda: Away(), "cannot be read: ConnectionError: nobody there"),
        (lambda: Away(SystemExit(3)), "cannot be read: SystemExit: 3"),
        (lambda: Away(asyncio.CancelledError()), "cannot be read: CancelledError"),
        (exits, "raised GeneratorExit"),
    ):
        with pytest.raises(CannotServe, match=words):
            async with served({"g": counter()}, checkpointer=given):
                pass


async def test_a_saver_of_another_loop_is_refused_and_one_context_manager_serves_one_loop(
    tmp_path: Path,
) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        async with served({"g": counter()}, checkpointer=saver):
            pass
        with pytest.raises(CannotServe, match="belongs to another event loop"):
            async with served({"g": counter()}, "thread", checkpointer=saver):
                pass
    ready = AsyncSqliteSaver.from_conn_string(str(tmp_path / "y.db"))
    with pytest.raises(CannotServe, match="a context manager that can be entered once"):
        async with served({"a": counter(), "b": counter()}, "own", checkpointer=ready):
            pass
    async with served(
        {"a": counter(), "b": counter()},
        checkpointer=AsyncSqliteSaver.from_conn_string(str(tmp_path / "y.db")),
    ):
        pass


async def test_graphs_share_one_store_and_keep_their_own(lib: Library) -> None:
    own = InMemoryStore()
    graphs = {"a": tallies(lib), "b": tallies(lib), "own": tallies(lib, store=own)}
    async with served(graphs, "own") as entries:
        stores = {}
        for name, entry in entries.items():

            async def look(entry: Entry = entry) -> Any:
                async with entry.open({}, with_threads=False) as graph:
                    return graph.store  # type: ignore[attr-defined]

            stores[name] = await on_its_loop(entry, look())
    assert isinstance(stores["a"], SharedInMemoryStore)
    assert stores["a"] is stores["b"]
    assert stores["own"] is own
    given = InMemoryStore()
    async with (
        served(graphs, graph_store=lambda: given) as entries,
        entries["a"].open({}, with_threads=False) as graph,
    ):
        assert graph.store is given  # type: ignore[attr-defined]


async def test_the_shared_store_bears_readers_and_writers_on_several_threads() -> None:
    store, often, written = SharedInMemoryStore(), sys.getswitchinterval(), threading.Event()

    def write(name: str) -> None:
        for number in range(2000):
            store.put((name, str(number)), "key", {"n": number})

    def read() -> None:
        while not written.is_set():
            store.search((), limit=10_000)

    sys.setswitchinterval(1e-6)
    try:
        reading = asyncio.ensure_future(asyncio.to_thread(read))
        await asyncio.gather(*(asyncio.to_thread(write, name) for name in "ab"))
        written.set()
        await reading
    finally:
        sys.setswitchinterval(often)
    assert len(await store.asearch((), limit=10_000)) == 4000
