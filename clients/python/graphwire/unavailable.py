"""Methods of a local graph that ``RemoteGraph`` does not have, each with what to use instead."""

from typing import NoReturn

_EVENTS = "astream() with a list of stream modes yields tokens, updates and tasks"
_BATCH = "call ainvoke() for each input, in asyncio.gather(): the runs share the connection"
_CONFIG = "pass config= with each call"
_DRAWING = "draw the graph in the process where it is built"
_SUBGRAPHS = "aget_state(config, subgraphs=True) has the states of the subgraphs that wait"
_UPDATES = "call aupdate_state() for each update"
_CHAIN = "await its ainvoke() in a function, and put that function there"
_SCHEMAS = "client.graphs() returns the schemas of every graph"
_SERVERS = "it belongs to the server"

_INSTEAD = {
    "astream_events": _EVENTS,
    "stream_events": _EVENTS,
    "astream_log": _EVENTS,
    "batch": _BATCH,
    "abatch": _BATCH,
    "batch_as_completed": _BATCH,
    "abatch_as_completed": _BATCH,
    "with_config": _CONFIG,
    "bind": _CONFIG,
    "get_graph": _DRAWING,
    "aget_graph": _DRAWING,
    "get_subgraphs": _SUBGRAPHS,
    "aget_subgraphs": _SUBGRAPHS,
    "bulk_update_state": _UPDATES,
    "abulk_update_state": _UPDATES,
    "pipe": _CHAIN,
    "as_tool": _CHAIN,
    "with_retry": _CHAIN,
    "with_fallbacks": _CHAIN,
    "get_input_jsonschema": _SCHEMAS,
    "get_output_jsonschema": _SCHEMAS,
    "get_context_jsonschema": _SCHEMAS,
    "checkpointer": _SERVERS,
    "store": _SERVERS,
    "nodes": _SERVERS,
    "builder": _SERVERS,
}


def refuse_attribute(name: str) -> NoReturn:
    """Raise ``AttributeError`` for ``name``, with what to use instead."""
    instead = _INSTEAD.get(name)
    if instead is None:
        raise AttributeError(f"a remote graph has no attribute {name!r}", name=name)
    raise AttributeError(f"a remote graph does not offer {name}: {instead}", name=name)


def refuse_chain() -> NoReturn:
    """Raise ``TypeError`` for the operator ``|``."""
    raise TypeError(f"a remote graph cannot be a part of a chain or a graph by itself: {_CHAIN}")
