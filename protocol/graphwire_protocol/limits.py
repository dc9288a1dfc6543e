"""The one table of announced limits: name, scope, default, unit, meaning.

``welcome.limits`` announces them and ``[limits]`` of a server's configuration sets them, under these names. A
server keeps them; the reference is made from this table.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Scope: TypeAlias = Literal["connection", "run", "principal", "server"]
Unit: TypeAlias = Literal["bytes", "seconds", "events", "entries", "characters", "a second", ""]


@dataclass(frozen=True, slots=True)
class Limit:
    """One announced limit. ``default`` None is no limit; ``unit`` is empty for a plain count."""

    name: str
    scope: Scope
    default: int | float | None
    unit: Unit
    meaning: str


LIMITS: Final[dict[str, Limit]] = {
    limit.name: limit
    for limit in (
        Limit(
            "max_frame_bytes",
            "connection",
            1 << 20,
            "bytes",
            "one message of a client; a larger one closes with 1009, so a client checks before it sends",
        ),
        Limit(
            "max_event_bytes",
            "connection",
            4 << 20,
            "bytes",
            "one event; a larger one travels as a `$cut` that tells its size",
        ),
        Limit("max_subscriptions", "connection", 1024, "", "subscriptions that are open at once"),
        Limit("max_open_requests", "connection", 1024, "", "requests without their whole answer"),
        Limit(
            "requests_per_s",
            "connection",
            200,
            "a second",
            "requests in the long run; more are `rate_limited` until `after_ms` is over",
        ),
        Limit("request_burst", "connection", 1000, "", "requests at once, before `requests_per_s` counts"),
        Limit("hello_timeout_s", "connection", 10, "seconds", "until `hello`; then close 4408"),
        Limit(
            "send_timeout_s",
            "connection",
            5,
            "seconds",
            "in which a client takes nothing though something is to be sent; then it is dropped",
        ),
        Limit("heartbeat_s", "connection", 15, "seconds", "between two WebSocket pings of the server"),
        Limit(
            "disconnect_grace_s",
            "connection",
            10,
            "seconds",
            "that a run with `on_disconnect: cancel` outlives the connection that started it",
        ),
        Limit("max_filter_entries", "connection", 64, "entries", "in each list of a filter"),
        Limit("max_pattern_chars", "connection", 128, "characters", "in each entry of a filter"),
        Limit("log_events", "run", 10_000, "events", "that a log keeps before the oldest fold into its base"),
        Limit("log_bytes", "run", 16 << 20, "bytes", "that a log keeps before the oldest fold into its base"),
        Limit(
            "log_min_age_s",
            "run",
            2,
            "seconds",
            "below which an event is not evicted while the log is below four times its limits",
        ),
        Limit("log_ttl_s", "run", 900, "seconds", "after its end until the whole log folds into its base"),
        Limit(
            "result_ttl_s",
            "run",
            86_400,
            "seconds",
            "after its end until id, row, terminal event and result are forgotten",
        ),
        Limit(
            "interrupt_ttl_s",
            "run",
            86_400,
            "seconds",
            "that an interrupted run waits; then it is `cancelled`, reason `expired`",
        ),
        Limit(
            "max_run_events",
            "run",
            None,
            "events",
            "that a run may produce; beyond it fails with `limit_exceeded`",
        ),
        Limit("max_run_s", "run", None, "seconds", "that a run may take; beyond it fails with `timeout`"),
        Limit(
            "cancel_grace_s",
            "run",
            1,
            "seconds",
            "from `cancel` to the terminal event, however deaf the graph's code is",
        ),
        Limit("max_connections", "principal", 1024, "", "connections at once; one more closes with 4429"),
        Limit("max_active_runs", "principal", 1024, "", "runs that are queued or running"),
        Limit("max_server_runs", "server", 10_000, "", "runs at once on the server; more are `queued`"),
        Limit(
            "store_bytes",
            "server",
            1 << 30,
            "bytes",
            "that the memory store keeps; the oldest ended runs go first",
        ),
        Limit("max_watch_runs", "server", 1000, "", "runs that a `watch` tells of at its beginning"),
        Limit("drain_s", "server", 30, "seconds", "that runs get to end in when the server goes away"),
    )
}
"""Every limit, in the order of the reference."""
