"""What an author says about how a node is run: how long, again after which failures, and whether at all.

Failures are `execute`'s to act on, time is `watch`'s, known results are `cache`'s.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from graphwire_runtime.clock import chance
from graphwire_runtime.plan.schema import shown

__all__ = ["CachePolicy", "RetryPolicy", "TimeoutPolicy", "TracePolicy", "input_key", "is_passing"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutPolicy:
    """How long one attempt to run an async node may take, before it is cancelled with NodeTimeoutError."""

    run_timeout: float | timedelta | None = None
    """From its beginning to its end, in seconds."""
    idle_timeout: float | timedelta | None = None
    """Without any progress, in seconds."""
    refresh_on: Literal["auto", "heartbeat"] = "auto"
    """What progress is: with "heartbeat" only calls of `runtime.heartbeat()`; with "auto" also custom data,
    and whatever LangChain's callbacks hear of models, tools and graphs that the node calls."""

    @classmethod
    def of(cls, value: float | timedelta | TimeoutPolicy | None) -> TimeoutPolicy | None:
        """The policy that an author means, with its limits in seconds; None where it limits nothing.

        Raises ValueError for limits that are not positive, TypeError for what is no limit.
        """
        policy = value if isinstance(value, TimeoutPolicy) else cls(run_timeout=value)
        if policy.refresh_on not in ("auto", "heartbeat"):
            raise ValueError(f'refresh_on must be "auto" or "heartbeat", and {policy.refresh_on!r} came')
        run, idle = _seconds("run_timeout", policy.run_timeout), _seconds("idle_timeout", policy.idle_timeout)
        if run is None and idle is None:
            return None
        return cls(run_timeout=run, idle_timeout=idle, refresh_on=policy.refresh_on)


def _seconds(what: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number of seconds or a timedelta, and {shown(value)} came")
    if value <= 0:
        raise ValueError(f"{what} must be more than 0 seconds, and {value} came")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePolicy:
    """What tracers are told in place of a node's input and output; the node itself gets them whole."""

    process_inputs: Callable[[Any], Any] | None = None
    process_outputs: Callable[[Any], Any] | None = None


def input_key(value: Any) -> bytes:
    """The pickled input of a node; mappings and sets that are equal give the same."""
    return pickle.dumps(_sorted(value), protocol=5)


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(key, _sorted(value[key])) for key in sorted(value, key=repr)]
    if isinstance(value, AbstractSet):
        return sorted(map(_sorted, value), key=repr)
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(_sorted, value)]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """That a node given the same input again need not run, if its graph was compiled with a `cache`.

    What is known of a node by then is its update and where it went on to; what it put into its stream writer,
    and the tokens of its models, are not shown again.
    """

    key_func: Callable[[Any], str | bytes] = input_key
    """What tells two inputs apart; by default the input itself, which must then be picklable."""
    ttl: int | None = None
    """Seconds for which a result counts; None for ever."""

    def key(self, name: str, value: Any) -> str:
        """What stands for the input of a node in the cache.

        Raises TypeError where `key_func` made no key of it, and what `key_func` raises.
        """
        try:
            made = self.key_func(value)
        except Exception as error:
            if hasattr(error, "add_note"):
                error.add_note(
                    f"While the input of node {name!r} was made a key for the cache; its cache_policy may "
                    "name another key_func"
                )
            raise
        if isinstance(made, str):
            made = made.encode()
        if not isinstance(made, bytes):
            raise TypeError(
                f"the key_func in the cache_policy of node {name!r} must return a string or bytes, and "
                f"returned {shown(made)}"
            )
        return blake2b(made, digest_size=16).hexdigest()
