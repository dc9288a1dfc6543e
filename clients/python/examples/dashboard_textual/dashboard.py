"""A dashboard of many live runs in a terminal, over one connection: a list, and open runs side by side.

``python dashboard.py [URL]``; the address is by default that of ``make demo``. It needs textual, which is no
dependency of graphwire.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from typing import Any, ClassVar

import graphwire
from graphwire_protocol.replies import GraphRow, RunRow
from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.markup import escape
from textual.widgets import DataTable, Footer, Input, Static

URL = "ws://127.0.0.1:8765/ws"
EVERYWHERE = [["**"]]  # the namespaces of the graph and all its subgraphs
MOST_PANELS = 3
REFRESH_S = 0.2  # the screen is drawn so often, however fast events come
RANKS = {"interrupted": 0, "running": 1, "queued": 2}
COLORS = {
    "interrupted": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "red",
}
COLUMNS = {"status": 11, "graph": 14, "run": 6, "events": 6, "began": 8, "last": 60}  # with their widths
START = "start: GRAPH, and what it is about; a semicolon between two runs"


def visible(text: str) -> Text:
    """Return a text without what could move the cursor, and without markup."""
    return Text("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))


def short(value: Any) -> str:
    """Return a value as one line."""
    return " ".join((value if isinstance(value, str) else json.dumps(value, default=str)).split())


def input_of(graph: GraphRow, text: str) -> Any:
    """Return the input of a graph: the text is JSON, or the value of the key that the graph wants first."""
    if text.startswith("{"):
        return json.loads(text)
    schema = graph.input_schema or {}
    keys = [*schema.get("required", ()), *schema.get("properties", ())]
    if not keys:
        return text
    return {keys[0]: [{"role": "user", "content": text}] if keys[0] == "messages" else text}


class Panel(VerticalScroll):
    """One open run: what its models say, and its latest step. It follows the run until it is closed."""

    def __init__(self, client: graphwire.Client, row: RunRow) -> None:
        super().__init__()
        self.run = row.run
        self.border_title = escape(f"{row.graph} {row.run[-6:]}")
        self.can_focus = False
        self.resumed = asyncio.Event()
        self._client = client
        self._said: dict[str, graphwire.Message] = {}
        self._step = ""
        self._text = Static()

    def compose(self) -> ComposeResult:
        """Return the one widget that has the text."""
        yield self._text

    def on_mount(self) -> None:
        """Begin."""
        self.set_interval(REFRESH_S, self._draw)
        self._follow()

    @work
    async def _follow(self) -> None:
        try:
            run = await self._attached()
            try:
                await self._take_all(run)
            finally:
                await run.detach()
        except graphwire.GraphwireError as error:
            self._step = str(error)

    async def _attached(self) -> graphwire.Run:
        try:
            return await self._client.attach(self.run, namespaces=EVERYWHERE)
        except graphwire.Refused as refused:
            if refused.code != "unsupported":
                raise
            return await self._client.attach(self.run)  # it records no subgraphs

    async def _take_all(self, run: graphwire.Run) -> None:
        while True:
            async for event in run:
                self._take(event)
            if run.status != "interrupted":
                return
            self.resumed.clear()
            await self.resumed.wait()  # the watch says so, whoever answered

    def _take(self, event: graphwire.Event) -> None:
        match event:
            case graphwire.MessagesEvent(call=call, message=piece, discard=discard):
                key = call or piece.id or ""
                before = self._said.pop(key, None)
                if not discard:
                    self._said[key] = piece if before is None else before + piece
            case graphwire.SnapshotEvent(messages=messages):
                self._said = {each.call or each.message.id or "": each.message for each in messages}
            case graphwire.UpdatesEvent(node=node):
                self._step = f"{node} is done"
            case graphwire.CustomEvent(data=data):
                self._step = short(data)
            case graphwire.InterruptEvent(interrupts=questions):
                self._step = "; ".join(f"asks: {short(question.value)}" for question in questions)
            case graphwire.LifecycleEvent(status=status, error=failure) if status != "interrupted":
                self._step = f"{status}: {failure.message}" if failure else status

    def _draw(self) -> None:
        is_at_end = self.scroll_offset.y >= self.max_scroll_y - 1
        said = [message.text.strip() for message in self._said.values() if message.text.strip()]
        self._text.update(Text("\n\n").join(visible(part) for part in [*said, f"— {self._step}"]))
        if is_at_end:
            self.scroll_end(animate=False)


class Dashboard(App[None]):
    """The list, the open runs below it, and a line to start runs and to answer them."""

    CSS = """
    #counts { height: 1; background: $panel; }
    #list { height: 1fr; min-height: 5; overflow-x: hidden; }
    #panels { height: 2fr; display: none; }
    Panel { width: 1fr; border: round $primary; padding: 0 1; }
    Input { border: round $primary; height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "new"),
        Binding("a", "answer", "answer"),
        Binding("c", "cancel", "cancel"),
        Binding("escape", "list", "list", show=False, priority=True),
        Binding("q", "quit", "quit"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, client: graphwire.Client) -> None:
        super().__init__()
        self._client = client
        self._rows: dict[str, RunRow] = {}
        self._changed: set[str] = set()
        self._answered: set[str] = set()  # ids of questions
        self._counts = Static(id="counts")
        self._table: DataTable[Any] = DataTable(id="list", cursor_type="row")
        self._cut = 0
        self._question: tuple[str, str] | None = None  # the run and the question that the line answers

    def compose(self) -> ComposeResult:
        """Return the widgets, from top to bottom."""
        yield self._counts
        yield self._table
        yield Horizontal(id="panels")
        yield Input(placeholder=START)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to watch."""
        table = self._table
        for column, width in COLUMNS.items():
            table.add_column(column, width=width, key=column)
        table.focus()
        self.set_interval(REFRESH_S, self._draw)
        self._watch()

    # ── what comes from the server ───────────────────────────────────────────────────────────────

    @work
    async def _watch(self) -> None:
        try:
            async for item in self._client.watch(progress=True, synced=True):
                match item:
                    case graphwire.WatchSynced(cut=cut):
                        self._cut = cut
                    case graphwire.RunGone(run=run):
                        self._rows.pop(run, None)
                        self._changed.add(run)
                    case row:
                        self._rows[row.run] = row
                        self._changed.add(row.run)
        except graphwire.GraphwireError as error:
            self.exit(message=str(error), return_code=1)

    def _draw(self) -> None:
        counts = Counter(row.status for row in self._rows.values())
        parts = [
            Text(f" {number} {status} ", COLORS.get(status, "")) for status, number in counts.most_common()
        ]
        more = f" and {self._cut} older ones" if self._cut else ""
        self._counts.update(Text.assemble(Text(f" {self._client.connection_state} ", "bold"), *parts, more))
        if not self._changed:
            return
        changed, self._changed = self._changed, set()
        table, chosen = self._table, self._chosen
        for run in changed:
            row = self._rows.get(run)
            if row is None:
                if run in table.rows:
                    table.remove_row(run)
            elif run in table.rows:
                for column, cell in zip(COLUMNS, self._cells(row), strict=True):
                    table.update_cell(run, column, cell)
            else:
                table.add_row(*self._cells(row), key=run)
        order = sorted(self._rows.values(), key=lambda row: row.created_at, reverse=True)
        order.sort(key=lambda row: RANKS.get(row.status, 3))
        places = {row.run[-6:]: place for place, row in enumerate(order)}
        table.sort("run", key=lambda cell: places[cell.plain])
        if chosen is not None and chosen in table.rows:
            table.move_cursor(row=table.get_row_index(chosen), animate=False)
        for panel in self.query(Panel):
            row = self._rows.get(panel.run)
            panel.border_subtitle = row.status if row else "gone"
            if row and row.status != "interrupted":
                panel.resumed.set()

    def _cells(self, row: RunRow) -> list[Text]:
        last = row.error.message if row.error else row.reason or ""
        questions = self._open_questions(row)
        if questions:
            last = f"asks: {short(questions[0][1])}"
        cells = [row.graph, row.run[-6:], f"{row.head + 1}", row.created_at[11:19], last[:200]]
        return [Text(row.status, COLORS.get(row.status, "")), *map(visible, cells)]

    def _open_questions(self, row: RunRow) -> list[tuple[str, Any]]:
        if row.status != "interrupted":
            return []
        asked = {question.id: question.value for question in row.questions or ()}
        return [(id, asked.get(id)) for id in row.interrupts or () if id not in self._answered]

    @property
    def _chosen(self) -> str | None:
        table = self._table
        if not table.is_valid_row_index(table.cursor_row):
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    # ── what the user does ───────────────────────────────────────────────────────────────────────

    @on(DataTable.RowSelected)
    async def _open_or_close(self, selected: DataTable.RowSelected) -> None:
        row = self._rows.get(selected.row_key.value or "")
        panels = self.query_one("#panels")
        open = [panel for panel in self.query(Panel) if row and panel.run == row.run]
        if open:
            await open[0].remove()  # which ends its worker, and so its subscription
        elif row:
            if len(self.query(Panel)) == MOST_PANELS:
                await self.query(Panel).first().remove()
            await panels.mount(Panel(self._client, row))
        panels.display = bool(self.query(Panel))

    def action_list(self) -> None:
        """Go back to the list; what was written in the line is dropped."""
        self._question = None
        line = self.query_one(Input)
        line.value, line.placeholder = "", START
        self._table.focus()

    def action_new(self) -> None:
        """Write what to start."""
        self.action_list()
        self.query_one(Input).focus()

    def action_answer(self) -> None:
        """Write the answer to the first open question of the chosen run."""
        row = self._rows.get(self._chosen or "")
        questions = self._open_questions(row) if row else []
        if not row or not questions:
            self.notify("this run asks nothing")
            return
        self.action_new()
        self._question = row.run, questions[0][0]
        self.query_one(Input).placeholder = f"answer: {visible(short(questions[0][1]))}"

    def action_cancel(self) -> None:
        """Cancel the chosen run."""
        if (run := self._chosen) is not None:
            self._ask(self._client.cancel(run))

    @on(Input.Submitted)
    def _send(self, line: Input.Submitted) -> None:
        text, question = line.value.strip(), self._question
        if not text:
            return
        self.action_list()
        if question is not None:
            self._ask(self._answer(*question, text))
        else:
            name, _, about = text.partition(" ")
            self._ask(self._start(name, [part.strip() for part in about.split(";")]))

    async def _answer(self, run: str, question: str, text: str) -> None:
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        await self._client.respond(run, {question: value})
        self._answered.add(question)
        self._changed.add(run)

    async def _start(self, name: str, topics: list[str]) -> None:
        graphs = {graph.name: graph for graph in await self._client.graphs()}
        if name not in graphs:
            raise ValueError(f"no graph {name!r}; there are: {', '.join(graphs)}")
        for topic in topics:
            run = await self._client.run(name, input_of(graphs[name], topic), namespaces=EVERYWHERE)
            await run.detach()  # the list shows it; a panel attaches anew

    @work
    async def _ask(self, request: Any) -> None:
        try:
            await request
        except (graphwire.GraphwireError, ValueError, TypeError) as error:
            self.notify(str(error), severity="error", markup=False)


async def main() -> int:
    """Connect, and show the dashboard until the user quits."""
    parser = argparse.ArgumentParser(description="A dashboard of many live runs.")
    parser.add_argument("url", nargs="?", default=os.environ.get("GRAPHWIRE_URL", URL))
    url = parser.parse_args().url
    try:
        async with graphwire.connect(url, token=os.environ.get("GRAPHWIRE_TOKEN")) as client:
            app = Dashboard(client)
            await app.run_async()
            return app.return_code or 0
    except graphwire.GraphwireError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
