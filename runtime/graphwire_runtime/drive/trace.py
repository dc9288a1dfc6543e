"""`Trace`: reports a run, its nodes and their routers to the caller's callbacks and tracers.

A run has a trace only if a callback of the caller listens; without one, none of LangChain's callback
machinery is set up. LangChain has two kinds of callback managers: the methods of one return a value, those of
the other an awaitable. So what is reported, and when, is written once, in generators: each yields what such a
method returned and is sent the value, or what the awaitable gave.

In an asynchronous run, handlers that stream (those of `astream_events` and `astream_log`) get what a node
gave as a chunk, too. The trace policy of a node is for what tracers record; other handlers see the values
themselves.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.tracers import BaseTracer

from graphwire_runtime.foreign.words import known
from graphwire_runtime.plan.call import streams
from graphwire_runtime.plan.config import Settings
from graphwire_runtime.step.task import Task
from graphwire_runtime.stream.tokens import TokenTap

logger = logging.getLogger(__name__)

__all__ = ["Trace", "listeners", "started"]

Reports = Generator[Any, Any, None]

WORK: Any = object()
"""Yielded where the work is done that is reported on."""


def listeners(
    settings: Settings, tap: TokenTap | None, kind: type[CallbackManager] | type[AsyncCallbackManager]
) -> tuple[Any, list[Any] | None]:
    """What listens to a run: a callback manager for its `Trace`, and the taps.

    The manager is None if nothing but token taps listens. The taps are None if there are none, or if the
    manager has them.

    Args:
        settings: the merged config, with the caller's callbacks.
        tap: the token tap of the run's own consumer, None if that does not stream messages.
        kind: the kind of callback manager to make.
    """
    found = kind.configure(
        inheritable_callbacks=settings.callbacks,
        inheritable_tags=settings.tags,
        inheritable_metadata=settings.metadata,
    )
    if tap is not None:
        found.add_handler(tap, inherit=True)
    if settings.detached:
        theirs = known("pregel._messages", "StreamMessagesHandler")
        hearing: Any = TokenTap if theirs is None else (TokenTap, theirs)
        for callback in list(found.handlers):
            if isinstance(callback, hearing) and callback is not tap and not callback.subgraphs:
                found.remove_handler(callback)
    taps: list[Any] = [callback for callback in found.handlers if isinstance(callback, TokenTap)]
    if len(taps) == len(found.handlers):
        return None, taps or None
    found.add_metadata({"ls_integration": "langgraph"})
    return found, None


def started(listeners: Any, name: str, settings: Settings, value: Any) -> Any:
    """Report that a graph starts with this input; returns what a `Trace` is made of, or its awaitable."""
    return listeners.on_chain_start(None, value, run_id=settings.run_id, name=name)


class Trace:
    """The reports of one run.

    Args:
        run: what `started` returned, awaited in an asynchronous run.
    """

    def __init__(self, run: Any) -> None:
        self.run = run
        self._nodes: dict[str, Any] = {}
        """The runs of nodes at work, by the ids of their tasks."""

    def end(self, output: Any) -> Any:
        """Report that the graph has come to its end; to be awaited in an asynchronous run, as is `fail`."""
        return self.run.on_chain_end(output)

    def fail(self, error: BaseException) -> Any:
        """Report that the graph has failed."""
        return self.run.on_chain_error(error)

    @contextmanager
    def node(self, task: Task) -> Iterator[None]:
        """Report on a node and its routers while they run; what they call inherits the listeners."""
        with _during(self._node(task)):
            yield

    @asynccontextmanager
    async def anode(self, task: Task) -> AsyncIterator[None]:
        """The same as `node`, in an asynchronous run."""
        async with _aduring(self._node(task, chunks=True)):
            yield

    @contextmanager
    def router(self, task: Task, name: str, state: Any) -> Iterator[list[Any]]:
        """Report on one router while it runs; the list is for its answer."""
        answers: list[Any] = []
        with _during(self._router(task, name, state, answers)):
            yield answers

    @asynccontextmanager
    async def arouter(self, task: Task, name: str, state: Any) -> AsyncIterator[list[Any]]:
        """The same as `router`, in an asynchronous run."""
        answers: list[Any] = []
        async with _aduring(self._router(task, name, state, answers)):
            yield answers

    def _node(self, task: Task, *, chunks: bool = False) -> Reports:
        caller = None if task.caller is None else task.caller.callbacks
        step = f"graph:step:{task.standing.step}"
        children = self.run.get_child(step) if caller is None else caller.copy()
        children.add_metadata(task.metadata())
        if caller is None:
            _tag(children, step, task)
        run = yield from _begin(children, task)
        task.use_callbacks(run.get_child("seq:step:1"))
        self._nodes[task.id] = run
        try:
            yield WORK
        except BaseException as error:
            yield run.on_chain_error(error)
        else:
            output = task.input if task.node is task.run.plan.start else task.output
            if chunks:
                for handler in filter(streams, run.handlers):
                    yield _streamed(handler, run, output)
            yield from _end(run, task, output)
        finally:
            del self._nodes[task.id]

    def _router(self, task: Task, name: str, state: Any, answers: list[Any]) -> Reports:
        outer = task.callbacks
        index = [router.name for router in task.node.routers].index(name)
        step = f"seq:step:{index + (2 if task.node is task.run.plan.start else 3)}"
        children = self._nodes[task.id].get_child(step)
        _tag(children, step, task)
        run = yield children.on_chain_start(None, state, name=name)
        task.use_callbacks(run.get_child())
        try:
            yield WORK
        except BaseException as error:
            yield run.on_chain_error(error)
            task.use_callbacks(outer)
        else:
            task.use_callbacks(outer)
            yield run.on_chain_end(answers[0])


def _begin(children: Any, task: Task) -> Generator[Any, Any, Any]:
    """Report that a node starts; returns its run."""
    value = task.shown_input
    shown = _shown_to_tracers(task, value)
    if shown is value:
        return (yield children.on_chain_start(None, value, name=task.name))
    others, tracers = _apart(children)
    run = yield others.on_chain_start(None, value, name=task.name)
    yield tracers.on_chain_start(None, shown, name=task.name, run_id=run.run_id)
    run.handlers = children.handlers
    return run


def _end(run: Any, task: Task, output: Any) -> Reports:
    shown = _shown_to_tracers(task, output, ended=True)
    if shown is output:
        yield run.on_chain_end(output)
        return
    others, tracers = _apart(run)
    yield tracers.on_chain_end(shown)
    yield others.on_chain_end(output)


def _apart(manager: Any) -> tuple[Any, Any]:
    """The manager for all that do not record what they see, and the manager for tracers."""
    others, tracers = copy.copy(manager), copy.copy(manager)
    tracers.handlers = [
        each for each in manager.handlers if isinstance(each, BaseTracer) and not streams(each)
    ]
    others.handlers = [each for each in manager.handlers if each not in tracers.handlers]
    return others, tracers


async def _streamed(handler: Any, run: Any, output: Any) -> None:
    """Give a handler that streams the output of a node as a chunk."""

    async def once() -> AsyncIterator[Any]:
        yield output

    async for _ in handler.tap_output_aiter(run.run_id, once()):
        pass


def _tag(children: Any, step: str, task: Task) -> None:
    """Let the tag of a step come first, as in LangGraph; tracers hide START."""
    children.tags = [step, *(tag for tag in children.tags if tag != step)]
    if task.node is task.run.plan.start:
        children.add_tags(["langsmith:hidden"], False)


@contextmanager
def _during(reports: Reports) -> Iterator[None]:
    _report(reports, next(reports))
    try:
        yield
    except BaseException as error:
        _report(reports, reports.throw(error))
        raise
    _report(reports, next(reports))


@asynccontextmanager
async def _aduring(reports: Reports) -> AsyncIterator[None]:
    await _areport(reports, next(reports))
    try:
        yield
    except BaseException as error:
        await _areport(reports, reports.throw(error))
        raise
    await _areport(reports, next(reports))


def _report(reports: Reports, report: Any) -> None:
    """Go on to the work or to the end, from a report that was yielded."""
    try:
        while report is not WORK:
            report = reports.send(report)
    except StopIteration:
        return


async def _areport(reports: Reports, report: Any) -> None:
    try:
        while report is not WORK:
            report = reports.send(await report)
    except StopIteration:
        return


def _shown_to_tracers(task: Task, value: Any, *, ended: bool = False) -> Any:
    """A node's input or output, as its trace policy lets tracers see it."""
    policy = task.node.tracing
    process = None if policy is None else policy.process_outputs if ended else policy.process_inputs
    if process is None:
        return value
    try:
        return process(value)
    except Exception as error:  # it may be there to hide something, so nothing is shown in its place
        logger.exception("what tracers see of node %r could not be made, so they see nothing", task.name)
        return {"error": f"the trace policy of node {task.name!r} raised {type(error).__name__}"}
