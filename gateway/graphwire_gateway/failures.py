"""Exceptions of graphs become what a client may know: a code, a message, an id that finds the rest.

What is told of an exception is decided here and nowhere else. The whole of it, traceback included, goes to
the server's log under its ``error_id``.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from graphwire_protocol.payloads import Failure

from graphwire_gateway.scope import Scope
from graphwire_gateway.telemetry import logger

log = logger("failures")


class RunLimit(Exception):
    """A run that went over ``max_run_events`` or ``max_run_s``."""


class Failures:
    """Describes exceptions; with ``expose`` their type and message are told, as one does on loopback."""

    def __init__(self, expose: bool, new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:12]) -> None:
        self._expose = expose
        self._new_id = new_id

    def of_run(self, error: BaseException, graph: str, run: str, scope: Scope | None = None) -> Failure:
        """Describe why a run failed; ``scope`` is its thread, which is told by the caller's name."""
        if isinstance(error, RunLimit):
            return Failure(code="limit_exceeded", message=str(error))
        code = _code(error)
        error_id = self._log("run failed", error, graph=graph, run=run)
        if not self._expose:
            generic = _GENERIC.get(code, _GENERIC["graph_error"])
            return Failure(code=code, message=f"{generic} (error_id {error_id})", error_id=error_id)
        message = _with_cause(error)
        if scope is not None:
            message = scope.clear_text(message)
        return Failure(code=code, message=message, error_id=error_id, type=type(error).__name__)

    def of_state(self, error: BaseException, graph: str, scope: Scope) -> str:
        """Say why a graph turned down a request for its state."""
        error_id = self._new_id()
        log.warning(
            "a graph turned a state request down", graph=graph, error_id=error_id, error=_with_cause(error)
        )
        if not self._expose:
            return f"the graph turned it down (error_id {error_id})"
        return scope.clear_text(_with_cause(error))

    def kept(self, text: str, scope: Scope) -> Any:
        """Describe an exception of which a checkpointer has kept the text alone, as JSON."""
        if self._expose:
            return scope.clear_text(text)
        error_id = self._new_id()
        log.error("exception in a thread's state", error_id=error_id, error=text)
        return {"$error": {"error_id": error_id}}

    def in_data(self, error: BaseException) -> dict[str, str]:
        """Describe an exception that stands in an event's data: the object behind ``$error``."""
        error_id = self._log("exception in an event's data", error)
        if not self._expose:
            return {"error_id": error_id}
        return {"error_id": error_id, "type": type(error).__name__, "message": _text(error)}

    def internal(self, error: BaseException, doing: str) -> str:
        """Log a fault of the server itself; return its ``error_id``."""
        return self._log("internal fault", error, doing=doing)

    def _log(self, what: str, error: BaseException, **where: str) -> str:
        error_id = self._new_id()
        log.error(
            what,
            **where,
            error_id=error_id,
            error=f"{type(error).__name__}: {_text(error)}",
            exc_info=(type(error), error, error.__traceback__),
        )
        return error_id


_TEXT_CHARS = 4096  # of an exception's text; some hold a whole document


def _text(error: BaseException) -> str:
    try:
        text = str(error) or type(error).__name__
    except Exception:  # an exception's own __str__ is code that we do not know
        return type(error).__name__
    if len(text) > _TEXT_CHARS:
        text = text[: _TEXT_CHARS - 1] + "…"
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no text


_MANY_CAUSES = 16  # a chain may be a ring


def _with_cause(error: BaseException) -> str:
    """Return the text and the first cause behind it, without which many a wrapped error tells nothing."""
    first = error
    for _ in range(_MANY_CAUSES):
        behind = first.__cause__ or _first_of_group(first)
        if behind is None:
            break
        first = behind
    text, cause = _text(error), _text(first)
    if first is error or cause in text:
        return text
    name = type(first).__name__
    return f"{text} (caused by {name if cause == name else f'{name}: {cause}'})"


def _first_of_group(error: BaseException) -> BaseException | None:
    # By name: before Python 3.11 groups are another package's.
    if any(cls.__name__ == "BaseExceptionGroup" for cls in type(error).__mro__):
        first: BaseException = error.exceptions[0]  # type: ignore[attr-defined]
        return first
    return None


_GENERIC = {
    "graph_error": "the graph raised an exception",
    "recursion_limit": "the graph took more steps than its recursion_limit allows",
    "timeout": "the graph took too long",
}


def _code(error: BaseException) -> str:
    # By name: this error is LangGraph's or the runtime's, and neither is imported for it.
    if any(cls.__name__ == "GraphRecursionError" for cls in type(error).__mro__):
        return "recursion_limit"
    return "timeout" if isinstance(error, TimeoutError | asyncio.TimeoutError) else "graph_error"
