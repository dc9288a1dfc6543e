"""The announced limits, under their names in ``welcome.limits`` and in ``[limits]`` of the configuration."""

from typing import Annotated

from graphwire_protocol.server import Allowed
from pydantic import BaseModel, ConfigDict, Field

from graphwire_gateway.log.memory import LogLimits

Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """What a connection, a run and a principal may use. Names that end in ``_s`` are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # a connection
    max_frame_bytes: Bytes = 1 << 20
    max_event_bytes: Bytes = 4 << 20
    max_subscriptions: Count = 1024
    max_open_requests: Count = 1024
    requests_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 200
    request_burst: Count = 1000
    hello_timeout_s: Seconds = 10
    send_timeout_s: Seconds = 5
    heartbeat_s: Seconds = 15
    disconnect_grace_s: Grace = 10
    max_filter_entries: Count = 64
    max_pattern_chars: Count = 128
    # a run
    log_events: Count = 10_000
    log_bytes: Bytes = 16 << 20
    log_min_age_s: Grace = 2
    log_ttl_s: Grace = 900
    result_ttl_s: Grace = 86_400
    interrupt_ttl_s: Grace = 86_400
    max_run_events: Count | None = None
    max_run_s: Seconds | None = None
    cancel_grace_s: Grace = 1
    # a principal, the server
    max_connections: Count = 1024
    max_active_runs: Count = 1024
    max_server_runs: Count = 10_000
    store_bytes: Bytes = 1 << 30
    max_watch_runs: Count = 1000
    drain_s: Grace = 30

    def of_session(self) -> Allowed:
        """Return the limits that the protocol's session keeps."""
        return Allowed(**{name: getattr(self, name) for name in Allowed.__dataclass_fields__})

    def of_log(self) -> LogLimits:
        """Return the limits of one log."""
        return LogLimits(self.log_events, self.log_bytes, self.log_min_age_s)
