"""Each store has all that the Protocol of stores asks for, with its types."""

from pathlib import Path

from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Store


def stores(folder: Path) -> list[Store]:
    return [MemoryStore(), SqliteStore(folder / "runs.db"), RedisStore("redis://localhost")]
