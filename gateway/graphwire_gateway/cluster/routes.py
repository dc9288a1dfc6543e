"""Where what a command is about is: the shard of a run or of a thread, and the groups that have rows."""

from collections.abc import Iterable

from graphwire_protocol.errors import Refusal
from graphwire_protocol.suggest import no_graph

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.groups import shards_of
from graphwire_gateway.cluster.shards import index_of, thread_key
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.scope import run_key

AFTER_MS = 1000
"""When a client may ask again that a cluster could not answer."""


class Routes:
    """What the directory says, for the commands of clients. ``owner`` is the principal of each."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @property
    def places(self) -> tuple[object, ...]:
        """What decides which shards have rows: as long as it is equal, these are the same."""
        directory = self._directory
        return *directory.groups.layout, directory.groups_away, directory.groups_silent

    def is_served(self, graph: str) -> bool:
        """Tell whether some group has the graph."""
        return self._directory.groups.group_of(graph) is not None

    def shards_of_graph(self, graph: str) -> range:
        """Return the shards of the group that serves a graph. Raises ``Refusal(not_found)``."""
        groups = self._directory.groups
        group = groups.group_of(graph)
        if group is None:
            raise Refusal("not_found", no_graph(graph, groups.graphs), details={"kind": "graph"})
        return shards_of(group, groups.count)

    def groups_of_rows(self, graphs: Iterable[str] | None) -> tuple[list[str], list[str]]:
        """Return the groups that have rows of these graphs, or of any: those to ask, and those to leave out.

        The latter have no worker. If none has, all are asked all the same, and refuse.
        """
        groups = self._directory.groups
        named = {groups.group_of(graph) for graph in graphs} if graphs is not None else {None}
        wanted = groups.names if None in named else sorted(name for name in named if name is not None)
        absent = self._directory.groups_away | self._directory.groups_silent
        there = [name for name in wanted if name not in absent]
        return (there, [name for name in wanted if name not in there]) if there else (wanted, [])

    def shards_of(self, groups: Iterable[str]) -> list[int]:
        """Return all shards of these groups."""
        return [shard for name in groups for shard in shards_of(name, self._directory.groups.count)]

    def shard_of_thread(self, owner: str, graph: str, thread: str) -> int:
        """Return the shard that a thread belongs to. Raises ``Refusal(not_found)``."""
        shards = self.shards_of_graph(graph)
        key = thread_key(owner, graph, thread, is_shared=self._directory.shares_threads)
        return shards[index_of(key, len(shards))]

    def shard_of_start(self, owner: str, graph: str, run: str) -> int:
        """Return the shard that a new run without a thread belongs to. Raises ``Refusal(not_found)``."""
        shards = self.shards_of_graph(graph)
        return shards[index_of(run_key(owner, run), len(shards))]

    async def shard_of_run(self, owner: str, run: str, *, may_remember: bool = True) -> int | None:
        """Return the shard that has a run; None if none has. Raises ``Refusal(unavailable)``."""
        try:
            return await self._directory.runs.shard_of(owner, run, may_remember=may_remember)
        except StoreAway:
            raise _store_away() from None

    async def place_of_start(self, owner: str, run: str, shard: int) -> tuple[int, bool]:
        """Return the shard that has a run, or where it is being started; else note that it is in this one.

        It is also said whether that was noted. Raises ``Refusal(unavailable)``.
        """
        try:
            found, is_noted = await self._directory.runs.note_start(owner, run, shard)
        except StoreAway:
            raise _store_away() from None
        if found is None:
            message = f"run {run!r} is being started with another graph; ask again"
            raise Refusal("unavailable", message, after_ms=AFTER_MS)
        return found, is_noted


def _store_away() -> Refusal:
    return Refusal("unavailable", "the store of this server is away", after_ms=AFTER_MS)
