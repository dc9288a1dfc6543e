"""One command serves a LangGraph project, and its threads outlive a server that is killed.

About `gateway/graphwire_gateway/serve/command.py`, `gateway/graphwire_gateway/serve/langgraph_json.py`,
`gateway/graphwire_gateway/graphs/savers.py` and `gateway/graphwire_gateway/connections/langgraph_auth.py`.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import graphwire
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph_sdk import Auth
from langgraph_sdk.runtime import ServerRuntime

from tests.live.conftest import Connect, Serve
from tests.support.graphs import OURS, Counter, counter
from tests.support.processes import started
from tests.support.projects import serving

DESK = Path(__file__).parents[2] / "clients" / "python" / "examples" / "support_desk"

pytest.importorskip("langgraph.graph")
pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="LangGraph's coroutines interrupt from Python 3.11 on"
)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Serve the project by the command of its README; yield the process and the server's address."""
    env = {"DESK_DB": str(folder / "desk.db")}
    async with serving(DESK, folder, "chat, refund, research", env) as served:
        yield served


def says(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def answer(client: graphwire.Client, text: str, **options: Any) -> tuple[str, int]:
    """Say something in the chat; return the answer as it was streamed, and in how many tokens."""
    run = await client.run("chat", says(text), modes=["messages"], **options)
    tokens = [event.message.text async for event in run if isinstance(event, graphwire.MessagesEvent)]
    return "".join(tokens), len(tokens)


async def waits_for(run: graphwire.Run) -> list[dict[str, Any]]:
    """Return what a run asks."""
    with pytest.raises(graphwire.RunInterrupted) as caught:
        await asyncio.wait_for(run.result(), 30)
    return [interrupt.value for interrupt in caught.value.interrupts]


@pytest.mark.processes
async def test_what_was_said_and_what_was_asked_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    question = [{"question": "Refund order A7?", "order": "A7"}]
    async with desk(tmp_path) as (process, url):
        async with graphwire.connect(url) as client:
            text, tokens = await answer(client, "my parcel is late", thread="ann")
            assert text == "You wrote: my parcel is late. How can we help?"
            assert tokens >= 10, "a word each"
            refund = await client.run("refund", says("refund order A7"), thread="ann")
            assert await waits_for(refund) == question
        process.kill()
        await process.wait()
    async with desk(tmp_path) as (_, url), graphwire.connect(url) as client:
        text, _ = await answer(client, "and wet", thread="ann")
        assert "Before that you wrote: my parcel is late." in text
        text, _ = await answer(client, "hello", thread="bob")
        assert "Before" not in text, "a thread knows of no other"
        state = await client.state("refund", "ann")
        assert [interrupt.value for interrupt in state.interrupts] == question
        resumed = await client.run("refund", command={"resume": "yes"}, thread="ann")
        result = await asyncio.wait_for(resumed.result(), 30)
        assert result["messages"][-1].text == "Done: order A7 is refunded"
        assert (await client.state("refund", "ann")).next == ()


@pytest.mark.processes
async def test_a_factory_makes_the_graph_that_the_config_asks_for_and_a_subgraph_is_seen_at_work(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as (_, url), graphwire.connect(url) as client:
        described = {row.name: row for row in await client.graphs()}
        assert set(described["research"].nodes) == {"reader", "write"}
        assert described["refund"].description == "Refunds an order, once a person has agreed."
        for sources, config in ((2, {}), (3, {"configurable": {"sources": 3}})):
            run = await client.run(
                "research", {"topic": "ice"}, modes=["custom"], namespaces=[["reader"]], config=config
            )
            seen = [event.data async for event in run if isinstance(event, graphwire.CustomEvent)]
            assert seen == [{"reading": number, "of": sources} for number in range(1, sources + 1)]
            result = await run.result()
            assert result["report"].count("source") == sources


@pytest.mark.processes
async def test_the_eleven_lines_of_the_client_talk_to_it(tmp_path: Path) -> None:
    source = (DESK / "client.py").read_text("utf-8")
    docstrings = re.sub(r'""".*?"""', "", source, flags=re.DOTALL)
    assert len([line for line in docstrings.splitlines() if line.strip()]) == 11
    async with desk(tmp_path) as (_, url):
        for text, words in (("hello", "You wrote: hello."), ("again", "Before that you wrote: hello.")):
            async with started(
                sys.executable, str(DESK / "client.py"), text, url, stdout=asyncio.subprocess.PIPE
            ) as client:
                out, _ = await asyncio.wait_for(client.communicate(), 30)
            assert words in out.decode()
            assert out.endswith(b"\n"), "the prompt of a shell gets a line of its own"


async def test_a_factory_learns_what_each_of_its_graphs_is_for(serve: Serve) -> None:
    seen: list[tuple[str, str | None, Any]] = []

    async def make(config: RunnableConfig, runtime: ServerRuntime) -> Any:  # type: ignore[type-arg]
        running = runtime.execution_runtime
        user = None if runtime.user is None else runtime.user.identity
        seen.append((runtime.access_context, user, None if running is None else running.context))
        return counter()

    server = await serve({"g": make}, tokens={"s3cret": "ann"})
    async with graphwire.connect(server.url, token="s3cret") as client:
        run = await client.run("g", {"count": 1}, thread="t", context={"depth": 3})
        await run.result()
        await client.state("g", "t")
        await client.update_state("g", "t", {"done": 9})
        assert (await client.state("g", "t")).values["done"] == 9
    assert seen == [
        ("assistants.read", None, None),
        ("threads.create_run", "ann", {"depth": 3}),
        ("threads.read", "ann", None),
        ("threads.update", "ann", None),
        ("threads.read", "ann", None),
    ]


async def test_a_factory_knows_the_user_also_while_a_run_s_checkpoint_and_answers_are_checked(
    serve: Serve,
) -> None:
    seen: list[tuple[str, str | None]] = []

    async def make(config: RunnableConfig, runtime: ServerRuntime) -> Any:  # type: ignore[type-arg]
        seen.append((runtime.access_context, None if runtime.user is None else runtime.user.identity))
        return counter()

    server = await serve({"g": make}, tokens={"s3cret": "ann"})
    async with graphwire.connect(server.url, token="s3cret") as client:
        await (await client.run("g", {"count": 1}, thread="t")).result()
        checkpoint = (await client.state("g", "t")).checkpoint
        seen.clear()
        await (await client.run("g", {"count": 1}, thread="t", checkpoint=checkpoint)).result()
        assert seen == [("threads.read", "ann"), ("threads.create_run", "ann")]
        seen.clear()
        await client.run("g", thread="t", command={"resume": 1})
        assert seen[0] == ("threads.read", "ann")


async def test_what_a_run_opened_is_closed_when_it_fails_or_is_cancelled(serve: Serve) -> None:
    seen: list[str] = []

    async def work(state: Counter) -> Counter:
        if not state["count"]:
            raise ValueError("no")
        await asyncio.Event().wait()
        return {}

    @asynccontextmanager
    async def make(config: RunnableConfig) -> AsyncIterator[Any]:
        seen.append("open")
        try:
            yield OURS.StateGraph(Counter).add_node(work).add_edge(OURS.START, "work")
        finally:
            seen.append("close")

    server = await serve({"g": make}, runner="thread")
    async with graphwire.connect(server.url) as client:
        failed = await client.run("g", {"count": 0})
        with pytest.raises(graphwire.RunFailed, match="no"):
            await failed.result()
        assert seen == ["open", "close"] * 2
        waits = await client.run("g", {"count": 1}, modes=["tasks"])
        async for event in waits:
            if isinstance(event, graphwire.TasksEvent):
                break
        await waits.cancel()
        with pytest.raises(graphwire.RunCancelled):
            await waits.result()
        assert seen == ["open", "close"] * 3


async def test_an_auth_of_langgraph_says_who_connects(serve: Serve, connect: Connect) -> None:
    auth = Auth()

    @auth.authenticate
    async def who(authorization: str | None) -> dict[str, str]:
        if authorization != "Bearer s3cret":
            raise Auth.exceptions.HTTPException(status_code=401, detail="hush hush")
        return {"identity": "ann"}

    server = await serve({"g": counter()}, auth=auth, allowed_origin_regex=r"https://.*\.app\.example")
    async with graphwire.connect(server.url, token="s3cret") as client:
        assert client.server is not None
        assert client.server.principal == "ann"
    for token in ("wrong", None):
        peer = await connect(server, hello=False)
        refused = await peer.ask(type="hello", **({} if token is None else {"token": token}))
        assert (refused["type"], refused["code"]) == ("error", "unauthenticated")
        assert "hush" not in str(refused)
        assert await peer.gone() == 4401
    await connect(server, token="s3cret", headers=[("Origin", "https://a.app.example")])
    page = await connect(server, headers=[("Origin", "https://app.example.evil.org")], hello=False)
    assert await page.gone() == 4403


async def test_a_graph_without_threads_is_refused_one_with_what_to_do(serve: Serve) -> None:
    async def count(state: Counter) -> Counter:
        return {}

    builder = OURS.StateGraph(Counter).add_node(count).add_edge(OURS.START, "count")
    without = builder.compile(checkpointer=False)
    own = "graph 'own' can have no checkpointer, so it has no threads"
    async with graphwire.connect((await serve({"own": without})).url) as client:
        with pytest.raises(
            graphwire.Refused, match=f"{own}; leave the thread out, or compile it without che"
        ):
            await client.run("own", {"count": 1}, thread="t")
        with pytest.raises(graphwire.Refused, match=f"{own}; compile it without checkpointer=False"):
            await client.state("own", "t")
    async with graphwire.connect((await serve({"g": counter()}, checkpointer=False)).url) as client:
        with pytest.raises(graphwire.Refused, match="leave the thread out, or let the server have a check"):
            await client.run("g", {"count": 1}, thread="t")
