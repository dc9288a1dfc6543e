"""About `gateway/graphwire_gateway/runs/watch.py`.

Rows as runs report them; the test takes frames where the connection would.
"""

from typing import Any

import orjson
import pytest
from graphwire_gateway.runs.watch import Watch, Watches, matches
from graphwire_protocol import commands
from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import Status


def row(run: str, status: Status = "running", **fields: Any) -> RunRow:
    known: dict[str, Any] = {
        "run": run,
        "graph": "g",
        "metadata": {},
        "status": status,
        "attempt": 1,
        "epoch": "e",
        "head": 1,
        "created_at": "t",
        "modes": (),
    }
    return RunRow(**{**known, **fields})


def command(**fields: Any) -> commands.Watch:
    return commands.Watch.model_validate({"id": 1, "sub": 3, **fields})


class Turns:
    """Takes what watches have to send; ``ready`` has those that ask for a turn."""

    def __init__(self, limit: int = 1000) -> None:
        self.watches = Watches(limit)
        self.ready: list[Watch] = []

    def open(self, *rows: RunRow, principal: str = "p", **fields: Any) -> Watch:
        watch = Watch(command(**fields), principal, self.ready.append)
        self.watches.open(watch, rows)
        return watch

    def take(self, room: int = 1 << 20) -> list[Any]:
        """Give the first one that is ready its turn; return what it sends, shortly."""
        out: list[bytes] = []
        size = self.ready.pop(0).take(out, room)
        assert size == sum(map(len, out))
        frames = [orjson.loads(frame) for frame in out]
        assert {frame["sub"] for frame in frames} <= {3}
        return [
            (frame["run"], frame["status"]) if frame["type"] == "run_info" else frame["type"]
            for frame in frames
        ]


@pytest.fixture
def turns() -> Turns:
    return Turns()


# ── which runs match ─────────────────────────────────────────────────────────────────────────────

ROW = row("r", "running", graph="a", thread="t", metadata={"user": 1, "tags": ["x"]})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"graphs": ["b", "a"]}, True),
        ({"graphs": ["b"]}, False),
        ({"graphs": []}, False),
        ({"thread": "t"}, True),
        ({"thread": "u"}, False),
        ({"status": ["queued", "running"]}, True),
        ({"status": ["queued"]}, False),
        ({"metadata": {"user": 1}}, True),
        ({"metadata": {"user": 1, "tags": ["x"]}}, True),
        ({"metadata": {"user": 1, "tags": ["y"]}}, False),
        ({"metadata": {"other": None}}, False),
        ({"graphs": ["a"], "thread": "t", "status": ["running"], "metadata": {"user": 2}}, False),
    ],
)
def test_a_run_matches_where_every_condition_does(fields, expected) -> None:
    asked = command(**fields)
    assert matches(ROW, asked, asked.graphs) is expected


def test_a_list_names_one_graph() -> None:
    asked = commands.List.model_validate({"id": 1, "what": "runs", "thread": "t"})
    assert matches(ROW, asked, ("a",))
    assert not matches(ROW, asked, ("b",))
    assert matches(ROW, asked, None)


# ── what a watch sends ───────────────────────────────────────────────────────────────────────────


def test_a_watch_begins_with_what_matches_now_and_is_then_synced(turns) -> None:
    turns.open(row("b"), row("x", "failed"), row("a"), status=["running"])
    assert turns.take() == [("b", "running"), ("a", "running"), "synced"]
    assert turns.ready == []


def test_a_watch_of_nothing_is_synced_at_once_and_once(turns) -> None:
    turns.open()
    assert turns.take() == ["synced"]
    turns.watches.changed("p", row("a"))
    assert turns.take() == [("a", "running")]


def test_a_watch_begins_with_so_many_runs_at_most_and_hears_of_every_change() -> None:
    turns = Turns(limit=2)
    turns.open(row("c"), row("b"), row("a"))
    assert turns.take() == [("c", "running"), ("b", "running"), "synced"]
    turns.watches.changed("p", row("a", "completed"))
    assert turns.take() == [("a", "completed")]


def test_each_change_of_a_matching_run_is_sent_and_of_others_none(turns) -> None:
    turns.open(graphs=["g"])
    turns.take()
    turns.watches.changed("p", row("a", "queued"))
    turns.watches.changed("p", row("o", "queued", graph="other"))
    turns.watches.changed("p", row("a", "running"))
    assert turns.take() == [("a", "queued"), ("a", "running")]
    turns.watches.changed("p", row("o", "running", graph="other"))
    assert turns.ready == []


def test_the_change_by_which_a_run_stops_to_match_is_sent_once(turns) -> None:
    turns.open(row("a"), status=["running"])
    turns.take()
    turns.watches.changed("p", row("a", "interrupted"))
    turns.watches.changed("p", row("a", "cancelled"))
    assert turns.take() == [("a", "interrupted")]
    turns.watches.changed("p", row("a", "running"))
    assert turns.take() == [("a", "running")]


def test_a_status_that_comes_twice_before_it_is_sent_is_sent_once_as_it_is_last(turns) -> None:
    turns.open()
    turns.take()
    for number in range(100):
        turns.watches.changed("p", row("a", "running", head=number))
        turns.watches.changed("p", row("a", "interrupted", head=number))
    out: list[bytes] = []
    turns.ready.pop().take(out, 1 << 20)
    assert [(orjson.loads(frame)["status"], orjson.loads(frame)["head"]) for frame in out] == [
        ("running", 99),
        ("interrupted", 99),
    ]


def test_the_status_that_a_run_has_now_is_sent_last(turns) -> None:
    turns.open()
    turns.take()
    for status in ("running", "interrupted", "running"):
        turns.watches.changed("p", row("a", status))
    assert turns.take() == [("a", "interrupted"), ("a", "running")]


def test_a_watch_has_one_turn_at_a_time(turns) -> None:
    turns.open(row("a"))
    turns.watches.changed("p", row("a", "completed"))
    assert len(turns.ready) == 1
    turns.take()
    turns.watches.changed("p", row("b"))
    assert len(turns.ready) == 1


def test_a_turn_sends_as_much_as_there_is_room_and_asks_for_another(turns) -> None:
    turns.open(*(row(f"r{number}") for number in range(5)))
    assert turns.take(room=1) == [("r0", "running")]
    size = 0
    sent: list[Any] = []
    while turns.ready:
        sent.extend(turns.take(room=300))
        size += 1
    assert sent == [*((f"r{number}", "running") for number in range(1, 5)), "synced"]
    assert size > 1


def test_a_deleted_run_is_forgotten_so_a_new_one_of_its_id_begins_anew(turns) -> None:
    turns.open(row("a"), status=["running"])
    turns.take()
    turns.watches.forget("p", "a")
    turns.watches.changed("p", row("a", "queued"))
    assert turns.ready == []


# ── several watches ──────────────────────────────────────────────────────────────────────────────


def test_a_watch_hears_of_its_principal_s_runs_alone(turns) -> None:
    mine, theirs = turns.open(principal="p"), turns.open(principal="q")
    turns.take(), turns.take()
    turns.watches.changed("p", row("a"))
    assert turns.ready == [mine]
    turns.take()
    turns.watches.changed("q", row("b"))
    turns.watches.forget("p", "b")
    assert turns.ready == [theirs]


def test_a_watch_that_is_closed_hears_nothing_more_and_the_others_do(turns) -> None:
    first, second = turns.open(), turns.open()
    turns.take(), turns.take()
    turns.watches.close(first)
    turns.watches.changed("p", row("a"))
    assert turns.ready == [second]
    turns.take()
    turns.watches.close(second)
    turns.watches.changed("p", row("b"))
    assert turns.ready == []
