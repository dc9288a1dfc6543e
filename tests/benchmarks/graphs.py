"""The graphs under measurement, the same ones on either framework: unpaced tokens, unpaced custom events."""

import importlib
from collections.abc import AsyncIterator
from typing import Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

MODULES = {
    "ours": ("graphwire_runtime", "graphwire_runtime"),
    "langgraph": ("langgraph.graph", "langgraph.types"),
}


class State(TypedDict, total=False):
    """What a measured graph takes and gives."""

    count: int
    text: str


class UnpacedModel(BaseChatModel):
    """Streams as many tokens as its prompt says, as fast as it is pulled."""

    @property
    def _llm_type(self) -> str:
        return "unpaced"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("whole"))])

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for _ in range(int(str(messages[0].content))):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content="token "))
            if run_manager:
                await run_manager.on_llm_new_token("token ", chunk=chunk)
            yield chunk


def tokens(framework: str) -> Any:
    """Return a graph of one node that streams ``count`` tokens."""
    module = importlib.import_module(MODULES[framework][0])
    model = UnpacedModel()

    async def write(state: State) -> State:
        return {"text": str((await model.ainvoke(str(state["count"]))).content)}

    return module.StateGraph(State).add_node(write).add_edge(module.START, "write").compile()


def custom(framework: str) -> Any:
    """Return a graph of one node that writes ``count`` custom events."""
    module = importlib.import_module(MODULES[framework][0])
    StreamWriter = importlib.import_module(MODULES[framework][1]).StreamWriter

    async def report(state: State, writer: Any) -> State:
        for done in range(state["count"]):
            writer({"done": done, "total": state["count"]})
        return {"text": "done"}

    report.__annotations__["writer"] = StreamWriter
    return module.StateGraph(State).add_node(report).add_edge(module.START, "report").compile()


GRAPHS = {"messages": tokens, "custom": custom}
"""The measured graph for each mode."""
