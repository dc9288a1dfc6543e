"""`Request`: what a caller asked of a graph in one call, and the loop and the outlet that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.runnables import RunnableConfig

from graphwire_runtime.clock import fresh_id
from graphwire_runtime.drive.loop import Breakpoints, Loop
from graphwire_runtime.drive.trace import listeners
from graphwire_runtime.namespace import Namespace, without_task_ids
from graphwire_runtime.plan.config import Settings, settings_for
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.plan.runtime import RunControl
from graphwire_runtime.plan.schema import coerce_context
from graphwire_runtime.step.answers import NO_ANSWERS, ResumeAnswers, TheirAnswers
from graphwire_runtime.step.context import RunContext
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.task import Task
from graphwire_runtime.stream.display import Display, shown_values
from graphwire_runtime.stream.outlet import Bell, Outlet, Printer
from graphwire_runtime.stream.tokens import TokenTap, tap_for
from graphwire_runtime.thread.checkpoints import Checkpoints
from graphwire_runtime.types import Command, with_interrupts

__all__ = ["Opened", "Request"]


class Opened(NamedTuple):
    """A run that has not begun."""

    loop: Loop
    outlet: Outlet | None
    """The outlet of the call, None if it streams nothing."""
    listeners: Any
    """LangChain's callback manager for a `Trace`, None if no callback of the caller listens."""


@dataclass(slots=True)
class Request:
    """One call of a graph; see `CompiledStateGraph.stream` for the arguments that are not documented here."""

    plan: Plan
    bound: RunnableConfig | None
    """The config that the graph was given by `with_config`."""
    input: Any
    config: RunnableConfig | None
    modes: str | Sequence[str] | None
    """The stream modes, None for `updates`."""
    output_keys: str | Sequence[str] | None
    context: Any = None
    subgraphs: bool = False
    parts: bool = False
    """Whether items are mappings (version "v2")."""
    streamed: bool = True
    """False for `invoke` with its default mode, which returns the output and streams nothing."""
    checkpointer: Any = None
    cache: Any = None
    step_timeout: float | None = None
    """Seconds that a superstep may take."""
    store: Any = None
    before: Breakpoints = ()
    after: Breakpoints = ()
    durability: str | None = None
    control: RunControl | None = None
    printed: str | Sequence[str] = ()
    """The modes to print."""
    loop: Loop | None = None
    """The run, once it is opened."""

    def open(self, bell: Bell, kind: type[CallbackManager] | type[AsyncCallbackManager]) -> Opened:
        """Make the run of this call.

        Args:
            bell: rung when the outlet has a new chunk.
            kind: the kind of callback manager that the caller's callbacks need.

        Raises ValueError for an output key that the state does not have, or for a wrong config; RuntimeError
        for `checkpointer=True` in an outermost graph.
        """
        parent: Task | None
        settings, parent = settings_for(self.bound, self.config)
        nested = parent is not None and not settings.detached
        namespace: Namespace = ()
        outlets: list[Outlet] = []
        taps: list[TokenTap] = []
        context = coerce_context(self.plan.context, self.context)
        answers = NO_ANSWERS
        if parent is not None and nested:
            namespace = parent.namespace_for_nested()
            if self.checkpointer is True:  # its thread has to be found again, by a task with another id
                namespace = without_task_ids(namespace)
            outlets = [outlet for outlet in parent.run.display.outlets if outlet.subgraphs]
            taps = [tap for tap in parent.run.display.taps if tap.subgraphs]
            answers = parent.run.answers or TheirAnswers(parent)  # type: ignore[arg-type]
            if self.context is None:
                context = parent.run.context
        elif isinstance(self.input, Command) and self.input.resume is not None:
            answers = ResumeAnswers(self.input.resume)
        outlet = tap = None
        if self.streamed:
            modes = "updates" if self.modes is None else self.modes
            outlet = Outlet(modes, subgraphs=self.subgraphs, parts=self.parts, namespace=namespace, bell=bell)
            outlets.append(outlet)
            if "messages" in outlet.modes:
                tap = tap_for(outlet)
                taps.append(tap)
        if self.printed:
            printer = Printer(
                self.printed, subgraphs=self.subgraphs, parts=False, namespace=namespace, bell=None
            )
            outlets.append(printer)
        display = Display(self.plan, settings, namespace, outlets, taps, outlet, self._shown_keys())
        checkpoint_ns = "|".join(namespace)
        checkpoints = self._checkpoints(settings, parent, checkpoint_ns)
        found, heard = listeners(settings, tap, kind)
        run = RunContext(
            self.plan,
            settings,
            namespace,
            checkpoint_ns,
            display,
            nested,
            context,
            parent.run.store if self.store is None and parent is not None else self.store,
            checkpoints,
            answers,
            heard,
            () if parent is None else parent.beats,
            parent is not None and (parent.retried or parent.run.repeated),
            None if parent is None or not nested else parent.run.thread or parent.run.lent,
            self.control or (None if parent is None else parent.run.control) or RunControl(),
        )
        self.loop = Loop(
            run,
            Standing(self.plan, (":".join(namespace) or fresh_id()).encode(), settings.recursion_limit),
            checkpoints,
            before=self.before,
            after=self.after,
            continued=parent is not None
            and (parent.standing.resuming or parent.retried)
            and (checkpoints is None or checkpoints.replay is None or checkpoints.asked is not None),
        )
        return Opened(self.loop, outlet, found)

    def result(self, loop: Loop) -> Any:
        """What `invoke` returns: the output, or None if none of its keys was ever written.

        If the run stopped at interrupts, they are in the output under a key of their own.
        """
        return with_interrupts(self.values(loop), list(loop.interrupts))

    def values(self, loop: Loop) -> Any:
        """The output alone, as tracers see it."""
        return shown_values(loop.standing.values, self._shown_keys()) if loop.touched else None

    def _shown_keys(self) -> str | tuple[str, ...]:
        asked = self.output_keys
        if asked is None:
            return self.plan.keys if self.streamed else self.plan.output_keys
        for key in (asked,) if isinstance(asked, str) else asked:
            if key not in self.plan.channels:
                raise ValueError(
                    f"output_keys names {key!r}, which is no key of {self.plan.title}; "
                    f"it has {', '.join(self.plan.channels)}"
                )
        return asked if isinstance(asked, str) else tuple(asked)

    def _checkpoints(self, settings: Settings, parent: Task | None, checkpoint_ns: str) -> Checkpoints | None:
        """The checkpoints of the run, None if it is not kept."""
        checkpointer = self.checkpointer
        outer = None if parent is None or settings.detached else parent.run.thread
        if outer is None and parent is not None and checkpointer is True:
            outer = parent.run.lent
        if checkpointer is False:
            return None
        if checkpointer is True and parent is None:
            raise RuntimeError(
                "the graph was compiled with checkpointer=True, that is, with the one of the graph around "
                "it, and there is no graph around it; give it a saver of its own"
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
            # the config is that of a surrounding graph; this graph's checkpoint is in its map
            asked = (configurable.get("checkpoint_map") or {}).get(checkpoint_ns)
        else:
            asked = configurable.get("checkpoint_id")
        return Checkpoints(
            saver,
            self.durability or (outer.durability if outer is not None else "async"),
            settings,
            checkpoint_ns,
            asked,
            configurable.get("checkpoint_map") or {},
            outer.replay if outer is not None and nested else None,
        )
