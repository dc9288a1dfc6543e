"""What a run asks of a graph: a ``run`` frame becomes the arguments of ``astream``, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson
from graphwire_protocol import commands
from graphwire_protocol.projection import TagError, restore
from graphwire_protocol.types import STREAM_MODES, Mode
from langchain_core.runnables import RunnableConfig

from graphwire_gateway.execution.inputs import message_of
from graphwire_gateway.execution.names import check_run, invalid, without_many_unknown
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.library import command_for, given
from graphwire_gateway.graphs.pause import Pause
from graphwire_gateway.scope import OWN, PRINCIPAL, Scope


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What run ``run`` asks of the graph named ``graph``: arguments of ``astream``, and what is recorded.

    With a ``command`` (the fields of the library's ``Command``) there is no ``input``. ``scope`` is the run's
    thread; None without one. ``modes`` and ``subgraphs`` say what the log records. ``version`` says whether
    states are recorded as LangGraph's version v1 or v2 has them. ``max_events`` bounds the run's events, over
    all its executions.
    """

    run: str
    graph: str
    input: Any
    config: RunnableConfig
    command: Mapping[str, Any] | None = None
    context: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    modes: frozenset[Mode] = frozenset()
    subgraphs: bool = False
    scope: Scope | None = None
    version: Literal["v1", "v2"] = "v1"
    max_events: int | None = None
    given_bytes: int = 0
    """The size as JSON of what it begins with: ``input`` and ``command``."""
    kept_bytes: int = 0
    """The size as JSON of what it needs while it may execute: ``context``, ``config`` and ``options``."""
    pause: Pause | None = None
    """Where it waited for the answers with which it continues."""

    @property
    def principal(self) -> str:
        """For whom it runs."""
        principal: str = self.config.get("configurable", {}).get(PRINCIPAL, "")
        return principal

    @property
    def is_held(self) -> bool:
        """Whether its thread is a private one in the server's saver, which nothing shows."""
        return self.scope is not None and self.scope.is_held

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint of the thread to start at; None is the latest."""
        id: str | None = self.config.get("configurable", {}).get("checkpoint_id")
        return id

    def argument(self, graph: Any) -> Any:
        """Return the first argument of ``graph.astream``: the input, or a ``Command`` of its library."""
        return self.input if self.command is None else command_for(graph, **self.command)

    def paused(self) -> "RunRequest":
        """Return what an interrupted run needs of the request to continue: nothing that it began with."""
        return self.resumed({})

    def at_checkpoint(self, checkpoint: str) -> "RunRequest":
        """Return the request that begins at a checkpoint of the thread; "" is none, for an empty thread."""
        configurable = dict(self.config.get("configurable", {}))
        configurable.pop("checkpoint_id", None)
        if checkpoint:
            configurable["checkpoint_id"] = checkpoint
        return replace(self, config=RunnableConfig(**{**self.config, "configurable": configurable}))

    def repeated(self, checkpoint: str) -> "RunRequest":
        """Return the request that repeats what follows a checkpoint of the thread."""
        return self.paused().at_checkpoint(checkpoint)

    def resumed(self, answers: Mapping[str, Any]) -> "RunRequest":
        """Return the request that continues the thread with ``answers`` by interrupt id.

        ``answers`` is empty at a breakpoint, where nothing was asked.
        """
        configurable = dict(self.config.get("configurable", {}))
        configurable.pop("checkpoint_id", None)  # continue from the newest checkpoint, where the run paused
        return replace(
            self,
            input=None,
            command={"resume": dict(answers)} if answers else None,
            given_bytes=0,
            config=RunnableConfig(**{**self.config, "configurable": configurable}),
        )


@dataclass(frozen=True, slots=True)
class RunValues:
    """The values of a ``run`` frame as Python's: arguments of ``astream``, or parts of them."""

    input: Any
    context: Any
    configurable: dict[str, Any]
    metadata: dict[str, Any]
    command: dict[str, Any] | None
    given_bytes: int
    """As in ``RunRequest``."""
    kept_bytes: int


def run_values(command: commands.Run, sizes: tuple[int, int]) -> RunValues:
    """Restore the values of a frame, whose ``run_sizes`` are known. Raises ``Refusal(invalid_argument)``."""
    config = command.config or commands.RunConfig()
    return RunValues(
        input=restored(command.input, "run", "input"),
        context=restored(command.context, "run", "context"),
        configurable=restored(config.configurable or {}, "run", "config.configurable"),
        metadata=restored(config.metadata or {}, "run", "config.metadata"),
        command=None if command.command is None else _command(command.command),
        given_bytes=sizes[0],
        kept_bytes=sizes[1],
    )


def run_sizes(command: commands.Run) -> tuple[int, int]:
    """Return ``RunRequest.given_bytes`` and ``kept_bytes`` of a frame."""
    given = held_size(command.input, command.command and command.command.to_wire())
    kept = held_size(
        command.context,
        command.config and command.config.to_wire(),
        command.options and command.options.to_wire(),
    )
    return given, kept


def run_request(
    command: commands.Run,
    values: RunValues,
    entry: Entry,
    *,
    run: str,
    principal: str,
    scope: Scope | None,
    max_events: int | None,
    has_begun: bool = False,
) -> RunRequest:
    """Return what ``command`` asks of the graph. Raises ``Refusal(invalid_argument)`` with the path.

    ``values`` are those of the command. If the run ``has_begun``, it was checked then, and the command has
    nothing any more that it began with.
    """
    if not has_begun:
        check_run(command, entry)
    config = command.config or commands.RunConfig()
    configurable = dict(values.configurable)
    for name in configurable:
        if name == "thread_id" or name.startswith(("checkpoint_", OWN, "__")):
            path = f"config.configurable.{name[:64]}"
            hints = {"thread_id": "; name it in run.thread", "checkpoint_id": "; name it in run.checkpoint"}
            raise invalid(path, f"run.{path}: this key is set by the server{hints.get(name, '')}", "reserved")
    configurable[PRINCIPAL] = principal
    if scope is not None:
        configurable["thread_id"] = scope.saved
    if command.checkpoint is not None:
        configurable["checkpoint_id"] = command.checkpoint
    merged = RunnableConfig(
        configurable=configurable,
        metadata=values.metadata,
        tags=list(config.tags or ()),
    )
    if config.recursion_limit is not None:
        merged["recursion_limit"] = config.recursion_limit
    if config.max_concurrency is not None:
        merged["max_concurrency"] = config.max_concurrency
    if config.run_name is not None:
        merged["run_name"] = config.run_name
    modes, subgraphs = _recorded(command, entry)
    return RunRequest(
        run=run,
        graph=command.graph,
        input=values.input,
        config=merged,
        command=_leading_somewhere(values.command, entry),
        context=values.context,
        options=_options(command.options, scope),
        modes=modes,
        subgraphs=subgraphs,
        scope=scope,
        version=(command.options and command.options.version) or "v1",
        max_events=max_events,
        given_bytes=values.given_bytes,
        kept_bytes=values.kept_bytes,
    )


def json_size(*values: Any) -> int:
    """Return the bytes of values of a client as JSON; None takes none."""
    return sum(len(_json(value)) for value in values if value is not None)


def held_size(*values: Any) -> int:
    """Return about how many bytes of memory values of a client take; None takes none.

    An empty list is two characters of JSON and a Python object of 56 bytes. Objects are counted by the
    characters that begin or separate them. Those within a text count too, so this is rather too much.
    """
    size = 0
    for value in values:
        if value is not None:
            text = _json(value)
            objects = (
                text.count(b"[") * _LIST_BYTES,
                text.count(b"{") * _DICT_BYTES,
                text.count(b",") * _VALUE_BYTES,
            )
            size += len(text) + sum(objects)
    return size


_LIST_BYTES, _DICT_BYTES, _VALUE_BYTES = 64, 184, 48


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits, or nested deeper than orjson writes
        return repr(value).encode("utf-8", "replace")


def restored(value: Any, frame: str, path: str) -> Any:
    """Return a user's JSON value as Python's. Raises ``Refusal(invalid_argument)`` for a malformed tag."""
    try:
        return restore(value, message_of, inbound=True, path=path)
    except TagError as error:
        raise invalid(error.path, f"{frame}.{error.path}: {error.reason}", error.reason) from None


def _command(command: commands.GraphCommand) -> dict[str, Any]:
    fields = {name: restored(value, "run", f"command.{name}") for name, value in given(command).items()}
    if not _is_goto(fields.get("goto", "")):
        reason = 'a node\'s name, {"node": name, "arg": value, "timeout": seconds}, or a list of them'
        raise invalid("command.goto", f"run.command.goto: expected {reason}", reason)
    return fields


def _leading_somewhere(command: dict[str, Any] | None, entry: Entry) -> dict[str, Any] | None:
    goto = command and command.get("goto")
    if command is None or not isinstance(goto, list) or entry.shape.nodes is None:
        return command
    return {**command, "goto": without_many_unknown(goto, entry.shape.nodes)}


def _is_goto(goto: Any) -> bool:
    if isinstance(goto, list):
        return all(not isinstance(target, list) and _is_goto(target) for target in goto)
    if isinstance(goto, dict):
        known = isinstance(goto.get("node"), str) and set(goto) <= {"node", "arg", "timeout"}
        return known and _is_timeout(goto.get("timeout"))
    return isinstance(goto, str)


def _is_timeout(timeout: Any) -> bool:
    """Tell whether this is null, a time in seconds, or a ``TimeoutPolicy`` as an object with one or two."""
    if not isinstance(timeout, dict):
        return timeout is None or _is_time(timeout)
    times = {name: value for name, value in timeout.items() if name != "refresh_on"}
    return (
        bool(times)
        and set(times) <= {"run_timeout", "idle_timeout"}
        and all(map(_is_time, times.values()))
        and timeout.get("refresh_on", "auto") in ("auto", "heartbeat")
    )


_LONGEST_S = 2**31


def _is_time(seconds: Any) -> bool:
    return type(seconds) in (int, float) and 0 < seconds <= _LONGEST_S


def _recorded(command: commands.Run, entry: Entry) -> tuple[frozenset[Mode], bool]:
    """Return the modes to record and whether to record subgraphs, as client and operator ask."""
    record = command.record or commands.RecordOptions()
    modes: set[Mode] = set(record.modes or ()) | entry.record
    subgraphs = bool(record.subgraphs) or entry.record_subgraphs
    for spec in command.subscribe:
        modes.update(spec.filter.modes)
        subgraphs = subgraphs or spec.filter.below_root
    return frozenset(modes.intersection(STREAM_MODES)), subgraphs


def _options(options: commands.RunOptions | None, scope: Scope | None) -> dict[str, Any]:
    wire = {} if options is None else options.to_wire()
    wire.pop("version", None)  # of what is recorded; see RunRequest
    if scope is None:
        wire.pop("durability", None)  # nothing writes checkpoints; some graphs warn of it, some fail
    elif scope.is_held:
        wire["durability"] = "exit"
    return {name: list(value) if isinstance(value, tuple) else value for name, value in wire.items()}
