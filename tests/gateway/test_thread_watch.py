"""About `gateway/graphwire_gateway/runs/thread_watch.py` and `gateway/graphwire_gateway/runs/row_watch.py`.

Rows as threads have them; the test takes frames where the connection would.
"""

from typing import Any

import orjson
import pytest
from graphwire_gateway.runs.thread_watch import (
    RowAsListed,
    ThreadInfoWatch,
    ThreadInfoWatches,
    thread_matches,
)
from graphwire_protocol import commands
from graphwire_protocol.replies import ThreadRow


def row(thread: str = "t", status: Any = "running", run: str = "r", **metadata: Any) -> ThreadRow:
    return ThreadRow(
        graph="g", thread=thread, status=status, updated_at="now", run=run, metadata=metadata or None
    )


class Feed:
    """Watches of one principal, and one of them, from which a test takes frames."""

    def __init__(self, *listed: ThreadRow, limit: int = 10, **fields: Any) -> None:
        self.watches = ThreadInfoWatches(limit)
        command = commands.Watch.model_validate({"id": 1, "sub": 3, "what": "threads", **fields})
        self.turns = 0
        self.watch = ThreadInfoWatch(command, "p", self._ready)
        self.watches.open(self.watch, [RowAsListed(one, "p") for one in listed])

    def _ready(self, watch: Any) -> None:
        self.turns += 1

    def change(self, *rows: ThreadRow) -> None:
        for one in rows:
            self.watches.changed("p", one)

    def take(self) -> list[tuple[Any, ...]]:
        out: list[bytes] = []
        while self.turns:
            self.turns = 0
            self.watch.take(out, 1 << 20)
        frames = [orjson.loads(frame) for frame in out]
        names = ("thread", "run", "status", "metadata")
        return [(frame["type"], *(frame[name] for name in names if name in frame)) for frame in frames]


SYNCED = ("synced",)


def test_what_changes_several_times_is_sent_once_but_each_status_once() -> None:
    feed = Feed()
    assert feed.take() == [SYNCED]
    feed.change(row(a=1), row(a=2), row(status="completed", a=2), row("u"), row(status="completed", a=3))
    assert feed.take() == [
        ("thread_info", "t", "r", "running", {"a": 2}),
        ("thread_info", "u", "r", "running"),
        ("thread_info", "t", "r", "completed", {"a": 3}),
    ]
    feed.change(row(run="r2"), row(run="r3"))
    assert [frame[2] for frame in feed.take()] == ["r3"]


def test_a_thread_that_changes_before_the_list_names_it_is_named_as_it_is_then() -> None:
    feed = Feed(row("a"), row("b"))
    feed.change(row("b", "completed"), row("b", "completed", run="r2"), row("c"))
    assert [frame[1:4] for frame in feed.take()] == [
        ("a", "r", "running"),
        ("b", "r2", "completed"),
        ("c", "r", "running"),
        (),
    ]


def test_a_thread_that_goes_before_the_list_names_it_is_only_gone() -> None:
    feed = Feed(row("a"), row("b"))
    feed.watches.gone("p", ("g", "a"), "deleted")
    feed.watches.gone("p", ("g", "stranger"), "deleted")
    feed.watches.gone("q", ("g", "b"), "deleted")
    assert feed.take() == [("thread_info", "b", "r", "running"), ("thread_gone", "a"), SYNCED]
    assert feed.watches.know("p", ("g", "b"))
    assert not feed.watches.know("p", ("g", "a"))


def test_the_row_of_a_thread_that_is_gone_is_let_go() -> None:
    feed = Feed(row("a"))
    feed.take()
    assert len(feed.watches._rows._bodies) == 1
    feed.watches.gone("p", ("g", "a"), "deleted")
    assert (feed.watches._rows._bodies, feed.watches._rows._size) == ({}, 0)


def test_the_change_by_which_a_thread_stops_matching_is_sent_and_no_later_one() -> None:
    feed = Feed(row(title="Cats"), search="cat")
    feed.take()
    feed.change(row(title="Dogs"), row(title="Birds", status="completed"), row("u", title="Mice"))
    assert feed.take() == [("thread_info", "t", "r", "running", {"title": "Dogs"})]
    feed.change(row(title="My cat"))
    assert feed.take() == [("thread_info", "t", "r", "running", {"title": "My cat"})]


def test_a_list_that_is_too_long_says_how_many_threads_it_leaves_out_and_follows_them() -> None:
    feed = Feed(*(row(name) for name in "abc"), limit=2)
    out: list[bytes] = []
    feed.watch.take(out, 1 << 20)
    assert [orjson.loads(frame).get("thread") for frame in out] == ["a", "b", None]
    assert orjson.loads(out[-1])["cut"] == 1
    feed.watches.gone("p", ("g", "c"), "deleted")
    assert feed.take() == [("thread_gone", "c")]


def test_a_watch_that_was_closed_hears_nothing() -> None:
    feed = Feed()
    feed.take()
    feed.watches.close(feed.watch)
    feed.watches.close(feed.watch)
    feed.change(row())
    assert feed.take() == []
    assert not feed.watches.watch_any("p")


@pytest.mark.parametrize(
    ("title", "search", "is_found"),
    [
        ("Straße", "STRASSE", True),
        ("Cats and dogs", "and D", True),
        ("Cats", "cats ", False),
        (["cats"], "cats", False),
        (None, "cats", False),
        (7, "7", False),
    ],
)
def test_a_title_has_a_text_in_any_case_and_what_is_no_text_has_none(title, search, is_found) -> None:
    command = commands.List.model_validate({"id": 1, "what": "threads", "search": search})
    subject = RowAsListed(row(title=title), "p")
    assert thread_matches(subject, "running", command, None) is is_found
