"""Programs of the functional API, each written once for both libraries: `lib` has the names of either.

A program makes a graph; `ACTS` says what is done to its thread.

Long because it is a list of programs, each of which stands for itself.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.cache.memory import InMemoryCache
from langgraph.config import get_stream_writer
from langgraph.errors import NodeError
from langgraph.graph import MessagesState, StateGraph
from langgraph.graph.message import push_message
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import StreamWriter, interrupt
from typing_extensions import TypedDict

Program = Callable[[Any, Any], Any]
"""Makes a graph of the names of a library and a saver, which may be None."""


class Pad(TypedDict, total=False):
    """A state that is a log."""

    log: Annotated[list[Any], operator.add]


class Ask:
    """An act: answer the question with this number among those that the thread waits at."""

    def __init__(self, answer: Any, number: int | None = None) -> None:
        self.answer = answer
        self.number = number


def plain(lib: Any, saver: Any) -> Any:
    @lib.task
    def add(a: int, b: int = 2) -> int:
        lib.get_stream_writer()(["in add", a])
        return a + b

    @lib.task(name="twice")
    def double(a: int, *, config: RunnableConfig, writer: StreamWriter) -> int:
        writer("in double")
        assert config["metadata"]["langgraph_node"] == "twice"
        return add(a, b=a).result()

    @lib.entrypoint(checkpointer=saver)
    def main(x: int, *, previous: Any = None) -> Any:
        lib.get_stream_writer()("in main")
        first = add(x).result()
        return {"sum": double(first).result(), "previous": previous}

    return main


def awaiting(lib: Any, saver: Any) -> Any:
    @lib.task
    async def add(a: int, b: int = 2) -> int:
        lib.get_stream_writer()(["in add", a])
        await asyncio.sleep(0)
        return a + b

    @lib.task
    def double(a: int) -> int:
        lib.get_stream_writer()("in double")
        return 2 * a

    @lib.task
    async def both(a: int) -> int:
        return await double(await add(a))

    @lib.entrypoint(checkpointer=saver)
    async def main(x: int, *, previous: Any = None) -> Any:
        lib.get_stream_writer()("in main")
        return [await both(x), await add(x, b=previous[0] if previous else 0)]

    return main


def final(lib: Any, saver: Any) -> Any:
    @lib.entrypoint(checkpointer=saver)
    def main(x: int, previous: int | None) -> lib.entrypoint.final[int, int]:
        return lib.entrypoint.final(value=(previous or 0), save=x * 2)

    return main


def nothing(lib: Any, saver: Any) -> Any:
    @lib.task
    def none() -> None:
        return None

    @lib.entrypoint(checkpointer=saver)
    def main(x: Any) -> None:
        none().result()
        none()

    return main


def parallel(lib: Any, saver: Any) -> Any:
    @lib.task
    def add(a: int) -> int:
        return a + 1

    @lib.entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        futures = [add(number) for number in range(x)]
        return [future.result() for future in futures]

    return main


def gathering(lib: Any, saver: Any) -> Any:
    @lib.task
    async def add(a: int) -> int:
        await asyncio.sleep(0)
        return a + 1

    @lib.entrypoint(checkpointer=saver)
    async def main(x: int) -> Any:
        return await asyncio.gather(*(add(number) for number in range(x)))

    return main


def asking(lib: Any, saver: Any) -> Any:
    done: list[str] = []

    @lib.task
    def work(x: str) -> str:
        done.append(x)
        return f"{x} {done.count(x)}"

    @lib.task
    def ask(x: str) -> Any:
        return [x, lib.interrupt(f"{x}?"), lib.interrupt({"again": x})]

    @lib.entrypoint(checkpointer=saver)
    def main(x: str) -> Any:
        first = work(x).result()
        own = lib.interrupt("own")
        asked = ask("inner").result()
        return {"first": first, "own": own, "asked": asked, "last": work("last").result()}

    return main


def asking_awaiting(lib: Any, saver: Any) -> Any:
    done: list[str] = []

    @lib.task
    async def work(x: str) -> str:
        done.append(x)
        return f"{x} {done.count(x)}"

    @lib.task
    async def ask(x: str) -> Any:
        before = await work(f"before {x}")
        return [before, lib.interrupt(f"{x}?"), lib.interrupt({"again": x})]

    @lib.entrypoint(checkpointer=saver)
    async def main(x: str) -> Any:
        first = await work(x)
        own = lib.interrupt("own")
        return {"first": first, "own": own, "asked": await ask("inner"), "last": await work("last")}

    return main


def asking_side_by_side(lib: Any, saver: Any) -> Any:
    @lib.task
    def ask(x: int) -> Any:
        return lib.interrupt(x)

    @lib.entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        futures = [ask(number) for number in range(x)]
        return [future.result() for future in futures]

    return main


def asking_gathered(lib: Any, saver: Any) -> Any:
    @lib.task
    async def ask(x: int) -> Any:
        return lib.interrupt(x)

    @lib.entrypoint(checkpointer=saver)
    async def main(x: int) -> Any:
        futures = [ask(number) for number in range(x)]
        return [await future for future in futures]

    return main


def asking_unheard(lib: Any, saver: Any) -> Any:
    @lib.task
    def ask(x: int) -> Any:
        return lib.interrupt(x)

    @lib.entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        ask(x)
        return "done"

    return main


def failing(lib: Any, saver: Any) -> Any:
    done: list[str] = []

    @lib.task
    def work(x: str) -> str:
        done.append(x)
        return f"{x} {done.count(x)}"

    @lib.task
    def fail(x: str) -> str:
        done.append("fail")
        if done.count("fail") < 3:
            raise ValueError(x)
        return "well"

    @lib.entrypoint(checkpointer=saver)
    def main(x: str) -> Any:
        first = work(x).result()
        try:
            fail("caught").result()
        except ValueError as error:
            first += str(error)
        return [first, fail("raised").result(), done.count(x)]

    return main


def failing_awaiting(lib: Any, saver: Any) -> Any:
    done: list[str] = []

    @lib.task
    async def work(x: str) -> str:
        done.append(x)
        return f"{x} {done.count(x)}"

    @lib.task
    async def fail(x: str) -> str:
        done.append("fail")
        if done.count("fail") < 3:
            raise ValueError(x)
        return "well"

    @lib.entrypoint(checkpointer=saver)
    async def main(x: str) -> Any:
        first = await work(x)
        try:
            await fail("caught")
        except ValueError as error:
            first += str(error)
        return [first, await fail("raised"), done.count(x)]

    return main


def failing_unheard(lib: Any, saver: Any) -> Any:
    @lib.task
    def fail(x: str) -> str:
        raise ValueError(x)

    @lib.entrypoint(checkpointer=saver)
    def main(x: str) -> Any:
        fail(x)
        return "done"

    return main


def retried(lib: Any, saver: Any) -> Any:
    attempts: list[str] = []
    policy = lib.RetryPolicy(initial_interval=0.001, jitter=False, retry_on=ValueError)

    @lib.task(retry_policy=[policy])
    def fragile(x: str) -> Any:
        attempts.append(x)
        if len(attempts) < 3:
            raise ValueError(x)
        return len(attempts)

    @lib.task
    def plain(x: str) -> Any:
        attempts.append(x)
        if attempts.count(x) < 2:
            raise ValueError(x)
        return attempts.count(x)

    @lib.entrypoint(checkpointer=saver, retry_policy=policy)
    def main(x: str) -> Any:
        attempts.append("main")
        found = [fragile(x).result(), plain("y").result()]
        if attempts.count("main") < 2:
            raise ValueError("main")
        return [*found, len(attempts)]

    return main


def cached(lib: Any, saver: Any) -> Any:
    done: list[int] = []

    @lib.task(cache_policy=lib.CachePolicy())
    def count(x: int, *, y: int = 0) -> Any:
        done.append(x)
        return [x, y, len(done)]

    @lib.entrypoint(checkpointer=saver, cache=InMemoryCache())
    def main(x: int) -> Any:
        return [count(x).result(), count(x, y=1).result(), count(x + 1).result()]

    return main


def cached_whole(lib: Any, saver: Any) -> Any:
    done: list[int] = []

    @lib.entrypoint(checkpointer=saver, cache=InMemoryCache(), cache_policy=lib.CachePolicy())
    def main(x: int) -> Any:
        done.append(x)
        return lib.entrypoint.final(value=[x, len(done)], save="saved")

    return main


def looking(lib: Any, saver: Any) -> Any:
    @lib.task
    def look(x: int, store: BaseStore, runtime: Any, previous: Any) -> Any:
        store.put(("a",), "b", {"x": x})
        return [previous, runtime.previous, type(runtime).__name__, runtime.context]

    @lib.entrypoint(checkpointer=saver, store=InMemoryStore(), context_schema=dict)
    def main(
        x: int, config: RunnableConfig, store: BaseStore, runtime: Any, writer: StreamWriter, previous: Any
    ) -> Any:
        writer([previous, runtime.previous])
        found = look(x).result()
        info = runtime.execution_info
        assert info.checkpoint_ns.startswith("main:")
        assert lib.get_config()["configurable"]["checkpoint_ns"] == config["configurable"]["checkpoint_ns"]
        return [found, store.get(("a",), "b").value, info.node_attempt, lib.get_store() is store]

    return main


def _inner(lib: Any, ask: bool) -> Any:
    def say(state: Any) -> Any:
        lib.get_stream_writer()("inside")
        return {"log": [lib.interrupt("inner?") if ask else "said"]}

    return lib.StateGraph(Pad).add_node("say", say).add_edge("__start__", "say").compile()


def nesting(lib: Any, saver: Any, ask: bool = False) -> Any:
    inner = _inner(lib, ask)

    @lib.task
    def call(x: int) -> Any:
        return inner.invoke({"log": [x]})["log"]

    @lib.entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        return [inner.invoke({"log": ["main"]})["log"], call(x).result(), call(x + 1).result()]

    return main


def nesting_asking(lib: Any, saver: Any) -> Any:
    return nesting(lib, saver, ask=True)


def node(lib: Any, saver: Any) -> Any:
    """A graph whose nodes call tasks and an entrypoint."""

    @lib.task
    def add(a: int) -> int:
        lib.get_stream_writer()("in add")
        return a + 1

    @lib.task
    def ask(x: int) -> Any:
        return lib.interrupt(x)

    @lib.entrypoint()
    def inner(x: int) -> Any:
        lib.get_stream_writer()("in inner")
        return {"log": [add(x).result(), ask(x).result()]}

    def first(state: Any) -> Any:
        return {"log": [add(1).result(), ask(7).result(), add(2).result()]}

    def second(state: Any) -> Any:
        return inner.invoke(5)

    graph = lib.StateGraph(Pad).add_node("first", first).add_node("second", second)
    return graph.add_edge("__start__", "first").add_edge("first", "second").compile(saver)


def as_node(lib: Any, saver: Any) -> Any:
    """A graph in which an entrypoint is a node."""

    @lib.task
    def add(a: int) -> int:
        return a + 1

    @lib.entrypoint()
    def inner(state: Any) -> Any:
        return {"log": [add(len(state["log"])).result(), lib.interrupt("in a node?")]}

    return lib.StateGraph(Pad).add_node("inner", inner).add_edge("__start__", "inner").compile(saver)


def talking(lib: Any, saver: Any) -> Any:
    model = FakeListChatModel(responses=["hello", "again"])

    @lib.task
    def say(text: str) -> Any:
        return model.invoke(text, {"tags": ["t"]})

    @lib.task
    def whole(message: Any) -> Any:
        return [message, AIMessage("whole", id="w")]

    @lib.entrypoint(checkpointer=saver)
    def main(x: str) -> Any:
        model.invoke(x)
        said = say(x).result()
        return {
            "messages": [*whole(HumanMessage("given", id="g")).result(), AIMessage("end", id="e")],
            "said": said.content,
        }

    return main


def sending(lib: Any, saver: Any) -> Any:
    """A graph whose nodes, run by Sends, call tasks."""

    @lib.task
    def ask(x: int) -> Any:
        return lib.interrupt(x) if x else "none"

    def work(x: int) -> Any:
        return {"log": [ask(0).result(), ask(x).result()]}

    def spread(state: Any) -> Any:
        return [lib.Send("work", 1), lib.Send("work", 2)]

    graph = lib.StateGraph(Pad).add_node("work", work)
    return graph.add_conditional_edges("__start__", spread, ["work"]).compile(saver)


def theirs_inside(lib: Any, saver: Any) -> Any:
    """A task that calls a graph of LangGraph's."""

    def say(state: Any) -> Any:
        get_stream_writer()("inside")
        return {"log": [interrupt("inner?")]}

    inner = StateGraph(Pad).add_node("say", say).add_edge("__start__", "say").compile()

    @lib.task
    def call(x: int) -> Any:
        return inner.invoke({"log": [x]})["log"]

    @lib.entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        return [call(x).result(), call(x + 1).result()]

    return main


def handled(lib: Any, saver: Any) -> Any:
    """A node that a task fails, and whose error handler calls another."""

    @lib.task
    def fail() -> Any:
        raise ValueError("task")

    @lib.task
    def mend(text: str) -> Any:
        return f"mended {text}"

    def work(state: Any) -> Any:
        return {"log": [fail().result()]}

    def mending(state: Any, error: NodeError) -> Any:
        return {"log": [mend(str(error.error)).result()]}

    graph = lib.StateGraph(Pad).add_node("work", work, error_handler=mending)
    return graph.add_edge("__start__", "work").compile(saver)


def pushing(lib: Any, saver: Any) -> Any:
    """A task that pushes a message into the state."""

    @lib.task
    def push(text: str) -> Any:
        push_message(AIMessage(text, id="p"))
        return text

    def work(state: Any) -> Any:
        return {"messages": [AIMessage(push("pushed").result(), id="r")]}

    graph = lib.StateGraph(MessagesState).add_node("work", work)
    return graph.add_edge("__start__", "work").compile(saver)


def stopping(lib: Any, saver: Any) -> Any:
    """An entrypoint that calls a graph with a breakpoint in a task."""

    def say(state: Any) -> Any:
        return {"log": ["said"]}

    graph = lib.StateGraph(Pad).add_node("say", say).add_edge("__start__", "say")
    inner = graph.compile(interrupt_before=["say"])

    @lib.task
    def call(x: int) -> Any:
        return inner.invoke({"log": [x]})

    @lib.entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        return call(x).result()

    return main


def keeping(lib: Any, saver: Any) -> Any:
    """An entrypoint with a history of its own, called twice in a node."""

    @lib.entrypoint(checkpointer=True)
    def inner(x: int, previous: Any) -> Any:
        return [x, previous]

    def work(state: Any) -> Any:
        return {"log": [inner.invoke(len(state["log"]))]}

    graph = lib.StateGraph(Pad).add_node("work", work)
    return graph.add_edge("__start__", "work").compile(saver)


def sending_up(lib: Any, saver: Any) -> Any:
    """An entrypoint in a node that hands a Command to the graph around."""

    def say(state: Any) -> Any:
        return lib.Command(graph=lib.Command.PARENT, update={"log": ["up"]})

    inner = lib.StateGraph(Pad).add_node("say", say).add_edge("__start__", "say").compile()

    @lib.task
    def call(x: int) -> Any:
        return inner.invoke({"log": [x]})

    @lib.entrypoint()
    def flow(state: Any) -> Any:
        return {"log": [call(1).result()]}

    graph = lib.StateGraph(Pad).add_node("flow", flow)
    return graph.add_edge("__start__", "flow").compile(saver)


ACTS: dict[str, list[Any]] = {
    "plain": [1, 2],
    "awaiting": [1, 2],
    "final": [1, 2, 3],
    "nothing": [{}, {}],
    "parallel": [4],
    "gathering": [4],
    "asking": ["x", Ask("a"), Ask("b"), Ask("c"), "x"],
    "asking_awaiting": ["x", Ask("a"), Ask("b"), Ask("c"), "x"],
    "asking_side_by_side": [2, Ask("a"), Ask("a", 0), Ask("b", 0), 1, Ask("c")],
    "asking_gathered": [2, Ask("a"), Ask("a", 0), Ask("b", 0), 1, Ask("c")],
    "asking_unheard": [1, Ask("a")],
    "failing": ["x", None, None, "y"],
    "failing_awaiting": ["x", None, None, "y"],
    "failing_unheard": ["x", "y"],
    "retried": ["x"],
    "cached": [1, 1, 2],
    "cached_whole": [1, 1, 2],
    "looking": [1, 2],
    "nesting": [1],
    "nesting_asking": [1, Ask("a"), Ask("b"), Ask("c")],
    "node": [{"log": ["in"]}, Ask("a"), Ask("b")],
    "as_node": [{"log": ["in"]}, Ask("a")],
    "talking": ["x"],
    "sending": [{"log": ["in"]}, Ask("a", 0), Ask("b")],
    "theirs_inside": [1, Ask("a"), Ask("b")],
    "handled": [{"log": ["in"]}],
    "pushing": [{"messages": []}],
    "stopping": [1, None],
    "keeping": [{"log": []}, {"log": ["x"]}],
    "sending_up": [{"log": ["in"]}],
}
"""What is done to the thread of each program: inputs, None to go on, and answers."""

ASYNC = ("awaiting", "gathering", "asking_awaiting", "asking_gathered", "failing_awaiting")
"""The programs that run on an event loop only."""

UNORDERED = (
    "parallel",
    "gathering",
    "asking_side_by_side",
    "asking_gathered",
    "asking_unheard",
    "nothing",
    "failing_unheard",
    "sending",
)
"""The programs whose tasks run side by side, so that the order of what they show is chance."""
