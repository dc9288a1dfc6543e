"""What a terminal shows: rows that fit, no answer twice, and nothing that changes the terminal.

About `clients/python/graphwire/cli/show.py`, `clients/python/graphwire/cli/outcome.py` and
`clients/python/graphwire/cli/listing.py`.
"""

import io
import re
import sys

import graphwire
import pytest
from graphwire.cli.board import Board
from graphwire.cli.listing import short_time
from graphwire.cli.outcome import say
from graphwire.cli.show import Flow, folded, print_row, print_table
from graphwire.events import (
    CustomEvent,
    GapEvent,
    MessagesEvent,
    SnapshotEvent,
    SnapshotMessage,
    UpdatesEvent,
)
from graphwire.messages import Message, MessageChunk
from rich.console import Console
from rich.table import Table

RUN = "run-1227401a347a4f979d3adbe87b545949"
NAMES = ["run", "graph", "thread", "status", "events", "created", "seconds"]
CELLS = [RUN, "joke_and_poem", "", "failed", "2", "2026-11-28 00:58:07", "0.0"]


def printed(width: int, *, is_terminal: bool) -> list[str]:
    out = io.StringIO()
    table = Table(*NAMES, box=None)
    table.add_row(*CELLS)
    print_table(table, Console(file=out, width=width, force_terminal=is_terminal, no_color=True))
    return out.getvalue().splitlines()


def test_a_row_breaks_between_cells_and_names_what_follows():
    assert folded(NAMES, CELLS, 80) == [
        f"{RUN}  joke_and_poem  failed  events 2",
        "    created 2026-11-28 00:58:07  seconds 0.0",
    ]
    assert all(len(line) <= 50 for line in folded(NAMES, CELLS, 50))


def test_a_text_takes_two_lines_and_what_follows_it_a_new_one():
    lines = folded(["graph", "description", "nodes"], ["joke", "word " * 50, "write"], 40)
    assert lines == ["joke", f"    description {'word ' * 4}word", f"    {'word ' * 7}…", "    nodes write"]
    short = folded(["graph", "description", "nodes"], ["joke", "word " * 7, "write"], 40)
    assert short == ["joke", f"    description {'word ' * 4}word", "    word word", "    nodes write"]


def test_a_narrow_terminal_folds_rows_and_a_wide_one_does_not():
    assert printed(80, is_terminal=True) == folded(NAMES, CELLS, 80)
    assert len(printed(200, is_terminal=True)) == 2


def test_a_row_for_scripts_has_a_tab_between_cells_and_nothing_else():
    assert printed(80, is_terminal=False) == ["\t".join(CELLS)]
    out = io.StringIO()
    print_row(["a\tb\nc", "", " d"], out)
    assert out.getvalue() == "a b c\t\td\n"


def test_names_and_values_wrap_behind_their_names():
    out = io.StringIO()
    table = Table(box=None, show_header=False)
    table.add_row("joke", "word " * 20)
    table.add_row("checkpoint", f"{RUN}  2026-11-28 00:58:07")
    print_table(table, Console(file=out, width=80, force_terminal=True, no_color=True))
    lines = out.getvalue().splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert lines[-1].split() == ["checkpoint", RUN, "2026-11-28", "00:58:07"]


# ── no answer twice ──────────────────────────────────────────────────────────────────────────────


def flow(*events: MessagesEvent | UpdatesEvent | CustomEvent | GapEvent) -> str:
    out = io.StringIO()
    shown = Flow(Console(file=out, width=80, highlight=False, soft_wrap=True))
    for event in events:
        shown.show(event)
    shown.end()
    return out.getvalue()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("evicted", "events 8 to 12 are no longer kept; a snapshot stands for them"),
        ("epoch_changed", "may have lost the end of this run; it is shown again"),
        ("ahead", "has less of this run than was shown; it is shown again"),
        ("of a later version", "events 8 to 12 are no longer kept"),
    ],
)
def test_a_gap_says_why_there_is_one(capsys, reason: str, words: str):
    flow(GapEvent(run="r", seq=12, mode="gap", after_seq=7, upto_seq=12, reason=reason, lost=()))
    assert words in capsys.readouterr().err


def token(text: str, seq: int, id: str = "m") -> MessagesEvent:
    chunk = MessageChunk("AIMessageChunk", text, id=id)
    return MessagesEvent(run="r", seq=seq, mode="messages", node="write", message=chunk, metadata={})


def update(data: object) -> UpdatesEvent:
    return UpdatesEvent(run="r", seq=9, mode="updates", node="write", data={"write": data})


def test_an_update_does_not_repeat_the_text_above_it():
    text = flow(token("Why ", 1), token("not?", 2), update({"joke": "Why not?", "rating": 3}))
    assert text == "write  Why not?\nwrite  joke=(above)  rating=3\n"
    messages = [Message("ai", "Why not?", id="m")]
    assert flow(token("Why not?", 1), update({"messages": messages})).endswith("write  messages=(above)\n")


def test_an_update_that_says_something_else_is_shown():
    text = flow(token("Why not?", 1), update({"joke": "Because."}))
    assert text.endswith("write  joke=Because.\n")
    assert flow(update({"joke": "Why not?", "note": ""})).endswith("joke=Why not?  note=\n")


def test_an_update_of_another_node_waits_until_the_message_is_said():
    other = UpdatesEvent(run="r", seq=2, mode="updates", node="count", data={"count": {"n": 1}})
    whole = MessageChunk("AIMessageChunk", "", id="m", extras={"chunk_position": "last"})
    last = MessagesEvent(run="r", seq=4, mode="messages", node="write", message=whole, metadata={})
    said = "write  Why not?\n"
    assert flow(token("Why ", 1), other, token("not?", 3), last) == f"{said}count  n=1\n"
    own = "write  joke=(above)\n"
    assert (
        flow(token("Why ", 1), other, token("not?", 3), update({"joke": "Why not?"}))
        == f"{said}{own}count  n=1\n"
    )
    assert flow(token("Why ", 1), other, token("not?", 3)) == f"{said}count  n=1\n"
    custom = CustomEvent(run="r", seq=2, mode="custom", node="count", data=1)
    assert flow(token("Why ", 1), custom, token("not?", 3)) == "write  Why \ncount  1\nwrite  not?\n"


def test_behind_a_snapshot_nothing_waits_for_a_message_that_may_be_complete():
    item = SnapshotMessage(Message("ai", "Why not?", id="m"), {}, node="write", call="m")
    snapshot = SnapshotEvent(run="r", seq=1, mode="snapshot", status="running", messages=(item,))
    out = io.StringIO()
    shown = Flow(Console(file=out, width=80, highlight=False, soft_wrap=True))
    shown.show(token("Hm.", 0, "first"))
    shown.show(snapshot)
    shown.show(UpdatesEvent(run="r", seq=2, mode="updates", node="count", data={"count": {"n": 1}}))
    assert out.getvalue() == "write  Hm.\nwrite  Why not?\ncount  n=1\n"
    shown.show(snapshot)
    shown.show(token("Because.", 3, "other"))
    assert out.getvalue().endswith("write  Why not?\nwrite  Because.")


# ── calls of tools ───────────────────────────────────────────────────────────────────────────────


def calling(seq: int, text: str = "", *names: str) -> MessagesEvent:
    calls = [{"name": name, "args": {"q": 1}, "id": name, "type": "tool_call"} for name in names]
    message = Message("ai", text, id="m", tool_calls=calls)
    return MessagesEvent(run="r", seq=seq, mode="messages", node="agent", message=message, metadata={})


def test_a_message_that_calls_tools_leaves_no_blank_line():
    assert flow(calling(1, "", "find")) == "agent  calls find(q=1)\n"
    assert flow(calling(1, "", "find", "read")) == "agent  calls find(q=1)\n  calls read(q=1)\n"
    assert flow(calling(1, "Let me see.", "find")) == "agent  Let me see.\n  calls find(q=1)\n"


def test_an_update_does_not_repeat_a_call_above_it_either():
    called = calling(1, "", "find")
    assert flow(called, update({"messages": [called.message]})).endswith(
        "calls find(q=1)\nwrite  messages=(above)\n"
    )


def test_a_snapshot_shows_the_calls_of_tools_too():
    out = io.StringIO()
    shown = Flow(Console(file=out, width=80, highlight=False, soft_wrap=True))
    item = SnapshotMessage(calling(1, "", "find").message, {}, (), "agent", call="c")
    shown.show(SnapshotEvent(run="r", seq=1, mode="snapshot", status="running", messages=(item,)))
    shown.end()
    assert out.getvalue() == "agent  calls find(q=1)\n"


# ── what could change the terminal or the table ──────────────────────────────────────────────────

STRANGE = "a [draft] [/b] :smile: \x1b[2J"


@pytest.mark.parametrize("width", [80, 30])
def test_the_words_of_a_cell_are_no_markup_and_move_no_cursor(width):
    out = io.StringIO()
    table = Table("graph", "description", box=None)
    table.add_row("joke", STRANGE)
    print_table(table, Console(file=out, width=width, force_terminal=True, no_color=True))
    shown = re.sub(r"\x1b\[\d*m", "", out.getvalue())  # bold names
    assert "a [draft] [/b] :smile: \N{REPLACEMENT CHARACTER}[2J" in " ".join(shown.split())


def test_a_sentence_and_a_board_move_no_cursor_either(capsys):
    say(STRANGE)
    assert "\x1b" not in capsys.readouterr().err
    board = Board()
    board.put(
        graphwire.RunRow(
            run=RUN,
            graph=STRANGE[-4:],
            metadata={},
            status="running",
            attempt=1,
            epoch="e",
            head=1,
            created_at="2026-03-01T12:00:00Z",
            modes=(),
        ),
        0.0,
    )
    assert "\x1b" not in "".join(line.plain for line in board.lines(80, 10, 0.0))


def test_a_value_without_spaces_is_shown_whole():
    out = io.StringIO()
    table = Table(box=None, show_header=False)
    table.add_row("messages", "x" * 200)
    print_table(table, Console(file=out, width=40, force_terminal=True, no_color=True))
    assert out.getvalue().count("x") == 200
    assert max(map(len, out.getvalue().splitlines())) <= 40


@pytest.mark.parametrize("width", [40, 80])
def test_at_a_terminal_a_sentence_is_broken_between_words_but_not_within_a_command(
    monkeypatch, capsys, width
):
    monkeypatch.setenv("COLUMNS", str(width))
    text = (
        "cannot connect to ws://127.0.0.1:8765/ws: connection refused; start one with: graphwire serve joke"
    )
    said = f"{text} (see: graphwire serve --help)\n  an indented line stays as it is, however wide"
    say(said)
    assert capsys.readouterr().err == f"graphwire: {said}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    say(said)
    *lines, last = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(lines) == f"graphwire: {text} (see: graphwire serve --help)"
    assert any("graphwire serve joke" in line for line in lines)
    assert any("graphwire serve --help" in line for line in lines)
    assert said.endswith(f"\n{last}")


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-03-01T12:00:00.345Z", "2026-03-01 12:00:00Z"),
        ("2026-03-01T12:00:00.345678+00:00", "2026-03-01 12:00:00Z"),
        ("2026-03-01T12:00:00+02:00", "2026-03-01 10:00:00Z"),
        ("2026-03-01T12:00:00", "2026-03-01 12:00:00"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_time_is_shown_in_utc_and_says_so(time, shown):
    assert short_time(time) == shown
