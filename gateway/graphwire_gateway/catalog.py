"""The graphs that are served, by name: how each is found, imported on its runner, and described."""

import asyncio
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import Edge, GraphRow
from graphwire_protocol.types import STREAM_MODES, Mode
from graphwire_runtime.schema import json_schema_of
from graphwire_runtime.servable import Servable

from graphwire_gateway.runner import InlineRunner, Outlet, Runner, ThreadRunner


class CannotServe(Exception):
    """A graph that cannot be served; the message says which, where, why and what to do."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How a graph is served.

    ``target`` is ``module:attribute``, ``path/to/file.py:attribute`` or the graph itself. ``record`` names
    modes that are recorded whatever a run's first subscriptions ask for.
    """

    target: Any
    runner: Literal["thread", "inline"] = "thread"
    record: tuple[Mode, ...] = ()
    record_subgraphs: bool = False
    description: str | None = None


@dataclass(slots=True)
class Entry:
    """A graph that is served."""

    name: str
    graph: Servable
    runner: Runner
    record: frozenset[Mode] = frozenset()
    record_subgraphs: bool = False
    description: str | None = None
    row: GraphRow | None = field(default=None, repr=False)


class Catalog:
    """The graphs by name. ``open`` imports them, ``close`` ends their runners."""

    def __init__(self, specs: Mapping[str, GraphSpec]) -> None:
        self._specs = specs
        self._entries: dict[str, Entry] = {}
        self._runners: list[Runner] = []

    async def open(self, outlet: Outlet) -> None:
        """Import every graph on its runner. Raises ``CannotServe`` for the first that does not."""
        inline: Runner | None = None
        for name, spec in self._specs.items():
            runner: Runner
            if spec.runner == "thread":
                runner = ThreadRunner(name, outlet)
                self._runners.append(runner)
            else:
                if inline is None:
                    inline = InlineRunner(outlet)
                    self._runners.append(inline)
                runner = inline
            graph = await runner.call(lambda name=name, spec=spec: _load(name, spec.target))  # type: ignore[misc]
            self._entries[name] = Entry(
                name, graph, runner, frozenset(spec.record), spec.record_subgraphs, spec.description
            )

    def get(self, name: str) -> Entry:
        """Return the graph of that name. Raises ``Refusal(not_found)``."""
        entry = self._entries.get(name)
        if entry is None:
            served = ", ".join(sorted(self._entries)) or "none"
            raise Refusal(
                "not_found",
                f"no graph {name[:64]!r}; this server has: {served}",
                details={"kind": "graph"},
            )
        return entry

    async def rows(self) -> list[GraphRow]:
        """Describe every graph."""
        for entry in self._entries.values():
            if entry.row is None:
                entry.row = await entry.runner.call(lambda entry=entry: _row(entry))  # type: ignore[misc]
        return [entry.row for entry in self._entries.values() if entry.row is not None]

    async def close(self, timeout_s: float) -> None:
        """End the runners; what still runs is cancelled and waited for at most ``timeout_s`` seconds."""
        await asyncio.gather(*(runner.close(timeout_s) for runner in self._runners))


def _load(name: str, target: Any) -> Servable:
    graph = _import(name, target) if isinstance(target, str) else target
    if not hasattr(graph, "astream") and hasattr(graph, "compile"):
        raise CannotServe(f"graph {name!r}: {_where(target)} is a graph under construction; add .compile()")
    if not isinstance(graph, Servable):
        raise CannotServe(
            f"graph {name!r}: {_where(target)} is a {type(graph).__name__}, not a compiled graph "
            "(what StateGraph(...).compile() returns)"
        )
    return graph


def _where(target: Any) -> str:
    return repr(target) if isinstance(target, str) else "the object given"


def _import(name: str, target: str) -> Any:
    place, colon, attribute = target.rpartition(":")
    if not colon or not place or not attribute:
        raise CannotServe(
            f"graph {name!r}: {target!r} is not of the form 'module:attribute' or './file.py:attribute'"
        )
    module = _module(name, place)
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            graphs = [
                key
                for key, item in vars(module).items()
                if hasattr(item, "astream") and not isinstance(item, type)
            ]
            hint = f"; it has the graphs: {', '.join(graphs)}" if graphs else ""
            raise CannotServe(f"graph {name!r}: {place!r} has no attribute {attribute!r}{hint}")
        value = getattr(value, part)
    return value


def _module(name: str, place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _file(name, Path(place))
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    except CannotServe:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise CannotServe(
                f"graph {name!r}: no module {error.name!r} is importable from {Path.cwd()}; "
                "check the name, or give the path of the file: './file.py:attribute'"
            ) from error
        raise CannotServe(
            f"graph {name!r}: {place!r} imports {error.name!r}, which is not installed ({_line(error)}); "
            "install it into the environment that runs graphwire"
        ) from error
    except BaseException as error:
        raise CannotServe(
            f"graph {name!r}: importing {place!r} raised {type(error).__name__}: {error} ({_line(error)})"
        ) from error


def _file(name: str, path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise CannotServe(f"graph {name!r}: there is no file {path}")
    # The file's folder is importable from it, as when Python runs the file.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    unique = path.stem if known is None else f"graphwire_graph_{len(sys.modules)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def _line(error: BaseException) -> str:
    """Name the file and line of the user's code in which the import failed."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and frame.filename != __file__
        and "importlib" not in frame.filename
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "no line known"


def _row(entry: Entry) -> GraphRow:
    graph = entry.graph
    drawing = graph.get_graph()
    modes = [mode for mode in STREAM_MODES if mode != "checkpoints" or graph.checkpointer]
    return GraphRow(
        name=entry.name,
        description=entry.description or _description(graph),
        input_schema=_schema(graph, graph.get_input_jsonschema, "input_schema"),
        output_schema=_schema(graph, graph.get_output_jsonschema, "output_schema"),
        context_schema=_schema(graph, graph.get_context_jsonschema, "context_schema"),
        nodes=tuple(name for name in graph.nodes if not name.startswith("__")),
        edges=tuple(
            Edge(source=edge.source, target=edge.target, conditional=True if edge.conditional else None)
            for edge in drawing.edges
        ),
        modes=tuple(modes),
    )


def _schema(graph: Any, describe: Any, declared: str) -> dict[str, Any] | None:
    # A state may hold types that have no JSON schema; the graph can be served all the same. LangGraph gives
    # none for a typing.TypedDict before Python 3.12, so the class that was declared is asked itself.
    try:
        schema = describe()
    except Exception:
        cls = getattr(getattr(graph, "builder", None), declared, None)
        if cls is None:
            return None
        try:
            schema = json_schema_of(cls)
        except Exception:
            return None
    return schema if isinstance(schema, dict) else None


def _description(graph: Any) -> str | None:
    text = getattr(graph, "description", None)
    return text if isinstance(text, str) and text else None
