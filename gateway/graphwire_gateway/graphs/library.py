"""Which library a graph was compiled with, and the classes of it that an input is made of."""

import importlib
from typing import Any

from graphwire_protocol.commands import GraphCommand

_HOMES = {"graphwire_runtime": "graphwire_runtime", "langgraph": "langgraph.types"}


def command_for(graph: Any, **fields: Any) -> Any:
    """Return ``Command(**fields)`` of the graph's library. Raises ``LookupError`` for a foreign graph."""
    for cls in type(graph).__mro__:
        home = _HOMES.get(cls.__module__.partition(".")[0])
        if home is not None:
            module = importlib.import_module(home)
            if "goto" in fields:
                fields["goto"] = _places(fields["goto"], module.Send)
            return module.Command(**fields)
    raise LookupError(f"a {type(graph).__name__} is no graph whose Command is known")


def given(command: GraphCommand) -> dict[str, Any]:
    """Return the fields of a command that its sender has set."""
    return {name: getattr(command, name) for name in ("resume", "update", "goto") if _is_set(command, name)}


def _is_set(command: GraphCommand, name: str) -> bool:
    # ``resume`` may be null; of the others that means nothing.
    return name in command.model_fields_set and (name == "resume" or getattr(command, name) is not None)


def _places(goto: Any, send: Any) -> Any:
    if isinstance(goto, dict):
        return send(goto["node"], goto.get("arg"))
    return [_places(place, send) for place in goto] if isinstance(goto, list) else goto
