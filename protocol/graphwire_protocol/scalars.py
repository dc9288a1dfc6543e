"""Values without parts, as JSON: times, numbers, texts, bytes, and what numpy and pandas have of these.

numpy and pandas are not imported: their classes are recognised by module and name. Whatever a value's own
code raises passes through; ``projection`` puts a stand-in in the value's place.
"""

import base64
import contextlib
import datetime
import decimal
import math
import numbers
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

from graphwire_protocol.types import MAX_INT

NOT_SCALAR = object()

MAX_DIGITS = 4300
"""The most digits that Python converts between text and integers (its guard against slow conversions)."""

_TOO_BIG = 10**MAX_DIGITS


def scalar(value: Any, cls: type, room: int) -> Any:
    """Project a value of class ``cls`` that has no parts; return ``NOT_SCALAR`` for any other.

    Of bytes, at most ``room`` are copied.
    """
    foreign = _FOREIGN.get(cls.__name__)
    if foreign is not None and _package(cls) == foreign[0]:
        return foreign[1](value)
    if isinstance(value, str):
        return exact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        view = memoryview(value)  # ``bytes(value)`` could call the value's own code, which need not end
        if view.nbytes > room:
            return {"$cut": {"reason": "size", "bytes": view.nbytes}}
        return {"$bytes": base64.b64encode(view.tobytes()).decode("ascii")}
    if isinstance(value, datetime.datetime):
        return _timestamp(value)
    if isinstance(value, datetime.date | datetime.time):
        return exact_text(value.isoformat())
    if isinstance(value, datetime.timedelta):
        return real(value.total_seconds())
    if isinstance(value, uuid.UUID | decimal.Decimal | pathlib.PurePath):
        return exact_text(str(value))
    if isinstance(value, numbers.Integral):
        return integer(int(value))
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
        return real(value)
    return NOT_SCALAR


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def exact_text(value: Any) -> str:
    """Return the characters of a string as a ``str``, whatever its class overrides. Raises ``TypeError``."""
    return str.__str__(value)


def sendable(text: str) -> str:
    """Return a text as it can be sent: two surrogates that are one character become it, others U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def integer(number: int) -> Any:
    """Project an exact ``int``."""
    if -MAX_INT <= number <= MAX_INT:
        return number
    if -_TOO_BIG < number < _TOO_BIG:
        return {"$int": str(number)}
    return {"$repr": f"<an integer of {number.bit_length()} bits>", "$type": "int"}


def real(value: Any) -> Any:
    """Project a number as a float."""
    number = float(value)
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return {"$float": "nan"}
    return {"$float": "inf" if number > 0 else "-inf"}


def _timestamp(value: datetime.datetime) -> str:
    # RFC 3339 allows offsets of whole minutes only; local mean times before 1900 have seconds as well.
    offset = value.utcoffset()
    if offset is not None and offset % datetime.timedelta(minutes=1):
        with contextlib.suppress(OverflowError):  # near the first and the last year it keeps its offset
            value = value.astimezone(datetime.timezone.utc)
    return exact_text(value.isoformat())


def _numpy_time(value: Any) -> str | None:
    text = exact_text(str(value))
    if text == "NaT":
        return None
    if len(text) < len("2026-01-01"):  # a year or a month
        return exact_text(str(value.astype("datetime64[D]")))
    if len("2026-01-01") < len(text) < len("2026-01-01T00:00:00"):
        return exact_text(str(value.astype("datetime64[s]")))
    return text


def _numpy_duration(value: Any) -> Any:
    seconds = float(value / type(value)(1, "s"))
    return None if math.isnan(seconds) else real(seconds)


def _missing(value: Any) -> None:
    return None


_FOREIGN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "bool": ("numpy", bool),
    "bool_": ("numpy", bool),  # its name before numpy 2
    "datetime64": ("numpy", _numpy_time),
    "timedelta64": ("numpy", _numpy_duration),
    "NaTType": ("pandas", _missing),
    "NAType": ("pandas", _missing),
}
"""Scalars that Python's own classes do not describe: the package and a reader, by the name of the class."""

_MAX_ARRAY = 4096
"""The most entries of an array that are sent; a larger one is better named than sent."""


def array_items(value: Any, cls: type) -> Any:
    """Return the entries of a small numpy array, or its only value; ``NOT_SCALAR`` for anything else."""
    if cls.__name__ != "ndarray" or _package(cls) != "numpy" or value.size > _MAX_ARRAY:
        return NOT_SCALAR
    if value.dtype.kind in "mM" and value.ndim:  # ``tolist`` makes integers of some times
        return list(value)
    return value[()] if value.dtype.kind in "mM" else value.tolist()
