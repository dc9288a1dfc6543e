"""Settings for a process that only serves: the thread switch interval and the garbage collector."""

import gc
import sys

SWITCH_S = 0.0005
"""Seconds that a thread may hold the interpreter while others wait. A tenth of CPython's default, so that a
graph that computes does not delay the main loop."""

_ALLOCATIONS = 20_000
"""Allocations between two collections of the youngest generation. Streaming makes many objects that reference
counting frees at once; at CPython's default the collector took half of the time spent on a token."""


def tune() -> None:
    """Apply the settings.

    Call it once the graphs are imported: objects that exist now are never collected.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 50)
