"""Threads have metadata, are searched in lists, and followed by watches.

About `gateway/graphwire_gateway/runs/known_threads.py`, `gateway/graphwire_gateway/runs/known_thread.py`,
`gateway/graphwire_gateway/runs/saved_threads.py`, `gateway/graphwire_gateway/runs/listing.py` and
`gateway/graphwire_gateway/runs/thread_watch.py`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from graphwire_gateway.runs import saved_threads
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, Gate, library
from tests.support.peer import everything
from tests.support.questions import asker, held, stepper
from tests.support.thread_rows import finished, named, names, threads, told, update, watching

OURS = library(LIBRARIES[0])
TOKENS = {"a-token": "ann", "b-token": "bob"}


# ── metadata ─────────────────────────────────────────────────────────────────────────────────────


async def test_metadata_is_merged_by_key_and_null_removes_a_key(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    await finished(peer, "r", "t")
    row = await named(peer, "t", title="Cats", tags=["a"], draft=True)
    assert row["metadata"] == {"title": "Cats", "tags": ["a"], "draft": True}
    assert (row["run"], row["status"]) == ("r", "completed")
    row = await named(peer, "t", title="Dogs", draft=None, unknown=None)
    assert row["metadata"] == {"title": "Dogs", "tags": ["a"]}
    assert await threads(peer) == [row]
    assert "metadata" not in await named(peer, "t", title=None, tags=None)


async def test_a_thread_gets_its_name_before_its_first_run_and_keeps_it(serve, connect) -> None:
    gate = Gate()
    server = await serve({"held": held(OURS, gate)}, limits={"max_server_runs": 1})
    peer = await connect(server)
    row = await named(peer, "new", "held", title="Cats")
    assert ("run" in row, row["status"], row["created_at"]) == (False, "completed", row["updated_at"])
    assert await threads(peer) == [row]
    await peer.run("held", {}, everything(1), run="first", thread="other")
    await peer.run("held", {}, everything(2), run="waits", thread="new")
    assert (await threads(peer, thread="new"))[0]["status"] == "queued"
    row = await named(peer, "new", "held", title="Dogs")
    assert (row["run"], row["status"], row["metadata"]) == ("waits", "queued", {"title": "Dogs"})
    gate.open()
    await peer.closed(2)
    assert [row["metadata"] for row in await threads(peer, thread="new")] == [{"title": "Dogs"}]


async def test_of_two_clients_that_set_one_key_the_later_wins_and_other_keys_stay(serve, connect) -> None:
    server = await serve({"steps": stepper(OURS)})
    first, second = await connect(server), await connect(server)
    await named(first, "t", title="one", owner="ann")
    assert (await named(second, "t", title="two", tag="x"))["metadata"] == {
        "title": "two",
        "owner": "ann",
        "tag": "x",
    }


async def test_a_name_moves_no_thread_to_the_top_of_the_list(serve, connect) -> None:
    saver = InMemorySaver()
    first = await connect(await serve({"steps": stepper(OURS, saver)}))
    for thread in ("old", "new"):
        await finished(first, f"of-{thread}", thread)
    await named(first, "old", title="Cats")
    assert await names(first) == ["new", "old"]
    after_a_restart = await connect(await serve({"steps": stepper(OURS, saver)}))
    before = await threads(after_a_restart)
    row = await named(after_a_restart, "old", title="Dogs")
    assert await names(after_a_restart) == ["new", "old"]
    assert (row["updated_at"], row["status"]) == (before[1]["updated_at"], "completed")
    assert (await threads(after_a_restart))[1]["created_at"] == before[1]["created_at"]


async def test_what_cannot_have_metadata_is_refused_and_changes_nothing(serve, connect) -> None:
    bare = stepper(OURS, False)
    server = await serve(
        {"steps": stepper(OURS), "bare": bare}, limits={"max_metadata_bytes": 100, "store_bytes": 100_000}
    )
    peer = await connect(server)
    assert (await update(peer, "t", "nope", a=1))["code"] == "not_found"
    assert (await update(peer, "t", "bare", a=1))["code"] == "invalid_argument"
    large = await update(peer, "t", a="x" * 200)
    assert (large["code"], large["details"]["limit"]) == ("limit_exceeded", "max_metadata_bytes")
    assert await threads(peer) == []
    await named(peer, "t", a="x" * 60)
    assert (await update(peer, "t", b="x" * 60))["code"] == "limit_exceeded", "what is there counts, too"
    assert (await threads(peer))[0]["metadata"] == {"a": "x" * 60}


@pytest.mark.one_process
async def test_metadata_counts_against_what_a_principal_may_keep_until_the_thread_is_deleted(
    serve, connect
) -> None:
    server = await serve({"steps": stepper(OURS)}, limits={"store_bytes": 12_000}, tokens=TOKENS)
    ann, bob = [await connect(server, token=token) for token in TOKENS]
    replies = [await update(ann, f"t{number}", title="x" * 500) for number in range(6)]
    assert [reply["type"] for reply in replies] == ["ok"] * 4 + ["error"] * 2
    assert (replies[-1]["code"], replies[-1]["details"]) == ("limit_exceeded", {"limit": "store_bytes"})
    assert "t5" not in await names(ann)
    assert (await named(ann, "t0", title="y"))["metadata"] == {"title": "y"}, "less is always taken"
    refused = await ann.run("steps", {}, run="r")
    assert refused["code"] == "limit_exceeded", "it counts as what runs hold does"
    await named(bob, "t", title="x" * 500)
    for number in range(4):
        await ann.ask(type="delete", graph="steps", thread=f"t{number}")
    await named(ann, "t9", title="x" * 500)
    assert await names(ann) == ["t9"]


async def test_threads_belong_to_a_principal(serve, connect) -> None:
    server = await serve({"steps": stepper(OURS)}, tokens=TOKENS)
    ann, bob = [await connect(server, token=token) for token in TOKENS]
    assert await watching(bob, 1) == []
    await named(ann, "t", title="of ann")
    await named(bob, "t", title="of bob")
    assert [row["metadata"]["title"] for row in await threads(ann)] == ["of ann"]
    assert [row["metadata"]["title"] for row in await threads(bob)] == ["of bob"]
    await ann.ask(type="delete", graph="steps", thread="t")
    await named(bob, "last", title="x")
    await told(bob, 1, "last")
    assert [frame["type"] for frame in bob.of(1)] == ["subscribed", "synced", "thread_info", "thread_info"]


async def test_a_shared_thread_has_the_same_metadata_for_all_and_names_no_run_of_others(
    serve, connect
) -> None:
    server = await serve({"steps": stepper(OURS)}, tokens=TOKENS, shared_threads=True)
    ann, bob = [await connect(server, token=token) for token in TOKENS]
    assert await watching(bob, 1) == []
    await finished(ann, "r", "t")
    await named(ann, "t", title="Cats")
    frame = await told(bob, 1, "t", metadata={"title": "Cats"})
    assert "run" not in frame
    assert [(row["status"], row["metadata"]) for row in await threads(bob)] == [
        ("completed", {"title": "Cats"})
    ]


# ── lists ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_is_filtered_by_metadata_title_status_and_graph(serve, connect) -> None:
    server = await serve({"steps": stepper(OURS), "asks": asker(OURS)})
    peer = await connect(server)
    await named(peer, "a", title="Über Katzen", team="red")
    await named(peer, "b", title="katzen", team="blue")
    await named(peer, "c", title=["katzen"], team="red")
    await peer.run("asks", {"topic": "x"}, everything(1), run="q", thread="d")
    await peer.until(lambda frame: frame.get("mode") == "interrupt")
    assert await names(peer, search="KATZEN") == ["b", "a"], "a title that is no text has no match"
    assert await names(peer, search="über") == ["a"]
    assert await names(peer, search="dogs") == []
    assert await names(peer, metadata={"team": "red"}) == ["c", "a"]
    assert await names(peer, metadata={"team": "red"}, search="katzen") == ["a"]
    assert await names(peer, status=["interrupted"]) == ["d"]
    assert await names(peer, graph="steps", status=["completed"]) == ["c", "b", "a"]
    await named(peer, "long", title="-" * 1_020 + "ends here")
    assert await names(peer, search="ends") == ["long"]
    assert await names(peer, search="here") == [], "beyond what is searched of a title"
    refused = await peer.ask(type="list", what="runs", search="x")
    assert refused["code"] == "invalid_argument"


async def test_a_list_has_pages(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    for number in range(5):
        await named(peer, f"t{number}", title="x")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await peer.ask(type="list", what="threads", limit=2, search="x", **cursor)
        seen += [row["thread"] for row in page["threads"]]
        if "cursor" not in page:
            break
        cursor = {"cursor": page["cursor"]}
    assert sorted(seen) == [f"t{number}" for number in range(5)]


async def test_a_page_of_large_rows_ends_early_and_nothing_is_left_out(serve, connect) -> None:
    limits = {"max_event_bytes": 10_000, "max_metadata_bytes": 4_000}
    peer = await connect(await serve({"steps": stepper(OURS)}, limits=limits))
    for number in range(5):
        await named(peer, f"t{number}", title="x" * 3_900)
    sizes: list[int] = []
    cursor: dict[str, str] = {}
    while not sizes or cursor:
        page = await peer.ask(type="list", what="threads", **cursor)
        sizes.append(len(page["threads"]))
        cursor = {"cursor": page["cursor"]} if "cursor" in page else {}
    assert sizes == [2, 2, 1]


async def test_what_only_a_saver_knows_is_listed_with_what_it_asks(serve, connect) -> None:
    saver = InMemorySaver()
    first = await connect(await serve({"asks": asker(OURS, saver)}))
    await first.run("asks", {"topic": "tea"}, everything(1), run="q", thread="t")
    await first.until(lambda frame: frame.get("mode") == "interrupt")
    known = (await threads(first))[0]
    assert known["questions"][0]["value"] == {"about": "tea"}
    peer = await connect(await serve({"asks": asker(OURS, saver)}))
    row = (await threads(peer))[0]
    assert "run" not in row
    assert "metadata" not in row
    assert (row["status"], row["interrupts"]) == ("interrupted", known["interrupts"])
    assert row["questions"] == known["questions"]
    assert await watching(peer, 5) == [{"type": "thread_info", "sub": 5, **row}], "and a watch has it, too"
    assert row["created_at"] <= row["updated_at"]
    named_row = await named(peer, "t", "asks", title="Tea")
    assert named_row == {**row, "metadata": {"title": "Tea"}, "created_at": row["created_at"]}
    assert await threads(peer) == [named_row]
    assert await told(peer, 5, "t", metadata={"title": "Tea"}) == {
        "type": "thread_info",
        "sub": 5,
        **named_row,
    }


async def test_of_a_saver_with_very_many_checkpoints_only_so_many_are_read(
    serve, connect, monkeypatch
) -> None:
    saver = InMemorySaver()
    first = await connect(await serve({"steps": stepper(OURS, saver)}))
    for thread in ("a", "b"):
        await finished(first, thread, thread)
    peer = await connect(await serve({"steps": stepper(OURS, saver)}))
    assert all("created_at" in row for row in await threads(peer))
    monkeypatch.setattr(saved_threads, "SCANNED", 3)
    assert [("created_at" in row) for row in await threads(peer)] == [False], "it may have begun earlier"


class _Counting(InMemorySaver):
    """Counts the checkpoints that it reads."""

    read = 0

    def get_tuple(self, config: Any) -> Any:
        """Return a checkpoint."""
        found = super().get_tuple(config)
        self.read += found is not None
        return found

    def list(self, config: Any, **options: Any) -> Iterator[Any]:
        """Yield checkpoints."""
        for found in super().list(config, **options):
            self.read += 1
            yield found


async def test_of_a_thread_that_is_named_two_checkpoints_are_read_whatever_else_the_saver_has(
    serve, connect
) -> None:
    saver = _Counting()
    first = await connect(await serve({"steps": stepper(OURS, saver)}))
    for number in range(15):
        await finished(first, f"r{number}", "abc"[number % 3], sub=number)
    peer = await connect(await serve({"steps": stepper(OURS, saver)}))

    saver.read = 0
    (row,) = await threads(peer, thread="b")
    assert saver.read <= 3, "the newest, the first, and the newest again for what it waits for"
    await watching(peer, 1, thread="b")
    assert saver.read <= 6
    assert await threads(peer, thread="d") == []
    everything_known = await threads(peer)
    assert saver.read > 30, "all threads are read if none is named"
    assert row == next(row for row in everything_known if row["thread"] == "b")
    assert "created_at" in row


async def test_a_thread_that_an_edit_began_began_then_whether_or_not_it_is_named(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS, InMemorySaver())}))
    edit = {"type": "state_update", "graph": "steps", "thread": "t", "values": {"topic": "x"}}
    for _ in range(2):
        assert (await peer.ask(**edit, as_node="one"))["type"] == "ok"
    assert await threads(peer, thread="t") == await threads(peer)


async def test_the_server_s_own_saver_says_the_same_of_a_thread_with_its_name_and_without(
    serve, connect
) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    edit = {"type": "state_update", "graph": "steps", "thread": "t", "values": {"topic": "x"}}
    for _ in range(2):
        assert (await peer.ask(**edit, as_node="one"))["type"] == "ok"
    (row,) = await threads(peer, thread="t")
    assert await threads(peer) == [row]
    assert row["created_at"] < row["updated_at"]
