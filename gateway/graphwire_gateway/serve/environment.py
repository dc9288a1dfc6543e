"""Environment variables: those of files, and ``GRAPHWIRE_`` variables that configure nothing.

A variable that the process already has is never overwritten.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values

from graphwire_gateway.errors import CannotServe

FILE = ".env"
"""The file that is read from the working directory, if it exists."""


def values_of(path: Path) -> dict[str, str]:
    """Return the variables of a file, without those that it gives no value. Raises ``CannotServe``."""
    try:
        variables = dotenv_values(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotServe(f"cannot read {path}: {error}") from None
    return {name: value for name, value in variables.items() if value is not None}


def provide(values: Mapping[str, str]) -> list[str]:
    """Set the variables that the process does not have yet; return the names of the others."""
    already_set = [name for name in values if name in os.environ]
    os.environ.update({name: value for name, value in values.items() if name not in already_set})
    return already_set


_OTHERS = (
    "HOST",
    "PORT",
    "STORE",
    "CONSOLE",
    "WORKER_HOST",
    "WORKER_GROUP",
    "URL",
    "TOKEN",
    "TRACEBACK",
    "DEMO_MODEL",
    "CASE",
    "TASK",
)
"""What graphwire reads beside the configuration's sections."""


def unknown(names: Iterable[str], sections: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a sentence about each ``GRAPHWIRE_`` variable that nothing reads, with what may be meant.

    ``sections`` has the settings of each section of the configuration.
    """
    settings = [f"{section}__{name}" for section, known in sections.items() for name in known]
    known = [name.upper() for name in (*_OTHERS, *sections, *settings)]
    sentences = []
    for name in sorted(names):
        rest = name.removeprefix("GRAPHWIRE_")
        section, has_section, _ = rest.lower().partition("__")
        # Within a section the configuration itself refuses what it does not know.
        if rest == name or rest in known or (has_section and section in sections):
            continue
        close = difflib.get_close_matches(rest, known, n=1)
        meant = f"; did you mean GRAPHWIRE_{close[0]}?" if close else ""
        sentences.append(f"the environment variable {name} is not known and has no effect{meant}")
    return sentences
