"""Cases of threads as objects, tried if ``welcome.features`` has ``threads``."""

from typing import Any

from graphwire_conformance.match import difference
from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.cases import Cases, run, spec
from graphwire_conformance.servers.connection import RawConnection
from graphwire_conformance.servers.interrupts import every_mode, respond, wait_ended, wait_questions
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import brief, check

CASES = Cases()

_RULE = "2: thread_update"
_WATCH = "7: watching threads"
_GRAPH = "conformance.ask"


async def _update(conn: RawConnection, thread: str, metadata: Frame) -> Frame:
    """Set metadata of a thread; return its row."""
    reply = await conn.ask({"type": "thread_update", "graph": _GRAPH, "thread": thread, "metadata": metadata})
    row = reply.get("thread")
    check(reply["type"] == "ok" and isinstance(row, dict), _RULE, "ok with the thread", reply)
    assert isinstance(row, dict)
    return row


async def _listed(conn: RawConnection, **fields: Any) -> list[Frame]:
    reply = await conn.ask({"type": "list", "what": "threads", "graph": _GRAPH, **fields})
    rows: list[Frame] = reply["threads"]
    return rows


async def _delete(conn: RawConnection, *threads: str) -> None:
    for thread in threads:
        await conn.ask({"type": "delete", "graph": _GRAPH, "thread": thread})


def _check_metadata(row: Frame, metadata: Frame, what: str) -> None:
    came = row.get("metadata", {})
    check(came == metadata, _RULE, f"{what}: {brief(metadata)}", f"{brief(came)}")


@CASES.add("threads/metadata is merged", f"{_RULE}: key by key; null removes a key; the later wins")
async def metadata_is_merged(server: ServerUnderTest) -> None:
    """Two clients name a thread that has no run yet."""
    server.require("threads")
    conn, other = await server.connect(), await server.connect()
    thread = server.new_id()
    row = await _update(conn, thread, {"title": "one", "tags": ["a"], "draft": True})
    wanted = {"graph": _GRAPH, "thread": thread, "status": "completed", "created_at": "<time>"}
    found = difference({**wanted, "updated_at": "<time>"}, row, {})
    check(found is None, "2: a thread's row", f"{wanted}", f"{found}; in {brief(row)}")
    check("run" not in row, "2: a thread's row", "no run", row)
    row = await _update(other, thread, {"title": "two", "draft": None, "unknown": None})
    _check_metadata(row, {"title": "two", "tags": ["a"]}, "what both have set")
    (listed,) = await _listed(conn, thread=thread)
    check(listed == row, "2: list", f"the same row: {brief(row)}", f"{brief(listed)}")
    await _delete(conn, thread)
    check(await _listed(conn, thread=thread) == [], "2: delete", "no such thread", "it is listed")


@CASES.add("threads/a name before the first run", f"{_RULE}: at any time, whether or not a run uses it")
async def a_name_before_the_first_run(server: ServerUnderTest) -> None:
    """The first run keeps the name, its row says what it asks, and a name is set while it waits."""
    server.require("threads")
    conn = await server.connect()
    thread, id = server.new_id(), server.new_id()
    await _update(conn, thread, {"title": "early"})
    await conn.send(run("ask", {"topic": "t"}, every_mode(1), run=id, thread=thread))
    asked = await wait_questions(conn, 1)
    row = await _update(conn, thread, {"color": "red"})
    _check_metadata(row, {"title": "early", "color": "red"}, "both names")
    seen = (row.get("run"), row["status"], row.get("interrupts"))
    check(seen == (id, "interrupted", list(asked.values())), "2: a thread's row", "what it asks", row)
    check(len(row.get("questions", ())) == len(asked), "2: a thread's row", "questions", row)
    await conn.ask(respond(id, *((one, 1) for one in asked.values())))
    await wait_ended(conn, 1, "completed")
    (row,) = await _listed(conn, thread=thread)
    check("questions" not in row, "2: a thread's row", "no questions of a run that has ended", row)
    _check_metadata(row, {"title": "early", "color": "red"}, "after the run")
    await _delete(conn, thread)


@CASES.add("threads/found by title and metadata", "2: list: search and metadata")
async def found_by_title_and_metadata(server: ServerUnderTest) -> None:
    """A part of a title in any case; a title that is no text has no match."""
    server.require("threads")
    conn = await server.connect()
    tag = server.new_id()
    titles = {"a": "Red CATS", "b": "blue cats", "c": ["cats"], "d": "dogs"}
    threads = {name: server.new_id() for name in titles}
    for name, title in titles.items():
        await _update(conn, threads[name], {"title": title, "tag": tag, "first": name == "a"})
    for fields, wanted in (
        ({"search": "cats"}, "ba"),
        ({"search": "RED c"}, "a"),
        ({}, "dcba"),
        ({"search": "cats", "metadata": {"tag": tag, "first": True}}, "a"),
        ({"search": "birds"}, ""),
    ):
        rows = await _listed(conn, **{"metadata": {"tag": tag}, **fields})
        names = {id: name for name, id in threads.items()}
        came = sorted(names.get(row["thread"], "?") for row in rows)
        check(came == sorted(wanted), "2: list", f"{fields}: {wanted or 'nothing'}", f"{came}")
    await _delete(conn, *threads.values())


@CASES.add("threads/a watch", f"{_WATCH}: each that matches now, synced, every change, thread_gone")
async def a_watch(server: ServerUnderTest) -> None:
    """The list of conversations beside a chat."""
    server.require("threads")
    conn, other = await server.connect(), await server.connect()
    tag = {"tag": server.new_id()}
    old, new, stranger, id = [server.new_id() for _ in range(4)]
    await _update(other, old, {**tag, "title": "old"})
    await conn.ask({"type": "watch", "sub": 9, "what": "threads", "metadata": tag})
    await conn.until(lambda frame: frame["type"] == "synced" and frame["sub"] == 9)
    seen = [frame["thread"] for frame in conn.frames if frame["type"] == "thread_info"]
    check(seen == [old], _WATCH, f"{old}, then synced", f"{seen}")

    async def says(thread: str, **fields: Any) -> Frame:
        return await conn.until(
            lambda frame: (
                frame["type"] == "thread_info"
                and frame["thread"] == thread
                and all(frame.get(name) == value for name, value in fields.items())
            )
        )

    await _update(other, stranger, {"title": "another"})
    await _update(other, new, tag)
    await says(new, status="completed")
    await other.send(run("ask", {"topic": "t"}, every_mode(1), run=id, thread=new))
    row = await says(new, run=id, status="interrupted")
    check(len(row.get("questions", ())) > 0, _WATCH, "what the thread asks", row)
    await _update(other, old, {"tag": None})
    last = await says(old)
    check(last.get("metadata") == {"title": "old"}, _WATCH, "the change by which it stops matching", last)
    await _update(other, old, {"title": "older"})
    await _delete(other, new)
    gone = await conn.until(lambda frame: frame["type"] == "thread_gone" and frame["thread"] == new)
    wanted = {"type": "thread_gone", "sub": 9, "graph": _GRAPH, "thread": new, "reason": "deleted"}
    check(gone == wanted, "7: thread_gone", f"{wanted}", f"{gone}")
    since = len(conn.frames)
    await _delete(other, stranger, old)
    await conn.ask({"type": "unsubscribe", "sub": 9})
    later = [frame for frame in conn.frames[since:] if frame["type"] == "thread_info"]
    strangers = [frame for frame in conn.frames if frame.get("thread") == stranger]
    check(not later, "7: thread_gone", "no thread_info behind it", f"{later}")
    check(not strangers, _WATCH, "only threads that match", f"{strangers}")


@CASES.add("threads/deleted and begun anew", "2: delete: a thread with its metadata")
async def deleted_and_begun_anew(server: ServerUnderTest) -> None:
    """A run on the name of a deleted thread finds none of its metadata."""
    server.require("threads")
    conn = await server.connect()
    thread = server.new_id()
    await _update(conn, thread, {"title": "old"})
    await _delete(conn, thread)
    await conn.send(run("values", {"text": "a"}, spec(1, "values"), run=server.new_id(), thread=thread))
    await wait_ended(conn, 1, "completed")
    reply = await conn.ask({"type": "list", "what": "threads", "thread": thread})
    named = [row for row in reply["threads"] if row.get("metadata")]
    check(len(reply["threads"]) == 1 and not named, "2: delete", "one thread without metadata", reply)
    await conn.ask({"type": "delete", "graph": "conformance.values", "thread": thread})
