"""What a process that was replaced cannot pass."""

from typing import NamedTuple


class Fence(NamedTuple):
    """Who writes, to a store that others may take over.

    Under ``key`` the server has a number, and once that is greater than ``number``, another process has what
    this one had.
    """

    key: str
    number: int
