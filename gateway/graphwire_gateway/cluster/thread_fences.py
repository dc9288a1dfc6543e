"""What a write to a thread has to pass, in a process that has several shards."""

from graphwire_gateway.cluster.shards import index_of
from graphwire_gateway.log.redis import RedisStore


class ThreadFences:
    """The fence of each thread of the shards that a worker has, or has had: a run may outlast its shard.

    They are all of one group.
    """

    def __init__(self) -> None:
        self._count = 1
        self._open: dict[int, RedisStore] = {}
        self._closed: dict[int, tuple[str, int]] = {}

    def opening(self, shard: int, count: int, store: RedisStore) -> None:
        """The store of a shard, one of ``count``, will be opened, before any run writes."""
        self._count = count
        self._open[shard % count] = store

    def closed(self, shard: int) -> None:
        """The store of a shard was closed, or not opened."""
        at = shard % self._count
        found = self._open.pop(at).fence
        if found is not None:
            self._closed[at] = found

    def __call__(self, thread: str) -> tuple[str, int] | None:
        """Return the fence of a thread, by the saver's id; None of one that was never here."""
        at = index_of(thread, self._count)
        store = self._open.get(at)
        return (store.fence if store is not None else None) or self._closed.get(at)
