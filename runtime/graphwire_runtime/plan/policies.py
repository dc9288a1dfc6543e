"""Policies: how long a node may take, after which failures it runs again, and whether it need run at all.

`drive.execute` acts on retry policies, `drive.timeout` on timeouts, `drive.cache` on cache policies and
`drive.trace` on trace policies.
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
from graphwire_runtime.foreign.words import twin
from graphwire_runtime.plan.schema import shown

__all__ = [
    "CachePolicy",
    "RetryPolicy",
    "TimeoutPolicy",
    "TracePolicy",
    "input_key",
    "is_passing",
    "omit_payload",
]

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
"""Errors that would come again: they lie in the code or in its input."""


def is_passing(error: Exception) -> bool:
    """Whether another attempt may succeed: after a broken connection, HTTP status 5xx, an unknown error."""
    if isinstance(error, ConnectionError):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status >= 500
    return not isinstance(error, _LASTING)


class RetryPolicy(NamedTuple):
    """After which errors a node runs again, and when."""

    initial_interval: float = 0.5
    """Seconds before the second attempt."""
    backoff_factor: float = 2.0
    """Each further wait is this many times longer."""
    max_interval: float = 128.0
    """The longest wait before jitter, in seconds."""
    max_attempts: int = 3
    """How often the node runs at most, including the first time."""
    jitter: bool = True
    """Whether up to a second is added at random, so that nodes that failed together do not retry together."""
    retry_on: type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool] = is_passing
    """The kinds of error, or a function that decides."""

    def covers(self, error: Exception) -> bool:
        """Whether the node runs again after this error."""
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
    """How long one attempt to run an async node may take before it fails with NodeTimeoutError."""

    run_timeout: float | timedelta | None = None
    """For the whole attempt, in seconds."""
    idle_timeout: float | timedelta | None = None
    """Without any progress, in seconds."""
    refresh_on: Literal["auto", "heartbeat"] = "auto"
    """What counts as progress: with "heartbeat" only calls of `runtime.heartbeat()`; with "auto" also custom
    data and any LangChain callback of the models, tools and graphs that the node calls."""

    @classmethod
    def of(cls, value: float | timedelta | TimeoutPolicy | None) -> TimeoutPolicy | None:
        """The policy for an argument `timeout`, with limits in seconds; None if it limits nothing.

        A number, in seconds, or a timedelta is a `run_timeout`.

        Raises ValueError for a limit that is not positive, TypeError for anything else.
        """
        value = twin(value, TimeoutPolicy)
        policy = value if isinstance(value, TimeoutPolicy) else cls(run_timeout=value)
        if policy.refresh_on not in ("auto", "heartbeat"):
            raise ValueError(f'refresh_on must be "auto" or "heartbeat", got {policy.refresh_on!r}')
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
        raise TypeError(f"{what} must be a number of seconds or a timedelta, got {shown(value)}")
    if value <= 0:
        raise ValueError(f"{what} must be more than 0 seconds, got {value}")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePolicy:
    """What tracers see in place of a node's input and output. The node itself is not affected."""

    process_inputs: Callable[[Any], Any] | None = None
    process_outputs: Callable[[Any], Any] | None = None


def omit_payload(_: Any) -> dict[str, Any]:
    """For a TracePolicy: tracers see nothing of the input or output."""
    return {}


def input_key(*args: Any, **kwargs: Any) -> bytes:
    """The pickled input of a node, or arguments of a call; the order of mappings and sets does not matter."""
    return pickle.dumps(_sorted((args, kwargs) if kwargs or len(args) != 1 else args[0]), protocol=5)


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
    """A node need not run again with the same input, if its graph was compiled with a `cache`.

    Its update and where it led are taken from the cache. What it put into its stream writer, and the tokens
    of its models, are not shown again.
    """

    key_func: Callable[..., str | bytes] = input_key
    """Makes the key of an input, or of the arguments of a `task`; by default these themselves, pickled."""
    ttl: int | None = None
    """Seconds for which a result is valid, None for ever."""

    def key(self, name: str, *args: Any, **kwargs: Any) -> str:
        """The key of an input in the cache.

        Args:
            name: of the node, for errors.
            args: its input; the arguments of a call.
            kwargs: the other arguments of a call.

        Raises TypeError if `key_func` returns no string or bytes, and whatever `key_func` raises.
        """
        try:
            made = self.key_func(*args, **kwargs)
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
