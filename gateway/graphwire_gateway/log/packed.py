"""Records as bytes, for stores that outlive the process: many records of one log are one text.

Behind four bytes with its length comes a head in JSON, ``[addresses, metas, records]``, and behind that the
metadata and the bodies, one after another. A body is kept as clients get it, and is never parsed here.
"""

from collections.abc import Sequence

import orjson
from graphwire_protocol.filters import Address

from graphwire_gateway.log.addresses import address_of, fields_of, known
from graphwire_gateway.log.record import Record

_LENGTH = 4  # bytes


def packed(records: Sequence[Record]) -> bytes:
    """Return records as bytes. From now on each has the address that ``addresses.known`` returns for it."""
    addresses: dict[Address, int] = {}
    metas: dict[int, int] = {}  # by the id of the object, which the deltas of one call share
    meta_texts: list[bytes] = []
    rows = []
    for record in records:
        index = addresses.get(record.address)
        if index is None:
            record.address = known(record.address)
            index = addresses.setdefault(record.address, len(addresses))
        meta = -1
        if record.meta is not None:
            meta = metas.setdefault(id(record.meta), len(meta_texts))
            if meta == len(meta_texts):
                meta_texts.append(record.meta)
        rows.append([index, meta, len(record.body), record.start, record.stop, record.call, record.previous])
    head = orjson.dumps([[fields_of(address) for address in addresses], list(map(len, meta_texts)), rows])
    return b"".join(
        [
            len(head).to_bytes(_LENGTH, "big"),
            head,
            *meta_texts,
            *[record.body for record in records],
        ]
    )


def unpacked(data: bytes) -> list[Record]:
    """Return the records that ``packed`` made ``data`` of. Of other bytes it raises something."""
    at = _LENGTH + int.from_bytes(data[:_LENGTH], "big")
    address_rows, meta_sizes, rows = orjson.loads(data[_LENGTH:at])
    addresses = [address_of(fields) for fields in address_rows]
    metas = []
    for size in meta_sizes:
        metas.append(data[at : at + size])
        at += size
    records = []
    for index, meta, size, start, stop, call, previous in rows:
        body = data[at : at + size]
        at += size
        record = Record(addresses[index], body, start, stop, call, None if meta < 0 else metas[meta])
        record.previous = previous
        records.append(record)
    if at != len(data):
        raise ValueError(f"{len(data)} bytes, and {at} were written")
    return records
