"""graphwire's wire protocol: which frames exist, and when each is legal.

Frozen models of every frame, the filter and its one meaning, the projection of Python values onto JSON, and
the sessions of both sides. This package has no I/O, no clock and no event loop.
"""

from graphwire_protocol.codes import CLOSES, CODES
from graphwire_protocol.errors import Misuse, ProtocolError, Refusal
from graphwire_protocol.filters import Exclude, Filter
from graphwire_protocol.version import MAJOR, MINOR, SUBPROTOCOL, SUBPROTOCOLS

__all__ = [
    "CLOSES",
    "CODES",
    "MAJOR",
    "MINOR",
    "SUBPROTOCOL",
    "SUBPROTOCOLS",
    "Exclude",
    "Filter",
    "Misuse",
    "ProtocolError",
    "Refusal",
]
