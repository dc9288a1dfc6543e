"""What a configuration leaves open to strangers: what stops the start, and what is only named, loudly.

``auth`` has the checks without which nobody could be told apart: empty tokens, patterns that are none.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.telemetry import logger

log = logger("server")

MIN_TOKEN_CHARS = 16
"""A shorter token is warned of: who guesses long enough finds it."""

_VARIABLE = re.compile(r"\$\{?\w+\}?|\$\(.*\)|%\w+%|\{\{.*\}\}", re.ASCII)
"""What stands for a value in other files, and is taken as it is in a configuration of this server."""

_DOMAIN = re.compile(r"[a-z0-9-]+(?:\\?\.[a-z0-9-]+)+", re.IGNORECASE)


def check_start(host: str, *, is_loopback: bool, has_authentication: bool, insecure: bool) -> None:
    """Raise ``CannotServe`` where strangers could run the graphs and nobody has said that they may."""
    if is_loopback or has_authentication:
        return
    if not insecure:
        raise CannotServe(
            f"{host} is not a loopback address and there is no authentication: anybody could run these "
            "graphs. Set tokens ([auth] tokens, Gateway(tokens=...)), or pass --insecure (insecure=True)"
        )
    log.warning("anybody who reaches this server can run its graphs: there is no authentication", host=host)


def check_tokens(principals: Mapping[str, str]) -> None:
    """Warn of tokens that can be guessed. Raises ``CannotServe`` for one that is a variable's name."""
    for token, principal in principals.items():
        if _VARIABLE.fullmatch(token.strip()):
            raise CannotServe(
                f"the token of {principal!r} is the text {token!r}, in which nothing is replaced: anybody "
                "could guess it. Write the token itself, or set GRAPHWIRE_AUTH__TOKENS in the environment"
            )
    short = sorted({name for token, name in principals.items() if len(token) < MIN_TOKEN_CHARS})
    if short:
        log.warning(
            f"tokens of fewer than {MIN_TOKEN_CHARS} characters can be guessed; make some with: "
            "python -c 'import secrets; print(secrets.token_urlsafe())'",
            principals=", ".join(short),
        )


def check_origins(
    allowed: Sequence[str] | None, pattern: str | None, *, has_authentication: bool, has_console: bool = False
) -> None:
    """Warn of origins that let pages of strangers connect, and of none at all beside the console."""
    if has_console and allowed is not None and len(allowed) == 0:
        log.warning(
            "the console is served and cannot connect: allowed_origins is empty, which admits no page. List "
            "the origins of the console, or do without it (--no-console)"
        )
    if "*" in (allowed or ()) and not has_authentication:
        log.warning(
            "any page that somebody visits on this machine can run these graphs: allowed_origins is '*', and "
            "there is no authentication. List the pages' origins, or set [auth] tokens"
        )
    if "null" in (allowed or ()):
        log.warning(
            "allowed_origins admits 'null', which is the origin of any page in a sandboxed frame or a file"
        )
    strangers = [] if pattern is None else [page for page in _strangers(pattern) if _fits(pattern, page)]
    if strangers:
        log.warning(
            "allowed_origin_regex admits pages of strangers; does it lack a domain's end, or a backslash "
            "before a dot?",
            allowed_origin_regex=pattern,
            for_example=strangers[0],
        )


def _strangers(pattern: str) -> Iterable[str]:
    """Return origins that nobody means: any, and such as look like the domains in the pattern."""
    for scheme in ("https://", "http://"):
        yield f"{scheme}stranger.invalid"
        yield f"{scheme}stranger.invalid:8000"
        for found in _DOMAIN.findall(pattern):
            domain = found.replace("\\", "")
            first, _, rest = domain.partition(".")
            yield f"{scheme}stranger{domain}"
            yield f"{scheme}{domain}.stranger.invalid"
            yield f"{scheme}{domain}stranger.invalid"
            yield f"{scheme}{first}x{rest}"
            yield f"{scheme}www.{first}x{rest}"


def _fits(pattern: str, page: str) -> bool:
    return re.fullmatch(pattern, page) is not None


def open_behind_a_proxy(*, has_authentication: bool, exposes_errors: bool) -> list[str]:
    """Return what a server on a loopback address leaves open if a proxy brings clients from elsewhere."""
    found = []
    if not has_authentication:
        found.append("anybody can run its graphs without a token (set [auth] tokens)")
    if exposes_errors:
        found.append("clients see the texts of exceptions (set [server] expose_errors = false)")
    return found
