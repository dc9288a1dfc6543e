"""Values that cannot be read, or that only an operator knows to write, on their way from a node to a client.

About `gateway/graphwire_gateway/server.py` and `protocol/graphwire_protocol/projection.py`.
"""

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypedDict

import graphwire
import pytest
from graphwire_gateway import CannotServe, Gateway
from graphwire_protocol.projection import Opaque
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, field_serializer

from tests.support.graphs import Library

MODES = ["values", "updates", "custom", "tasks", "debug", "lifecycle"]


class Price(BaseModel):
    cents: Any = None
    name: str = "apple"

    @field_serializer("cents")
    def dollars(self, cents: Any) -> Any:
        return cents / 100


class Leaving:
    def __repr__(self) -> str:
        raise SystemExit


class State(TypedDict, total=False):
    out: Any
    count: int


def graph_of(lib: Library, value: Any, **options: Any) -> Any:
    def make(state: State) -> State:
        lib.get_stream_writer()({"seen": value})
        return {"out": value, "count": 1}

    return lib.StateGraph(State).add_node(make).add_edge(lib.START, "make").compile(**options)


async def test_a_value_that_raises_fails_no_run(serve, lib: Library) -> None:
    server = await serve({"g": graph_of(lib, [Price(), Leaving()])})
    unread = Opaque("<cannot be read: PydanticSerializationError>", "object")
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"count": 0}, modes=MODES)
        result = await run.result()
    assert result["count"] == 1
    assert result["out"] == [
        {"cents": unread, "name": "apple"},
        Opaque("<Leaving whose repr raised SystemExit>", "Leaving"),
    ]


async def test_an_operators_encoder_says_what_is_sent_in_events_results_and_states(
    serve, lib: Library
) -> None:
    graph = graph_of(lib, [IPv4Address("127.0.0.1")], checkpointer=InMemorySaver())
    server = await serve({"g": graph}, encoders={IPv4Address: lambda address: {"ip": str(address)}})
    sent = [{"ip": "127.0.0.1"}]
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"count": 0}, thread="t", modes=["custom", "lifecycle"])
        assert [event.data async for event in run if event.mode == "custom"] == [{"seen": sent}]
        assert (await run.result())["out"] == sent
        assert (await client.state("g", "t")).values["out"] == sent


def test_encoders_are_found_by_their_target_and_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_encoders.py").write_text("good = {complex: str}\nlist = [1]\nnames = {'complex': str}\n")
    Gateway({}, encoders="./own_encoders.py:good")
    with pytest.raises(CannotServe, match="is of type list, not a mapping of classes to functions"):
        Gateway({}, encoders="./own_encoders.py:list")
    with pytest.raises(CannotServe, match="maps 'complex'; it maps classes to functions"):
        Gateway({}, encoders="./own_encoders.py:names")
    with pytest.raises(CannotServe, match="encoders"):
        Gateway({}, encoders="./own_encoders.py:missing")
