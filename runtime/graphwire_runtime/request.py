"""What a caller asked of a graph in one call, and the run and the outlet that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.clock import fresh_id
from graphwire_runtime.config import settings_for
from graphwire_runtime.loop import Run
from graphwire_runtime.messages import TokenTap
from graphwire_runtime.plan import Plan
from graphwire_runtime.schema import coerce_context
from graphwire_runtime.stream import Bell, Namespace, Outlet

__all__ = ["Request"]


@dataclass(slots=True)
class Request:
    """One call. `modes` None stands for a stream's default, `streamed` False for a call without a stream."""

    plan: Plan
    bound: RunnableConfig | None
    input: Any
    config: RunnableConfig | None
    context: Any
    modes: str | Sequence[str] | None
    output_keys: str | Sequence[str] | None
    subgraphs: bool = False
    parts: bool = False
    streamed: bool = True
    run: Run | None = None

    def open(self, bell: Bell) -> tuple[Run, Outlet | None]:
        """The run, not yet begun, and the outlet of this call, None where it streams nothing.

        Raises ValueError for an output key that the state does not have, or a wrong config.
        """
        settings = settings_for(self.bound, self.config)
        parent = settings.parent
        namespace: Namespace = ()
        outlets: list[Outlet] = []
        context = coerce_context(self.plan.context, self.context)
        if parent is not None and not settings.detached:
            namespace = parent.namespace_for_nested()
            outlets = [outlet for outlet in parent.run.outlets if outlet.subgraphs]
            if self.context is None:
                context = parent.run.context
        outlet = None
        if self.streamed:
            modes = "updates" if self.modes is None else self.modes
            outlet = Outlet(modes, subgraphs=self.subgraphs, parts=self.parts, namespace=namespace, bell=bell)
            if "messages" in outlet.modes:
                outlet.tap = TokenTap(outlet)
            outlets.append(outlet)
        self.run = Run(
            self.plan,
            settings,
            seed=":".join(namespace) or fresh_id(),
            namespace=namespace,
            outlets=outlets,
            own=outlet,
            show=self._show(),
            context=context,
        )
        return self.run, outlet

    def name(self, run: Run) -> str:
        """What tracers call the run."""
        return run.settings.run_name or self.plan.name

    def result(self, run: Run) -> Any:
        """What `invoke` returns in the end: the output, or None where no key of it was ever written."""
        return run.output(self._show()) if run.touched else None

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
