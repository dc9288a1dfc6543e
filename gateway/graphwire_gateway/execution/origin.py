"""Where events come from: an address, and the JSON that each event of that address begins with."""

from typing import Any

import orjson
from graphwire_protocol.filters import Address


class Origin:
    """An address that events come from, and the JSON that each of them begins with."""

    __slots__ = ("address", "prefix", "start")

    def __init__(self, address: Address) -> None:
        self.address = address
        head: dict[str, Any] = {"mode": address.mode}
        if address.ns:
            head["ns"] = address.ns
        if address.node is not None:
            head["node"] = address.node
        self.prefix = orjson.dumps(head)[1:-1] + b',"data":'
        self.start = len(self.prefix)
