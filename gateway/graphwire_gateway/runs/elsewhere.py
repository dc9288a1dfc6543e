"""What other servers have of a principal's runs, where several have a part each."""

from typing import Protocol


class Elsewhere(Protocol):
    """Knows how many runs of a principal are active at other servers, and lets these know of ours."""

    async def active(self, principal: str, own: int) -> int:
        """Let the others know of ``own`` active runs; return how many these have. Raises ``StoreAway``."""

    def note(self, principal: str, count: int) -> None:
        """A principal has so many active runs here."""


class Nowhere:
    """There are no other servers."""

    async def active(self, principal: str, own: int) -> int:
        """Return 0."""
        return 0

    def note(self, principal: str, count: int) -> None:
        """Do nothing."""
