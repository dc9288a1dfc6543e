"""What differs between libraries of graphs: ``Command`` with its parts, and where a graph has its schemas."""

import importlib
from typing import Any

from graphwire_protocol.commands import GraphCommand

_MODULES = {"graphwire_runtime": "graphwire_runtime", "langgraph": "langgraph.types"}
"""Where each library, by its top-level package, has ``Command``, ``Send`` and ``TimeoutPolicy``."""


def command_for(graph: Any, **fields: Any) -> Any:
    """Return ``Command(**fields)`` of the graph's library. ``goto`` is in the protocol's form.

    Raises ``LookupError`` for a graph of another library.
    """
    for cls in type(graph).__mro__:
        name = _MODULES.get(cls.__module__.partition(".")[0])
        if name is not None:
            module = importlib.import_module(name)
            if "goto" in fields:
                fields["goto"] = _goto(fields["goto"], module)
            return module.Command(**fields)
    raise LookupError(f"a {type(graph).__name__} belongs to no library whose Command is known")


def schemas_of(graph: Any) -> tuple[Any, Any]:
    """Return the classes of a graph's output and of its state; None for each that it does not have."""
    plan = getattr(graph, "plan", None)
    if plan is not None:
        return plan.output.cls, plan.state.cls
    builder = getattr(graph, "builder", None)
    return getattr(builder, "output_schema", None), getattr(builder, "state_schema", None)


def given(command: GraphCommand) -> dict[str, Any]:
    """Return the fields of a command that its sender has set."""
    return {name: getattr(command, name) for name in ("resume", "update", "goto") if _is_set(command, name)}


def _is_set(command: GraphCommand, name: str) -> bool:
    # Resuming with null is legal; null in the other fields is the same as leaving them out.
    return name in command.model_fields_set and (name == "resume" or getattr(command, name) is not None)


def _goto(value: Any, module: Any) -> Any:
    """Return the protocol's ``goto`` with the library's ``Send`` for each ``{"node", "arg", "timeout"}``."""
    if isinstance(value, list):
        return [_goto(item, module) for item in value]
    if not isinstance(value, dict):
        return value
    timeout = value.get("timeout")
    if timeout is None:
        return module.Send(value["node"], value.get("arg"))
    policy = timeout if isinstance(timeout, dict) else {"run_timeout": timeout}
    return module.Send(value["node"], value.get("arg"), timeout=module.TimeoutPolicy(**policy))
