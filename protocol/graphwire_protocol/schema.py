"""The protocol for machines: the JSON Schema of every frame, and the tables that a schema cannot express.

Both are made from the models and tables of this package. The docstring below a field is its meaning.
"""

import ast
import functools
import inspect
import re
import sys
from typing import Any, get_args

import orjson
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from graphwire_protocol import filters, types
from graphwire_protocol.codes import CLOSES, CODES
from graphwire_protocol.commands import UNSERVED, Command
from graphwire_protocol.frames import ServerFrame
from graphwire_protocol.limits import DEFAULTS, LIMITS, AnnouncedLimits
from graphwire_protocol.payloads import Interrupts, Lifecycle, MessageData
from graphwire_protocol.state import CONNECTION, REPLY, RUN, SUBSCRIPTION
from graphwire_protocol.version import MAJOR, MINOR, SUBPROTOCOL

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

CLIENT = "client-frames.json"
SERVER = "server-frames.json"
TABLES = "tables.json"

DATA = {"lifecycle": Lifecycle, "interrupt": Interrupts, "messages": MessageData}
"""The models of the ``data`` of the modes that are this protocol's own."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return each schema by its file name: a client's frames, a server's frames, and event data."""
    return {
        CLIENT: _schema("client frames", Command),
        SERVER: _schema("server frames", ServerFrame),
        **{f"{mode}.json": _schema(f"data of mode {mode}", model) for mode, model in DATA.items()},
    }


def tables() -> dict[str, Any]:
    """Return the protocol's tables: codes, closes, limits, modes, statuses, legal transitions."""
    meanings = field_docs(AnnouncedLimits)
    return {
        "version": {"major": MAJOR, "minor": MINOR, "subprotocol": SUBPROTOCOL},
        "codes": {code.name: {"meaning": code.meaning, "retry": code.retry} for code in CODES.values()},
        "closes": {
            str(close.code): {"meaning": close.meaning, "reconnect": close.reconnect}
            for close in CLOSES.values()
        },
        "limits": {
            name: {
                "scope": limit.scope,
                "default": getattr(DEFAULTS, name),
                "unit": limit.unit,
                "meaning": meanings[name],
            }
            for name, limit in LIMITS.items()
        },
        "modes": list(get_args(types.Mode)),
        "statuses": {
            "all": list(get_args(types.Status)),
            "terminal": [status for status in get_args(types.Status) if status in types.TERMINAL],
        },
        "filter": {
            "unconstrained": sorted(filters.UNCONSTRAINED),
            "nodes": sorted(filters.BY_NODE),
            "tags": sorted(filters.BY_TAG),
            "keys": sorted(filters.BY_KEY),
        },
        "replies": dict(REPLY),
        "unserved": sorted(UNSERVED),
        "connection": {f"{state}: {happening}": after for (state, happening), after in CONNECTION.items()},
        "subscription": {f"{state}: {frame}": after for (state, frame), after in SUBSCRIPTION.items()},
        "run": [f"{before or 'new'}: {after}" for before, after in RUN],
    }


def pretty(document: Any) -> str:
    """Return a document as it is written to a file: indented, sorted, with a final newline."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options).decode()


def _schema(title: str, model: Any) -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(by_alias=True, mode="validation", schema_generator=_Described)
    return {
        **schema,
        "$schema": _DIALECT,
        "title": f"{SUBPROTOCOL} (version {MAJOR}.{MINOR}): {title}",
    }


class _Described(GenerateJsonSchema):
    """Takes descriptions from docstrings, makes ``type`` required, and shows no default for unset fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        out = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        docs = field_docs(model)
        for name, field in model.model_fields.items():
            described = out["properties"][field.alias or name]
            if described.get("default", 0) is None:
                del described["default"]  # left out, which is not null
            if name in docs:
                described["description"] = docs[name]
        if "const" in out["properties"].get("type", {}):
            del out["properties"]["type"]["default"]
            out["required"] = ["type", *out.get("required", [])]
        return out


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return the meaning of each field: the docstring below it, or else that of its named type."""
    docs: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls.__module__.startswith("graphwire_protocol."):
            for name, (doc, annotation) in _attributes(cls.__module__).get(cls.__name__, {}).items():
                meaning = doc or _meaning(annotation)
                if meaning and name in model.model_fields:
                    docs[name] = meaning
    return docs


def summary(model: type[BaseModel]) -> str:
    """Return a model's docstring as text."""
    return inspect.cleandoc(model.__doc__ or "")


def _meaning(annotation: str) -> str | None:
    named = _attributes("graphwire_protocol.types").get("", {})
    for word in re.findall(r"\w+", annotation):
        if word in named and word != "Uint":
            return named[word][0]
    return None


@functools.cache
def _attributes(module: str) -> dict[str, dict[str, tuple[str | None, str]]]:
    """Return docstring and annotation of each attribute, by class; "" stands for the module itself."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    out = {"": _documented(tree.body)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            out[node.name] = _documented(node.body)
    return out


def _documented(body: list[ast.stmt]) -> dict[str, tuple[str | None, str]]:
    out: dict[str, tuple[str | None, str]] = {}
    for index, node in enumerate(body):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        doc = None
        if index + 1 < len(body):
            match body[index + 1]:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    doc = " ".join(inspect.cleandoc(text).split())
        out[node.target.id] = (doc, ast.unparse(node.annotation))
    return out
