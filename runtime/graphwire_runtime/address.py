"""`ThreadAddress`: which graph of which thread a config names, and on which saver; `state` reads and edits.

The graph may be one of LangGraph's inside the outermost one; then `state` hands the work to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.foreign.handles import CHECKPOINTER
from graphwire_runtime.namespace import nodes_in, without_task_ids
from graphwire_runtime.plan.config import settings_for
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.step.context import RunContext
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.stream.display import Display
from graphwire_runtime.thread.checkpoints import Checkpoints

__all__ = ["ThreadAddress"]


class ThreadAddress:
    """A graph of a thread: the outermost one or, by `checkpoint_ns` in the config, one inside it.

    Args:
        plan: the outermost graph.
        bound: the config that it was given by `with_config`.
        config: names the thread.
        checkpointer: what the graph was compiled with.
        store: the same.
        above: the namespace of the graph itself, if it is inside one of LangGraph's that asks for it.

    Raises ValueError if nothing keeps the thread, if the config names none, or if it names a graph that the
    outermost one does not have.
    """

    def __init__(
        self,
        plan: Plan,
        bound: RunnableConfig | None,
        config: RunnableConfig | None,
        checkpointer: Any,
        store: Any = None,
        above: str = "",
    ) -> None:
        self.settings, parent = settings_for(bound, config)
        configurable = self.settings.configurable
        if (lent := configurable.pop(CHECKPOINTER, None)) is not None:
            if checkpointer is True:  # its thread has to be found again, by a task with another id
                parts = configurable["checkpoint_ns"].split("|")
                configurable["checkpoint_ns"] = "|".join(without_task_ids(parts))
            checkpointer, above = lent, configurable["checkpoint_ns"]
        if parent is not None and parent.run.thread is not None:
            checkpointer = parent.run.thread.saver
        if checkpointer is None or isinstance(checkpointer, bool):
            raise ValueError(
                f"{plan.title} has no checkpointer, so there is no thread to look at; compile it with one"
            )
        if configurable.get("thread_id") is None:
            raise ValueError("the config of a thread is {'configurable': {'thread_id': ...}}; it names none")
        self.saver = checkpointer
        self.namespace: str = configurable.get("checkpoint_ns") or ""
        self.asked: str | None = configurable.get("checkpoint_id")
        self._outermost = (plan, bound, above)
        self.plan, self.store = plan, store
        self.theirs: Any = None
        """The graph, if it is one of LangGraph's inside."""
        below = self.namespace.removeprefix(above).strip("|")
        names = below.split("|") if below else []
        for depth, each in enumerate(names):
            name = each.partition(":")[0]
            node = self.plan.nodes.get(name)
            if name.isdigit():
                continue
            if node is None or node.subgraph is None:
                raise ValueError(
                    f"checkpoint_ns {self.namespace!r} leads to {name!r}, and graph "
                    f"{self.plan.title} has no graph of that name in it"
                )
            if not hasattr(node.subgraph, "plan"):
                self.theirs = self._theirs(node.subgraph, names[depth + 1 :])
                return
            self.plan, self.store = node.subgraph.plan, node.subgraph.store

    def _theirs(self, graph: Any, below: Sequence[str]) -> Any:
        """The graph of LangGraph's that the rest of a namespace names, inside one of LangGraph's."""
        names = "|".join(nodes_in(below))
        for _, inner in graph.get_subgraphs(namespace=names, recurse=True) if names else (("", graph),):
            return inner
        raise ValueError(f"checkpoint_ns {self.namespace!r} leads to no graph that LangGraph can find")

    def their_config(self) -> RunnableConfig:
        """The config that names the graph of LangGraph's to itself, with the saver of this thread."""
        configurable = {**self.settings.configurable, CHECKPOINTER: self.saver}
        return {"configurable": configurable}

    def inside(self, config: Any) -> ThreadAddress:
        """The graph that another config names on the same saver."""
        plan, bound, above = self._outermost
        return ThreadAddress(plan, bound, config, self.saver, above=above)

    def checkpoints(self) -> Checkpoints:
        """The checkpoints of the graph, not loaded."""
        return Checkpoints(self.saver, "sync", self.settings, self.namespace, self.asked, {})

    def at(self, checkpoints: Checkpoints, saved: Any) -> tuple[RunContext, Standing]:
        """A run that stands at a checkpoint and shows nothing, None for an empty thread."""
        plan = self.plan
        namespace = tuple(self.namespace.split("|")) if self.namespace else ()
        display = Display(plan, self.settings, namespace, (), (), None, plan.keys)
        run = RunContext(
            plan, self.settings, namespace, self.namespace, display, store=self.store, thread=checkpoints
        )
        standing = Standing(plan, b"", self.settings.recursion_limit)
        if saved is not None:
            checkpoints.parents = dict(saved.metadata.get("parents") or {})
            checkpoints.load(saved)
            checkpoints.restore(standing, jumps=False)
        return run, standing
