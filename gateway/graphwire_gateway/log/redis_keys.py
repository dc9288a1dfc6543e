"""The names of the keys of a store in Redis, by its prefix."""


def log_keys(prefix: str, run: str) -> tuple[str, str]:
    """Return the two keys of a run's log in a store of that prefix."""
    return f"{prefix}:{{run:{run}}}:log", f"{prefix}:{{run:{run}}}:events"


def cluster_key(prefix: str) -> str:
    """Return the key of what the workers of a store share; it is there if it has workers."""
    return f"{prefix}:cluster"


def workers_key(prefix: str, group: str) -> str:
    """Return the key that says which workers of a group are there."""
    return f"{prefix}:workers:{group}" if group else f"{prefix}:workers"


def starting_key(prefix: str, run: str) -> str:
    """Return the key that says where a run is being started."""
    return f"{prefix}:starting:{run}"


def active_key(prefix: str) -> str:
    """Return the key of the counts of active runs in a shard, by the shard's prefix."""
    return f"{prefix}:active"


def owner_key(prefix: str) -> str:
    """Return the key that says which server owns a prefix."""
    return f"{prefix}:owner"
