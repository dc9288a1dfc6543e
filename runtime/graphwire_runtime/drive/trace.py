"""Callbacks and tracers that the caller brought: they hear of the graph, of every node and of every router.

A run has a `Trace` only if somebody listens; without one, none of LangChain's callback machinery is set up.
Synchronous and asynchronous runs have one class each, since LangChain has two kinds of callbacks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.callbacks.manager import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun

from graphwire_runtime.plan.config import Settings
from graphwire_runtime.step.task import Task
from graphwire_runtime.stream.tokens import TokenTap

__all__ = ["AsyncTrace", "Trace", "listeners"]


def listeners(
    settings: Settings, tap: TokenTap | None, kind: type[CallbackManager] | type[AsyncCallbackManager]
) -> tuple[Any, list[Any] | None]:
    """Who hears a run: LangChain's callbacks object, or None and the taps where nobody else listens."""
    found = kind.configure(
        inheritable_callbacks=settings.callbacks,
        inheritable_tags=settings.tags,
        inheritable_metadata=settings.metadata,
    )
    if tap is not None:
        found.add_handler(tap, inherit=True)
    if settings.detached:
        for callback in list(found.handlers):
            if isinstance(callback, TokenTap) and callback is not tap and not callback.subgraphs:
                found.remove_handler(callback)
    taps: list[Any] = [callback for callback in found.handlers if isinstance(callback, TokenTap)]
    if len(taps) == len(found.handlers):
        return None, taps or None
    found.add_metadata({"ls_integration": "langgraph"})
    return found, None


class Trace:
    """The listeners of a synchronous run."""

    def __init__(self, listeners: CallbackManager, name: str, settings: Settings, value: Any) -> None:
        self._run: CallbackManagerForChainRun = listeners.on_chain_start(
            {}, value, run_id=settings.run_id, name=name
        )

    def end(self, output: Any) -> None:
        """Tell that the graph has come to its end."""
        self._run.on_chain_end(output)

    def fail(self, error: BaseException) -> None:
        """Tell that the graph has failed."""
        self._run.on_chain_error(error)

    @contextmanager
    def node(self, task: Task) -> Iterator[None]:
        """Tell of a node and its routers while they run; what they call inherits the listeners."""
        children = self._run.get_child(f"graph:step:{task.standing.step}")
        children.add_metadata(task.metadata())
        run = children.on_chain_start({}, _shown_to_tracers(task, task.input), name=task.name)
        task.use_callbacks(run.get_child())
        try:
            yield
        except BaseException as error:
            run.on_chain_error(error)
            raise
        run.on_chain_end(_shown_to_tracers(task, task.output, ended=True))

    @contextmanager
    def router(self, task: Task, name: str, state: Any) -> Iterator[list[Any]]:
        """Tell of one router while it runs; its answer belongs into the list."""
        outer = task.callbacks
        run = outer.on_chain_start({}, state, name=name)
        task.use_callbacks(run.get_child())
        answers: list[Any] = []
        try:
            yield answers
        except BaseException as error:
            run.on_chain_error(error)
            raise
        finally:
            task.use_callbacks(outer)
        run.on_chain_end(answers[0])


class AsyncTrace:
    """The listeners of an asynchronous run."""

    def __init__(self, run: AsyncCallbackManagerForChainRun) -> None:
        self._run = run

    @classmethod
    async def begin(
        cls, listeners: AsyncCallbackManager, name: str, settings: Settings, value: Any
    ) -> AsyncTrace:
        """Tell that the graph starts."""
        return cls(await listeners.on_chain_start({}, value, run_id=settings.run_id, name=name))

    async def end(self, output: Any) -> None:
        """Tell that the graph has come to its end."""
        await self._run.on_chain_end(output)

    async def fail(self, error: BaseException) -> None:
        """Tell that the graph has failed."""
        await self._run.on_chain_error(error)

    @asynccontextmanager
    async def node(self, task: Task) -> AsyncIterator[None]:
        """Tell of a node and its routers while they run; what they call inherits the listeners."""
        children = self._run.get_child(f"graph:step:{task.standing.step}")
        children.add_metadata(task.metadata())
        run = await children.on_chain_start({}, _shown_to_tracers(task, task.input), name=task.name)
        task.use_callbacks(run.get_child())
        try:
            yield
        except BaseException as error:
            await run.on_chain_error(error)
            raise
        await run.on_chain_end(_shown_to_tracers(task, task.output, ended=True))

    @asynccontextmanager
    async def router(self, task: Task, name: str, state: Any) -> AsyncIterator[list[Any]]:
        """Tell of one router while it runs; its answer belongs into the list."""
        outer = task.callbacks
        run = await outer.on_chain_start({}, state, name=name)
        task.use_callbacks(run.get_child())
        answers: list[Any] = []
        try:
            yield answers
        except BaseException as error:
            await run.on_chain_error(error)
            raise
        finally:
            task.use_callbacks(outer)
        await run.on_chain_end(answers[0])


def _shown_to_tracers(task: Task, value: Any, *, ended: bool = False) -> Any:
    """What listeners are told of a node's input or output."""
    policy = task.node.tracing
    process = None if policy is None else policy.process_outputs if ended else policy.process_inputs
    return value if process is None else process(value)
