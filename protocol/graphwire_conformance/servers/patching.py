"""Cases of states as patches, tried if ``welcome.features`` has ``patch``."""

import copy
from typing import Any

from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.cases import Cases, run, spec, subscribe
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Violation, check

CASES = Cases()


def patched(state: Any, operations: list[Frame]) -> Any:
    """Return ``state`` with a patch applied: RFC 6902's add, remove and replace, and append."""
    root = {"": copy.deepcopy(state)}
    for operation in operations:
        path: Any = ["", *operation["path"].split("/")[1:]] if operation["path"] else [""]
        parent: Any = root
        for token in path[:-1]:
            parent = parent[_key(parent, token)]
        key = _key(parent, path[-1])
        match operation["op"]:
            case "remove":
                del parent[key]
            case "add" if isinstance(parent, list):
                parent.insert(key, operation["value"])
            case "add" | "replace":
                parent[key] = operation["value"]
            case "append":
                parent[key] = parent[key] + operation["value"]
            case other:
                raise Violation("3: values patch", "add, remove, replace or append", other)
    return root[""]


def _key(parent: Any, token: str) -> Any:
    token = token.replace("~1", "/").replace("~0", "~")
    return (len(parent) if token == "-" else int(token)) if isinstance(parent, list) else token


async def _compare_states(server: ServerUnderTest, id: str, at: Frame | None = None, **filter: Any) -> int:
    """Follow a run's states whole and as patches; return how many were patches."""
    conn = await server.connect()
    start = {} if at is None else {"from_": at}
    full, patch = (spec(sub, "values", **filter, **start) for sub in (1, 2))
    await conn.send(subscribe(id, full), subscribe(id, {**patch, "values": "patch"}))
    await conn.closed(1, 2)
    patches = 0
    states: dict[tuple[str, ...], tuple[int, Any]] = {}
    added: list[tuple[int, Any]] = []
    for event in conn.attachments[2].events:
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
        (event["seq"], event["data"]) for event in conn.attachments[1].events if event["mode"] == "values"
    ]
    check(added == expected, "3: patches add up to the states", f"{expected}", f"{added}")
    return patches


async def _long_run(server: ServerUnderTest) -> tuple[str, str]:
    """Make a run whose states are so long that a patch is worth it; return its id and epoch."""
    conn = await server.connect()
    id = server.new_id()
    started = await conn.ask(run("values", {"text": "long " * 400}, spec(1, "values"), run=id))
    await conn.closed(1)
    return id, started["epoch"]


@CASES.add("patch/adds up", "3: values patch")
async def adds_up(server: ServerUnderTest) -> None:
    """The patches of an attachment, applied, are the states, in every namespace."""
    server.require("patch")
    await _compare_states(server, server.ended_run, namespaces=[["**"]])
    id, _ = await _long_run(server)
    patches = await _compare_states(server, id)
    check(patches == 2, "3: values patch", "two of three states as patches", f"{patches}")


@CASES.add("patch/begins with a full state on every attachment", "3: the first of each ns on an attachment")
async def begins_full(server: ServerUnderTest) -> None:
    """A client that comes back gets a full state first."""
    server.require("patch")
    for seq in (1, 9, 20):
        await _compare_states(
            server, server.ended_run, {"epoch": server.epoch, "seq": seq}, namespaces=[["**"]]
        )
    id, epoch = await _long_run(server)
    for seq, expected in ((0, 2), (2, 1), (3, 0)):
        patches = await _compare_states(server, id, {"epoch": epoch, "seq": seq})
        check(patches == expected, "3: base is of this attachment", f"{expected} patches", f"{patches}")


@CASES.add("patch/of what the keys leave", "3: keys applies before the difference is taken")
async def of_what_the_keys_leave(server: ServerUnderTest) -> None:
    """A patch holds nothing of keys that were not asked for."""
    server.require("patch")
    await _compare_states(server, server.ended_run, keys=["note", "score"])
    id, _ = await _long_run(server)
    await _compare_states(server, id, keys=["first"])
