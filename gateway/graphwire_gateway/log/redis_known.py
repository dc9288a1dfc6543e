"""What a store knows, without asking, of a log in Redis that it writes."""

from graphwire_protocol.types import Seq


class Known:
    """The numbers of a log, as the last answer of the server had them."""

    __slots__ = ("base_size", "epoch", "evicted", "head", "principal", "size")

    def __init__(self, run: str, epoch: str) -> None:
        self.principal = run.rpartition("/")[0]
        self.epoch = epoch
        self.head: Seq = 0
        self.evicted: Seq = 0
        self.size = 0
        """Bytes of the records behind ``evicted``."""
        self.base_size = 0

    @property
    def count(self) -> int:
        """Return how many records there are behind ``evicted``."""
        return self.head - self.evicted

    @property
    def total(self) -> int:
        """Return the bytes of all that is kept."""
        return self.size + self.base_size
