"""One thread that the server knows: its runs, its metadata, and its row in lists and watches."""

from collections.abc import Mapping
from typing import Any

import orjson
from graphwire_protocol.replies import ThreadRow
from graphwire_protocol.types import TERMINAL, Status

from graphwire_gateway.execution.request import held_size
from graphwire_gateway.runs.clock import now
from graphwire_gateway.runs.details import StatusDetails
from graphwire_gateway.runs.row_watch import Key
from graphwire_gateway.runs.run import Run
from graphwire_gateway.scope import Scope

_OBJECT_BYTES = 1 << 10
"""What a thread with metadata counts beside it, about."""


class KnownThread:
    """One thread of ``principal``, which is "" for threads that all principals share.

    ``user`` used it last: its saver is asked for that principal. ``at`` is when it took its status, if that
    was before now.
    """

    has_ended = False  # so nothing of it makes room for others

    def __init__(self, scope: Scope, graph: str, principal: str, user: str, at: str | None = None) -> None:
        self.scope = scope
        self.graph = graph
        self.principal = principal
        self.user = user
        self.key = f"\0{scope.saved}"  # no run has such a key
        self.runs: dict[str, Run] = {}  # in the order of their creation
        self.metadata: Mapping[str, Any] = {}
        self.is_kept = False
        """Whether a request has made or named it: then it needs no run to be there."""
        self.is_saved = True
        """False once the saver has let go what it had of it."""
        self.reported: object = None
        """The version that watches have last."""
        self.created_at = self._rested_at = at or now()
        self._rest = StatusDetails("completed")  # without a run
        self._unshown: set[Run] = set()  # runs of which the store holds no status yet
        self._version = 0

    @property
    def id(self) -> Key:
        """Its key in watches."""
        return self.graph, self.scope.thread

    @property
    def thread(self) -> str:
        """The caller's name of it."""
        return self.scope.thread

    @property
    def held_bytes(self) -> int:
        """What is kept of it, in bytes."""
        return _OBJECT_BYTES + held_size(self.metadata) if self.is_kept else 0

    # ── its runs ─────────────────────────────────────────────────────────────────────────────────

    def add(self, run: Run) -> None:
        """Take a new run."""
        self.runs[run.key] = run
        self._unshown.add(run)

    def shown(self, run: Run) -> None:
        """Note that the store holds a status of a run."""
        self._unshown.discard(run)

    def drop(self, run: Run) -> None:
        """Forget a run."""
        del self.runs[run.key]
        self._unshown.discard(run)
        self.keep_numbering(run)
        if not self.runs and run.shown_status in TERMINAL:
            self.rest(run.shown_details)

    def keep_numbering(self, without: Run) -> None:
        """Let the store have the last number of its runs with another run than this one, which goes."""
        left = (run for run in reversed(self.runs.values()) if run is not without)
        heir = next((run for run in left if run.is_known and not run.is_deleted), None)
        if heir is not None:
            heir.keep_numbering()

    def take_runs(self, other: "KnownThread") -> "KnownThread":
        """Take the runs of the thread that had this name; return this one."""
        self.runs, self._unshown = other.runs, other._unshown
        return self

    @property
    def _latest(self) -> Run | None:
        return next((run for run in reversed(self.runs.values()) if run.is_known), None)

    @property
    def is_known(self) -> bool:
        """Whether others may see it: a kill does not take it back."""
        return self.is_kept or not self.runs or self._latest is not None

    @property
    def _latest_shown(self) -> Run | None:
        return next((run for run in reversed(self.runs.values()) if run not in self._unshown), None)

    # ── what requests and savers say of it ───────────────────────────────────────────────────────

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace its metadata. It is kept from now on."""
        self.metadata, self.is_kept = metadata, True
        self._version += 1

    def rest(self, details: StatusDetails) -> None:
        """Note its status as long as no run is known."""
        self._rest = details
        self._rested_at = max(self._rested_at, details.at)

    def began_at(self, at: str | None) -> None:
        """Note that it was there at a time, which may be before it was known here."""
        if at and at < self.created_at:
            self.created_at = at

    def dump(self) -> bytes:
        """Return what a store keeps of it."""
        return orjson.dumps(
            {
                "thread": self.thread,
                "graph": self.graph,
                "principal": self.principal,
                "user": self.user,
                "created_at": self.created_at,
                "at": self._rested_at,
                "metadata": self.metadata,
            }
        )

    @classmethod
    def load(cls, saved: str, data: bytes) -> "KnownThread":
        """Return the thread that ``dump`` was called for.

        Raises ``ValueError``, ``KeyError`` or ``TypeError``.
        """
        fields = orjson.loads(data)
        texts = [fields[name] for name in ("thread", "graph", "principal", "user", "created_at", "at")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(fields["metadata"], dict):
            raise ValueError("a thread's fields are texts, and its metadata an object")
        scope = Scope(saved, fields["thread"])
        thread = cls(scope, fields["graph"], fields["principal"], fields["user"], fields["at"])
        thread.began_at(fields["created_at"])
        thread.set_metadata(fields["metadata"])
        return thread

    # ── its row ──────────────────────────────────────────────────────────────────────────────────

    @property
    def updated_at(self) -> str:
        """When it took its status."""
        run = self._latest
        return self._rested_at if run is None else run.changed_at

    @property
    def shown_at(self) -> str:
        """When it took the last status that the store holds."""
        run = self._latest_shown
        return self._rested_at if run is None else run.shown_details.at

    @property
    def shown_status(self) -> Status:
        """The last status that the store holds."""
        run = self._latest_shown
        return self._rest.status if run is None else run.shown_status

    @property
    def shown_version(self) -> object:
        """Equal to an earlier one only if its row is the same."""
        run = self._latest_shown
        status = (self._rest, self._rested_at) if run is None else (run.id, run.shown_details)
        return status, self._version, self.created_at

    def row(self) -> ThreadRow:
        """Return its row as it is now."""
        run = self._latest
        return self._row(run, self._rest if run is None else run.details)

    def shown_row(self) -> ThreadRow:
        """Return its row with the last status that the store holds."""
        run = self._latest_shown
        return self._row(run, self._rest if run is None else run.shown_details)

    def _row(self, run: Run | None, details: StatusDetails) -> ThreadRow:
        return ThreadRow(
            graph=self.graph,
            thread=self.thread,
            status=details.status,
            updated_at=self._rested_at if run is None else details.at,
            created_at=self.created_at,
            run=None if run is None or not self.principal else run.id,
            interrupts=details.interrupts,
            questions=details.questions,
            metadata=dict(self.metadata) or None,
        )
