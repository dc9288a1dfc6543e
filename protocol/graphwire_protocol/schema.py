"""The JSON Schema of the protocol, generated from the models."""

from typing import Any

from pydantic import TypeAdapter

from graphwire_protocol.commands import Command
from graphwire_protocol.frames import ServerFrame
from graphwire_protocol.payloads import Interrupts, Lifecycle, MessageData
from graphwire_protocol.version import MAJOR, MINOR, SUBPROTOCOL

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Return each schema by its file's name: what a client sends, a server sends, and event data."""
    return {
        "client-frames.json": _schema("client frames", Command, "validation"),
        "server-frames.json": _schema("server frames", ServerFrame, "validation"),
        "lifecycle.json": _schema("data of mode lifecycle", Lifecycle, "validation"),
        "interrupt.json": _schema("data of mode interrupt", Interrupts, "validation"),
        "messages.json": _schema("data of mode messages", MessageData, "validation"),
    }


def _schema(title: str, model: Any, mode: Any) -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(by_alias=True, mode=mode)
    return {
        "$schema": _DIALECT,
        "title": f"{SUBPROTOCOL} (version {MAJOR}.{MINOR}): {title}",
        **schema,
    }
