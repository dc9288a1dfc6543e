"""What is held of a private thread reaches the server's saver whole and in order, also where that fails.

About `gateway/graphwire_gateway/graphs/private.py` and `gateway/graphwire_gateway/graphs/outer_saver.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire_gateway.graphs.private import PrivateSaver
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver


class Away(InMemorySaver):
    """A saver whose ``put`` waits for the gate, and fails while ``is_away``; ``done`` has its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = True
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.done: list[str] = []

    def put(self, config: Any, checkpoint: Any, *args: Any) -> Any:
        if self.is_away:
            raise OSError("the saver is away")
        self.done.append(checkpoint["id"])
        return super().put(config, checkpoint, *args)

    async def aput(self, *args: Any) -> Any:
        self.asked.set()
        await self.gate.wait()
        return self.put(*args)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.done.append(task_id)
        super().put_writes(config, writes, task_id, task_path)

    async def aput_writes(self, *args: Any) -> None:
        self.put_writes(*args)


CONFIG: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


def _put(saver: PrivateSaver, id: str) -> Any:
    return saver.put(CONFIG, {**empty_checkpoint(), "id": id}, {}, {})


async def test_what_comes_while_a_thread_is_kept_stays_behind_what_failed() -> None:
    inner = Away()
    saver = PrivateSaver(inner)
    saver.put_writes(_put(saver, "1"), [("key", 1)], "of-1")
    keeping = asyncio.create_task(saver.keep("t"))
    await inner.asked.wait()
    saver.put_writes(_put(saver, "2"), [("key", 2)], "of-2")
    inner.gate.set()
    with pytest.raises(OSError, match="away"):
        await keeping
    inner.is_away = False
    assert await saver.keep("t") > 0
    assert inner.done == ["1", "of-1", "2", "of-2"]
    assert await saver.keep("t") == 0


async def test_what_a_node_in_a_thread_could_not_keep_is_kept_later() -> None:
    inner = Away()
    inner.gate.set()
    saver = PrivateSaver(inner)
    _put(saver, "1")
    with pytest.raises(OSError, match="away"):
        saver.get_tuple(CONFIG)
    with pytest.raises(OSError, match="away"):
        list(saver.list(CONFIG))
    inner.is_away = False
    found = saver.get_tuple(CONFIG)
    assert found is not None
    assert found.checkpoint["id"] == "1"
    assert inner.done == ["1"]
