"""The JSON Schema that a graph gives with a question, as it is sent: plain JSON, within a bound.

``runs/answers.py`` checks answers against it.
"""

from typing import Any

import orjson

from graphwire_gateway.telemetry import logger

log = logger("execution")

MAX_SCHEMA_BYTES = 1 << 16
"""The largest schema that is sent and checked; a question with a larger one is sent without it."""


def response_schema_of(asked: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of an interrupt of either library; None if it has none that can be sent."""
    schema = getattr(asked, "response_schema", None)
    if schema is None:
        return None
    try:
        encoded = orjson.dumps(schema)
        if len(encoded) > MAX_SCHEMA_BYTES:
            raise ValueError(f"it has {len(encoded)} bytes, and {MAX_SCHEMA_BYTES} are allowed")
        plain = orjson.loads(encoded)
        if not isinstance(plain, dict):
            raise TypeError("it is not an object")
    except Exception as error:  # a graph's values may be anything
        log.warning("a response_schema was left out", interrupt=str(asked.id), error=repr(error))
        return None
    return plain
