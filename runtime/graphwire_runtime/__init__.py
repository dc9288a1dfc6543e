"""A small Pregel: build a graph of nodes over a state, run it, and stream what happens in it.

`StateGraph` is where to begin; `CompiledStateGraph` is what `compile` makes of it. `entrypoint` makes a graph
of one function, which may call `task`s. `Servable` is what a server may ask of any graph, this package's or
LangGraph's.
"""

from graphwire_runtime.compiled import CompiledStateGraph
from graphwire_runtime.drive.lifecycle import (
    GraphCallbackHandler,
    GraphInterruptEvent,
    GraphLifecycleEvent,
    GraphLifecycleStatus,
    GraphResumeEvent,
)
from graphwire_runtime.errors import (
    EmptyInputError,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    InvalidUpdateError,
    NodeCancelledError,
    NodeError,
    NodeTimeoutError,
    ParentCommand,
)
from graphwire_runtime.functional.entrypoint import entrypoint
from graphwire_runtime.functional.task import task
from graphwire_runtime.graph import StateGraph
from graphwire_runtime.managed import IsLastStep, RemainingSteps
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy, omit_payload
from graphwire_runtime.plan.runtime import (
    ExecutionInfo,
    RunControl,
    Runtime,
    ServerInfo,
    get_config,
    get_runtime,
    get_store,
    get_stream_writer,
)
from graphwire_runtime.servable import Durability, Servable, StreamMode
from graphwire_runtime.state import StateUpdate
from graphwire_runtime.step.interrupt import interrupt
from graphwire_runtime.step.push import push_message
from graphwire_runtime.step.ui import (
    AnyUIMessage,
    RemoveUIMessage,
    UIMessage,
    delete_ui_message,
    push_ui_message,
    ui_message_reducer,
)
from graphwire_runtime.stream.messages import REMOVE_ALL_MESSAGES, MessagesState, add_messages
from graphwire_runtime.thread.snapshot import PregelTask, StateSnapshot
from graphwire_runtime.types import END, START, Command, GraphOutput, Interrupt, Overwrite, Send, StreamWriter

__all__ = [
    "END",
    "REMOVE_ALL_MESSAGES",
    "START",
    "AnyUIMessage",
    "CachePolicy",
    "Command",
    "CompiledStateGraph",
    "Durability",
    "EmptyInputError",
    "ExecutionInfo",
    "GraphCallbackHandler",
    "GraphDrained",
    "GraphInterrupt",
    "GraphInterruptEvent",
    "GraphLifecycleEvent",
    "GraphLifecycleStatus",
    "GraphOutput",
    "GraphRecursionError",
    "GraphResumeEvent",
    "Interrupt",
    "InvalidUpdateError",
    "IsLastStep",
    "MessagesState",
    "NodeCancelledError",
    "NodeError",
    "NodeTimeoutError",
    "Overwrite",
    "ParentCommand",
    "PregelTask",
    "RemainingSteps",
    "RemoveUIMessage",
    "RetryPolicy",
    "RunControl",
    "Runtime",
    "Send",
    "Servable",
    "ServerInfo",
    "StateGraph",
    "StateSnapshot",
    "StateUpdate",
    "StreamMode",
    "StreamWriter",
    "TimeoutPolicy",
    "TracePolicy",
    "UIMessage",
    "add_messages",
    "delete_ui_message",
    "entrypoint",
    "get_config",
    "get_runtime",
    "get_store",
    "get_stream_writer",
    "interrupt",
    "omit_payload",
    "push_message",
    "push_ui_message",
    "task",
    "ui_message_reducer",
]
