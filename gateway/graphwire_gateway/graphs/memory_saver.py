"""The saver that keeps threads in memory, within limits.

Of too many bytes, the longest idle thread of the principal who has most of them goes first. If all of that
principal's threads are in use, the next largest is looked at. A principal who has no more than a fair share,
the limit divided by the number of principals, loses nothing: nobody's threads push out those of others.

`savers` makes one for each loop that has graphs without a checkpointer. A thread that a run or a request uses
is never let go, even if the limits are exceeded without it. A thread that was let go is one that was never
written: its state is empty, and a run on it begins anew.
"""

import heapq
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.memory import InMemorySaver

from graphwire_gateway.scope import PRINCIPAL
from graphwire_gateway.telemetry import logger

log = logger("threads")

_ENTRY_BYTES = 500
"""What Python needs for one entry beside its data, about."""
_LOOKS = 16
"""How many idle threads one write looks for; so a write costs the same, however many are in use."""
_LOG_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class ThreadLimits:
    """How much a saver in memory keeps: ``bytes`` of all threads, each ``ttl_s`` seconds after its last use.

    ``ttl_s`` is None if threads do not age. Raises ``ValueError``.
    """

    bytes: int = 1 << 30
    ttl_s: float | None = None

    def __post_init__(self) -> None:
        """Check the limits."""
        if isinstance(self.bytes, bool) or not isinstance(self.bytes, int) or self.bytes < 1:
            raise ValueError(f"thread_bytes is a whole number of bytes above 0, not {self.bytes!r}")
        if self.ttl_s is not None and not 0 < self.ttl_s < float("inf"):
            raise ValueError(f"thread_ttl_s is a number of seconds above 0, or left out, not {self.ttl_s!r}")


@dataclass(slots=True)
class _Thread:
    used_at: float
    principal: str = ""
    bytes: int = 0
    blobs: set[tuple[Any, ...]] = field(default_factory=set)
    writes: set[tuple[str, str, str]] = field(default_factory=set)


class _Ledger:
    """What each thread takes, least recently used first. Clones of a saver share it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # nodes without async code run subgraphs in threads
        self.threads: OrderedDict[str, _Thread] = OrderedDict()
        self.of: dict[str, OrderedDict[str, None]] = {}
        """The threads of each principal, least recently used first."""
        self.bytes = 0
        self.bytes_of: Counter[str] = Counter()
        """The bytes of each principal's threads."""
        self.let_go: dict[str, int] = {"too_many_bytes": 0, "too_old": 0}
        """How many threads went since the last line of the log, by the reason."""
        self.logged_at = float("-inf")

    def share(self, limit: int) -> float:
        """Return the bytes that everybody may have."""
        return limit / max(1, len(self.of))

    def above_their_share(self, limit: int) -> list[tuple[int, str]]:
        """Return a heap of the principals who have more, with their bytes below zero: the largest first."""
        share = self.share(limit)
        found = [(-bytes, principal) for principal, bytes in self.bytes_of.items() if bytes > share]
        heapq.heapify(found)
        return found


class BoundedMemorySaver(InMemorySaver):
    """LangGraph's saver in memory, within ``limits``. ``is_in_use`` tells whether a thread must stay.

    ``is_in_use`` is called on any thread, and so is ``on_let_go``, with each thread that has been let go.
    """

    def __init__(
        self,
        limits: ThreadLimits,
        is_in_use: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
        on_let_go: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._on_let_go = on_let_go
        self._limits = limits
        self._is_in_use = is_in_use
        self._clock = clock
        self._ledger = _Ledger()

    @property
    def bytes(self) -> int:
        """How many bytes all threads take, about."""
        return self._ledger.bytes

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def get_tuple(self, config: RunnableConfig) -> Any:
        """Return a checkpoint of a thread; None if it has none."""
        place = config["configurable"]
        id, ns = place["thread_id"], place.get("checkpoint_ns", "")
        with self._ledger.lock:  # the inherited method makes room for whatever it is asked for
            return super().get_tuple(config) if self._touch(id) and ns in self.storage[id] else None

    def list(self, config: RunnableConfig | None, **options: Any) -> Iterator[Any]:
        """Iterate over the checkpoints of a thread, or of all."""
        if config is None:
            with self._ledger.lock:
                self._drop_old()
        elif not self._touch(config["configurable"]["thread_id"]):
            return
        if options.get("limit") is None:  # a long thread's do not fit in memory
            yield from super().list(config, **options)
            return
        with self._ledger.lock:  # others may write while the caller looks at them
            found = [*super().list(config, **options)]
        yield from found

    def spans(self, principal: str | None) -> Iterator[tuple[str, str, str]]:
        """Yield each thread's id and when its first and its latest checkpoint were written, in ISO 8601.

        These are the threads of a principal, or of all for None, the one that was used last first. No values
        of a state are read: a long conversation has thousands of checkpoints, each with all its messages.
        """
        with self._ledger.lock:
            self._drop_old()
            threads = self._ledger.threads if principal is None else self._ledger.of.get(principal, ())
            names = tuple(reversed(threads))
        for thread in names:
            span = self.span(thread)
            if span is not None:
                yield thread, *span

    def span(self, thread_id: str) -> tuple[str, str] | None:
        """Return when a thread's first and latest checkpoint were written; None if there is none."""
        with self._ledger.lock:
            saved = self.storage[thread_id].get("") if thread_id in self._ledger.threads else None
            heads = [saved[end(saved)][0] for end in (min, max)] if saved else []
        if not heads:
            return None
        first, latest = (self.serde.loads_typed(head)["ts"] for head in heads)
        return first, latest

    def _touch(self, thread_id: str) -> bool:
        """Note that a thread is used; tell whether it is there."""
        ledger = self._ledger
        with ledger.lock:
            thread = ledger.threads.get(thread_id)
            if thread is None:
                return False
            if self._is_old(thread) and not self._is_in_use(thread_id):
                self._let_go(thread_id, "too_old")
                return False
            self._used(thread_id, thread)
            return True

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def put(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Save a checkpoint, and let go what there is no room for."""
        place = config["configurable"]
        id, ns = place["thread_id"], place["checkpoint_ns"]
        with self._ledger.lock:
            thread = self._written(id, place.get(PRINCIPAL, ""))
            keys = [(id, ns, channel, version) for channel, version in new_versions.items()]
            before = self._size(keys, id, ns, checkpoint["id"])
            thread.blobs.update(keys)
            try:
                return super().put(config, checkpoint, metadata, new_versions)
            finally:  # of a checkpoint with a value that cannot be saved, the others are kept
                self._count(thread, self._size(keys, id, ns, checkpoint["id"]) - before)
                self._make_room(id)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save the writes of a task, and let go what there is no room for."""
        place = config["configurable"]
        id = place["thread_id"]
        key = (id, place.get("checkpoint_ns", ""), place["checkpoint_id"])
        with self._ledger.lock:
            thread = self._written(id, place.get(PRINCIPAL, ""))
            names = {
                (task_id, WRITES_IDX_MAP.get(channel, index)) for index, (channel, _) in enumerate(writes)
            }
            before = self._size_of_writes(key, names)
            thread.writes.add(key)
            try:
                super().put_writes(config, writes, task_id, task_path)
            finally:
                self._count(thread, self._size_of_writes(key, names) - before)
                self._make_room(id)

    def delete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread."""
        ledger = self._ledger
        with ledger.lock:
            thread = ledger.threads.pop(thread_id, None)
            if thread is None:
                return
            self._count(thread, -thread.bytes)
            del ledger.of[thread.principal][thread_id]
            if not ledger.of[thread.principal]:
                del ledger.of[thread.principal], ledger.bytes_of[thread.principal]
            self.storage.pop(thread_id, None)
            for key in thread.writes:
                self.writes.pop(key, None)
            for blob in thread.blobs:
                self.blobs.pop(blob, None)

    def _written(self, thread_id: str, principal: str) -> _Thread:
        ledger = self._ledger
        thread = ledger.threads.get(thread_id)
        if thread is None:
            thread = ledger.threads[thread_id] = _Thread(0, principal)
            ledger.of.setdefault(principal, OrderedDict())[thread_id] = None
        self._used(thread_id, thread)
        return thread

    def _used(self, thread_id: str, thread: _Thread) -> None:
        thread.used_at = self._clock()
        self._ledger.threads.move_to_end(thread_id)
        self._ledger.of[thread.principal].move_to_end(thread_id)

    def _count(self, thread: _Thread, bytes: int) -> None:
        thread.bytes += bytes
        self._ledger.bytes += bytes
        self._ledger.bytes_of[thread.principal] += bytes

    def _size(self, keys: Sequence[Any], id: str, ns: str, checkpoint: str) -> int:
        size = sum(len(self.blobs[key][1]) + _ENTRY_BYTES for key in keys if key in self.blobs)
        saved = self.storage[id][ns].get(checkpoint)
        return size if saved is None else size + len(saved[0][1]) + len(saved[1][1]) + _ENTRY_BYTES

    def _size_of_writes(self, key: tuple[str, str, str], names: set[tuple[str, int]]) -> int:
        kept = self.writes.get(key, {})
        return sum(len(kept[name][2][1]) + _ENTRY_BYTES for name in names if name in kept)

    # ── letting go ───────────────────────────────────────────────────────────────────────────────

    def _is_old(self, thread: _Thread) -> bool:
        return self._limits.ttl_s is not None and thread.used_at + self._limits.ttl_s < self._clock()

    def _make_room(self, but: str) -> None:
        """Let idle threads go until the limit is met; of all but one, which is being written."""
        self._drop_old()
        ledger, limit, looks = self._ledger, self._limits.bytes, _LOOKS
        largest = ledger.above_their_share(limit) if ledger.bytes > limit else []
        while largest and looks and ledger.bytes > limit:
            principal = heapq.heappop(largest)[1]
            if ledger.bytes_of[principal] <= ledger.share(limit):
                break  # the share has grown: somebody has no threads any more
            # Some looks are left for the next largest: all of these threads may be in use.
            for thread in list(islice(ledger.of[principal], (looks + 1) // 2)):
                if thread == but:
                    continue
                looks -= 1
                if self._look_at(thread, "too_many_bytes"):
                    heapq.heappush(largest, (-ledger.bytes_of[principal], principal))
                    break
        self._log()

    def _drop_old(self) -> None:
        threads = self._ledger.threads
        while threads and self._is_old(threads[oldest := next(iter(threads))]):
            self._look_at(oldest, "too_old")

    def _look_at(self, thread_id: str, reason: str) -> bool:
        """Let a thread go unless it is in use; tell whether it went."""
        if self._is_in_use(thread_id):
            self._used(thread_id, self._ledger.threads[thread_id])  # to the end of the line
            return False
        self._let_go(thread_id, reason)
        return True

    def _let_go(self, thread_id: str, reason: str) -> None:
        self.delete_thread(thread_id)
        self._ledger.let_go[reason] += 1
        self._on_let_go(thread_id)

    def _log(self) -> None:
        ledger, now = self._ledger, self._clock()
        if not any(ledger.let_go.values()) or now < ledger.logged_at + _LOG_EVERY_S:
            return
        log.warning(
            "let go idle threads that were kept in memory; a checkpointer with a database keeps them, "
            "or raise thread_bytes or thread_ttl_s ([server])",
            **ledger.let_go,
            kept=len(ledger.threads),
            kept_bytes=ledger.bytes,
            thread_bytes=self._limits.bytes,
        )
        ledger.let_go = dict.fromkeys(ledger.let_go, 0)
        ledger.logged_at = now
