"""The logs that a store finds in Redis when it opens, and claims if it is alone."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphwire_protocol.types import Seq

from graphwire_gateway.log.redis_recent import Recent
from graphwire_gateway.log.redis_scripts import CLAIM
from graphwire_gateway.log.redis_server import RedisServer, ScriptCall
from graphwire_gateway.log.store import Kept
from graphwire_gateway.telemetry import logger

log = logger("store")

_AT_ONCE = 500  # logs that one message asks for
_NAMES = ("created", "epoch", "head", "evicted", "size", "base_size", "start", "standing")


@dataclass(frozen=True, slots=True)
class KeptLog:
    """A run as it was found, and the numbers of its log as ``Known`` has them."""

    kept: Kept
    numbers: Sequence[int]


async def kept_logs(server: RedisServer) -> list[KeptLog]:
    """Return all runs, the oldest first. Raises ``StoreAway``."""
    return await _read(server, await server.runs())


async def _read(server: RedisServer, runs: Sequence[str]) -> list[KeptLog]:
    found: list[tuple[int, KeptLog]] = []
    for at in range(0, len(runs), _AT_ONCE):
        some = runs[at : at + _AT_ONCE]
        for run, values in zip(some, await server.fields(some, *_NAMES), strict=True):
            created, epoch, *numbers, start, standing = values
            if created is None or epoch is None:  # it has just expired
                continue
            counts = [int(number or 0) for number in numbers]
            kept = Kept(run, epoch.decode(), counts[0], start or b"", standing)
            found.append((int(created), KeptLog(kept, counts)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


async def whole_logs(server: RedisServer, logs: Mapping[str, tuple[str, Seq]]) -> set[str]:
    """Return the runs whose logs are as long as is known: ``(epoch, head)``. Raises ``StoreAway``."""
    runs, whole = list(logs), set()
    for at in range(0, len(runs), _AT_ONCE):
        some = runs[at : at + _AT_ONCE]
        for run, (found, head) in zip(some, await server.fields(some, "epoch", "head"), strict=True):
            epoch, least = logs[run]
            if found is not None and found.decode() == epoch and int(head or 0) >= least:
                whole.add(run)
    return whole


async def claim_all(server: RedisServer, writer: str, recent: Recent) -> list[KeptLog]:
    """Make ``writer`` the writer of all logs; return all runs, the oldest first. Raises ``StoreAway``.

    The logs get other epochs if the server was started again since their last owner claimed them, for
    nobody knows what it lost.
    """
    known_life = await server.known_life()
    life = server.life.id
    is_whole = bool(life) and life == known_life
    runs = await server.runs()
    if runs and not is_whole:
        log.warning(
            "the server of the store was started again, or replaced: logs have new epochs",
            store=server.name,
            logs=len(runs),
        )
    for at in range(0, len(runs), _AT_ONCE):
        some = runs[at : at + _AT_ONCE]
        calls: list[ScriptCall] = []
        for run, (known,) in zip(some, await server.fields(some, "epoch"), strict=True):
            if known is not None:
                epoch = known.decode()
                new_epoch = epoch if is_whole else os.urandom(8).hex()
                calls.append(ScriptCall(CLAIM, run, (epoch, new_epoch, server.channel(run), writer)))
        await server.call_all(calls)
        for call in calls:
            recent.note(server.again(call))
    await server.carry_out(server.life_command(life))
    # Not before: until its log was claimed, an owner that was only frozen may have written.
    return await _read(server, runs)
