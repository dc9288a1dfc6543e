"""A view of the root gets the same custom data of `@task` functions, however its run is recorded.

About `gateway/graphwire_gateway/execution/namespaces.py` and `clients/python/graphwire/langgraph_shapes.py`.
"""

import re
from typing import Any

import graphwire
import pytest

from tests.live.conftest import Serve
from tests.support.functional import functional

CASES = [("flow", 1), ("graph", {"x": 1})]


@pytest.mark.parametrize("library", ["langgraph", "runtime"])
@pytest.mark.parametrize(("name", "input"), CASES)
async def test_the_root_view_is_the_same_whoever_records_what(
    serve: Serve, library: str, name: str, input: Any
) -> None:
    graphs = functional(library)
    local = [chunk async for chunk in graphs[name].astream(input, stream_mode="custom")]
    server = await serve(graphs)
    async with graphwire.connect(server.url) as client:
        for record in ({}, {"namespaces": [["**"]]}):
            for modes in (["custom"], ["custom", "tasks"]):
                run = await client.run(name, input, modes=modes, **record)
                every = [event async for event in run if isinstance(event, graphwire.CustomEvent)]
                view = await client.attach(run.id, modes=["custom"], namespaces=[[]])
                seen = [event async for event in view if isinstance(event, graphwire.CustomEvent)]
                assert [event.data for event in seen] == local
                assert {event.namespace for event in seen} == {()}
                assert ("below" in [event.data for event in every]) == bool(record)


@pytest.mark.parametrize(("version", "subgraphs"), [("v1", False), ("v1", True), ("v2", True)])
@pytest.mark.parametrize("library", ["langgraph", "runtime"])
@pytest.mark.parametrize(("name", "input"), CASES)
async def test_the_remote_graph_yields_each_where_the_local_one_does(
    serve: Serve, library: str, name: str, input: Any, subgraphs: bool, version: Any
) -> None:
    graphs = functional(library)
    way: dict[str, Any] = {"stream_mode": ["custom", "updates"], "subgraphs": subgraphs, "version": version}
    local = [chunk async for chunk in graphs[name].astream(input, **way)]
    server = await serve(graphs)
    async with graphwire.connect(server.url) as client:
        remote = [chunk async for chunk in client.graph(name).astream(input, **way)]
    assert without_ids(remote) == without_ids(local)
    assert ("flow:" in str(local) or "outer:" in str(local)) == subgraphs


def without_ids(chunks: list[Any]) -> str:
    """Return the chunks as text, without the ids of tasks."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", repr(chunks))
