"""How a home knows a gateway, and for which principal it speaks: by the token of its ``hello``."""

import hmac

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

from graphwire_gateway.connections.auth import Tokens


def home_token(secret: str, shard: int, principal: str) -> str:
    """Return the token by which a gateway speaks for ``principal`` to the home of ``shard``."""
    return f"{secret}/{shard}/{principal}"


class HomeTokens(Tokens):
    """The tokens of gateways, for the home of ``shard``: an address may be another home's by now."""

    def __init__(self, secret: str, shard: int) -> None:
        super().__init__()
        self._beginning = home_token(secret, shard, "").encode()

    def __bool__(self) -> bool:
        return True

    async def principal(self, token: str | None) -> str:
        """Return for whom a gateway speaks. Raises ``Refusal`` with code ``unauthenticated``."""
        given = (token or "").encode()
        size = len(self._beginning)
        if not hmac.compare_digest(given[:size], self._beginning):
            message = "this address is for gateways; clients connect to one of them"
            raise Refusal("unauthenticated", message, close=codes.UNAUTHENTICATED)
        return given[size:].decode()
