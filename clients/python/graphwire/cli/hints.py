"""Commands that a person may paste, with what it takes to reach the same server from the same shell.

No hint shows a token: one that was given as an option has to be in the environment when the hint is pasted.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphwire.cli.options import DEFAULT_URL, TOKEN_VARIABLE, URL_VARIABLE

_WIDTH = 80
_BREAK = " \\"
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Hints:
    """Makes hints for the server and the token with which a command was called."""

    url: str
    token: str | None

    def to(self, purpose: str, *words: str) -> str:
        """Return ``purpose`` and, on lines of their own, this program with ``words``."""
        needs_token = self.token is not None and self.token != os.environ.get(TOKEN_VARIABLE)
        setting = f", with {TOKEN_VARIABLE} set" if needs_token else ""
        is_reached_without = self.url == DEFAULT_URL == os.environ.get(URL_VARIABLE, DEFAULT_URL)
        address = [] if is_reached_without else [f"--url {shlex.quote(self.url)}"]
        head, *rest = map(shlex.quote, words)
        return "\n".join([f"{purpose}{setting}:", *broken([program(), head, *address, *rest])])


def program() -> str:
    """Return how to call this program from here: by its name if the shell finds it, else by its path."""
    path, found = Path(sys.argv[0]), shutil.which("graphwire")
    if path.name == "__main__.py" and found is None:
        return "python -m graphwire"
    if path.name != "graphwire" or (found is not None and Path(found).resolve() == path.resolve()):
        return "graphwire"
    return shlex.quote(os.path.relpath(path))


def broken(parts: Sequence[str], width: int = _WIDTH) -> list[str]:
    """Return a command as lines of at most ``width`` columns that a shell reads as one; no part is broken."""
    lines = [_INDENT + parts[0]]
    for part in parts[1:]:
        if os.name != "nt" and len(lines[-1]) + 1 + len(part) + len(_BREAK) > width:
            lines[-1] += _BREAK
            lines.append(_INDENT * 2 + part)
        else:
            lines[-1] += f" {part}"
    return lines
