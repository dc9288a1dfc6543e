"""What the URL of a server may hold: no token, since logs and histories keep URLs. Both ends refuse one."""

import re
from typing import Final
from urllib.parse import unquote_plus

TOKEN_IN_URL: Final = (
    "the URL holds a token, which logs would keep; it belongs in hello: the option token of connect(), "
    "--token"
)
"""What is said of such a URL. It fits into a close frame, and repeats nothing of the URL."""

_SECRETS: Final = re.compile(r"token|jwt|bearer|passw|secret|credential|api.?key|^key$|^auth", re.IGNORECASE)


def holds_token(url: str) -> bool:
    """Tell whether a URL, or a request's target, has a user or a parameter that is named like a secret."""
    address, _, query = url.partition("#")[0].partition("?")
    authority = address.partition("://")[2].partition("/")[0]
    names = (unquote_plus(pair.partition("=")[0]) for pair in re.split("[&;]", query))
    return "@" in authority or any(map(_SECRETS.search, names))
