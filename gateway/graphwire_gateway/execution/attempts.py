"""Which nodes of a LangGraph run begin again behind a failure, as its callbacks show it.

LangGraph's stream says nothing of a retry. Its callbacks do: a node that has failed starts once more under
the same namespace. By then the stream may still hold what the failed attempt said, so each model that a later
attempt calls is known by the metadata object that LangGraph hands over with its chunks.

What graphs inside a node said before the node failed is not found this way, unless a node in there is the one
that is retried: nothing tells whether they continue or begin anew.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

_identity = id


class Attempts(BaseCallbackHandler):
    """Counts the attempts of nodes in one execution. It listens in whatever thread a node runs in."""

    run_inline = True
    ignore_llm = ignore_agent = ignore_retriever = ignore_custom_event = ignore_retry = True
    ignore_chain = ignore_chat_model = False

    def __init__(self) -> None:
        self.has_any = False
        """Whether any node has begun again."""
        self._nodes: dict[UUID, str] = {}  # at work: by the id of the call, the node's namespace
        self._at_work: set[str] = set()
        self._failed: set[str] = set()
        self._numbers: dict[str, int] = {}  # of nodes that have begun again
        self._taken_back: dict[str, int] = {}  # up to which attempt all is known to be void
        self._made: dict[int, tuple[Any, str, int]] = {}  # later attempts, by their metadata objects

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: Any,
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that a node begins, perhaps again. A chain of the same name within it does not count."""
        ns = (metadata or {}).get("langgraph_checkpoint_ns")
        if metadata is None or not ns or kwargs.get("name") != metadata.get("langgraph_node"):
            return
        if ns in self._at_work:
            return
        self._at_work.add(ns)
        self._nodes[run_id] = ns
        if ns in self._failed:
            self._failed.discard(ns)
            self._numbers[ns] = self._numbers.get(ns, 1) + 1
            self.has_any = True
        self._note(ns, metadata)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a node has ended."""
        self._at_work.discard(self._nodes.pop(run_id, ""))

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that a node has failed."""
        ns = self._nodes.pop(run_id, None)
        if ns is not None:
            self._at_work.discard(ns)
            self._failed.add(ns)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note which attempt calls a model."""
        if metadata is not None and self.has_any:
            self._note(metadata.get("langgraph_checkpoint_ns", ""), metadata)

    def _note(self, ns: str, metadata: dict[str, Any]) -> None:
        number = self._numbers.get(ns)
        if number is not None:
            self._made[_identity(metadata)] = (metadata, ns, number)

    def void_before(self, metadata: Any) -> str | None:
        """Return the namespace of the node whose earlier attempts are void, given the metadata of a chunk.

        Returns it once for each attempt.
        """
        _, ns, number = self._made.get(_identity(metadata), (None, "", 0))
        if number <= self._taken_back.get(ns, 1):
            return None
        self._taken_back[ns] = number
        return ns

    def void_at_end(self) -> Iterable[str]:
        """Yield the namespaces of nodes whose last attempt said nothing that was shown."""
        for ns, number in self._numbers.items():
            if number > self._taken_back.get(ns, 1):
                yield ns
