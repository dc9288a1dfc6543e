"""Authentication by token, and the origins of the pages that may connect."""

import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

from graphwire_gateway.errors import CannotServe

ANONYMOUS = "anonymous"
"""The principal of every connection to a server without authentication."""


NEEDS_TOKEN = (
    "this server needs a token: connect(token=...) in a program, --token or GRAPHWIRE_TOKEN on the command "
    "line; HTTP headers are not read for it"
)
"""The answer to a client without a token."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
"""An origin as browsers write it, in lower case."""


class Tokens:
    """Static tokens.

    ``principals`` maps each token to its principal. Without any, every connection is ``ANONYMOUS``, and the
    object is false. Raises ``CannotServe`` for an empty token.
    """

    def __init__(self, principals: Mapping[str, str] | None = None) -> None:
        for token, principal in (principals or {}).items():
            if not token.strip():
                raise CannotServe(
                    f"the token of {principal!r} is empty: a client without a token would be {principal!r}. "
                    "Set it, for example by the environment variable that it is read from"
                )
        self._principals = {token.encode(): principal for token, principal in (principals or {}).items()}

    def __bool__(self) -> bool:
        return bool(self._principals)

    async def principal(self, token: str | None) -> str:
        """Return the principal of a token. Raises ``Refusal`` with code ``unauthenticated``."""
        if not self._principals:
            return ANONYMOUS
        given = (token or "").encode()
        found: str | None = None
        for known, principal in self._principals.items():  # all of them: the time taken reveals nothing
            if hmac.compare_digest(known, given):
                found = principal
        if found is None:
            reason = NEEDS_TOKEN if token is None else "the token is not known"
            raise Refusal("unauthenticated", reason, close=codes.UNAUTHENTICATED)
        return found


class Origins:
    """The origins of the pages whose scripts may connect.

    ``allowed`` lists them, ``"*"`` allows all; ``pattern`` is a regular expression that matches the whole
    origin. If ``loopback`` is true, pages from this machine may connect as well, unless ``allowed`` is empty.
    Only ``allowed`` admits what is not written as an origin is, ``scheme://host`` or ``scheme://host:port``.
    Raises ``CannotServe`` for a wrong pattern; ``openings`` warns of one that admits strangers.
    """

    def __init__(self, allowed: Sequence[str] | None, *, loopback: bool, pattern: str | None = None) -> None:
        self._loopback = loopback and (allowed is None or len(allowed) > 0)
        self._allowed = frozenset(origin.rstrip("/") for origin in allowed or ())
        try:
            self._pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise CannotServe(
                f"allowed_origin_regex {pattern!r} is not a regular expression: {error}"
            ) from None

    def admits(self, origin: str) -> bool:
        """Return whether a handshake with this ``Origin`` header may continue. One without the header may."""
        if "*" in self._allowed or origin.rstrip("/") in self._allowed:
            return True
        parts = _ORIGIN.fullmatch(origin)
        if parts is None:
            return False
        return self._fits(origin) or (self._loopback and is_loopback(parts["host"].strip("[]")))

    def _fits(self, origin: str) -> bool:
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None


def is_loopback(host: str | None) -> bool:
    """Return whether a host's name or address is this machine's loopback."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
