"""Values and updates: what a stream shows of the state, and how writes become the state.

About `runtime/graphwire_runtime/plan/channels.py`, `runtime/graphwire_runtime/plan/schema.py` and
`runtime/graphwire_runtime/step/standing.py`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from graphwire_runtime import END, START, Command, InvalidUpdateError, Overwrite, StateGraph
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypedDict

from tests.support.graphs import library


class Shop(TypedDict, total=False):
    item: str
    price: int
    log: Annotated[list[str], operator.add]


def chain(schema: type[Any], /, *nodes: Any, **schemas: Any) -> Any:
    return StateGraph(schema, **schemas).add_sequence(nodes).set_entry_point(nodes[0].__name__).compile()


def pick(state: Shop) -> dict[str, Any]:
    return {"item": state["item"] + "s", "log": ["picked"]}


def weigh(state: Shop) -> dict[str, Any]:
    return {"price": len(state["item"])}


async def test_values_show_the_state_after_the_input_and_after_each_step(drain: Any) -> None:
    graph = chain(Shop, pick, weigh)
    assert await drain(graph, {"item": "pear"}, stream_mode="values") == [
        {"item": "pear", "log": []},
        {"item": "pears", "log": ["picked"]},
        {"item": "pears", "price": 5, "log": ["picked"]},
    ]


async def test_updates_show_what_each_node_wrote_and_are_the_default(drain: Any) -> None:
    graph = chain(Shop, pick, weigh)
    expected = [{"pick": {"item": "pears", "log": ["picked"]}}, {"weigh": {"price": 5}}]
    assert await drain(graph, {"item": "pear"}) == expected
    assert await drain(graph, {"item": "pear"}, stream_mode="updates") == expected


async def test_only_a_list_of_modes_names_the_mode_beside_each_chunk(drain: Any) -> None:
    graph = chain(Shop, weigh)
    assert await drain(graph, {"item": "fig"}, stream_mode=["updates"]) == [
        ("updates", {"weigh": {"price": 3}})
    ]
    assert await drain(graph, {"item": "fig"}, stream_mode=("updates",)) == [{"weigh": {"price": 3}}]
    assert await drain(graph, {"item": "fig"}, stream_mode=["nonsense"]) == []


async def test_version_2_items_are_mappings_whatever_was_asked(drain: Any) -> None:
    graph = chain(Shop, weigh)
    assert await drain(graph, {"item": "fig"}, stream_mode=["values", "updates"], version="v2") == [
        {"type": "values", "ns": (), "data": {"item": "fig", "log": []}, "interrupts": ()},
        {"type": "updates", "ns": (), "data": {"weigh": {"price": 3}}},
        {"type": "values", "ns": (), "data": {"item": "fig", "price": 3, "log": []}, "interrupts": ()},
    ]


async def test_a_step_that_writes_nothing_shows_no_values_and_an_update_of_none(drain: Any) -> None:
    def idle(state: Shop) -> None:
        return None

    def strange(state: Shop) -> dict[str, Any]:
        return {"colour": "red"}

    graph = chain(Shop, idle, strange)
    assert await drain(graph, {"item": "fig"}, stream_mode=["values", "updates"]) == [
        ("values", {"item": "fig", "log": []}),
        ("updates", {"idle": None}),
        ("updates", {"strange": None}),
    ]


async def test_an_input_that_writes_nothing_shows_no_first_values(drain: Any) -> None:
    graph = chain(Shop, idle_price)
    assert await drain(graph, {"colour": "red"}, stream_mode="values") == [{"price": 1, "log": []}]


def idle_price(state: Shop) -> dict[str, Any]:
    return {"price": 1}


async def test_output_keys_restrict_what_is_shown_and_a_single_name_unwraps_it(drain: Any) -> None:
    graph = chain(Shop, pick, weigh)
    modes = ["values", "updates"]
    assert await drain(graph, {"item": "pear"}, stream_mode=modes, output_keys=["price"]) == [
        ("updates", {"pick": None}),
        ("updates", {"weigh": {"price": 5}}),
        ("values", {"price": 5}),
    ]
    assert await drain(graph, {"item": "pear"}, stream_mode=modes, output_keys="price") == [
        ("updates", {"pick": None}),
        ("updates", {"weigh": 5}),
        ("values", 5),
    ]
    with pytest.raises(ValueError, match=r"'colour'.*item, price, log"):
        await drain(graph, {"item": "pear"}, output_keys=["colour"])


async def test_invoke_returns_the_output_schema_and_a_stream_shows_every_key(drain: Any) -> None:
    class Question(TypedDict):
        item: str

    class Answer(TypedDict):
        price: int

    graph = chain(Shop, pick, weigh, input_schema=Question, output_schema=Answer)
    assert graph.invoke({"item": "pear", "price": 9}) == {"price": 5}
    assert await graph.ainvoke({"item": "pear"}) == {"price": 5}
    first, *_ = await drain(graph, {"item": "pear", "price": 9}, stream_mode="values")
    assert first == {"item": "pear", "log": []}, "the input schema does not know the price"
    assert graph.output_channels == ["price"]


def test_invoke_collects_the_chunks_of_any_other_mode() -> None:
    graph = chain(Shop, weigh)
    assert graph.invoke({"item": "fig"}, stream_mode="updates") == [{"weigh": {"price": 3}}]
    assert graph.invoke({"item": "fig"}, version="v2").value == {"item": "fig", "price": 3, "log": []}


def test_invoke_returns_none_when_no_key_was_written() -> None:
    def idle(state: Shop) -> None:
        return None

    assert chain(Shop, idle).invoke({}) is None


async def test_a_reducer_folds_the_input_and_every_write(drain: Any) -> None:
    def twice(state: Shop) -> Any:
        return [Command(update={"log": ["b"]}), {"log": ["c"], "price": 1}]

    graph = chain(Shop, twice)
    assert await drain(graph, {"log": ["a"]}, stream_mode=["updates", "values"]) == [
        ("values", {"log": ["a"]}),
        ("updates", {"twice": [{"log": ["b"]}, {"log": ["c"]}, {"price": 1}]}),
        ("values", {"price": 1, "log": ["a", "b", "c"]}),
    ]


async def test_an_overwrite_skips_the_reducer_and_is_shown_as_it_is_in_updates(drain: Any) -> None:
    def clear(state: Shop) -> dict[str, Any]:
        return {"log": Overwrite(["new"])}

    assert await drain(chain(Shop, clear), {"log": ["a"]}, stream_mode=["updates", "values"]) == [
        ("values", {"log": ["a"]}),
        ("updates", {"clear": {"log": Overwrite(["new"])}}),
        ("values", {"log": ["new"]}),
    ]


@pytest.mark.parametrize(
    ("left", "right", "log"),
    [([1], Overwrite([2]), [2]), (Overwrite([1]), [2], [1]), (Overwrite([1]), Overwrite([2]), None)],
)
async def test_an_overwrite_wins_over_other_writes_of_its_superstep(
    left: Any, right: Any, log: Any, drain: Any
) -> None:
    graph = (
        StateGraph(Shop).add_node("left", lambda s: {"log": left}).add_node("right", lambda s: {"log": right})
    )
    compiled = graph.add_edge(START, "left").add_edge(START, "right").compile()
    if log is None:
        with pytest.raises(InvalidUpdateError, match="one Overwrite per superstep"):
            await drain(compiled, {"log": [0]})
    else:
        assert (await drain(compiled, {"log": [0]}, stream_mode="values"))[-1] == {"log": log}


async def test_changing_the_state_in_place_is_not_an_update(drain: Any) -> None:
    def scribble(state: Shop) -> dict[str, Any]:
        state["item"] = "scribbled"
        return {"price": 0}

    assert (await drain(chain(Shop, scribble, weigh), {"item": "fig"}))[-1] == {"weigh": {"price": 3}}


async def test_a_value_that_is_no_update_is_named_in_the_error(drain: Any) -> None:
    def shout(state: Shop) -> Any:
        return "loud"

    with pytest.raises(InvalidUpdateError, match=r"node 'shout' .* returned str 'loud'"):
        await drain(chain(Shop, shout), {"item": "fig"})
    with pytest.raises(InvalidUpdateError, match=r"input of a run .* got int 5"):
        await drain(chain(Shop, weigh), 5)


async def test_a_dataclass_state_reaches_nodes_as_an_instance_with_its_defaults(drain: Any) -> None:
    @dataclass
    class Order:
        item: str
        count: int = 1
        notes: list[str] = field(default_factory=list)

    def show(state: Order) -> dict[str, Any]:
        return {"notes": [f"{state.count} {state.item}"]}

    def whole(state: Order) -> Order:
        return Order("plum", notes=state.notes)

    graph = (
        StateGraph(Order).add_sequence([("show", show), ("whole", whole)]).set_entry_point("show").compile()
    )
    assert await drain(graph, {"item": "fig"}, stream_mode=["values", "updates"]) == [
        ("values", {"item": "fig"}),
        ("updates", {"show": {"notes": ["1 fig"]}}),
        ("values", {"item": "fig", "notes": ["1 fig"]}),
        ("updates", {"whole": {"item": "plum", "count": 1, "notes": ["1 fig"]}}),
        ("values", {"item": "plum", "count": 1, "notes": ["1 fig"]}),
    ]
    assert graph.invoke(Order("kiwi"))["notes"] == ["1 kiwi"]
    with pytest.raises(TypeError, match="item"):
        await drain(graph, {"count": 2})


class Parcel(BaseModel):
    weight: int
    label: str = "none"


async def test_a_pydantic_state_validates_the_input_and_does_not_change_it(drain: Any) -> None:
    seen: list[Any] = []

    def read(state: Parcel) -> dict[str, Any]:
        seen.append(state)
        return {"label": "read"}

    graph = chain(Parcel, read)
    assert (await drain(graph, {"weight": "12"}, stream_mode="values"))[0] == {"weight": "12"}
    assert seen[0] == Parcel(weight=12)
    chunks: list[Any] = []
    with pytest.raises(ValidationError):
        await drain(graph, {"weight": "heavy"}, stream_mode="values", into=chunks)
    assert chunks == [], "the input is refused before anything is shown"
    parts = await drain(graph, {"weight": "12"}, stream_mode="values", version="v2")
    assert parts[-1]["data"] == Parcel(weight=12, label="read")


async def test_an_update_shown_before_the_state_refuses_it_is_not_lost(drain: Any) -> None:
    def spoil(state: Parcel) -> dict[str, Any]:
        return {"weight": "lots"}

    def read(state: Parcel) -> None:
        raise AssertionError("never reached")

    chunks: list[Any] = []
    graph = chain(Parcel, spoil, read)
    with pytest.raises(ValidationError):
        await drain(graph, {"weight": 1}, stream_mode="updates", into=chunks)
    assert chunks == [{"spoil": {"weight": "lots"}}]


async def test_keys_of_only_one_nodes_schema_are_private_but_shown(drain: Any) -> None:
    class Secret(TypedDict):
        code: int

    def think(state: Shop) -> dict[str, Any]:
        return {"code": 7}

    def use(state: Secret) -> dict[str, Any]:
        return {"price": state["code"] * len(state)}

    graph = StateGraph(Shop)
    graph.add_node("think", think)
    graph.add_node("use", use, input_schema=Secret)
    compiled = graph.add_edge(START, "think").add_edge("think", "use").add_edge("use", END).compile()
    assert compiled.invoke({"item": "fig", "code": 1}) == {"item": "fig", "price": 7, "log": []}
    assert (await drain(compiled, {"item": "fig"}, stream_mode="values"))[-1]["code"] == 7


async def test_a_generator_node_returns_its_last_value(drain: Any) -> None:
    def draft(state: Shop) -> Any:
        yield {"item": "first"}
        yield {"item": "second"}

    assert await drain(chain(Shop, draft), {}) == [{"draft": {"item": "second"}}]


class Topic(BaseModel):
    model_config = ConfigDict(extra="forbid")
    topic: str
    count: int = 0


@pytest.mark.parametrize("lib", ["graphwire_runtime", "langgraph"])
def test_an_input_may_lack_what_the_thread_has_and_name_what_no_state_has(lib: str) -> None:
    words = library(lib)
    building = words.StateGraph(Topic).add_node("n", lambda state: {"count": state.count + 1})
    graph = building.add_edge(words.START, "n").compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    with pytest.raises(ValidationError, match="topic"):
        graph.invoke({"count": 1}, {"configurable": {"thread_id": "other"}})
    with pytest.raises(ValidationError, match="count"):
        graph.invoke({"topic": "cats", "count": "many"}, {"configurable": {"thread_id": "third"}})
    graph.invoke({"topic": "cats", "colour": "red"}, thread)
    assert graph.invoke({"count": 5}, thread) == {"topic": "cats", "count": 6}


class Talk(BaseModel):
    messages: Annotated[list[Any], add_messages]
    count: int
    total: Annotated[int, operator.add]


class Part(BaseModel):
    count: int


@pytest.mark.parametrize("lib", ["graphwire_runtime", "langgraph"])
@pytest.mark.parametrize("mode", ["values", "updates", "checkpoints"])
async def test_only_what_a_node_sees_is_validated(lib: str, mode: str, drain: Any) -> None:
    words = library(lib)

    def first(state: Part) -> dict[str, Any]:
        return {"total": state.count, "messages": ("ai", "hello")}

    def last(state: Talk) -> dict[str, Any]:
        return {"total": 10 * state.total}

    building = words.StateGraph(Talk).add_node("first", first).add_node("last", last)
    building.add_edge(words.START, "first").add_edge("first", "last")
    graph = building.compile(checkpointer=InMemorySaver())

    thread = {"configurable": {"thread_id": "t"}}
    found = graph.invoke({"messages": ("user", "hi"), "count": "2"}, thread)
    assert (found["count"], found["total"]) == ("2", 22)
    assert [each.content for each in found["messages"]] == ["hi", "hello"]
    chunks: list[Any] = []
    with pytest.raises(ValidationError):
        await drain(graph, {"count": "none"}, into=chunks, stream_mode=mode, config=thread)
    assert len(chunks) == (1 if mode == "checkpoints" else 0)
    if lib == "graphwire_runtime":  # LangGraph's get_state raises here, too
        state = graph.get_state(thread)
        assert (state.values["count"], state.next) == ("none", ("first",))
