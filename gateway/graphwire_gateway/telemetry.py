"""The server's log: events with fields, logged by the standard library's loggers below ``graphwire``.

An application that embeds a gateway configures these loggers itself. Its handlers get ordinary records: a
message that people can read, ``exc_info``, and the event and its fields as the attributes ``event`` and
``fields``. ``graphwire serve`` writes them to standard error, for people or as JSON.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

# The class takes a parameter from Python 3.11 on.
if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler


class EventLogger:
    """The logger ``graphwire.<name>``. Its methods take an event's name and its fields by keyword.

    ``exc_info`` is what it is in ``logging``.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"graphwire.{name}")

    def debug(self, event: str, **fields: Any) -> None:
        """Log what only somebody who searches for a fault wants to read."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log what happens in the normal course."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what an operator may have to act on."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what has failed."""
        self._log(logging.ERROR, event, fields)

    def _log(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        exc_info = fields.pop("exc_info", None)
        fields = {name: _cut(value) if isinstance(value, str) else value for name, value in fields.items()}
        message = " ".join([event, *(f"{name}={_shown(value)}" for name, value in fields.items())])
        if exc_info is True:
            exc_info = sys.exc_info()
        elif isinstance(exc_info, BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        path, line, function, _ = self._logger.findCaller(stacklevel=3)
        # Without arguments: logging leaves a percent sign in the message alone.
        record = self._logger.makeRecord(
            self._logger.name,
            level,
            path,
            line,
            _encodable(message),
            (),
            exc_info,
            function,
            {"event": event, "fields": fields},
        )
        if isinstance(exc_info, tuple):
            record.exc_text = _traceback(exc_info[1])
        self._logger.handle(record)


_MAX_CHARS = 8192
"""The longest text of a field."""

_MAX_TRACEBACK_CHARS = 32_768


def _cut(text: str, limit: int = _MAX_CHARS) -> str:
    """Return a text without its middle if it is too long."""
    left_out = len(text) - limit
    if left_out <= 0:
        return text
    return f"{text[: limit // 2]} … {left_out} characters left out … {text[-limit // 2 :]}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text) if isinstance(value, str) and (not text or " " in text or "\n" in text) else text


def _encodable(text: str) -> str:
    """Return a text that any handler can write: a lone surrogate is shown as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _traceback(error: BaseException | None) -> str | None:
    """Return a traceback that any handler can write, although the exception's own code may misbehave."""
    if error is None:
        return None
    try:
        described = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
        _cut_texts(described)
        text = "".join(_cut(part, _MAX_TRACEBACK_CHARS) for part in described.format()).rstrip()
        return _encodable(_cut(text, _MAX_TRACEBACK_CHARS))
    except BaseException:
        return f"{type(error).__name__}: its traceback cannot be formatted"


def _cut_texts(described: Any) -> None:
    """Cut the texts of exceptions before they are formatted: that copies them, and holds up every thread."""
    waiting = [described]
    while waiting:
        one = waiting.pop()
        if isinstance(getattr(one, "_str", None), str):
            one._str = _cut(one._str, _MAX_TRACEBACK_CHARS)
        waiting += [each for each in (one.__cause__, one.__context__) if each is not None]
        waiting += getattr(one, "exceptions", None) or ()


class RateLimitedLogger:
    """Logs what peers can cause at will: ``burst`` at once, later one in ``every_s`` seconds.

    The field ``left_out`` of an event counts those that were left out before it.
    """

    def __init__(self, log: EventLogger, burst: int = 20, every_s: float = 3.0) -> None:
        self._log = log
        self._burst = burst
        self._every_s = every_s
        self._left = float(burst)
        self._at = 0.0
        self._left_out = 0

    def warning(self, event: str, **fields: Any) -> None:
        """Log the event, unless there were too many."""
        self._limited(self._log.warning, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Do the same at level info."""
        self._limited(self._log.info, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Do the same at level error."""
        self._limited(self._log.error, event, fields)

    def _limited(self, log: Callable[..., None], event: str, fields: dict[str, Any]) -> None:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) / self._every_s)
        self._at = now
        if self._left < 1:
            self._left_out += 1
            return
        self._left -= 1
        more = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        log(event, **fields, **more)


def logger(name: str) -> EventLogger:
    """Return the logger ``graphwire.<name>``."""
    return EventLogger(name)


def bind_to_logs(**ids: str | None) -> None:
    """Add ids to everything that is logged in this context from now on, also by a graph's own code.

    They are context variables of structlog, which ``structlog.contextvars`` reads.
    """
    structlog.contextvars.bind_contextvars(**{name: id for name, id in ids.items() if id is not None})


def write_log(form: Literal["console", "json"], level: str) -> None:
    """Write the log to standard error from now on.

    ``level``, such as ``info``, is the lowest level of graphwire's events; other libraries' begin at warning.
    """
    is_json = form == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer(default=repr)
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=32,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    every: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _with_fields,
        structlog.stdlib.add_log_level,
        *([structlog.stdlib.add_logger_name] if is_json else []),
        *([] if is_json else [_on_one_line]),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_exception,
        *([] if is_json else [_indented]),
    ]
    handler = _LogWriter(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove, renderer],
            foreign_pre_chain=every,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("graphwire").setLevel(level.upper())
    logging.captureWarnings(is_json)  # warnings of Python's would be lines that are no JSON


def _with_fields(_: Any, __: str, entry: Any) -> Any:
    """Put an event and its fields in place of the message that was made of them."""
    record = entry["_record"]
    fields = getattr(record, "fields", None)
    if not record.name.startswith("graphwire.") or not isinstance(fields, Mapping):
        return entry
    return {**entry, **fields, "event": record.event}


def _with_exception(_: Any, __: str, entry: Any) -> Any:
    """Put the text of an exception in its place: the one that was made when it was logged, if it was."""
    exc_info = entry.pop("exc_info", None)
    text = entry["_record"].exc_text
    if text is None and isinstance(exc_info, tuple):
        text = _traceback(exc_info[1])
    if text is not None:
        entry["exception"] = _encodable(text)
    return entry


def _on_one_line(_: Any, __: str, entry: Any) -> Any:
    """Escape control characters, so that no text of a peer or a graph forges lines or colors."""
    return {name: _printable(value) if isinstance(value, str) else value for name, value in entry.items()}


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _indented(_: Any, __: str, entry: Any) -> Any:
    """Indent a traceback: a line that an exception's text begins is not taken for an entry."""
    if "exception" in entry:
        entry["exception"] = "\n".join(f"  {_printable(line)}" for line in entry["exception"].split("\n"))
    return entry


class _LogWriter(_StreamHandler):
    """Formats a record before it takes its lock.

    An exception's own code may take its time, and every thread that logs, such as the one that serves the
    connections, would wait for it.
    """

    def handle(self, record: logging.LogRecord) -> Any:
        """Write a record."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return False
        return super().handle(logging.makeLogRecord({**record.__dict__, "text": text}))

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        text: str | None = getattr(record, "text", None)
        return super().format(record) if text is None else text
