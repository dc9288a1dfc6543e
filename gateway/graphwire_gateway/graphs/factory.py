"""Factories: what makes a graph, a saver or a store, once for the server's life or for each use.

A factory is a function that returns its product, or one that yields it: a generator or a context manager. It
may be async. It may take LangGraph's ``config`` and ``runtime``; annotations and names tell which parameter
is which. A product is opened and closed on the same loop. ``load`` finds what a target names.
"""

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from langchain_core.runnables import RunnableConfig

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.load import describe, line_of, remedy

T = TypeVar("T")

_CONTEXTS = (contextlib.AbstractAsyncContextManager, contextlib.AbstractContextManager)

AccessContext = Literal["threads.create_run", "threads.update", "threads.read", "assistants.read"]
"""What a graph is made for, in LangGraph's words: to run, to update or read a state, to be described."""


@dataclass(frozen=True, slots=True)
class User:
    """A principal, with the attributes and items of a LangGraph user."""

    identity: str
    is_authenticated: bool = True
    permissions: tuple[str, ...] = ()

    @property
    def display_name(self) -> str:
        """The principal, since graphwire knows no other name."""
        return self.identity

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in tuple(self)

    def __iter__(self) -> Iterator[str]:
        return iter(("identity", "is_authenticated", "permissions", "display_name"))


@dataclass(frozen=True, slots=True)
class FactoryRuntime:
    """What a graph's factory is given as ``runtime``; it has the attributes of LangGraph's ``ServerRuntime``.

    ``store`` is the server's graph store. ``user`` is None when no client caused the call, ``context`` None
    unless the graph is made to run.
    """

    access_context: AccessContext
    store: Any = None
    user: User | None = None
    context: Any = None

    @property
    def execution_runtime(self) -> "FactoryRuntime | None":
        """This object if the graph is made to run, else None."""
        return self if self.access_context == "threads.create_run" else None

    def ensure_user(self) -> User:
        """Return the user. Raises ``PermissionError`` if there is none."""
        if self.user is None:
            raise PermissionError(f"there is no user when a graph is made for {self.access_context!r}")
        return self.user


@dataclass(frozen=True, slots=True)
class Factory(Generic[T]):
    """Makes a product of type ``T``. Enter ``open`` on the loop that the product is used on."""

    label: str
    """How error messages call the product: ``graph 'joke'``."""
    source: str
    """Where the factory comes from, for people: its target, or ``the object given``."""
    make: Callable[..., Any]
    is_product: Callable[[Any], bool]
    """Tells a product from an awaitable, a generator or a context manager that leads to one."""
    parameters: dict[str, Literal["config", "runtime"]] = field(default_factory=dict)
    """What the factory takes: each parameter's name, and which argument it gets."""

    @property
    def is_per_use(self) -> bool:
        """Whether the factory is called for each use: it takes what only a use has."""
        return bool(self.parameters)

    @contextlib.asynccontextmanager
    async def open(
        self, config: RunnableConfig | None = None, runtime: FactoryRuntime | None = None
    ) -> AsyncIterator[Any]:
        """Make the product and yield it; on exit, close what was opened for it."""
        arguments = {"config": config, "runtime": runtime}
        async with AsyncExitStack() as stack:
            made = self.make(**{name: arguments[kind] for name, kind in self.parameters.items()})
            yield await enter(stack, made, self.is_product)

    def start_error(self, error: BaseException) -> CannotServe:
        """Return the exception to raise when the factory failed at the start of the server."""
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = f"; {remedy(error)}"
        elif self.is_per_use:
            hint = "; it is called once at the start, with an empty config, to describe the graph"
        return CannotServe(f"{self.label}: {self.source} raised {describe(error)} ({line_of(error)}){hint}")


async def enter(stack: AsyncExitStack, made: Any, is_product: Callable[[Any], bool]) -> Any:
    """Return the product that ``made`` is or leads to.

    An awaitable is awaited; a context manager or a generator is entered, and closed by ``stack``. Anything
    else is returned as it is, product or not.
    """
    if is_product(made):
        return made
    if inspect.isawaitable(made):
        made = await made
    if is_product(made):
        return made
    if inspect.isasyncgen(made):
        made = contextlib.asynccontextmanager(lambda: made)()
    elif inspect.isgenerator(made):
        made = contextlib.contextmanager(lambda: made)()
    if isinstance(made, contextlib.AbstractAsyncContextManager):
        return await stack.enter_async_context(made)
    if isinstance(made, contextlib.AbstractContextManager):
        return stack.enter_context(made)
    return made


def factory_of(label: str, source: str, value: Any, is_product: Callable[[Any], bool]) -> Factory[Any] | None:
    """Return ``value`` as a factory, or None if it is no function.

    Raises ``CannotServe`` for a required parameter that is neither ``config`` nor ``runtime``.
    """
    # A context manager made by contextlib is callable too: as a decorator.
    if isinstance(value, (type, *_CONTEXTS)) or not callable(value):
        return None
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    taken: dict[str, Literal["config", "runtime"]] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = _kind(parameter, is_alone=len(parameters) == 1)
        if kind is not None and parameter.kind is not parameter.POSITIONAL_ONLY:
            taken[parameter.name] = kind
        elif parameter.default is parameter.empty:
            raise CannotServe(
                f"{label}: {source} takes {parameter.name!r}, which cannot be given; a factory "
                "takes nothing, config: RunnableConfig, runtime: ServerRuntime, or both"
            )
    return Factory(label, source, value, is_product, taken)


def _kind(parameter: inspect.Parameter, *, is_alone: bool) -> Literal["config", "runtime"] | None:
    annotation = parameter.annotation
    text = "" if annotation is parameter.empty else str(annotation)
    if "RunnableConfig" in text:
        return "config"
    if "ServerRuntime" in text or "ExecutionRuntime" in text or "ReadRuntime" in text:
        return "runtime"
    if parameter.name == "config":
        return "config"
    if parameter.name == "runtime":
        return "runtime"
    # LangGraph's first factories took a config as their only parameter, under any name.
    is_plain = parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty
    is_bare = not text and is_alone and is_plain
    return "config" if is_bare else None
