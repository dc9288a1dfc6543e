"""What stands behind a target: the thing itself, or something that makes it.

A factory is a function, an async one, or a context manager of either kind. It may take LangGraph's ``config``
and ``runtime``, which are told apart by annotation and name; what it opens is closed on the loop on which it
was opened. Where targets come from is ``load``'s.
"""

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from langchain_core.runnables import RunnableConfig

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.load import line_of, remedy, told

T = TypeVar("T")

_CONTEXTS = (contextlib.AbstractAsyncContextManager, contextlib.AbstractContextManager)

AccessContext = Literal["threads.create_run", "threads.update", "threads.read", "assistants.read"]
"""Why a graph is made, in LangGraph's words: to run it, to write or read a state, to describe it."""


@dataclass(frozen=True, slots=True)
class User:
    """A principal in the shape of LangGraph's users."""

    identity: str
    is_authenticated: bool = True
    permissions: tuple[str, ...] = ()

    @property
    def display_name(self) -> str:
        """The principal."""
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
    """What a graph's factory learns of the server: the face of LangGraph's ``ServerRuntime``."""

    access_context: AccessContext
    store: Any = None
    user: User | None = None
    context: Any = None

    @property
    def execution_runtime(self) -> "FactoryRuntime | None":
        """This, where the graph is made to run; else None."""
        return self if self.access_context == "threads.create_run" else None

    def ensure_user(self) -> User:
        """Return who asks. Raises ``PermissionError`` where nobody does."""
        if self.user is None:
            raise PermissionError(f"nobody asks where a graph is made for {self.access_context!r}")
        return self.user


@dataclass(frozen=True, slots=True)
class Factory(Generic[T]):
    """Makes a thing. ``open`` is for the loop that the thing lives on."""

    what: str
    """How a person calls the thing: ``graph 'joke'``."""
    source: str
    """Where the factory comes from, as people read it."""
    make: Callable[..., Any]
    is_product: Callable[[Any], bool]
    """Tells the thing from a context manager around it."""
    wants: dict[str, Literal["config", "runtime"]] = field(default_factory=dict)

    @property
    def is_per_use(self) -> bool:
        """Whether it is called for each use: it takes what only a use has."""
        return bool(self.wants)

    @contextlib.asynccontextmanager
    async def open(
        self, config: RunnableConfig | None = None, runtime: FactoryRuntime | None = None
    ) -> AsyncIterator[Any]:
        """Make the thing and yield it; what was opened for it is closed behind it."""
        given = {"config": config, "runtime": runtime}
        async with AsyncExitStack() as stack:
            made = self.make(**{name: given[kind] for name, kind in self.wants.items()})
            yield await entered(stack, made, self.is_product)

    def failed(self, error: BaseException) -> CannotServe:
        """Return what to tell of a failure at the start."""
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = f"; {remedy(error)}"
        elif self.is_per_use:
            hint = "; it is called once at the start, with an empty config, to describe the graph"
        return CannotServe(f"{self.what}: {self.source} raised {told(error)} ({line_of(error)}){hint}")


async def entered(stack: AsyncExitStack, made: Any, is_product: Callable[[Any], bool]) -> Any:
    """Return what comes out of ``made``: awaited, if it is awaitable; entered, if it is a context manager."""
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


def factory_of(what: str, source: str, value: Any, is_product: Callable[[Any], bool]) -> Factory[Any] | None:
    """Return the factory that ``value`` is, None if it is none. Raises ``CannotServe`` for parameters that
    nothing can be given for.
    """
    # A context manager that was made is called to decorate something.
    if isinstance(value, (type, *_CONTEXTS)) or not callable(value):
        return None
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    wants: dict[str, Literal["config", "runtime"]] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = _kind(parameter, is_alone=len(parameters) == 1)
        if kind is not None and parameter.kind is not parameter.POSITIONAL_ONLY:
            wants[parameter.name] = kind
        elif parameter.default is parameter.empty:
            raise CannotServe(
                f"{what}: {source} takes {parameter.name!r}, which cannot be given; a factory "
                "takes nothing, config: RunnableConfig, runtime: ServerRuntime, or both"
            )
    return Factory(what, source, value, is_product, wants)


def _kind(parameter: inspect.Parameter, *, is_alone: bool) -> Literal["config", "runtime"] | None:
    annotation = parameter.annotation
    text = "" if annotation is parameter.empty else str(annotation)
    if "RunnableConfig" in text:
        return "config"
    if "ServerRuntime" in text or "ExecutionRuntime" in text or "ReadRuntime" in text:
        return "runtime"
    if parameter.name == "config" or parameter.name == "runtime":
        return "config" if parameter.name == "config" else "runtime"
    # LangGraph's factories had this one parameter first, whatever its name.
    is_plain = parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty
    is_bare = not text and is_alone and is_plain
    return "config" if is_bare else None
