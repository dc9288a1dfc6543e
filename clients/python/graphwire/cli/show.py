"""A run's events on a terminal: tokens as flowing text, any other event as one line; or all as JSON lines.

The stream goes to stdout, remarks about it to stderr.
"""

import dataclasses
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import IO, Any

from graphwire_protocol.projection import Projector
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphwire.cli.gist import gist
from graphwire.cli.outcome import say, visible
from graphwire.events import (
    CustomEvent,
    Event,
    GapEvent,
    InterruptEvent,
    LifecycleEvent,
    MessagesEvent,
    SnapshotEvent,
    UpdatesEvent,
    ValuesEvent,
)
from graphwire.messages import Message, MessageChunk

_LONGEST = 400  # characters of one value; --json shows all of it
_KNOWN_TEXTS = 64  # messages whose text an update does not repeat
_ABOVE = "(above)"
_INDENT = "    "
_PROJECTOR = Projector()
_WHY_GAP = {
    "evicted": "events {first} to {last} are no longer kept; a snapshot stands for them",
    "epoch_changed": "the server's store may have lost the end of this run; it is shown again",
    "ahead": "the server's store has less of this run than was shown; it is shown again",
}


def print_json(document: Any) -> None:
    """Print one JSON document as a line."""
    sys.stdout.buffer.write(_PROJECTOR.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


def print_table(table: Table | str, console: Console | None = None) -> None:
    """Print a table, or a sentence in its place. No id and no date is cut or broken: half of one is no use.

    At a terminal that is too narrow for a table with a header, each row becomes a few lines. Elsewhere each
    row is a line for scripts, as ``print_row()`` writes it, and the sentence goes to stderr.
    """
    console = console or Console(soft_wrap=isinstance(table, str))
    if isinstance(table, str):
        console.print(table) if console.is_terminal else say(table)
        return
    rows = [
        [str(cell) for cell in cells] for cells in zip(*(one.cells for one in table.columns), strict=True)
    ]
    if not console.is_terminal:
        for cells in rows:
            print_row(cells, console.file)
        return
    names = [str(column.header) for column in table.columns]
    shown = Table(*names, box=None, show_header=table.show_header)
    for cells in rows:
        shown.add_row(*(Text(visible(cell)) for cell in cells))  # a str would be read as rich's markup
    for column in shown.columns:
        column.no_wrap = True
    unbounded = console.options.update(width=10_000)
    width = console.measure(shown, options=unbounded).maximum
    if width <= console.width:
        console.print(shown)
    elif shown.show_header:
        for cells in rows:
            for line in folded(names, [visible(cell) for cell in cells], console.width):
                console.out(line, highlight=False)
    else:  # names and values
        shown.columns[-1].no_wrap = False
        shown.columns[-1].overflow = "fold"
        console.print(shown)


def print_row(cells: Iterable[str], file: IO[str] | None = None) -> None:
    """Print a row for scripts: a tab between two cells, and none and no line break within one."""
    print("\t".join(" ".join(cell.split()) for cell in cells), file=file, flush=True)


def piped(*columns: str) -> str:
    """Return the sentence of a command's help about what it prints where there is no terminal."""
    return f"Piped, it prints one line a row, without a header, with tabs between {', '.join(columns)}."


def folded(names: Sequence[str], cells: Sequence[str], width: int) -> list[str]:
    """Return a row as lines of at most ``width`` columns, broken between cells.

    From the second line on each cell has its name. What is longer than a line is cut to two lines.
    """
    lines = [cells[0]]
    is_wrapped = False
    for name, cell in zip(names[1:], cells[1:], strict=True):
        if not cell:
            continue
        item = cell if len(lines) == 1 and not cell.isdigit() else f"{name} {cell}"
        if not is_wrapped and cell_len(lines[-1]) + 2 + cell_len(item) <= width:
            lines[-1] += f"  {item}"
            continue
        text = f"{name} {cell}"
        more = textwrap.wrap(
            text, width, max_lines=2, placeholder=" …", initial_indent=_INDENT, subsequent_indent=_INDENT
        )
        is_wrapped = len(more) > 1
        lines += more
    return lines


class JsonLines:
    """Shows each event as one line of JSON."""

    def show(self, event: Event) -> None:
        """Print ``event``."""
        out: dict[str, Any] = {}
        for item in dataclasses.fields(event):
            value = getattr(event, item.name)
            is_redundant = item.name == "data" and isinstance(
                event, MessagesEvent | LifecycleEvent | InterruptEvent | GapEvent | SnapshotEvent
            )
            is_redundant |= item.name == "discard" and value is False
            if not is_redundant and value is not None:
                out[item.name] = value
        print_json(out)

    def end(self) -> None:
        """Do nothing: every line is complete."""


class Flow:
    """Shows events for a person."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._writing: str | None = None  # the call whose message the unfinished line shows
        self._has_said = False  # whether that line shows more than who writes
        self._writer: tuple[tuple[str, ...], str | None] | None = None  # namespace and node of who writes it
        self._held: dict[str, list[MessagesEvent | UpdatesEvent]] = {}  # by call, until that line is finished
        self._texts: dict[str | None, str] = {}  # of the newest messages, by id

    def show(self, event: Event) -> None:
        """Print ``event``."""
        match event:
            case MessagesEvent(discard=True):
                self._discard(event)
            case MessagesEvent(message=message):
                self._message(event, message)
            case UpdatesEvent(interrupts=marks) if marks is not None:
                return  # the interrupt event follows
            case UpdatesEvent(data=dict()):
                self._update(event)
            case ValuesEvent(data=data):
                self._line(event, "values", data)
            case CustomEvent(data=data):
                self._line(event, event.node or "custom", data)
            case InterruptEvent():
                self._questions(event)
            case LifecycleEvent():
                self._lifecycle(event)
            case GapEvent():
                self.end()
                why = _WHY_GAP.get(event.reason, _WHY_GAP["evicted"])
                say(why.format(first=event.after_seq + 1, last=event.upto_seq))
            case SnapshotEvent():
                self._snapshot(event)
            case _:
                self._line(event, event.mode, event.data)

    def end(self) -> None:
        """Finish the open line, and show the messages that were held back."""
        self._close()
        while self._held:
            self._show_next()
            self._close()

    def _close(self) -> None:
        if self._writing is not None:
            self._console.out()
            self._writing = None

    def _show_next(self) -> None:
        """Write what has come of the message that waited longest."""
        for event in self._held.pop(next(iter(self._held))):
            if isinstance(event, UpdatesEvent):
                self._lines(event)
            else:
                self._write(event, event.message)

    def _message(self, event: MessagesEvent, message: Message) -> None:
        # Parallel nodes take turns message by message; mixed tokens would be unreadable.
        if self._is_busy() and self._writing != event.call:
            self._held.setdefault(event.call or "", []).append(event)
            return
        self._write(event, message)
        while self._writing is None and self._held:
            self._show_next()

    def _is_busy(self) -> bool:
        # A message of a snapshot may be complete already; nobody says whether its writer still writes.
        return self._writing is not None and self._writer is not None

    def _update(self, event: UpdatesEvent) -> None:
        if self._is_busy() and self._writer != (event.namespace, event.node):
            self._held[f"update {event.seq}"] = [event]
            return
        self._lines(event)
        while self._writing is None and self._held:
            self._show_next()

    def _lines(self, event: UpdatesEvent) -> None:
        for node, update in event.data.items():
            self._line(event, node, self._without_shown(update))

    def _discard(self, event: MessagesEvent) -> None:
        if self._held.pop(event.call or "", None) is None:  # else nobody has seen it
            self._close()
            say(f"{event.node or 'a node'} failed and begins again; what it said before does not count")
        while self._writing is None and self._held:
            self._show_next()

    def _write(self, event: MessagesEvent, message: Message) -> None:
        if self._writing != event.call:
            self._close()
            self._head(event, event.node or message.type)
            if event.cut_bytes is not None:
                self._console.out(_cut_text(event.cut_bytes), end="", highlight=False)
                self._has_said = True
        self._writing = event.call
        self._writer = (event.namespace, event.node)
        self._texts[message.id] = self._texts.pop(message.id, "") + message.text
        if len(self._texts) > _KNOWN_TEXTS:
            del self._texts[next(iter(self._texts))]
        self._say(message)
        if not isinstance(message, MessageChunk) or message.extras.get("chunk_position") == "last":
            self._close()

    def _say(self, message: Message) -> None:
        self._console.out(visible(message.text), end="", highlight=False)
        self._has_said = self._has_said or bool(message.text)
        for call in _calls(message):
            self._console.out(("\n  " if self._has_said else "") + call, end="", highlight=False)
            self._has_said = True

    def _without_shown(self, update: Any) -> Any:
        """Return an update with a word in place of each message and text that stands above it already."""
        if isinstance(update, dict):
            return {key: self._without_shown(value) for key, value in update.items()}
        if isinstance(update, list) and update:
            items = [self._without_shown(item) for item in update]
            return _ABOVE if all(item == _ABOVE for item in items) else items
        if isinstance(update, Message) and self._texts.get(update.id) == update.text:
            return _ABOVE
        text = update.text if isinstance(update, Message) else update
        is_shown = isinstance(text, str) and text and text in self._texts.values()
        return _ABOVE if is_shown else update

    def _head(self, event: Event | None, name: str) -> None:
        path = "/".join(segment.partition(":")[0] for segment in event.namespace) if event else ""
        self._console.print(Text(f"{path}/{name}" if path else name, style="bold cyan"), end="  ")
        self._has_said = False

    def _line(self, event: Event, name: str, data: Any) -> None:
        self._close()
        self._head(event, name)
        self._console.out(short(data), style=None, highlight=False)

    def _lifecycle(self, event: LifecycleEvent) -> None:
        if event.discard or event.void_after is not None:
            self.end()
            say("another process took over the run; its last step starts again")
        # Of an interrupted run the questions are shown, and the command says that it waits.
        if event.status in ("queued", "cancelled"):
            self.end()
            say(f"the run is {event.status}" + (f": {event.reason}" if event.reason else ""))

    def _questions(self, event: InterruptEvent | SnapshotEvent) -> None:
        for ask in event.interrupts:
            self._line(event, f"asks ({ask.id})", ask.value)
            if ask.response_schema is not None:
                self._line(event, "expects", gist(ask.response_schema))

    def _snapshot(self, event: SnapshotEvent) -> None:
        if event.values is not None:
            self._line(event, "values", event.values)
        for item in event.messages:
            self.end()
            self._head(None, item.node or item.message.type)
            if item.cut_bytes is None:
                self._say(item.message)
            else:
                self._console.out(_cut_text(item.cut_bytes), end="", highlight=False)
            self._writing, self._writer = item.call, None
        if event.interrupts:
            self.end()
            self._questions(event)


def _calls(message: Message) -> list[str]:
    return [
        f"calls {call['name']}({short(call.get('args'))})" for call in message.tool_calls if call.get("name")
    ]


def short_message(message: Message) -> str:
    """Return who says what as one line, at most ``_LONGEST`` characters of it."""
    return short("  ".join([message.type, *filter(None, [message.text]), *_calls(message)]))


def _cut_text(size: int) -> str:
    return f"[{size:,} bytes, too large to send]"


def short(value: Any) -> str:
    """Return a value as one line of at most ``_LONGEST`` characters."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict) and not any(isinstance(item, dict | list) for item in value.values()):
        text = "  ".join(f"{key}={short(item)}" for key, item in value.items())
    else:
        text = _PROJECTOR.dumps(value).decode()
    text = visible(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
