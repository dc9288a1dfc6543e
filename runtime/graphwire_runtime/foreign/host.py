"""`Host`: the task of LangGraph's that a graph of this package runs in.

It has what `drive.request` reads of a task of this package: its namespace, outlets, thread and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from graphwire_runtime.foreign.handles import CHECKPOINTER, PREFIX, TASK_ID
from graphwire_runtime.foreign.words import theirs
from graphwire_runtime.namespace import Namespace
from graphwire_runtime.types import INTERRUPT, Interrupt, with_interrupts

__all__ = ["Host", "hosted"]


def hosted(configurable: dict[str, Any], parent: Any, callbacks: Any) -> tuple[dict[str, Any], Any]:
    """The `configurable` of a run without LangGraph's keys, and the task that the run is inside.

    Args:
        configurable: with LangGraph's keys, which belong to its task or to one of this package.
        parent: the innermost task of this package, None if there is none.
        callbacks: of the config.
    """
    inner = parent is None or parent.id != configurable[TASK_ID]
    task = Host(configurable, callbacks) if inner else parent
    return {key: value for key, value in configurable.items() if not key.startswith(PREFIX)}, task


class Host:
    """The task; see the module.

    Args:
        configurable: of its config.
        callbacks: of its config.
    """

    retried = False
    beats: tuple[Callable[[], None], ...] = ()

    def __init__(self, configurable: Mapping[str, Any], callbacks: Any) -> None:
        self.id = configurable[TASK_ID]
        self.checkpoint_ns: str = configurable.get("checkpoint_ns") or ""
        self._scratchpad = configurable.get("__pregel_scratchpad")
        self.named: Mapping[str, Any] = configurable.get("__pregel_resume_map") or {}
        """The answers of the run by interrupt id."""
        runtime = configurable.get("__pregel_runtime")
        stream = configurable.get("__pregel_stream")
        replay = configurable.get("__pregel_replay_state")
        handlers = getattr(callbacks, "handlers", callbacks) or ()
        self.standing = SimpleNamespace(resuming=bool(configurable.get("__pregel_resuming")))
        self.run = SimpleNamespace(
            display=SimpleNamespace(
                outlets=[] if stream is None else [_Outlet(stream, stream.modes)],
                taps=[handler for handler in handlers if hasattr(handler, "note_output")],
            ),
            answers=None,
            context=getattr(runtime, "context", None),
            store=getattr(runtime, "store", None),
            control=getattr(runtime, "control", None),
            thread=SimpleNamespace(
                saver=configurable.get(CHECKPOINTER),
                durability=configurable.get("__pregel_durability", "async"),
                replay=None if replay is None else _Replay(replay),
            ),
            lent=None,
            repeated=False,
        )

    def namespace_for_nested(self) -> Namespace:
        """The namespace of the next graph started inside this task; from the second on with a number."""
        count = 0 if self._scratchpad is None else self._scratchpad.subgraph_counter()
        own = tuple(self.checkpoint_ns.split("|"))
        return (*own, str(count)) if count else own

    def unnamed(self, *, consume: bool) -> Any:
        """The answer of the run that names no interrupt, None if there is none."""
        return None if self._scratchpad is None else self._scratchpad.get_null_resume(consume)


@dataclass(frozen=True, slots=True)
class _Replay:
    """LangGraph's replay, as `thread.replay` has it."""

    state: Any

    def bound(self, namespace: str) -> str | None:
        first: bool = self.state._is_first_visit(namespace)
        before: str = self.state.checkpoint_id
        return before if first else None

    def for_langgraph(self, kind: Any) -> Any:
        return self.state


@dataclass(frozen=True, slots=True)
class _Outlet:
    """The stream of LangGraph's graph around, as an outlet of this package."""

    stream: Callable[[tuple[Namespace, str, Any]], None]
    modes: frozenset[str]
    subgraphs: bool = True
    parts: bool = False

    def push(self, mode: str, namespace: Namespace, chunk: Any) -> None:
        if isinstance(chunk, dict) and INTERRUPT in chunk:
            chunk = {**chunk, INTERRUPT: tuple(map(theirs, chunk[INTERRUPT]))}
        self.stream((namespace, mode, chunk))

    def push_values(self, namespace: Namespace, chunk: Any, interrupts: tuple[Interrupt, ...] = ()) -> None:
        self.push("values", namespace, with_interrupts(chunk, interrupts))
