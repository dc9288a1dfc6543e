"""LangGraph's `create_react_agent`, with its graph built and run by this package, beside itself.

About `runtime/graphwire_runtime/graph.py` and `runtime/graphwire_runtime/foreign/words.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import chat_agent_executor
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "messages", "tasks", "custom"]


class Model(GenericFakeChatModel):
    """Says what it is given, one after the other; tools and schemas are bound to nothing."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        return RunnableLambda(lambda messages: Report(text=f"{len(messages)} messages"))


class Report(BaseModel):
    text: str


class State(chat_agent_executor.AgentState):
    log: Annotated[list[Any], operator.add]
    structured_response: Any


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool
def ask(what: str) -> str:
    """Ask a person."""
    return str(interrupt(what))


def calls(*wanted: tuple[str, dict[str, Any]]) -> AIMessage:
    asked = [{"name": name, "args": args, "id": f"call{index}"} for index, (name, args) in enumerate(wanted)]
    return AIMessage("wait", id="a0", tool_calls=asked)


ADDS, ASKS = calls(("add", {"a": 1, "b": 2})), calls(("ask", {"what": "name?"}))


def before(state: Any) -> Any:
    return {"log": [len(state["messages"])], "llm_input_messages": state["messages"]}


CASES: dict[str, tuple[list[AIMessage], dict[str, Any], list[Any]]] = {
    "no tool": ([AIMessage("hello", id="a1")], {}, [{"messages": [("user", "hi")]}]),
    "a tool": ([ADDS, AIMessage("3", id="a1")], {}, [{"messages": [("user", "add")]}]),
    "a question": (
        [ASKS, AIMessage("Ada", id="a1")],
        {},
        [{"messages": [("user", "?")]}, Command(resume="Ada")],
    ),
    "hooks": (
        [ADDS, AIMessage("3", id="a1")],
        {
            "pre_model_hook": before,
            "post_model_hook": lambda state: {"log": ["after"]},
            "state_schema": State,
        },
        [{"messages": [("user", "add")], "log": []}],
    ),
    "a structured answer": (
        [AIMessage("done", id="a1")],
        {"response_format": Report},
        [{"messages": [("user", "hi")]}],
    ),
    "a prompt": ([AIMessage("hello", id="a1")], {"prompt": "Be brief."}, [{"messages": [("user", "hi")]}]),
    "too many steps": (
        [ADDS, ADDS, ADDS],
        {},
        [{"messages": [("user", "add")]}],
    ),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", CASES)
async def test_a_react_agent_runs_here_as_in_langgraph(name: str, how: str, monkeypatch: Any) -> None:
    messages, given, values = CASES[name]
    told = []
    for lib in (OURS, THEIRS):
        monkeypatch.setattr(chat_agent_executor, "StateGraph", lib.StateGraph)
        copies: list[BaseMessage] = [message.model_copy(deep=True) for message in messages]
        agent = chat_agent_executor.create_react_agent(
            Model(messages=iter(copies)), [add, ask], checkpointer=InMemorySaver(), **given
        )
        assert isinstance(agent, OURS.CompiledStateGraph) is (lib is OURS)
        config: Any = {"configurable": {"thread_id": "1"}}
        if name == "too many steps":
            config["recursion_limit"] = 3
        view = View()
        chunks = [
            await recorded(agent, value, how, config=config, stream_mode=MODES, subgraphs=True)
            for value in values
        ]
        told.append([chunks, view(agent.get_state(config)), agent.get_graph().draw_mermaid()])
    assert told[0] == told[1]
