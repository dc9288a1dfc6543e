"""`Settings`: the configs of a run, merged once.

A config reaches a run from three sides: the node that the run is started in (through the context),
`with_config`, and the call itself. `step.task` makes the config of each task from the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.foreign.configurable import plain
from graphwire_runtime.foreign.handles import TASK_ID
from graphwire_runtime.foreign.host import hosted
from graphwire_runtime.foreign.words import TASK

__all__ = ["DEFAULT_RECURSION_LIMIT", "Settings", "merge", "settings_for"]

DEFAULT_RECURSION_LIMIT = 10_007
"""Supersteps that a run may take if its config does not say."""

COPIED = ("checkpoint_id", "task_id", "thread_id", "run_id", "assistant_id", "graph_id")
"""Keys of `configurable` that are copied into the metadata."""


@dataclass(slots=True)
class Settings:
    """The merged config of one run."""

    tags: list[str]
    metadata: dict[str, Any]
    configurable: dict[str, Any]
    callbacks: Any
    recursion_limit: int
    """In supersteps."""
    max_concurrency: int | None
    """How many nodes may run at once, None if the config does not say."""
    run_name: str | None
    run_id: UUID | None
    detached: bool
    """Whether the run is inside another one and its config names a thread of its own."""
    inherited: dict[str, Any]
    """What the configs of its tasks repeat unchanged."""

    def user_metadata(self) -> dict[str, Any]:
        """The metadata that the caller gave, without what surrounding runs have added."""
        return {
            key: value
            for key, value in self.metadata.items()
            if not key.startswith("langgraph_") and key not in ("thread_id", "checkpoint_ns", "checkpoint_id")
        }


def settings_for(bound: RunnableConfig | None, given: RunnableConfig | None) -> tuple[Settings, Any]:
    """Merge the config of the surrounding node, the graph's own (`bound`) and the call's (`given`).

    Returns the settings, and the task that the graph runs inside, None if it runs inside none.

    Raises ValueError for a recursion_limit below 1.
    """
    around = var_child_runnable_config.get()
    if given is around:
        given = None
    config: Mapping[str, Any] = around or {}
    if bound is not None:
        config = merge(config, bound)
    if given is not None:
        config = merge(config, given)
    configurable = plain(config.get("configurable") or {})
    parent = configurable.pop(TASK, None)
    if TASK_ID in configurable:
        configurable, parent = hosted(configurable, parent, config.get("callbacks"))
    own = (given or {}).get("configurable") or {}
    detached = parent is not None and "thread_id" in own and TASK not in own and TASK_ID not in own
    if detached:
        configurable.pop("checkpoint_ns", None)
        configurable.pop("checkpoint_map", None)
    metadata = dict(config.get("metadata") or ())
    for key in COPIED:
        if (value := configurable.get(key)) is not None and key not in metadata:
            metadata[key] = value
    if namespace := configurable.get("checkpoint_ns"):
        metadata.setdefault("checkpoint_ns", namespace)
    limit = config.get("recursion_limit")
    if limit is not None and limit < 1:
        raise ValueError(f"recursion_limit counts supersteps and must be at least 1, got {limit}")
    inherited: dict[str, Any] = {}
    if limit is not None:
        inherited["recursion_limit"] = limit
    if (most := config.get("max_concurrency")) is not None:
        inherited["max_concurrency"] = most
    settings = Settings(
        tags=list(config.get("tags") or ()),
        metadata=metadata,
        configurable=configurable,
        callbacks=config.get("callbacks"),
        recursion_limit=DEFAULT_RECURSION_LIMIT if limit is None else limit,
        max_concurrency=most,
        run_name=(given or {}).get("run_name") or (bound or {}).get("run_name"),
        run_id=(given or {}).get("run_id"),
        detached=detached,
        inherited=inherited,
    )
    return settings, parent


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two configs as one: tags and callbacks are added, metadata and configurable merged by key.

    For every other key the value of `over` counts, unless it is None.
    """
    merged = {**under, **{key: value for key, value in over.items() if value is not None}}
    if (tags := under.get("tags")) and over.get("tags"):
        merged["tags"] = [*tags, *(tag for tag in over["tags"] if tag not in tags)]
    if under.get("metadata") and over.get("metadata"):
        merged["metadata"] = {**under["metadata"], **over["metadata"]}
    if (below := under.get("configurable")) and (above := over.get("configurable")):
        merged["configurable"] = {**plain(below), **plain(above)}
    if under.get("callbacks") is not None and over.get("callbacks") is not None:
        merged["callbacks"] = _both(under["callbacks"], over["callbacks"])
    return merged


def _both(under: Any, over: Any) -> Any:
    """The callbacks of both sides, each once; either side is a list or a callback manager of LangChain's."""
    if not isinstance(over, list):
        if isinstance(under, list):
            over = over.copy()
            for callback in under:
                if callback not in over.handlers:
                    over.add_handler(callback, inherit=True)
        return over  # LangChain derived it from `under`, or it is meant to replace it
    if isinstance(under, list):
        return under + [callback for callback in over if callback not in under]
    joined = under.copy()
    for callback in over:
        if callback not in joined.handlers:
            joined.add_handler(callback, inherit=True)
    return joined
