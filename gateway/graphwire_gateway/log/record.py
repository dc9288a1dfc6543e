"""A record: one event of a log, encoded once."""

from collections.abc import Sequence

import orjson
from graphwire_protocol.base import Wire
from graphwire_protocol.filters import Address
from graphwire_protocol.types import Seq

RECORD_OVERHEAD = 160
"""What a record is counted for beyond its bytes: the object itself and its entry in the log."""


class Record:
    """One event of a log, encoded once.

    ``body`` is the JSON of an event's fields from ``mode`` on, without braces; its ``data`` is
    ``body[start:stop]``. ``meta`` is a message's metadata as JSON. For a delta, ``call`` is the key of the
    call of a model that it belongs to, and ``previous`` the seq of that call's delta before it (0 if it is
    the first). By ``previous``, delivery knows without a set whether an attachment has sent the metadata
    already; with a whole message it is always sent.
    """

    __slots__ = ("address", "body", "call", "meta", "previous", "size", "start", "stop")

    def __init__(
        self,
        address: Address,
        body: bytes,
        start: int,
        stop: int,
        call: str | None = None,
        meta: bytes | None = None,
    ) -> None:
        self.address = address
        self.body = body
        self.start = start
        self.stop = stop
        self.call = call
        self.meta = meta
        self.previous: Seq = 0
        self.size = len(body) + RECORD_OVERHEAD
        """What the record counts in bytes."""

    def body_with(self, data: bytes) -> bytes:
        """Return ``body`` with other ``data``."""
        return self.body[: self.start] + data + self.body[self.stop :]

    @property
    def data(self) -> bytes:
        """The JSON of the event's ``data``."""
        return self.body[self.start : self.stop]


def first_of(records: Sequence[Record], most_bytes: int) -> tuple[Sequence[Record], int]:
    """Return the first of ``records``, one at least, of about ``most_bytes``, and their bytes."""
    size = 0
    for number, record in enumerate(records, 1):
        size += record.size
        if size > most_bytes:
            return records[:number], size
    return records, size


_ADDRESSES = {mode: Address(mode) for mode in ("lifecycle", "interrupt")}


def server_record(mode: str, data: Wire) -> Record:
    """Return the record of an event that the server itself adds: ``lifecycle`` or ``interrupt``."""
    prefix = b'"mode":"%s","data":' % mode.encode()
    body = prefix + orjson.dumps(data.to_wire())
    return Record(_ADDRESSES[mode], body, len(prefix), len(body))
