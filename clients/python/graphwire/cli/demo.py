"""``graphwire demo``: start a server with five graphs and show the streams of three side by side.

The server is a child process, ``graphwire serve``, which also serves the console. Everything shown arrives
over one connection to it. ``cluster_demo`` has what ``--cluster`` shows.
"""

import asyncio
import contextlib
import http.client
import io
import json
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from graphwire.cli.cluster_demo import NO_REDIS, opened_cluster, redis_program, show_takeover
from graphwire.cli.hints import broken, program
from graphwire.cli.outcome import FAILED, FINE, INTERRUPTED, USAGE, exit_codes, say, say_logs
from graphwire.cli.server_process import START_TIMEOUT_S, connected, end, follow_log, free_port
from graphwire.client import DEFAULT_URL, Client
from graphwire.errors import GraphwireError
from graphwire.events import CustomEvent, LifecycleEvent, MessagesEvent, RunEvent, UpdatesEvent
from graphwire.run import Run

_CODES = exit_codes(FINE, FAILED, USAGE, INTERRUPTED, failed="the server did not start, or a run failed")

HELP = f"""Start a server with five graphs and watch three of them stream at once over one connection.

Each panel is a subscription with its own filter. Afterwards the server keeps running for you to try, in a
terminal or by its console in a browser, until Ctrl-C. GRAPHWIRE_DEMO_MODEL=openai:gpt-4o-mini uses a real
model instead of the toy. --cluster shows a run that goes on though the process that executes it is killed.

Example: [bold]graphwire demo --topic penguins[/bold]

{_CODES}
"""

_GRAPHS = ("joke_and_poem", "research", "longjob", "chat", "journey")
_MODULE = "graphwire_gateway.demo.graphs"
_RECORDED = ("values", "updates", "messages", "custom", "tasks", "checkpoints")
"""What every run records, whoever starts it: all that the console can show of a run."""

_LINES = 9  # of text in a panel


class RunPanel:
    """One panel: a title, the subscription's filter, its latest text, and the number of its events."""

    def __init__(self, title: str, filter: str) -> None:
        self.events = 0
        self.status = "…"
        self._title = title
        self._filter = filter
        self._text = Text()
        self._writer: str | None = None
        self._phase: str | None = None
        self._progress: tuple[int, int] | None = None

    def show(self, event: RunEvent) -> None:
        """Add one event to the panel."""
        self.events += 1
        match event:
            case MessagesEvent(message=message):
                self._write(event.node or "model", message.text)
            case UpdatesEvent():
                self._note(f"✓ {event.node}", "green")
            case CustomEvent(data={"phase": phase, "done": done, "total": total}):
                if phase != self._phase:
                    self._note(f"{phase} …", "cyan")
                    self._phase = phase
                self._progress = (int(done), int(total))
            case CustomEvent():
                self._note(f"· {_short(event.data)}", "yellow")
            case LifecycleEvent(status=status):
                self.status = status

    def _write(self, node: str, text: str) -> None:
        if node != self._writer:
            self._note(f"{node}:", "bold cyan")
            self._writer = node
        self._text.append(text)

    def _note(self, text: str, style: str) -> None:
        self._writer = None
        if len(self._text) and not self._text.plain.endswith("\n"):
            self._text.append("\n")
        self._text.append(text + "\n", style)

    def render(self, width: int) -> RenderableType:
        """Return the panel as it looks now, ``width`` columns wide."""
        inner = max(10, width - 4)
        lines = self._text.wrap(Console(width=inner, file=io.StringIO()), inner)
        rows: list[RenderableType] = list(lines[-_LINES:])
        rows.extend(Text("") for _ in range(_LINES - len(rows)))
        if self._progress is not None:
            done, total = self._progress
            rows[-2:] = [
                Text(f"{done} of {total}", "dim"),
                ProgressBar(total=total, completed=done, width=inner),
            ]
        color = {"completed": "green", "failed": "red", "cancelled": "red"}.get(self.status, "blue")
        return Panel(
            Group(*rows),
            title=f"[bold]{self._title}[/]",
            subtitle=f"[dim]{self._filter}[/] [{color}]{self.events}[/]",
            border_style=color,
        )


def demo(
    topic: Annotated[str, typer.Option("--topic", metavar="TEXT", help="What to write about.")] = "cats",
    once: Annotated[bool, typer.Option("--once", help="Exit when the runs have ended.")] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="The server's port; if it is taken, a free one.")
    ] = 8765,
    store: Annotated[
        str,
        typer.Option("--store", metavar="URL", help="Where the server keeps runs, as in graphwire serve."),
    ] = "memory://",
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Start Redis, a gateway and two workers instead, and kill the worker that executes a run.",
        ),
    ] = False,
) -> None:
    """Show the demo. ``HELP`` is the text for users."""
    console = Console(highlight=False)
    if cluster and store != "memory://":
        raise typer.BadParameter("a cluster has a store of its own, in Redis", param_hint="--store")
    port = free_port(port)
    shown = _cluster(console, topic, once, port) if cluster else _demo(console, topic, once, port, store)
    try:
        raise typer.Exit(asyncio.run(ended_by_signals(shown)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(INTERRUPTED) from None


_SIGNALS = ("SIGTERM", "SIGHUP")  # by their names: Windows has but the first


async def ended_by_signals(work: Coroutine[Any, Any, int]) -> int:
    """Do ``work``, and cancel it at SIGTERM or SIGHUP, so that the server ends with it as after Ctrl-C.

    A signal that is ignored, as by ``nohup``, stays so.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    wanted = [number for name in _SIGNALS if (number := getattr(signal, name, None)) is not None]
    for number in wanted:
        if signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(NotImplementedError):  # Windows ends a process at once
                loop.add_signal_handler(number, task.cancel)
    return await work


async def _demo(console: Console, topic: str, once: bool, port: int, store: str) -> int:
    url = f"ws://127.0.0.1:{port}/ws"
    with say_logs(), tempfile.NamedTemporaryFile("w+") as log, _server(port, store, log) as server:
        with console.status(f"starting: graphwire serve … --port {port}"):
            client = await connected(url, server)
        if client is None:
            log.seek(0)
            say(f"the demo's server did not start:\n{log.read().strip()}")
            return FAILED
        page = await asyncio.to_thread(_page, port)
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(client.close)
                panels = await _show_runs(console, client, topic, page)
                if not once:
                    await leave_questions(client, topic)
        except GraphwireError as error:
            say(str(error))
            return FAILED
        if once:
            head = "While the server runs ([bold]make demo[/] keeps it running)"
            explain(console, head, DEFAULT_URL, topic, None if page is None else _page_at(8765))
            return FINE if all(panel.status == "completed" for panel in panels) else FAILED
        explain(console, "Try it yourself", url, topic, page)
        if page is None:
            console.print("\nThe console is not built; [bold]make console[/] builds it, with Node 20.19.")
        console.print("\nThe server is running, and its log follows. [bold]Ctrl-C[/] stops it.")
        with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
            await follow_log(log, lambda: server.poll() is not None)
            say("the demo's server has ended")
        return FINE if all(panel.status == "completed" for panel in panels) else FAILED


async def _cluster(console: Console, topic: str, once: bool, port: int) -> int:
    redis = redis_program()
    if redis is None:
        say(NO_REDIS)
        return FAILED
    with say_logs(), opened_cluster(port) as processes:
        with console.status("starting: redis-server, graphwire serve, two of graphwire worker"):
            client = await processes.started(redis, _MODULE, _GRAPHS, configuration())
        if client is None:
            say(f"the demo's processes did not start:\n{processes.logs()}")
            return FAILED
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(client.close)
                is_fine = await show_takeover(console, processes, client, topic)
                if not once:
                    await leave_questions(client, topic)
        except GraphwireError as error:
            say(str(error))
            return FAILED
        if not once:
            page = await asyncio.to_thread(_page, port)
            explain(console, "Try it yourself", client.url, topic, page)
            console.print("\nThe gateway, one worker and Redis are running. [bold]Ctrl-C[/] stops them.")
            with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
                await processes.one_has_ended()
                say("a process of the demo has ended")
    return FINE if is_fine else FAILED


# ── the server ───────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _server(port: int, store: str, log: IO[str]) -> Iterator["subprocess.Popen[str]"]:
    targets = [f"{name}={_MODULE}:{name}" for name in _GRAPHS]
    code = "from graphwire.cli import main; main()"
    options = ["--port", str(port), "--store", store]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "graphwire.toml")
        file.write_text(configuration(), "utf-8")
        process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *targets, "--config", str(file), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            end(process)


def configuration() -> str:
    """Return the ``graphwire.toml`` of the demo: runs of its graphs record what the console shows."""
    settings = f"record = {json.dumps(_RECORDED)}\nrecord_subgraphs = true\n"
    return "\n".join(f"[graphs.{name}]\n{settings}" for name in _GRAPHS)


def _page(port: int) -> str | None:
    """Return the address of the console; None if the server has none, since it was not built."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        return _page_at(port) if connection.getresponse().status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _page_at(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


# ── the runs ─────────────────────────────────────────────────────────────────────────────────────────


async def _show_runs(console: Console, client: Client, topic: str, page: str | None = None) -> list[RunPanel]:
    everything = [["**"]]
    both = await client.run(
        "joke_and_poem",
        {"topic": topic},
        modes=["messages"],
        tags=["joke"],
        record={"modes": ["updates"]},
        metadata={"title": f"A joke and a poem about {topic}"},
    )
    poem = await client.attach(both.id, modes=["messages", "updates"], nodes=["*poem"])
    research = await client.run(
        "research",
        {"topic": topic},
        modes=["messages", "updates", "custom"],
        namespaces=everything,
        metadata={"title": f"Research on {topic}"},
    )
    job = await client.run(
        "longjob", {"topic": topic}, modes=["custom"], metadata={"title": f"An index of {topic}"}
    )
    shown: list[tuple[Run, RunPanel]] = [
        (both, RunPanel("a joke …", "messages, tag joke")),
        (poem, RunPanel("… and a poem, from the same run", "messages + updates, node *poem")),
        (research, RunPanel("research in subgraphs", "all namespaces")),
        (job, RunPanel("a long job", "custom")),
    ]
    panels = [panel for _, panel in shown]

    def screen() -> RenderableType:
        return _screen(console, client.url, panels, page)

    with Live(screen(), console=console, auto_refresh=False) as live:

        async def follow(run: Run, panel: RunPanel) -> None:
            async for event in run:
                panel.show(event)

        following = asyncio.gather(*(follow(run, panel) for run, panel in shown))
        try:
            while not following.done():
                await asyncio.wait({following}, timeout=0.08)
                live.update(screen(), refresh=True)
            await following
        finally:  # Ctrl-C: nobody else would learn how they end
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    return panels


async def leave_questions(client: Client, topic: str) -> None:
    """Start a chat and a journey, which ask and wait: something to answer, in the console or elsewhere."""
    mail = {"messages": [{"type": "human", "content": f"Write a mail about {topic}"}]}
    await client.update_thread("chat", "mail", {"title": f"A mail about {topic}"})
    await client.run("chat", mail, thread="mail")
    place = "the sea"
    await client.update_thread("journey", "sea", {"title": f"A journey to {place}"})
    await client.run("journey", {"place": place}, thread="sea")


def _screen(console: Console, url: str, panels: list[RunPanel], page: str | None = None) -> RenderableType:
    columns = 2 if console.width >= 80 else 1
    width = console.width // columns
    table = Table.grid(expand=True)
    for _ in range(columns):
        table.add_column(ratio=1)
    for start in range(0, len(panels), columns):
        table.add_row(*(panel.render(width) for panel in panels[start : start + columns]))
    total = sum(panel.events for panel in panels)
    head = Text(f"three runs, four filters, one WebSocket to {url}: {total} events", "bold")
    foot = Text("below each panel: its filter, and how many events passed it", "dim")
    see = [] if page is None else [Text(f"the same in a browser: {page}", "bold")]
    return Group(head, *see, table, foot)


def _short(value: Any) -> str:
    text = " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
    return text if len(text) < 60 else text[:59] + "…"


def explain(console: Console, head: str, url: str, topic: str, page: str | None = None) -> None:
    """Say what to try while the server at ``url`` runs; ``page`` is the address of its console."""
    if page is not None:
        console.print(f"\n[bold]{page}[/] is the console. Open it in a browser:")
        console.print("it shows these runs, starts others, and two of them wait for your answer.")
    called = program()
    where = [] if url == DEFAULT_URL else [f"--url {url}"]
    about = f"-f topic={shlex.quote(topic)}"
    console.print(f"\n{head}, from a second terminal:")
    for command in (["graphs"], ["run", "joke_and_poem", about, "-m messages", "--tag poem"]):
        for line in broken([called, *command, *where]):
            console.print(line, markup=False, soft_wrap=True)
    console.print(f"\n[bold]or from Python[/] ({called.replace('graphwire', 'python')}):")
    console.print(
        f"""  import asyncio, graphwire

  async def main():
      async with graphwire.connect("{url}") as client:
          topic = {{"topic": {topic!r}}}
          run = await client.run("joke_and_poem", topic, tags=["joke"])
          async for event in run:
              match event:
                  case graphwire.MessagesEvent(message=chunk):
                      print(chunk.text, end="", flush=True)
          print(f"\\n{{await run.result()}}")

  asyncio.run(main())""",
        markup=False,
        soft_wrap=True,
    )
