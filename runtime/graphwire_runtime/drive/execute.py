"""Calling a task's node and its routers, synchronously or on an event loop, each in a context of its own."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.clock import apause, pause
from graphwire_runtime.drive.timeout import Watch
from graphwire_runtime.errors import (
    GraphBubbleUp,
    GraphInterrupt,
    NodeCancelledError,
    ParentCommand,
)
from graphwire_runtime.plan.call import Call
from graphwire_runtime.step.task import Task

__all__ = ["execute", "execute_async", "route", "route_async"]


def route(task: Task) -> None:
    """Only ask the routers of a task that has its writes, in the context of the caller."""
    var_child_runnable_config.set(task.config)
    try:
        _route(task)
    finally:
        task.forget()


async def route_async(task: Task) -> None:
    """Only ask the routers of a task that has its writes, in a context of their own."""
    await asyncio.create_task(_routed(task))


async def _routed(task: Task) -> None:
    var_child_runnable_config.set(task.config)
    try:
        await _route_async(task)
    finally:
        task.forget()


def execute(task: Task) -> None:
    """Run the task to its end, in the context of the caller, which must be the task's own."""
    run = task.run
    substitute: Task | None = None
    try:
        var_child_runnable_config.set(task.config)
        if task.node.retries:
            _persist(task)
        elif run.trace is None:
            _work(task)
        elif task.node is run.plan.start:
            _route(task)
        else:
            with run.trace.node(task):
                _work(task)
    except GraphInterrupt as asked:
        run.interrupted(task, asked.interrupts)
    except BaseException as error:
        substitute = run.failed(task, error)
        if substitute is None:
            raise
    else:
        run.finished(task)
    finally:
        task.forget()
    if substitute is not None:
        execute(substitute)


def _persist(task: Task) -> None:
    """Run the task as often as its policies say."""
    attempts = 0
    while True:
        try:
            if task.run.trace is None:
                _work(task)
            else:
                with task.run.trace.node(task):
                    _work(task)
            return
        except GraphBubbleUp:
            raise
        except Exception as error:
            attempts += 1
            pause(_wait(task, error, attempts))
            task.again()


def _wait(task: Task, error: Exception, attempts: int) -> float:
    """Seconds to wait before the next attempt; raises the error where there is none."""
    policy = next((policy for policy in task.node.retries if policy.covers(error)), None)
    if policy is None or attempts >= policy.max_attempts:
        raise error
    return policy.wait(attempts)


async def _persist_async(task: Task) -> None:
    attempts = 0
    while True:
        try:
            await _timed(task)
            return
        except GraphBubbleUp:
            raise
        except Exception as error:
            attempts += 1
            await apause(_wait(task, error, attempts))
            task.again()


async def _timed(task: Task) -> None:
    """Run the task once, for no longer than it may take."""
    policy = task.node.timeout
    if policy is None:
        await _traced(task)
        return
    task.watch = Watch(task.name, policy)
    task.renew()
    await task.watch.keep(_traced(task))


async def _traced(task: Task) -> None:
    if task.run.trace is not None:
        async with task.run.trace.node(task):
            await _work_async(task)
    elif task.node.threaded:
        await _in_thread(_work, task)
    else:
        await _work_async(task)


def _work(task: Task) -> None:
    node = task.node
    if node is not task.run.plan.start:
        sync = _sync(node.call)
        try:
            output = sync(task.input, task)
        except ParentCommand as sent:
            task.accept_from_below(sent.command)
        else:
            task.accept(output)
    task.returned = True
    if node.routers:
        _route(task)


def _route(task: Task) -> None:
    trace = task.run.trace
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


async def execute_async(task: Task) -> None:
    """Run the task to its end, in the context of the current asyncio task, which must be its own.

    What has only a synchronous form runs in the loop's default executor and is not stopped by cancellation.
    """
    run = task.run
    substitute: Task | None = None
    try:
        # set inside the asyncio task, hence inside its own copy of the context: so it holds on Python 3.10,
        # too
        var_child_runnable_config.set(task.config)
        if task.node.retries or task.node.timeout is not None:
            await _persist_async(task)
        elif run.trace is not None and task.node is not run.plan.start:
            async with run.trace.node(task):
                await _work_async(task)
        elif task.node.threaded:
            await _in_thread(_work, task)
        else:
            await _work_async(task)
    except asyncio.CancelledError:
        if run.stopping:
            raise
        error = NodeCancelledError(f"node {task.name!r} cancelled itself; nobody had cancelled the run")
        substitute = run.failed(task, error)
        if substitute is None:
            raise error from None
    except GraphInterrupt as asked:
        run.interrupted(task, asked.interrupts)
    except BaseException as error:
        substitute = run.failed(task, error)
        if substitute is None:
            raise
    else:
        run.finished(task)
    finally:
        task.forget()
    if substitute is not None:
        await execute_async(substitute)


async def _work_async(task: Task) -> None:
    node = task.node
    if node is not task.run.plan.start:
        try:
            output = await _call(node.call, task.input, task)
        except ParentCommand as sent:
            task.accept_from_below(sent.command)
        else:
            task.accept(output)
    task.returned = True
    if node.routers:
        await _route_async(task)


async def _route_async(task: Task) -> None:
    node = task.node
    trace = task.run.trace
    values = task.state_after()
    for router in node.routers:
        state = task.state_for(router, values)
        if trace is None or task.callbacks is None:
            task.route(router, await _call(router.call, state, task))
        else:
            async with trace.router(task, router.name, state) as answers:
                answers.append(await _call(router.call, state, task))
            task.route(router, answers[0])


async def _call(call: Call, state: Any, task: Task) -> Any:
    if call.coro is not None:
        return await call.coro(state, task)
    return await _in_thread(call.sync, state, task)


async def _in_thread(function: Any, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, copy_context().run, function, *args)
