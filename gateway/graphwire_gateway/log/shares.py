"""How much each log may keep, when all of them together have too much."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

FLOOR = 4096
"""Bytes of a log that are left to it when the store has too many."""


def shares(logs: Iterable[tuple[str, int]], sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Return how large each log may be, of principals with too much, if all are to have ``total`` bytes.

    ``logs`` are the principal and the size of each log, ``sizes`` what the logs of each principal take.
    """
    most = _share(list(sizes.values()), total)
    of: defaultdict[str, list[int]] = defaultdict(list)
    for principal, size in logs:
        if sizes[principal] > most:
            of[principal].append(size)
    return {principal: max(_share(sizes_of, most), FLOOR) for principal, sizes_of in of.items()}


def _share(sizes: Sequence[int], total: int) -> int:
    """Return the most bytes that each may have, if all together are to have ``total``; not below 0."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left >= total:
            return max(total, 0) // left
        total -= size
        left -= 1
    return total
