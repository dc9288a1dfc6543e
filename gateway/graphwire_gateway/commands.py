"""``graphwire serve``: the command that the gateway adds to the command line."""

import asyncio
import shlex
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from graphwire_gateway.catalog import CannotServe
from graphwire_gateway.config import Config, load
from graphwire_gateway.process import tune
from graphwire_gateway.runner import new_loop
from graphwire_gateway.server import Gateway, Server
from graphwire_gateway.telemetry import write_log


def serve(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=TARGET...",
            help="Graphs to serve: NAME=module:attribute or NAME=./file.py:attribute.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="A configuration file. (default: ./graphwire.toml, if there)"),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(envvar="GRAPHWIRE_HOST", help="Address to listen on. (default: 127.0.0.1)"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(envvar="GRAPHWIRE_PORT", help="Port; 0 takes any free one. (default: 8765)"),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="GRAPHWIRE_STORE", help="Where logs live. (default, and the only one yet: memory://)"
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="An origin whose pages may connect, such as https://app.example. Repeatable."),
    ] = None,
    expose_errors: Annotated[
        bool | None,
        typer.Option(
            "--expose-errors/--hide-errors",
            help="Tell clients type and message of graphs' errors. (default: on loopback only)",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback without authentication.")
    ] = False,
    conformance_graphs: Annotated[
        bool,
        typer.Option("--conformance-graphs", help="Serve the graphs of: graphwire conformance server, too."),
    ] = False,
    log_format: Annotated[str | None, typer.Option(help="console or json. (default: console)")] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. (default: info)")
    ] = None,
) -> None:
    """Serve graphs over one WebSocket endpoint until Ctrl-C or SIGTERM, then drain.

    Example: graphwire serve joke=app.graphs:joke research=./agent.py:graph
    """
    settings = {
        "host": host,
        "port": port,
        "store": store,
        "allowed_origins": allow_origin,
        "expose_errors": expose_errors,
        "insecure": insecure or None,
        "log_format": log_format,
        "log_level": log_level,
    }
    try:
        loaded = load(
            config,
            {
                "graphs": {**_kit(conformance_graphs), **_targets(graphs or [])},
                "server": {name: value for name, value in settings.items() if value is not None},
            },
        )
        if not loaded.graphs:
            raise CannotServe(
                "no graphs to serve; name one, as in: graphwire serve joke=app.graphs:joke "
                "(or list them under [graphs] in graphwire.toml)"
            )
        write_log(loaded.server.log_format, loaded.server.log_level)
        code = _run(loaded)
    except CannotServe as error:
        Console(stderr=True, soft_wrap=True).print(f"graphwire serve: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    raise typer.Exit(code)


def _kit(is_wanted: bool) -> dict[str, str]:
    if not is_wanted:
        return {}
    from graphwire_gateway.demo.conformance import TARGETS

    return TARGETS


def _targets(graphs: list[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in graphs:
        name, equals, target = text.partition("=")
        if not equals or not name or not target:
            raise CannotServe(
                f"{text!r} is not of the form NAME=module:attribute or NAME=./file.py:attribute"
            )
        out[name] = target
    return out


def _run(config: Config) -> int:
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(config))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(config: Config) -> int:
    server = config.server
    gateway = Gateway(
        config.specs(),
        store=server.store,
        limits=config.limits,
        tokens=config.auth.tokens,
        allowed_origins=server.allowed_origins,
        expose_errors=server.expose_errors,
        insecure=server.insecure,
    )
    stop = _Stop()
    async with gateway.serve(server.host, server.port) as running:
        tune()
        _greet(config, running)
        await stop.asked.wait()
        Console(stderr=True, highlight=False).print(
            f"draining: runs get {config.limits.drain_s:g} s to end; Ctrl-C again stops at once"
        )
        draining = asyncio.ensure_future(running.drain())
        again = asyncio.ensure_future(stop.asked_again.wait())
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        await running.drain(0)
        again.cancel()
        await asyncio.gather(draining, again, return_exceptions=True)
    return 0


class _Stop:
    """The wish to stop: once to drain, twice to stop at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.asked_again = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        (self.asked_again if self.asked.is_set() else self.asked).set()


def _greet(config: Config, running: Server) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    everywhere = running.host in ("0.0.0.0", "::")
    address = running.url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
    told = f"{address} and every other address of this machine" if everywhere else address
    console.print(f"[bold]graphwire[/] serves [cyan]{', '.join(config.graphs)}[/] at [bold]{told}[/]")
    url = "" if address == "ws://127.0.0.1:8765/ws" else f" --url {address}"
    token = " --token …" if config.auth.tokens else ""
    console.print(f"  graphwire graphs{url}{token}")
    console.print(f"  graphwire run {shlex.quote(next(iter(config.graphs)))} -f KEY=VALUE{url}{token}")
    console.print("Ctrl-C drains and stops; once more stops at once.")
