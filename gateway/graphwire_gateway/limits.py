"""The settings of the announced limits: ``[limits]`` of the configuration."""

from graphwire_protocol.limits import AnnouncedLimits

from graphwire_gateway.log.memory import LogLimits


class Limits(AnnouncedLimits):
    """What a connection, a run and a principal may use. Names that end in ``_s`` are seconds."""

    def of_log(self) -> LogLimits:
        """Return the limits of one log."""
        return LogLimits(self.log_events, self.log_bytes, self.log_min_age_s)
