"""Authentication by token, and the origins of the pages that may connect."""

import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

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

    @property
    def are_needed(self) -> bool:
        """Whether no client gets in without a token."""
        return bool(self)

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


OwnPage: TypeAlias = Literal["any", "proven"] | None
"""Which pages that this server itself may have served can connect; ``Origins`` explains them."""


class Origins:
    """The origins of the pages whose scripts may connect.

    ``allowed`` lists them, ``"*"`` allows all; ``pattern`` is a regular expression that matches the whole
    origin. If ``loopback`` is true, pages from this machine may connect as well, unless ``allowed`` is empty.
    Only ``allowed`` admits what is not written as an origin is, ``scheme://host`` or ``scheme://host:port``.
    Raises ``CannotServe`` for a wrong pattern; ``openings`` warns of one that admits strangers.

    ``own`` is for the console, a page whose origin is the host that its request names, and is admitted unless
    ``allowed`` is empty. A stranger's page can look the same: its name first leads to a server of the
    stranger, and then to this one (DNS rebinding). So ``"any"`` is for servers whose clients need a token,
    which such a page does not have. ``"proven"`` admits only what no stranger's name can become: an IP
    address, a name of loopback, and a name under ``https``, which has a certificate. ``None`` admits none.
    """

    def __init__(
        self,
        allowed: Sequence[str] | None,
        *,
        loopback: bool,
        pattern: str | None = None,
        own: OwnPage = None,
    ) -> None:
        admits_pages = allowed is None or len(allowed) > 0
        self._loopback = loopback and admits_pages
        self._own = own if admits_pages else None
        self._allowed = frozenset(origin.rstrip("/") for origin in allowed or ())
        try:
            self._pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise CannotServe(
                f"allowed_origin_regex {pattern!r} is not a regular expression: {error}"
            ) from None

    def admits(self, origin: str, host: str | None = None) -> bool:
        """Return whether a handshake with this ``Origin`` header may continue. One without the header may.

        ``host`` is the ``Host`` header, None if there is not exactly one.
        """
        if "*" in self._allowed or origin.rstrip("/") in self._allowed:
            return True
        parts = _ORIGIN.fullmatch(origin)
        if parts is None:
            return False
        name = parts["host"].strip("[]")
        return (
            self._fits(origin)
            or (self._loopback and is_loopback(name))
            or (self._is_own(name, origin) and _names(host, origin))
        )

    def _is_own(self, name: str, origin: str) -> bool:
        return self._own == "any" or (self._own == "proven" and _is_proven(name, origin))

    def _fits(self, origin: str) -> bool:
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None


def own_page(tokens: Tokens, *, is_loopback: bool) -> OwnPage:
    """Return which of its own pages a server with the console admits.

    Only this machine reaches a server on loopback, so strangers' pages are what it has to fear. It admits no
    name at all without authentication, and not every name if a client may get in without a token.
    """
    if tokens.are_needed or (tokens and not is_loopback):
        return "any"
    return "proven" if tokens or not is_loopback else None


def _names(host: str | None, origin: str) -> bool:
    """Tell whether a ``Host`` header names the host and port of an origin; a proxy may add the usual port."""
    scheme, _, authority = origin.partition("://")
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return host is not None and host.lower().removesuffix(usual) == authority


def _is_proven(name: str, origin: str) -> bool:
    return origin.startswith("https://") or is_loopback(name) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


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
