"""``graphwire worker``: a process that runs graphs for the gateways of a store in Redis."""

import contextlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from graphwire_gateway.serve.config import Config
from graphwire_gateway.serve.gateways import gateway_of
from graphwire_gateway.serve.options import ConfigFile, LogFormat, LogLevel
from graphwire_gateway.serve.process import tune
from graphwire_gateway.serve.running import TAKEN, beside, drain, run_selected
from graphwire_gateway.serve.selection import Selection
from graphwire_gateway.serve.stop import CLOSE_S, Stop
from graphwire_gateway.stores import shown_store
from graphwire_gateway.telemetry import logger

if TYPE_CHECKING:
    from graphwire_gateway.cluster.worker import Worker

log = logger("worker")


def worker(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="What to run, as for graphwire serve. All workers of a group run the same graphs. (default: "
            "those of graphwire.toml, or ./langgraph.json)",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="GRAPHWIRE_STORE", help="The store in Redis: redis://host. Needed."
        ),
    ] = None,
    config: ConfigFile = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="GRAPHWIRE_WORKER_HOST",
            help="The address of this machine where gateways reach it, in a network that you trust. "
            "(default: 127.0.0.1)",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="GRAPHWIRE_WORKER_GROUP",
            help="The name of the workers that run these graphs, where others of the store run others.",
        ),
    ] = None,
    checkpointer: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="The checkpointer of graphs compiled without one. (default: beside the logs)",
        ),
    ] = None,
    expose_errors: Annotated[
        bool | None,
        typer.Option(
            "--expose-errors/--hide-errors",
            help="Send type and message of graphs' errors to clients. (default: hide)",
        ),
    ] = None,
    conformance_graphs: Annotated[
        bool,
        typer.Option(
            "--conformance-graphs", help="Also run the graphs that graphwire conformance server needs."
        ),
    ] = False,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run graphs for the gateways of a store in Redis until Ctrl-C or SIGTERM, then drain.

    Workers divide the runs and threads among themselves, and take over those of one that dies. Clients
    connect to a gateway: graphwire serve --store redis://host

    Example: graphwire worker --store redis://localhost:6379/0 joke=app.graphs:joke
    """
    selection = Selection(
        targets=tuple(graphs or ()),
        config=config,
        settings={
            "store": store,
            "checkpointer": checkpointer,
            "expose_errors": expose_errors,
            "log_format": log_format,
            "log_level": log_level,
        },
        conformance_graphs=conformance_graphs,
        worker_settings={"host": host, "group": group},
        is_worker=True,
    )
    raise typer.Exit(work(selection))


def work(selection: Selection) -> int:
    """Run graphs until asked to stop; return the exit code."""
    return run_selected("worker", selection, _work)


async def _work(config: Config) -> int:
    async with AsyncExitStack() as stack:
        stop = Stop(config.limits.drain_s + CLOSE_S)
        working = gateway_of(config).work(config.worker.host, group=config.worker.group)
        running = await stop.unless_requested(stack.enter_async_context(working))
        if running is None:
            return 0
        tune()
        await stop.unless_requested(running.has_shards())
        if stop.requested.is_set():
            return 0
        if running.taken.is_set():
            return TAKEN
        if config.server.log_format == "json":
            log.info("working", graphs=list(config.graphs), group=running.group, shards=len(running.homes))
        elif not beside.is_set():
            with contextlib.suppress(OSError):
                _say(config, running)
        if await stop.unless_requested(running.taken.wait()):
            return TAKEN
        await drain(running, config, stop)
    return 0


def _say(config: Config, running: "Worker") -> None:
    names = ", ".join(config.graphs)
    who = f"a worker of group {running.group!r}" if running.group else "a worker"
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"{who} runs {names}, for the gateways of {shown_store(config.server.store)}", markup=False
    )
