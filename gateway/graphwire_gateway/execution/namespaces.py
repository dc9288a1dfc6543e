"""Which graph a piece of custom data comes from, if a run shows its subgraphs.

LangGraph and the runtime show what an ``@task`` writes under the node that called it, as if that node had a
subgraph. Without subgraphs they show the same data at the calling graph, where they also show the task's
messages and updates. In a log it is at the calling graph, so that a view of the root gets it however the run
is recorded.

A namespace belongs to a graph while a task of that graph is at work there, as the ``tasks`` mode tells. If a
node calls an ``@task`` beside a subgraph that is still at work, what the ``@task`` writes counts as the
subgraph's: nothing tells them apart.
"""

from typing import Any

from graphwire_protocol.types import Namespace
from graphwire_runtime.servable import Servable


class GraphNamespaces:
    """The namespaces of one execution at which graphs are at work."""

    def __init__(self) -> None:
        self._at_work: dict[Namespace, set[str]] = {}  # tasks by the namespace of their graph

    def note(self, ns: Namespace, chunk: Any) -> None:
        """Take note of a chunk of the ``tasks`` mode."""
        if not isinstance(chunk, dict):
            return
        if "result" not in chunk:
            self._at_work.setdefault(ns, set()).add(chunk["id"])
            return
        tasks = self._at_work.get(ns)
        if tasks is not None:
            tasks.discard(chunk["id"])
            if not tasks:
                del self._at_work[ns]

    def graph_of(self, ns: Namespace) -> Namespace:
        """Return the namespace of the graph whose code wrote custom data that was shown at ``ns``."""
        while ns and ns not in self._at_work:
            ns = ns[:-1]
        return ns


def is_of_langgraph(graph: Servable) -> bool:
    """Return whether a graph is LangGraph's, which does not say what it tries again."""
    return any(cls.__module__.partition(".")[0] == "langgraph" for cls in type(graph).__mro__)
