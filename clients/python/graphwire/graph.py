"""``RemoteGraph``: LangGraph's methods for a graph that runs on a server.

The methods yield and return the shapes of a compiled graph: LangChain's message classes, LangGraph's
states and interrupts. An argument that works only locally is refused. A stream that a local graph could
not produce raises.

``langgraph_arguments`` translates what goes out, ``langgraph_shapes`` what comes back; ``run_failures``
says what is raised when a run fails, is cancelled or lost. ``Run`` does the streaming.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, TypeVar, get_args

from graphwire.arguments import IfBusy
from graphwire.blocking import iterate, wait, with_parameters_of
from graphwire.errors import Refused
from graphwire.events import InterruptEvent, LifecycleEvent, SnapshotEvent
from graphwire.langgraph_arguments import (
    checkpoint_of,
    modes_of,
    refuse_local,
    run_arguments,
    thread_arguments,
)
from graphwire.langgraph_shapes import (
    chunks_of,
    interrupts_of,
    langchain,
    namespace_of,
    output_of,
    part_of,
    snapshot_of,
    too_large,
    with_langchain,
)
from graphwire.run import Run
from graphwire.run_failures import (
    cancel_quietly,
    cancelling_on_exception,
    output_so_far,
    raise_if_ended_badly,
    with_remedy,
)
from graphwire.streams import Streams, new_run_id
from graphwire.unavailable import refuse_attribute, refuse_chain

StreamMode: TypeAlias = Literal["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"]
Modes: TypeAlias = StreamMode | Sequence[StreamMode]
Names: TypeAlias = Literal["*"] | Sequence[str]
Durability: TypeAlias = Literal["sync", "async", "exit"]
Version: TypeAlias = Literal["v1", "v2"]
Config: TypeAlias = Mapping[str, Any]

T = TypeVar("T")


class RemoteGraph:
    """A graph on a server, with the methods of a compiled LangGraph graph; made by ``client.graph(name)``.

    ``config`` takes LangGraph's ``tags``, ``metadata``, ``configurable`` (``thread_id`` names the thread,
    ``checkpoint_id`` the checkpoint), ``recursion_limit``, ``max_concurrency``, ``run_name`` and ``run_id``.
    The input may be a ``Command``. An exception of the graph is raised as ``RemoteError``. Unlike a local
    graph, one with a checkpointer runs without a ``thread_id`` too; a question then ends the run.

    The methods that begin with ``a`` are for the event loop that the client lives on. The others block their
    thread; use them within ``with graphwire.connect(...)``, or in another thread.
    """

    def __init__(self, client: Streams, name: str, if_busy: IfBusy = "reject") -> None:
        if if_busy not in get_args(IfBusy):
            raise ValueError(f"if_busy is one of {', '.join(get_args(IfBusy))}, not {if_busy!r}")
        self.name = name
        self._client = client
        self._if_busy = if_busy

    def __repr__(self) -> str:
        return f"<RemoteGraph {self.name} at {self._client.url}>"

    if not TYPE_CHECKING:  # type checkers shall report missing attributes themselves

        def __getattr__(self, name: str) -> NoReturn:
            refuse_attribute(name)

        def __or__(self, other: object) -> NoReturn:
            refuse_chain()

        __ror__ = __or__

    # ── streams ──────────────────────────────────────────────────────────────────────────────────

    async def astream(
        self,
        input: Any,
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: Modes | None = None,
        subgraphs: bool = False,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        version: Version = "v1",
        **local: Any,
    ) -> AsyncGenerator[Any, None]:
        """Start a run and yield its chunks. Closing the iterator cancels the run.

        One ``stream_mode`` (``updates`` by default) yields bare chunks, a list of modes ``(mode, chunk)``;
        with ``subgraphs`` ``(namespace, chunk)`` and ``(namespace, mode, chunk)``. With ``version="v2"`` each
        item is a dict with ``type``, ``ns`` and ``data``, and ``interrupts`` in values mode.

        A ``messages`` chunk is ``(message, metadata)`` with LangChain's classes. When the graph interrupts,
        ``updates`` and ``values`` hold ``__interrupt__``, a tuple of ``Interrupt``, and the stream ends;
        continue with ``Command(resume=...)`` on the same thread.

        Raises ``RemoteError`` if the graph fails, ``RunCancelled`` if the run is cancelled, ``StreamBroken``
        if events are lost or repeated, or were cut because they exceed the server's ``max_event_bytes``,
        ``Refused`` if the server refuses the run, ``MissingExtra`` if messages are asked for and LangChain is
        missing, ``ValueError`` for what works only locally (``print_mode``, ``debug``, ``control``,
        callbacks), ``TypeError`` for an unknown argument.
        """
        refuse_local(local)
        several = isinstance(stream_mode, list)
        modes = modes_of(stream_mode)
        if "messages" in modes:
            langchain()
        options = (output_keys, interrupt_before, interrupt_after, durability, _changed(version))
        arguments = run_arguments(input, config, context, options)
        is_named = "run" in arguments
        run = await self._start(
            arguments,
            modes=modes or ["lifecycle"],
            namespaces=[["**"]] if subgraphs else None,
        )
        async with cancelling_on_exception(
            self._client._exchange, run, "the stream was closed", is_named=is_named
        ):
            async for event in run:
                if isinstance(event, LifecycleEvent):
                    raise_if_ended_badly(run, event)
                    continue
                mode = event.mode
                for chunk in chunks_of(event, self._max_event_bytes):
                    if version == "v2":
                        yield part_of(event, chunk)
                    elif subgraphs:
                        ns = namespace_of(event)
                        yield (ns, mode, chunk) if several else (ns, chunk)
                    else:
                        yield (mode, chunk) if several else chunk

    @with_parameters_of(astream)
    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Iterate like ``astream()``, blocking this thread. Leaving the iterator cancels the run.

        No more events are fetched ahead than the client's ``window``. Raises like ``astream()``, and
        ``RuntimeError`` on the event loop that the client lives on.
        """
        return iterate(self._client._loop_for_waiting(), self.astream(*args, **kwargs))

    # ── one result ───────────────────────────────────────────────────────────────────────────────

    async def ainvoke(
        self,
        input: Any,
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: Modes = "values",
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        version: Version = "v1",
        **local: Any,
    ) -> Any:
        """Run the graph and return its output. Cancelling the wait cancels the run.

        An interrupted run returns its state, with a list of ``Interrupt`` under ``__interrupt__``. With
        ``version="v2"`` the result is a ``GraphOutput``; with another ``stream_mode`` than ``values`` it is
        the list of that stream's chunks. Raises like ``astream()``.
        """
        refuse_local(local)
        if output_keys is None and (stream_mode != "values" or version == "v2"):
            output_keys = await self._output_keys()
        if stream_mode != "values":
            chunks = self.astream(
                input,
                config,
                context=context,
                stream_mode=stream_mode,
                output_keys=output_keys,
                interrupt_before=interrupt_before,
                interrupt_after=interrupt_after,
                durability=durability,
                version=version,
            )
            return [chunk async for chunk in chunks]
        options = (output_keys, interrupt_before, interrupt_after, durability, _changed(version))
        arguments = run_arguments(input, config, context, options)
        is_named = "run" in arguments
        run = await self._start(
            arguments,
            modes=["lifecycle"],
            record={"modes": ["values"]},
        )
        interrupts: tuple[Any, ...] = ()
        async with cancelling_on_exception(
            self._client._exchange, run, "nobody waits for the result", is_named=is_named
        ):
            async for event in run:
                if isinstance(event, InterruptEvent | SnapshotEvent):
                    interrupts = interrupts_of(event.interrupts, self._max_event_bytes)
                elif isinstance(event, LifecycleEvent) and event.status in ("failed", "cancelled"):
                    raise_if_ended_badly(run, event)
            if run.status == "interrupted":
                keys = None if output_keys is not None else await self._output_keys()
                values = await self._values(run, keys)
            else:
                values = with_langchain(await self._whole(output_so_far(run)), self._max_event_bytes)
        if version == "v2":
            return output_of(values, interrupts)
        if not interrupts:
            return values
        return {**(values if isinstance(values, dict) else {}), "__interrupt__": list(interrupts)}

    @with_parameters_of(ainvoke)
    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Do as ``ainvoke()``, blocking this thread. Raises ``RuntimeError`` on the client's event loop
        too.
        """
        return wait(self._client._loop_for_waiting(), lambda: self.ainvoke(*args, **kwargs))

    async def _start(self, arguments: dict[str, Any], **view: Any) -> Run:
        id = arguments.setdefault("run", new_run_id())
        try:
            return await self._client.run(
                self.name, if_busy=self._if_busy, on_disconnect="cancel", **view, **arguments
            )
        except Refused as refused:
            raise with_remedy(
                refused,
                f'client.graph({self.name!r}, if_busy="enqueue") queues behind it, '
                'and if_busy="interrupt" takes over',
            ) from None
        except asyncio.CancelledError:
            # The server may have started the run, and its reply is on the way.
            if self._client._exchange.is_connected:
                await cancel_quietly(self._client._exchange, id, "the start was cancelled")
            raise

    async def _values(self, run: Run, keys: str | Sequence[str] | None) -> Any:
        """Return the state of an interrupted run, reduced to ``keys``."""
        view = await self._client.attach(run.id, modes=["values"], start="snapshot")
        async for event in view:
            if isinstance(event, SnapshotEvent):
                values = with_langchain(event.values, self._max_event_bytes)
                if keys is not None and not isinstance(keys, str) and isinstance(values, dict):
                    return {key: values[key] for key in keys if key in values}
                return values
        return None

    async def _whole(self, asking: Awaitable[T]) -> T:
        """Wait for an output or a state. Raises ``StreamBroken`` if the server refuses it for its size."""
        try:
            return await asking
        except Refused as refused:
            if refused.code != "too_large":
                raise
            raise too_large(refused.details.get("bytes"), self._max_event_bytes) from None

    @property
    def _max_event_bytes(self) -> int | None:
        welcome = self._client._exchange.welcome
        limit = None if welcome is None else welcome.limits.get("max_event_bytes")
        return limit if isinstance(limit, int) else None

    async def _output_keys(self) -> str | list[str] | None:
        """Return the state keys of the graph's output, a string if it is one value; None if unknown."""
        for row in await self._client.graphs():
            if row.name != self.name:
                continue
            if row.output_keys is not None:
                return row.output_keys if isinstance(row.output_keys, str) else list(row.output_keys)
            # A server of 1.0 sends only the schema. Where the output is one value, that names no state keys.
            return list((row.output_schema or {}).get("properties", ())) or None
        return None

    # ── threads ──────────────────────────────────────────────────────────────────────────────────

    async def aget_state(self, config: Config, *, subgraphs: bool = False) -> Any:
        """Return the thread's ``StateSnapshot``, at its latest checkpoint or the one that ``config`` names.

        Raises ``ValueError`` for a config without a thread, ``Refused`` like ``client.state()``, and
        ``StreamBroken`` for a state larger than the server's ``max_event_bytes``.
        """
        asking = self._client.state(self.name, **thread_arguments(config), subgraphs=subgraphs)
        return snapshot_of(await self._whole(asking), self._max_event_bytes)

    @with_parameters_of(aget_state)
    def get_state(self, *args: Any, **kwargs: Any) -> Any:
        """Do as ``aget_state()``, blocking. Raises ``RuntimeError`` on the client\'s event loop."""
        return wait(self._client._loop_for_waiting(), lambda: self.aget_state(*args, **kwargs))

    async def aget_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Iterate over the thread's ``StateSnapshot``s, newest first.

        With ``filter``, only states whose metadata contains it; with ``before``, the config of a checkpoint,
        only earlier ones; at most ``limit``. Raises like ``aget_state()``.
        """
        states = self._client.state_history(
            self.name,
            **thread_arguments(config),
            metadata=filter,
            before=checkpoint_of(before),
            limit=limit,
        )
        async for state in states:
            yield snapshot_of(state, self._max_event_bytes)

    @with_parameters_of(aget_state_history)
    def get_state_history(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Iterate like ``aget_state_history()``, blocking. Raises ``RuntimeError`` on the client's loop."""
        return iterate(self._client._loop_for_waiting(), self.aget_state_history(*args, **kwargs))

    async def aupdate_state(
        self, config: Config, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """Write into the thread as if ``as_node`` had returned ``values``; return the config of the
        new checkpoint.

        Raises ``ValueError`` for a config without a thread, ``Refused`` like ``client.update_state()``.
        """
        address = thread_arguments(config)
        try:
            return await self._client.update_state(
                self.name, values=values, as_node=as_node, task=task_id, **address
            )
        except Refused as refused:
            raise with_remedy(refused, "an update does not queue behind it") from None

    @with_parameters_of(aupdate_state)
    def update_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Do as ``aupdate_state()``, blocking. Raises ``RuntimeError`` on the client\'s event loop."""
        return wait(self._client._loop_for_waiting(), lambda: self.aupdate_state(*args, **kwargs))


def _changed(version: Version) -> Version | None:
    """Return what to send for ``version``; nothing for the one that is the default."""
    return None if version == "v1" else version
