"""What a type checker makes of a remote graph."""

from typing import Any

import graphwire
from typing_extensions import assert_type


async def use(client: graphwire.Client) -> None:
    graph = client.graph("joke")
    assert_type(graph, graphwire.RemoteGraph)
    async for mode, chunk in graph.astream({"topic": "cats"}, stream_mode=["updates", "custom"]):
        print(mode, chunk)
    stream = graph.astream({}, {"configurable": {"thread_id": "t"}}, subgraphs=True, durability="exit")
    assert_type(await stream.__anext__(), Any)
    await stream.aclose()
    assert_type(await graph.ainvoke({"topic": "cats"}), Any)
    assert_type(await graph.aget_state({"configurable": {"thread_id": "t"}}), Any)
    assert_type(await graph.aupdate_state({"configurable": {"thread_id": "t"}}, {}), dict[str, Any])
    graph.astream({}, stream_mode="dreams")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def use_without_a_loop() -> None:
    with graphwire.connect() as client:
        graph = client.graph("joke")
        for chunk in graph.stream({"topic": "cats"}, stream_mode="values", version="v2"):
            print(chunk)
        assert_type(graph.invoke({"topic": "cats"}), Any)
        for state in graph.get_state_history({"configurable": {"thread_id": "t"}}, limit=3):
            print(state.values)
        graph.invoke({}, stream_mode="dreams")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        graph.stream(config={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        assert_type(graph.update_state({"configurable": {"thread_id": "t"}}, {}, "node"), dict[str, Any])
