"""What a request names in a graph, compared with what the graph has.

``check_run`` refuses what either library refuses before its first node. The functions that return notes find
what a graph ignores without a word: it runs, and a notice says so. None of them calls code of a graph. What
only a model's validators can tell is left to the graph.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Filter
from graphwire_protocol.suggest import did_you_mean, shown

from graphwire_gateway.graphs.entry import Entry

_MOST = 3  # unknown names of one place that a note lists
_COMPARED = (
    8  # unknown names of one frame's filters that are compared with those there are: a millisecond each
)
_SHOWN = 12  # names that there are, which a sentence lists
_LONGEST = 64  # characters of each
_WILD = frozenset("*?\\")


def invalid(path: str, message: str, reason: str) -> Refusal:
    """Return the refusal of one field."""
    return Refusal("invalid_argument", message, details={"errors": [{"path": path, "reason": reason}]})


def check_run(command: commands.Run, entry: Entry) -> None:
    """Raise ``Refusal(invalid_argument)`` for an input or an option that the graph would refuse."""
    shape = entry.shape
    if not shape.is_fixed:
        return
    if command.command is None:
        if command.input is None and shape.nodes is not None and command.thread is None:
            reason = f"graph {entry.name!r} needs an input, since without a thread nothing can be continued"
            raise invalid("input", f"run.input: {reason}", reason)
        if shape.input is not None and isinstance(command.input, str | int | float | list):
            reason = (
                f"graph {entry.name!r} takes an object as its input, with the keys {_listed(shape.input)}"
            )
            raise invalid("input", f"run.input: {reason}", reason)
    shown_keys = None if command.options is None else command.options.output_keys
    if shown_keys is None or shape.state is None:
        return
    for index, key in enumerate((shown_keys,) if isinstance(shown_keys, str) else shown_keys):
        if key not in shape.state:
            path = "options.output_keys" + ("" if isinstance(shown_keys, str) else f"[{index}]")
            reason = f"graph {entry.name!r} has no such key{_instead(key, shape.state)}"
            raise invalid(path, f"run.{path}: {reason}", reason)


def run_notes(command: commands.Run, entry: Entry) -> Iterator[str]:
    """Yield a sentence for each place of the frame with names that the graph ignores."""
    shape = entry.shape
    if isinstance(command.input, dict) and not _is_tag(command.input):
        yield from _unknown("run.input", "key", command.input, shape.input, entry)
    given = command.command
    if given is not None and isinstance(given.update, dict) and not _is_tag(given.update):
        yield from _unknown("run.command.update", "key", given.update, shape.state, entry)
    if given is not None:
        yield from _unknown("run.command.goto", "node", _targets(given.goto), shape.nodes, entry)
    options = command.options or commands.RunOptions()
    for name, nodes in (
        ("interrupt_before", options.interrupt_before),
        ("interrupt_after", options.interrupt_after),
    ):
        if isinstance(nodes, tuple):
            yield from _unknown(f"run.options.{name}", "node", nodes, shape.nodes, entry)
    yield from _notes_of(
        ((spec.filter, f"run.subscribe[{index}].filter") for index, spec in enumerate(command.subscribe)),
        entry,
    )


def filter_notes(filter: Filter, entry: Entry, where: str) -> Iterator[str]:
    """Yield a sentence for each place of the filter with names that the graph does not have.

    A name that is not similar to any is left out: it may be one of a task, of which nothing is known.
    """
    return _notes_of([(filter, where)], entry)


def _notes_of(filters: Iterable[tuple[Filter, str]], entry: Entry) -> Iterator[str]:
    left = _COMPARED
    for filter, where in filters:
        if filter.below_root:
            continue
        for path, kind, names, known in (
            ("nodes", "node", filter.nodes, entry.shape.nodes),
            ("keys", "key", filter.keys, entry.shape.state),
        ):
            unknown = _not_in(known, [name for name in names or () if kind == "key" or not _is_glob(name)])[
                :left
            ]
            left -= len(unknown)
            similar = [name for name in unknown if did_you_mean(name, known or ())]
            yield from _unknown(f"{where}.{path}", kind, similar, known, entry)
            if not left:
                return


def update_notes(command: commands.StateUpdate, entry: Entry) -> Iterator[str]:
    """Yield a sentence if an update of the root writes keys that the state does not have."""
    if not command.ns and isinstance(command.values, dict) and not _is_tag(command.values):
        yield from _unknown("state_update.values", "key", command.values, entry.shape.state, entry)


def graph_notes(where: str, names: Iterable[str], served: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each name of a graph that is not served, so that nothing of it is ever listed."""
    for name in [name for name in names if name not in served][:_MOST]:
        yield f"{where}: no graph {shown(name)} is served{did_you_mean(name, served)}"


def _unknown(
    where: str,
    kind: str,
    names: Iterable[str],
    known: tuple[str, ...] | None,
    entry: Entry,
) -> Iterator[str]:
    unknown = _not_in(known, names)
    if known is None or not unknown:
        return
    parts = [f"{shown(name)}{_instead(name, known)}" for name in unknown[:_MOST]]
    more = f", and {len(unknown) - _MOST} more" if len(unknown) > _MOST else ""
    yield f"{where}: graph {entry.name!r} ignores the unknown {kind} {', '.join(parts)}{more}"


def _not_in(known: tuple[str, ...] | None, names: Iterable[str]) -> list[str]:
    if known is None:
        return []
    there = frozenset(known)
    return [name for name in names if name not in there and not name.startswith("__")]


def _is_glob(name: str) -> bool:
    return not _WILD.isdisjoint(name)


def _instead(name: str, known: tuple[str, ...]) -> str:
    return did_you_mean(name, known) or f"; it has {_listed(known)}"


def _listed(known: tuple[str, ...]) -> str:
    names = ", ".join(name[:_LONGEST] for name in known[:_SHOWN]) or "none"
    return names if len(known) <= _SHOWN else f"{names} and {len(known) - _SHOWN} more"


def _targets(goto: Any) -> list[str]:
    if isinstance(goto, list):
        return [name for target in goto for name in _targets(target)]
    name = goto.get("node") if isinstance(goto, dict) else goto
    return [name] if isinstance(name, str) else []


def without_many_unknown(goto: list[Any], nodes: tuple[str, ...]) -> list[Any]:
    """Return where to go, but of what leads to no node only the first few: a graph logs each of them."""
    unknown = set(_not_in(nodes, _targets(goto))[_MOST:])
    return [target for target in goto if unknown.isdisjoint(_targets(target))] if unknown else goto


def _is_tag(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")
