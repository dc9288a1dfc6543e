"""graphwire's gateway: serves LangGraph-style graphs over WebSockets.

async with Gateway({"joke": graph}).serve("127.0.0.1", 0) as server:
    ...  # clients connect to server.url
"""

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.gateway import Gateway
from graphwire_gateway.graphs.spec import GraphSpec
from graphwire_gateway.limits import Limits
from graphwire_gateway.server import Server

__all__ = ["CannotServe", "Gateway", "GraphSpec", "Limits", "Server"]
