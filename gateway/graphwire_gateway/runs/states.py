"""Threads between their runs: the graph itself reads, lists and writes their states, and deletes them.

Their metadata is not the graph's: ``known_threads`` keeps it.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar, cast

import orjson
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.limits import DEFAULTS, ENVELOPE_BYTES, AnnouncedLimits
from graphwire_protocol.payloads import AskedInterrupt
from graphwire_protocol.projection import Encoders, Projector
from graphwire_protocol.replies import Ok, StateTask, ThreadState

from graphwire_gateway.cutting import Slot, cut_anywhere, question_slots, shrink, slots, stand_in
from graphwire_gateway.execution.names import invalid
from graphwire_gateway.execution.request import json_size, restored
from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.factory import AccessContext
from graphwire_gateway.runs.asking import ask
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.scope import Scope, public_config, thread_config, without_own

T = TypeVar("T")

_REFUSALS = (
    "InvalidUpdateError",
    "EmptyInputError",
    "ValidationError",
    "ValueError",
    "TypeError",
    "KeyError",
)
"""Names of the exceptions by which a graph, of either library, refuses an update or a position."""


class States:
    """Carries out ``state``, ``state_history``, ``state_update``, ``thread_update`` and ``delete``."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        failures: Failures,
        limits: AnnouncedLimits = DEFAULTS,
        encoders: Encoders | None = None,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._failures = failures
        self._max = limits.max_event_bytes
        self._largest = limits.largest_message - ENVELOPE_BYTES // 2
        self._projector = Projector(failures.in_data, encoders, self._max)

    async def get(self, command: commands.State, principal: str) -> Ok:
        """Return a thread's state. Raises ``Refusal``."""
        position = self._position(command, principal)

        async def read(graph: Any) -> ThreadState:
            snapshot = await graph.aget_state(position.config(), subgraphs=command.subgraphs)
            if command.checkpoint is not None and snapshot.metadata is None:
                raise _no_checkpoint(command, "checkpoint")
            state = self._public(snapshot, position.scope, command.keys)
            self._check_values(state)
            state, size = self._fitting(state, self._max + ENVELOPE_BYTES // 2, ("metadata",))
            if size > self._largest:
                raise self._too_large("state", state, size)
            return state

        state = await self._ask(command, position, read)
        # Not before the read, during which a run may begin.
        numbering = self._runs.numberings.find(position.scope.saved)
        seq, epoch = (None, None) if numbering is None else (numbering.last, numbering.epoch)
        return Ok(id=command.id, **state.__dict__, thread_seq=seq, thread_epoch=epoch)

    async def history(self, command: commands.StateHistory, principal: str) -> Ok:
        """Return a thread's states, newest first, and where the next page begins. Raises ``Refusal``."""
        position = self._position(command, principal)
        before = None if command.before is None else position.config(command.before)

        async def read(graph: Any) -> tuple[tuple[ThreadState, ...], str | None]:
            states = graph.aget_state_history(
                position.config(), filter=command.metadata, before=before, limit=command.limit + 1
            )
            page: list[ThreadState] = []
            size = 0
            async with contextlib.aclosing(states):
                async for snapshot in states:
                    state = self._public(snapshot, position.scope, command.keys)
                    state, length = self._fitting(state, self._max, ("values", "metadata"))
                    if not page and length > self._largest:
                        raise self._too_large("state_history", state, length, _checkpoint(state))
                    size += length
                    if len(page) == command.limit or (page and size > self._max):
                        return tuple(page), _checkpoint(page[-1])
                    page.append(state)
            return tuple(page), None

        states, cursor = await self._ask(command, position, read)
        return Ok(id=command.id, states=states, cursor=cursor)

    async def update(self, command: commands.StateUpdate, principal: str) -> Ok:
        """Write into a thread's state. Raises ``Refusal``; ``busy`` if a run has the thread."""
        position = self._position(command, principal)
        release = self._runs.hold(position.scope)
        try:
            values = await self._runs.restoring.run(
                principal,
                json_size(command.values),
                lambda: restored(command.values, command.type, "values"),
            )
        except BaseException:
            release()
            raise

        async def write(graph: Any) -> dict[str, Any]:
            if command.checkpoint is not None:
                found = await graph.aget_state(position.config())
                if found.metadata is None:
                    raise _no_checkpoint(command, "checkpoint")
            config = await graph.aupdate_state(
                position.config(), values, as_node=command.as_node, task_id=command.task
            )
            return cast("dict[str, Any]", self._plain(public_config(config), position.scope))

        config = await self._ask(command, position, write, lambda _: release())
        self._runs.known_threads.saver_wrote(position.scope, command.graph, principal)
        return Ok(id=command.id, config=config)

    async def update_thread(self, command: commands.ThreadUpdate, principal: str) -> Ok:
        """Set a thread's metadata. Raises ``Refusal``; then nothing is changed."""
        scope = self._runs.scope(self._catalog.get(command.graph), command.thread, principal, command.type)
        return Ok(id=command.id, thread=await self._runs.known_threads.update(command, scope, principal))

    async def delete(self, command: commands.Delete, principal: str) -> Ok:
        """Delete a run, or a thread with its runs. Raises ``Refusal``; ``conflict`` while a run is active."""
        if command.run is not None:
            await self._runs.remove(await self._runs.find(principal, command.run))
            return Ok(id=command.id)
        assert command.graph is not None
        assert command.thread is not None
        entry = self._catalog.get(command.graph)
        scope = self._runs.scope(entry, command.thread, principal, command.type)
        position = _Position(entry, scope, principal, "", None)
        try:
            release = self._runs.hold(scope)
        except Refusal:
            message = f"delete: a run of thread {command.thread!r} is running or queued; cancel it first"
            raise Refusal("conflict", message) from None
        known_threads = self._runs.known_threads
        is_known = known_threads.holds(scope.saved)
        known_threads.begin_deletion(scope)
        is_erased = False

        def end() -> None:
            known_threads.end_deletion(scope, entry.name, principal, is_done=is_erased)
            release()

        try:
            for run in self._runs.of_thread(scope):
                await self._runs.remove(run)
            await known_threads.delete_kept(scope)
        except BaseException:
            end()
            raise

        async def erase(graph: Any) -> bool:
            nonlocal is_erased
            saver = graph.checkpointer
            known = await saver.aget_tuple(position.config()) is not None
            await saver.adelete_thread(scope.saved)
            is_erased = True
            return known

        if not await self._ask(command, position, erase, lambda _: end()) and not is_known:
            raise Refusal("not_found", f"no thread {command.thread!r}", details={"kind": "thread"})
        return Ok(id=command.id)

    def _position(
        self, command: commands.State | commands.StateHistory | commands.StateUpdate, principal: str
    ) -> "_Position":
        entry = self._catalog.get(command.graph)
        scope = self._runs.scope(entry, command.thread, principal, command.type)
        return _Position(entry, scope, principal, "|".join(command.ns or ()), command.checkpoint)

    async def _ask(
        self,
        command: commands.State | commands.StateHistory | commands.StateUpdate | commands.Delete,
        position: "_Position",
        work: Callable[[Any], Awaitable[T]],
        over: Callable[[Any], None] | None = None,
    ) -> T:
        purpose: AccessContext = "threads.update" if command.type == "state_update" else "threads.read"

        async def answer() -> T:
            async with position.entry.open(
                position.config(), with_threads=True, access_context=purpose
            ) as graph:
                try:
                    return await work(graph)
                except Exception as error:
                    if not any(cls.__name__ in _REFUSALS for cls in type(error).__mro__):
                        raise
                    reason = self._failures.of_state(error, position.entry.name, position.scope)
                    raise invalid("", f"{command.type}: {reason}", reason) from None

        return await ask(
            position.entry, self._failures, command.type, answer, position.principal, over, self._runs.fence
        )

    # ── states as the caller may see them ────────────────────────────────────────────────────────

    def _public(self, snapshot: Any, scope: Scope, keys: tuple[str, ...] | None) -> ThreadState:
        values = snapshot.values
        if keys is not None and isinstance(values, dict):
            values = {key: value for key, value in values.items() if key in keys}
        encoded = scope.clear(self._projector.dumps(values))
        parent = snapshot.parent_config
        return ThreadState(
            values=orjson.Fragment(encoded),
            next=tuple(snapshot.next),
            tasks=tuple(self._task(task, scope) for task in snapshot.tasks),
            interrupts=self._interrupts(snapshot.interrupts, scope),
            metadata=self._plain(without_own(snapshot.metadata), scope),
            config=self._plain(public_config(snapshot.config), scope),
            parent_config=None if parent is None else self._plain(public_config(parent), scope),
            created_at=snapshot.created_at,
        )

    def _check_values(self, state: ThreadState) -> None:
        """Check that the values fit into a reply as they are. Raises ``Refusal(too_large)``."""
        encoded = orjson.dumps(state.values)
        cut = cut_anywhere(encoded)
        if cut is None and len(encoded) <= self._max:
            return
        size = max(len(encoded), cut or 0)
        largest = _largest_keys(orjson.loads(encoded), size - self._max)
        which = f", without {', '.join(map(repr, largest))} for example" if largest else ""
        raise Refusal(
            "too_large",
            f"state: the values take {size:,} bytes, more than max_event_bytes, which is {self._max:,}; "
            f"ask for some of its keys{which}, or raise that limit",
            details={"bytes": size, "limit": "max_event_bytes", "largest": largest},
        )

    def _too_large(self, frame: str, state: ThreadState, size: int, checkpoint: str | None = None) -> Refusal:
        """Return the refusal of a state that is too large even where all that can be is cut."""
        after = "" if checkpoint is None else f"begin behind it, with before {checkpoint[:64]!r}, "
        return Refusal(
            "too_large",
            f"{frame}: the {len(state.tasks):,} tasks and {len(state.interrupts):,} questions of a state "
            f"take {size:,} bytes even without what they hold, more than max_event_bytes and "
            f"max_frame_bytes together; {after or 'do less in one step, '}or raise one of them",
            details={"bytes": size, "limit": "max_event_bytes"}
            | ({} if checkpoint is None else {"checkpoint": checkpoint[:128]}),
        )

    def _fitting(self, state: ThreadState, most: int, names: tuple[str, ...]) -> tuple[ThreadState, int]:
        """Return a state of at most ``most`` bytes, and its size: the largest of its parts are cut.

        These are the keys of the fields ``names``, what is asked, and what its tasks have.
        """
        encoded = orjson.dumps(state.to_wire())
        if len(encoded) <= most:
            return state, len(encoded)
        tree = orjson.loads(encoded)
        if not shrink(_parts(tree, names), len(encoded) - most) and "values" in names:
            tree["values"] = stand_in(len(encoded))
        return ThreadState.model_validate(tree), len(orjson.dumps(tree))

    def _task(self, task: Any, scope: Scope) -> StateTask:
        error, state = task.error, task.state
        if isinstance(error, BaseException):
            error = self._plain(error, scope)
        elif error is not None:
            error = self._failures.kept(str(error), scope)
        if state is not None:
            is_config = isinstance(state, dict)
            state = (
                self._plain(public_config(state), scope)
                if is_config
                else _plain_state(self._public(state, scope, None))
            )
        return StateTask(
            id=task.id,
            name=task.name,
            path=self._plain(task.path, scope),
            error=error,
            interrupts=self._interrupts(task.interrupts, scope),
            state=state,
            result=self._plain(task.result, scope),
        )

    def _interrupts(self, interrupts: Any, scope: Scope) -> tuple[AskedInterrupt, ...]:
        return tuple(
            AskedInterrupt(
                id=item.id,
                value=self._plain(item.value, scope),
                response_schema=response_schema_of(item),
            )
            for item in interrupts
        )

    def _plain(self, value: Any, scope: Scope) -> Any:
        return orjson.loads(scope.clear(self._projector.dumps(value)))


class _Position:
    """A checkpoint namespace, and maybe a checkpoint, of a thread of a graph."""

    def __init__(self, entry: Entry, scope: Scope, principal: str, ns: str, checkpoint: str | None) -> None:
        self.entry = entry
        self.scope = scope
        self.principal = principal
        self._ns = ns
        self._checkpoint = checkpoint

    def config(self, checkpoint: str | None = None) -> Any:
        """Return the config of this position; ``checkpoint`` replaces its checkpoint."""
        return thread_config(self.scope, self.principal, checkpoint or self._checkpoint, self._ns)


_NAMED = 3  # keys in the message of a state that is too large


def _largest_keys(values: Any, excess: int) -> list[str]:
    """Return the largest keys of a state, as many as have ``excess`` bytes together."""
    sizes: dict[str, int] = {}
    for holder, key in slots(values, 1):
        encoded = orjson.dumps(holder[key])
        sizes[str(key)] = max(len(encoded), cut_anywhere(encoded) or 0)
    named: list[str] = []
    for key in sorted(sizes, key=lambda key: -sizes[key])[:_NAMED]:
        if excess > 0:
            named.append(key[:64])
        excess -= sizes[key]
    return named


def _parts(state: dict[str, Any], names: tuple[str, ...]) -> Iterator[Slot]:
    """Return what may be cut of a state on the wire, of its fields ``names`` only their keys."""
    for name in names:
        yield from list(slots(state.get(name), 1)) or ([(state, name)] if name in state else [])
    for task in state["tasks"]:
        yield from ((task, name) for name in ("result", "state", "error") if name in task)
    for holder in (state, *state["tasks"]):
        yield from question_slots(holder.get("interrupts", ()))


def _checkpoint(state: ThreadState) -> str | None:
    id = state.config.get("configurable", {}).get("checkpoint_id")
    return id if isinstance(id, str) else None


def _plain_state(state: ThreadState) -> dict[str, Any]:
    return cast("dict[str, Any]", orjson.loads(orjson.dumps(state.to_wire())))


def _no_checkpoint(command: Any, name: str) -> Refusal:
    return Refusal(
        "not_found",
        f"{command.type}.{name}: thread {command.thread!r} has no such checkpoint",
        details={"kind": "checkpoint"},
    )
