"""`entrypoint`: makes a function a graph, with a thread of its own, that calls `task`s and other graphs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar, get_args, get_origin

from typing_extensions import TypedDict

from graphwire_runtime.drive.cache import check_cache
from graphwire_runtime.foreign.words import known
from graphwire_runtime.functional.workflow import Workflow
from graphwire_runtime.plan.call import Call, call_of, full_name_of
from graphwire_runtime.plan.channels import LastValue
from graphwire_runtime.plan.drawing import DrawnEdge, DrawnNode, Sketch
from graphwire_runtime.plan.plan import DEFAULT_NAME, NodePlan, Plan
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy
from graphwire_runtime.plan.schema import Pairs, Schema
from graphwire_runtime.spec import not_async, policies_of, subgraph_of
from graphwire_runtime.step.task import PULL
from graphwire_runtime.thread.saving import check_saver
from graphwire_runtime.types import END, PREVIOUS, START, Context

__all__ = ["entrypoint"]

R = TypeVar("R")
S = TypeVar("S")

_STATE = Schema(TypedDict("Workflow", {END: Any, PREVIOUS: Any}))  # type: ignore[operator]
"""What the function returned, and what it saved for its next run."""


class entrypoint(Generic[Context]):
    """Make a function a graph, as a decorator: `@entrypoint(checkpointer=...)`.

    The function has one parameter for the input, of any type, and may also declare `previous` (what the run
    before it on this thread returned, None at first), `config`, `writer`, `runtime` and `store`. It may be
    async. It calls `task`s and graphs, and asks by `interrupt`. What it returns is the output.

    Args:
        checkpointer: a saver of the langgraph-checkpoint family, which keeps threads; see
            `StateGraph.compile`.
        store: a long-term store.
        cache: one of langgraph-checkpoint's caches.
        context_schema: the class of `runtime.context`.
        cache_policy: whether the function, and tasks without a policy, may be skipped for an input that is in
            the cache.
        retry_policy: after which errors the function, and tasks without a policy, run again.
        timeout: seconds after which an attempt to run the function fails with NodeTimeoutError, or a
            TimeoutPolicy; only for async functions.

    Raises TypeError for an object that is no checkpointer, no cache or no policy, ValueError for a timeout
    that is not positive.
    """

    def __init__(
        self,
        checkpointer: Any = None,
        store: Any = None,
        cache: Any = None,
        context_schema: type[Context] | None = None,
        cache_policy: CachePolicy | None = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> None:
        if cache is not None:
            check_cache(cache)
        if checkpointer is not None and not isinstance(checkpointer, bool):
            check_saver(checkpointer)
        self.checkpointer = checkpointer
        self.store = store
        self.cache = cache
        self.context_schema = context_schema
        self._policies = policies_of("an entrypoint", retry_policy, cache_policy, timeout)

    @dataclass(frozen=True, slots=True)
    class final(Generic[R, S]):
        """Returned by the function: the output, and what its next run gets as `previous` in its place."""

        value: R
        save: S

    def __call__(self, func: Callable[..., Any]) -> Workflow[Context]:
        """The graph of a function. Its one node has the function's name.

        Raises NotImplementedError for a generator function; ValueError for a function without a parameter,
        and for a timeout of a function that is not async; TypeError for a return type of `entrypoint.final`
        with other than two arguments.
        """
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise NotImplementedError(
                f"{func.__name__!r} is a generator function, which cannot be an entrypoint; return the "
                "output, and stream by get_stream_writer()"
            )
        signature = inspect.signature(func)
        first = next(iter(signature.parameters.values()), None)
        if first is None:
            raise ValueError(f"entrypoint {func.__name__!r} has no parameter; it needs one, for the input")
        input_type = Any if first.annotation is first.empty else first.annotation
        node = self._node(func)
        nothing = Call(START, lambda state, _: None, None)
        start = _node_plan(START, nothing, (START,), None)
        plan = Plan(
            name=DEFAULT_NAME,
            nodes={node.name: node},
            start=start,
            channels={END: LastValue(END), PREVIOUS: LastValue(PREVIOUS)},
            state=_STATE,
            input=_STATE,
            output=_STATE,
            context=self.context_schema,
            joins={},
            keys=END,
            output_keys=END,
            rooted=False,
            fading=(),
            untracked=frozenset(),
            managed={},
            messages=frozenset(),
            entry=node,
            retries=self._policies.retries or (),
            cache=self._policies.cache,
        )
        sketch = Sketch(
            {node.name: DrawnNode(func)},
            [DrawnEdge(START, node.name), DrawnEdge(node.name, END, True)],
        )
        return Workflow(
            plan,
            sketch,
            input_type,
            _output_type(signature.return_annotation),
            checkpointer=self.checkpointer,
            cache=self.cache,
            store=self.store,
        )

    def _node(self, func: Callable[..., Any]) -> NodePlan:
        name = func.__name__
        call = call_of(func, name)
        if self._policies.timeout is not None and call.coro is None:
            raise not_async(name)
        return _node_plan(
            name,
            call,
            (START,),
            subgraph_of(func),
            retries=self._policies.retries or (),
            timeout=self._policies.timeout,
            cache=self._policies.cache,
            cache_namespace=("graphwire_results", full_name_of(func), name),
            writes=_writes,
        )


def _node_plan(
    name: str,
    call: Call,
    triggers: tuple[str, ...],
    subgraph: Any,
    *,
    retries: tuple[RetryPolicy, ...] = (),
    timeout: TimeoutPolicy | None = None,
    cache: CachePolicy | None = None,
    cache_namespace: tuple[str, ...] = (),
    writes: Callable[[Any], Pairs] | None = None,
) -> NodePlan:
    return NodePlan(
        name=name,
        call=call,
        view=dict,
        trigger=triggers[0],
        path=(PULL, name),
        edges=(),
        joins=(),
        routers=(),
        metadata=None,
        defer=False,
        triggers=triggers,
        subgraph=subgraph,
        retries=retries,
        timeout=timeout,
        handler=None,
        tracing=None,
        cache=cache,
        cache_namespace=cache_namespace,
        rooted=False,
        threaded=call.coro is None,
        writes=writes,
    )


def _writes(output: Any) -> Pairs:
    if _is_final(type(output)):
        return [(END, output.value), (PREVIOUS, output.save)]
    return [(END, output), (PREVIOUS, output)]


def _is_final(kind: Any) -> bool:
    theirs = known("func", "entrypoint")
    return kind is entrypoint.final or (theirs is not None and kind is theirs.final)


def _output_type(annotation: Any) -> Any:
    if annotation is inspect.Signature.empty or _is_final(annotation):
        return Any
    if not _is_final(get_origin(annotation)):
        return annotation
    types = get_args(annotation)
    if len(types) != 2:
        raise TypeError(
            "entrypoint.final takes two types, that of the output and that of what is saved, and got "
            f"{annotation!r}"
        )
    return types[0]
