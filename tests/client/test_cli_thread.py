"""`graphwire thread`, and threads in lists and watches of the command line.

About `clients/python/graphwire/cli/thread.py`, `clients/python/graphwire/cli/threads.py`,
`clients/python/graphwire/cli/thread_board.py`, `clients/python/graphwire/cli/options.py` and
`clients/python/graphwire/cli/watch.py`.
"""

import json
from typing import Any

import graphwire
import pytest
from graphwire.cli import outcome
from graphwire.cli.app import run
from graphwire.cli.thread_board import ThreadBoard
from graphwire.cli.watch import _if_matching
from graphwire_protocol.commands import List, ThreadUpdate, Watch
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.replies import ThreadRow

from tests.support.model_run import AT
from tests.support.model_server import ModelServer, impatient


def row(thread: str = "t", status: Any = "completed", title: Any = None, **fields: Any) -> ThreadRow:
    metadata = None if title is None else {"title": title}
    known: dict[str, Any] = {"graph": "joke", "updated_at": AT, "metadata": metadata}
    return ThreadRow(thread=thread, status=status, **{**known, **fields})


ASKS = row(
    "ann",
    "interrupted",
    "About\tcats",
    run="r2",
    created_at=AT,
    interrupts=("i",),
    questions=(PendingInterrupt(id="i", value="Send it?"),),
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()
    server.minor, server.features = 1, ("threads",)

    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    return server


# ── one thread ───────────────────────────────────────────────────────────────────────────────────


def test_a_thread_is_shown_with_what_it_asks_and_its_metadata(server, capsys):
    server.threads = [ASKS]
    assert run(["thread", "joke", "ann"]) == 0
    assert dict(line.split("\t") for line in capsys.readouterr().out.splitlines()) == {
        "graph": "joke",
        "thread": "ann",
        "status": "interrupted",
        "run": "r2",
        "note": "asks: Send it?",
        "created": "2026-03-01 12:00:00Z",
        "updated": "2026-03-01 12:00:00Z",
        "metadata.title": "About cats",
    }
    assert server.of(ThreadUpdate) == []
    assert run(["thread", "joke", "ann", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ASKS.to_wire()


def test_metadata_is_set_by_key_as_json_or_as_text(server, capsys):
    words = ["--title", "42", "--set", "tags=[1]", "--set", "team=red=blue", "--unset", "draft"]
    assert run(["thread", "joke", "t", *words]) == 0
    (sent,) = server.of(ThreadUpdate)
    assert sent.metadata == {"draft": None, "tags": [1], "team": "red=blue", "title": "42"}
    assert "metadata.team\tred=blue" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["thread", "joke", "nobody"], outcome.REFUSED, "no thread 'nobody' of graph 'joke'"),
        (["thread", "jok", "t", "--title", "x"], outcome.REFUSED, "did you mean 'joke'?"),
        (["thread", "joke", "t", "--set", "x"], outcome.USAGE, "--set takes KEY=VALUE, not 'x'"),
        (["threads", "--metadata", "=1"], outcome.USAGE, "--metadata takes KEY=VALUE, not '=1'"),
        (["watch", "--search", "x"], outcome.USAGE, "--search is for --threads"),
    ],
)
def test_what_cannot_be_is_refused(server, capsys, words, code, message):
    assert run(words) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert server.of(ThreadUpdate) == server.of(Watch) == []


def test_a_server_without_threads_as_objects_is_named(server, capsys):
    server.features = ()
    assert run(["thread", "joke", "t", "--title", "x"]) == outcome.REFUSED
    assert "needs a server with the feature 'threads'" in " ".join(capsys.readouterr().err.split())
    assert run(["watch", "--threads"]) == outcome.REFUSED


# ── lists and watches ────────────────────────────────────────────────────────────────────────────


def test_a_list_has_titles_and_is_filtered(server, capsys):
    server.threads = [ASKS, row("bob", title=["no text"])]
    assert run(["threads", "--search", "cats", "--metadata", "team=red", "--metadata", "n=1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "joke\tann\tinterrupted\t2026-03-01 12:00:00Z\tr2\tAbout cats",
        "joke\tbob\tcompleted\t2026-03-01 12:00:00Z\t\t",
    ]
    (asked,) = server.of(List)
    assert (asked.search, asked.metadata) == ("cats", {"team": "red", "n": 1})


def watched(server: ModelServer) -> None:
    server.ends_watching = 4403  # for good, so that the command ends
    server.board = [
        {"type": "thread_info", **ASKS.to_wire()},
        {"type": "thread_gone", "graph": "joke", "thread": "bob", "reason": "deleted"},
        {"type": "synced", "cut": 3},
    ]


def test_each_change_of_a_watched_thread_is_a_line(server, capsys):
    watched(server)
    assert run(["watch", "--threads", "--search", "cats", "--status", "interrupted"]) == outcome.UNREACHABLE
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "joke\tann\tinterrupted\tr2\tAbout cats\tasks: Send it?",
        "joke\tbob\tgone\t\t\tdeleted",
    ]
    assert "leaves out the 3 oldest threads" in err
    asked = server.of(Watch)[0]
    assert (asked.what, asked.search, asked.status) == ("threads", "cats", ("interrupted",))


def test_each_change_of_a_watched_thread_is_a_document(server, capfdbinary):
    watched(server)
    assert run(["watch", "--threads", "--json"]) == outcome.UNREACHABLE
    first, second = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert first == ASKS.to_wire()
    assert second == {"graph": "joke", "thread": "bob", "status": "gone", "reason": "deleted"}


# ── the board ────────────────────────────────────────────────────────────────────────────────────


def lines(board: ThreadBoard, width: int = 100, height: int = 40, remark: str = "") -> list[str]:
    out = [line.plain for line in board.lines(width, height, 0, remark)]
    assert all(len(line) <= width for line in out)
    assert len(out) <= height
    return out


def test_a_board_shows_first_what_waits_for_an_answer_then_the_last_to_change():
    board = ThreadBoard()
    for thread, minute in (("old", 1), ("new", 2)):
        board.put(row(thread, title=thread, updated_at=f"2026-03-01T12:0{minute}:00Z"), 0)
    board.put(ASKS, 0)
    shown = lines(board)
    assert shown[0] == "3 threads"
    assert [line.split()[:3] for line in shown[1:3]] == [
        ["status", "graph", "thread"],
        ["interrupted", "joke", "ann"],
    ]
    assert shown[3] == "  asks: Send it?"
    assert [line.split()[2] for line in shown[4:]] == ["new", "old"]
    assert lines(board, remark="connecting again")[0] == "connecting again; 3 threads"
    assert lines(board, height=4)[-1] == "… and 3 more"
    board.put(graphwire.ThreadGone("joke", "ann", "deleted"), 0)
    board.put(graphwire.WatchSynced(5), 0)
    assert lines(board)[0] == "2 threads; 5 older ones are not shown"


def test_a_board_without_threads_says_so_once_that_is_known():
    board = ThreadBoard()
    assert lines(board) == ["…"]
    board.put(graphwire.WatchSynced(), 0)
    assert lines(board) == ["no threads"]


@pytest.mark.parametrize(
    ("title", "search", "statuses", "is_shown"),
    [
        ("Cats", "cat", None, True),
        ("Dogs", "cat", None, False),
        (None, "cat", None, False),
        ("Cats", None, ["running"], False),
        ("Cats", None, ["completed"], True),
    ],
)
def test_a_board_loses_a_thread_that_stops_matching(title, search, statuses, is_shown):
    item = _if_matching(row(title=title), statuses, search)
    assert (item.status != "gone") is is_shown
