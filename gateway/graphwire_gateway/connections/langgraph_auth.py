"""LangGraph's custom authentication: the ``authenticate`` function of a ``langgraph_sdk.Auth``.

Authorization handlers (``@auth.on``) are not called. A server whose ``Auth`` has some does not start, unless
``ignore_authorization`` is set.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

from graphwire_gateway.connections.auth import NEEDS_TOKEN, Tokens
from graphwire_gateway.connections.http import PATH
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.node_threads import NodeThreads
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
        self._threads: NodeThreads | None = None  # for a function without async code

    def __bool__(self) -> bool:
        return True

    @property
    def are_needed(self) -> bool:
        """Whether no client gets in without a token: the function may accept one without."""
        return False

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
        answering = asyncio.ensure_future(self._answer(arguments))
        try:
            await asyncio.wait([answering], timeout=ANSWER_S)
            answer = answering.result() if answering.done() else TimeoutError(f"no answer in {ANSWER_S:g} s")
        finally:
            answering.cancel()
        if isinstance(answer, BaseException):
            # The log has the reason; the client learns nothing.
            refused = _is_refusal(answer)
            (log.info if refused else log.error)(
                "a token was refused" if refused else "authentication failed",
                error=type(answer).__name__,
                exc_info=None if refused else answer,
            )
            answer = None
        if answer is None:
            reason = NEEDS_TOKEN if token is None else "the token is not accepted"
            raise Refusal("unauthenticated", reason, close=codes.UNAUTHENTICATED)
        return answer

    async def _answer(self, arguments: dict[str, Any]) -> str | BaseException | None:
        """Return the identity, or what the function raised: an exit must end nothing but this."""
        try:
            return _identity(await self._call(arguments))
        except BaseException as error:
            return error

    async def _call(self, arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._authenticate):
            return await self._authenticate(**arguments)
        loop = asyncio.get_running_loop()
        if self._threads is None:
            # Not the loop's own few: one that hangs would keep them from others, and the process alive.
            self._threads = NodeThreads(loop, "graphwire-auth-node")
        call = partial(contextvars.copy_context().run, self._authenticate, **arguments)
        answer = await loop.run_in_executor(self._threads, call)
        return await answer if inspect.isawaitable(answer) else answer


def _is_refusal(error: BaseException) -> bool:
    """Tell whether an exception is the function's way to refuse a token, such as an ``HTTPException``."""
    try:
        return isinstance(error, Exception) and hasattr(error, "status_code")
    except BaseException:
        return False


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
