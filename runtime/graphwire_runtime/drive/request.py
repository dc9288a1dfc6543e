"""What a caller asked of a graph in one call, and the run and the outlet that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.clock import fresh_id
from graphwire_runtime.drive.loop import Breakpoints, Run
from graphwire_runtime.plan.config import Settings, settings_for
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.plan.schema import coerce_context
from graphwire_runtime.stream.display import Display
from graphwire_runtime.stream.outlet import INTERRUPT, Bell, Namespace, Outlet, Printer
from graphwire_runtime.stream.tokens import TokenTap
from graphwire_runtime.thread.checkpoints import Thread

__all__ = ["Request", "thread_of"]


@dataclass(slots=True)
class Request:
    """One call. `modes` None stands for a stream's default, `streamed` False for a call without a stream."""

    plan: Plan
    bound: RunnableConfig | None
    input: Any
    config: RunnableConfig | None
    modes: str | Sequence[str] | None
    output_keys: str | Sequence[str] | None
    context: Any = None
    subgraphs: bool = False
    parts: bool = False
    streamed: bool = True
    checkpointer: Any = None
    cache: Any = None
    step_timeout: float | None = None
    store: Any = None
    before: Breakpoints = ()
    after: Breakpoints = ()
    durability: str | None = None
    printed: str | Sequence[str] = ()
    run: Run | None = None

    def open(self, bell: Bell) -> tuple[Run, Outlet | None]:
        """The run, not yet begun, and the outlet of this call, None where it streams nothing.

        Raises ValueError for an output key that the state does not have, or a wrong config; RuntimeError for
        a checkpointer that only a graph inside another can have.
        """
        settings = settings_for(self.bound, self.config)
        parent = settings.parent
        namespace: Namespace = ()
        outlets: list[Outlet] = []
        context = coerce_context(self.plan.context, self.context)
        if parent is not None and not settings.detached:
            namespace = parent.namespace_for_nested()
            if self.checkpointer is True:  # what is to be found again cannot stand under a passing task's id
                namespace = _lasting(namespace)
            outlets = [outlet for outlet in parent.run.display.outlets if outlet.subgraphs]
            if self.context is None:
                context = parent.run.context
        outlet = None
        if self.streamed:
            modes = "updates" if self.modes is None else self.modes
            outlet = Outlet(modes, subgraphs=self.subgraphs, parts=self.parts, namespace=namespace, bell=bell)
            if "messages" in outlet.modes:
                outlet.tap = TokenTap(outlet)
            outlets.append(outlet)
        if self.printed:
            printer = Printer(
                self.printed, subgraphs=self.subgraphs, parts=False, namespace=namespace, bell=None
            )
            outlets.append(printer)
        store = self.store
        if store is None and parent is not None:
            store = parent.run.store
        self.run = Run(
            self.plan,
            settings,
            seed=":".join(namespace) or fresh_id(),
            namespace=namespace,
            display=Display(self.plan, settings, namespace, outlets, outlet, self._show()),
            context=context,
            thread=thread_of(self.checkpointer, settings, "|".join(namespace), self.durability),
            before=self.before,
            after=self.after,
            store=store,
        )
        return self.run, outlet

    def name(self, run: Run) -> str:
        """What tracers call the run."""
        return run.settings.run_name or self.plan.name

    def result(self, run: Run) -> Any:
        """What `invoke` returns in the end: the output, or None where no key of it was ever written.

        With the interrupts under a key of their own, if the run stopped at any.
        """
        value = run.display.output(run.values, self._show()) if run.touched else None
        if run.interrupts and not self.parts:
            return {**(value if isinstance(value, dict) else {}), INTERRUPT: list(run.interrupts)}
        return value

    def _show(self) -> str | tuple[str, ...]:
        asked = self.output_keys
        if asked is None:
            return self.plan.keys if self.streamed else self.plan.output_keys
        for key in (asked,) if isinstance(asked, str) else asked:
            if key not in self.plan.channels:
                raise ValueError(
                    f"output_keys names {key!r}, which is no key of graph {self.plan.name!r}; "
                    f"it has {', '.join(self.plan.keys)}"
                )
        return asked if isinstance(asked, str) else tuple(asked)


def thread_of(checkpointer: Any, settings: Settings, namespace: str, durability: str | None) -> Thread | None:
    """The thread of a run with these settings, None where nothing keeps one.

    Raises RuntimeError for `True` where there is no graph around to have the checkpointer, ValueError for a
    config without a thread_id.
    """
    parent = settings.parent
    outer = parent.run.thread if parent is not None else None
    if checkpointer is False:
        return None
    if checkpointer is True and parent is None:
        raise RuntimeError(
            "the graph was compiled with checkpointer=True, that is, with the one of the graph around it, "
            "and there is no graph around it; give it a saver of its own"
        )
    saver = outer.saver if outer is not None else checkpointer
    if saver is None or saver is True:
        return None
    configurable = settings.configurable
    if configurable.get("thread_id") is None:
        raise ValueError(
            "a graph with a checkpointer is run on a thread: pass config={'configurable': {'thread_id': "
            f"...}}}}; configurable has {', '.join(map(repr, configurable)) or 'nothing'}"
        )
    nested = parent is not None and not settings.detached
    if nested or configurable.get("checkpoint_ns"):
        # the config of a graph inside: what counts for this one is where it stood at that time
        asked = (configurable.get("checkpoint_map") or {}).get(namespace)
    else:
        asked = configurable.get("checkpoint_id")
    return Thread(
        saver,
        durability or (outer.durability if outer is not None else "async"),
        settings,
        namespace,
        asked,
        {**outer.parents, outer.namespace: outer.checkpoint["id"]} if outer is not None and nested else {},
    )


def _lasting(namespace: Namespace) -> Namespace:
    """A namespace without the ids of tasks and the numbers of calls."""
    return tuple(name for each in namespace if not (name := each.partition(":")[0]).isdigit())
