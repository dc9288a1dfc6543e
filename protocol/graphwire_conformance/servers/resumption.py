"""Cases of position: connections cut anywhere, cursors of every kind, gaps and snapshots."""

from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.attachment import Attachment
from graphwire_conformance.servers.cases import ALL_MODES, Cases, run, spec, subscribe
from graphwire_conformance.servers.connection import RawConnection
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Skipped, Violation, check

CASES = Cases()

_EVICTABLE = 60_000
"""The most events that a case makes so that some are evicted."""


def check_whole(events: list[Frame], count: int, rule: str = "5: nothing lost, nothing twice") -> None:
    """Check that these are all events of a ``conformance.counter`` that records ``custom`` alone."""
    seqs = [event["seq"] for event in events]
    check(
        seqs == list(range(1, count + 3)), rule, f"seq 1 to {count + 2}, each once, in order", f"seqs {seqs}"
    )
    numbers = [event["data"].get("i") for event in events[1:-1]]
    check(numbers == list(range(count)), rule, f"i from 0 to {count - 1}", f"{numbers}")
    statuses = [events[index]["data"].get("status") for index in (0, -1)]
    check(
        statuses == ["running", "completed"], "3: lifecycle", "running first, completed last", f"{statuses}"
    )


async def _first(conn: RawConnection, sub: int, count: int) -> Attachment:
    """Read until a subscription has had ``count`` events, or is closed."""
    while True:
        attachment = conn.attachments.get(sub)
        if attachment is not None and (len(attachment.events) >= count or attachment.closed is not None):
            return attachment
        await conn.next()


def _resumed(attachment: Attachment, at: int) -> None:
    reply = attachment.subscribed
    check(reply.get("after") == at, "5: a cursor is exclusive", f"after {at}", reply)
    check(reply.get("recovery") in ("live", "replayed"), "5: recovery", "live or replayed", reply)


@CASES.add("resume/cut after every event", "5: nothing lost, nothing twice, nothing reordered")
async def cut_after_every_event(server: ServerUnderTest) -> None:
    """One run for each event after which a connection can be lost."""
    count = 10
    for at in range(count + 3):
        id = server.new_id()
        conn = await server.connect()
        started = await conn.ask(run("counter", {"count": count, "burst": 2}, spec(1, "custom"), run=id))
        epoch = started["epoch"]
        events = (await _first(conn, 1, at)).events[:at]
        await conn.cut()
        conn = await server.connect(greet=False)
        cursor = {"epoch": epoch, "seq": events[-1]["seq"] if events else 0}
        await conn.send(server.hello(), subscribe(id, spec(1, "custom", from_=cursor)))
        attachment = await conn.closed(1)
        _resumed(attachment, cursor["seq"])
        check_whole(events + attachment.events, count)


@CASES.add("resume/cut before the start is told", "2: idempotent start")
async def cut_before_the_start_is_known(server: ServerUnderTest) -> None:
    """The same run is asked for again, and is one run."""
    id = server.new_id()
    ask = run("counter", {"count": 10}, spec(1, "custom"), run=id)
    conn = await server.connect(greet=False)
    await conn.send(server.hello(), ask)
    await conn.cut()
    conn = await server.connect(greet=False)
    await conn.send(server.hello(), ask)
    check_whole((await conn.closed(1)).events, 10)


@CASES.add("resume/cut within two messages", "3: meta once for each message on an attachment")
async def cut_within_two_messages(server: ServerUnderTest) -> None:
    """A client that comes back gets the metadata of both messages again, and each token once."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("talk", {"words": 6}, spec(1, "messages"), run=id))
    whole = await conn.closed(1)
    for at in range(0, len(whole.events), 3):
        cursor = {"epoch": whole.epoch, "seq": whole.events[at]["seq"]}
        conn = await server.connect()
        await conn.send(subscribe(id, spec(1, "messages", from_=cursor)))
        attachment = await conn.closed(1)
        expected = [(event["seq"], event["data"]) for event in whole.events[at + 1 :]]
        came = [(event["seq"], event["data"]) for event in attachment.events]
        check(came == expected, "5: nothing lost, nothing twice", f"{expected}", f"{came}")
        await conn.cut()


@CASES.add("resume/all cursors in one flight", "5: hello and all subscribe frames in one flight")
async def all_cursors_in_one_flight(server: ServerUnderTest) -> None:
    """A client comes back with many subscriptions, each with another cursor."""
    count = 30
    id = server.new_id()
    conn = await server.connect()
    started = await conn.ask(run("counter", {"count": count}, spec(1, "custom"), run=id))
    await conn.closed(1)
    conn = await server.connect(greet=False)
    cursors = {sub: {"epoch": started["epoch"], "seq": sub} for sub in range(count + 3)}
    await conn.send(
        server.hello(), *(subscribe(id, spec(sub, "custom", from_=cursor)) for sub, cursor in cursors.items())
    )
    await conn.closed(*cursors)
    for sub in cursors:
        seqs = [event["seq"] for event in conn.attachments[sub].events]
        check(seqs == list(range(sub + 1, count + 3)), "5", f"seq {sub + 1} to {count + 2}", f"{seqs}")


async def _gap(server: ServerUnderTest, cursor: Frame, reason: str) -> None:
    conn = await server.connect()
    await conn.send(subscribe(server.ended_run, spec(1, "custom", "values", from_=cursor)))
    attachment = await conn.closed(1)
    rule = "5: a position that is gone gets gap and snapshot"
    check(attachment.subscribed.get("recovery") == "gap", rule, "recovery gap", attachment.subscribed)
    check(
        len(attachment.gaps) == 1 and len(attachment.snapshots) == 1,
        rule,
        "one of each",
        f"{attachment.frames}",
    )
    gap = attachment.gaps[0]
    check(gap["reason"] == reason, rule, f"reason {reason}", gap)
    check(gap["after_seq"] == cursor["seq"], rule, f"after_seq {cursor['seq']}, the client's own", gap)
    check(
        attachment.synced is not None,
        "5: synced behind what was sent first",
        "synced",
        f"{attachment.frames}",
    )
    if gap["upto_seq"] == 0:
        snapshot = attachment.snapshots[0]
        is_empty = snapshot["status"] == "queued" and not snapshot["messages"]
        check(is_empty, "5: where nothing was evicted", "an empty snapshot, status queued", snapshot)
        planned = [event["data"] for event in attachment.events if event["mode"] == "custom"]
        check(
            planned == [{"planned": 0}, {"planned": 1}],
            "5: the whole log follows",
            "both events",
            f"{planned}",
        )
    check(attachment.terminal is not None, "3: the terminal event", "the end", f"{attachment.frames[-1]}")


@CASES.add("resume/another epoch", "5: epoch_changed")
async def another_epoch(server: ServerUnderTest) -> None:
    """A cursor of an incarnation that the server does not have."""
    await _gap(server, {"epoch": "made-up", "seq": 7}, "epoch_changed")


@CASES.add("resume/ahead of the head", "5: ahead")
async def ahead_of_the_head(server: ServerUnderTest) -> None:
    """A cursor that the log has not reached."""
    await _gap(server, {"epoch": server.epoch, "seq": 5_000_000}, "ahead")


@CASES.add("resume/evicted", "5: the log is compacted, not cut")
async def evicted(server: ServerUnderTest) -> None:
    """A log beyond its limits: who asks for what is gone gets a gap, a snapshot and the rest."""
    limit = server.limits.get("log_events")
    if not isinstance(limit, int) or 4 * limit > _EVICTABLE:
        raise Skipped(f"log_events {limit} is too large to be driven over")
    count = 4 * limit + 50
    id = server.new_id()
    conn = await server.connect()
    await conn.send(run("counter", {"count": count, "burst": 500}, spec(1, "custom", credit=0), run=id))
    ended = {"type": "result", "run": id}
    await conn.send(subscribe(id, spec(2, "lifecycle")))
    await conn.closed(2)
    check(
        (await conn.ask(ended))["status"] == "completed", "6: a run never waits for a viewer", "completed", ""
    )
    await conn.send({"type": "credit", "sub": 1, "events": count + 5})
    attachment = await conn.closed(1)
    check(attachment.gaps, "5: evicted", "a gap", f"{len(attachment.events)} events, and no gap")
    gap = attachment.gaps[-1]
    check(gap["reason"] == "evicted" and gap["lost"] == ["custom"], "5: gap", "evicted, lost custom", gap)
    seqs = [event["seq"] for event in attachment.events if event["seq"] > gap["upto_seq"]]
    expected = list(range(gap["upto_seq"] + 1, count + 3))
    check(seqs == expected, "5: every event behind the snapshot", f"{len(expected)} events", f"{len(seqs)}")


@CASES.add("resume/at the end", "5: a cursor at the end of an ended run is closed at once")
async def at_the_end(server: ServerUnderTest) -> None:
    """Nothing is left to be sent."""
    conn = await server.connect()
    await conn.send(subscribe(server.ended_run, spec(1, "custom")))
    whole = await conn.closed(1)
    cursor = {"epoch": server.epoch, "seq": whole.subscribed["head"]}
    await conn.send(subscribe(server.ended_run, spec(2, "custom", from_=cursor)))
    await conn.send(subscribe(server.ended_run, spec(3, "custom", from_="now")))
    await conn.closed(2, 3)
    for sub in (2, 3):
        frames = [frame["type"] for frame in conn.attachments[sub].frames]
        check(frames == ["closed"], "5", "closed, and nothing before it", f"{frames}")


@CASES.add("snapshot/the whole state", "5: a snapshot describes exactly its seq")
async def whole_state(server: ServerUnderTest) -> None:
    """Values, messages and their metadata at the end of a run."""
    conn = await server.connect()
    every = spec(1, *ALL_MODES, namespaces=[["**"]], from_="snapshot")
    await conn.send(subscribe(server.ended_run, every))
    attachment = await conn.closed(1)
    check(len(attachment.snapshots) == 1, "5", "one snapshot", f"{attachment.frames}")
    snapshot = attachment.snapshots[0]
    values = {"topic": "t", "note": "searched", "joke": "one two three ", "score": 5, "done": True}
    check(snapshot["status"] == "completed", "5: snapshot", "status completed", snapshot["status"])
    check(snapshot.get("values") == values, "5: snapshot", f"values {values}", snapshot.get("values"))
    texts = {message["message"]["content"]: message for message in snapshot["messages"]}
    wanted = {"one two three ", "here there ", "plain words "}
    check(set(texts) == wanted, "5: merged messages", f"{wanted}", f"{set(texts)}")
    nodes = {text: message.get("node") for text, message in texts.items()}
    expected = {"one two three ": "tell", "here there ": "search", "plain words ": "hush"}
    check(nodes == expected, "5: messages with their node", f"{expected}", f"{nodes}")
    tags = texts["one two three "]["meta"].get("tags")
    check(tags == ["joke", "funny"], "5: messages with their metadata", "tags joke, funny", f"{tags}")
    check(snapshot["interrupts"] == [], "5: pending interrupts", "none", snapshot["interrupts"])


@CASES.add("snapshot/through the filter", "5: a snapshot passes the subscription's filter")
async def through_the_filter(server: ServerUnderTest) -> None:
    """What a filter holds back is in no snapshot."""
    conn = await server.connect()
    await conn.send(
        subscribe(server.ended_run, spec(1, "values", keys=["score"], from_="snapshot")),
        subscribe(
            server.ended_run, spec(2, "messages", namespaces=[["**"]], tags=["search"], from_="snapshot")
        ),
        subscribe(server.ended_run, spec(3, "custom", from_="snapshot")),
    )
    await conn.closed(1, 2, 3)
    snapshots = []
    for sub in (1, 2, 3):
        if not conn.attachments[sub].snapshots:
            raise Violation("5: from snapshot", "a snapshot", f"{conn.attachments[sub].frames}")
        snapshots.append(conn.attachments[sub].snapshots[0])
    came = [
        (snapshot.get("values"), [message["message"]["content"] for message in snapshot["messages"]])
        for snapshot in snapshots
    ]
    expected = [({"score": 5}, []), (None, ["here there "]), (None, [])]
    check(came == expected, "5", f"{expected}", f"{came}")
