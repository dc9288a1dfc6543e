"""``graphwire serve``: the command that the gateway adds to the command line.

``selection`` works out which graphs and settings to serve.
"""

import asyncio
import contextlib
import multiprocessing
import shlex
import signal
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.gateway import Gateway
from graphwire_gateway.graphs.runner import new_loop
from graphwire_gateway.serve.config import Config
from graphwire_gateway.serve.process import end_soon, end_within, tune
from graphwire_gateway.serve.reload import Reloader, replaced
from graphwire_gateway.serve.selection import Selection
from graphwire_gateway.server import Server
from graphwire_gateway.stores import shown_store
from graphwire_gateway.telemetry import logger, write_log

log = logger("serve")

T = TypeVar("T")

_CLOSE_S = 8.0
"""How long the server may take to cancel its runs and close, once ``drain_s`` is over."""

_TAKEN = 1
"""The exit code of a server whose store another one has taken."""

_AT_ONCE_S = 3.0
"""How long the server may take to cancel its runs and close, once it is asked to stop at once."""


def serve(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="A langgraph.json, or a folder that holds one. Or graphs, or functions that make them: "
            "./file.py:attribute, module:attribute, NAME=module:attribute. (default: those of "
            "graphwire.toml, or ./langgraph.json)",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="The configuration file. (default: ./graphwire.toml, if it exists)",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", envvar="GRAPHWIRE_HOST", help="Address to listen on. (default: 127.0.0.1)"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", envvar="GRAPHWIRE_PORT", help="Port; 0 takes any free one. (default: 8765)"
        ),
    ] = None,
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Restart when the configuration or an imported .py file changes."),
    ] = False,
    checkpointer: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="The checkpointer of graphs compiled without one. (default: in memory, or beside a store "
            "that survives)",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="GRAPHWIRE_STORE",
            help="Where logs are kept: memory://; sqlite:///runs.db or redis://host, which survive a crash. "
            "(default: memory://)",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="An origin whose pages may connect, such as https://app.example. Repeatable.",
        ),
    ] = None,
    console: Annotated[
        bool | None,
        typer.Option(
            "--console/--no-console",
            envvar="GRAPHWIRE_CONSOLE",
            help="Serve the console, a page that shows and starts runs, at /. (default: yes)",
        ),
    ] = None,
    expose_errors: Annotated[
        bool | None,
        typer.Option(
            "--expose-errors/--hide-errors",
            help="Send type and message of graphs' errors to clients. (default: on loopback only)",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback without authentication.")
    ] = False,
    conformance_graphs: Annotated[
        bool,
        typer.Option(
            "--conformance-graphs", help="Also serve the graphs that graphwire conformance server needs."
        ),
    ] = False,
    log_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="console or json. (default: console)")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error. (default: info)")
    ] = None,
) -> None:
    """Serve graphs over one WebSocket endpoint until Ctrl-C or SIGTERM, then drain.

    A browser sees the console there: every run live, a chat with each graph, what waits for an answer.

    Examples: graphwire serve langgraph.json, or: graphwire serve joke=app.graphs:joke ./agent.py:graph
    """
    selection = Selection(
        targets=tuple(graphs or ()),
        config=config,
        settings={
            "host": host,
            "port": port,
            "store": store,
            "checkpointer": checkpointer,
            "allowed_origins": allow_origin,
            "console": console,
            "expose_errors": expose_errors,
            "insecure": insecure or None,
            "log_format": log_format,
            "log_level": log_level,
        },
        conformance_graphs=conformance_graphs,
    )
    raise typer.Exit(_reload(selection) if reload else run(selection))


def run(selection: Selection) -> int:
    """Serve until asked to stop; return the exit code."""
    is_json = selection.settings["log_format"] == "json"
    try:
        config, notes = selection.resolve()
        write_log(config.server.log_format, config.server.log_level)
        is_json = config.server.log_format == "json"
        for level, line in () if selection.is_restart else notes:
            getattr(log, level)(line)
        code = _run(config, selection.is_restart)
        end_soon(code)
        return code
    except CannotServe as error:
        if is_json:
            write_log("json", "info")
            log.error("cannot serve", reason=str(error))
            return 2
        Console(stderr=True, soft_wrap=True).print(f"graphwire serve: {error}", style="red", markup=False)
        return 2


def _reload(selection: Selection) -> int:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if selection.settings["port"] == 0:  # every server after a change listens on the same port
        port = _free_port(selection.settings["host"])
        selection = replace(selection, settings={**selection.settings, "port": port})
    folders = selection.source_folders()
    console.print(f"watching {', '.join(map(str, folders))} for changes", markup=False)
    return Reloader(
        run,
        (selection,),
        (replace(selection, is_restart=True),),
        folders,
        selection.configuration_files,
        lambda line: console.print(line, markup=False),
    ).main()


def _free_port(host: str | None) -> int:
    with socket.socket() as probe:
        probe.bind((host or "127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(config: Config, is_restart: bool) -> int:
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(config, is_restart))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(config: Config, is_restart: bool) -> int:
    server = config.server
    gateway = Gateway(
        config.specs(),
        store=server.store,
        limits=config.limits,
        tokens=config.auth.tokens,
        auth=config.auth.path,
        ignore_authorization=config.auth.ignore_authorization,
        allowed_origins=server.allowed_origins,
        allowed_origin_regex=server.allowed_origin_regex,
        checkpointer=server.checkpointer,
        graph_store=server.graph_store,
        encoders=server.encoders,
        expose_errors=server.expose_errors,
        insecure=server.insecure,
        thread_bytes=server.thread_bytes,
        thread_ttl_s=server.thread_ttl_s,
        shared_threads=server.shared_threads,
        console=server.console,
    )
    stop = _Stop(config.limits.drain_s + _CLOSE_S)
    async with AsyncExitStack() as stack:
        running = await stop.unless_requested(
            stack.enter_async_context(gateway.serve(server.host, server.port))
        )
        if running is None:
            return 0
        tune()
        if server.log_format == "json":
            log.info("serving", url=running.url, console=running.console_url, graphs=list(config.graphs))
        else:
            with contextlib.suppress(OSError):  # a full disk under standard error ends no server
                _greet(config, running, is_restart)
        if await stop.unless_requested(running.taken.wait()):
            return _TAKEN
        if server.log_format == "json":
            log.info("draining", drain_s=config.limits.drain_s)
        elif not replaced.is_set():
            with contextlib.suppress(OSError):
                Console(stderr=True, highlight=False).print(
                    f"draining: runs get {config.limits.drain_s:g} s to end; Ctrl-C again stops at once"
                )
        draining = asyncio.ensure_future(running.drain())
        again = asyncio.ensure_future(stop.requested_again.wait())
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        await running.drain(0)
        again.cancel()
        await asyncio.gather(draining, again, return_exceptions=True)
    return 0


class _Stop:
    """Requests to stop, by signal: the first to drain, the second to stop at once.

    Whatever blocks the main loop, the process ends ``seconds`` after the first.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.requested = asyncio.Event()
        self.requested_again = asyncio.Event()
        self._signals = 0
        self._loop = loop = asyncio.get_running_loop()
        reloader = multiprocessing.parent_process()
        # Not add_signal_handler: a graph on the main loop may block it.
        if reloader is None:
            signal.signal(signal.SIGINT, self._signalled)
        else:  # the reloader passes Ctrl-C on; if it has died, nobody would, so stop with it
            loop.add_reader(reloader.sentinel, self._orphaned, loop, reloader.sentinel)
        signal.signal(signal.SIGTERM, self._signalled)

    async def unless_requested(self, opening: Coroutine[Any, Any, T]) -> T | None:
        """Return what ``opening`` returns; if a request comes first, cancel it and return None."""
        task = asyncio.ensure_future(opening)
        requested = asyncio.ensure_future(self.requested.wait())
        await asyncio.wait({task, requested}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            requested.cancel()
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals <= 2:
            end_within(self._seconds if self._signals == 1 else _AT_ONCE_S, 0)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the process ends
            self._loop.call_soon_threadsafe(self._request)

    def _request(self) -> None:
        (self.requested_again if self.requested.is_set() else self.requested).set()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        self.requested.set()
        self.requested_again.set()


def _greet(config: Config, running: Server, is_restart: bool) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    everywhere = running.host in ("0.0.0.0", "::")
    address = _from_here(running.url)
    shown = f"{address} and every other address of this machine" if everywhere else address
    entries = running.catalog.all()
    again = " again" if is_restart else ""
    names = escape(", ".join(config.graphs))
    console.print(f"[bold]graphwire[/] serves [cyan]{names}[/]{again} at [bold]{escape(shown)}[/]")
    if is_restart:
        return
    if running.console_url is not None:
        page = _from_here(running.console_url)
        console.print(f"the console is at [bold]{escape(page)}[/]: open it in a browser")
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        made = ", made for each run" if entry.factory is not None else ""
        keeps = (
            ""
            if not entry.keeps_threads
            else f", threads in its own {type(entry.graph.checkpointer).__name__}"
        )
        console.print(f"  {entry.name:<{width}}  {entry.source}{made}{keeps}", style="dim", markup=False)
    if config.server.store != "memory://":
        console.print(f"logs are kept in {shown_store(config.server.store)}", markup=False)
    if any(not entry.keeps_threads for entry in entries):
        console.print(f"threads are kept in {running.catalog.savers.description}", markup=False)
    url = "" if address == "ws://127.0.0.1:8765/ws" else f" --url {address}"
    if config.auth.tokens or config.auth.path:
        console.print("with a token of this server in GRAPHWIRE_TOKEN:")
    console.print(f"  graphwire graphs{url}", markup=False)
    console.print(f"  graphwire run {shlex.quote(next(iter(config.graphs)))} -f KEY=VALUE{url}", markup=False)
    console.print("Ctrl-C drains and stops; a second Ctrl-C stops at once.")


def _from_here(url: str) -> str:
    """Return the URL with which this machine reaches a server that listens on all addresses."""
    return url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
