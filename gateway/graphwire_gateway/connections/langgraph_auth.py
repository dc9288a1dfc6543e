"""LangGraph's custom authentication: the ``authenticate`` function of a ``langgraph_sdk.Auth`` says who asks.

Its authorization handlers are not called; a server that has some does not start unless told to.
"""

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

from graphwire_gateway.connections.auth import Tokens
from graphwire_gateway.connections.http import PATH
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.telemetry import logger

log = logger("auth")

ANSWER_S = 10.0
"""How long an authentication function may take."""

GIVEN = ("authorization", "headers", "method", "path", "path_params", "query_params")
"""What an authentication function may ask for, by the names of its parameters."""


class Authenticated(Tokens):
    """Asks the ``authenticate`` function of a ``langgraph_sdk.Auth`` whom a token stands for."""

    def __init__(self, auth: Any, source: str, *, ignore_authorization: bool = False) -> None:
        super().__init__()
        authenticate = getattr(auth, "_authenticate_handler", None)
        if authenticate is None:
            missing = (
                "has no @auth.authenticate function" if hasattr(auth, "on") else "is no langgraph_sdk.Auth"
            )
            raise CannotServe(f"auth: {source} {missing}")
        rules = _rules(auth)
        if rules and not ignore_authorization:
            raise CannotServe(
                f"auth: {source} has authorization handlers (@auth.on: {', '.join(rules)}), which graphwire "
                "does not call, so that what they forbid would be allowed. Each principal sees its own runs "
                "and threads alone, whatever they say. If that is enough, say so: [auth] "
                "ignore_authorization = true in graphwire.toml, or GRAPHWIRE_AUTH__IGNORE_AUTHORIZATION=true"
            )
        self._authenticate = authenticate
        self._names = _parameters(authenticate, source)

    def __bool__(self) -> bool:
        return True

    async def principal(self, token: str | None) -> str:
        """Return the identity that the function tells. Raises ``Refusal(unauthenticated)``."""
        header = None if token is None else f"Bearer {token}"
        request = {
            "authorization": header,
            "headers": {} if header is None else {b"authorization": header.encode()},
            "method": "GET",
            "path": PATH,
            "path_params": {},
            "query_params": {},
        }
        given = {name: request[name] for name in self._names}
        try:
            identity = _identity(await asyncio.wait_for(self._ask(given), ANSWER_S))
        except Exception as error:
            # Only the log learns why; who is not let in learns nothing.
            refused = hasattr(error, "status_code")
            (log.info if refused else log.error)(
                "a token was refused" if refused else "authentication failed",
                error=type(error).__name__,
                exc_info=None if refused else error,
            )
            identity = None
        if identity is None:
            missing = "this server needs a token: --token, GRAPHWIRE_TOKEN or connect(token=...)"
            reason = missing if token is None else "the token is not accepted"
            raise Refusal("unauthenticated", reason, close=codes.UNAUTHENTICATED)
        return identity

    async def _ask(self, given: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._authenticate):
            return await self._authenticate(**given)
        answer = await asyncio.to_thread(self._authenticate, **given)
        return await answer if inspect.isawaitable(answer) else answer


def _rules(auth: Any) -> list[str]:
    rules = [f"{resource}.{action}" for resource, action in getattr(auth, "_handlers", {})]
    return (["everything"] if getattr(auth, "_global_handlers", ()) else []) + sorted(rules)


def _parameters(authenticate: Any, source: str) -> list[str]:
    names = []
    for parameter in inspect.signature(authenticate).parameters.values():
        if parameter.name in GIVEN:
            names.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            raise CannotServe(
                f"auth: the authenticate function of {source} takes {parameter.name!r}, which a WebSocket's "
                f"hello does not have; it may take: {', '.join(GIVEN)}"
            )
    return names


def _identity(answer: Any) -> str | None:
    """Return the identity of what LangGraph takes for a user: a text, a mapping or an object."""
    if isinstance(answer, Mapping):
        told, is_known = answer.get("identity"), answer.get("is_authenticated", True)
    elif isinstance(answer, str):
        told, is_known = answer, True
    else:
        told, is_known = getattr(answer, "identity", None), getattr(answer, "is_authenticated", True)
    return told if is_known and isinstance(told, str) and told else None
