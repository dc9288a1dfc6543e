"""`called_plan`: the plan of a function that tasks may call as a task of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from graphwire_runtime.foreign.words import twin
from graphwire_runtime.plan.call import Call, extras_of, full_name_of, is_async, name_of
from graphwire_runtime.plan.plan import NodePlan
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy
from graphwire_runtime.plan.runtime import Caller
from graphwire_runtime.types import RETURN

__all__ = ["arguments_of", "cache_namespace_of", "called_plan", "their_called_plan"]


def called_plan(
    function: Callable[..., Any],
    name: str,
    *,
    retries: tuple[RetryPolicy, ...] = (),
    cache: CachePolicy | None = None,
    timeout: TimeoutPolicy | None = None,
) -> NodePlan:
    """The plan of a function. Its input is `(args, kwargs)`, and what it returns is its one write.

    Args:
        function: a function, coroutine function or callable object. Besides its arguments it gets those of
            `config`, `writer`, `runtime`, `store` and `previous` that it declares and was not given.
        name: of its tasks.
        retries: after which errors a task runs again.
        cache: whether a task may be skipped.
        timeout: how long an attempt may take, in seconds.
    """
    asynchronous = is_async(function)
    run = _caller_of(function)
    call = Call(name, None if asynchronous else run, run if asynchronous else None)
    return NodePlan(
        name=name,
        call=call,
        view=dict,
        trigger="",
        path=(),
        edges=(),
        joins=(),
        routers=(),
        metadata=None,
        defer=False,
        triggers=(),
        subgraph=None,
        retries=retries,
        timeout=timeout,
        handler=None,
        tracing=None,
        cache=cache,
        cache_namespace=cache_namespace_of(function),
        rooted=False,
        threaded=not asynchronous,
        writes=_returned,
        signature=_signature_of(function),
    )


def their_called_plan(function: Any, *, retry_policy: Any, cache_policy: Any, timeout: Any) -> NodePlan:
    """The same for the function of a `@task` of LangGraph's, with the policies that LangGraph hands over."""
    retries = tuple(twin(policy, RetryPolicy) for policy in retry_policy or ())
    return called_plan(
        function,
        name_of(function),
        retries=retries,
        cache=twin(cache_policy, CachePolicy),
        timeout=TimeoutPolicy.of(timeout),
    )


def cache_namespace_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The namespace of a function's results in a cache."""
    return ("graphwire_results", full_name_of(function))


def arguments_of(plan: NodePlan, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by the names of their parameters, with defaults; as far as they fit."""
    if plan.signature is None:
        return dict(kwargs)
    try:
        bound = plan.signature.bind_partial(*args, **kwargs)
    except TypeError:
        return dict(kwargs)  # the call itself will say what is wrong
    bound.apply_defaults()
    arguments = {name: value for name, value in bound.arguments.items() if name not in ("self", "cls")}
    for parameter in plan.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name, {}))
    return arguments


def _signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None  # written in C without a signature


def _caller_of(function: Callable[..., Any]) -> Callable[[Any, Caller], Any]:
    extras = extras_of(function, skip=0)

    def run(given: Any, task: Caller) -> Any:
        args, kwargs = given
        if extras:
            kwargs = {**{name: getattr(task, name) for name in extras if name not in kwargs}, **kwargs}
        return function(*args, **kwargs)

    return run


def _returned(output: Any) -> list[tuple[str, Any]]:
    return [(RETURN, output)]
