"""Values as patches: what a subscription was told last of each namespace, and the difference from there.

Without ``keys`` a difference is made once a run and kept with its record; with them, once a subscription.
"""

from collections.abc import Sequence

import orjson
from graphwire_protocol.filters import NOTHING, Matcher
from graphwire_protocol.patches import difference
from graphwire_protocol.types import Namespace, Seq

from graphwire_gateway.log.store import Record, Store

_NAMESPACES = 256  # whose last state is remembered; of another one the next state is told whole


class Patches:
    """The values events of one attachment, made ready a page at a time."""

    __slots__ = ("_bodies", "_told")

    def __init__(self) -> None:
        self._told: dict[Namespace, Seq] = {}
        self._bodies: dict[Seq, bytes | None] = {}

    def reset(self) -> None:
        """What was told before does not count any more: of each namespace a whole state comes next."""
        self._told.clear()
        self._bodies.clear()

    def body(self, seq: Seq) -> bytes | None:
        """Return the body of the values event ``seq``; None if ``keys`` left nothing of it."""
        return self._bodies.get(seq)

    def tell(self, seq: Seq, ns: Namespace) -> None:
        """The values event ``seq`` is being sent."""
        self._told.pop(ns, None)
        self._told[ns] = seq
        if len(self._told) > _NAMESPACES:
            del self._told[next(iter(self._told))]

    def release(self) -> None:
        """The turn is over: hold no bodies for one that may be long in coming."""
        self._bodies.clear()

    async def prepare(
        self, store: Store, run: str, matcher: Matcher, after: Seq, records: Sequence[Record]
    ) -> None:
        """Make the bodies of the values events among ``records``, the first of which is ``after + 1``."""
        told = dict(self._told)
        self._bodies.clear()
        for seq, record in enumerate(records, after + 1):
            address = record.address
            if address.mode != "values" or not matcher.admits(address):
                continue
            data = _projected(matcher, record)
            if data is None:
                self._bodies[seq] = None
                continue
            patch, base = b"", told.get(address.ns)
            if base is not None and matcher.keys is None and record.patch is not None:
                known, patch = record.patch
                patch = patch if known == base else b""
            elif base is not None:
                old = records[base - after - 1] if base > after else await _record(store, run, base)
                patch = _difference(matcher, old, data)
                if matcher.keys is None:
                    record.patch = (base, patch)
            told[address.ns] = seq
            self._bodies[seq] = _body(record, patch or data, base if patch else None)


def _projected(matcher: Matcher, record: Record) -> bytes | None:
    if matcher.keys is None:
        return record.data
    cut = matcher.project("values", orjson.loads(record.data))
    return None if cut is NOTHING else orjson.dumps(cut)


async def _record(store: Store, run: str, seq: Seq) -> Record | None:
    page = await store.read(run, seq - 1, 1)
    return page.records[0] if page.records else None  # else it was evicted


def _difference(matcher: Matcher, old: Record | None, data: bytes) -> bytes:
    """Return the operations from ``old`` to ``data``, or nothing where the whole state is shorter."""
    before = None if old is None else _projected(matcher, old)
    if before is None:
        return b""
    patch = orjson.dumps(difference(orjson.loads(before), orjson.loads(data)))
    return patch if len(patch) < len(data) else b""


def _body(record: Record, data: bytes, base: Seq | None) -> bytes:
    body = record.body[: record.start] + data + record.body[record.stop :]
    return body if base is None else b'%s,"base":%d' % (body, base)
