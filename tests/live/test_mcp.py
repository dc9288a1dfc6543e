"""An agent's tools over MCP: whoever watches the run sees their progress.

About `gateway/graphwire_gateway/execution/execution.py` and `gateway/graphwire_gateway/graphs/lifespan.py`.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypedDict

import graphwire
import pytest
from langgraph.config import get_stream_writer

from tests.support.chunks import comparable
from tests.support.graphs import Library
from tests.support.providers.graphs import gpt
from tests.support.providers.script import Call, Say
from tests.support.providers.server import Provider

pytestmark = pytest.mark.long

if TYPE_CHECKING:  # what these tests are about takes seconds to import, in each process that collects tests
    from langchain_mcp_adapters.callbacks import CallbackContext

SCRIPT = {
    "a hole": Say(("I ", "dig. "), (Call("dig", {"place": "the garden"}),)),
    "A hole in the garden": Say(("There ", "it is.")),
}
PROGRESS = [
    {"tool": "dig", "of": "digging", "done": done, "total": 3, "message": f"{done} m deep in the garden"}
    for done in (1, 2, 3)
]
ASKED = {"messages": [{"role": "user", "content": "I need a hole"}]}


@contextlib.asynccontextmanager
async def over_http() -> AsyncIterator[dict[str, Any]]:
    """Serve the tools on a free port, from a loop of their own, which they leave tasks on."""
    import uvicorn

    from tests.support.providers import mcp_tools

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(mcp_tools.tools().streamable_http_app(), log_level="error", ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(asyncio.to_thread(server.run, [listening]))
        try:
            yield {
                "transport": "streamable_http",
                "url": f"http://127.0.0.1:{listening.getsockname()[1]}/mcp",
            }
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def over_a_pipe() -> AsyncIterator[dict[str, Any]]:
    """Tell how to start the tools as a program."""
    from tests.support.providers import mcp_tools

    yield {"transport": "stdio", "command": sys.executable, "args": [mcp_tools.__file__]}


async def tell(done: float, total: float | None, message: str | None, context: "CallbackContext") -> None:
    """Hand a tool's progress to whoever watches the run."""
    progress = {"done": done, "total": total, "message": message}
    get_stream_writer()({"tool": context.tool_name, "of": context.server_name, **progress})


async def digger(provider: Provider, connection: Any) -> Any:
    """An agent with the tools of the server at ``connection``."""
    from langchain.agents import create_agent
    from langchain_mcp_adapters.callbacks import Callbacks
    from langchain_mcp_adapters.client import MultiServerMCPClient

    client = MultiServerMCPClient({"digging": connection}, callbacks=Callbacks(on_progress=tell))
    return create_agent(gpt(provider.url), await client.get_tools())


@pytest.fixture
async def provider(provide) -> Provider:
    return await provide(SCRIPT)


@pytest.mark.parametrize(
    ("transport", "runner"), [(over_http, "inline"), (over_http, "thread"), (over_a_pipe, "thread")]
)
async def test_the_progress_of_a_tool_over_mcp_arrives_between_its_agent_s_tokens(
    transport: Any, runner: str, provider: Provider, serve
) -> None:
    async with transport() as connection:
        server = await serve({"g": await digger(provider, connection)}, runner=runner)
        async with graphwire.connect(server.url) as client:
            run = await client.run("g", ASKED, modes=["messages", "custom"])
            told: list[Any] = []
            async for event in run:
                match event:
                    case graphwire.MessagesEvent(message=message) if message.text:
                        told.append(message.text)
                    case graphwire.CustomEvent(data=data):
                        told.append(data)
            await run.result()
    assert told == ["I ", "dig. ", *PROGRESS, "A hole in the garden", "There ", "it is."]


async def test_a_node_that_calls_a_tool_over_mcp_tells_its_progress(
    lib: Library, provider: Provider, serve
) -> None:
    async def report(
        done: float, total: float | None, message: str | None, context: "CallbackContext"
    ) -> None:
        lib.get_stream_writer()({"tool": context.tool_name, "message": message})

    class Hole(TypedDict, total=False):
        place: str
        hole: str

    from langchain_mcp_adapters.callbacks import Callbacks
    from langchain_mcp_adapters.client import MultiServerMCPClient

    async with over_http() as connection:
        callbacks = Callbacks(on_progress=report)
        (tool,) = await MultiServerMCPClient({"digging": connection}, callbacks=callbacks).get_tools()

        async def dig(state: Hole) -> Hole:
            (answer,) = await tool.ainvoke({"place": state["place"]})
            return {"hole": answer["text"]}

        graph = lib.StateGraph(Hole).add_node(dig).add_edge(lib.START, "dig").compile()
        server = await serve({"g": graph})
        async with graphwire.connect(server.url) as client:
            run = await client.run("g", {"place": "a bog"}, modes=["custom"])
            told = [event.data async for event in run if isinstance(event, graphwire.CustomEvent)]
            assert told == [{"tool": "dig", "message": f"{depth} m deep in a bog"} for depth in (1, 2, 3)]
            assert (await run.result())["hole"] == "A hole in a bog"


async def test_a_tool_over_mcp_that_fails_is_an_answer_to_its_agent(provide, serve) -> None:
    provider = await provide(
        {
            "a hole": Say((), (Call("dig", {"place": "the rock"}),)),
            "too hard": Say(("The rock ", "is too hard.")),
        }
    )
    async with over_http() as connection:
        server = await serve({"g": await digger(provider, connection)})
        async with graphwire.connect(server.url) as client:
            run = await client.run("g", ASKED, modes=["messages"])
            messages = [event.message async for event in run if isinstance(event, graphwire.MessagesEvent)]
    (answer,) = (message for message in messages if message.type == "tool")
    assert answer.extras["status"] == "error"
    assert answer.text == "Error executing tool dig: the rock is too hard"
    assert "".join(message.text for message in messages if message.type != "tool") == "The rock is too hard."


async def test_a_server_of_tools_that_has_gone_fails_the_run_and_says_so(provider: Provider, serve) -> None:
    async with over_http() as connection:
        graph = await digger(provider, connection)
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", ASKED, modes=["messages"])
        with pytest.raises(
            graphwire.RunFailed, match="caused by ConnectError: All connection attempts failed"
        ):
            await run.result()


async def test_an_agent_with_tools_over_mcp_streams_as_it_does_locally(provider: Provider, serve) -> None:
    way = {"stream_mode": ["values", "updates", "messages", "custom"]}
    async with over_http() as connection:
        graph = await digger(provider, connection)
        local = comparable([chunk async for chunk in graph.astream(ASKED, **way)])
        server = await serve({"g": graph})
        async with graphwire.connect(server.url) as client:
            remote = comparable([chunk async for chunk in client.graph("g").astream(ASKED, **way)])
    assert len(local) > 10
    assert remote == local
