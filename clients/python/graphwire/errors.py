"""The errors of this client.

    GraphwireError
    ├── CannotConnect          the first connection could not be made
    ├── ConnectionClosed       the connection is over for good; everything that waits gets this
    │   └── Unauthenticated    the server refused the token, or it expired and there is no new one
    ├── Refused                the server refused one request, or this client did on its behalf
    │   └── RunLost            the server does not know a run any more, which it did before a reconnect
    ├── RunEnded               a run ended without output
    │   ├── RunFailed          its graph raised, or the run was lost
    │   ├── RunCancelled       it was cancelled
    │   └── RunInterrupted     it waits for an answer
    ├── RemoteError            a graph raised, in ``client.graph(...)``
    ├── StreamBroken           what ``client.graph(...)`` brings has a gap, repeats a step or was cut
    └── MissingExtra           an optional dependency is not installed

A lost connection that is made again raises nothing; waits continue.
"""

from typing import Any

from graphwire_protocol import codes

_SHOWN = 3  # questions in the message of RunInterrupted
_LONGEST = 80  # characters of each question


class GraphwireError(Exception):
    """The base class. ``str()`` is one sentence: what happened, where, and what to do."""


class CannotConnect(GraphwireError):
    """No connection to ``url`` could be made; ``reason`` says why."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"cannot connect to {url}: {reason}")
        self.url = url
        self.reason = reason


class ConnectionClosed(GraphwireError):
    """The connection is closed for good; ``code`` is the WebSocket close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Unauthenticated(ConnectionClosed):
    """The server does not accept the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(codes.UNAUTHENTICATED, reason)


class Refused(GraphwireError):
    """A request was refused and had no effect.

    ``code`` is one of ``graphwire_protocol.CODES``. ``retry`` is ``never``, ``same``, ``after``, ``reauth``
    or ``resync``; with ``after``, ``after_s`` is the seconds to wait, if the server says so. ``details`` is
    data for programs.
    """

    def __init__(
        self,
        code: str,
        message: str,
        retry: str = "never",
        after_s: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.retry = retry
        self.after_s = after_s
        self.details = details or {}


class RunLost(Refused):
    """The server knew ``run`` on an earlier connection and does not any more; ``code`` is ``not_found``.

    Logs live in a server's memory, so a restart forgets every run. A thread lives as long as what its
    checkpointer writes to. ``graph`` and ``thread`` are the run's, ``None`` if it had none or none is known.
    """

    def __init__(self, run: str, graph: str | None, thread: str | None, how: str | None = None) -> None:
        message = f"the server no longer knows run {run}: it restarted, or the run was deleted"
        if thread is not None:
            how = how or (
                f"client.run({graph or '...'!r}, thread={thread!r}) continues from its last checkpoint, and "
                'command={"resume": ...} answers what it asked'
            )
            message += f". Thread {thread} is as its checkpointer kept it: {how}"
        else:
            message += "; start it again, or continue its thread if it has one"
        super().__init__("not_found", message, details={"kind": "run"})
        self.run = run
        self.graph = graph
        self.thread = thread


class RunEnded(GraphwireError):
    """The run ended without output; ``run`` is its id."""

    def __init__(self, run: str, sentence: str) -> None:
        super().__init__(sentence)
        self.run = run


class RunFailed(RunEnded):
    """The run's graph failed.

    ``code`` is ``graph_error``, ``recursion_limit``, ``timeout``, ``limit_exceeded`` or ``lost``. ``type``
    is the name of the exception's class if the server exposes errors. ``error_id`` finds the rest in the
    server's log.
    """

    def __init__(
        self, run: str, code: str, message: str, error_id: str | None = None, type: str | None = None
    ) -> None:
        found = _found(message, error_id)
        kind = f"{type}: " if type else ""
        super().__init__(run, f"run {run} failed with {code}: {kind}{message}{found}")
        self.code = code
        self.message = message
        self.error_id = error_id
        self.type = type


class RunCancelled(RunEnded):
    """The run was cancelled; ``reason`` is ``None`` if none was given."""

    def __init__(self, run: str, reason: str | None = None) -> None:
        super().__init__(run, f"run {run} was cancelled" + (f": {reason}" if reason else ""))
        self.reason = reason


class RunInterrupted(RunEnded):
    """The run waits for an answer; ``interrupts`` are the open questions, ``()`` at a static breakpoint.

    With ``is_over`` it does not wait: its graph has no checkpointer, so it has ended and nobody can answer.
    ``output`` is then what it had made so far.
    """

    def __init__(
        self, run: str, interrupts: tuple[Any, ...], output: Any = None, *, is_over: bool = False
    ) -> None:
        super().__init__(run, f"run {run} {_over(interrupts) if is_over else _waits(interrupts)}")
        self.interrupts = interrupts
        self.output = output
        self.is_over = is_over


def _over(interrupts: tuple[Any, ...]) -> str:
    what = f"asked {_asked(interrupts)}" if interrupts else "reached a breakpoint"
    return (
        f"{what} and has ended, because its graph can have no checkpointer; give the server one, or compile "
        "the graph without checkpointer=False"
    )


def _asked(interrupts: tuple[Any, ...]) -> str:
    asked = ", ".join(f"{_shortened(one.value)} ({one.id})" for one in interrupts[:_SHOWN])
    return f"{asked} and {len(interrupts) - _SHOWN} more" if len(interrupts) > _SHOWN else asked


def _waits(interrupts: tuple[Any, ...]) -> str:
    if not interrupts:
        return (
            "is interrupted at a breakpoint; "
            "continue with run.respond(), or with a run without input on its thread"
        )
    return (
        f"is interrupted and asks {_asked(interrupts)}; "
        f"answer with run.respond({{{interrupts[0].id!r}: ...}}), "
        'or command={"resume": ...} of a run on its thread'
    )


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class RemoteError(GraphwireError):
    """A graph raised on the server.

    ``type`` is the name of the exception's class, or the failure's code if the server does not expose errors.
    ``error_id`` finds the rest in the server's log.
    """

    def __init__(self, type: str, message: str, error_id: str | None = None) -> None:
        found = _found(message, error_id)
        super().__init__(f"{type}: {message}{found}")
        self.type = type
        self.message = message
        self.error_id = error_id


class StreamBroken(GraphwireError):
    """What a remote graph yields or returns has a gap, repeats a step, or was cut for its size.

    A local graph does none of that.
    """


class MissingExtra(GraphwireError, ImportError):
    """An optional dependency is missing: ``pip install 'graphwire[extra]'``."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what}: pip install 'graphwire[{extra}]'")
        self.extra = extra


def is_unknown_run(error: GraphwireError) -> bool:
    """Return whether the server refused a request since it does not know the run that it names."""
    return isinstance(error, Refused) and error.code == "not_found" and error.details.get("kind") == "run"


def lost_for(error: GraphwireError, run: str, graph: str | None, thread: str | None) -> GraphwireError:
    """Return ``RunLost`` for an error that says the server does not know ``run``, else ``error``."""
    return RunLost(run, graph, thread) if is_unknown_run(error) else error


def _found(message: str, error_id: str | None) -> str:
    """Return where to find more. A server that exposes no errors has the id in its message already."""
    return f" (error_id {error_id} in the server's log)" if error_id and error_id not in message else ""
