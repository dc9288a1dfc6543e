"""What is to happen when a node fails or takes too long: said by the author, carried out by `execute`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from graphwire_runtime.clock import chance

__all__ = ["RetryPolicy", "is_passing"]

_LASTING = (
    ArithmeticError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    ReferenceError,
    RuntimeError,
    StopAsyncIteration,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
)
"""Errors that come again when the same is done again."""


def is_passing(error: Exception) -> bool:
    """Whether it may go well next time: a connection that broke, a server's own error, an unknown kind."""
    if isinstance(error, ConnectionError):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status >= 500
    return not isinstance(error, _LASTING)


class RetryPolicy(NamedTuple):
    """When a node that failed is run again, and how long that waits."""

    initial_interval: float = 0.5
    """Seconds before the second attempt."""
    backoff_factor: float = 2.0
    """How many times longer each further wait is."""
    max_interval: float = 128.0
    """Seconds that no wait exceeds."""
    max_attempts: int = 3
    """How often the node is run at most, the first time included."""
    jitter: bool = True
    """Whether up to a second of chance is added, so that those who failed together do not come together."""
    retry_on: type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool] = is_passing
    """The kinds of error, or a function that is asked."""

    def covers(self, error: Exception) -> bool:
        """Whether this error is one to try again after."""
        if isinstance(self.retry_on, type):
            return isinstance(error, self.retry_on)
        if isinstance(self.retry_on, Sequence):
            return isinstance(error, tuple(self.retry_on))
        return self.retry_on(error)

    def wait(self, attempts: int) -> float:
        """Seconds to wait after this many attempts."""
        seconds = min(self.max_interval, self.initial_interval * self.backoff_factor ** (attempts - 1))
        return seconds + chance() if self.jitter else seconds
