"""How events merge into a state: a log's base, and every snapshot made of it."""

from collections.abc import Iterator
from typing import Any

import orjson
from graphwire_protocol.deltas import MessageSum
from graphwire_protocol.filters import NOTHING, UNCONSTRAINED, Address, Matcher
from graphwire_protocol.types import TERMINAL, Seq

from graphwire_gateway.cutting import LEVELS, cut, question_slots, shrink
from graphwire_gateway.log.addresses import address_of, fields_of
from graphwire_gateway.log.record import RECORD_OVERHEAD, Record

_ROOT = Address("values")
_LOST_ADDRESSES = 4096  # remembered one by one; beyond them only the mode of a lost event is
_SMALL = 1024  # bytes of a message that cutting would not make much smaller
_SLACK = 8  # shrink by an eighth more than needed, so that it is not needed again at once


class _MessageFold:
    """A message while its deltas add up."""

    __slots__ = ("_sum", "address", "id", "is_cut", "meta", "size", "upto")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.id = ""
        self.meta: bytes | None = None
        self.upto: Seq = 0
        self.size = 0
        """Bytes, about."""
        self.is_cut = False
        """Whether it was too large to keep: its deltas change nothing."""
        self._sum: MessageSum | None = None  # until its first event

    def copy(self) -> "_MessageFold":
        other = _MessageFold(self.address)
        other.id, other.meta, other.upto = self.id, self.meta, self.upto
        other.size, other.is_cut = self.size, self.is_cut
        other._sum = MessageSum(self.fields)  # both have the same texts
        return other

    def dump(self) -> list[Any]:
        meta = None if self.meta is None else self.meta.decode()
        message = None if self._sum is None else self._sum.read()
        return [fields_of(self.address), self.id, self.upto, self.size, self.is_cut, meta, message]

    @classmethod
    def load(cls, fields: list[Any]) -> "_MessageFold":
        address, id, upto, size, is_cut, meta, message = fields
        made = cls(address_of(address))
        made.id, made.upto, made.size, made.is_cut = id, upto, size, is_cut
        made.meta = None if meta is None else meta.encode()
        made._sum = None if message is None else MessageSum(message)
        return made

    def add(self, data: dict[str, Any], upto: Seq, size: int) -> None:
        self.id, self.upto = data["id"], upto
        if "message" in data:
            self._sum = MessageSum(data["message"])
            self.size, self.is_cut = size + RECORD_OVERHEAD, False
            return
        if self.is_cut:
            return
        delta = data["delta"]
        delta.pop("id", None)  # the chunk's own
        if self._sum is None:
            self._sum = MessageSum({})
            self.size += RECORD_OVERHEAD
        elif isinstance(content := delta.get("content"), str) and len(delta) == 1 + ("type" in delta):
            self.size += len(content)
            self._sum.add_text(content)
            return
        self.size += size
        self._sum.add(delta)

    @property
    def fields(self) -> dict[str, Any]:
        return {} if self._sum is None else self._sum.read()

    def measure(self) -> None:
        """Find out how large it is: parts that came one by one counted for more."""
        if not self.is_cut:
            self.size = len(orjson.dumps(self.fields)) + len(self.meta or b"") + RECORD_OVERHEAD

    def cut(self) -> None:
        """Keep nothing of its content but its type and its size."""
        mark = {"$cut": {"reason": "size", "bytes": self.size}}
        kind = self.fields.get("type")
        self._sum = MessageSum({"type": kind, **mark} if isinstance(kind, str) else mark)
        self.is_cut = True
        self.size = len(orjson.dumps(self.fields)) + len(self.meta or b"") + RECORD_OVERHEAD


class Fold:
    """What the first ``upto`` events of a log add up to: status, root values, messages, open interrupts.

    ``lost`` names events that no snapshot brings back.
    """

    def __init__(self) -> None:
        self.upto: Seq = 0
        self.status = "queued"
        self._values: bytes | None = None
        self._messages: dict[str, dict[Address, _MessageFold]] = {}
        """By a call's key and where it is shown: its message. A whole message that came again from elsewhere
        is a second one, so that every filter finds the last one that it admits."""
        self._interrupts = b""  # a list; empty if nothing is asked
        self._lost: dict[Address, Seq] = {}
        self._lost_anywhere: dict[str, Seq] = {}
        self._has_dropped = False  # whether messages were dropped, of which deltas may still come
        self.size = 0
        """Bytes held, as far as they grow with the log; see ``shrink``."""

    def copy(self) -> "Fold":
        """Return an independent copy."""
        other = Fold()
        other.upto, other.status, other._values = self.upto, self.status, self._values
        other._messages = {
            key: {address: message.copy() for address, message in group.items()}
            for key, group in self._messages.items()
        }
        other._interrupts, other._lost = self._interrupts, dict(self._lost)
        other._lost_anywhere = dict(self._lost_anywhere)
        other.size, other._has_dropped = self.size, self._has_dropped
        return other

    def dump(self) -> bytes:
        """Return it as bytes, for stores that outlive the process."""
        return orjson.dumps(
            {
                "upto": self.upto,
                "status": self.status,
                "values": None if self._values is None else self._values.decode(),
                "messages": [
                    [key, [message.dump() for message in group.values()]]
                    for key, group in self._messages.items()
                ],
                "interrupts": self._interrupts.decode(),
                "lost": [[fields_of(address), seq] for address, seq in self._lost.items()],
                "lost_anywhere": self._lost_anywhere,
                "has_dropped": self._has_dropped,
                "size": self.size,
            }
        )

    @classmethod
    def load(cls, data: bytes) -> "Fold":
        """Return what ``dump`` made ``data`` of."""
        fields = orjson.loads(data)
        made = cls()
        made.upto, made.status, made.size = fields["upto"], fields["status"], fields["size"]
        made._values = None if fields["values"] is None else fields["values"].encode()
        for key, group in fields["messages"]:
            messages = map(_MessageFold.load, group)
            made._messages[key] = {message.address: message for message in messages}
        made._interrupts = fields["interrupts"].encode()
        made._lost = {address_of(address): seq for address, seq in fields["lost"]}
        made._lost_anywhere, made._has_dropped = fields["lost_anywhere"], fields["has_dropped"]
        return made

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
                    self._drop(key)
                if self.status == "running" or self.status in TERMINAL:
                    self._ask(b"")
            case "interrupt":
                self._ask(orjson.dumps(orjson.loads(record.data)["interrupts"]))
            case "values" if not address.ns:
                self.size += len(record.data) - len(self._values or b"")
                self._values = record.data
            case _:
                self._lose(address, self.upto)

    def _ask(self, questions: bytes) -> None:
        self.size += len(questions) - len(self._interrupts)
        self._interrupts = questions

    def _add_message(self, record: Record) -> None:
        data = orjson.loads(record.data)
        if "$cut" in data:  # the event was too large
            self._lose(record.address, self.upto)
            return
        if data.get("discard"):
            self._drop(data.get("call", data["id"]))
            return
        group = self._messages.setdefault(data.get("call", data["id"]), {})
        message = group.get(record.address)
        if message is None:
            if self._has_dropped and record.previous and "delta" in data:  # its beginning is not kept
                self._lose(record.address, self.upto)
                if not group:
                    del self._messages[data.get("call", data["id"])]
                return
            message = group[record.address] = _MessageFold(record.address)
        before = message.size
        message.add(data, self.upto, len(record.data))
        if message.is_cut:
            self._lose(message.address, self.upto)
        if message.meta != record.meta:
            message.meta = record.meta
            message.size += len(record.meta or b"")
        self.size += message.size - before

    def calls_behind(self, seq: Seq) -> list[str]:
        """Return the keys of the calls of models that said something behind ``seq``."""
        return [
            key
            for key, group in self._messages.items()
            if any(message.upto > seq for message in group.values())
        ]

    def _drop(self, key: str) -> None:
        self.size -= sum([message.size for message in self._messages.pop(key, {}).values()])

    def _lose(self, address: Address, seq: Seq) -> None:
        if len(self._lost) >= _LOST_ADDRESSES and address not in self._lost:
            mode = address.mode
            self._lost_anywhere[mode] = max(seq, self._lost_anywhere.get(mode, 0))
            return
        self._lost[address] = max(seq, self._lost.get(address, 0))

    def shrink(self, limit: int) -> None:
        """Hold at most ``limit`` bytes: of more, the largest messages are cut, and are ``lost``.

        If that is not enough, the oldest messages are dropped, the largest values are cut, and at last the
        largest of what is asked; only how that is answered always stays.
        """
        if self.size <= limit:
            return
        messages = [message for group in self._messages.values() for message in group.values()]
        for message in messages:
            message.measure()
        self._add_up()
        goal = limit - limit // _SLACK
        for message in sorted(messages, key=lambda message: -message.size):
            if self.size <= goal or message.size <= _SMALL:
                break
            if not message.is_cut:
                self.size -= message.size
                message.cut()
                self.size += message.size
                self._lose(message.address, message.upto)
        for key, group in list(self._messages.items()):
            if self.size <= goal:
                break
            for message in group.values():
                self._lose(message.address, message.upto)
            self._drop(key)
            self._has_dropped = True
        if self.size > goal and self._values is not None:
            left = max(goal - len(self._interrupts), goal // 2)
            self._values = cut(self._values, left, LEVELS["values"])
            self._add_up()
        if self.size > goal and self._interrupts:
            questions = orjson.loads(self._interrupts)
            shrink(question_slots(questions), self.size - goal)
            self._ask(orjson.dumps(questions))

    def _add_up(self) -> None:
        sizes = [message.size for group in self._messages.values() for message in group.values()]
        self.size = sum(sizes) + len(self._values or b"") + len(self._interrupts)

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
        out["interrupts"] = orjson.Fragment(self._interrupts or b"[]")
        return out

    def _rows(self, matcher: Matcher) -> Iterator[dict[str, Any]]:
        for key, group in self._messages.items():
            admitted = [message for message in group.values() if matcher.admits(message.address)]
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
