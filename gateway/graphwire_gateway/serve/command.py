"""``graphwire serve``: the command that the gateway adds to the command line."""

import asyncio
import contextlib
import multiprocessing
import os
import shlex
import signal
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.load import importable_from, shown
from graphwire_gateway.graphs.runner import new_loop
from graphwire_gateway.serve import environment, langgraph_json
from graphwire_gateway.serve.config import FILE, Config, load
from graphwire_gateway.serve.langgraph_json import Project
from graphwire_gateway.serve.process import tune
from graphwire_gateway.serve.reload import Reloader, replaced
from graphwire_gateway.server import Gateway, Server
from graphwire_gateway.telemetry import logger, write_log

log = logger("serve")

T = TypeVar("T")


def serve(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="langgraph.json, or a folder that holds one. Or graphs, or functions that make them: "
            "./file.py:attribute, module:attribute, NAME=module:attribute.",
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
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Start anew when the configuration or an imported .py file changes."),
    ] = False,
    checkpointer: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="What keeps the threads of graphs compiled without a checkpointer. (default: memory)",
        ),
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

    Examples: graphwire serve langgraph.json, or: graphwire serve joke=app.graphs:joke ./agent.py:graph
    """
    asked = Asked(
        tuple(graphs or ()),
        config,
        {
            "host": host,
            "port": port,
            "store": store,
            "checkpointer": checkpointer,
            "allowed_origins": allow_origin,
            "expose_errors": expose_errors,
            "insecure": insecure or None,
            "log_format": log_format,
            "log_level": log_level,
        },
        conformance_graphs,
    )
    raise typer.Exit(_reloading(asked) if reload else run(asked))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    graphs: tuple[str, ...]
    config: Path | None
    settings: Mapping[str, Any]
    """Of ``[server]``; None where the command line does not say."""
    conformance_graphs: bool
    is_told: bool = False
    """Whether a server like it has told before what it serves."""

    @property
    def project(self) -> Path | None:
        """The ``langgraph.json`` to serve. Raises ``CannotServe`` for several."""
        named = [Path(text) for text in self.graphs if _is_project(text)]
        if self.config is not None and self.config.suffix == ".json":
            named.append(self.config)
        if len(named) > 1:
            raise CannotServe(
                f"{' and '.join(map(str, named))} are two projects; serve each by a command of its own"
            )
        if named:
            return named[0]
        # Whoever names no graph means the project that lies here.
        here = Path(langgraph_json.FILE)
        return here if not self.graphs and not self.conformance_graphs and here.is_file() else None

    @property
    def toml(self) -> Path | None:
        """The configuration file that was named."""
        return None if self.config is None or self.config.suffix == ".json" else self.config


def run(asked: Asked) -> int:
    """Serve until asked to stop; return the exit code."""
    try:
        loaded, told = _loaded(asked)
        write_log(loaded.server.log_format, loaded.server.log_level)
        for level, line in () if asked.is_told else told:
            getattr(log, level)(line)
        return _run(loaded, asked.is_told)
    except CannotServe as error:
        Console(stderr=True, soft_wrap=True).print(f"graphwire serve: {error}", style="red", markup=False)
        return 2


def _loaded(asked: Asked) -> tuple[Config, list[tuple[str, str]]]:
    """Return the configuration, and what the log is to tell of where it comes from."""
    told: list[tuple[str, str]] = []
    place = asked.project
    project: Project | None = None
    if place is not None:
        project = langgraph_json.read(place)
        had = environment.provide(project.env)
        if project.env_file is not None:
            told.append(("info", _read(project.env_file, project.env, had)))
        importable_from(project.folders)
        told += [("info", note) for note in project.notes]
        told += [("warning", warning) for warning in project.warnings]
    dotenv = Path(environment.FILE)
    read = None if project is None else project.env_file
    if dotenv.is_file() and (read is None or not dotenv.samefile(read)):
        values = environment.values_of(dotenv)
        told.append(("info", _read(dotenv, values, environment.provide(values))))
    settings = {name: value for name, value in asked.settings.items() if value is not None}
    for name in ("host", "port", "store"):  # what .env says of them came too late for the command line
        if name not in settings and (value := os.environ.get(f"GRAPHWIRE_{name.upper()}")):
            settings[name] = value
    loaded = load(
        asked.toml,
        {"graphs": {**_kit(asked.conformance_graphs), **_targets(asked.graphs)}, "server": settings},
        None if project is None else project.settings,
    )
    if project is not None and project.wants_encryption and not loaded.server.ignore_encryption:
        raise CannotServe(
            f"{project.path} wants encryption, and graphwire encrypts nothing at rest, so that what is kept "
            "of threads would lie open. If that is enough, or the checkpointer itself encrypts, say so: "
            "[server] ignore_encryption = true in graphwire.toml, or "
            "GRAPHWIRE_SERVER__IGNORE_ENCRYPTION=true"
        )
    if not loaded.graphs:
        raise CannotServe(
            "no graphs to serve; name one, as in: graphwire serve joke=app.graphs:joke "
            "(or a langgraph.json, or list them under [graphs] in graphwire.toml)"
        )
    return loaded, told


def _read(file: Path, values: Mapping[str, str], had: list[str]) -> str:
    kept = f"; set already, and left as they were: {', '.join(had)}" if had else ""
    return f"read {shown(str(file.absolute()))}: {len(values)} variable{'s'[: len(values) != 1]}{kept}"


def _is_project(text: str) -> bool:
    return "=" not in text and ":" not in text and (text.endswith(".json") or Path(text).is_dir())


def _kit(is_wanted: bool) -> dict[str, str]:
    if not is_wanted:
        return {}
    from graphwire_conformance.graphs import TARGETS

    return TARGETS


def _targets(graphs: tuple[str, ...]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in graphs:
        if _is_project(text):
            continue
        name, equals, target = text.partition("=")
        if not equals:
            name, target = _name_of(text), text
        if not name or not target:
            raise CannotServe(
                f"{text!r} is not of the form NAME=module:attribute or NAME=./file.py:attribute, "
                "and no langgraph.json or folder that holds one"
            )
        if name in out:
            raise CannotServe(
                f"{out[name]!r} and {target!r} are both called {name!r}; give them names: NAME={target}"
            )
        out[name] = target
    return out


def _name_of(target: str) -> str:
    """Return the attribute's name, or the module's where the attribute's says nothing."""
    place, _, attribute = target.rpartition(":")
    last = attribute.rpartition(".")[2]
    if last != "graph":
        return last if place else ""
    path = Path(place.removesuffix(".py"))
    name = path.parent.resolve().name if path.name == "__init__" else path.name
    return name if place.endswith(".py") else place.rpartition(".")[2]


# ── starting anew ────────────────────────────────────────────────────────────────────────────────


def _reloading(asked: Asked) -> int:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if asked.settings["port"] == 0:  # each server takes the same one
        asked = replace(asked, settings={**asked.settings, "port": _free_port(asked.settings["host"])})
    roots = _roots(asked)
    console.print(f"watching {', '.join(map(str, roots))} for changes", markup=False)
    return Reloader(
        run,
        (asked,),
        (replace(asked, is_told=True),),
        roots,
        lambda: _configuration(asked),
        lambda line: console.print(line, markup=False),
    ).main()


def _free_port(host: str | None) -> int:
    with socket.socket() as probe:
        probe.bind((host or "127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _roots(asked: Asked) -> list[Path]:
    """Return the folders whose files make the server."""
    roots = [Path()]
    try:
        if asked.project is not None:
            roots += langgraph_json.read(asked.project).folders
    except CannotServe:
        pass  # the server will say so, and a change may mend it
    for target in asked.graphs:
        place = target.partition("=")[2] or target
        roots.append(Path(place.rpartition(":")[0]).parent)
    return list(dict.fromkeys(root for root in roots if root.is_dir()))


def _configuration(asked: Asked) -> set[Path]:
    """Return the files that say what is served."""
    files = [asked.toml or Path(FILE), Path(environment.FILE)]
    with contextlib.suppress(CannotServe):
        if asked.project is not None:
            files.append(langgraph_json.find(asked.project))
            read = langgraph_json.read(asked.project).env_file
            files += [] if read is None else [read]
    return {file.resolve() for file in files}


# ── serving ──────────────────────────────────────────────────────────────────────────────────────


def _run(config: Config, is_told: bool) -> int:
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(config, is_told))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(config: Config, is_told: bool) -> int:
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
        expose_errors=server.expose_errors,
        insecure=server.insecure,
        shared_threads=server.shared_threads,
    )
    stop = _Stop()
    async with AsyncExitStack() as stack:
        running = await stop.unless_asked(stack.enter_async_context(gateway.serve(server.host, server.port)))
        if running is None:
            return 0
        tune()
        _greet(config, running, is_told)
        await stop.asked.wait()
        if not replaced.is_set():
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
        reloader = multiprocessing.parent_process()
        if reloader is None:
            loop.add_signal_handler(signal.SIGINT, self._ask)
        else:  # which tells it of Ctrl-C, and without which nobody would
            loop.add_reader(reloader.sentinel, self._orphaned, loop, reloader.sentinel)
        loop.add_signal_handler(signal.SIGTERM, self._ask)

    async def unless_asked(self, opening: Coroutine[Any, Any, T]) -> T | None:
        """Return what ``opening`` returns; None, and it is cancelled, where the wish comes first."""
        task = asyncio.ensure_future(opening)
        asked = asyncio.ensure_future(self.asked.wait())
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            asked.cancel()
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None

    def _ask(self) -> None:
        (self.asked_again if self.asked.is_set() else self.asked).set()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        self.asked.set()
        self.asked_again.set()


def _greet(config: Config, running: Server, is_told: bool) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    everywhere = running.host in ("0.0.0.0", "::")
    address = running.url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
    told = f"{address} and every other address of this machine" if everywhere else address
    entries = running.catalog.all()
    again = " again" if is_told else ""
    console.print(f"[bold]graphwire[/] serves [cyan]{', '.join(config.graphs)}[/]{again} at [bold]{told}[/]")
    if is_told:
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        made = ", made for each run" if entry.factory is not None else ""
        keeps = (
            ""
            if not entry.keeps_threads
            else f", threads in its own {type(entry.graph.checkpointer).__name__}"
        )
        console.print(f"  {entry.name:<{width}}  {entry.source}{made}{keeps}", style="dim", markup=False)
    if any(not entry.keeps_threads for entry in entries):
        console.print(f"threads are kept in {running.catalog.keeping.told}", markup=False)
    url = "" if address == "ws://127.0.0.1:8765/ws" else f" --url {address}"
    token = " --token …" if config.auth.tokens or config.auth.path else ""
    console.print(f"  graphwire graphs{url}{token}")
    console.print(f"  graphwire run {shlex.quote(next(iter(config.graphs)))} -f KEY=VALUE{url}{token}")
    console.print("Ctrl-C drains and stops; once more stops at once.")
