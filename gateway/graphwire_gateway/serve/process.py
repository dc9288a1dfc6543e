"""What a process that does nothing but serve sets for itself: the interpreter's and the collector's pace."""

import gc
import sys

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while others wait: a tenth of CPython's default, so that a graph
that computes does not make the connections' loop wait for its turns."""

_ALLOCATIONS = 20_000
"""Objects that may come into being before the collector looks at the young ones. Streaming makes many that
die at once by reference counting alone; at CPython's default the collector took half of a token's time."""


def tune() -> None:
    """Set both, once the graphs are imported: their objects stay for good and are looked at no more."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 50)
