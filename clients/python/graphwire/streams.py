"""Requests that open a stream: start a run, attach to a run; and acting on a run by its id."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from graphwire_protocol.commands import (
    GraphCommand,
    RecordOptions,
    RunConfig,
    RunOptions,
    Spec,
    Subscribe,
)
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.replies import Started, Subscribed
from graphwire_protocol.types import TERMINAL, Mode, Status

from graphwire.arguments import (
    IfBusy,
    Start,
    checked,
    filter_of,
    position_of,
    projected,
    refuse_unknown,
    require_id,
    responses_of,
)
from graphwire.blocking import needs_event_loop
from graphwire.errors import Refused
from graphwire.exchange import Exchange
from graphwire.langgraph_arguments import command_of, is_command
from graphwire.run import Run, Values
from graphwire.run_tracker import RunTracker
from graphwire.state_update import state_update
from graphwire.watching import Watching

DEFAULT_MODES: tuple[Mode, ...] = ("updates", "messages", "custom")
"""What a viewer most often wants: each step's update, tokens, and what the graph's writers write."""


ACTIVE: tuple[Status, ...] = ("queued", "running", "interrupted")
"""The statuses of runs that have not ended."""


class Streams(Watching):
    """The part of a client that opens streams. ``RemoteGraph`` needs no more of a client than this."""

    def __init__(self, exchange: Exchange, window: int) -> None:
        super().__init__(exchange)
        self._window = window

    @needs_event_loop
    async def run(
        self,
        graph: str,
        input: Any = None,
        *,
        modes: Sequence[Mode] = DEFAULT_MODES,
        namespaces: Sequence[Sequence[str]] | None = None,
        nodes: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        exclude: Mapping[str, Any] | None = None,
        run: str | None = None,
        thread: str | None = None,
        checkpoint: str | None = None,
        command: Any = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
        options: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_busy: IfBusy = "reject",
        on_disconnect: Literal["continue", "cancel"] = "continue",
        start: Start = "start",
        window: int | None = None,
        values: Values = "full",
    ) -> Run:
        """Start a run of ``graph`` and attach to its log before its first event.

            run = await client.run("chat", {"text": "hi"}, thread="ann", modes=["messages"])
            async for event in run: ...

        Args:
            graph: the graph's name.
            input: the graph's input.
            modes: LangGraph's stream modes, which events to receive.
            namespaces: paths of subgraphs, such as ``[["researcher"]]``. ``[["**"]]`` is all of them; the
                default is the root only.
            nodes: globs of node names.
            tags: globs of tags; for tokens.
            keys: names of keys of the state.
            exclude: events to leave out, ``{"namespaces", "nodes", "tags"}``.
            run: the run's id, by default a new one. If the run exists, attach to it; so a start may be
                repeated.
            thread: the id of the conversation to continue, or to begin.
            checkpoint: the checkpoint of the thread to start at, by default the latest.
            command: a ``Command`` (which may also be the ``input``), or a dict of its ``resume``, ``update``
                and ``goto``.
            config: LangGraph's ``tags``, ``metadata``, ``configurable``, ``recursion_limit``,
                ``max_concurrency`` and ``run_name``. The thread is ``thread=``, not a part of the config.
            context: LangGraph's runtime context.
            options: LangGraph's ``interrupt_before``, ``interrupt_after``, ``output_keys``, ``durability``,
                ``version``.
            record: ``{"modes", "subgraphs"}`` that the log records beyond the filter, for later viewers.
            metadata: for finding the run in lists.
            if_busy: what to do if the thread has a run: ``reject`` this one, ``enqueue`` it, or
                ``interrupt`` the other.
            on_disconnect: ``cancel`` stops the run when this client is gone for good.
            start: where the stream starts if the run exists; see ``attach()``.
            window: how many events may wait for their reader, by default the client's.
            values: ``patch`` sends a state as the difference from the one before. The events hold whole
                states either way; ``patch`` saves bytes and costs a little time.

        Input, context, config and command may hold datetimes, sets, bytes and messages. Raises ``TypeError``
        for a value that cannot be sent, ``ValueError`` for a malformed filter or option and for an unknown
        key, ``Refused`` with code ``not_found`` for an unknown graph, ``busy`` for a thread that has a run.
        """
        id = run or new_run_id()
        filter = filter_of(modes, namespaces, nodes, tags, keys, exclude)
        position = position_of(start)
        window = window or self._window
        fields: dict[str, Any] = {
            "graph": graph,
            "run": id,
            "thread": thread,
            "checkpoint": checkpoint,
            "if_busy": if_busy,
            "on_disconnect": on_disconnect,
        }
        if is_command(input):
            if command is not None:
                raise ValueError("the input is a Command, and command= is given too; give one of them")
            input, command = None, input
        if input is not None:
            fields["input"] = projected(state_update(input), "input")
        if context is not None:
            fields["context"] = projected(context, "context")
        if metadata is not None:
            fields["metadata"] = projected(dict(metadata), "metadata")
        if command is not None:
            fields["command"] = checked(GraphCommand, projected(command_of(command), "command"), "command")
        if config is not None:
            _refuse_in_config(config)
            fields["config"] = checked(RunConfig, projected(dict(config), "config"), "config")
        if options is not None:
            refuse_unknown(options, RunOptions.model_fields, "options")
            fields["options"] = checked(RunOptions, dict(options), "options")
        if record is not None:
            refuse_unknown(record, RecordOptions.model_fields, "record")
            fields["record"] = checked(RecordOptions, dict(record), "record")
        checked(RunCommand, {"id": 0, **fields})
        checked(Spec, {"sub": 0, "filter": filter, "credit": window, "values": values})

        def make(id: int, sub: int) -> RunCommand:
            spec = Spec(sub=sub, filter=filter, from_=position, credit=window, values=values)
            return RunCommand(id=id, subscribe=(spec,), **fields)

        tracker = RunTracker()
        reply, queue = await self._exchange.subscribe(make, window, tracker)
        assert isinstance(reply, Started)
        if tracker.status is None:
            tracker.status = reply.status
        out = Run(self._exchange, id, graph, filter, position, window, tracker, values)
        out.thread, out.created = reply.thread, reply.created
        out._queue = queue
        out.known()
        return out

    @needs_event_loop
    async def attach(
        self,
        run: str,
        *,
        modes: Sequence[Mode] | None = None,
        namespaces: Sequence[Sequence[str]] | None = None,
        nodes: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        exclude: Mapping[str, Any] | None = None,
        start: Start = "start",
        window: int | None = None,
        values: Values = "full",
    ) -> Run:
        """Attach to a run that exists, with a filter as in ``run()``.

        ``start`` is ``"start"`` for the whole log, ``"snapshot"`` for the present state and what follows,
        ``"now"`` for what follows only, or ``(run.epoch, run.position)`` of a run that was viewed before.
        ``modes`` are by default those of ``DEFAULT_MODES`` that the run records.

        Raises ``ValueError`` for a malformed filter, ``Refused`` with code ``not_found`` for an unknown run
        and ``unsupported`` for modes that it does not record.
        """
        position = position_of(start)
        window = window or self._window
        tracker = RunTracker()

        async def subscribe(modes: Sequence[Mode]) -> Run:
            filter = filter_of(modes, namespaces, nodes, tags, keys, exclude)

            def make(id: int, sub: int) -> Subscribe:
                return Subscribe(
                    id=id,
                    sub=sub,
                    run=run,
                    filter=filter,
                    from_=position,
                    credit=window,
                    values=values,
                )

            view = {"filter": filter, "credit": window, "values": values}
            checked(Subscribe, {"id": 0, "sub": 0, "run": run, **view})
            reply, queue = await self._exchange.subscribe(make, window, tracker)
            assert isinstance(reply, Subscribed)
            out = Run(self._exchange, run, None, filter, position, window, tracker, values)
            out._queue = queue
            out.known()
            return out

        if modes is not None:
            return await subscribe(modes)
        try:
            return await subscribe(DEFAULT_MODES)
        except Refused as refused:
            match refused:
                case Refused(code="unsupported", details={"recorded": {"modes": list(recorded)}}):
                    pass
                case _:
                    raise
        return await subscribe([mode for mode in DEFAULT_MODES if mode in recorded] or ["lifecycle"])

    # ── acting on a run by its id ────────────────────────────────────────────────────────────────

    @overload
    async def cancel(self, run: str, *, reason: str | None = None) -> Status | None: ...

    @overload
    async def cancel(
        self,
        run: None = None,
        *,
        reason: str | None = None,
        graph: str | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> list[str]: ...

    @needs_event_loop
    async def cancel(
        self,
        run: str | None = None,
        *,
        reason: str | None = None,
        graph: str | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Status | list[str] | None:
        """Cancel the run with this id, and return its status like ``run.cancel()``.

        With a filter instead, as in ``runs()``, cancel those of this user's runs that match and have not
        ended, and return their ids. A run that starts meanwhile may be missed.

        Raises ``Refused`` with code ``not_found`` for an unknown id, ``ValueError`` for an id together with
        a filter, and for neither.
        """
        filters = {"graph": graph, "thread": thread, "status": status, "metadata": metadata}
        given = [name for name, value in filters.items() if value is not None]
        if run is None and not given:
            raise ValueError(f"cancel() needs the id of a run, or one of {', '.join(filters)}")
        if run is not None:
            if given:
                raise ValueError(f"the id of a run and {given[0]}= are given; give one of them")
            return await self._run_of(run).cancel(reason)
        statuses = ACTIVE if status is None else status
        rows = self.runs(graph=graph, thread=thread, status=statuses, metadata=metadata)
        ids = [row.run async for row in rows if row.status not in TERMINAL]
        cancelled: list[str] = []
        for id in ids:
            try:
                status_then = await self._run_of(id).cancel(reason)
            except Refused as refused:
                if refused.code != "not_found":
                    raise
                continue  # deleted meanwhile
            if status_then not in (
                "completed",
                "failed",
            ):  # one that was idle is "cancelled" in the reply already
                cancelled.append(id)
        return cancelled

    @needs_event_loop
    async def respond(
        self,
        run: str | None = None,
        responses: Mapping[str, Any] | None = None,
        *,
        graph: str | None = None,
        thread: str | None = None,
        partial: bool = False,
    ) -> Status | None:
        """Answer the questions of a run by its id, and return and raise like ``run.respond()``.

        With ``graph`` and ``thread`` instead, answer what the thread asks: its interrupted run continues. If
        the server knows none, as after a restart, a new run does, with all answers at once or ``partial``.

        Raises ``Refused`` with code ``conflict`` for a thread that waits for no answer, ``ValueError`` for an
        id together with a thread, and for neither.
        """
        if (run is None) == (thread is None) or (thread is None) != (graph is None):
            raise ValueError("respond() needs the id of a run, or graph= and thread=")
        if graph is not None and thread is not None:
            run = await self.waiting_run(graph, thread)
        if run is None and graph is not None and thread is not None:
            resumed = await self.resume_thread(graph, thread, responses, partial=partial)
            await resumed.detach()
            return resumed.status
        assert run is not None
        return await self._run_of(run).respond(responses, partial=partial)

    async def resume_thread(
        self, graph: str, thread: str, responses: Mapping[str, Any] | None, *, partial: bool = False
    ) -> Run:
        """Start a run that continues a thread with answers, or past a breakpoint; see ``respond()``."""
        answers = {answer.interrupt for answer in responses_of(responses)}
        state = await self.state(graph, thread)
        asked = {interrupt.id for interrupt in state.interrupts}
        if not state.next and not asked:
            raise Refused("conflict", f"thread {thread!r} of graph {graph!r} waits for no answer")
        for id in answers - asked:
            raise Refused(
                "not_found", f"thread {thread!r} does not ask {id!r}", details={"kind": "interrupt"}
            )
        if asked - answers and not (partial and answers):
            raise Refused("conflict", f"thread {thread!r} also asks {', '.join(sorted(asked - answers))}")
        resume = {"resume": dict(responses)} if responses else None
        return await self.run(graph, thread=thread, command=resume)

    @needs_event_loop
    async def result(self, run: str) -> Any:
        """Wait for the end of the run with this id, and return and raise like ``run.result()``."""
        return await self._run_of(run).result()

    def _run_of(self, id: str) -> Run:
        """Return the run with this id, without a subscription. Raises ``ValueError`` for what is no id."""
        require_id(id, "run")
        filter = filter_of(["lifecycle"], None, None, None, None, None)
        return Run(self._exchange, id, None, filter, "now", self._window, RunTracker())


_ELSEWHERE = {
    "thread_id": "did you mean thread=?",
    "checkpoint_id": "did you mean checkpoint=?",
    "run_id": "did you mean run=?",
    "callbacks": "callbacks run in the process of the graph",
}
_SUBGRAPH = {"checkpoint_ns": "a run starts at the root", "checkpoint_map": "a run starts at the root"}


def _refuse_in_config(config: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for keys of a config that would have no effect, or that the server refuses."""
    refuse_unknown(config, RunConfig.model_fields, "config", _ELSEWHERE | _SUBGRAPH)
    configurable = config.get("configurable")
    if isinstance(configurable, Mapping):
        addresses = {"thread_id", "checkpoint_id", *_SUBGRAPH} & configurable.keys()
        known = configurable.keys() - addresses
        refuse_unknown(configurable, known, "config['configurable']", _ELSEWHERE | _SUBGRAPH)


def new_run_id() -> str:
    """Return an id that no run has. The client chooses it, so that a start may be sent twice."""
    return f"run-{uuid.uuid4().hex}"
