"""The frames by which a server answers, each to one request, and its control frames."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.commands import Product
from graphwire_protocol.filters import Filter
from graphwire_protocol.types import (
    Durability,
    Epoch,
    Milliseconds,
    Name,
    Recovery,
    RequestId,
    Retry,
    Seconds,
    Seq,
    Status,
    SubId,
    Timestamp,
    Uint,
)


class Welcome(Wire):
    """The reply to ``hello``: who serves whom, what is enabled, and within which limits."""

    type: Literal["welcome"] = "welcome"
    id: RequestId
    server: Product
    minor: Uint
    features: tuple[str, ...]
    limits: dict[str, int | float | None]
    principal: str
    expires_at: Maybe[Timestamp] = None
    durability: Durability


class Started(Wire):
    """The reply to ``run``: started now, or found (``created: false``)."""

    type: Literal["started"] = "started"
    id: RequestId
    run: Name
    thread: Maybe[Name] = None
    epoch: Epoch
    created: bool
    status: Status


class Subscribed(Wire):
    """The reply to a ``subscribe``, and to each spec of a ``run``: where delivery begins, and how."""

    type: Literal["subscribed"] = "subscribed"
    id: RequestId
    sub: SubId
    run: Maybe[Name] = None
    epoch: Maybe[Epoch] = None
    head: Maybe[Seq] = None
    after: Maybe[Seq] = None
    recovery: Maybe[Recovery] = None
    filter: Maybe[Filter] = None
    credit: Maybe[Uint] = None


class RunRow(Wire):
    """What a list tells of a run."""

    run: Name
    graph: str
    thread: Maybe[Name] = None
    metadata: JsonObject
    status: Status
    attempt: Uint
    epoch: Epoch
    head: Seq
    created_at: Timestamp
    started_at: Maybe[Timestamp] = None
    ended_at: Maybe[Timestamp] = None
    interrupts: Maybe[tuple[str, ...]] = None
    modes: tuple[str, ...]


class Edge(Wire):
    """An edge of a graph; ``conditional`` where a router decides."""

    source: str
    target: str
    conditional: Maybe[bool] = None


class GraphRow(Wire):
    """What a list tells of a graph."""

    name: str
    description: Maybe[str] = None
    input_schema: Maybe[JsonObject] = None
    output_schema: Maybe[JsonObject] = None
    context_schema: Maybe[JsonObject] = None
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    modes: tuple[str, ...]


class Ok(Wire):
    """The reply to every other request; which fields it has is said by the request."""

    type: Literal["ok"] = "ok"
    id: RequestId
    status: Maybe[Status] = None
    output: Json = None
    graphs: Maybe[tuple[GraphRow, ...]] = None
    runs: Maybe[tuple[RunRow, ...]] = None
    cursor: Maybe[str] = None


class Error(Wire):
    """The reply to a request that is refused; without ``id``, to something that has none."""

    type: Literal["error"] = "error"
    id: Maybe[RequestId] = None
    sub: Maybe[SubId] = None
    code: Annotated[str, Field(examples=["invalid_argument"])]
    message: str
    retry: Retry
    after_ms: Maybe[Milliseconds] = None
    details: Maybe[JsonObject] = None


class Pong(Wire):
    """The reply to ``ping``, with its ``t``."""

    type: Literal["pong"] = "pong"
    t: Json


class Notice(Wire):
    """Something that a person should hear of and no program need act on."""

    type: Literal["notice"] = "notice"
    code: str
    message: str
    expires_at: Maybe[Timestamp] = None


class Goaway(Wire):
    """The server closes within ``deadline_s``; connect again after ``after_ms``."""

    type: Literal["goaway"] = "goaway"
    reason: str
    deadline_s: Seconds
    after_ms: Milliseconds


Reply: TypeAlias = Welcome | Started | Subscribed | Ok | Error
"""The replies to requests."""
