"""The settings of the announced limits: ``[limits]`` of the configuration."""

from dataclasses import dataclass

from graphwire_protocol.limits import DEFAULTS, AnnouncedLimits


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much of a log is kept: ``events`` and ``bytes``, softly for what is younger than ``min_age_s``."""

    events: int = DEFAULTS.log_events
    bytes: int = DEFAULTS.log_bytes
    min_age_s: float = DEFAULTS.log_min_age_s


class Limits(AnnouncedLimits):
    """What a connection, a run and a principal may use. Names that end in ``_s`` are seconds."""

    def of_log(self) -> LogLimits:
        """Return the limits of one log."""
        return LogLimits(self.log_events, self.log_bytes, self.log_min_age_s)
