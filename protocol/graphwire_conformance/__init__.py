"""The conformance kit: is this a graphwire server, is this a graphwire client?

It trusts no other code of this package: it speaks over plain WebSockets, keeps plain cursors of its own, and
what it expects is written out as data, in ``data/``, for other languages to use as well. ``server`` judges a
server, ``client`` judges a client with a scripted server.
"""

__all__: list[str] = []
