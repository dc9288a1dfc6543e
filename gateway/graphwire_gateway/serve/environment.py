"""Files of environment variables. What the process has already wins over any of them."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from graphwire_gateway.errors import CannotServe

FILE = ".env"
"""What is read from the working directory, if it is there."""


def values_of(path: Path) -> dict[str, str]:
    """Return the variables of a file. Raises ``CannotServe``."""
    try:
        read = dotenv_values(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotServe(f"cannot read {path}: {error}") from None
    return {name: value for name, value in read.items() if value is not None}


def provide(values: Mapping[str, str]) -> list[str]:
    """Set the variables that the process has not; return those that it has."""
    had = [name for name in values if name in os.environ]
    os.environ.update({name: value for name, value in values.items() if name not in had})
    return had
