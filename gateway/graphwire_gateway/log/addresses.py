"""Addresses that are read back: the one object that stands for each source of events.

Filters and folds tell sources apart by their ``Address`` objects, since a run's encoder makes one for each.
What is read from a disk has to find the same object again, so that nothing counts as two sources.
"""

import threading
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from graphwire_protocol.filters import Address

Fields: TypeAlias = list[Any]
"""An address as JSON: ``[mode, ns, node, tags]``."""

_Key: TypeAlias = tuple[str, tuple[str, ...], str | None, tuple[str, ...]]

_known: WeakValueDictionary[_Key, Address] = WeakValueDictionary()
_lock = threading.Lock()  # records are packed and read on several threads


def known(address: Address) -> Address:
    """Return the object that stands for the source of ``address``: the first one that was asked for."""
    key = (address.mode, tuple(address.ns), address.node, tuple(address.tags))
    with _lock:
        return _known.setdefault(key, address)


def fields_of(address: Address) -> Fields:
    """Return an address as JSON."""
    return [address.mode, address.ns, address.node, address.tags]


def address_of(fields: Fields) -> Address:
    """Return the object that stands for the source with these fields."""
    mode, ns, node, tags = fields
    return known(Address(mode, tuple(ns), node, tuple(tags)))
