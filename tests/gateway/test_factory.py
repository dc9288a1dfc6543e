"""A factory is recognised by what it takes, opened on its graph's loop, and closed there whatever happens.

About `gateway/graphwire_gateway/graphs/factory.py`, `gateway/graphwire_gateway/graphs/entry.py` and
`gateway/graphwire_gateway/graphs/lifespan.py`.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from graphwire_gateway import CannotServe, GraphSpec
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.factory import Factory, FactoryRuntime, factory_of
from graphwire_gateway.scope import PRINCIPAL
from langchain_core.runnables import RunnableConfig
from langgraph_sdk.runtime import ServerRuntime

from tests.support.graphs import OURS, Counter, counter

Seen = list[tuple[str, Any]]


def at() -> Any:
    """Where code runs: its loop and its task."""
    return asyncio.get_running_loop(), asyncio.current_task()


@contextlib.asynccontextmanager
async def served(target: Any, runner: Any = "thread", **spec: Any) -> AsyncIterator[Entry]:
    catalog = Catalog({"mine": GraphSpec(target, runner, **spec)})
    try:
        await catalog.open()
        yield catalog.get("mine")
    finally:
        await catalog.close(5)


async def used(entry: Entry, work: Callable[[Any], Any] = lambda graph: graph, **options: Any) -> Any:
    """Open the graph on its runner's loop, as a run does, and return what ``work`` makes of it."""
    config: RunnableConfig = options.pop("config", {})

    async def use() -> Any:
        async with entry.open(config, with_threads=False, **options) as graph:
            made = work(graph)
            return await made if asyncio.iscoroutine(made) else made

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(use(), entry.runner.loop))


# ── for the server's life ────────────────────────────────────────────────────────────────────────


def plain(seen: Seen) -> Callable[[], Any]:
    def make() -> Any:
        seen.append(("open", at()))
        return counter()

    return make


def later(seen: Seen) -> Callable[[], Any]:
    async def make() -> Any:
        seen.append(("open", at()))
        await asyncio.sleep(0)
        return counter()

    return make


def steps(seen: Seen) -> Callable[[], Iterator[Any]]:
    def make() -> Iterator[Any]:
        seen.append(("open", at()))
        yield counter()
        seen.append(("close", at()))

    return make


def later_steps(seen: Seen) -> Callable[[], AsyncIterator[Any]]:
    async def make() -> AsyncIterator[Any]:
        seen.append(("open", at()))
        await asyncio.sleep(0)
        yield counter()
        await asyncio.sleep(0)
        seen.append(("close", at()))

    return make


KINDS = {
    "function": plain,
    "async function": later,
    "generator": steps,
    "async generator": later_steps,
    "context manager": lambda seen: contextlib.contextmanager(steps(seen)),
    "async context manager": lambda seen: contextlib.asynccontextmanager(later_steps(seen)),
    "partial": lambda seen: functools.partial(lambda given: plain(given)(), seen),
}


@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_factory_without_parameters_makes_one_graph_for_the_servers_life(
    kind: str, runner: str
) -> None:
    seen: Seen = []
    async with served(KINDS[kind](seen), runner) as entry:
        assert [name for name, _ in seen] == ["open"]
        assert await used(entry) is await used(entry)
        nodes = await used(entry, lambda graph: set(graph.nodes))
        assert nodes == set(counter().nodes)
        assert [name for name, _ in seen] == ["open"]
        loop = entry.runner.loop
    assert [name for name, _ in seen] == (
        ["open", "close"] if "function" not in kind and kind != "partial" else ["open"]
    )
    assert {where[0] for _, where in seen} == {loop}
    assert len({id(where[1]) for _, where in seen}) == 1, "one task opens and closes"


async def test_what_does_not_close_in_time_is_cancelled() -> None:
    seen: Seen = []

    @contextlib.asynccontextmanager
    async def make() -> AsyncIterator[Any]:
        yield counter()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(("cancelled", at()))
            raise

    catalog = Catalog({"mine": GraphSpec(make)})
    await catalog.open()
    await asyncio.wait_for(catalog.close(0.05), 10)
    assert [name for name, _ in seen] == ["cancelled"]


async def test_what_was_opened_before_a_graph_that_fails_is_closed() -> None:
    seen: Seen = []
    catalog = Catalog({"fine": GraphSpec(later_steps(seen)), "bad": GraphSpec(lambda: 7)})
    with pytest.raises(CannotServe, match="graph 'bad': what the object given makes is of type int"):
        await catalog.open()
    await catalog.close(5)
    assert [name for name, _ in seen] == ["open", "close"]


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise SystemExit(4)


EXITS = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Unspeakable]


@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize("kind", EXITS)
async def test_a_factory_that_exits_is_a_sentence_at_the_start(
    kind: type[BaseException], runner: str
) -> None:
    async def later() -> Any:
        raise kind

    def now(config: RunnableConfig) -> Any:
        raise kind

    for make in (later, now):
        with pytest.raises(CannotServe, match=f"graph 'mine': the object given raised {kind.__name__}"):
            async with served(make, runner):
                pass


@pytest.mark.parametrize("kind", EXITS)
async def test_a_graph_whose_description_exits_is_served_without_one(kind: type[BaseException]) -> None:
    graph = counter()

    def fail(*args: Any, **options: Any) -> Any:
        raise kind

    graph.get_graph = fail
    graph.get_input_jsonschema = fail
    async with served(graph) as entry:
        assert await used(entry, lambda graph: graph.name) == graph.name


# ── for each use ─────────────────────────────────────────────────────────────────────────────────


def per_use(seen: Seen) -> Any:
    @contextlib.asynccontextmanager
    async def make(config: RunnableConfig) -> AsyncIterator[Any]:
        name = config.get("configurable", {}).get("name", "nobody")
        seen.append((f"open {name}", at()))
        try:
            yield counter()
        finally:
            await asyncio.sleep(0)
            seen.append((f"close {name}", at()))

    return make


async def test_a_factory_with_a_config_is_called_for_each_use_after_once_for_the_description() -> None:
    seen: Seen = []
    async with served(per_use(seen)) as entry:
        assert [name for name, _ in seen] == ["open nobody", "close nobody"]
        first = await used(entry, lambda graph: (graph, len(seen)), config={"configurable": {"name": "ann"}})
        second = await used(entry, lambda graph: (graph, len(seen)), config={"configurable": {"name": "bob"}})
        assert first[0] is not second[0]
        assert (first[1], second[1]) == (3, 5), "the graph is used while it is open"
        assert [name for name, _ in seen[2:]] == ["open ann", "close ann", "open bob", "close bob"]
        assert {where[0] for _, where in seen} == {entry.runner.loop}


async def test_a_use_that_fails_or_is_cancelled_closes_what_it_opened() -> None:
    seen: Seen = []
    began = asyncio.Event()
    main_loop = asyncio.get_running_loop()

    def fail(graph: Any) -> None:
        raise ValueError("no")

    async def wait(graph: Any) -> None:
        main_loop.call_soon_threadsafe(began.set)
        await asyncio.Event().wait()

    async with served(per_use(seen)) as entry:
        with pytest.raises(ValueError, match="no"):
            await used(entry, fail)
        assert [name for name, _ in seen[2:]] == ["open nobody", "close nobody"]
        task = asyncio.create_task(used(entry, wait))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [name for name, _ in seen[4:]] == ["open nobody", "close nobody"]


async def test_a_factory_learns_the_user_the_purpose_and_the_store() -> None:
    seen: Seen = []

    def make(settings: RunnableConfig, server: "ServerRuntime[dict[str, str]]") -> Any:
        running = server.execution_runtime
        user = server.ensure_user().identity if running else server.user
        seen.append((server.access_context, (user, running and running.context, server.store)))
        return counter()

    async with served(make) as entry:
        config: RunnableConfig = {"configurable": {PRINCIPAL: "ann"}}
        await used(entry, config=config, context={"a": "b"})
        await used(entry, config={}, access_context="threads.read")
        store = entry.graph_store
    assert store is not None
    assert seen == [
        ("assistants.read", (None, None, store)),
        ("threads.create_run", ("ann", {"a": "b"}, store)),
        ("threads.read", (None, None, store)),
    ]
    with pytest.raises(PermissionError, match=r"assistants\.read"):
        FactoryRuntime("assistants.read").ensure_user()


def _bare(anything):  # type: ignore[no-untyped-def]
    return counter()


def _config(config: Any = None, *, more: int = 1) -> Any: ...


def _both(a: "RunnableConfig", b: ServerRuntime, *rest: Any, **others: Any) -> Any: ...


def _maybe(c: RunnableConfig | None = None) -> Any: ...


@pytest.mark.parametrize(
    ("function", "wants"),
    [
        (plain([]), {}),
        (_bare, {"anything": "config"}),
        (_config, {"config": "config"}),
        (_both, {"a": "config", "b": "runtime"}),
        (_maybe, {"c": "config"}),
        (lambda runtime: None, {"runtime": "runtime"}),
        (lambda number=3: None, {}),
    ],
)
def test_parameters_are_recognised_by_annotation_and_name(function: Any, wants: dict[str, str]) -> None:
    factory = factory_of("it", "here", function, lambda value: False)
    assert factory is not None
    assert factory.parameters == wants
    assert factory.is_per_use is bool(wants)


@pytest.mark.parametrize("function", [lambda a, b: None, lambda config, /: None, lambda *, key: None])
def test_a_parameter_that_cannot_be_given_is_named(function: Any) -> None:
    with pytest.raises(CannotServe, match=r"it: here takes '(a|config|key)', which cannot be given"):
        factory_of("it", "here", function, lambda value: False)


async def count(state: Counter) -> Counter:
    return {}


async def test_a_graph_under_construction_is_compiled_wherever_it_comes_from() -> None:
    builder = OURS.StateGraph(Counter).add_node(count).add_edge(OURS.START, "count")
    for target in (builder, lambda: builder, lambda config: builder):
        async with served(target) as entry:
            assert "count" in entry.graph.nodes
            assert hasattr(await used(entry), "astream")


async def test_a_factory_that_fails_later_fails_its_use_alone() -> None:
    def make(config: RunnableConfig) -> Any:
        if config.get("configurable", {}).get("name") == "bad":
            return 7
        return counter()

    async with served(make) as entry:
        with pytest.raises(CannotServe, match="is of type int, not a graph"):
            await used(entry, config={"configurable": {"name": "bad"}})
        await used(entry, config={"configurable": {"name": "good"}})


def test_a_class_is_no_factory() -> None:
    assert factory_of("it", "here", dict, lambda value: False) is None
    assert factory_of("it", "here", 3, lambda value: False) is None
    assert isinstance(factory_of("it", "here", lambda: 3, lambda value: False), Factory)
