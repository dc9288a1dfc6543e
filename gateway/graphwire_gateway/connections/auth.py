"""Who a connection is, and from which pages a browser may connect."""

import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

from graphwire_gateway.errors import CannotServe

ANONYMOUS = "anonymous"
"""Everyone's principal on a server without authentication."""


class Tokens:
    """Static tokens, each of one principal; without any, everyone is ``ANONYMOUS``."""

    def __init__(self, principals: Mapping[str, str] | None = None) -> None:
        self._principals = {token.encode(): principal for token, principal in (principals or {}).items()}

    def __bool__(self) -> bool:
        return bool(self._principals)

    async def principal(self, token: str | None) -> str:
        """Return who ``token`` stands for. Raises ``Refusal(unauthenticated)``."""
        if not self._principals:
            return ANONYMOUS
        given = (token or "").encode()
        found: str | None = None
        for known, principal in self._principals.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(known, given):
                found = principal
        if found is None:
            missing = "this server needs a token: --token, GRAPHWIRE_TOKEN or connect(token=...)"
            reason = missing if token is None else "the token is not known"
            raise Refusal("unauthenticated", reason, close=codes.UNAUTHENTICATED)
        return found


class Origins:
    """The pages whose scripts may connect: those in ``allowed``, ``"*"`` for all, and those that ``pattern``
    matches whole; where neither is given, loopback's.
    """

    def __init__(self, allowed: Sequence[str] | None, *, loopback: bool, pattern: str | None = None) -> None:
        self._loopback = loopback and allowed is None and pattern is None
        if allowed is None and pattern is not None:
            allowed = ()
        self._allowed = None if allowed is None else frozenset(origin.rstrip("/") for origin in allowed)
        try:
            self._pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise CannotServe(f"allowed_origin_regex {pattern!r} is no regular expression: {error}") from None

    def admits(self, origin: str) -> bool:
        """Tell whether a handshake with this ``Origin`` header may go on; without any, it may."""
        if self._allowed is not None:
            return (
                "*" in self._allowed
                or origin.rstrip("/") in self._allowed
                or (self._pattern is not None and self._pattern.fullmatch(origin) is not None)
            )
        try:
            return self._loopback and is_loopback(urlsplit(origin).hostname)
        except ValueError:  # no address at all
            return False


def is_loopback(host: str | None) -> bool:
    """Tell whether a host's name or address is this machine's loopback."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
