"""The file of a SQLite store: its schema, its lock, and each thing that is done to it, as one transaction.

A log's records lie in chunks of at most ``_CHUNK``, so that a token costs one row and a long log few. A
chunk's id is made of its log's id and its first seq: one tree has all chunks in the order of reading.

Two connections, each for one thread: whatever writes has the first, and what reads the second, so that a long
replay holds up no append. A file beside the database is locked as long as the store is open, because two
processes that write one log would each believe in their own seqs.

Long because each thing that is done to the file is one transaction, and all of them share its schema.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graphwire_protocol.types import Seq

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.boot import boot_id
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.packed import packed, unpacked
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import Damaged, StoreAway

Synchronous = Literal["normal", "full"]

_APPLICATION = 0x67726177  # "graw", by which a file is known to be ours
_SEQ_BITS = 31  # of a chunk's id
_CHUNK = 64
_LOCK_S = 5.0  # a server that restarts may still hold the file

_MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE logs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run TEXT NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        start BLOB,
        standing BLOB,
        evicted INTEGER NOT NULL DEFAULT 0,
        base BLOB,
        base_size INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        size INTEGER NOT NULL,
        at REAL NOT NULL,
        data BLOB NOT NULL
    );
    CREATE TABLE threads (saved TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE opened (boot TEXT NOT NULL, is_clean INTEGER NOT NULL);
    """,
)
"""What makes a file of each version one of the next. A change of the schema adds one."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log as the file has it. ``size`` counts the records behind ``evicted``, ``base_size`` the base."""

    id: int
    run: str
    epoch: str
    evicted: Seq
    count: int
    size: int
    base_size: int
    start: bytes
    standing: bytes | None


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold did: how many records, of what size, went into the base, and how large that is now."""

    count: int
    size: int
    base_size: int


class Database:
    """The file ``path``, which is made if there is none. Raises ``CannotServe``.

    With ``synchronous`` ``full``, what was written survives a loss of power, else a crash of the process.
    After a loss of power that may have cost something, each log has a new epoch, made by ``new_epoch``.
    """

    def __init__(self, path: Path, synchronous: Synchronous, new_epoch: Callable[[], str]) -> None:
        self.path = Path(os.path.realpath(path))
        self.renewed = 0
        """How many logs have a new epoch, since a loss of power may have cost their last events."""
        with contextlib.ExitStack() as stack, _explained(self.path):
            self._lock = stack.enter_context(contextlib.closing(_locked(self.path)))
            self._writing = stack.enter_context(contextlib.closing(_connected(self.path)))
            if self._writing.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
                raise CannotServe(
                    f"{self.path} cannot be written as a log of its own beside it (WAL); is it on a disk?"
                )
            self._writing.execute(f"PRAGMA synchronous={synchronous.upper()}")
            self._migrate()
            self._reading = stack.enter_context(contextlib.closing(_connected(self.path)))
            self._identities = {path: _identity(path) for path in (self.path, _beside(self.path, "wal"))}
            self._note_opened(synchronous, new_epoch)
            # What was noted is in the file itself from here on: a loss of power may cost the log beside it.
            self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            stack.pop_all()

    def _migrate(self) -> None:
        version: int = self._writing.execute("PRAGMA user_version").fetchone()[0]
        owner = self._writing.execute("PRAGMA application_id").fetchone()[0]
        is_empty = self._writing.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if owner != _APPLICATION and not is_empty:
            raise CannotServe(
                f"{self.path} is a SQLite database, and not one of graphwire's; name another file"
            )
        if version > len(_MIGRATIONS):
            raise CannotServe(
                f"{self.path} was written by a newer graphwire (schema {version}; this version knows "
                f"{len(_MIGRATIONS)}); use that version, or another file"
            )
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            self._writing.executescript(
                f"BEGIN IMMEDIATE; {script} PRAGMA application_id={_APPLICATION}; "
                f"PRAGMA user_version={number}; COMMIT"
            )

    def _note_opened(self, synchronous: Synchronous, new_epoch: Callable[[], str]) -> None:
        boot = boot_id()
        with self._transaction() as writing:
            before = writing.execute("SELECT boot, is_clean FROM opened").fetchone()
            if before is not None and before[0] != boot and not before[1]:
                # The machine went down while the file was open: the last transactions may be gone.
                ids = writing.execute("SELECT id FROM logs").fetchall()
                self.renewed = len(ids)
                writing.executemany(
                    "UPDATE logs SET epoch = ? WHERE id = ?", [(new_epoch(), id) for (id,) in ids]
                )
            writing.execute("DELETE FROM opened")
            writing.execute("INSERT INTO opened VALUES (?, ?)", (boot, synchronous == "full"))

    def _check_there(self) -> None:
        # SQLite would go on with files that nobody will ever find. Raises ``StoreAway``.
        for path, identity in self._identities.items():
            try:
                found = _identity(path)
            except OSError as error:
                raise StoreAway(f"{path} cannot be found any more: {error}") from error
            if found != identity:
                raise StoreAway(f"{path} is another file than the one that was opened")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._check_there()
        self._writing.execute("BEGIN IMMEDIATE")
        try:
            yield self._writing
            self._writing.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._writing.execute("ROLLBACK")
            raise

    # ── on the thread that writes ────────────────────────────────────────────────────────────────

    def append(
        self,
        new: Iterable[tuple[int, str, str, bytes | None]],
        records: Iterable[tuple[int, Seq, Sequence[Record]]],
        standings: Iterable[tuple[bytes | None, bytes | None, int]],
        at: float,
    ) -> None:
        """Begin logs, ``(log, run, epoch, start)``; append to them and others, ``(log, first seq, records)``;
        and set ``(standing, start, log)``.
        """
        chunks = [
            _chunk(log, first + start, batch[start : start + _CHUNK], at)
            for log, first, batch in records
            for start in range(0, len(batch), _CHUNK)
        ]
        with self._transaction() as writing:
            # OR REPLACE: what was written, and not known to be, is written again.
            if new:
                writing.executemany(
                    "INSERT OR REPLACE INTO logs (id, run, epoch, start) VALUES (?, ?, ?, ?)", new
                )
            writing.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?)", chunks)
            writing.executemany(
                "UPDATE logs SET standing = coalesce(?, standing), start = coalesce(?, start) WHERE id = ?",
                standings,
            )

    def fold(self, log: int, stop: Callable[[int, float], bool], limit: int) -> Folded | None:
        """Fold the oldest records of a log into its base, which then holds at most ``limit`` bytes.

        ``stop(size, at)`` is asked before each record, with its size and when it was appended. None if there
        is no such log. Raises ``Damaged``.
        """
        with self._transaction() as writing, _readable():
            base = self._base(writing, log)
            if base is None:
                return None
            before, size, rest, last = base.upto, 0, None, None
            chunks = writing.execute(
                "SELECT id, at, data FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id", _ids(log)
            )
            for id, at, data in chunks:
                if id != _id(log, base.upto + 1):
                    raise ValueError(f"events behind seq {base.upto} are missing")
                records = unpacked(data)
                count = 0
                for record in records:
                    if stop(record.size, at):
                        break
                    count += 1
                    size += record.size
                    base.add(record)
                    if base.size > limit:
                        base.shrink(limit)
                if count:
                    last = id
                if count < len(records):
                    rest = _chunk(log, base.upto + 1, records[count:], at) if count else None
                    break
            chunks.close()  # before what it walks over changes
            if last is not None:
                writing.execute("DELETE FROM chunks WHERE id BETWEEN ? AND ?", (_id(log, 0), last))
            if rest is not None:
                writing.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?)", rest)
            self._set_base(writing, log, base)
        return Folded(base.upto - before, size, base.size)

    def shrink(self, log: int, limit: int) -> Folded | None:
        """Let the base of a log hold at most ``limit`` bytes. None if there is no such log.

        Raises ``Damaged``.
        """
        with self._transaction() as writing, _readable():
            base = self._base(writing, log)
            if base is None:
                return None
            base.shrink(limit)
            self._set_base(writing, log, base)
        return Folded(0, 0, base.size)

    def _set_base(self, writing: sqlite3.Connection, log: int, base: Fold) -> None:
        writing.execute(
            "UPDATE logs SET base = ?, base_size = ?, evicted = ? WHERE id = ?",
            (base.dump(), base.size, base.upto, log),
        )

    def delete(self, logs: Iterable[int]) -> None:
        """Delete logs."""
        with self._transaction() as writing:
            for log in logs:
                writing.execute("DELETE FROM logs WHERE id = ?", (log,))
                writing.execute("DELETE FROM chunks WHERE id BETWEEN ? AND ?", _ids(log))

    def keep_thread(self, thread: str, data: bytes | None) -> None:
        """Keep something of a thread, or nothing any more."""
        with self._transaction() as writing:
            if data is None:
                writing.execute("DELETE FROM threads WHERE saved = ?", (thread,))
            else:
                writing.execute("INSERT OR REPLACE INTO threads VALUES (?, ?)", (thread, data))

    def close(self) -> None:
        """Close the file, and note that nothing is missing."""
        with contextlib.suppress(sqlite3.Error, StoreAway):
            with self._transaction() as writing:
                writing.execute("UPDATE opened SET is_clean = 1")
            self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for connection in (self._reading, self._writing, self._lock):
            connection.close()

    # ── on the thread that reads ─────────────────────────────────────────────────────────────────

    def rows(self) -> list[LogRow]:
        """Return all logs, the oldest first. Raises ``CannotServe`` for a damaged file."""
        with _explained(self.path):
            return self._rows()

    def _rows(self) -> list[LogRow]:
        totals = {
            log: (end - 1 - _id(log, 0), size)
            for log, end, size in self._reading.execute(
                f"SELECT id >> {_SEQ_BITS}, max(id + count), sum(size) FROM chunks GROUP BY 1"
            )
        }
        rows = self._reading.execute(
            "SELECT id, run, epoch, evicted, base_size, start, standing FROM logs ORDER BY id"
        )
        return [
            LogRow(id, run, epoch, evicted, head - evicted, size, base_size, start or b"", standing)
            for id, run, epoch, evicted, base_size, start, standing in rows
            for head, size in (totals.get(id, (evicted, 0)),)
        ]

    def next_id(self) -> int:
        """Return an id that no log has had, nor any that is greater."""
        row = self._reading.execute("SELECT seq FROM sqlite_sequence WHERE name = 'logs'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def threads(self) -> dict[str, bytes]:
        """Return what is kept of threads, by their ids. Raises ``CannotServe`` for a damaged file."""
        with _explained(self.path):
            return dict(self._reading.execute("SELECT saved, data FROM threads"))

    def read(self, log: int, after: Seq, limit: int) -> tuple[Seq, list[Record]] | None:
        """Return the last evicted seq, and at most ``limit`` records behind ``after``, of what is kept.

        None if there is no such log. Raises ``Damaged``.
        """
        with _readable():
            return self._read(log, after, limit)

    def _read(self, log: int, after: Seq, limit: int) -> tuple[Seq, list[Record]] | None:
        reading = self._reading
        reading.execute("BEGIN")
        try:
            row = reading.execute("SELECT evicted FROM logs WHERE id = ?", (log,)).fetchone()
            if row is None:
                return None
            records: list[Record] = []
            if after >= row[0] and limit > 0:
                for first, data in reading.execute(
                    "SELECT id, data FROM chunks WHERE id BETWEEN ? AND ? AND id + count > ? ORDER BY id",
                    (_id(log, max(after + 2 - _CHUNK, 0)), _ids(log)[1], _id(log, after + 1)),
                ):
                    seq = first - _id(log, 0)
                    if seq > after + 1 + len(records):
                        raise ValueError(f"events behind seq {after + len(records)} are missing")
                    records += unpacked(data)[after + 1 + len(records) - seq :]
                    if len(records) >= limit:
                        break
            return row[0], records[:limit]
        finally:
            reading.execute("COMMIT")

    def base(self, log: int) -> Fold | None:
        """Return what the evicted records fold to. None if there is no such log. Raises ``Damaged``."""
        with _readable():
            return self._base(self._reading, log)

    def _base(self, connection: sqlite3.Connection, log: int) -> Fold | None:
        row = connection.execute("SELECT base, evicted FROM logs WHERE id = ?", (log,)).fetchone()
        if row is None:
            return None
        base = Fold() if row[0] is None else Fold.load(row[0])
        if base.upto != row[1]:
            raise ValueError(f"what is evicted up to seq {row[1]} folds up to seq {base.upto}")
        return base


def _chunk(log: int, first: Seq, records: Sequence[Record], at: float) -> tuple[int, int, int, float, bytes]:
    return _id(log, first), len(records), sum([record.size for record in records]), at, packed(records)


def _id(log: int, seq: Seq) -> int:
    return (log << _SEQ_BITS) | seq


def _ids(log: int) -> tuple[int, int]:
    """Return the first and the last id that a chunk of a log can have."""
    return _id(log, 0), _id(log + 1, 0) - 1


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}-{name}")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Say ``Damaged`` of what cannot be read; what may be read later is no damage."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, ValueError, TypeError, LookupError) as error:
        raise Damaged(str(error)) from error


def _connected(path: Path) -> sqlite3.Connection:
    # Each connection is used by one thread at a time; it is made on another one.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_LOCK_S)


def _locked(path: Path) -> sqlite3.Connection:
    """Lock the file beside ``path``, as long as the connection is open. Raises ``CannotServe``."""
    lock = sqlite3.connect(
        _beside(path, "lock"), isolation_level=None, check_same_thread=False, timeout=_LOCK_S
    )
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise CannotServe(
            f"{path} is open in another process, and a SQLite store serves one: stop that one, or name "
            "another file"
        ) from error
    return lock


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise CannotServe(f"the store {path} cannot be opened: {_cause(path) or error}") from error


def _cause(path: Path) -> str:
    """Return why there can be no such file, as far as that is known; SQLite says the same of all causes."""
    if path.is_dir():
        return "it is a folder"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if not os.access(path.parent, os.W_OK):
        return f"the folder {path.parent} cannot be written"
    return ""
