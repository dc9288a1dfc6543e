"""The logs that a store finds in Redis when it opens, and claims if it is alone."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.redis_known import Known
from graphwire_gateway.log.redis_owner import RedisOwner
from graphwire_gateway.log.redis_recent import Recent
from graphwire_gateway.log.redis_scripts import CLAIM, FENCED
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


@dataclass(slots=True)
class Losses:
    """What a server has lost of the logs that a store knows: runs of each kind."""

    lacking: list[str] = field(default_factory=list)
    """Their logs are gone, or shorter than they were, or others."""
    unclaimed: list[str] = field(default_factory=list)
    """Their logs are whole, and have an earlier writer again."""
    back: dict[str, str] = field(default_factory=dict)
    """Their logs were deleted, and are there again, with these epochs."""


async def losses(server: RedisServer, logs: Mapping[str, Known], writer: str) -> Losses:
    """Compare what is there with what ``writer`` knows, for ``Life.restore``. Raises ``StoreAway``."""
    lost = Losses()
    missing = set(logs)
    runs = await server.runs(server.exchange)
    for at in range(0, len(runs), _AT_ONCE):
        some = runs[at : at + _AT_ONCE]
        answers = await server.exchange(server.field_commands(some, "epoch", "head", "writer"))
        for run, (epoch, head, owner) in zip(some, answers, strict=True):
            known = logs.get(run)
            if epoch is None:  # it has just expired
                continue
            if known is None:
                lost.back[run] = epoch.decode()
            elif epoch.decode() == known.epoch and int(head or 0) >= known.head:
                missing.discard(run)
                if owner != writer.encode():
                    lost.unclaimed.append(run)
    lost.lacking += missing
    return lost


def claim_call(
    server: RedisServer,
    run: str,
    epoch: str,
    new_epoch: str,
    writer: str,
    place: tuple[str | bytes, str | bytes],
) -> ScriptCall:
    """Return the call that makes ``writer`` the writer of a log, if it has its ``place``: see ``CLAIM``."""
    return ScriptCall(CLAIM, run, (epoch, new_epoch, server.channel(run), writer, *place))


async def claim_all(server: RedisServer, writer: str, owner: RedisOwner, recent: Recent) -> list[KeptLog]:
    """Make ``writer`` the writer of all logs; return all runs, the oldest first.

    The logs get other epochs if the server was started again since their last owner claimed them, or does so
    now, for nobody knows what it lost. Raises ``CannotServe`` if another server has taken the place of
    ``owner`` meanwhile, ``StoreAway``.
    """
    known_life = await server.known_life()
    while True:
        life = server.life.id
        runs = await server.runs()
        is_whole = bool(life) and life == known_life
        if runs and not is_whole:
            log.warning(
                "the server of the store was started again, or replaced: logs have new epochs",
                store=server.name,
                logs=len(runs),
            )
        for at in range(0, len(runs), _AT_ONCE):
            await _claim(server, runs[at : at + _AT_ONCE], writer, owner, recent, is_whole=is_whole)
        await owner.carry_out(server.life_command(life))
        # Not before: until its log was claimed, an owner that was only frozen may have written.
        found = await _read(server, runs)
        if life == server.life.id:
            return found


async def _claim(
    server: RedisServer,
    runs: Sequence[str],
    writer: str,
    owner: RedisOwner,
    recent: Recent,
    *,
    is_whole: bool,
) -> None:
    calls: list[ScriptCall] = []
    place = server.owner_key, owner.value
    for run, (known,) in zip(runs, await server.fields(runs, "epoch"), strict=True):
        if known is not None:
            epoch = known.decode()
            new_epoch = epoch if is_whole else os.urandom(8).hex()
            calls.append(claim_call(server, run, epoch, new_epoch, writer, place))
    if FENCED in await server.call_all(calls):
        if not await owner.renew():
            raise CannotServe(
                f"another graphwire server has taken {server.name} meanwhile; start this one again"
            )
        await server.call_all(calls)  # the server had forgotten who the owner is
    for call in calls:
        recent.note(server.again(call))
