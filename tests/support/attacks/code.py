"""Graphs whose code misbehaves: it raises, blocks, computes, or leaves something behind."""

import asyncio
from typing import Any

from tests.support.attacks.attack import Attacker, Attacks, Report, listed
from tests.support.peer import spec

CODE: Attacks = {}

KINDS = ("exit", "interrupt", "generator", "cancelled", "memory", "base", "unkind")


@listed(CODE, within_s=60)
async def exceptions_that_end_more_than_themselves(server: Attacker) -> Report:
    """Node, reducer, factory and saver raise ``SystemExit``, ``KeyboardInterrupt`` and the like."""
    await server.ready()
    unanswered = []
    for kind in KINDS:
        thread = f"raises-{kind}"
        asked: dict[str, dict[str, Any]] = {
            "node": {"type": "run", "graph": "raiser", "input": {"kind": kind}},
            "reducer": {"type": "state_update", "graph": "reducer", "thread": "t", "values": {"kind": kind}},
            "factory": {"type": "state", "graph": "factory", "thread": thread},
            "factory's update": {
                "type": "state_update",
                "graph": "factory",
                "thread": thread,
                "values": {"n": 1},
            },
            "saver": {"type": "state", "graph": "saved", "thread": thread},
            "saver's run": {"type": "run", "graph": "saved", "thread": thread, "input": {"n": 1}},
        }
        for where, frame in asked.items():
            peer = await server.connect()
            try:
                # A second one, since what is never answered is in the way of what comes behind it.
                for id in (1, 2):
                    await peer.send({"id": id, **frame})
                    await asyncio.wait_for(peer.answer(id), 3)
            except Exception as error:
                unanswered.append(f"{where}, {kind}: {type(error).__name__}")
            peer.wire.abort()
    return {"unanswered": unanswered}


@listed(CODE, worst_ping_s=0.8)
async def exceptions_that_take_their_time(server: Attacker) -> None:
    """Two runs fail with an exception whose ``__str__`` takes a second."""
    await _fail(server, "slow", 2)


@listed(CODE, worst_ping_s=4, grows_mib=400)
async def exceptions_with_huge_texts(server: Attacker) -> None:
    """Three runs fail with an exception whose text has 50 MB."""
    await _fail(server, "huge", 3)


@listed(CODE)
async def exceptions_that_forge_lines(server: Attacker) -> None:
    """A run fails with an exception whose text has newlines and escapes of a terminal."""
    await _fail(server, "lines", 1)


async def _fail(server: Attacker, kind: str, runs: int) -> None:
    peer = await server.connect()
    await server.ready()
    for sub in range(1, runs + 1):
        await peer.run("raiser", {"kind": kind}, spec(sub, "lifecycle"))
    for sub in range(1, runs + 1):
        await peer.until(lambda frame, sub=sub: frame["type"] == "closed" and frame["sub"] == sub, 20)


@listed(CODE, healthy="plain")
async def nodes_that_sleep_in_threads(server: Attacker) -> Report:
    """Two hundred runs of one user sleep in nodes without async code; then they are cancelled."""
    peer = await server.connect()
    await server.ready()
    for number in range(200):
        await peer.run("sleeper", {"n": 60}, spec(number + 1, "lifecycle"), run=f"r{number}")
    await server.stays(3)
    for number in range(200):
        await peer.ask(type="cancel", run=f"r{number}")
    began = server.since_s()
    await peer.run("plain", {}, spec(1000, "lifecycle"))
    await peer.closed(1000)
    return {"own_run_s": server.since_s() - began}


@listed(CODE)
async def nodes_that_block_their_loop(server: Attacker) -> None:
    """A graph with a loop of its own blocks it for three seconds."""
    await _use(server, "blocker", {"n": 3})


@listed(CODE)
async def nodes_that_compute(server: Attacker) -> None:
    """A graph with a loop of its own computes for three seconds without a pause."""
    await _use(server, "spinner", {"n": 3})


@listed(CODE, calm_within_s=10)
async def tasks_that_are_left(server: Attacker) -> None:
    """Twenty runs each leave a hundred tasks behind, which never end."""
    peer = await server.connect()
    await server.ready()
    for sub in range(1, 21):
        await peer.run("leaver", {"n": 100}, spec(sub, "lifecycle"))
        await peer.closed(sub)


@listed(CODE, limits={"state_timeout_s": 2}, within_s=40)
async def a_saver_that_hangs(server: Attacker) -> Report:
    """A state is updated twice, and a thread deleted, whose saver never writes."""
    peer = await server.connect()
    await server.ready()
    update = {"type": "state_update", "graph": "hung", "thread": "t", "values": {"n": 1}}
    asked = [update, update, {"type": "delete", "graph": "hung", "thread": "t"}]
    answers = []
    for id, frame in enumerate(asked, 1):
        await peer.send({"id": id, **frame})
        try:
            reply = await asyncio.wait_for(peer.answer(id), 10)
        except asyncio.TimeoutError:
            reply = {"type": "none"}
        answers.append(reply.get("code", reply["type"]))
    return {"answers": answers}


async def _use(server: Attacker, graph: str, input: dict[str, Any]) -> None:
    peer = await server.connect()
    await server.ready()
    await peer.run(graph, input, spec(1, "lifecycle"))
    await peer.until(lambda frame: frame["type"] == "closed", 20)
