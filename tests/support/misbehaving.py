"""Code of a graph or of an operator that misbehaves: ``PLACES`` where it is called, and what it does there.

`tests/live/test_places_and_faults.py` brings every place together with every fault.
"""

import asyncio
import contextlib
import errno
import functools
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

from tests.support.graphs import Library

# ── faults ───────────────────────────────────────────────────────────────────────────────────────


class Own(BaseException):
    """An exception of the graph's author."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: ValueError("why"),
    "Own": lambda: Own("why"),
    "SystemExit": lambda: SystemExit("why"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("why"),
    "CancelledError": lambda: asyncio.CancelledError("why"),
    "GeneratorExit": lambda: GeneratorExit("why"),
    "StopIteration": lambda: StopIteration("why"),
    "StopAsyncIteration": lambda: StopAsyncIteration("why"),
    "RecursionError": lambda: RecursionError("why"),
    "MemoryError": lambda: MemoryError("why"),
    "a full disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
}
HUGE = ("text", "keys")


@functools.cache
def huge(kind: str) -> Any:
    """Return an answer of 100 MB, or of a million keys."""
    return "x" * 100_000_000 if kind == "text" else dict.fromkeys(map(str, range(1_000_000)), 1)


class Fault:
    """What happens at a place while it ``is_on``. A ``block`` ends when it is over.

    ``at_work`` is set on the loop that made it once it has begun.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.is_on = False
        self.at_work = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._over = threading.Event()
        self._waits: list[asyncio.Event] = []

    def end(self) -> None:
        self.is_on = False
        self._over.set()

    def now(self) -> Any:
        if not self.is_on:
            return None
        self._loop.call_soon_threadsafe(self.at_work.set)
        if self.kind in RAISED:
            raise RAISED[self.kind]()
        if self.kind == "block":
            self._over.wait(20)
        return huge(self.kind) if self.kind in HUGE else None

    async def later(self) -> Any:
        if not self.is_on or self.kind != "hang":
            return self.now()
        self._waits.append(asyncio.Event())
        self._loop.call_soon_threadsafe(self.at_work.set)
        return await self._waits[-1].wait()


# ── places ───────────────────────────────────────────────────────────────────────────────────────


class State(TypedDict, total=False):
    n: int
    said: Any


@dataclass
class Place:
    """``build`` makes a graph with a fault. ``fails`` tells whether a run fails by it, if it raises anything.

    ``asks`` is the request that it fails. ``waits`` tells what can wait in it without blocking: the ``run``
    itself, or only something ``beside`` it.
    """

    build: Callable[[Library, Fault], Any]
    fails: bool
    asks: str | None = None
    waits: str | None = None


PLACES: dict[str, Place] = {}


def place(name: str = "", **fields: Any) -> Callable[[Any], Any]:
    def note(build: Any) -> Any:
        PLACES[name or build.__name__.replace("_", " ")] = Place(build, **{"fails": True, **fields})
        return build

    return note


async def plain(state: State) -> State:
    return {"n": 1}


def one_node(lib: Library, node: Any, schema: Any = State, **options: Any) -> Any:
    builder = lib.StateGraph(schema).add_node("node", node).add_edge(lib.START, "node")
    return builder.compile(**options)


@place(waits="run")
def async_node(lib: Library, fault: Fault) -> Any:
    async def node(state: State) -> State:
        return {"said": await fault.later()}

    return one_node(lib, node)


@place()
def sync_node(lib: Library, fault: Fault) -> Any:
    return one_node(lib, lambda state: {"said": fault.now()})


@place()
def router(lib: Library, fault: Fault) -> Any:
    def route(state: State) -> str:
        fault.now()
        return lib.END

    builder = lib.StateGraph(State).add_node("node", plain).add_edge(lib.START, "node")
    return builder.add_conditional_edges("node", route, [lib.END]).compile()


@place(asks="state_update")
def reducer(lib: Library, fault: Fault) -> Any:
    class Reduced(TypedDict, total=False):
        n: int
        said: Annotated[list[int], lambda old, new: fault.now()]

    return one_node(lib, lambda state: {"said": [1]}, Reduced)


@place()
def validator(lib: Library, fault: Fault) -> Any:
    class Validated(BaseModel):
        n: int = 0

        @field_validator("n")
        @classmethod
        def check(cls, n: int) -> int:
            fault.now()
            return n

    async def node(state: Validated) -> State:
        return {"n": 1}

    return one_node(lib, node, Validated)


@place(asks="state", waits="run")
def async_factory(lib: Library, fault: Fault) -> Any:
    graph = one_node(lib, plain)

    async def make(config: Any) -> Any:
        await fault.later()
        return graph

    return make


@place(asks="state")
def sync_factory(lib: Library, fault: Fault) -> Any:
    graph = one_node(lib, plain)

    def make(config: Any) -> Any:
        fault.now()
        return graph

    return make


@place(asks="state", waits="run")
def end_of_factory(lib: Library, fault: Fault) -> Any:
    graph = one_node(lib, plain)

    @contextlib.asynccontextmanager
    async def make(config: Any) -> AsyncIterator[Any]:
        yield graph
        await fault.later()

    return make


class Saver(InMemorySaver):
    """A saver with a fault in ``method``."""

    def __init__(self, fault: Fault, method: str) -> None:
        super().__init__()
        self._fault, self._method = fault, method

    async def _at(self, method: str) -> None:
        if method == self._method:
            await self._fault.later()

    async def aput(self, *args: Any, **options: Any) -> Any:
        await self._at("aput")
        return await super().aput(*args, **options)

    async def aput_writes(self, *args: Any, **options: Any) -> None:
        await self._at("aput_writes")
        await super().aput_writes(*args, **options)

    async def aget_tuple(self, *args: Any, **options: Any) -> Any:
        await self._at("aget_tuple")
        return await super().aget_tuple(*args, **options)

    async def alist(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        await self._at("alist")
        async for item in super().alist(*args, **options):
            yield item

    async def adelete_thread(self, *args: Any, **options: Any) -> None:
        await self._at("adelete_thread")
        await super().adelete_thread(*args, **options)


def _saver(method: str, **fields: Any) -> None:
    @place(method, **{"waits": "run", **fields})
    def build(lib: Library, fault: Fault) -> Any:
        return one_node(lib, plain, checkpointer=Saver(fault, method))


_saver("aput", asks="state_update")
_saver("aput_writes")
_saver("aget_tuple", asks="state")
_saver("alist", asks="list", fails=False, waits="beside")
_saver("adelete_thread", asks="delete", fails=False, waits="beside")


class Store(InMemoryStore):
    """A store with a fault in every operation."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    async def abatch(self, ops: Any) -> Any:
        await self._fault.later()
        return await super().abatch(ops)


def _store(name: str, use: Callable[[Store], Any]) -> None:
    @place(name, waits="run")
    def build(lib: Library, fault: Fault) -> Any:
        store = Store(fault)

        async def node(state: State) -> State:
            await use(store)
            return {"n": 1}

        return one_node(lib, node, store=store)


_store("store's aget", lambda store: store.aget(("a",), "key"))
_store("store's aput", lambda store: store.aput(("a",), "key", {"n": 1}))


class Money:
    """A value without a JSON form, for the server's encoder."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


@place(fails=False)
def encoder(lib: Library, fault: Fault) -> Any:
    return one_node(lib, lambda state: {"said": Money(fault)} if fault.is_on else {"n": 1})


def _odd(base: type, fault: Fault, name: str) -> Any:
    """Return a class whose special method has the fault."""

    def special(self: Any, *args: Any) -> Any:
        made = fault.now()
        return {"__eq__": False, "__hash__": 1}.get(name, made if isinstance(made, str) else "odd")

    return type("Odd", (base,), {"__hash__": lambda self: 1, name: special})


def _special(name: str) -> None:
    @place(f"{name} of a value", fails=False)
    def value(lib: Library, fault: Fault) -> Any:
        odd = _odd(object, fault, name)
        return one_node(lib, lambda state: {"said": odd()} if fault.is_on else {"n": 1})

    @place(f"{name} of an exception")
    def error(lib: Library, fault: Fault) -> Any:
        odd = _odd(Exception, fault, name)

        def node(state: State) -> State:
            if fault.is_on:
                raise odd("odd")
            return {"n": 1}

        return one_node(lib, node)

    @place(f"{name} of an exit")
    def leave(lib: Library, fault: Fault) -> Any:
        odd = _odd(SystemExit, fault, name)

        async def node(state: State) -> State:
            if fault.is_on:
                raise odd("odd")
            return {"n": 1}

        return one_node(lib, node)


for _name in ("__str__", "__repr__", "__eq__", "__hash__", "__del__"):
    _special(_name)


@place("callback handler", fails=False)
def handler(lib: Library, fault: Fault) -> Any:
    class Handler(BaseCallbackHandler):
        def on_chain_start(self, *args: Any, **options: Any) -> None:
            fault.now()

    return one_node(lib, plain).with_config({"callbacks": [Handler()]})


@place("async callback handler", fails=False, waits="run")
def async_handler(lib: Library, fault: Fault) -> Any:
    class Handler(AsyncCallbackHandler):
        async def on_chain_end(self, *args: Any, **options: Any) -> None:
            await fault.later()

    return one_node(lib, plain).with_config({"callbacks": [Handler()]})


@place("task left behind", fails=False, waits="beside")
def task_left_behind(lib: Library, fault: Fault) -> Any:
    tasks: list[Any] = []

    async def node(state: State) -> State:
        tasks.append(asyncio.ensure_future(fault.later()))
        tasks[-1].add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait(tasks[-1:], timeout=0.01)
        return {"n": 1}

    return one_node(lib, node)
