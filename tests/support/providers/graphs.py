"""The graphs of LangGraph's streaming page that call a model, with the providers' own libraries.

A builder takes the graph library and the fake provider's address; ``EXAMPLES`` names it with its input and
the ways to stream it. ``SCRIPT`` is what the provider says to them.
"""

import json
import operator
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool

from tests.support.graphs import Library
from tests.support.providers.script import Call, Say

if TYPE_CHECKING:  # the providers' libraries take seconds to import, in each process that collects tests
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI

JOKE = ("Why did ", "the ", "ice cream ", "cross — ", "the road", "?")
POEM = ("Soft ", "paws, ", "loud ", "purrs.")
ITEMS = ("bed", ", lamp", ", wardrobe")
PLACE = {"place": "a bedroom in the north"}

SCRIPT = {
    "joke": Say(JOKE),
    "poem": Say(POEM),
    "items": Say(ITEMS),
    "weather": Say(("Let me ", "look."), (Call("forecast", PLACE), Call("forecast", {"place": "Rome"}))),
}

KEY = "no-key-is-needed"
GPT = "gpt-4o-mini"
CLAUDE = "claude-test"
"""A name that no library knows: known ones come to be deprecated, with a warning."""


class Topic(TypedDict, total=False):
    topic: str
    joke: str
    poem: str


@dataclass
class TopicObject:
    topic: str
    joke: str = ""


class Messages(TypedDict, total=False):
    messages: Annotated[list[Any], operator.add]


def gpt(url: str, **more: Any) -> "ChatOpenAI":
    """Return OpenAI's model as its page makes it, but for the address."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=GPT, base_url=f"{url}/v1", api_key=KEY, max_retries=0, **more)


def claude(url: str, **more: Any) -> "ChatAnthropic":
    """Return Anthropic's model as its page makes it, but for the address."""
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model_name=CLAUDE, base_url=url, api_key=KEY, max_retries=0, **more)


def any_provider(name: str, url: str, **more: Any) -> Any:
    """Return a model by its provider's name."""
    address = f"{url}/v1" if name.startswith("openai:") else url
    from langchain.chat_models import init_chat_model

    return init_chat_model(name, base_url=address, api_key=KEY, max_retries=0, **more)


def tokens_of_invoke(lib: Library, url: str) -> Any:
    model = any_provider(f"openai:{GPT}", url)

    def call_model(state: TopicObject) -> dict[str, Any]:
        answer = model.invoke([{"role": "user", "content": f"Generate a joke about {state.topic}"}])
        return {"joke": answer.content}

    return lib.StateGraph(TopicObject).add_node(call_model).add_edge(lib.START, "call_model").compile()


def by_tag(lib: Library, url: str) -> Any:
    joke_model = any_provider(f"openai:{GPT}", url, tags=["joke"])
    poem_model = any_provider(f"openai:{GPT}", url, tags=["poem"])

    async def call_model(state: Topic, config: RunnableConfig) -> Topic:
        joke = await joke_model.ainvoke(
            [{"role": "user", "content": f"Write a joke about {state['topic']}"}], config
        )
        poem = await poem_model.ainvoke(
            [{"role": "user", "content": f"Write a short poem about {state['topic']}"}], config
        )
        return {"joke": joke.content, "poem": poem.content}

    return lib.StateGraph(Topic).add_node(call_model).add_edge(lib.START, "call_model").compile()


def by_node(lib: Library, url: str) -> Any:
    model = gpt(url)

    def write_joke(state: Topic) -> Topic:
        answer = model.invoke([{"role": "user", "content": f"Write a joke about {state['topic']}"}])
        return {"joke": answer.content}

    def write_poem(state: Topic) -> Topic:
        answer = model.invoke([{"role": "user", "content": f"Write a short poem about {state['topic']}"}])
        return {"poem": answer.content}

    graph = lib.StateGraph(Topic).add_node(write_joke).add_node(write_poem)
    return graph.add_edge(lib.START, "write_joke").add_edge(lib.START, "write_poem").compile()


def any_llm(lib: Library, url: str) -> Any:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    async def stream_tokens(messages: list[Any]) -> AsyncIterator[dict[str, Any]]:
        response = await client.chat.completions.create(messages=messages, model=GPT, stream=True)
        role = None
        async for chunk in response:
            delta = chunk.choices[0].delta
            if delta.role is not None:
                role = delta.role
            if delta.content:
                yield {"role": role, "content": delta.content}

    async def get_items(place: str) -> str:
        writer = lib.get_stream_writer()
        response = ""
        async for piece in stream_tokens([{"role": "user", "content": f"List the items in: '{place}'."}]):
            response += piece["content"]
            writer(piece)
        return response

    async def call_tool(state: Messages) -> Messages:
        call = state["messages"][-1]["tool_calls"][-1]
        name = call["function"]["name"]
        content = await get_items(**json.loads(call["function"]["arguments"]))
        answer = {"tool_call_id": call["id"], "role": "tool", "name": name, "content": content}
        return {"messages": [answer]}

    return lib.StateGraph(Messages).add_node(call_tool).add_edge(lib.START, "call_tool").compile()


def any_llm_from_plain_code(lib: Library, url: str) -> Any:
    from openai import OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    def call_arbitrary_model(state: Topic) -> Topic:
        writer = lib.get_stream_writer()
        question: Any = [{"role": "user", "content": f"Write a short poem about {state['topic']}"}]
        for chunk in client.chat.completions.create(messages=question, model=GPT, stream=True):
            writer({"custom_llm_chunk": chunk.choices[0].delta.content})
        return {"poem": "completed"}

    graph = lib.StateGraph(Topic).add_node(call_arbitrary_model)
    return graph.add_edge(lib.START, "call_arbitrary_model").compile()


def anthropic(lib: Library, url: str, **more: Any) -> Any:
    model = claude(url, **more)

    async def call_model(state: Topic, config: RunnableConfig) -> Topic:
        return {"joke": (await model.ainvoke(f"A joke about {state['topic']}", config)).content}

    return lib.StateGraph(Topic).add_node(call_model).add_edge(lib.START, "call_model").compile()


def without_streaming(lib: Library, url: str) -> Any:
    model = any_provider(f"anthropic:{CLAUDE}", url, disable_streaming=True)

    def call_model(state: Topic) -> Topic:
        return {"joke": model.invoke(f"A joke about {state['topic']}").content}

    return lib.StateGraph(Topic).add_node(call_model).add_edge(lib.START, "call_model").compile()


def without_a_stream(lib: Library, url: str) -> Any:
    hidden, seen = gpt(url, tags=["nostream"]), gpt(url)

    async def call_models(state: Topic, config: RunnableConfig) -> Topic:
        joke = await hidden.ainvoke(f"A joke about {state['topic']}", config)
        poem = await seen.ainvoke(f"A poem about {state['topic']}", config)
        return {"joke": joke.content, "poem": poem.content}

    return lib.StateGraph(Topic).add_node(call_models).add_edge(lib.START, "call_models").compile()


@tool
def forecast(place: str) -> str:
    """Tell the weather of a place."""
    return f"It rains in {place}."


def calls_of_tools(lib: Library, url: str, make: Callable[..., Any] = gpt, **more: Any) -> Any:
    model = make(url, **more).bind_tools([forecast])

    async def call_model(state: Messages, config: RunnableConfig) -> Messages:
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    return lib.StateGraph(Messages).add_node(call_model).add_edge(lib.START, "call_model").compile()


def custom_from_tool(lib: Library, url: str) -> Any:
    model = gpt(url)

    @tool
    async def look_up(topic: str, config: RunnableConfig) -> str:
        """Look a topic up."""
        writer = lib.get_stream_writer()
        writer({"data": "Retrieved 0/100 records", "type": "progress"})
        answer = await model.ainvoke(f"A poem about {topic}", config)
        writer({"data": "Retrieved 100/100 records", "type": "progress"})
        return str(answer.content)

    async def node(state: Topic, config: RunnableConfig) -> Topic:
        return {"poem": await look_up.ainvoke({"topic": state["topic"]}, config)}

    return lib.StateGraph(Topic).add_node(node).add_edge(lib.START, "node").compile()


@dataclass(frozen=True)
class Example:
    """A graph of the page: what builds it, its input, and the arguments of each way to stream it."""

    build: Callable[[Library, str], Any]
    input: dict[str, Any]
    ways: tuple[dict[str, Any], ...]
    unordered: bool = False
    """Whether parallel nodes may interleave as they like."""


_TOPIC = {"topic": "ice cream"}
_WEATHER = {"messages": [{"role": "user", "content": "What is the weather?"}]}
_ITEMS_CALL = {
    "id": "1",
    "type": "function",
    "function": {"name": "get_items", "arguments": '{"place":"bedroom"}'},
}
_TOKENS = {"stream_mode": "messages"}
_TOKENS_AND_STATE = {"stream_mode": ["messages", "updates", "values"]}
_CUSTOM = {"stream_mode": "custom"}

EXAMPLES: dict[str, Example] = {
    "init_chat_model": Example(tokens_of_invoke, _TOPIC, (_TOKENS, _TOKENS_AND_STATE)),
    "filter by tag": Example(by_tag, _TOPIC, (_TOKENS,)),
    "filter by node": Example(by_node, _TOPIC, (_TOKENS,), unordered=True),
    "raw client in a tool": Example(
        any_llm,
        {"messages": [{"content": None, "role": "assistant", "tool_calls": [_ITEMS_CALL]}]},
        (_CUSTOM, {"stream_mode": ["custom", "updates"]}),
    ),
    "raw client in plain code": Example(any_llm_from_plain_code, _TOPIC, (_CUSTOM,)),
    "anthropic": Example(anthropic, _TOPIC, (_TOKENS, _TOKENS_AND_STATE)),
    "disable_streaming": Example(without_streaming, _TOPIC, (_TOKENS, _TOKENS_AND_STATE)),
    "nostream": Example(without_a_stream, _TOPIC, (_TOKENS, _TOKENS_AND_STATE)),
    "openai calls tools": Example(
        lambda lib, url: calls_of_tools(lib, url, stream_usage=True), _WEATHER, (_TOKENS, _TOKENS_AND_STATE)
    ),
    "anthropic calls tools": Example(
        lambda lib, url: calls_of_tools(lib, url, claude), _WEATHER, (_TOKENS, _TOKENS_AND_STATE)
    ),
    "custom data of a tool": Example(
        custom_from_tool, _TOPIC, (_CUSTOM, {"stream_mode": ["custom", "messages"]})
    ),
}
"""Every example by what it shows."""
