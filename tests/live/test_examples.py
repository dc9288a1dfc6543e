"""The examples of LangGraph's streaming pages give the same chunks in process and over the wire.

They run on either library. On Python 3.10 they follow the documented rules for async code whose tasks have no
context.

About `runtime/graphwire_runtime/compiled.py`, `clients/python/graphwire/langgraph_shapes.py` and
`gateway/graphwire_gateway/execution/encode.py`.
"""

from typing import Any

import graphwire
import pytest

from tests.support.chunks import comparable, unordered
from tests.support.examples import CONTEXT_IN_TASKS, EXAMPLES, Example
from tests.support.graphs import Library


def cases() -> list[Any]:
    return [
        pytest.param(example, way, id=f"{name} {way}")
        for name, example in EXAMPLES.items()
        for way in example.ways
    ]


def needs(lib: Library) -> None:
    if lib.name == "langgraph" and not CONTEXT_IN_TASKS:
        pytest.skip("before Python 3.11 LangGraph's own astream loses writers and tokens")


@pytest.mark.parametrize(("example", "way"), cases())
async def test_a_served_graph_streams_what_the_local_one_does(
    lib: Library, example: Example, way: dict[str, Any], serve: Any
) -> None:
    needs(lib)
    graph = example.build(lib)
    local = comparable([chunk async for chunk in graph.astream(example.input, **way)])
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        remote = comparable([chunk async for chunk in client.graph("g").astream(example.input, **way)])
    assert local, "the example streams something"
    if example.unordered:
        local, remote = unordered(local), unordered(remote)
    assert remote == local


def _told(chunk: Any) -> Any:
    """A chunk without the parts of messages' metadata that only have to look alike."""
    if isinstance(chunk, dict) and "langgraph_node" in chunk:
        return {key: value for key, value in chunk.items() if not key.startswith(("ls_", "lc_versions"))}
    if isinstance(chunk, tuple):
        return tuple(_told(part) for part in chunk)
    return chunk


@pytest.mark.parametrize(("example", "way"), cases())
async def test_our_runtime_streams_what_langgraph_does(example: Example, way: dict[str, Any]) -> None:
    pytest.importorskip("langgraph.graph")
    from tests.support.graphs import library

    theirs = library("langgraph")
    needs(theirs)
    streams = []
    for lib in (theirs, library("graphwire_runtime")):
        graph = example.build(lib)
        chunks = comparable([_told(chunk) async for chunk in graph.astream(example.input, **way)])
        streams.append(unordered(chunks) if example.unordered else chunks)
    assert streams[1] == streams[0]


@pytest.mark.parametrize(
    ("name", "filter", "text"),
    [
        ("filter by tag", {"tags": ["joke"]}, "ha ha ha "),
        ("filter by tag", {"tags": ["p*"]}, "so soft "),
        ("filter by tag", {"exclude": {"tags": ["joke"]}}, "so soft "),
        ("filter by node", {"nodes": ["write_poem"]}, "rose red rose "),
        ("filter by node", {"nodes": ["write_*"], "exclude": {"nodes": ["*poem"]}}, "one two three "),
    ],
)
async def test_over_the_wire_the_filter_is_the_subscriptions_own(
    lib: Library, name: str, filter: dict[str, Any], text: str, serve: Any
) -> None:
    needs(lib)
    example = EXAMPLES[name]
    server = await serve({"g": example.build(lib)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", example.input, modes=["messages"], **filter)
        tokens = [event.message.text async for event in run if isinstance(event, graphwire.MessagesEvent)]
    assert "".join(tokens) == text


@pytest.mark.skipif(CONTEXT_IN_TASKS, reason="the rule is for Pythons without context in tasks")
@pytest.mark.parametrize("name", ["async with a writer", "async with explicit config", "any client"])
async def test_before_python_3_11_the_documented_rules_hold_on_our_runtime(name: str) -> None:
    from tests.support.graphs import library

    example = EXAMPLES[name]
    graph = example.build(library("graphwire_runtime"))
    for way in example.ways:
        assert [chunk async for chunk in graph.astream(example.input, **way)]
