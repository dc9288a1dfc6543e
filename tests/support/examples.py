"""The graphs of LangGraph's streaming pages, each written once for either library.

A builder takes the library and returns the compiled graph; ``EXAMPLES`` names it with its input and the ways
to stream it. Where the pages call a provider's model, a scripted one stands in for it.
"""

import json
import operator
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool

from tests.support.graphs import Library

CONTEXT_IN_TASKS = sys.version_info >= (3, 11)
"""Whether asyncio tasks take a context; before, async nodes pass config and writer on themselves."""


class ScriptedModel(BaseChatModel):
    """Answers with its text, streamed word by word."""

    text: str

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _words(self) -> Iterator[ChatGenerationChunk]:
        for word in self.text.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word + " "))

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.text))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._words():
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._words():
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class Topic(TypedDict, total=False):
    topic: str
    joke: str
    poem: str


@dataclass
class TopicObject:
    topic: str
    joke: str = ""


def two_nodes(lib: Library) -> Any:
    def refine_topic(state: Topic) -> Topic:
        return {"topic": state["topic"] + " and cats"}

    def generate_joke(state: Topic) -> Topic:
        lib.get_stream_writer()({"about": state["topic"]})
        return {"joke": f"This is a joke about {state['topic']}"}

    graph = lib.StateGraph(Topic).add_node(refine_topic).add_node(generate_joke)
    graph.add_edge(lib.START, "refine_topic").add_edge("refine_topic", "generate_joke")
    return graph.add_edge("generate_joke", lib.END).compile()


class Foo(TypedDict, total=False):
    foo: str


class FooBar(TypedDict, total=False):
    foo: str
    bar: str


def subgraph(lib: Library) -> Any:
    inner = lib.StateGraph(FooBar)
    inner.add_node("make_bar", lambda state: {"bar": "bar"})
    inner.add_node("join", lambda state: {"foo": state["foo"] + state["bar"]})
    inner.add_edge(lib.START, "make_bar").add_edge("make_bar", "join")
    outer = lib.StateGraph(Foo)
    outer.add_node("greet", lambda state: {"foo": "hi! " + state["foo"]})
    outer.add_node("inside", inner.compile())
    return outer.add_edge(lib.START, "greet").add_edge("greet", "inside").compile()


def tokens_of_invoke(lib: Library) -> Any:
    model = ScriptedModel(text="why did the ice cream cross the road")

    def call_model(state: TopicObject) -> dict[str, Any]:
        answer = model.invoke([{"role": "user", "content": f"A joke about {state.topic}"}])
        return {"joke": answer.content}

    return lib.StateGraph(TopicObject).add_node(call_model).add_edge(lib.START, "call_model").compile()


def by_tag(lib: Library) -> Any:
    joke, poem = ScriptedModel(text="ha ha ha", tags=["joke"]), ScriptedModel(text="so soft", tags=["poem"])

    async def call_model(state: Topic, config: RunnableConfig) -> Topic:
        first = await joke.ainvoke(f"A joke about {state['topic']}", config)
        second = await poem.ainvoke(f"A poem about {state['topic']}", config)
        return {"joke": str(first.content), "poem": str(second.content)}

    return lib.StateGraph(Topic).add_node(call_model).add_edge(lib.START, "call_model").compile()


def by_node(lib: Library) -> Any:
    def write_joke(state: Topic) -> Topic:
        return {"joke": str(ScriptedModel(text="one two three").invoke(state["topic"]).content)}

    def write_poem(state: Topic) -> Topic:
        return {"poem": str(ScriptedModel(text="rose red rose").invoke(state["topic"]).content)}

    graph = lib.StateGraph(Topic).add_node(write_joke).add_node(write_poem)
    return graph.add_edge(lib.START, "write_joke").add_edge(lib.START, "write_poem").compile()


class Query(TypedDict, total=False):
    query: str
    answer: str


def custom_from_node(lib: Library) -> Any:
    def node(state: Query) -> Query:
        lib.get_stream_writer()({"custom_key": "Generating custom data inside node"})
        return {"answer": "some data"}

    return lib.StateGraph(Query).add_node(node).add_edge(lib.START, "node").compile()


def custom_from_tool(lib: Library) -> Any:
    @tool
    def query_database(query: str) -> str:
        """Query the database."""
        writer = lib.get_stream_writer()
        writer({"data": "Retrieved 0/100 records", "type": "progress"})
        writer({"data": "Retrieved 100/100 records", "type": "progress"})
        return "some-answer"

    def node(state: Query) -> Query:
        return {"answer": query_database.invoke({"query": state["query"]})}

    return lib.StateGraph(Query).add_node(node).add_edge(lib.START, "node").compile()


@dataclass
class _Choice:
    role: str | None
    content: str


async def any_client() -> AsyncIterator[_Choice]:
    """Stream as a provider's raw client does: the role first, then pieces of content."""
    yield _Choice("assistant", "")
    for piece in ("bed", ", lamp", ", wardrobe"):
        yield _Choice(None, piece)


class ToolState(TypedDict):
    messages: Annotated[list[dict[str, Any]], operator.add]


def any_llm(lib: Library) -> Any:
    async def get_items(place: str, writer: Any) -> str:
        response, role = "", None
        async for delta in any_client():
            role = delta.role or role
            if delta.content:
                response += delta.content
                writer({"role": role, "content": delta.content})
        return response

    async def call_tool(state: ToolState, writer: lib.StreamWriter) -> dict[str, Any]:  # type: ignore[name-defined]
        call = state["messages"][-1]["tool_calls"][-1]
        if CONTEXT_IN_TASKS:
            writer = lib.get_stream_writer()
        content = await get_items(**json.loads(call["function"]["arguments"]), writer=writer)
        name = call["function"]["name"]
        return {"messages": [{"tool_call_id": call["id"], "role": "tool", "name": name, "content": content}]}

    return lib.StateGraph(ToolState).add_node(call_tool).add_edge(lib.START, "call_tool").compile()


def without_streaming(lib: Library) -> Any:
    model = ScriptedModel(text="all at once", disable_streaming=True)

    def call_model(state: Topic) -> Topic:
        return {"joke": str(model.invoke(state["topic"]).content)}

    return lib.StateGraph(Topic).add_node(call_model).add_edge(lib.START, "call_model").compile()


def async_with_config(lib: Library) -> Any:
    model = ScriptedModel(text="an async joke")

    async def call_model(state: Topic, config: RunnableConfig) -> Topic:
        return {"joke": str((await model.ainvoke(state["topic"], config)).content)}

    return lib.StateGraph(Topic).add_node(call_model).add_edge(lib.START, "call_model").compile()


def async_with_writer(lib: Library) -> Any:
    async def generate_joke(state: Topic, writer: lib.StreamWriter) -> Topic:  # type: ignore[name-defined]
        writer({"custom_key": "Streaming custom data while generating a joke"})
        return {"joke": f"This is a joke about {state['topic']}"}

    return lib.StateGraph(Topic).add_node(generate_joke).add_edge(lib.START, "generate_joke").compile()


@dataclass
class Example:
    """A graph of the pages: what builds it, its input, and the arguments of each way to stream it."""

    build: Callable[[Library], Any]
    input: dict[str, Any]
    ways: list[dict[str, Any]]
    unordered: bool = False
    """Whether parallel nodes may interleave as they like."""


_TOPIC = {"topic": "ice cream"}
_CALL = {
    "id": "1",
    "type": "function",
    "function": {"name": "get_items", "arguments": '{"place":"bedroom"}'},
}

EXAMPLES: dict[str, Example] = {
    "updates of two nodes": Example(two_nodes, _TOPIC, [{}, {"stream_mode": "updates"}]),
    "updates and custom together": Example(two_nodes, _TOPIC, [{"stream_mode": ["updates", "custom"]}]),
    "values and updates": Example(
        two_nodes, _TOPIC, [{"stream_mode": "values"}, {"stream_mode": ["values", "updates"]}]
    ),
    "subgraph outputs": Example(
        subgraph,
        {"foo": "foo"},
        [
            {"stream_mode": "updates", "subgraphs": True},
            {"stream_mode": "updates"},
            {"stream_mode": ["values", "updates"], "subgraphs": True},
        ],
    ),
    "debug": Example(two_nodes, _TOPIC, [{"stream_mode": "debug"}, {"stream_mode": "tasks"}]),
    "tokens of invoke": Example(tokens_of_invoke, _TOPIC, [{"stream_mode": "messages"}]),
    "filter by tag": Example(by_tag, _TOPIC, [{"stream_mode": "messages"}]),
    "filter by node": Example(by_node, _TOPIC, [{"stream_mode": "messages"}], unordered=True),
    "custom data from a node": Example(custom_from_node, {"query": "example"}, [{"stream_mode": "custom"}]),
    "custom data from a tool": Example(custom_from_tool, {"query": "example"}, [{"stream_mode": "custom"}]),
    "any client": Example(
        any_llm,
        {"messages": [{"content": None, "role": "assistant", "tool_calls": [_CALL]}]},
        [{"stream_mode": "custom"}, {"stream_mode": ["custom", "updates"]}],
    ),
    "disable_streaming": Example(
        without_streaming, _TOPIC, [{"stream_mode": "messages"}, {"stream_mode": ["messages", "updates"]}]
    ),
    "async with explicit config": Example(async_with_config, _TOPIC, [{"stream_mode": "messages"}]),
    "async with a writer": Example(async_with_writer, _TOPIC, [{"stream_mode": "custom"}]),
}
"""Every example of the pages, by what it shows."""
