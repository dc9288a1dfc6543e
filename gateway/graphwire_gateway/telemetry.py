"""The server's log: structured events, logged by the standard library's loggers below ``graphwire``.

An application that embeds a gateway configures these loggers itself. ``graphwire serve`` writes them to
standard error, for people or as JSON.
"""

import logging
import sys
from typing import Any, Literal

import structlog

_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def logger(name: str) -> Any:
    """Return the logger ``graphwire.<name>``. Its methods take an event's name and fields by keyword."""
    return structlog.wrap_logger(
        logging.getLogger(f"graphwire.{name}"),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )


def write_log(form: Literal["console", "json"], level: str) -> None:
    """Write the log to standard error from now on.

    ``level``, such as ``info``, is the lowest level of graphwire's events; other libraries' begin at warning.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=32,
            # A rich traceback blocks the loop for half a second, and shows the values of locals.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    exceptions = [structlog.processors.format_exc_info] if form == "json" else []
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove, *exceptions, renderer], foreign_pre_chain=_SHARED
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("graphwire").setLevel(level.upper())
