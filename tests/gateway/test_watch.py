"""About `gateway/graphwire_gateway/runs/watch.py` and `gateway/graphwire_gateway/runs/row_watch.py`.

Rows as runs report them; the test takes frames where the connection would.

Long because a list, its changes, moves and ends meet in one order, which each test checks.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest
from graphwire_gateway.runs.row_watch import matches
from graphwire_gateway.runs.watch import PROGRESS_S, RunInfoWatch, Watches
from graphwire_protocol import commands
from graphwire_protocol.frames import RunInfo
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


class WatchedRow:
    """A run that shows one row, which a test may exchange; ``asked`` counts how often it was made."""

    def __init__(self, row: RunRow, principal: str = "p") -> None:
        self.id, self.graph, self.thread, self.metadata = row.run, row.graph, row.thread, row.metadata
        self.principal = principal
        self.row = row
        self.asked = 0

    @property
    def shown_status(self) -> Status:
        return self.row.status

    @property
    def shown_version(self) -> object:
        return self.row

    def shown_row(self) -> RunRow:
        self.asked += 1
        return self.row


class Timer:
    """A timer that the test lets fire."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self.seconds, self.fire, self.is_cancelled = seconds, function, False

    def cancel(self) -> None:
        self.is_cancelled = True


class Turns:
    """Takes what watches have to send; ``ready`` has those that ask for a turn, ``timers`` what was set."""

    def __init__(self, limit: int = 1000) -> None:
        self.watches = Watches(limit, self.later)
        self.ready: list[RunInfoWatch] = []
        self.timers: list[Timer] = []

    def later(self, seconds: float, function: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers.append(Timer(seconds, function))
        return cast("asyncio.TimerHandle", self.timers[-1])

    def open(self, *rows: RunRow | WatchedRow, principal: str = "p", **fields: Any) -> RunInfoWatch:
        watch = RunInfoWatch(command(**fields), principal, self.ready.append)
        self.watches.open(watch, [WatchedRow(row) if isinstance(row, RunRow) else row for row in rows])
        return watch

    def frames(self, room: int = 1 << 20) -> list[dict[str, Any]]:
        """Give the first one that is ready its turn; return what it sends."""
        out: list[bytes] = []
        size = self.ready.pop(0).take(out, room)
        assert size == sum(map(len, out))
        frames = [orjson.loads(frame) for frame in out]
        assert {frame["sub"] for frame in frames} <= {3}
        return frames

    def take(self, room: int = 1 << 20) -> list[Any]:
        """Give the first one that is ready its turn; return what it sends, shortly."""
        return [short(frame) for frame in self.frames(room)]


def short(frame: dict[str, Any]) -> Any:
    match frame["type"]:
        case "run_info":
            return frame["run"], frame["status"]
        case "run_gone":
            return frame["run"], "gone", frame["reason"]
        case "synced" if "cut" in frame:
            return "synced", frame["cut"]
        case kind:
            return kind


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
    assert matches(ROW, ROW.status, asked, asked.graphs) is expected


def test_a_list_names_one_graph() -> None:
    asked = commands.List.model_validate({"id": 1, "what": "runs", "thread": "t"})
    assert matches(ROW, ROW.status, asked, ("a",))
    assert not matches(ROW, ROW.status, asked, ("b",))
    assert matches(ROW, ROW.status, asked, None)


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
    assert turns.take() == [("c", "running"), ("b", "running"), ("synced", 1)]
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


def test_a_frame_is_what_the_models_would_write(turns) -> None:
    turns.open(row("a", thread="t", interrupts=("i",)))
    turns.watches.gone("p", "b", "deleted")
    (info, _), listed = turns.frames(), row("a", thread="t", interrupts=("i",))
    assert RunInfo.model_validate(info) == RunInfo(sub=3, **listed.__dict__)


def test_a_row_of_the_list_is_made_when_there_is_room_for_it(turns) -> None:
    runs = [WatchedRow(row(f"r{number}")) for number in range(3)]
    turns.open(*runs)
    assert [run.asked for run in runs] == [0, 0, 0]
    turns.take(room=1)
    assert [run.asked for run in runs] == [1, 0, 0]


def test_a_run_that_changes_before_the_list_names_it_is_named_as_it_is_then(turns) -> None:
    run = WatchedRow(row("b"))
    turns.open(row("a"), run)
    assert turns.take(room=1) == [("a", "running")]
    run.row = row("b", "completed")
    turns.watches.changed("p", run.row)
    assert turns.take() == [("b", "completed"), "synced"]


def test_a_row_that_many_watches_list_is_made_once_until_it_changes(turns) -> None:
    runs = [WatchedRow(row(f"r{number}")) for number in range(3)]
    other = WatchedRow(row("r0", "failed"), "q")
    for _ in range(50):
        turns.open(*runs)
        turns.open(other, principal="q")
        assert turns.take() == [("r0", "running"), ("r1", "running"), ("r2", "running"), "synced"]
        assert turns.take() == [("r0", "failed"), "synced"]
    assert [run.asked for run in (*runs, other)] == [1, 1, 1, 1]
    runs[1].row = row("r1", head=7)
    turns.open(*runs)
    assert [frame.get("head") for frame in turns.frames()] == [1, 7, 1, None]


def test_rows_that_are_kept_for_other_watches_have_a_bound(turns, monkeypatch) -> None:
    monkeypatch.setattr("graphwire_gateway.runs.row_watch._ROWS_BYTES", 5_000)
    runs = [WatchedRow(row(f"r{number}")) for number in range(100)]
    for _ in range(2):
        turns.open(*runs)
        assert len(turns.take()) == 101
    assert sum(run.asked for run in runs) > 150, "most were let go before they were needed again"


def test_a_row_that_is_replaced_takes_no_room_of_others(turns, monkeypatch) -> None:
    monkeypatch.setattr("graphwire_gateway.runs.row_watch._ROWS_BYTES", 5_000)
    busy, quiet = WatchedRow(row("busy")), WatchedRow(row("quiet"))
    for head in range(100):
        busy.row = row("busy", head=head)
        turns.open(busy, quiet)
        turns.take()
    assert (busy.asked, quiet.asked) == (100, 1)


def test_the_row_of_a_run_that_is_gone_is_let_go(turns) -> None:
    turns.open(row("a"), row("b"))
    turns.take()
    assert len(turns.watches._rows._bodies) == 2
    for run in ("a", "b", "never listed"):
        turns.watches.gone("p", run, "expired")
    assert (turns.watches._rows._bodies, turns.watches._rows._size) == ({}, 0)


# ── runs that are gone ───────────────────────────────────────────────────────────────────────────


def test_a_run_that_is_gone_is_told_behind_its_last_status(turns) -> None:
    turns.open(row("a"))
    turns.take()
    turns.watches.changed("p", row("a", "cancelled"))
    turns.watches.gone("p", "a", "deleted")
    assert turns.take() == [("a", "cancelled"), ("a", "gone", "deleted")]
    turns.watches.gone("p", "a", "deleted")
    assert turns.ready == []


def test_a_run_that_matched_once_is_told_to_be_gone_and_one_that_never_did_is_not(turns) -> None:
    turns.open(row("a"), status=["running"])
    turns.take()
    turns.watches.changed("p", row("a", "completed"))
    turns.take()
    turns.watches.changed("p", row("b", "queued"))
    turns.watches.gone("p", "b", "expired")
    assert turns.ready == []
    turns.watches.gone("p", "a", "expired")
    assert turns.take() == [("a", "gone", "expired")]


def test_a_run_that_goes_before_the_list_names_it_is_not_named(turns) -> None:
    turns.open(row("a"), row("b"))
    turns.watches.gone("p", "a", "evicted")
    assert turns.take() == [("b", "running"), ("a", "gone", "evicted"), "synced"]


def test_what_becomes_of_a_run_that_the_list_left_out_is_told() -> None:
    turns = Turns(limit=1)
    turns.open(row("b"), row("a"), row("0"), status=["running"])
    assert turns.take() == [("b", "running"), ("synced", 2)]
    turns.watches.gone("p", "a", "deleted")
    turns.watches.changed("p", row("0", "completed"))
    assert turns.take() == [("a", "gone", "deleted"), ("0", "completed")]


def test_a_new_run_with_the_id_of_one_that_is_gone_begins_anew(turns) -> None:
    turns.open(row("a"), status=["running"])
    turns.take()
    turns.watches.gone("p", "a", "deleted")
    turns.watches.changed("p", row("a", "queued"))
    turns.watches.changed("p", row("a", "running"))
    assert turns.take() == [("a", "gone", "deleted"), ("a", "running")]


# ── progress ─────────────────────────────────────────────────────────────────────────────────────


def test_runs_that_move_are_told_once_for_each_time_that_the_one_timer_fires(turns) -> None:
    runs = [WatchedRow(row(id, head=1)) for id in ("a", "b", "still")]
    turns.open(*runs, progress=True)
    turns.take()
    for head in (5, 9):
        for run in runs[:2]:
            run.row = row(run.id, head=head)
            turns.watches.moved(run)
    assert (turns.ready, [timer.seconds for timer in turns.timers]) == ([], [PROGRESS_S])
    turns.timers[0].fire()
    assert [(frame["run"], frame["head"]) for frame in turns.frames()] == [("a", 9), ("b", 9)]
    assert turns.ready == []
    turns.watches.moved(runs[0])
    assert len(turns.timers) == 2


def test_where_nobody_asks_for_progress_a_move_costs_nothing(turns) -> None:
    run, theirs = WatchedRow(row("a")), WatchedRow(row("b"), principal="q")
    turns.open(run)
    turns.open(principal="q", progress=True)
    turns.take(), turns.take()
    turns.watches.moved(run)
    assert (turns.ready, turns.timers) == ([], [])
    turns.watches.moved(theirs)
    assert len(turns.timers) == 1


def test_a_status_says_how_far_a_run_is_so_no_progress_follows_it(turns) -> None:
    run = WatchedRow(row("a"))
    turns.open(run, progress=True)
    turns.take()
    turns.watches.moved(run)
    turns.watches.changed("p", row("a", "completed"))
    turns.timers[0].fire()
    assert turns.take() == [("a", "completed")]
    assert turns.ready == []


def test_progress_is_told_of_runs_that_match_now_alone(turns) -> None:
    run, gone = WatchedRow(row("a")), WatchedRow(row("b"))
    turns.open(run, gone, progress=True, status=["running"])
    turns.take()
    turns.watches.changed("p", row("a", "interrupted"))
    turns.watches.moved(run)
    turns.watches.moved(gone)
    turns.watches.gone("p", "b", "deleted")
    turns.take()
    turns.timers[0].fire()
    assert turns.ready == []


def test_moves_of_many_runs_are_shown_to_many_watches_in_turns(turns) -> None:
    runs = [WatchedRow(row(f"r{number}")) for number in range(60)]
    for _ in range(99):
        turns.open(progress=True)
    turns.open(*runs, progress=True)
    for each in runs:
        each.asked = 0
        turns.watches.moved(each)
    asked = []
    while len(asked) < len(turns.timers):
        turns.timers[len(asked)].fire()
        if not asked:
            turns.watches.moved(runs[0])  # it is told again, but not before its time
        asked.append(sum(each.asked for each in runs))
    assert asked == [10, 20, 30, 40, 50, 60, 61]
    assert [timer.seconds for timer in turns.timers] == [PROGRESS_S, 0, 0, 0, 0, 0, PROGRESS_S]


def test_the_timer_ends_with_the_last_watch_that_asks_for_progress(turns) -> None:
    run = WatchedRow(row("a"))
    first, second = turns.open(run, progress=True), turns.open(run, progress=True)
    turns.watches.moved(run)
    turns.watches.close(first)
    assert not turns.timers[0].is_cancelled
    turns.watches.close(second)
    turns.watches.close(second)
    assert turns.timers[0].is_cancelled
    turns.watches.moved(run)
    assert len(turns.timers) == 1


# ── several watches ──────────────────────────────────────────────────────────────────────────────


def test_a_watch_hears_of_its_principal_s_runs_alone(turns) -> None:
    mine, theirs = turns.open(principal="p"), turns.open(principal="q")
    turns.take(), turns.take()
    turns.watches.changed("p", row("a"))
    assert turns.ready == [mine]
    turns.take()
    turns.watches.changed("q", row("b"))
    turns.watches.gone("p", "b", "deleted")
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
