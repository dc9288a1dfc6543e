"""What to say of a name that is not known: the similar ones that are."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST = 64  # characters of a name that are compared and shown


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'topic'?``, or nothing if no name in ``known`` is similar."""
    similar = difflib.get_close_matches(name[:_LONGEST], [each for each in known if each != name], n=1)
    return f"; did you mean {similar[0]!r}?" if similar else ""


def shown(name: str) -> str:
    """Return a name as a message shows it: quoted, and cut if it is long."""
    return repr(name[:_LONGEST])


def no_graph(name: str, served: Iterable[str]) -> str:
    """Return the sentence about a graph that a server does not have; ``served`` are those that it has."""
    names = sorted(served)
    meant = did_you_mean(name, names)
    there = f"{meant} This" if meant else "; this"
    return f"no graph {shown(name)}{there} server has: {', '.join(names) or 'none'}"


def choices_of(fault: Mapping[str, Any]) -> list[str]:
    """Return the words that a field takes, from pydantic's error about another one; none for other errors."""
    if fault["type"] != "literal_error":
        return []
    return re.findall(r"'([^']*)'", fault.get("ctx", {}).get("expected", ""))
