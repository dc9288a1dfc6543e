"""Lists and watches of many shards are one. About `gateway/graphwire_gateway/cluster/gathering.py`."""

import random
from typing import Any

import pytest
from graphwire_gateway.cluster.gathering import Answers, Frame, GatheredList, GatheredWatch
from graphwire_gateway.runs.paging import made_page
from graphwire_protocol.commands import List, Unsubscribe, Watch
from graphwire_protocol.errors import Refusal

SHARDS = 4


def time(moment: int) -> str:
    return f"2026-03-01T12:00:{moment // 1000:02}.{moment % 1000:03}Z"


def ask(shard_rows: list[list[Frame]], command: List, most_bytes: int = 1 << 20) -> Frame:
    """Ask all shards as a gateway does; each answers as a home does."""
    listed = GatheredList(command, range(len(shard_rows)), most_bytes)
    for shard, rows in enumerate(shard_rows):
        asked = listed.asked_of(shard)
        if command.what == "runs":
            page, cursor = made_page(
                rows, lambda row: (row["created_at"], row["run"]), dict, asked.limit, asked.cursor
            )
        else:
            page, cursor = made_page(
                rows,
                lambda row: (row["updated_at"], row["graph"], row["thread"]),
                dict,
                asked.limit,
                asked.cursor,
            )
        ok: Frame = {"type": "ok", "id": 1, command.what: page}
        listed.answer(shard, {**ok, "cursor": cursor} if cursor else ok)
    assert not listed.missing
    return listed.result()


def all_pages(shard_rows: list[list[Frame]], command: List, most_bytes: int = 1 << 20) -> list[list[Frame]]:
    pages = []
    while True:
        ok = ask(shard_rows, command, most_bytes)
        pages.append(ok[command.what])
        if "cursor" not in ok:
            return pages
        assert len(ok["cursor"]) <= 1024
        command = command.model_copy(update={"cursor": ok["cursor"]})
        assert len(pages) < 500, "the pages do not end"


def test_pages_of_graphs_have_every_one_once() -> None:
    names = [[f"g{shard}-{number}" for number in range(150)] for shard in range(SHARDS)]
    rows: list[list[Frame]] = [[{"name": name} for name in each] for each in names]
    command = List(id=1, what="graphs")
    for most_bytes in (400, 1 << 20):
        seen: list[str] = []
        cursor, pages = None, 0
        while cursor is not None or not pages:
            listed = GatheredList(command.model_copy(update={"cursor": cursor}), range(SHARDS), most_bytes)
            for shard in sorted(listed.missing):
                asked = listed.asked_of(shard)
                page, more = made_page(
                    rows[shard], lambda row: ("", row["name"]), dict, 1000, asked.cursor, most_bytes
                )
                ok: Frame = {"type": "ok", "id": 1, "graphs": page}
                listed.answer(shard, {**ok, "cursor": more} if more else ok)
            found = listed.result()
            seen += [row["name"] for row in found["graphs"]]
            cursor, pages = found.get("cursor"), pages + 1
        assert seen == [name for each in names for name in each]
        assert (pages > 20) == (most_bytes == 400)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("what", ["runs", "threads"])
def test_pages_have_every_row_once_the_newest_first(seed: int, what: Any) -> None:
    chance = random.Random(seed)
    rows: list[list[Frame]] = [[] for _ in range(SHARDS)]
    moments = chance.choice([1, 3, 40])  # many rows of one moment, too
    for number in range(chance.randrange(80)):
        at = time(chance.randrange(moments))
        row = {"run": f"r{number}", "created_at": at, "graph": "g", "thread": f"t{number}", "updated_at": at}
        chance.choice(rows).append(row)
    for each in rows:
        each.sort(key=lambda row: row["created_at"], reverse=True)
    pages = all_pages(rows, List(id=1, what=what, limit=chance.randrange(1, 12)))
    found = [row for page in pages for row in page]
    assert sorted(row["run"] for row in found) == sorted(row["run"] for each in rows for row in each)
    times = [row["created_at"] for row in found]
    assert times == sorted(times, reverse=True)


def test_a_page_is_as_long_as_it_may_be_where_no_shard_holds_back() -> None:
    rows = [[{"run": f"r{shard}-{n}", "created_at": time(9 - n)} for n in range(5)] for shard in range(3)]
    assert [len(page) for page in all_pages(rows, List(id=1, what="runs", limit=100))] == [15]


def test_a_page_is_no_larger_than_a_reply_may_be() -> None:
    rows = [[{"run": f"r{n}", "created_at": time(9 - n), "metadata": "x" * 300} for n in range(8)]]
    pages = all_pages(rows, List(id=1, what="runs", limit=100), 1000)
    assert [len(page) for page in pages] == [2, 2, 2, 2]


def test_a_row_that_goes_between_two_pages_takes_no_other_with_it() -> None:
    rows = [[{"run": f"r{shard}-{n}", "created_at": time(9 - n)} for n in range(5)] for shard in range(3)]
    command = List(id=1, what="runs", limit=4)
    first = ask(rows, command)
    gone = first["runs"][-1]["run"]
    rows = [[row for row in each if row["run"] != gone] for each in rows]
    left = all_pages(rows, command.model_copy(update={"cursor": first["cursor"]}))
    names = [row["run"] for row in first["runs"]] + [row["run"] for page in left for row in page]
    assert len(set(names)) == 15, "rows of its moment may come twice"


@pytest.mark.parametrize("cursor", ["", "x", "W10=", "WyJhIl0=", "WzAsMV0=", "WzBd", "bnVsbA==", "ü"])
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    with pytest.raises(Refusal, match=r"list\.cursor") as refused:
        GatheredList(List(id=1, what="runs", cursor=cursor), range(2), 1000)
    assert refused.value.code == "invalid_argument"


def test_a_refusal_is_the_answer_and_the_first_one_counts() -> None:
    answers = Answers(Unsubscribe(id=1, sub=2), range(3))
    answers.answer(1, {"type": "ok", "id": 1})
    answers.answer(2, {"type": "error", "id": 1, "code": "busy"})
    assert answers.missing == {0}
    answers.answer(0, {"type": "error", "id": 1, "code": "internal"})
    assert answers.result()["code"] == "busy"
    assert set(answers.found) == {1}


# ── watches ──────────────────────────────────────────────────────────────────────────────────────


def info(run: str, moment: int, **fields: Any) -> Frame:
    return {"type": "run_info", "sub": 5, "run": run, "created_at": time(moment), **fields}


def synced(**fields: Any) -> Frame:
    return {"type": "synced", "sub": 5, **fields}


def runs(frames: list[Frame]) -> list[str]:
    return [frame["run"] for frame in frames if frame["type"] == "run_info"]


def test_a_watch_begins_with_the_rows_of_all_shards_the_newest_first() -> None:
    watched = GatheredWatch(Watch(id=1, sub=5), range(2), 10)
    assert watched.take(0, info("a", 5)) == []
    assert watched.take(0, info("b", 1)) == []
    assert watched.take(0, synced()) == []
    assert not watched.is_synced
    assert watched.take(1, info("c", 3)) == []
    frames = watched.take(1, synced())
    assert runs(frames) == ["a", "c", "b"]
    assert frames[-1] == synced()
    assert watched.is_synced


def test_of_too_many_rows_the_oldest_are_cut_and_counted() -> None:
    watched = GatheredWatch(Watch(id=1, sub=5), range(2), 2)
    for shard, moment in ((0, 1), (1, 2), (0, 3), (1, 4)):
        watched.take(shard, info(f"r{moment}", moment))
    watched.take(0, synced(cut=7))
    frames = watched.take(1, synced())
    assert runs(frames) == ["r4", "r3"]
    assert frames[-1] == synced(cut=9)


def test_what_changes_while_the_list_is_gathered_is_listed_as_it_is_then() -> None:
    watched = GatheredWatch(Watch(id=1, sub=5), range(2), 10)
    watched.take(0, info("a", 1, status="running"))
    watched.take(0, synced())
    watched.take(0, info("a", 1, status="completed"))
    watched.take(0, info("b", 2, status="running"))
    watched.take(0, {"type": "run_gone", "sub": 5, "run": "b", "reason": "deleted"})
    frames = watched.take(1, synced())
    assert runs(frames) == ["a"]
    assert frames[0]["status"] == "completed"


def test_threads_are_listed_by_their_last_change() -> None:
    watched = GatheredWatch(Watch(id=1, sub=5, what="threads"), range(2), 10)
    for shard, graph, moment in ((0, "g", 1), (1, "h", 2), (1, "g", 3)):
        row = {
            "type": "thread_info",
            "sub": 5,
            "graph": graph,
            "thread": f"t{shard}",
            "updated_at": time(moment),
        }
        watched.take(shard, row)
    watched.take(0, synced())
    frames = watched.take(1, synced())
    assert [(frame["graph"], frame["thread"]) for frame in frames[:-1]] == [
        ("g", "t1"),
        ("h", "t1"),
        ("g", "t0"),
    ]
