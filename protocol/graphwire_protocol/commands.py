"""The frames that a client sends."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from graphwire_protocol.base import Input, InputObject, Many, Maybe, Wire
from graphwire_protocol.filters import Filter
from graphwire_protocol.types import Epoch, Mode, Name, RequestId, Seq, Status, SubId, Uint

UNSERVED = frozenset({"auth", "watch", "respond", "state", "state_history", "state_update", "delete"})
"""Frame types that the protocol knows and this version does not serve: they are ``unsupported``."""


class Product(Wire):
    """A program's name and version."""

    name: Annotated[str, Field(max_length=128)]
    version: Annotated[str, Field(max_length=128)]


class Position(Wire):
    """A cursor: delivery begins behind ``seq`` of the log's incarnation ``epoch``."""

    epoch: Epoch
    seq: Seq


From: TypeAlias = Literal["start", "now", "snapshot"] | Position


class Hello(Wire):
    """The first frame of a connection."""

    type: Literal["hello"] = "hello"
    id: RequestId
    token: Maybe[Annotated[str, Field(max_length=65536)]] = None
    client: Maybe[Product] = None
    features: Maybe[Many[str]] = None


class Spec(Wire):
    """How a run is subscribed to: under which ``sub``, through which ``filter``, ``from`` where on.

    ``credit`` lets the server send that many events until ``credit`` frames add more; without it only the
    socket paces.
    """

    sub: SubId
    filter: Filter
    from_: Annotated[From, Field(alias="from")] = "start"
    credit: Maybe[Uint] = None
    values: Literal["full", "patch"] = "full"


class GraphCommand(Wire):
    """A command as the run's input, instead of an ``input``: LangGraph's ``Command``."""

    resume: Input = None
    update: Input = None
    goto: Input = None


class RunConfig(Wire):
    """What of LangGraph's config a client may set."""

    tags: Maybe[Many[str]] = None
    metadata: Maybe[InputObject] = None
    configurable: Maybe[InputObject] = None
    recursion_limit: Maybe[Annotated[int, Field(ge=1, le=2**31)]] = None
    max_concurrency: Maybe[Annotated[int, Field(ge=1, le=2**31)]] = None
    run_name: Maybe[str] = None


class RunOptions(Wire):
    """Options of the graph's ``astream``."""

    interrupt_before: Maybe[Many[str] | Literal["*"]] = None
    interrupt_after: Maybe[Many[str] | Literal["*"]] = None
    output_keys: Maybe[Many[str] | str] = None
    durability: Maybe[Literal["sync", "async", "exit"]] = None


class Record(Wire):
    """What the log keeps beyond what the run's first subscriptions ask for."""

    modes: Maybe[Many[Mode]] = None
    subgraphs: Maybe[bool] = None


class Run(Wire):
    """Start a run, or find it again by its id; attach every spec of ``subscribe`` before its first event."""

    type: Literal["run"] = "run"
    id: RequestId
    graph: Annotated[str, Field(min_length=1, max_length=256)]
    input: Input = None
    command: Maybe[GraphCommand] = None
    run: Maybe[Name] = None
    thread: Maybe[Name] = None
    checkpoint: Maybe[Name] = None
    config: Maybe[RunConfig] = None
    context: Input = None
    options: Maybe[RunOptions] = None
    if_busy: Literal["reject", "enqueue", "interrupt"] = "reject"
    on_disconnect: Literal["continue", "cancel"] = "continue"
    metadata: Maybe[InputObject] = None
    record: Maybe[Record] = None
    subscribe: Many[Spec] = ()

    @model_validator(mode="after")
    def _starts_with_one(self) -> "Run":
        if self.input is not None and self.command is not None:
            raise PydanticCustomError(
                "input_and_command", "a run starts with an input or a command, not both"
            )
        return self


class Subscribe(Spec):
    """Attach to a run's log."""

    type: Literal["subscribe"] = "subscribe"
    id: RequestId
    run: Name


class Unsubscribe(Wire):
    """Detach: no frame of that ``sub`` follows the reply."""

    type: Literal["unsubscribe"] = "unsubscribe"
    id: RequestId
    sub: SubId


class Credit(Wire):
    """Let the server send ``events`` more events on ``sub``. Has no reply; an unknown ``sub`` is ignored."""

    type: Literal["credit"] = "credit"
    sub: SubId
    events: Uint


class Cancel(Wire):
    """Stop a run. Idempotent; the terminal event arrives in the log."""

    type: Literal["cancel"] = "cancel"
    id: RequestId
    run: Name
    reason: Maybe[Annotated[str, Field(max_length=1024)]] = None


class Result(Wire):
    """Ask for what ``invoke`` would return."""

    type: Literal["result"] = "result"
    id: RequestId
    run: Name


class List(Wire):
    """Ask for rows: graphs, or this principal's runs, newest first; a ``cursor`` asks for the next page."""

    type: Literal["list"] = "list"
    id: RequestId
    what: Literal["graphs", "runs", "threads"]
    graph: Maybe[str] = None
    thread: Maybe[Name] = None
    status: Maybe[Many[Status]] = None
    metadata: Maybe[InputObject] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Maybe[Annotated[str, Field(max_length=1024)]] = None


class Ping(Wire):
    """A browser's ping, which cannot send a WebSocket's own. Has no id; its reply is ``pong``."""

    type: Literal["ping"] = "ping"
    t: Input


Command: TypeAlias = Annotated[
    Hello | Run | Subscribe | Unsubscribe | Credit | Cancel | Result | List | Ping,
    Field(discriminator="type"),
]
"""Every frame that a client may send."""

Request: TypeAlias = Hello | Run | Subscribe | Unsubscribe | Cancel | Result | List
"""The commands that carry an ``id`` and get exactly one reply."""
