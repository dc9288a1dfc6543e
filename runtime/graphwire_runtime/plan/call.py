"""`Call`: how the callable of a node or router is called, found out once when the graph is built.

A callable gets the state first and, by name, those of `config`, `writer`, `runtime`, `store` and `previous`
that it declares. Functions, coroutine functions, generators and LangChain runnables all become a `Call`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.tracers._streaming import _StreamingCallbackHandler

from graphwire_runtime.plan.runtime import Caller
from graphwire_runtime.types import StreamWriter

__all__ = [
    "Call",
    "call_of",
    "extras_of",
    "first_parameter",
    "full_name_of",
    "is_async",
    "name_of",
    "returns",
    "runnable_of",
    "streams",
]


SyncCall = Callable[[Any, Caller], Any]
AsyncCall = Callable[[Any, Caller], Awaitable[Any]]


class Call:
    """A callable in its blocking form (`sync`) and its async form (`coro`); one of them may be None."""

    __slots__ = ("coro", "name", "sync")

    def __init__(self, name: str, sync: SyncCall | None, coro: AsyncCall | None) -> None:
        self.name = name
        self.sync = sync
        self.coro = coro


def call_of(action: Any, name: str, *, handles: bool = False) -> Call:
    """The `Call` of a function, a callable object or a Runnable.

    Args:
        action: the callable.
        name: of the node or router, for error messages.
        handles: whether it is an error handler, which may declare a parameter `error`.

    A mapping is a RunnableParallel: each of its values runs, and the results have its keys.

    Raises TypeError for anything else.
    """
    action = runnable_of(action)
    if isinstance(action, Runnable):
        return _runnable(action, name)
    if not callable(action):
        raise TypeError(
            f"{name!r} must be a function, a callable object, a Runnable or a dict of those, "
            f"got a {type(action).__name__}: {action!r}"
        )
    extras = extras_of(action, handles=handles)
    function = action if not extras else _with_extras(action, extras)
    if _is(inspect.isasyncgenfunction, action):
        return Call(name, None, _summed_async(function, bool(extras), name))
    if is_async(action):
        return Call(name, None, function if extras else lambda state, _: action(state))
    if _is(inspect.isgeneratorfunction, action):
        return Call(name, _summed(function, bool(extras), name), None)
    return Call(name, function if extras else lambda state, _: action(state), None)


def runnable_of(action: Any) -> Any:
    """A dict as the RunnableParallel that LangChain takes it for; anything else itself."""
    return RunnableParallel(action) if isinstance(action, dict) and not callable(action) else action


def streams(handler: Any) -> bool:
    """Whether a callback handler hands on what it sees; others may have methods of the same names."""
    return _StreamingCallbackHandler in type(handler).__mro__


def name_of(action: Any) -> str:
    """The default name of a node: that of the Runnable or function, or of the class of a callable object."""
    if isinstance(action, Runnable):
        return action.get_name()
    name = getattr(action, "__name__", None)
    if name is None and isinstance(action, functools.partial):
        return name_of(action.func)
    return str(name) if name is not None else type(action).__name__


def full_name_of(action: Any) -> str:
    """The module and qualified name of a callable, or of its class if it is an object."""
    while isinstance(action, functools.partial):
        action = action.func
    named = action if hasattr(action, "__qualname__") else type(action)
    return f"{named.__module__}.{named.__qualname__}"


def first_parameter(action: Any) -> Any:
    """The annotation of a callable's first parameter, None if it has none that can be read."""
    try:
        parameters = list(inspect.signature(action).parameters)
    except (TypeError, ValueError):
        return None
    return _hints(action).get(parameters[0]) if parameters else None


def returns(action: Any) -> Any:
    """The annotation of what a callable returns, None if it has none that can be read."""
    return _hints(action).get("return")


def _hints(action: Any) -> dict[str, Any]:
    if isinstance(action, (functools.partial, type, Runnable)):
        return {}
    function = action if inspect.isroutine(action) else getattr(action, "__call__", action)  # noqa: B004
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # a name that exists only in a function's body, or a C function
        return {}


_ANNOTATIONS: dict[str, tuple[Any, ...]] = {
    "config": (RunnableConfig, Union[RunnableConfig, None], "RunnableConfig", "Optional[RunnableConfig]"),  # noqa: UP007
    "writer": (StreamWriter, "StreamWriter"),
    "runtime": ("Runtime",),
    "store": (),
    "previous": (),
    "error": (),
}


def is_async(action: Any) -> bool:
    """Whether a callable is a coroutine function, or an object that is called as one."""
    return _is(inspect.iscoroutinefunction, action)


def extras_of(action: Any, *, skip: int = 1, handles: bool = False) -> tuple[str, ...]:
    """The parameters of a callable that the runtime fills, by name, without those that it `skip`s."""
    try:
        parameters = list(inspect.signature(action).parameters.values())
    except (TypeError, ValueError):
        return ()
    return tuple(
        p.name
        for p in parameters[skip:]
        if (handles or p.name != "error") and p.name in _ANNOTATIONS and _is_meant(p)
    )


def _is_meant(parameter: inspect.Parameter) -> bool:
    """Whether the runtime is to fill a parameter of a known name: its annotation does not contradict that."""
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        return False
    annotation = parameter.annotation
    if parameter.default is parameter.empty or annotation is parameter.empty or parameter.name == "previous":
        return True
    if isinstance(annotation, str):
        text = annotation.replace(" | None", "").rpartition(".")[2].partition("[")[0]
        return (
            text in ("RunnableConfig", "StreamWriter", "Runtime", "BaseStore", "NodeError")
            or "RunnableConfig" in annotation
        )
    if annotation in _ANNOTATIONS[parameter.name]:
        return True
    kinds = (annotation, get_origin(annotation), *get_args(annotation))
    return any(
        getattr(kind, "__name__", "") in ("RunnableConfig", "Runtime", "BaseStore", "NodeError")
        or kind == StreamWriter
        for kind in kinds
    )


def _with_extras(action: Callable[..., Any], extras: tuple[str, ...]) -> Callable[[Any, Caller], Any]:
    if len(extras) == 1:
        (extra,) = extras

        def with_one(state: Any, task: Caller) -> Any:
            return action(state, **{extra: getattr(task, extra)})

        return with_one

    def with_several(state: Any, task: Caller) -> Any:
        return action(state, **{extra: getattr(task, extra) for extra in extras})

    return with_several


def _runnable(action: Runnable[Any, Any], name: str) -> Call:
    def invoke(state: Any, task: Caller) -> Any:
        return action.invoke(state, task.config)

    def ainvoke(state: Any, task: Caller) -> Awaitable[Any]:
        return action.ainvoke(state, task.config)

    return Call(name, invoke, ainvoke)


def _summed(function: Callable[..., Any], with_task: bool, name: str) -> SyncCall:
    """Adds up the items of a generator function, as LangChain does; the last counts if they do not add.

    Tracers see a generator as a run of its own, inside that of the node, as they do in LangGraph.
    """

    def run(state: Any, task: Caller) -> Any:
        def items(state: Any) -> Iterator[Any]:
            yield from function(state, task) if with_task else function(state)

        if task.callbacks is not None:
            return RunnableLambda(items, name=name).invoke(state, task.config)
        result = None
        for item in items(state):
            result = _plus(result, item)
        return result

    return run


def _summed_async(function: Callable[..., Any], with_task: bool, name: str) -> AsyncCall:
    """The same on the event loop. Handlers that stream get each item."""

    async def run(state: Any, task: Caller) -> Any:
        async def items(state: Any) -> AsyncIterator[Any]:
            async for item in function(state, task) if with_task else function(state):
                yield item

        given: AsyncIterator[Any] = items(state)
        if task.callbacks is not None:
            traced: Runnable[Any, Any] = RunnableLambda(items, name=name)
            if not any(map(streams, task.callbacks.handlers)):
                return await traced.ainvoke(state, task.config)
            given = traced.astream(state, task.config)
        result = None
        async for item in given:
            result = _plus(result, item)
        return result

    return run


def _plus(total: Any, item: Any) -> Any:
    if total is None:
        return item
    try:
        return total + item
    except TypeError:
        return item


def _is(test: Callable[[Any], bool], action: Any) -> bool:
    while isinstance(action, functools.partial):
        action = action.func
    return test(action) or (not inspect.isroutine(action) and test(getattr(action, "__call__", None)))  # noqa: B004
