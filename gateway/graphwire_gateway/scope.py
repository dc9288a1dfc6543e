"""Scopes: what the server adds to a graph's config, and removes from everything that it sends.

A checkpointer has one table of threads for all principals and graphs. Its thread id therefore consists of
graph, principal and the caller's thread id. No client ever sees it: whatever leaves the server has the
caller's thread id in its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

OWN = "graphwire_"
"""The prefix of the server's own keys in a config and in metadata."""

PRINCIPAL = "graphwire_principal"
"""The key in ``config["configurable"]`` under which graph code finds the principal of the run."""

PRIVATE = "graphwire:"
"""The prefix of private threads' ids. No other id has a colon before its first slash."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The two ids of a thread: the checkpointer's and the caller's."""

    saved: str
    """The id that the checkpointer uses."""
    thread: str
    """The id that the caller uses; of a private thread, the run's."""
    is_private: bool = False
    """Whether the thread lives only as long as its run."""
    is_held: bool = False
    """Whether it is private and in the server's saver: the graph has none, and nothing shows the thread."""

    def clear(self, data: bytes) -> bytes:
        """Return JSON with the caller's id in place of the checkpointer's."""
        # Both ids are ASCII without quotes, so each is its own JSON between quotes; a quote within any other
        # JSON string has a backslash before it.
        return data.replace(b'"%s"' % self.saved.encode(), b'"%s"' % self.thread.encode())

    def clear_text(self, text: str) -> str:
        """Return a text for people with the caller's id in place of the checkpointer's."""
        return text.replace(self.saved, self.thread)


def run_key(principal: str, run: str) -> str:
    """Return the key by which stores know a run. An id has no slash."""
    return f"{principal}/{run}"


def thread_scope(principal: str, graph: str, thread: str, *, is_shared: bool) -> Scope:
    """Return the scope of a caller's thread. If it is shared, it is the same for every principal."""
    owner = "" if is_shared else quote(principal, safe="")
    return Scope(f"{quote(graph, safe='')}/{owner}/{thread}", thread)


def thread_names(saved: str) -> tuple[str, str, str] | None:
    """Return the principal ("" if it is shared), the graph and the caller's id, given the checkpointer's id.

    None for a private thread, and for one that graph code has named itself.
    """
    parts = saved.split("/")
    if len(parts) != 3 or saved.startswith(PRIVATE):
        return None
    graph, owner, thread = parts
    return unquote(owner), unquote(graph), thread


def private_scope(principal: str, run: str, *, is_held: bool = False) -> Scope:
    """Return the scope of a private thread, which lives as long as its run and has the run's id."""
    return Scope(f"{PRIVATE}{quote(principal, safe='')}/{run}", run, is_private=True, is_held=is_held)


def thread_config(scope: Scope, principal: str, checkpoint: str | None = None, ns: str = "") -> Any:
    """Return the config by which a graph and its saver find a thread, and maybe one of its checkpoints.

    A factory finds the principal in it.
    """
    configurable = {"thread_id": scope.saved, "checkpoint_ns": ns, PRINCIPAL: principal}
    if checkpoint is not None:
        configurable["checkpoint_id"] = checkpoint
    return {"configurable": configurable}


def without_own(fields: Any) -> Any:
    """Return a config's ``configurable`` or a checkpoint's metadata without the server's keys."""
    if not isinstance(fields, Mapping) or PRINCIPAL not in fields:
        return fields
    return {key: value for key, value in fields.items() if not str(key).startswith(OWN)}


def public_config(config: Any) -> Any:
    """Return a config as its caller may see it: without the server's and the graph library's own keys."""
    if not isinstance(config, Mapping) or "configurable" not in config:
        return config
    configurable = without_own(config["configurable"])
    if isinstance(configurable, Mapping):
        configurable = {key: value for key, value in configurable.items() if not str(key).startswith("__")}
    return {**config, "configurable": configurable}


def public_checkpoint(payload: Any) -> Any:
    """Return an item of the mode ``checkpoints`` as its caller may see it."""
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
