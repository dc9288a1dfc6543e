"""The graphs of the tests of `ai.ts`: chats with a model that answers from a script, and needs no key."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import RetryPolicy, interrupt


class ScriptedModel(BaseChatModel):
    """Says how many questions it has heard, and the last one, as many times as a number in it says.

    `look X` calls the tool `look_up`, `erase X` the tool `erase`, both as a model streams calls, after some
    reasoning; what a tool returned it repeats, and what was looked up it counts up to. An answer to a word
    that begins with `held` stops in its middle until the graph `release` was given the thread.
    """

    pause_s: float = 0.002

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Calls the tools that it knows of anyway."""
        return self

    def _chunks(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            looked = last.text.removeprefix('{"found": "').removesuffix('"}')
            count = 300 if looked == "held" else 0
            words = ["It ", "says ", str(last.content), *(f" {number}" for number in range(count))]
            return [AIMessageChunk(content=word) for word in words]
        asked = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
        verb, _, rest = asked[-1].partition(" ")
        if verb in ("look", "erase"):
            name, args = {"look": "look_up", "erase": "erase"}[verb], json.dumps({"what": rest})
            calls = [(f"call-{len(asked)}", name, ""), (None, None, args[:6]), (None, None, args[6:])]
            return [
                AIMessageChunk(content=[{"type": "reasoning", "reasoning": "Let me ", "index": 0}]),
                AIMessageChunk(content=[{"type": "reasoning", "reasoning": "see.", "index": 0}]),
                AIMessageChunk(content=[{"type": "text", "text": "One moment.", "index": 1}]),
                *(
                    AIMessageChunk(
                        content="", tool_call_chunks=[{"id": id, "name": name, "args": args, "index": 0}]
                    )
                    for id, name, args in calls
                ),
            ]
        count = int(rest) if rest.isdecimal() else 3
        words = [f"Question {len(asked)}: "] + [f"{verb}{number} " for number in range(count)]
        return [AIMessageChunk(content=word) for word in words]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        text = "".join(str(chunk.text) for chunk in self._chunks(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks = self._chunks(messages)
        middle = chunks[len(chunks) // 2]
        for chunk in chunks:
            await asyncio.sleep(self.pause_s)
            while chunk is middle and _is_held(messages[-1], run_manager):  # noqa: ASYNC110  # others end it
                await asyncio.sleep(self.pause_s)
            yield ChatGenerationChunk(message=chunk)


_released: set[str] = set()


def _is_held(last: BaseMessage, run_manager: AsyncCallbackManagerForLLMRun | None) -> bool:
    if run_manager is None or not str(last.text).startswith(("held", '{"found": "held"')):
        return False
    return run_manager.metadata["thread_id"] not in _released


def _release(state: MessagesState) -> dict[str, Any]:
    _released.add(str(state["messages"][-1].text))
    return {}


model = ScriptedModel()


@tool
def look_up(what: str) -> dict[str, str]:
    """Look something up; nobody knows of dragons, and nobody looks for monsters."""
    get_stream_writer()({"looking": what})
    get_stream_writer()({"type": "data-place", "id": "place", "data": {"of": what}})
    if what == "dragons":
        raise ToolException("no dragons")
    if what == "monsters":
        raise ValueError("no monsters")
    return {"found": what}


look_up.handle_tool_error = True


@tool
def erase(what: str) -> str:
    """Erase something."""
    return f"{what} is gone"


async def _say(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    try:
        return {"messages": [await model.ainvoke(state["messages"], config)]}
    except asyncio.CancelledError:
        await asyncio.sleep(1)  # so that it takes a while until the thread is free
        raise


async def _break(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    await model.ainvoke([HumanMessage("well 2")], config)
    raise RuntimeError("it broke")


def _ask(state: MessagesState) -> dict[str, Any]:
    answer = interrupt({"question": "Which colour?"})
    return {"messages": [] if answer == "silence" else [AIMessage(f"You like {answer}.")]}


_attempts: dict[str, int] = {}


async def _stumble(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    """Say half of it, fail, and say all of it."""
    thread = config["configurable"]["thread_id"]
    _attempts[thread] = _attempts.get(thread, 0) + 1
    if _attempts[thread] == 1:
        await model.ainvoke([HumanMessage("half 1")], config)
        raise ConnectionError("the model hung up")
    return {"messages": [await model.ainvoke([HumanMessage("whole 2")], config)]}


def _one(name: str, node: Any, **options: Any) -> Any:
    graph = StateGraph(MessagesState).add_node(name, node, **options).add_edge(START, name)
    return graph.compile()


chat = _one("chat", _say)
release = _one("release", _release)
broken = _one("broken", _break)
asking = _one("ask", _ask)
stumbling = _one(
    "stumble",
    _stumble,
    retry_policy=RetryPolicy(max_attempts=2, initial_interval=0.01, retry_on=ConnectionError),
)
agent = create_agent(model, [look_up, erase])
careful = create_agent(
    model, [look_up, erase], middleware=[HumanInTheLoopMiddleware(interrupt_on={"erase": True})]
)
