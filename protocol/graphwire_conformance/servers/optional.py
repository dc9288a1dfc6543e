"""Cases of the optional parts, tried where ``welcome.features`` has them: watching, and values as patches."""

import copy
from typing import Any

from graphwire_conformance.match import difference
from graphwire_conformance.servers.attachment import Frame
from graphwire_conformance.servers.cases import Kit, case, run, spec, subscribe
from graphwire_conformance.servers.connection import Wire
from graphwire_conformance.verdict import Fault, LeftOut, brief, check

_ROW: Frame = {
    "type": "run_info",
    "run": "<name>",
    "graph": "<string>",
    "metadata": {},
    "status": "<status>",
    "attempt": "<int>",
    "epoch": "<string>",
    "head": "<int>",
    "created_at": "<time>",
    "modes": ["<more>"],
}


def _require(kit: Kit, feature: str) -> None:
    if feature not in kit.features:
        raise LeftOut(f"the server has not enabled {feature}")


# ── watching ─────────────────────────────────────────────────────────────────────────────────────


def _rows(wire: Wire, sub: int) -> list[Frame]:
    return [frame for frame in wire.frames if frame["type"] == "run_info" and frame["sub"] == sub]


async def _status(wire: Wire, sub: int, id: str, *statuses: str) -> Frame:
    """Read until a watch has told one of these statuses of a run."""
    return await wire.until(
        lambda frame: (
            frame["type"] == "run_info"
            and (frame["sub"], frame["run"]) == (sub, id)
            and frame["status"] in statuses
        )
    )


async def _synced(wire: Wire, sub: int) -> None:
    await wire.until(lambda frame: frame["type"] == "synced" and frame["sub"] == sub)


@case(
    "watch/what there is and what comes", "7: each run that matches now, synced, every change, every new run"
)
async def what_comes(kit: Kit) -> None:
    """A dashboard that was opened between two runs."""
    _require(kit, "watch")
    tag = {"tag": kit.name()}
    wire, other = await kit.connect(), await kit.connect()
    first, second = kit.name(), kit.name()
    await other.send(run("counter", {"count": 1}, spec(1, "custom"), run=first, metadata=tag))
    await other.closed(1)
    await wire.ask({"type": "watch", "sub": 9, "metadata": tag})
    await _synced(wire, 9)
    told = [(row["run"], row["status"]) for row in _rows(wire, 9)]
    check(told == [(first, "completed")], "7", f"{first}, completed, then synced", f"{told}")
    await other.send(run("slow", {}, spec(2, "custom"), run=second, metadata=tag))
    await _status(wire, 9, second, "running")
    await other.send({"type": "cancel", "run": second})
    last = await _status(wire, 9, second, "cancelled")
    for row in _rows(wire, 9):
        found = difference({**_ROW, "metadata": tag}, row, {})
        check(found is None, "7: run_info", f"{_ROW}", f"{found}; in {brief(row)}")
    check("ended_at" in last, "7: run_info", "ended_at of an ended run", last)


@case("watch/the change by which a run stops matching", "7: also of the one by which a run stops matching")
async def stops_matching(kit: Kit) -> None:
    """Whoever watches running runs hears of their end."""
    _require(kit, "watch")
    tag = {"tag": kit.name()}
    wire = await kit.connect()
    id = kit.name()
    await wire.ask({"type": "watch", "sub": 9, "metadata": tag, "status": ["running"]})
    await _synced(wire, 9)
    await wire.send(run("slow", {}, run=id, metadata=tag))
    await _status(wire, 9, id, "running")
    await wire.send({"type": "cancel", "run": id})
    await _status(wire, 9, id, "cancelled")


@case("watch/only what was asked for", "7: runs that match")
async def only_what_was_asked_for(kit: Kit) -> None:
    """Other graphs and other metadata are not told of; nothing comes behind ``unsubscribe``."""
    _require(kit, "watch")
    tag = {"tag": kit.name()}
    wire = await kit.connect()
    await wire.ask({"type": "watch", "sub": 1, "metadata": tag, "graphs": ["conformance.values"]})
    await wire.ask({"type": "watch", "sub": 2, "metadata": tag})
    await wire.send(run("counter", {"count": 1}, run=(other := kit.name()), metadata=tag))
    await wire.send(run("values", {"text": "a"}, run=(mine := kit.name()), metadata=tag))
    await _status(wire, 2, other, "completed")
    if not any(row["run"] == mine and row["status"] == "completed" for row in _rows(wire, 1)):
        await _status(wire, 1, mine, "completed")
    strangers = [row for row in _rows(wire, 1) if row["run"] != mine]
    check(not strangers, "7", "runs of conformance.values alone", f"{strangers}")
    reply = await wire.ask({"type": "unsubscribe", "sub": 2})
    check(reply["type"] == "ok", "2: unsubscribe", "ok", reply)
    since = len(wire.frames)
    await wire.send(run("values", {"text": "b"}, spec(5, "values"), run=kit.name(), metadata=tag))
    await wire.closed(5)
    await wire.settled()
    late = [frame for frame in wire.frames[since:] if frame["type"] == "run_info" and frame["sub"] == 2]
    check(not late, "2: no frame of that sub follows", "nothing of sub 2", f"{late}")


@case("watch/keeps nothing alive", "7: a watch is no subscription to a run")
async def keeps_nothing_alive(kit: Kit) -> None:
    """A run that is to end with its viewers ends, though it is watched."""
    _require(kit, "watch")
    grace = kit.limits.get("disconnect_grace_s")
    if not isinstance(grace, int | float) or grace > 2:
        raise LeftOut(f"disconnect_grace_s {grace} is long")
    tag = {"tag": kit.name()}
    wire, viewer = await kit.connect(), await kit.connect()
    id = kit.name()
    await wire.ask({"type": "watch", "sub": 1, "metadata": tag})
    await viewer.send(run("slow", {}, spec(1, "custom"), run=id, metadata=tag, on_disconnect="cancel"))
    await _status(wire, 1, id, "running")
    await viewer.cut()
    await _status(wire, 1, id, "cancelled")


# ── patches ──────────────────────────────────────────────────────────────────────────────────────


def patched(state: Any, operations: list[Frame]) -> Any:
    """Return ``state`` with a patch applied: RFC 6902's add, remove and replace, and append."""
    root = {"": copy.deepcopy(state)}
    for operation in operations:
        path: Any = ["", *operation["path"].split("/")[1:]] if operation["path"] else [""]
        place: Any = root
        for token in path[:-1]:
            place = place[_key(place, token)]
        key = _key(place, path[-1])
        match operation["op"]:
            case "remove":
                del place[key]
            case "add" if isinstance(place, list):
                place.insert(key, operation["value"])
            case "add" | "replace":
                place[key] = operation["value"]
            case "append":
                place[key] = place[key] + operation["value"]
            case other:
                raise Fault("3: values patch", "add, remove, replace or append", other)
    return root[""]


def _key(place: Any, token: str) -> Any:
    token = token.replace("~1", "/").replace("~0", "~")
    return (len(place) if token == "-" else int(token)) if isinstance(place, list) else token


async def _compare_states(kit: Kit, id: str, at: Frame | None = None, **filter: Any) -> int:
    """Follow a run's states whole and as patches; return how many were patches."""
    wire = await kit.connect()
    start = {} if at is None else {"from_": at}
    full, patch = (spec(sub, "values", **filter, **start) for sub in (1, 2))
    await wire.send(subscribe(id, full), subscribe(id, {**patch, "values": "patch"}))
    await wire.closed(1, 2)
    patches = 0
    states: dict[tuple[str, ...], tuple[int, Any]] = {}
    added: list[tuple[int, Any]] = []
    for event in wire.follows[2].events:
        if event["mode"] != "values":
            continue
        ns = tuple(event.get("ns", ()))
        base, data = event.get("base"), event["data"]
        if base is not None:
            check(ns in states and states[ns][0] == base, "3: base", f"the seq of {states.get(ns)}", event)
            data = patched(states[ns][1], data)
            patches += 1
        states[ns] = (event["seq"], data)
        added.append((event["seq"], data))
    expected = [
        (event["seq"], event["data"]) for event in wire.follows[1].events if event["mode"] == "values"
    ]
    check(added == expected, "3: patches add up to the states", f"{expected}", f"{added}")
    return patches


async def _long_run(kit: Kit) -> tuple[str, str]:
    """Make a run whose states are so long that a patch is worth it; return its id and epoch."""
    wire = await kit.connect()
    id = kit.name()
    started = await wire.ask(run("values", {"text": "long " * 400}, spec(1, "values"), run=id))
    await wire.closed(1)
    return id, started["epoch"]


@case("patch/adds up", "3: values patch")
async def adds_up(kit: Kit) -> None:
    """The patches of an attachment, applied, are the states, in every namespace."""
    _require(kit, "patch")
    await _compare_states(kit, kit.lone, namespaces=[["**"]])
    id, _ = await _long_run(kit)
    patches = await _compare_states(kit, id)
    check(patches == 2, "3: values patch", "two of three states as patches", f"{patches}")


@case("patch/begins with a full state on every attachment", "3: the first of each ns on an attachment")
async def begins_full(kit: Kit) -> None:
    """Whoever comes back gets a full state first."""
    _require(kit, "patch")
    for seq in (1, 9, 20):
        await _compare_states(kit, kit.lone, {"epoch": kit.epoch, "seq": seq}, namespaces=[["**"]])
    id, epoch = await _long_run(kit)
    for seq, expected in ((0, 2), (2, 1), (3, 0)):
        patches = await _compare_states(kit, id, {"epoch": epoch, "seq": seq})
        check(patches == expected, "3: base is of this attachment", f"{expected} patches", f"{patches}")


@case("patch/of what the keys leave", "3: keys applies before the difference is taken")
async def of_what_the_keys_leave(kit: Kit) -> None:
    """A patch tells nothing of keys that were not asked for."""
    _require(kit, "patch")
    await _compare_states(kit, kit.lone, keys=["note", "score"])
    id, _ = await _long_run(kit)
    await _compare_states(kit, id, keys=["first"])
