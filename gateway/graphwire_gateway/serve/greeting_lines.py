"""What ``graphwire serve`` prints when it is ready."""

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from graphwire_gateway.serve.config import Config
from graphwire_gateway.server import Server
from graphwire_gateway.stores import shown_store

if TYPE_CHECKING:
    from graphwire_gateway.cluster.gateway_server import GatewayServer


def greet(config: Config, running: Server, is_restart: bool) -> None:
    """Print what is served, and where."""
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


def greet_clients_of_workers(config: Config, running: "GatewayServer", hindrance: str) -> None:
    """Print where a gateway without graphs is, whose workers run them; ``hindrance`` is what it waits for."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    everywhere = running.host in ("0.0.0.0", "::")
    address = _from_here(running.url)
    shown = f"{address} and every other address of this machine" if everywhere else address
    console.print(f"[bold]graphwire[/] passes clients on to workers at [bold]{escape(shown)}[/]")
    if running.console_url is not None:
        page = _from_here(running.console_url)
        console.print(f"the console is at [bold]{escape(page)}[/]: open it in a browser")
    store = shown_store(config.server.store)
    console.print(f"logs and threads are kept in {store}", markup=False)
    if config.server.workers:
        names = ", ".join(config.graphs)
        count = config.server.workers
        who = "1 worker beside it runs" if count == 1 else f"{count} workers beside it run"
        console.print(f"{who} {names}", markup=False)
    elif hindrance:
        console.print(
            f"it waits for workers ({hindrance}); start some: graphwire worker --store {store} TARGET...",
            markup=False,
        )
    url = "" if address == "ws://127.0.0.1:8765/ws" else f" --url {address}"
    console.print(f"  graphwire graphs{url}", markup=False)
    console.print("Ctrl-C drains and stops; a second Ctrl-C stops at once.")
