"""Calls the node and the routers of a task, blocking or on an event loop, and reports how the task ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.clock import apause, pause
from graphwire_runtime.drive.loop import Loop
from graphwire_runtime.drive.node_threads import in_thread, made_in_thread
from graphwire_runtime.drive.timeout import Timeout
from graphwire_runtime.drive.trace import Trace
from graphwire_runtime.errors import NodeCancelledError
from graphwire_runtime.foreign.signals import asking, bubbling, command_for, interrupts_of, sent_up_by
from graphwire_runtime.plan.call import Call
from graphwire_runtime.step.task import Task

__all__ = [
    "execute",
    "execute_alone",
    "execute_async",
    "execute_called",
    "execute_called_async",
    "may_be_alone",
    "route",
    "route_async",
]


def route(task: Task) -> None:
    """Call only the routers of a task that already has its writes, in the context of the caller."""
    var_child_runnable_config.set(task.config)
    try:
        _route(None, task)
    finally:
        task.forget()


async def route_async(task: Task) -> None:
    """Call only the routers of a task that already has its writes, in a context of their own."""
    await asyncio.create_task(_routed(task))


async def _routed(task: Task) -> None:
    var_child_runnable_config.set(task.config)
    try:
        await _route_async(None, task)
    finally:
        task.forget()


def execute(loop: Loop, task: Task) -> None:
    """Run a task to its end, in the context of the caller, which must be the task's own.

    Raises what the task failed with if that ends the run.
    """
    trace = loop.trace
    substitute: Task | None = None
    try:
        var_child_runnable_config.set(task.config)
        if task.node.retries or task.node.timeout is not None:
            _persist(loop, task)
        elif trace is None:
            _work(trace, task)
        else:
            with trace.node(task):
                _work(trace, task)
    except asking() as asked:
        loop.interrupted(task, interrupts_of(asked))
    except BaseException as error:
        substitute = loop.failed(task, error)
        if substitute is None:
            raise
    else:
        loop.finished(task)
    finally:
        task.forget()
    if substitute is not None:
        execute(loop, substitute)


def _persist(loop: Loop, task: Task) -> None:
    """Run a task as often as its retry policies say."""
    if task.node.timeout is not None:
        raise ValueError(
            f"node {task.name!r} has a timeout, which a blocking run cannot keep: a thread cannot be stopped "
            "from outside; run the graph with astream or ainvoke"
        )
    trace = loop.trace
    attempts = 0
    while True:
        try:
            if trace is None:
                _work(trace, task)
            else:
                with trace.node(task):
                    _work(trace, task)
            return
        except bubbling():
            raise
        except Exception as error:
            attempts += 1
            pause(_wait(task, error, attempts))
            task.again()
            loop.display.show_again(task)


def _wait(task: Task, error: Exception, attempts: int) -> float:
    """Seconds to wait before the next attempt; raises the error if there is none."""
    policy = next((policy for policy in task.node.retries if policy.covers(error)), None)
    if policy is None or attempts >= policy.max_attempts:
        raise error
    return policy.wait(attempts)


async def _persist_async(loop: Loop, task: Task) -> None:
    trace = loop.trace
    attempts = 0
    while True:
        try:
            await _timed(trace, task)
            return
        except bubbling():
            raise
        except Exception as error:
            attempts += 1
            await apause(_wait(task, error, attempts))
            task.again()
            loop.display.show_again(task)


async def _timed(trace: Trace | None, task: Task) -> None:
    """Run a task once, within the limits of its timeout."""
    policy = task.node.timeout
    if policy is None:
        await _traced(trace, task)
        return
    timeout = Timeout(task.name, policy)
    task.progress = timeout
    task.renew()
    await timeout.limit(_traced(trace, task))


async def _traced(trace: Trace | None, task: Task) -> None:
    if trace is not None:
        async with trace.anode(task):
            await _work_async(trace, task)
    elif task.node.threaded:
        await in_thread(_work, trace, task)
    else:
        await _work_async(trace, task)


def _work(trace: Trace | None, task: Task) -> None:
    node = task.node
    if node is not task.run.plan.start:
        sync = _sync(node.call)
        try:
            output = sync(task.input, task)
        except sent_up_by() as sent:
            task.accept_command(command_for(sent, task.checkpoint_ns))
        else:
            task.accept(output)
    task.returned = True
    if node.routers:
        _route(trace, task)


def _route(trace: Trace | None, task: Task) -> None:
    values = task.state_after()
    for router in task.node.routers:
        state = task.state_for(router, values)
        if trace is None or task.callbacks is None:
            task.route(router, _sync(router.call)(state, task))
        else:
            with trace.router(task, router.name, state) as answers:
                answers.append(_sync(router.call)(state, task))
            task.route(router, answers[0])


def _sync(call: Call) -> Any:
    if call.sync is None:
        raise TypeError(
            f"{call.name!r} is an async function and has no synchronous form; "
            "run the graph with astream or ainvoke"
        )
    return call.sync


async def execute_async(loop: Loop, task: Task) -> None:
    """Run a task to its end, in the context of the current asyncio task, which must be the task's own.

    A node without an async form runs in a thread, and cancellation does not stop it.

    Raises what the task failed with if that ends the run.
    """
    trace = loop.trace
    substitute: Task | None = None
    try:
        # set in the asyncio task, and so in its own copy of the context: Python 3.10 cannot pass one in
        var_child_runnable_config.set(task.config)
        if task.node.retries or task.node.timeout is not None:
            await _persist_async(loop, task)
        elif trace is not None:
            async with trace.anode(task):
                await _work_async(trace, task)
        elif task.node.threaded:
            await in_thread(_work, trace, task)
        else:
            await _work_async(trace, task)
    except asyncio.CancelledError:
        if loop.stopping:
            raise
        error = _cancelled_itself(task)
        substitute = loop.failed(task, error)
        if substitute is None:
            raise error from None
    except asking() as asked:
        loop.interrupted(task, interrupts_of(asked))
    except BaseException as error:
        substitute = loop.failed(task, error)
        if substitute is None:
            raise
    else:
        loop.finished(task)
    finally:
        task.forget()
    if substitute is not None:
        await execute_async(loop, substitute)


def _cancelled_itself(task: Task) -> NodeCancelledError:
    return NodeCancelledError(f"node {task.name!r} cancelled itself; the run had not been cancelled")


def may_be_alone(loop: Loop, task: Task) -> bool:
    """Whether `execute_alone` can run a task: all that it does is one call in a thread."""
    node = task.node
    return (
        node.threaded
        and loop.run.plan.entry is None
        and loop.trace is None
        and not node.retries
        and node.timeout is None
    )


async def execute_alone(loop: Loop, task: Task) -> Task | None:
    """Run a task that has its superstep for itself, in a thread, for the asyncio task of the run's consumer.

    Returns the task of the error handler that is to run in its place, if it failed and has one. Raises what
    the task failed with if that ends the run, and CancelledError if the consumer is cancelled.
    """
    try:
        call = await made_in_thread(_work_alone, task)
        try:
            call.result()
        except asyncio.CancelledError:
            return _failed_alone(loop, task, _cancelled_itself(task))
        except asking() as asked:
            loop.interrupted(task, interrupts_of(asked))
        except BaseException as error:
            return _failed_alone(loop, task, error)
        else:
            loop.finished(task)
        return None
    except asyncio.CancelledError as cancelled:
        checkpoints = loop.checkpoints
        if checkpoints is not None and checkpoints.durability != "exit":
            checkpoints.failed(task, cancelled)
        raise
    finally:
        task.forget()


def _failed_alone(loop: Loop, task: Task, error: BaseException) -> Task:
    substitute = loop.failed(task, error)
    if substitute is None:
        raise error
    return substitute


def _work_alone(task: Task) -> None:
    var_child_runnable_config.set(task.config)
    _work(None, task)


def execute_called(loop: Loop, task: Task) -> None:
    """Run a task that another one has called; raises what it failed with, or its question."""
    try:
        var_child_runnable_config.set(task.config)
        _persist(loop, task)
    except asking() as asked:
        loop.interrupted(task, interrupts_of(asked))
        raise
    except BaseException as error:
        loop.failed(task, error)
        raise
    else:
        loop.finished(task)
    finally:
        task.forget()


async def execute_called_async(loop: Loop, task: Task, is_cancelled: Callable[[], bool]) -> None:
    """The same as `execute_called`, on the event loop.

    Args:
        loop: the run.
        task: the task.
        is_cancelled: whether its caller has cancelled it.
    """
    try:
        var_child_runnable_config.set(task.config)
        await _persist_async(loop, task)
    except asyncio.CancelledError:
        if loop.stopping or is_cancelled():
            raise
        error = NodeCancelledError(f"task {task.name!r} cancelled itself; its run had not been cancelled")
        loop.failed(task, error)
        raise error from None
    except asking() as asked:
        loop.interrupted(task, interrupts_of(asked))
        raise
    except BaseException as error:
        loop.failed(task, error)
        raise
    else:
        loop.finished(task)
    finally:
        task.forget()


async def _work_async(trace: Trace | None, task: Task) -> None:
    node = task.node
    if node is not task.run.plan.start:
        try:
            output = await _call(node.call, task.input, task)
        except sent_up_by() as sent:
            task.accept_command(command_for(sent, task.checkpoint_ns))
        else:
            task.accept(output)
    task.returned = True
    if node.routers:
        await _route_async(trace, task)


async def _route_async(trace: Trace | None, task: Task) -> None:
    node = task.node
    values = task.state_after()
    for router in node.routers:
        state = task.state_for(router, values)
        if trace is None or task.callbacks is None:
            task.route(router, await _call(router.call, state, task))
        else:
            async with trace.arouter(task, router.name, state) as answers:
                answers.append(await _call(router.call, state, task))
            task.route(router, answers[0])


async def _call(call: Call, state: Any, task: Task) -> Any:
    if call.coro is not None:
        return await call.coro(state, task)
    return await in_thread(_sync(call), state, task)
