"""Which protocol this is: the major version with its codec as a WebSocket subprotocol, and the minor."""

MAJOR = 1
"""Rises when a meaning changes; a client and a server of different majors do not talk."""

MINOR = 1
"""Counts the additions within the major: optional fields, frame types, modes, codes."""

SUBPROTOCOL = f"graphwire.v{MAJOR}.json"
"""The subprotocol token of the handshake: major version and codec."""

SUBPROTOCOLS = (SUBPROTOCOL,)
"""Every token that this package can speak, the preferred one first."""
