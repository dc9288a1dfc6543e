"""Where a run goes on that was executing when its process ended.

A checkpoint is saved and events are stored independently of each other, so either may be ahead. The run
goes on from the newest checkpoint of which the log knows the events, if the saver has it. What the saver has
beyond that is not used: the step is repeated, and its events come again. If the saver has none of them, the
run begins once more with its input, at the checkpoint at which it began; or, if it has waited for answers or
began with a command, it continues once more with those, where the thread was.
"""

from typing import Any

import orjson
from graphwire_protocol.types import Seq

from graphwire_gateway.failures import Failures
from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.pause import newest_since
from graphwire_gateway.log.store import Store
from graphwire_gateway.runs.asking import ask_within
from graphwire_gateway.runs.standing import RunStanding, RunStart
from graphwire_gateway.runs.steps import Place
from graphwire_gateway.scope import Scope, thread_config

_AT_ONCE = 1000  # records that are read at once


def may_go_on(entry: Entry, start: RunStart) -> bool:
    """Tell whether the checkpoints of such a run may have outlived its process."""
    return start.scope is not None and not start.scope.is_held and not entry.keeps_threads_in_memory


async def find_place(
    entry: Entry, failures: Failures, start: RunStart, standing: RunStanding, fence: Fence | None = None
) -> Place | None:
    """Return where the run goes on; None if its thread does not tell. Raises ``Refusal``.

    If the run begins once more on a thread that it found empty, the thread is emptied, with ``fence``.
    """
    scope = start.scope
    assert scope is not None

    async def find() -> Place | None:
        config = thread_config(scope, start.principal)
        async with entry.open(config, with_threads=True, access_context="threads.read") as graph:
            saver = graph.checkpointer
            for seq, checkpoint in reversed(standing.marks):
                if await saver.aget_tuple(thread_config(scope, start.principal, checkpoint)) is not None:
                    return Place(seq, checkpoint, with_input=False)
            after = standing.began if standing.answered is None else standing.answered
            if standing.pause is not None and after is not None:
                newest = await newest_since(saver, scope.saved, standing.pause)
                if newest is None:
                    return None
                pause = standing.pause.repeated(newest, standing.attempt + 1)
                return Place(after, pause.checkpoint, with_input=standing.answered is None, pause=pause)
            has_input = start.frame.command is None and start.frame.input is not None
            if standing.began is None or not has_input:
                return None
            base = await _base(saver, scope, start, standing)
            if base is None:
                return None
            if base:
                if await saver.aget_tuple(thread_config(scope, start.principal, base)) is None:
                    return None
            elif await saver.aget_tuple(config) is not None:
                await saver.adelete_thread(scope.saved)  # all of it is of this run
            return Place(standing.began, base, with_input=True)

    return await ask_within(entry, failures, "run", find, start.principal, fence)


async def _base(saver: Any, scope: Scope, start: RunStart, standing: RunStanding) -> str | None:
    """Return the checkpoint at which the run began, "" if the thread had none; None if nothing tells."""
    if scope.is_private:
        return ""
    if start.frame.checkpoint is not None:
        return start.frame.checkpoint
    if standing.checkpoint is not None:
        return standing.checkpoint
    began_at = _milliseconds(standing.started_at or "")
    async for saved in saver.alist(thread_config(scope, start.principal)):
        made_at = _milliseconds(saved.checkpoint["ts"])
        if made_at == began_at:
            return None  # by this run, or by the one before it
        if made_at < began_at:
            return str(saved.config["configurable"]["checkpoint_id"])
    return ""


def _milliseconds(time: str) -> str:
    """Return an RFC 3339 time in UTC in a form that compares as text."""
    return time[:23]


async def calls_behind(store: Store, key: str, after: Seq, head: Seq) -> tuple[str, ...]:
    """Return the keys of the calls of models of which a log has messages behind ``after``, each once."""
    calls: dict[str, None] = {}
    while after < head:
        page = await store.read(key, after, _AT_ONCE)
        if page.evicted > after:
            base = await store.base(key)
            calls.update(dict.fromkeys(base.calls_behind(after)))
            after = base.upto
            continue
        if not page.records:
            break
        for record in page.records:
            if record.address.mode == "messages":
                data = orjson.loads(record.data)
                calls[data.get("call", data["id"])] = None
        after += len(page.records)
    return tuple(calls)
