"""The names of the keys of a store in Redis, by its prefix."""


def log_keys(prefix: str, run: str) -> tuple[str, str]:
    """Return the two keys of a run's log in a store of that prefix."""
    return f"{prefix}:{{run:{run}}}:log", f"{prefix}:{{run:{run}}}:events"


def owner_key(prefix: str) -> str:
    """Return the key that says which server owns a prefix."""
    return f"{prefix}:owner"
