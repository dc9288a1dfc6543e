"""What a run is told besides its input: LangChain configs, merged once and read many times.

A config reaches a run from three sides: the node it is started in (through the context), `with_config`, and
the call itself. `Settings` is the sum. Per-task configs are made from it in `task`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.plan.runtime import TASK

if TYPE_CHECKING:
    from graphwire_runtime.step.task import Task

__all__ = ["DEFAULT_RECURSION_LIMIT", "Settings", "merge", "settings_for"]

DEFAULT_RECURSION_LIMIT = 10_007
"""Supersteps a run may take where its config does not say."""

COPIED = ("thread_id", "run_id", "assistant_id", "graph_id")
"""Keys of `configurable` that metadata shows as well."""


@dataclass(slots=True)
class Settings:
    """The merged config of one run. `inherited` is what its tasks' configs hand on as they are."""

    tags: list[str]
    metadata: dict[str, Any]
    configurable: dict[str, Any]
    callbacks: Any
    recursion_limit: int
    max_concurrency: int | None
    run_name: str | None
    run_id: UUID | None
    parent: Task | None
    detached: bool
    inherited: dict[str, Any]

    def user_metadata(self) -> dict[str, Any]:
        """The metadata that the caller gave, without what runs add on their way down."""
        return {
            key: value
            for key, value in self.metadata.items()
            if not key.startswith("langgraph_") and key not in ("thread_id", "checkpoint_ns")
        }


def settings_for(bound: RunnableConfig | None, given: RunnableConfig | None) -> Settings:
    """Merge the config of the surrounding node, the graph's own (`bound`) and the call's.

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
    configurable = dict(config.get("configurable") or ())
    parent = configurable.pop(TASK, None)
    own = (given or {}).get("configurable") or {}
    detached = parent is not None and "thread_id" in own and TASK not in own
    if detached:
        configurable.pop("checkpoint_ns", None)
    metadata = dict(config.get("metadata") or ())
    for key in COPIED:
        if (value := configurable.get(key)) is not None and key not in metadata:
            metadata[key] = value
    if namespace := configurable.get("checkpoint_ns"):
        metadata.setdefault("checkpoint_ns", namespace)
    limit = config.get("recursion_limit")
    if limit is not None and limit < 1:
        raise ValueError(f"recursion_limit counts supersteps and must be at least 1; {limit} came")
    inherited: dict[str, Any] = {}
    if limit is not None:
        inherited["recursion_limit"] = limit
    if (most := config.get("max_concurrency")) is not None:
        inherited["max_concurrency"] = most
    return Settings(
        tags=list(config.get("tags") or ()),
        metadata=metadata,
        configurable=configurable,
        callbacks=config.get("callbacks"),
        recursion_limit=DEFAULT_RECURSION_LIMIT if limit is None else limit,
        max_concurrency=most,
        run_name=(given or {}).get("run_name") or (bound or {}).get("run_name"),
        run_id=(given or {}).get("run_id"),
        parent=parent,
        detached=detached,
        inherited=inherited,
    )


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two configs as one: tags are joined, metadata and configurable merged by key, callbacks added up.

    Of every other key the value of `over` counts, unless it is None.
    """
    merged = {**under, **{key: value for key, value in over.items() if value is not None}}
    if (tags := under.get("tags")) and over.get("tags"):
        merged["tags"] = [*tags, *(tag for tag in over["tags"] if tag not in tags)]
    for key in ("metadata", "configurable"):
        if under.get(key) and over.get(key):
            merged[key] = {**under[key], **over[key]}
    if under.get("callbacks") is not None and over.get("callbacks") is not None:
        merged["callbacks"] = _both(under["callbacks"], over["callbacks"])
    return merged


def _both(under: Any, over: Any) -> Any:
    """The callbacks of both sides, each callback once; lists and LangChain's callback objects mix."""
    if not isinstance(over, list):
        if isinstance(under, list):
            over = over.copy()
            for callback in under:
                if callback not in over.handlers:
                    over.add_handler(callback, inherit=True)
        return over  # made below `under` by LangChain, or meant to replace it
    if isinstance(under, list):
        return under + [callback for callback in over if callback not in under]
    joined = under.copy()
    for callback in over:
        if callback not in joined.handlers:
            joined.add_handler(callback, inherit=True)
    return joined
