"""Files of environment variables. A variable that the process already has is never overwritten."""

import os
from collections.abc import Mapping
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
