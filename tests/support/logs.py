"""A log and a store without a committer between them: the test says when what is written is stored."""

from typing import Any

import orjson
from graphwire_gateway.log.log import UNCHANGED, Changes, Log
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import Batch
from graphwire_protocol.filters import Address
from graphwire_protocol.types import Status


class LogWriter:
    """Writes a log into a store, and owns it."""

    def __init__(self, store: Any, key: str, epoch: str = "e") -> None:
        self.store = store
        self.log = Log(key, key, epoch, self, commit=lambda log: None)

    def stored(self, batch: Batch) -> None: ...

    def sealed(self) -> None: ...

    def changes(self) -> Changes:
        return UNCHANGED

    def lost(self, *, is_taken: bool) -> None: ...

    async def create(self) -> "LogWriter":
        await self.store.create(self.log.key, self.log.epoch)
        self.store.tail(self.log.key, self.log.grow)
        return self

    async def write(self, *items: tuple[str, Any]) -> None:
        """Store events, each of a mode and its data."""
        await self.store_records([event(mode, data) for mode, data in items])

    async def store_records(self, records: list[Record]) -> None:
        self.log.append(records)
        batch = self.log.batch()
        assert batch is not None
        await self.store.append([batch])
        self.log.stored(batch)

    async def customs(self, count: int) -> None:
        """Store so many custom events, the data of each is the seq before it."""
        first = self.log.head
        await self.write(*(("custom", first + number) for number in range(count)))

    async def end(self, status: Status = "completed") -> None:
        """Store the terminal event."""
        self.log.seal(status)
        await self.write(("lifecycle", {"status": status, "attempt": 1, "at": "t"}))


def event(mode: str, data: Any) -> Record:
    """Return an event of that mode at the root."""
    head = b'"mode":"%s","data":' % mode.encode()
    body = head + orjson.dumps(data)
    return Record(Address(mode), body, len(head), len(body))
