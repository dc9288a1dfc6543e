"""Values as patches: the state that a subscription got last for each namespace, and the difference from it.

Without ``keys`` a difference is computed once for all readers and kept with its record; with ``keys``, once
for each subscription.
"""

from collections.abc import Sequence

import orjson
from graphwire_protocol.filters import NOTHING, Matcher
from graphwire_protocol.patches import difference
from graphwire_protocol.types import Namespace, Seq

from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import Store

_NAMESPACES = 256  # whose last state is remembered; another one gets a whole state next


class Patches:
    """The values events of one attachment, prepared a page at a time."""

    __slots__ = ("_bodies", "_sent")

    def __init__(self) -> None:
        self._sent: dict[Namespace, Seq] = {}
        self._bodies: dict[Seq, bytes | None] = {}

    def reset(self) -> None:
        """Send a whole state next for each namespace."""
        self._sent.clear()
        self._bodies.clear()

    def body(self, seq: Seq) -> bytes | None:
        """Return the body of the values event ``seq``; None if ``keys`` left nothing of it."""
        return self._bodies.get(seq)

    def sent(self, seq: Seq, ns: Namespace) -> None:
        """The values event ``seq`` is being sent."""
        self._sent.pop(ns, None)
        self._sent[ns] = seq
        if len(self._sent) > _NAMESPACES:
            del self._sent[next(iter(self._sent))]

    def release(self) -> None:
        """Drop the prepared bodies: the next turn may be long in coming."""
        self._bodies.clear()

    async def prepare(
        self, store: Store, run: str, matcher: Matcher, after: Seq, records: Sequence[Record]
    ) -> None:
        """Prepare the bodies of the values events among ``records``, the first of which is ``after + 1``."""
        sent = dict(self._sent)
        self._bodies.clear()
        for seq, record in enumerate(records, after + 1):
            address = record.address
            if address.mode != "values" or not matcher.admits(address):
                continue
            data = _projected(matcher, record)
            if data is None:
                self._bodies[seq] = None
                continue
            patch, base = b"", sent.get(address.ns)
            if base is not None and matcher.keys is None and record.patch is not None:
                known, patch = record.patch
                patch = patch if known == base else b""
            elif base is not None:
                old = records[base - after - 1] if base > after else await _record(store, run, base)
                patch = _difference(matcher, old, data)
                if matcher.keys is None:
                    record.patch = (base, patch)
            sent[address.ns] = seq
            self._bodies[seq] = _body(record, patch or data, base if patch else None)


def _projected(matcher: Matcher, record: Record) -> bytes | None:
    if matcher.keys is None:
        return record.data
    cut = matcher.project("values", orjson.loads(record.data))
    return None if cut is NOTHING else orjson.dumps(cut)


async def _record(store: Store, run: str, seq: Seq) -> Record | None:
    page = await store.read(run, seq - 1, 1)
    return page.records[0] if page.records else None  # None if it was evicted


def _difference(matcher: Matcher, old: Record | None, data: bytes) -> bytes:
    """Return the operations from ``old`` to ``data``; empty if the whole state is shorter."""
    before = None if old is None else _projected(matcher, old)
    if before is None:
        return b""
    patch = orjson.dumps(difference(orjson.loads(before), orjson.loads(data)))
    return patch if len(patch) < len(data) else b""


def _body(record: Record, data: bytes, base: Seq | None) -> bytes:
    body = record.body[: record.start] + data + record.body[record.stop :]
    return body if base is None else b'%s,"base":%d' % (body, base)
