"""The gateway that a configuration asks for."""

from graphwire_gateway.gateway import Gateway
from graphwire_gateway.serve.config import Config


def gateway_of(config: Config, *, has_graphs: bool = True) -> Gateway:
    """Return the gateway; without its graphs if workers run them. Raises ``CannotServe``."""
    server = config.server
    return Gateway(
        config.specs() if has_graphs else {},
        store=server.store,
        limits=config.limits,
        tokens=config.auth.tokens,
        auth=config.auth.path,
        ignore_authorization=config.auth.ignore_authorization,
        allowed_origins=server.allowed_origins,
        allowed_origin_regex=server.allowed_origin_regex,
        checkpointer=server.checkpointer,
        graph_store=server.graph_store,
        encoders=server.encoders,
        expose_errors=server.expose_errors,
        insecure=server.insecure,
        thread_bytes=server.thread_bytes,
        thread_ttl_s=server.thread_ttl_s,
        shared_threads=server.shared_threads,
        console=server.console,
    )
