"""``graphwire serve``: the command that the gateway adds to the command line.

``selection`` works out which graphs and settings to serve.
"""

import contextlib
import socket
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console

from graphwire_gateway.serve.config import Config
from graphwire_gateway.serve.gateways import gateway_of
from graphwire_gateway.serve.greeting_lines import greet, greet_clients_of_workers
from graphwire_gateway.serve.options import ConfigFile, LogFormat, LogLevel
from graphwire_gateway.serve.process import tune
from graphwire_gateway.serve.reload import Reloader
from graphwire_gateway.serve.running import TAKEN, drain, run_selected
from graphwire_gateway.serve.selection import Selection
from graphwire_gateway.serve.stop import CLOSE_S, Stop
from graphwire_gateway.serve.workers import Workers
from graphwire_gateway.telemetry import logger

log = logger("serve")


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
    config: ConfigFile = None,
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
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Run the graphs in so many processes beside this one, which share a store in Redis. 0: only "
            "pass clients on to workers elsewhere. (default: in this process)",
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
    log_format: LogFormat = None,
    log_level: LogLevel = None,
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
            "workers": workers,
            "insecure": insecure or None,
            "log_format": log_format,
            "log_level": log_level,
        },
        conformance_graphs=conformance_graphs,
    )
    if reload and workers:
        raise typer.BadParameter("--reload restarts one process; leave out --workers while you write code")
    raise typer.Exit(_reload(selection) if reload else run(selection))


def run(selection: Selection) -> int:
    """Serve until asked to stop; return the exit code."""

    def serving(config: Config) -> Coroutine[Any, Any, int]:
        if config.server.workers is not None or not config.graphs:
            return _relay(config, selection)
        return _serve(config, selection.is_restart)

    return run_selected("serve", selection, serving)


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


async def _serve(config: Config, is_restart: bool) -> int:
    async with AsyncExitStack() as stack:
        stop = Stop(config.limits.drain_s + CLOSE_S)
        gateway = gateway_of(config)
        running = await stop.unless_requested(
            stack.enter_async_context(gateway.serve(config.server.host, config.server.port))
        )
        if running is None:
            return 0
        tune()
        if config.server.log_format == "json":
            log.info("serving", url=running.url, console=running.console_url, graphs=list(config.graphs))
        else:
            with contextlib.suppress(OSError):  # a full disk under standard error ends no server
                greet(config, running, is_restart)
        if await stop.unless_requested(running.taken.wait()):
            return TAKEN
        await drain(running, config, stop)
    return 0


async def _relay(config: Config, selection: Selection) -> int:
    """Pass clients on to workers, those beside this process or others."""
    async with AsyncExitStack() as stack:
        stop = Stop(config.limits.drain_s + 2 * CLOSE_S)
        workers = Workers(selection, config)
        stack.callback(workers.kill)
        workers.start()
        if workers.count and config.server.log_format != "json":
            with contextlib.suppress(OSError):
                print(f"starting {workers.count} worker{'s' if workers.count > 1 else ''}", file=sys.stderr)
        gateway = gateway_of(config, has_graphs=False)
        opening = stack.enter_async_context(gateway.relay(config.server.host, config.server.port))
        running = await stop.unless_requested(workers.unless_they_cannot(opening))
        if running is None:
            return 0
        if workers.count:
            await stop.unless_requested(workers.unless_they_cannot(running.ready(config.worker.group)))
        tune()
        if config.server.log_format == "json":
            log.info("serving", url=running.url, console=running.console_url, workers=workers.count)
        else:
            with contextlib.suppress(OSError):
                greet_clients_of_workers(config, running, running.hindrance)
        workers.are_ready = True
        await stop.requested.wait()
        if workers.count:
            running.announce_end(config.limits.drain_s)
        await workers.drain(config, stop)
        await running.drain()
    return 0
