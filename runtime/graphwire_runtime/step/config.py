"""The config of a task: what a node is given, and what the models and graphs that it calls inherit."""

from __future__ import annotations

import sys
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.runnables import RunnableConfig

from graphwire_runtime.foreign.configurable import Configurable
from graphwire_runtime.foreign.words import TASK
from graphwire_runtime.plan.config import merge

__all__ = ["config_of"]


def config_of(task: Any) -> RunnableConfig:
    """Make the config of a `Task`."""
    settings = task.run.settings
    metadata = task.metadata()
    around = settings.configurable.get("checkpoint_map") or {}
    config: dict[str, Any] = {**settings.inherited, "metadata": metadata}
    if "langgraph.types" in sys.modules:  # there may be parts of LangGraph's
        configurable = Configurable(settings.configurable)
        config["callbacks"] = []  # looked up by LangGraph's `push_message` and `@task`
    else:
        configurable = settings.configurable.copy()
    configurable[TASK] = task
    configurable["checkpoint_ns"] = task.checkpoint_ns
    configurable["checkpoint_id"] = None
    at = task.standing.checkpoint_id
    configurable["checkpoint_map"] = {**around, task.run.checkpoint_ns: at, **dict.fromkeys(task.within, at)}
    config["configurable"] = configurable
    if settings.tags:
        config["tags"] = settings.tags
    if task.callbacks is not None:
        config["callbacks"] = task.callbacks
    elif (taps := task.run.taps) is not None:
        # not a list: with one, the metadata and tags of a model that has its own would be lost
        handlers: list[BaseCallbackHandler] = [*taps]
        config["callbacks"] = CallbackManager(
            handlers,
            handlers,
            tags=settings.tags,
            inheritable_tags=settings.tags,
            metadata=metadata,
            inheritable_metadata=metadata,
        )
    if task.progress is not None and task.progress.pulse is not None:
        config = merge(config, {"callbacks": [task.progress.pulse]})
    return cast("RunnableConfig", config)
