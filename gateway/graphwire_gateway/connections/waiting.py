"""Which commands wait for a graph, its saver or the store, and how one that waits too long is refused."""

from graphwire_protocol import commands
from graphwire_protocol.commands import Command
from graphwire_protocol.errors import Refusal

from graphwire_gateway.runs.start import asks_saver

_STORE = " "  # no graph has this name


def too_late(command: Command, limit: float) -> Refusal:
    """Return the refusal of a request that was not carried out within ``limit`` seconds."""
    who, then = "the graph or its checkpointer", ""
    match command:
        case commands.Delete(run=str()):
            who, then = "the store of this server", "; the run may be deleted yet, so look for it first"
        case commands.Delete() | commands.StateUpdate():
            then = "; it may be carried out yet, so look at the thread's state first"
        case commands.Run():
            then = "; nothing was started"
    return Refusal(
        "unavailable",
        f"{command.type}: {who} did not answer within {limit:g} s (state_timeout_s){then}",
        details={"limit": "state_timeout_s"},
        after_ms=1000,
    )


def asked(command: Command) -> str | None:
    """Return the graph that carries out the command or is asked about it; "" for all, None for none.

    ``_STORE`` stands for the store, in which a run's log is deleted.
    """
    match command:
        case commands.Delete(run=str()):
            return _STORE
        case commands.ThreadRequest() | commands.ThreadUpdate() | commands.Delete():
            return command.graph or ""
        case commands.Watch(what="threads", graphs=graphs):
            return graphs[0] if graphs is not None and len(graphs) == 1 else ""
        case commands.List(what="threads"):
            return command.graph or ""
        case commands.Run() if asks_saver(command):
            return command.graph
    return None
