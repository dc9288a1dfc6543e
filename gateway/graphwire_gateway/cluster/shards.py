"""Into which shard a run or a thread belongs: every process computes the same.

All runs of a thread are in its shard, so that one process decides which of them is next.
"""

from collections.abc import Callable
from zlib import crc32

from graphwire_gateway.scope import thread_scope

DEFAULT_SHARDS = 8
"""Enough for as many workers, since a shard has one home; each shard costs a worker some connections."""


def index_of(name: str, count: int) -> int:
    """Return which of the shards of its group has a thread, by its saver's id, or a run without one, by its
    key.
    """
    return crc32(name.encode()) % count


def thread_key(principal: str, graph: str, thread: str, *, is_shared: bool) -> str:
    """Return the saver's id of a caller's thread."""
    return thread_scope(principal, graph, thread, is_shared=is_shared).saved


def owner_of(shard: int, count: int) -> Callable[[str], bool]:
    """Return what tells whether a name belongs to ``shard``, one of ``count`` of its group."""
    return lambda name: index_of(name, count) == shard % count
