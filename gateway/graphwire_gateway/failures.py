"""Exceptions, and what clients learn about them: a code, a message, and an id.

Only this file decides what clients learn. The server's log has the whole exception with its traceback, under
the same ``error_id``.

An exception is a graph's code: its ``__str__`` or ``__cause__`` may raise, or exit. Nothing here does.
"""

import asyncio
import traceback
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

from graphwire_protocol.errors import Refusal
from graphwire_protocol.payloads import Failure
from graphwire_protocol.scalars import sendable

from graphwire_gateway.scope import Scope
from graphwire_gateway.telemetry import logger

log = logger("failures")


class RunLimit(Exception):
    """A run exceeded a limit: it made too many events, or one that no message can hold.

    Clients receive the message as it is.
    """


class Failures:
    """Logs exceptions and describes them for clients.

    With ``expose`` clients receive an exception's type and message, otherwise only the id of the log entry.
    ``new_id`` makes these ids.
    """

    def __init__(self, expose: bool, new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:12]) -> None:
        self._expose = expose
        self._new_id = new_id

    def of_run(self, error: BaseException, graph: str, run: str, scope: Scope | None = None) -> Failure:
        """Describe why a run failed.

        If the run has a thread, ``scope`` puts the caller's id for it in the message.
        """
        if issubclass(type(error), RunLimit):
            return Failure(code="limit_exceeded", message=str(error))
        code = _code(error)
        error_id = self._log("run failed", error, graph=graph, run=run)
        if not self._expose:
            generic = _GENERIC.get(code, _GENERIC["graph_error"])
            return Failure(code=code, message=f"{generic} (error_id {error_id})", error_id=error_id)
        name, message = type(error).__name__, _with_cause(error)
        if type(error) is RuntimeError and message in _OF_GENERATOR_EXIT:
            name = message = "GeneratorExit"
        if name == "GeneratorExit" or issubclass(type(error), SystemExit | KeyboardInterrupt):
            message = f"a node raised {name}" + ("" if message == name else f": {message}")
        if scope is not None:
            message = scope.clear_text(message)
        return Failure(code=code, message=message, error_id=error_id, type=sendable(name[:_NAME_CHARS]))

    def of_state(self, error: BaseException, graph: str, scope: Scope) -> str:
        """Describe why a graph refused a request for the state of a thread."""
        error_id = self._new_id()
        log.warning(
            "a graph refused a state request", graph=graph, error_id=error_id, error=_with_cause(error)
        )
        if not self._expose:
            return f"the graph refused the request (error_id {error_id})"
        return scope.clear_text(_with_cause(error))

    def of_request(self, error: BaseException, graph: str, where: str) -> Refusal:
        """Describe, to whoever asked for a thread, what the graph or its saver raised instead of an answer.

        ``where`` is the frame that asks.
        """
        error_id = self._log("a request to a graph failed", error, graph=graph, asked=where)
        what = "the graph or its saver failed"
        if self._expose:
            what += f": {type(error).__name__}: {_text(error)}"
        return Refusal("internal", f"{where}: {what} (error_id {error_id})", details={"error_id": error_id})

    def kept(self, text: str, scope: Scope) -> Any:
        """Describe, as JSON, an exception of which a checkpoint has only the text."""
        if self._expose:
            return scope.clear_text(text)
        error_id = self._new_id()
        log.error("exception in a thread's state", error_id=error_id, error=text)
        return {"$error": {"error_id": error_id}}

    def in_data(self, error: BaseException) -> dict[str, str]:
        """Describe an exception in an event's data: ``error_id``, and if exposed ``type`` and ``message``."""
        error_id = self._log("exception in an event's data", error)
        if not self._expose:
            return {"error_id": error_id}
        name = sendable(type(error).__name__[:_NAME_CHARS])
        return {"error_id": error_id, "type": name, "message": _text(error)}

    def note(self, event: str, error: BaseException, **where: str) -> None:
        """Log an exception that changes nothing for clients."""
        log.warning(event, **where, error=f"{type(error).__name__}: {_text(error)}")

    def internal(self, error: BaseException, doing: str) -> str:
        """Log an exception of the server's own code and what it was ``doing``; return the ``error_id``."""
        return self._log("internal fault", error, doing=doing)

    def _log(self, event: str, error: BaseException, **where: str) -> str:
        error_id = self._new_id()
        log.error(
            event,
            **where,
            error_id=error_id,
            error=f"{type(error).__name__}: {_text(error)}",
            **_shown(error),
        )
        return error_id


_NAME_CHARS = 256
"""The most characters of the name of an exception's class that are passed on."""

_TEXT_CHARS = 4096
"""The longest text of an exception that is passed on; some contain a whole document."""


def _shown(error: BaseException) -> dict[str, Any]:
    """Return the fields of a log's entry that show where an exception was raised."""
    raised_at = _traceback(error)
    try:
        # Whatever writes the entry does the same.
        traceback.TracebackException(type(error), error, raised_at, lookup_lines=False)
    except BaseException:
        return {"traceback": "".join(traceback.format_tb(raised_at))}
    return {"exc_info": (type(error), error, raised_at)}


def _traceback(error: BaseException) -> TracebackType | None:
    found: TracebackType | None = _own(error, "__traceback__")
    return found


def forget_frames(error: BaseException) -> None:
    """Let go of the frames that raised an exception, once it has been described.

    Frames of a graph's library hold the exception, and so themselves and all that the run had.
    """
    vars(BaseException)["__traceback__"].__set__(error, None)  # the exception's class may have its own


def _own(error: BaseException, name: str) -> Any:
    """Return an attribute that the interpreter sets, also if the exception's class has one of that name."""
    return vars(BaseException)[name].__get__(error)


def _text(error: BaseException) -> str:
    try:
        text = str(error) or type(error).__name__
    except BaseException:
        return type(error).__name__
    if len(text) > _TEXT_CHARS:
        text = text[: _TEXT_CHARS - 1] + "…"
    return sendable(text)


_OF_GENERATOR_EXIT = (
    "coroutine ignored GeneratorExit",
    "async generator ignored GeneratorExit",
    "aclose(): asynchronous generator is already running",
)
"""What Python says if a node of LangGraph raises ``GeneratorExit``, which closes the coroutines that wait for
the node, and some of them wait again. The exception itself is lost.
"""

_MAX_CAUSES = 16
"""Causes to follow before giving up: the chain may be a ring."""


def _with_cause(error: BaseException) -> str:
    """Return the text of an exception with its first cause, without which many a wrapper says nothing."""
    first = error
    for _ in range(_MAX_CAUSES):
        origin: BaseException | None = _own(first, "__cause__")
        if origin is None:
            origin = _first_of_group(first)
        if origin is None:
            break
        first = origin
    text = _text(error)
    if first is error:
        return text
    cause = _text(first)
    if cause in text:
        return text
    name = type(first).__name__
    return f"{text} (caused by {name if cause == name else f'{name}: {cause}'})"


def _first_of_group(error: BaseException) -> BaseException | None:
    # By name: before Python 3.11 exception groups come from another package.
    if any(cls.__name__ == "BaseExceptionGroup" for cls in type(error).__mro__):
        try:
            first = error.exceptions[0]  # type: ignore[attr-defined]
        except BaseException:
            return None
        return first if issubclass(type(first), BaseException) else None
    return None


_GENERIC = {
    "graph_error": "the graph raised an exception",
    "recursion_limit": "the graph took more steps than its recursion_limit allows",
    "timeout": "the graph took too long",
}


def _code(error: BaseException) -> str:
    # By name: LangGraph and our runtime each have this class, and neither needs to be imported.
    if any(cls.__name__ == "GraphRecursionError" for cls in type(error).__mro__):
        return "recursion_limit"
    if issubclass(type(error), TimeoutError | asyncio.TimeoutError) and _is_raised_by_library(error):
        return "timeout"
    return "graph_error"


_LIBRARIES = ("langgraph.pregel.", "graphwire_runtime.")


def _is_raised_by_library(error: BaseException) -> bool:
    """Return whether a graph's library raised it, for its ``step_timeout``, and not a node's own code."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(_traceback(error))]
    # LangGraph waits for a superstep with asyncio.wait_for.
    own = [module for module in modules if not module.startswith("asyncio.")]
    return bool(own) and own[-1].startswith(_LIBRARIES)
