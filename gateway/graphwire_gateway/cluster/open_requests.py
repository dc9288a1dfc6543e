"""The requests of one client that homes have not answered completely, and what the gateway keeps of them."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphwire_protocol import commands

from graphwire_gateway.cluster.gathering import Answers, Frame


@dataclass(slots=True, eq=False)
class OpenRequest:
    """To which homes a request went, and what has to be done about it later."""

    command: Any
    shards: frozenset[int]
    answers: Answers | None = None
    """Those of several homes."""
    size: int = 0
    """Bytes that are kept of it, and behind it."""
    data: str | bytes | None = None
    """The frame, if it went to where its run was last known to be, and may have to go elsewhere."""
    credit: int = 0
    """What its subscription got meanwhile: it has to go there, too."""
    answered: asyncio.Event | None = None
    """Set when it is answered, if somebody waits for that."""
    noted: int | None = None
    """Of a start: in which shard it is noted to be, until it is answered."""
    has_reached: bool = False
    """Whether its home may have it, although there is no way to that home any more."""
    before: tuple[Frame, ...] = ()
    """What the client gets before the answer: a notice of what that leaves out."""
    behind: list[bytes] = field(default_factory=list)
    """What it gets behind it: refusals of later requests about the same subscription."""

    @property
    def missing(self) -> Iterable[int]:
        """The shards whose answers are missing."""
        return self.shards if self.answers is None else self.answers.missing

    def followed(self, answer: Frame) -> list[Frame]:
        """Return its answer, with what is to come behind it."""
        return [answer, *map(orjson.loads, self.behind)]


class OpenRequests:
    """The open requests in the order in which they came. ``kept_bytes`` is what is kept of all of them."""

    def __init__(self) -> None:
        self.kept_bytes = 0
        self._by_id: dict[int, OpenRequest] = {}
        self._leaving: dict[int, list[OpenRequest]] = {}  # the unsubscribes of each number

    def __iter__(self) -> Iterator[OpenRequest]:
        return iter(list(self._by_id.values()))

    def __contains__(self, id: int) -> bool:
        return id in self._by_id

    def get(self, id: int) -> OpenRequest | None:
        """Return the request with that id, if it is open."""
        return self._by_id.get(id)

    def add(self, asked: OpenRequest) -> OpenRequest:
        """Note one that is sent to homes."""
        self._by_id[asked.command.id] = asked
        self.kept_bytes += asked.size
        if isinstance(asked.command, commands.Unsubscribe):
            self._leaving.setdefault(asked.command.sub, []).append(asked)
        return asked

    def remove(self, asked: OpenRequest) -> None:
        """One is answered."""
        del self._by_id[asked.command.id]
        self.kept_bytes -= asked.size
        if isinstance(asked.command, commands.Unsubscribe):
            sub = asked.command.sub
            self._leaving[sub].remove(asked)
            if not self._leaving[sub]:
                del self._leaving[sub]
        self.wake(asked)

    def put_behind(self, sub: int | None, error: bytes, most_bytes: int) -> bool:
        """Let a refusal follow the answer to the last request about a subscription.

        Returns whether there is one, and room: no more than ``most_bytes`` are kept.
        """
        about = (asked for asked in reversed(self._by_id.values()) if sub in subs_of(asked.command))
        asked = next(about, None) if sub is not None else None
        if asked is None or self.kept_bytes + len(error) > most_bytes:
            return False
        asked.behind.append(error)
        asked.size += len(error)
        self.kept_bytes += len(error)
        return True

    @property
    def has_leaving(self) -> bool:
        """Whether there are unsubscribes."""
        return bool(self._leaving)

    def leaving(self, sub: int, shard: int) -> OpenRequest | None:
        """Return the first unsubscribe of a number that a shard has not answered.

        What its home sends under that number is of the subscription that was left.
        """
        return next((asked for asked in self._leaving.get(sub, ()) if shard in asked.missing), None)

    def leaving_elsewhere(self, sub: int, shards: Iterable[int]) -> OpenRequest | None:
        """Return an unsubscribe of a number whose ``ok`` is still to come from other shards than these."""
        here = set(shards)
        return next(
            (asked for asked in self._leaving.get(sub, ()) if not here.issuperset(asked.missing)), None
        )

    def wake(self, asked: OpenRequest) -> None:
        """Let those go on who wait for it."""
        if asked.answered is not None:
            asked.answered.set()

    def clear(self) -> None:
        """Forget all of them."""
        for asked in self:
            self.remove(asked)


def subs_of(command: Any) -> tuple[int, ...]:
    """Return the subscriptions that a request names."""
    if isinstance(command, commands.Run):
        return tuple(spec.sub for spec in command.subscribe)
    sub = getattr(command, "sub", None)
    return () if sub is None else (sub,)
