"""The exception of a server that cannot start."""


class CannotServe(Exception):
    """Something that cannot be served; the message says which, where, why and what to do."""
