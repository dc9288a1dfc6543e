"""What the server puts into a graph's config, and takes out of whatever leaves it again.

A checkpointer's threads are one table for all principals and graphs, so the id that it is given names all
three. Nothing that leaves the server shows that id: it is the caller's thread again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

OWN = "graphwire_"
"""How the names of the server's own keys begin."""

PRINCIPAL = "graphwire_principal"
"""Where graph code finds in ``config["configurable"]`` who runs it."""

PRIVATE = "graphwire:"
"""How the ids of private threads begin; no other's has a colon before its first slash."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A thread as its checkpointer knows it (``saved``) and as its caller does (``thread``)."""

    saved: str
    thread: str
    is_private: bool = False

    def clear(self, data: bytes) -> bytes:
        """Return JSON with the caller's name in the place of the checkpointer's."""
        # Both are plain ASCII without quotes: as JSON they are themselves between quotes, and a quote within
        # a text has a backslash before it.
        return data.replace(b'"%s"' % self.saved.encode(), b'"%s"' % self.thread.encode())

    def clear_text(self, text: str) -> str:
        """Return a text for people with the caller's name in the place of the checkpointer's."""
        return text.replace(self.saved, self.thread)


def thread_scope(principal: str, graph: str, thread: str, *, is_shared: bool) -> Scope:
    """Return the scope of a caller's thread; a shared one is the same for every principal."""
    owner = "" if is_shared else quote(principal, safe="")
    return Scope(f"{quote(graph, safe='')}/{owner}/{thread}", thread)


def private_scope(principal: str, run: str) -> Scope:
    """Return the scope of a thread that lives as long as its run, and is called by the run's id."""
    return Scope(f"{PRIVATE}{quote(principal, safe='')}/{run}", run, is_private=True)


def without_own(fields: Any) -> Any:
    """Return a config's ``configurable`` or a metadata without the server's keys."""
    if not isinstance(fields, Mapping) or PRINCIPAL not in fields:
        return fields
    return {key: value for key, value in fields.items() if not str(key).startswith(OWN)}


def public_config(config: Any) -> Any:
    """Return a config as the caller may see it: without the server's keys and the library's objects."""
    if not isinstance(config, Mapping) or "configurable" not in config:
        return config
    configurable = without_own(config["configurable"])
    if isinstance(configurable, Mapping):
        configurable = {key: value for key, value in configurable.items() if not str(key).startswith("__")}
    return {**config, "configurable": configurable}


def public_checkpoint(payload: Any) -> Any:
    """Return what mode ``checkpoints`` yields as the caller may see it."""
    if not isinstance(payload, Mapping):
        return payload
    out = dict(payload)
    for name in ("config", "parent_config"):
        if name in out:
            out[name] = public_config(out[name])
    if "metadata" in out:
        out["metadata"] = without_own(out["metadata"])
    if isinstance(out.get("tasks"), list):
        out["tasks"] = [
            {**task, "state": public_config(task.get("state"))} if isinstance(task, Mapping) else task
            for task in out["tasks"]
        ]
    return out
