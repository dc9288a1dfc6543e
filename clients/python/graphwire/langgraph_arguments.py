"""LangGraph's arguments translated for the protocol: stream modes, configs, threads, commands.

An argument that only works in the process of a graph raises an error that names it; none is dropped.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from graphwire_protocol.suggest import did_you_mean
from graphwire_protocol.types import STREAM_MODES

from graphwire.arguments import require_id
from graphwire.state_update import state_update

_CONFIG = frozenset({"tags", "metadata", "configurable", "recursion_limit", "max_concurrency", "run_name"})
_OPTIONS = ("output_keys", "interrupt_before", "interrupt_after", "durability", "version")
_LOCAL = {
    "print_mode": "prints in the process of the graph",
    "debug": "prints in the process of the graph",
    "control": "stops a graph in its own process",
    "checkpoint_during": "is the old name of durability",
}
_ARGUMENTS = ("context", "stream_mode", "subgraphs", *_OPTIONS)
_COMMAND = ("resume", "update", "goto")
_TIMEOUT = ("run_timeout", "idle_timeout", "refresh_on")
_NS_SEPARATOR = "|"  # between the segments of a namespace, as LangGraph writes it into configs


def refuse_local(options: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for an option that only local graphs take, ``TypeError`` for an unknown one."""
    for name, value in options.items():
        if name not in _LOCAL:
            raise TypeError(f"a graph's streams take no argument {name!r}{did_you_mean(name, _ARGUMENTS)}")
        if value:
            raise ValueError(f"{name} {_LOCAL[name]}; a remote graph does not take it")


def modes_of(stream_mode: str | Sequence[str] | None) -> list[str]:
    """Return the modes without repetitions. Raises ``ValueError`` for an unknown one."""
    modes = [stream_mode or "updates"] if stream_mode is None or isinstance(stream_mode, str) else stream_mode
    for mode in modes:
        if mode not in STREAM_MODES:
            meant = did_you_mean(mode, STREAM_MODES) if isinstance(mode, str) else ""
            raise ValueError(f"stream_mode {mode!r} is none of {', '.join(STREAM_MODES)}{meant}")
    return list(dict.fromkeys(modes))


def run_arguments(
    input: Any, config: Mapping[str, Any] | None, context: Any, options: tuple[Any, ...]
) -> dict[str, Any]:
    """Return keyword arguments for ``client.run()``; ``options`` are the values of ``_OPTIONS``, in order.

    Raises ``ValueError`` for a config that cannot be sent.
    """
    out: dict[str, Any] = {"input": input, "context": context}
    given = {name: value for name, value in zip(_OPTIONS, options, strict=True) if value is not None}
    if given:
        out["options"] = given
    rest = dict(config or {})
    if rest.pop("callbacks", None):
        raise ValueError(
            "config['callbacks'] run in the process of the graph; a remote graph does not take them"
        )
    run_id = rest.pop("run_id", None)
    if run_id is not None:
        out["run"] = str(run_id) if isinstance(run_id, UUID) else run_id
    address, configurable = _split_configurable(rest.pop("configurable", None))
    if address.pop("ns") is not None:
        raise ValueError(
            "config['configurable']['checkpoint_ns'] names a subgraph, and a run starts at the root; "
            "use the config of the root's state"
        )
    out |= address
    if configurable:
        rest["configurable"] = configurable
    _refuse_misplaced(rest)
    unknown = sorted(set(rest) - _CONFIG)
    if unknown:
        instead = did_you_mean(unknown[0], _CONFIG) or f"; a remote graph takes {', '.join(sorted(_CONFIG))}"
        raise ValueError(f"config[{unknown[0]!r}] cannot be sent{instead}")
    if rest:
        out["config"] = rest
    return out


def thread_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``thread``, ``checkpoint`` and ``ns`` for ``client.state()``. Raises ``ValueError``."""
    _refuse_misplaced(config)
    address, _ = _split_configurable(config.get("configurable"))
    if address["thread"] is None:
        raise ValueError("config['configurable']['thread_id'] is missing; it names the thread")
    return address


def checkpoint_of(config: Mapping[str, Any] | None) -> str | None:
    """Return the checkpoint id in ``config``."""
    return None if config is None else _split_configurable(config.get("configurable"))[0]["checkpoint"]


def _refuse_misplaced(config: Mapping[str, Any]) -> None:
    for name in ("thread_id", "checkpoint_id", "checkpoint_ns"):
        if name in config:
            raise ValueError(f"config[{name!r}] belongs under config['configurable']")


def _split_configurable(given: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ``{"thread", "checkpoint", "ns"}`` and the other entries of ``configurable``."""
    configurable = dict(given or {})
    thread = configurable.pop("thread_id", None)
    ns = configurable.pop("checkpoint_ns", None)
    checkpoint = configurable.pop("checkpoint_id", None)
    # LangGraph's map of the checkpoints of a subgraph and of the graphs around it. It says no more than
    # the id, which wins; a server finds the outer checkpoints by itself.
    checkpoints = configurable.pop("checkpoint_map", None)
    if checkpoint is None and isinstance(checkpoints, Mapping):
        checkpoint = checkpoints.get(ns or "")
    if thread is not None:
        thread = str(thread)
        require_id(thread, "config['configurable']['thread_id']")
    address = {
        "thread": thread,
        "checkpoint": checkpoint,
        "ns": ns.split(_NS_SEPARATOR) if ns else None,
    }
    for name in configurable:
        if name.startswith(("checkpoint_", "__")):
            raise ValueError(
                f"config['configurable'][{name!r}] is set by the process of the graph; leave it out"
            )
    return address, configurable


def is_command(value: Any) -> bool:
    """Return whether ``value`` is a ``Command`` of LangGraph or of graphwire_runtime; neither is imported."""
    return any(cls.__name__ == "Command" for cls in type(value).__mro__) and all(
        hasattr(value, name) for name in (*_COMMAND, "graph")
    )


def command_of(command: Any) -> dict[str, Any]:
    """Return a ``Command``, or a dict of its fields, as the wire's object.

    Raises ``TypeError`` for anything else, ``ValueError`` if it is empty or cannot be sent.
    """
    if is_command(command):
        if command.graph is not None:
            raise ValueError("Command(graph=...) works only inside a graph")
        given = {name: getattr(command, name) for name in _COMMAND}
        given = {name: value for name, value in given.items() if value is not None}
    elif isinstance(command, Mapping):
        given = dict(command)
    else:
        raise TypeError(f"command is a Command or a dict of its fields, not {type(command).__name__}")
    unknown = sorted(str(name) for name in given if name not in _COMMAND)
    if unknown:
        instead = did_you_mean(unknown[0], _COMMAND) or f"; it takes {', '.join(_COMMAND)}"
        raise ValueError(f"command has no field {unknown[0]!r}{instead}")
    if "update" in given:
        given["update"] = _update(state_update(given["update"]))
    if "goto" in given:
        given["goto"] = _goto(given["goto"])
        if given["goto"] == []:
            del given["goto"]
    if not given:
        raise ValueError(f"the command is empty; give it one of {', '.join(_COMMAND)}")
    return given


def _update(update: Any) -> Any:
    """Return pairs of key and value as an object: in JSON a pair would become a list."""
    is_pairs = isinstance(update, list | tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in update
    )
    if not is_pairs or not update:
        return update
    if len({name for name, _ in update}) < len(update):
        raise ValueError("Command(update=[...]) writes a key twice; a remote graph takes each key once")
    return dict(update)


def _goto(goto: Any) -> Any:
    if isinstance(goto, list | tuple):
        return [_goto(target) for target in goto]
    if not (hasattr(goto, "node") and hasattr(goto, "arg")):
        return goto
    sent = {"node": goto.node, "arg": goto.arg}
    timeout = _timeout(getattr(goto, "timeout", None))
    return sent if timeout is None else {**sent, "timeout": timeout}


def _timeout(timeout: Any) -> Any:
    """Return seconds, or a ``TimeoutPolicy`` of either library as an object of its fields."""
    fields = {name: _seconds(getattr(timeout, name, None)) for name in _TIMEOUT}
    policy = {name: value for name, value in fields.items() if value is not None}
    return policy or _seconds(timeout)


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value
