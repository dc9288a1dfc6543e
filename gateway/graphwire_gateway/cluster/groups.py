"""Groups of workers: those of a group serve the same graphs, and divide shards of their own.

A group's number follows from its name, so that nobody has to give it one: shard k of group n is number
n * K + k of all, where each group has K. The group without a name is 0. A graph belongs to the group that was
first to serve it, and stays there, since its runs and threads are in that group's shards.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson
from graphwire_protocol.types import Durability

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.limits import Limits

_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")
_NUMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Offer:
    """What the workers of a group serve."""

    limits: Limits
    durability: Durability
    graphs: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return it as it is kept in Redis."""
        fields = {"limits": self.limits.model_dump(), "durability": self.durability, "graphs": self.graphs}
        return orjson.dumps(fields)

    @classmethod
    def of(cls, data: bytes) -> "Offer":
        """Return what is kept; a newer worker may know more limits."""
        fields = orjson.loads(data)  # one of an older worker names no graphs
        limits = {name: value for name, value in fields["limits"].items() if name in Limits.model_fields}
        return cls(Limits(**limits), fields["durability"], tuple(fields.get("graphs", ())))


def check_group(name: str) -> None:
    """Raise ``CannotServe`` for a name that a group cannot have."""
    if not _NAME.fullmatch(name):
        raise CannotServe(f"{name!r} is no name of a group: up to 64 letters, digits, dots, - and _")


def group_number(name: str) -> int:
    """Return the number of a group."""
    return 1 + crc32(name.encode()) % _NUMBERS if name else 0


def shards_of(group: str, count: int) -> range:
    """Return the shards of a group, where each has so many."""
    first = group_number(group) * count
    return range(first, first + count)


class Groups:
    """The groups of a cluster as they were known at one time: their offers, and which group has each graph.

    Each has ``count`` shards. ``names`` are those of whom nothing else may be known.
    """

    def __init__(
        self, count: int, offers: Mapping[str, Offer], group_of: Mapping[str, str], names: Iterable[str] = ()
    ) -> None:
        self.count = count
        self.names = sorted({*offers, *group_of.values(), *names})
        self._offers = offers
        self._group_of = group_of

    @property
    def layout(self) -> tuple[object, ...]:
        """Which shards there are, and in which of them each graph is."""
        return self.count, self.names, self._group_of

    def offer(self, without: Container[str] = ()) -> Offer | None:
        """Return what all groups but these offer together, or if there is nothing, what all do."""
        there = [offer for name, offer in self._offers.items() if name not in without]
        return _of_all(there or list(self._offers.values()))

    @property
    def shards(self) -> list[int]:
        """The shards of all groups."""
        return [shard for name in self.names for shard in shards_of(name, self.count)]

    @property
    def graphs(self) -> Iterable[str]:
        """The graphs of all groups."""
        return self._group_of

    def group_of(self, graph: str) -> str | None:
        """Return the group that has a graph; of one that nobody has, the only group. Else None.

        Where older workers have not said which graphs they have, they have the others.
        """
        found = self._group_of.get(graph)
        if found is None and len(self.names) == 1:
            return self.names[0]
        if found is None and "" in self.names and not self.graphs_of(""):
            return ""
        return found

    def graphs_of(self, group: str) -> set[str]:
        """Return the graphs that a group has."""
        return {graph for graph, name in self._group_of.items() if name == group}

    def group_at(self, shard: int) -> str:
        """Return the group that has a shard."""
        return next((name for name in self.names if shard in shards_of(name, self.count)), "")

    def lacking(self, homes: Container[int]) -> list[str]:
        """Return the groups of which shards have no home."""
        return [
            name for name in self.names if any(shard not in homes for shard in shards_of(name, self.count))
        ]


def words(group: str) -> str:
    """Return what people call a group."""
    return f"group {group!r}" if group else "the group without a name"


def _of_all(offers: list[Offer]) -> Offer | None:
    if not offers:
        return None
    limits: dict[str, Any] = {
        name: min((value for value in values if value is not None), default=None)
        for name in Limits.model_fields
        for values in [[getattr(offer.limits, name) for offer in offers]]
    }
    graphs = tuple(graph for offer in offers for graph in offer.graphs)
    return Offer(Limits(**limits), offers[0].durability, graphs)
