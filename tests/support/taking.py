"""Takes events of a run and chunks of a remote graph, for the tests of the client."""

from typing import Any

import graphwire

from tests.support.model_run import ModelRun


def custom_data(events: list[Any]) -> list[Any]:
    """Return the data of the custom events among these."""
    return [event.data for event in events if isinstance(event, graphwire.CustomEvent)]


async def take(run: graphwire.Run, count: int) -> list[graphwire.Event]:
    """Take ``count`` events in a loop of its own, which is left by ``break``."""
    out: list[graphwire.Event] = []
    async for event in run:
        out.append(event)
        if len(out) == count:
            break
    return out


async def take_from(events: Any, count: int) -> list[Any]:
    """Take ``count`` events from a loop that stays open."""
    return [await anext(events) for _ in range(count)]


def play_joke(run: ModelRun) -> None:
    """A run of two nodes, the second one in a subgraph."""
    inner = ("sub:1",)
    run.lifecycle("running")
    run.emit("values", {"topic": "cats"})
    run.emit("custom", "thinking")
    meta = {"langgraph_node": "write", "langgraph_triggers": ["a"], "langgraph_path": ["b", "write"]}
    delta = {"id": "m1", "delta": {"type": "AIMessageChunk", "content": "Why"}}
    run.emit("messages", delta, node="write", meta=meta)
    run.emit("updates", {"write": {"joke": "Why"}}, ns=inner, node="write")
    run.emit("updates", {"sub": {"joke": "Why"}}, node="sub")
    run.emit("values", {"topic": "cats", "joke": "Why"})
    run.complete({"joke": "Why"})


async def stream(client: graphwire.Client, **more: Any) -> list[Any]:
    """Return all chunks of ``client.graph("joke").astream()``."""
    return [chunk async for chunk in client.graph("joke").astream({"topic": "cats"}, **more)]
