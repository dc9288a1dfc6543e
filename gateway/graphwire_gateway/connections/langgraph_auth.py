"""LangGraph's custom authentication: the ``authenticate`` function of a ``langgraph_sdk.Auth``.

Authorization handlers (``@auth.on``) are not called. A server whose ``Auth`` has some does not start, unless
``ignore_authorization`` is set.
"""

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

from graphwire_gateway.connections.auth import NEEDS_TOKEN, Tokens
from graphwire_gateway.connections.http import PATH
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.telemetry import RateLimitedLogger, logger

log = RateLimitedLogger(logger("auth"))

ANSWER_S = 10.0
"""How long the ``authenticate`` function may take."""

PARAMETERS = ("authorization", "headers", "method", "path", "path_params", "query_params")
"""The parameters that an ``authenticate`` function may have."""


class Authenticated(Tokens):
    """Tokens that the ``authenticate`` function of a ``langgraph_sdk.Auth`` checks.

    ``source`` is where ``auth`` comes from, for error messages. Raises ``CannotServe`` for an ``auth``
    without an ``authenticate`` function, for one that requires other parameters than ``PARAMETERS``, and for
    one with authorization handlers unless ``ignore_authorization`` is true.
    """

    def __init__(self, auth: Any, source: str, *, ignore_authorization: bool = False) -> None:
        super().__init__()
        authenticate = getattr(auth, "_authenticate_handler", None)
        if authenticate is None:
            missing = (
                "has no @auth.authenticate function" if hasattr(auth, "on") else "is not a langgraph_sdk.Auth"
            )
            raise CannotServe(f"auth: {source} {missing}")
        rules = _rules(auth)
        if rules and not ignore_authorization:
            raise CannotServe(
                f"auth: {source} has authorization handlers (@auth.on: {', '.join(rules)}), which "
                "graphwire does not call: what they forbid would be allowed. In any case each principal sees "
                "only its own runs and threads. If that is enough, set [auth] ignore_authorization = true in "
                "graphwire.toml, or GRAPHWIRE_AUTH__IGNORE_AUTHORIZATION=true"
            )
        self._authenticate = authenticate
        self._names = _parameters(authenticate, source)

    def __bool__(self) -> bool:
        return True

    async def principal(self, token: str | None) -> str:
        """Return the user's identity.

        Raises ``Refusal`` with code ``unauthenticated``, whatever went wrong.
        """
        header = None if token is None else f"Bearer {token}"
        request = {
            "authorization": header,
            "headers": {} if header is None else {b"authorization": header.encode()},
            "method": "GET",
            "path": PATH,
            "path_params": {},
            "query_params": {},
        }
        arguments = {name: request[name] for name in self._names}
        try:
            identity = _identity(await asyncio.wait_for(self._call(arguments), ANSWER_S))
        except Exception as error:
            # The log has the reason; the client learns nothing.
            refused = hasattr(error, "status_code")
            (log.info if refused else log.error)(
                "a token was refused" if refused else "authentication failed",
                error=type(error).__name__,
                exc_info=None if refused else error,
            )
            identity = None
        if identity is None:
            reason = NEEDS_TOKEN if token is None else "the token is not accepted"
            raise Refusal("unauthenticated", reason, close=codes.UNAUTHENTICATED)
        return identity

    async def _call(self, arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._authenticate):
            return await self._authenticate(**arguments)
        answer = await asyncio.to_thread(self._authenticate, **arguments)
        return await answer if inspect.isawaitable(answer) else answer


def _rules(auth: Any) -> list[str]:
    """Return what the authorization handlers are for, such as ``threads.create``."""
    rules = [f"{resource}.{action}" for resource, action in getattr(auth, "_handlers", {})]
    return (["everything"] if getattr(auth, "_global_handlers", ()) else []) + sorted(rules)


def _parameters(authenticate: Any, source: str) -> list[str]:
    """Return the parameters to pass. Raises ``CannotServe`` for one that there is no argument for."""
    names = []
    for parameter in inspect.signature(authenticate).parameters.values():
        if parameter.name in PARAMETERS:
            names.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            raise CannotServe(
                f"auth: the authenticate function of {source} takes {parameter.name!r}, which a WebSocket's "
                f"hello does not have; it may take: {', '.join(PARAMETERS)}"
            )
    return names


def _identity(answer: Any) -> str | None:
    """Return the identity of a user, which is a string, a mapping or an object; None for anything else."""
    if isinstance(answer, Mapping):
        identity, is_known = answer.get("identity"), answer.get("is_authenticated", True)
    elif isinstance(answer, str):
        identity, is_known = answer, True
    else:
        identity, is_known = getattr(answer, "identity", None), getattr(answer, "is_authenticated", True)
    return identity if is_known and isinstance(identity, str) and identity else None
