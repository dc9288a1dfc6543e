"""A remote graph has a local one's shapes, whatever class its state, its output or its result is of.

About `clients/python/graphwire/graph.py`, `gateway/graphwire_gateway/execution/execution.py` and
`gateway/graphwire_gateway/execution/encode.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import graphwire
import pytest
from graphwire_gateway import GraphSpec

from tests.support import state_graphs as graphs
from tests.support.graphs import OURS, Library, library
from tests.support.story import Story, Teller, comparable

MODES = ["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"]
Tell = Callable[[Callable[[Library], Any], Story], Awaitable[tuple[list[str], list[str]]]]


@pytest.fixture
def both(serve: Any, lib: Library) -> Tell:
    """``await both(build, story)`` returns the story as it was locally and as it was remotely."""

    async def tell(build: Callable[[Library], Any], story: Story) -> tuple[list[str], list[str]]:
        local = Teller(build(lib), lib)
        await story(local)
        server = await serve({"g": GraphSpec(build(lib))}, expose_errors=True)
        async with graphwire.connect(server.url) as client:
            remote = Teller(client.graph("g"), lib)
            await story(remote)
        return comparable(local.heard), comparable(remote.heard)

    return tell


def ways(number: int, has_keys: bool = True) -> list[dict[str, Any]]:
    """The ways to stream a graph; of a single mode one version, the other with a number of other parity."""
    return [
        {},
        *(
            {"stream_mode": mode, "version": f"v{1 + (number + place) % 2}"}
            for place, mode in enumerate(MODES)
        ),
        *({"stream_mode": MODES, "version": version} for version in ("v1", "v2")),
        *([{"stream_mode": "values", "output_keys": ["n"], "version": "v2"}] if has_keys else []),
    ]


def thread(id: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": f"t{id}"}}


@pytest.mark.long
@pytest.mark.parametrize("name", graphs.STATES)
async def test_states_of_every_class_stream_and_return_alike(both: Tell, lib: Library, name: str) -> None:
    parity = [*graphs.STATES].index(name) + (lib.name == OURS.name)

    async def story(teller: Teller) -> None:
        for number, way in enumerate(ways(parity)):
            await teller.stream({"n": 1}, thread(number), **way)
            await teller.invoke({"n": 1}, thread(f"i{number}"), **{"stream_mode": "values", **way})
        await teller.state(thread(0))

    state, output = graphs.STATES[name]
    local, remote = await both(lambda lib: graphs.counting(lib, state, output), story)
    assert remote == local


async def test_defaults_are_in_parts_and_results_of_version_v2_only(serve: Any, lib: Library) -> None:
    server = await serve({"g": graphs.counting(lib, graphs.Model, graphs.ModelOutput)})
    async with graphwire.connect(server.url) as client:
        graph = client.graph("g")
        assert await graph.ainvoke({"n": 1}) == {"n": 20}
        whole = {"n": 20, "extra": "default", "tags": ["made"]}
        assert (await graph.ainvoke({"n": 1}, version="v2")).value == whole
        parts = [part async for part in graph.astream({"n": 1}, stream_mode="values", version="v2")]
        assert parts[-1] == {"type": "values", "ns": (), "data": whole, "interrupts": ()}
        run = await client.run("g", {"n": 1}, modes=["values"], options={"version": "v2"})
        assert await run.result() == whole


@pytest.mark.parametrize("name", ["model", "record", "model and its output"])
async def test_states_of_every_class_are_asked_and_answered_alike(both: Tell, name: str) -> None:
    async def story(teller: Teller) -> None:
        for version in ("v1", "v2"):
            config = thread(version)
            await teller.invoke({"n": 1}, config, version=version)
            await teller.stream(None, config, stream_mode=["values", "updates"], version=version)
            await teller.invoke(teller.words.Command(resume="yes"), config, version=version)
            config = thread(f"{version}-below")
            way = {"stream_mode": MODES, "subgraphs": name in ("model", "record"), "version": version}
            await teller.stream({"n": 1}, config, **way)
            await teller.state(config, subgraphs=True)
            await teller.stream(teller.words.Command(resume="yes"), config, **way)

    state, output = graphs.STATES[name]
    local, remote = await both(lambda lib: graphs.counting(lib, state, output, asks=True), story)
    assert any("interrupts" in item for item in local)
    assert remote == local


@pytest.mark.parametrize("state", [graphs.Model, graphs.Record])
async def test_instances_with_unset_fields_are_inputs_and_updates_as_they_are_locally(
    both: Tell, state: Any
) -> None:
    async def story(teller: Teller) -> None:
        config = thread("t")
        await teller.invoke(state(n=1, note="kept", log=["a"]), config)
        await teller.invoke(state(n=2), config)
        await teller.invoke(state(n=3, note=None), config, version="v2")
        await teller.invoke(teller.words.Command(update=state(n=4, level=9), goto="one"), config)
        await teller.update(state(n=5), config, as_node="one")
        await teller.update({"note": "edited", "nothing": 1}, config, as_node="one")
        await teller.state(config)
        await teller.stream(None, config, stream_mode=["values", "updates"])
        await teller.history(config)

    local, remote = await both(lambda lib: graphs.counting(lib, state), story)
    assert not any("raised" in item for item in local)
    assert remote == local


# ── one value ────────────────────────────────────────────────────────────────────────────────────

ONE_VALUE: dict[str, tuple[Callable[[], Any], Any]] = {
    **{
        f"function with a {kind}": (lambda kind=kind: graphs.functional(kind), 2)
        for kind in ("model", "dict", "list", "number", "nothing", "message")
    },
    "root dict": (lambda: graphs.root_of("dict"), {"q": 1}),
    "root list": (lambda: graphs.root_of("list"), ["q"]),
    "root number": (lambda: graphs.root_of("number"), 1),
}


def told_in_a_thread(graph: Any, value: Any) -> list[Any]:
    """Every stream and result, in blocking calls."""
    heard: list[Any] = []
    for number, way in enumerate(ways(0, has_keys=False)):
        heard += graph.stream(value, thread(number), **way)
        heard.append(graph.invoke(value, thread(f"i{number}"), **{"stream_mode": "values", **way}))
    return heard


@pytest.mark.parametrize("lib", ["langgraph"], indirect=True)
@pytest.mark.parametrize("name", ONE_VALUE)
async def test_graphs_of_one_value_stream_and_return_alike(both: Tell, name: str) -> None:
    build, value = ONE_VALUE[name]
    parity = [*ONE_VALUE].index(name)

    async def story(teller: Teller) -> None:
        for number, way in enumerate(ways(parity, has_keys=False)):
            await teller.stream(value, thread(number), **way)
            await teller.invoke(value, thread(f"i{number}"), **{"stream_mode": "values", **way})

    local, remote = await both(lambda _: build(), story)
    assert not any("raised" in item for item in local)
    assert remote == local


@pytest.mark.parametrize("name", ["function with a model", "root dict"])
async def test_graphs_of_one_value_are_alike_in_blocking_calls(serve: Any, name: str) -> None:
    library("langgraph")
    build, value = ONE_VALUE[name]
    local = await asyncio.to_thread(told_in_a_thread, build(), value)
    server = await serve({"g": build()})

    def tell() -> list[Any]:
        with graphwire.connect(server.url) as client:
            return told_in_a_thread(client.graph("g"), value)

    assert comparable(await asyncio.to_thread(tell)) == comparable(local)


@pytest.mark.parametrize("lib", ["langgraph"], indirect=True)
async def test_a_function_that_asks_is_answered_alike(both: Tell) -> None:
    async def story(teller: Teller) -> None:
        for number, way in enumerate([{}, {"stream_mode": "updates"}, {"version": "v2"}]):
            await teller.invoke(2, thread(number), **way)
            await teller.invoke(teller.words.Command(resume="yes"), thread(number), **way)

    local, remote = await both(lambda _: graphs.asking_functional(), story)
    assert any("yes" in item for item in local)
    assert remote == local
