"""What runs take of ``store_bytes``: logs, and beside those requests, results and private threads."""

from typing import Protocol

from graphwire_gateway.log.store import Store


class Holder(Protocol):
    """A run, as far as it is counted."""

    key: str

    @property
    def held_bytes(self) -> int:
        """What is kept of it beside its log."""
        ...


class Holdings:
    """Counts what all runs take, next to what ``store`` holds, against ``limit`` bytes."""

    def __init__(self, store: Store, limit: int) -> None:
        self.beside_logs = 0
        """Bytes that are kept of all runs beside their logs."""
        self._store = store
        self._limit = limit
        self._sizes: dict[str, int] = {}

    def count(self, run: Holder) -> None:
        """Count what is kept of the run now."""
        size = run.held_bytes
        self.beside_logs += size - self._sizes.get(run.key, 0)
        self._sizes[run.key] = size

    def drop(self, run: Holder) -> None:
        """Nothing is kept of the run any more."""
        self.beside_logs -= self._sizes.pop(run.key, 0)

    @property
    def excess(self) -> int:
        """The bytes by which all of it exceeds the limit; not above 0 if it does not."""
        return self._store.size + self.beside_logs - self._limit
