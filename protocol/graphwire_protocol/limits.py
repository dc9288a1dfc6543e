"""The one table of limits: name, default, bounds, scope, unit and meaning of each.

``welcome.limits`` announces all of them under these names, and ``[limits]`` of a server's configuration sets
them. Our server's settings, the sessions, the memory store and the reference take them from here.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Scope: TypeAlias = Literal["connection", "run", "principal", "server"]
"""What a limit applies to: each connection, each run, each principal, or the server as a whole."""

Unit: TypeAlias = Literal["bytes", "seconds", "events", "entries", "characters", "a second", ""]

ENVELOPE_BYTES: Final = 1 << 18
"""What a server's message may hold beside values of graphs and what the client itself sent."""

_Count: TypeAlias = Annotated[int, Field(ge=1)]
_Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Limit:
    """Marks a field as a limit. ``unit`` is empty for a plain count; the docstring below the field is its
    meaning.
    """

    scope: Scope
    unit: Unit = ""


class AnnouncedLimits(BaseModel):
    """The limits of one server. Names that end in ``_s`` are seconds. None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_frame_bytes: Annotated[_Count, Limit("connection", "bytes")] = 1 << 20
    """size of one message of a client; a larger one closes with 1009, so a client checks before it sends;
    requests that wait for graphs or checkpointers may take as much in all; a further one is `rate_limited`"""
    max_event_bytes: Annotated[_Count, Limit("connection", "bytes")] = 4 << 20
    """size of the data of one event; of larger data the largest parts are sent as `$cut` with their sizes"""
    max_subscriptions: Annotated[_Count, Limit("connection")] = 1024
    """open subscriptions"""
    max_open_requests: Annotated[_Count, Limit("connection")] = 1024
    """requests that have not been answered completely"""
    requests_per_s: Annotated[_Positive, Limit("connection", "a second")] = 200
    """rate of requests in the long run; beyond it they are `rate_limited` with an `after_ms`"""
    request_burst: Annotated[_Count, Limit("connection")] = 1000
    """requests at once before `requests_per_s` applies"""
    hello_timeout_s: Annotated[_Positive, Limit("connection", "seconds")] = 10
    """time from the handshake to `hello`; then close 4408"""
    state_timeout_s: Annotated[_Positive, Limit("connection", "seconds")] = 30
    """time until a request about a thread, or a run that asks its saver, was answered; then `unavailable`"""
    message_timeout_s: Annotated[_Positive, Limit("connection", "seconds")] = 30
    """time from the first to the last WebSocket frame of a message of a client; then it is dropped"""
    send_timeout_s: Annotated[_Positive, Limit("connection", "seconds")] = 5
    """time for which a client may read nothing while frames wait for it; then its connection is dropped"""
    heartbeat_s: Annotated[_Positive, Limit("connection", "seconds")] = 15
    """time between two WebSocket pings of the server"""
    disconnect_grace_s: Annotated[_NotNegative, Limit("connection", "seconds")] = 10
    """time for which a run with `on_disconnect: cancel` outlives the connection that started it"""
    max_filter_entries: Annotated[_Count, Limit("connection", "entries")] = 64
    """length of each list of a filter"""
    max_pattern_chars: Annotated[_Count, Limit("connection", "characters")] = 128
    """length of each entry of a filter"""

    log_events: Annotated[_Count, Limit("run", "events")] = 10_000
    """events that a log keeps before the oldest fold into its base"""
    log_bytes: Annotated[_Count, Limit("run", "bytes")] = 16 << 20
    """bytes that a log keeps before the oldest events fold into its base"""
    log_min_age_s: Annotated[_NotNegative, Limit("run", "seconds")] = 2
    """age below which an event is not evicted while the log is below four times its limits"""
    log_ttl_s: Annotated[_NotNegative, Limit("run", "seconds")] = 900
    """time from the run's end until its whole log folds into its base"""
    result_ttl_s: Annotated[_NotNegative, Limit("run", "seconds")] = 86_400
    """time from the run's end until its id, row, terminal event and result are forgotten"""
    interrupt_ttl_s: Annotated[_NotNegative, Limit("run", "seconds")] = 86_400
    """time for which an interrupted run waits; then it is `cancelled` with reason `expired`"""
    max_metadata_bytes: Annotated[_Count, Limit("run", "bytes")] = 16 << 10
    """size as JSON of a run's or thread's `metadata`; of each of a config's `tags`, `metadata`, `run_name`"""
    max_run_events: Annotated[_Count | None, Limit("run", "events")] = None
    """events that a run may produce; beyond it fails with `limit_exceeded`"""
    max_run_s: Annotated[_Positive | None, Limit("run", "seconds")] = None
    """time that a run may take; beyond it fails with `timeout`"""
    max_attempts: Annotated[_Count, Limit("run", "attempts")] = 3
    """times that a run is begun or taken over whose server is killed; then it fails with `lost`"""
    cancel_grace_s: Annotated[_NotNegative, Limit("run", "seconds")] = 1
    """time from `cancel` to the terminal event, even if the graph's code does not react"""

    max_connections: Annotated[_Count, Limit("principal")] = 1024
    """open connections; one more closes with 4429"""
    max_active_runs: Annotated[_Count, Limit("principal")] = 1024
    """runs that have not ended: queued, running and interrupted ones, since each of them is kept"""

    max_server_runs: Annotated[_Count, Limit("server")] = 10_000
    """running runs; more are `queued`"""
    store_bytes: Annotated[_Count, Limit("server", "bytes")] = 1 << 30
    """bytes kept of all runs: logs, requests, results; beyond it ended runs go, then large logs fold"""
    max_watch_runs: Annotated[_Count, Limit("server")] = 1000
    """runs, or threads, that a `watch` reports at its beginning"""
    drain_s: Annotated[_NotNegative, Limit("server", "seconds")] = 30
    """time that runs get to end when the server goes away"""

    @property
    def largest_message(self) -> int:
        """The bytes of the largest message, a frame or a batch, that a server with these limits sends."""
        return self.max_event_bytes + self.max_frame_bytes + ENVELOPE_BYTES


def _mark(name: str) -> Limit:
    (limit,) = (item for item in AnnouncedLimits.model_fields[name].metadata if isinstance(item, Limit))
    return limit


LIMITS: Final[dict[str, Limit]] = {name: _mark(name) for name in AnnouncedLimits.model_fields}
"""Scope and unit of every limit by its name, in the order of the reference."""

DEFAULTS: Final = AnnouncedLimits()
"""The limits of a server that sets none."""
