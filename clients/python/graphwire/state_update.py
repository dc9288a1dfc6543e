"""What a graph takes of a pydantic model that is given as its input or as an update of its state."""

from typing import Any

from graphwire_protocol.projection import is_message_class
from pydantic import BaseModel, RootModel

_ABSENT = object()


def state_update(value: Any) -> Any:
    """Return a model as a dict of the fields that a graph writes; any other value as it is.

    A local graph skips a field that is None by default and was not set. Sent along, it would overwrite what
    the thread has, or reach a reducer that expects no None.
    """
    if not isinstance(value, BaseModel) or isinstance(value, RootModel) or is_message_class(type(value)):
        return value
    fields = type(value).model_fields
    out = {}
    for name in (*fields, *(value.model_extra or {})):
        item = getattr(value, name, _ABSENT)
        is_unset = name in fields and name not in value.model_fields_set
        if item is not _ABSENT and not (item is None and is_unset and fields[name].default is None):
            out[name] = item
    return out
