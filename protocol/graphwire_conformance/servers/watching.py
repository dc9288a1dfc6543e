"""Cases of watches, tried if ``welcome.features`` has ``watch``."""

from collections.abc import Callable

from graphwire_conformance.match import difference
from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.cases import Cases, run, spec
from graphwire_conformance.servers.connection import RawConnection
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Skipped, brief, check

CASES = Cases()

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


def _rows(conn: RawConnection, sub: int) -> list[Frame]:
    return [frame for frame in conn.frames if frame["type"] == "run_info" and frame["sub"] == sub]


async def _status(conn: RawConnection, sub: int, id: str, *statuses: str) -> Frame:
    """Read until a watch has sent one of these statuses of a run."""
    return await conn.until(
        lambda frame: (
            frame["type"] == "run_info"
            and (frame["sub"], frame["run"]) == (sub, id)
            and frame["status"] in statuses
        )
    )


async def _seen(conn: RawConnection, wanted: Callable[[Frame], bool]) -> Frame:
    """Return the first frame that is ``wanted``, of those read and those to come."""
    return next(filter(wanted, conn.frames), None) or await conn.until(wanted)


async def _synced(conn: RawConnection, sub: int) -> None:
    await conn.until(lambda frame: frame["type"] == "synced" and frame["sub"] == sub)


@CASES.add(
    "watch/what there is and what comes", "7: each run that matches now, synced, every change, every new run"
)
async def what_comes(server: ServerUnderTest) -> None:
    """A dashboard that was opened between two runs."""
    server.require("watch")
    tag = {"tag": server.new_id()}
    conn, other = await server.connect(), await server.connect()
    first, second = server.new_id(), server.new_id()
    await other.send(run("counter", {"count": 1}, spec(1, "custom"), run=first, metadata=tag))
    await other.closed(1)
    await conn.ask({"type": "watch", "sub": 9, "metadata": tag})
    await _synced(conn, 9)
    seen = [(row["run"], row["status"]) for row in _rows(conn, 9)]
    check(seen == [(first, "completed")], "7", f"{first}, completed, then synced", f"{seen}")
    await other.send(run("slow", {}, spec(2, "custom"), run=second, metadata=tag))
    await _status(conn, 9, second, "running")
    await other.send({"type": "cancel", "run": second})
    last = await _status(conn, 9, second, "cancelled")
    for row in _rows(conn, 9):
        found = difference({**_ROW, "metadata": tag}, row, {})
        check(found is None, "7: run_info", f"{_ROW}", f"{found}; in {brief(row)}")
    check("ended_at" in last, "7: run_info", "ended_at of an ended run", last)


@CASES.add(
    "watch/the change by which a run stops matching", "7: also of the one by which a run stops matching"
)
async def stops_matching(server: ServerUnderTest) -> None:
    """A watch of running runs reports their end."""
    server.require("watch")
    tag = {"tag": server.new_id()}
    conn = await server.connect()
    id = server.new_id()
    await conn.ask({"type": "watch", "sub": 9, "metadata": tag, "status": ["running"]})
    await _synced(conn, 9)
    await conn.send(run("slow", {}, run=id, metadata=tag))
    await _status(conn, 9, id, "running")
    await conn.send({"type": "cancel", "run": id})
    await _status(conn, 9, id, "cancelled")


@CASES.add("watch/only what was asked for", "7: runs that match")
async def only_what_was_asked_for(server: ServerUnderTest) -> None:
    """Other graphs and other metadata are not reported; nothing follows ``unsubscribe``."""
    server.require("watch")
    tag = {"tag": server.new_id()}
    conn = await server.connect()
    await conn.ask({"type": "watch", "sub": 1, "metadata": tag, "graphs": ["conformance.values"]})
    await conn.ask({"type": "watch", "sub": 2, "metadata": tag})
    await conn.send(run("counter", {"count": 1}, run=(other := server.new_id()), metadata=tag))
    await conn.send(run("values", {"text": "a"}, run=(mine := server.new_id()), metadata=tag))
    await _status(conn, 2, other, "completed")
    if not any(row["run"] == mine and row["status"] == "completed" for row in _rows(conn, 1)):
        await _status(conn, 1, mine, "completed")
    strangers = [row for row in _rows(conn, 1) if row["run"] != mine]
    check(not strangers, "7", "runs of conformance.values alone", f"{strangers}")
    reply = await conn.ask({"type": "unsubscribe", "sub": 2})
    check(reply["type"] == "ok", "2: unsubscribe", "ok", reply)
    since = len(conn.frames)
    await conn.send(run("values", {"text": "b"}, spec(5, "values"), run=server.new_id(), metadata=tag))
    await conn.closed(5)
    await conn.wait_answered()
    late = [frame for frame in conn.frames[since:] if frame["type"] == "run_info" and frame["sub"] == 2]
    check(not late, "2: no frame of that sub follows", "nothing of sub 2", f"{late}")


@CASES.add("watch/a run that is deleted", "7: run_gone to every watch that the run has matched")
async def deleted(server: ServerUnderTest) -> None:
    """Every board loses the run, also if it does not match any more. A new run of that id is shown again."""
    server.require("watch")
    server.require_minor(1)
    tag = {"tag": server.new_id()}
    conn, other = await server.connect(), await server.connect()
    id = server.new_id()
    await conn.ask({"type": "watch", "sub": 1, "metadata": tag})
    await conn.ask({"type": "watch", "sub": 2, "metadata": tag, "status": ["running"]})
    await conn.ask({"type": "watch", "sub": 3, "metadata": {"tag": "none"}})
    await other.send(run("slow", {}, spec(1, "custom"), run=id, metadata=tag))
    await _status(conn, 2, id, "running")
    await other.send({"type": "cancel", "run": id})
    await other.closed(1)
    await _status(conn, 2, id, "cancelled")
    reply = await other.ask({"type": "delete", "run": id})
    check(reply["type"] == "ok", "2: delete", "ok", reply)
    for sub in (1, 2):
        gone = await _seen(conn, _is_gone(sub))
        check((gone["run"], gone.get("reason")) == (id, "deleted"), "7: run_gone", f"{id}, deleted", gone)
    last = [frame for frame in conn.frames if frame.get("sub") == 1][-1]
    check(last["type"] == "run_gone", "7: run_gone is the last of its run", "nothing behind it", last)
    await other.send(run("counter", {"count": 1}, run=id, metadata=tag))
    await _status(conn, 1, id, "completed")
    strangers = [frame for frame in conn.frames if _is_gone(3)(frame)]
    check(not strangers, "7: run_gone of runs that matched", "nothing for sub 3", f"{strangers}")


def _is_gone(sub: int) -> Callable[[Frame], bool]:
    return lambda frame: frame["type"] == "run_gone" and frame["sub"] == sub


@CASES.add("watch/a list that is cut", "7: at most max_watch_runs; synced says how many were left out")
async def cut(server: ServerUnderTest) -> None:
    """A board learns that it does not show all."""
    server.require("watch")
    server.require_minor(1)
    most = server.limits.get("max_watch_runs")
    if not isinstance(most, int) or most > 50:
        raise Skipped(f"max_watch_runs {most} is large")
    tag = {"tag": server.new_id()}
    conn = await server.connect()
    ids = [server.new_id() for _ in range(most + 2)]
    for id in ids:
        await conn.send(run("counter", {"count": 1}, spec(1, "custom"), run=id, metadata=tag))
        await conn.closed(1)
        del conn.attachments[1]
    for sub, metadata, expected in ((8, {"tag": "none"}, None), (9, tag, 2)):
        await conn.ask({"type": "watch", "sub": sub, "metadata": metadata})
        await _synced(conn, sub)
        synced = [frame for frame in conn.frames if frame["type"] == "synced" and frame["sub"] == sub][-1]
        check(synced.get("cut") == expected, "7: synced.cut", f"cut {expected}", synced)
    named = [row["run"] for row in _rows(conn, 9)]
    check(named == ids[:1:-1], "7: newest first", f"{ids[:1:-1]}", f"{named}")


@CASES.add("watch/how far runs are", "7: with progress, run_info with the new head")
async def progress(server: ServerUnderTest) -> None:
    """A board that asks for progress sees the log grow while the status stays."""
    server.require("watch")
    server.require_minor(1)
    tag = {"tag": server.new_id()}
    conn = await server.connect()
    id = server.new_id()
    await conn.ask({"type": "watch", "sub": 1, "metadata": tag, "progress": True})
    await conn.ask({"type": "watch", "sub": 2, "metadata": tag})
    await conn.send(run("slow", {}, run=id, metadata=tag, record={"modes": ["custom"]}))
    await _seen(conn, lambda frame: frame["type"] == "run_info" and (frame["sub"], frame["head"]) == (1, 2))
    await conn.send({"type": "cancel", "run": id})
    await _status(conn, 2, id, "cancelled")
    quiet = [row["status"] for row in _rows(conn, 2) if row["status"] not in ("queued", "cancelled")]
    check(quiet == ["running"], "7: progress for whoever asks", "running once on sub 2", f"{quiet}")


@CASES.add("watch/keeps nothing alive", "7: a watch is no subscription to a run")
async def keeps_nothing_alive(server: ServerUnderTest) -> None:
    """A run that is to end with its viewers ends, though it is watched."""
    server.require("watch")
    grace = server.limits.get("disconnect_grace_s")
    if not isinstance(grace, int | float) or grace > 2:
        raise Skipped(f"disconnect_grace_s {grace} is long")
    tag = {"tag": server.new_id()}
    conn, viewer = await server.connect(), await server.connect()
    id = server.new_id()
    await conn.ask({"type": "watch", "sub": 1, "metadata": tag})
    await viewer.send(run("slow", {}, spec(1, "custom"), run=id, metadata=tag, on_disconnect="cancel"))
    await _status(conn, 1, id, "running")
    await viewer.cut()
    await _status(conn, 1, id, "cancelled")
