"""The pings of one client that wait for the pongs of homes."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from graphwire_protocol import commands

PONG_S = 2.0
"""Seconds for which a ping waits for homes: one may be missing, or frozen."""


@dataclass(slots=True)
class _Pinged:
    command: commands.Ping
    missing: set[int]
    timer: asyncio.TimerHandle


class Pings:
    """Each has a number of its own towards the homes. ``late`` gets those that wait no longer."""

    def __init__(self, late: Callable[[commands.Ping], None]) -> None:
        self._late = late
        self._count = 0
        self._waiting: dict[int, _Pinged] = {}

    def begin(self, command: commands.Ping, shards: Iterable[int]) -> int:
        """Return the number of a ping that waits for all of these shards."""
        self._count += 1
        timer = asyncio.get_running_loop().call_later(PONG_S, self._give_up, self._count)
        self._waiting[self._count] = _Pinged(command, set(shards), timer)
        return self._count

    def ponged(self, shard: int, number: int) -> commands.Ping | None:
        """A home has answered; return the ping that waits for nobody any more."""
        pinged = self._waiting.get(number)
        if pinged is None:
            return None
        pinged.missing.discard(shard)
        if pinged.missing:
            return None
        del self._waiting[number]
        pinged.timer.cancel()
        return pinged.command

    def gone(self, shard: int) -> list[commands.Ping]:
        """A home answers no more; return the pings that wait for nobody any more."""
        done = [self.ponged(shard, number) for number in list(self._waiting)]
        return [command for command in done if command is not None]

    def _give_up(self, number: int) -> None:
        self._late(self._waiting.pop(number).command)

    def close(self) -> None:
        """Wait for nothing more."""
        for pinged in self._waiting.values():
            pinged.timer.cancel()
        self._waiting.clear()
        self._late = _wait_no_more  # without the cycle, whoever has this goes at once


def _wait_no_more(command: commands.Ping) -> None:
    """Do nothing: the connection is gone."""
