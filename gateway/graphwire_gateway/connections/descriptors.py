"""Descriptors that connections leave to the rest of the process: files, savers, the clients of graphs.

The system gives a new socket the lowest free number, so that a high one says that few are left.
"""

import asyncio
import contextlib

_RESERVE = 64
"""Descriptors that are left to the rest; of a low limit, a quarter of it."""


def is_short(transport: asyncio.BaseTransport) -> bool:
    """Tell whether a connection has one of the last descriptors, and so should not be kept."""
    return _reaches(transport, 1)


def is_out(transport: asyncio.BaseTransport) -> bool:
    """Tell whether half of what is left to the rest is taken, so that a connection gets no answer either."""
    return _reaches(transport, 2)


def soft_limit() -> int | None:
    """Return how many descriptors the process may have; None if nothing bounds them, or says so."""
    with contextlib.suppress(ImportError, OSError):
        import resource  # Windows has none

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if limit == resource.RLIM_INFINITY else limit
    return None


def _reaches(transport: asyncio.BaseTransport, part: int) -> bool:
    """Tell whether a descriptor is among the reserved ones; with ``part`` 2, among the upper half of them."""
    raw, limit = transport.get_extra_info("socket"), soft_limit()
    return raw is not None and limit is not None and raw.fileno() >= limit - min(_RESERVE, limit // 4) // part
