"""What the start of a run is refused for, beside what its frame says by itself."""

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal

from graphwire_gateway.execution.names import invalid
from graphwire_gateway.execution.request import json_size
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.limits import Limits
from graphwire_gateway.runs.run import Run


def check_same(run: Run, command: commands.Run) -> None:
    """Check that ``command``, which names a run that exists, asks for that one. Raises ``Refusal``."""
    if run.graph != command.graph:
        reason = f"runs graph {run.graph!r}"
    elif command.thread is not None and run.thread != command.thread:
        reason = "has another thread" if run.thread else "has no thread"
    else:
        return
    raise Refusal("conflict", f"run {run.id!r} exists and {reason}", details={"run": run.id})


def check_sizes(command: commands.Run, limits: Limits) -> None:
    """Check that what lists and traces repeat of a run is small. Raises ``Refusal(limit_exceeded)``."""
    # As JSON it may be larger than the frame that it came in: 1e15 becomes 1000000000000000.0.
    limit = min(("max_metadata_bytes", "max_frame_bytes"), key=lambda name: getattr(limits, name))
    most, config = getattr(limits, limit), command.config or commands.RunConfig()
    parts = {
        "metadata": command.metadata,
        "config.metadata": config.metadata,
        "config.tags": config.tags,
        "config.run_name": config.run_name,
    }
    for path, value in parts.items():
        size = json_size(value)
        if size > most:
            raise Refusal(
                "limit_exceeded",
                f"run.{path}: it takes {size:,} bytes, more than {limit}, which is {most:,}",
                details={"path": path, "bytes": size, "limit": limit},
            )


def check_takes_threads(entry: Entry, frame: str) -> None:
    """Check that the graph can have threads; ``frame`` is the type of the request. Raises ``Refusal``."""
    if entry.takes_threads:
        return
    remedies = ["leave the thread out"] if frame == "run" else []
    is_its_own = entry.graph.checkpointer is False
    remedies.append(
        "compile it without checkpointer=False" if is_its_own else "let the server have a checkpointer"
    )
    remedy = ", or ".join(remedies)
    reason = f"graph {entry.name!r} can have no checkpointer, so it has no threads; {remedy}"
    raise invalid("thread", f"{frame}.thread: {reason}", reason)
