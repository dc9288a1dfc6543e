"""`TokenTap`: the callback that turns model calls, and whole messages, into chunks of the `messages` mode.

The whole messages are those that nodes return or push. `messages` has the state that holds messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers._streaming import _StreamingCallbackHandler

from graphwire_runtime.clock import fresh_id
from graphwire_runtime.foreign.innermost import innermost
from graphwire_runtime.foreign.words import both, known, ours
from graphwire_runtime.namespace import Namespace, graph_of
from graphwire_runtime.stream.messages import listed
from graphwire_runtime.stream.outlet import Outlet
from graphwire_runtime.types import Command

__all__ = ["TokenTap", "tap_for"]

_Call = tuple[Namespace, dict[str, Any]]
"""The graph that a model is called in, and the metadata of its tokens."""


class TokenTap(BaseCallbackHandler, _StreamingCallbackHandler[Any]):
    """A LangChain callback that pushes the tokens of every model call in a graph into one consumer's outlet.

    Because it is a streaming callback, LangChain's models stream even when a node calls `invoke`. It runs
    inline: a token costs one method call, and no task or thread.
    """

    run_inline = True
    ignore_agent = ignore_chain = ignore_custom_event = ignore_retriever = ignore_retry = True
    ignore_llm = ignore_chat_model = False

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._push = outlet.push
        self._seen: set[str] = set()
        self._calls: dict[UUID, _Call] = {}
        self._latest: tuple[UUID | None, _Call | None] = (None, None)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the call's namespace and metadata for its tokens."""
        if metadata is None or (tags and "nostream" in tags):
            return
        namespace = graph_of(metadata)
        if namespace != self._outlet.namespace and not self._outlet.subgraphs:
            return
        shown = [tag for tag in tags or () if not tag.startswith("seq:step")]
        # a copy, because the calls of one `generate` share theirs: whoever reads tells calls apart by it
        self._calls[run_id] = (namespace, {**metadata, "tags": shown} if shown else {**metadata})

    def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: Any = None,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Push one token."""
        # all tokens of a call carry one id object; to compare identity is far cheaper than to hash a UUID
        latest, call = self._latest
        if latest is not run_id:
            call = self._calls.get(run_id)
            self._latest = (run_id, call)
        if call is None or not isinstance(chunk, ChatGenerationChunk):
            return
        message = chunk.message
        message_id = message.id
        if message_id is None:
            message_id = message.id = f"lc_run--{run_id}"
        self._seen.add(message_id)
        self._push("messages", call[0], (message, call[1]))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Push the whole answer, if it did not come in tokens."""
        call = self._calls.pop(run_id, None)
        if call is None or not response.generations or not response.generations[0]:
            return
        generation = response.generations[0][0]
        if isinstance(generation, ChatGeneration):
            self._whole(generation.message, call[0], call[1])

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the call. The tokens so far stay in the stream."""
        self._calls.pop(run_id, None)

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember a node of a graph of LangGraph's, for what it returns.

        Heard only while such a graph runs inside; of this package's nodes `drive.loop` says what they return.
        """
        if not metadata or name is None or name != metadata.get("langgraph_node"):
            return
        task = innermost(var_child_runnable_config.get())
        if getattr(task, "checkpoint_ns", None) == metadata["langgraph_checkpoint_ns"]:
            return
        namespace = graph_of(metadata)
        if namespace == self._outlet.namespace or self._outlet.subgraphs:
            self._calls[run_id] = (namespace, metadata)
            self.note_input(inputs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Push the messages that such a node returned and that have not been shown."""
        call = self._calls.pop(run_id, None)
        if call is not None:
            outputs = [ours(each) for each in outputs] if isinstance(outputs, list) else ours(outputs)
            for message in _messages_in(outputs):
                self._whole(message, *call)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the node."""
        self._calls.pop(run_id, None)

    def tap_output_iter(self, run_id: UUID, output: Any) -> Any:
        """Required of a streaming callback; the output of chains passes through unchanged."""
        return output

    def tap_output_aiter(self, run_id: UUID, output: Any) -> Any:
        """Required of a streaming callback; the output of chains passes through unchanged."""
        return output

    @property
    def subgraphs(self) -> bool:
        """Whether it also hears models in graphs inside the consumer's own."""
        return self._outlet.subgraphs

    def note_input(self, value: Any) -> None:
        """Mark the messages in a node's input as seen, so that returning them shows nothing new."""
        if isinstance(value, (BaseMessage, list)):
            return  # the payload of a Send: it has not been shown before
        for message in _messages_in(value):
            if message.id is not None:
                self._seen.add(message.id)

    def note_output(self, value: Any, namespace: Namespace, metadata: Callable[[], dict[str, Any]]) -> None:
        """Push the messages in a node's return value that were neither streamed nor in its input.

        Args:
            value: what the node returned.
            namespace: the namespace of its graph.
            metadata: makes the metadata of the task; called only if there is a message to show.
        """
        if namespace != self._outlet.namespace and not self._outlet.subgraphs:
            return
        shared: dict[str, Any] | None = None
        for message in _messages_in(value):
            if shared is None:
                shared = {"ls_integration": "langgraph", **metadata()}
            self._whole(message, namespace, shared)

    @property
    def parent_ns(self) -> Namespace:
        """The namespace of the consumer's own graph, by LangGraph's name for it."""
        return self._outlet.namespace

    def push(self, message: BaseMessage, metadata: dict[str, Any]) -> None:
        """Push a message that a node at work has pushed; the metadata says in which graph."""
        namespace = graph_of(metadata)
        if not namespace or namespace == self._outlet.namespace or self._outlet.subgraphs:
            self._emit((namespace, metadata), message)

    def _emit(self, call: _Call, message: BaseMessage, *, dedupe: bool = False) -> None:
        """Push a message; LangGraph's `push_message` calls it, too."""
        if message.id is not None:
            self._seen.add(message.id)
        self._push("messages", call[0], (message, call[1]))

    def _whole(self, message: BaseMessage, namespace: Namespace, metadata: dict[str, Any]) -> None:
        if message.id is None:
            message.id = fresh_id()  # the state will hold the same object, so it gets the same id
        elif message.id in self._seen:
            return
        self._seen.add(message.id)
        self._outlet.push("messages", namespace, (message, metadata))


def tap_for(outlet: Outlet) -> TokenTap:
    """The tap of an outlet; LangGraph's graphs and `push_message` take it for a handler of their own."""
    kind: type[TokenTap] = both(TokenTap, known("pregel._messages", "StreamMessagesHandler"))
    return kind(outlet)


def _messages_in(value: Any) -> Iterable[BaseMessage]:
    """The messages in a node's input or return value: itself, in its fields, or in lists in its fields."""
    if isinstance(value, Mapping):
        fields: Iterable[Any] = value.values()
    elif isinstance(value, Command):
        return _messages_in(value.update)
    elif isinstance(value, BaseMessage):
        return (value,)
    elif isinstance(value, list):
        return [message for item in value if not isinstance(item, tuple) for message in _messages_in(item)]
    elif hasattr(value, "__dict__"):
        fields = vars(value).values()
    else:
        return ()
    return [message for field in fields for message in listed(field)]
