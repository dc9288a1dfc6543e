"""How events merge into a state: a log's base, and every snapshot made of it."""

from collections.abc import Iterator
from typing import Any

import orjson
from graphwire_protocol.deltas import add_delta
from graphwire_protocol.filters import NOTHING, UNCONSTRAINED, Address, Matcher
from graphwire_protocol.types import TERMINAL, Seq

from graphwire_gateway.log.record import Record

_ROOT = Address("values")
_LOST_ADDRESSES = 4096  # remembered one by one; beyond them only the mode of a lost event is


class _MessageFold:
    """A message while its deltas add up. Text stays in pieces until it is read."""

    __slots__ = ("_fields", "_text", "address", "id", "meta", "size", "upto")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.id = ""
        self.meta: bytes | None = None
        self.upto: Seq = 0
        self.size = 0  # of the records in it
        self._fields: dict[str, Any] = {}
        self._text: list[str] = []

    def copy(self) -> "_MessageFold":
        other = _MessageFold(self.address)
        other.id, other.meta, other.size, other.upto = self.id, self.meta, self.size, self.upto
        other._fields, other._text = self._fields, list(self._text)
        return other

    def add(self, data: dict[str, Any], upto: Seq) -> None:
        self.id, self.upto = data["id"], upto
        if "message" in data:
            self._fields, self._text = data["message"], []
            return
        delta = data["delta"]
        delta.pop("id", None)  # the chunk's own
        content = delta.get("content")
        if isinstance(content, str) and self._fields and len(delta) == 1 + ("type" in delta):
            self._text.append(content)
            return
        self._fields = add_delta(self.fields, delta)

    @property
    def fields(self) -> dict[str, Any]:
        if self._text:
            self._fields = add_delta(self._fields, {"content": "".join(self._text)})
            self._text = []
        return self._fields


class Fold:
    """What the first ``upto`` events of a log add up to: status, root values, messages, open interrupts.

    ``lost`` names events that no snapshot brings back.
    """

    def __init__(self) -> None:
        self.upto: Seq = 0
        self.status = "queued"
        self._values: bytes | None = None
        self._messages: dict[str, list[_MessageFold]] = {}
        """By a call's key: its message. A whole message that came again from elsewhere is a second one, so
        that every filter finds the last one that it admits."""
        self._interrupts: list[dict[str, Any]] = []
        self._lost: dict[Address, Seq] = {}
        self._lost_anywhere: dict[str, Seq] = {}
        self.size = 0
        """Bytes held, as far as they grow with the log."""

    def copy(self) -> "Fold":
        """Return an independent copy."""
        other = Fold()
        other.upto, other.status, other._values = self.upto, self.status, self._values
        other._messages = {
            key: [message.copy() for message in messages] for key, messages in self._messages.items()
        }
        other._interrupts, other._lost = list(self._interrupts), dict(self._lost)
        other._lost_anywhere = dict(self._lost_anywhere)
        other.size = self.size
        return other

    def add(self, record: Record) -> None:
        """Fold in the next event."""
        self.upto += 1
        address = record.address
        match address.mode:
            case "messages":
                self._add_message(record)
            case "lifecycle":
                data = orjson.loads(record.data)
                self.status = data["status"]
                for key in data.get("discard", ()):
                    self._take_back(key)
                if self.status == "running" or self.status in TERMINAL:
                    self._interrupts = []
            case "interrupt":
                self._interrupts = orjson.loads(record.data)["interrupts"]
            case "values" if not address.ns:
                self.size += len(record.data) - len(self._values or b"")
                self._values = record.data
            case _:
                self._lose(address)

    def _add_message(self, record: Record) -> None:
        data = orjson.loads(record.data)
        if "$cut" in data:  # the event was too large
            self._lose(record.address)
            return
        if data.get("discard"):
            self._take_back(data.get("call", data["id"]))
            return
        messages = self._messages.setdefault(data.get("call", data["id"]), [])
        message = next((one for one in messages if one.address == record.address), None)
        if message is None:
            message = _MessageFold(record.address)
            messages.append(message)
        before = message.size
        if not before or "message" in data:  # it begins, or replaces what was there
            message.size = record.size + len(record.meta or b"")
        else:
            message.size += len(record.data)
        self.size += message.size - before
        message.add(data, self.upto)
        message.meta = record.meta

    def _take_back(self, key: str) -> None:
        self.size -= sum(message.size for message in self._messages.pop(key, ()))

    def _lose(self, address: Address) -> None:
        if len(self._lost) >= _LOST_ADDRESSES and address not in self._lost:
            self._lost_anywhere[address.mode] = self.upto
            return
        self._lost[address] = self.upto

    def lost(self, matcher: Matcher, after: Seq) -> list[str]:
        """Return the modes with events between ``after`` and ``upto``, admitted by ``matcher``, that a
        snapshot cannot bring back.
        """
        modes = {
            address.mode for address, seq in self._lost.items() if seq > after and matcher.admits(address)
        }
        anywhere = {mode for mode, seq in self._lost_anywhere.items() if seq > after}
        return sorted((modes | anywhere.intersection(matcher.filter.modes)) - UNCONSTRAINED)

    def snapshot(self, matcher: Matcher) -> dict[str, Any]:
        """Return the fields of a ``snapshot`` frame as the filter shows them, without ``sub``."""
        out: dict[str, Any] = {"seq": self.upto, "status": self.status}
        if self._values is not None and matcher.admits(_ROOT):
            if matcher.keys is None:
                out["values"] = orjson.Fragment(self._values)
            else:
                values = matcher.project("values", orjson.loads(self._values))
                if values is not NOTHING:
                    out["values"] = values
        out["messages"] = list(self._rows(matcher))
        out["interrupts"] = self._interrupts
        return out

    def _rows(self, matcher: Matcher) -> Iterator[dict[str, Any]]:
        for key, messages in self._messages.items():
            admitted = [message for message in messages if matcher.admits(message.address)]
            if admitted:
                yield _row(key, max(admitted, key=lambda message: message.upto))


def _row(key: str, message: _MessageFold) -> dict[str, Any]:
    address = message.address
    row: dict[str, Any] = {"id": message.id}
    if key != message.id:
        row["call"] = key
    row["ns"] = address.ns
    if address.node is not None:
        row["node"] = address.node
    row["message"] = message.fields
    if message.meta is not None:
        row["meta"] = orjson.Fragment(message.meta)
    return row
