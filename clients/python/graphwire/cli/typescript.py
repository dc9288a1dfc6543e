"""The graphs of a server as a file of TypeScript's types, for ``connect<Graphs>(url)``.

A definition that several graphs have in the same form is declared once. Nothing here does I/O.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote

from graphwire_protocol.replies import GraphRow

from graphwire.cli.message_types import DECLARATIONS, NAMES
from graphwire.cli.type_expressions import (
    MAX_DEPTH,
    UNKNOWN,
    Expressions,
    Side,
    Type,
    before,
    comment,
    commented,
    indented,
    key,
)

HEADER = "// Written by `graphwire types` from the graphs of a server: do not edit."

_PARTS = ("input", "state", "context")
_GLOBALS = frozenset({"Graphs", "Set", "Date", "Uint8Array"})
_ROUNDS = 20  # of looking for definitions that are the same; after that none is

_ELSEWHERE = "\0"  # where no schema is

Name: TypeAlias = tuple[int, tuple[str, ...]]
"""The number of a document, and the path of a schema in it; of the whole document the path is empty."""


def typescript_of(rows: Sequence[GraphRow]) -> str:
    """Return the file for these graphs. Their order does not matter."""
    rows = sorted(rows, key=lambda row: row.name)
    documents = [
        _Document(row.name, part, "state" if part == "state" else "input", schema)
        for row in rows
        for part in _PARTS
        if (schema := schemas_of(row)[part]) is not None
    ]
    declarations = _Declarations(documents)
    roots = {(each.graph, each.part): name for each, name in zip(documents, declarations.roots, strict=True)}
    graphs = "\n".join(indented("\n".join(_member(row, roots))) for row in rows)
    head = "/** The graphs of the server, for `connect<Graphs>(url)`. */\nexport interface Graphs {"
    parts = [HEADER, f"{head}\n{graphs}\n}}" if graphs else f"{head}}}", *declarations.texts]
    return "\n\n".join([*parts, *([DECLARATIONS] if declarations.has_messages else [])]).rstrip() + "\n"


def schemas_of(row: GraphRow) -> Mapping[str, Any]:
    """Return a graph's schemas by the names that the client's generics have for them."""
    return {"input": row.input_schema, "state": row.output_schema, "context": row.context_schema}


def declared(text: str) -> dict[str, str]:
    """Return the declarations of a file by their names; what comes before the first has the name ``""``."""
    parts = re.split(r"^(?=export (?:interface|type) )", text, flags=re.MULTILINE)
    return {re.sub(r"(?s)^export \w+ (\w+).*|^.*", r"\1", part): part for part in parts}


def _member(row: GraphRow, roots: Mapping[tuple[str, str], str]) -> list[str]:
    missing = [part for part in ("input", "state") if (row.name, part) not in roots]
    remark = f"The server has no schema of its {' or '.join(missing)}."
    fields = [
        f"{part}: {roots.get((row.name, part), 'unknown')}"
        for part in _PARTS
        if part != "context" or (row.name, part) in roots
    ]
    lines = [*(row.description or "").strip().splitlines(), *([remark] if missing else [])]
    return [*commented(lines), f"{key(row.name)}: {{ {'; '.join(fields)} }};"]


@dataclass(frozen=True)
class _Document:
    graph: str
    part: str
    side: Side
    schema: Any

    def at(self, path: tuple[str, ...]) -> Any:
        """Return what is at a path; None if nothing is."""
        found = self.schema
        for step in path:
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                return None
        return found


class _Declarations:
    """The declarations of all documents, and the names of their roots."""

    def __init__(self, documents: Sequence[_Document]) -> None:
        self._documents = documents
        self.has_messages = False
        self._uses: dict[Name, dict[Name, bool]] = {}  # what refers to what, and whether directly
        self._find()
        self._heights = self._measure()
        self._members: dict[Name, int] = {}
        for name in [*self._heights, *(self._uses.keys() - self._heights)]:  # the lowest first
            self._members[name] = self._type(name, {}).members
        classes = self._classes()
        names = self._named(classes)
        self.roots = [names[number, ()] for number in range(len(documents))]
        self.texts = []
        first = {classes[name]: name for name in reversed(list(self._uses))}
        for name in sorted(
            first.values(), key=lambda name: (bool(name[1]), names[name] if name[1] else name[0])
        ):
            schema = documents[name[0]].at(name[1])
            about = comment({**schema, "default": None} if isinstance(schema, Mapping) else None)
            self.texts.append("\n".join([*about, _declaration(names[name], self._type(name, names))]))

    def _find(self) -> None:
        """Find every schema that has a name: the documents, and what they refer to."""
        found: list[Name] = [(number, ()) for number in range(len(self._documents))]
        self._uses = {name: {} for name in found}
        for name in found:  # which grows
            uses: dict[Name, bool] = {}

            def refer(
                reference: str, is_direct: bool, name: Name = name, uses: dict[Name, bool] = uses
            ) -> Type:
                target = (name[0], _path(reference))
                if self._documents[target[0]].at(target[1]) is None:
                    return UNKNOWN
                uses[target] = uses.get(target, False) or is_direct
                return Type("_")

            self._expressions(name, refer)
            self._uses[name] = uses
            new = [target for target in uses if target not in self._uses]
            self._uses.update({target: {} for target in new})
            found += new

    def _measure(self) -> dict[Name, int]:
        """Return how many names in a row each name stands for. One that stands for itself has no number."""
        heights: dict[Name, int] = {}
        for height in range(MAX_DEPTH):
            ready = [
                name
                for name, uses in self._uses.items()
                if name not in heights
                and all(target in heights for target, is_direct in uses.items() if is_direct)
            ]
            if not ready:
                break
            heights.update(dict.fromkeys(ready, height))
        return heights

    def _classes(self) -> dict[Name, int]:
        """Return the same number for names that may share a declaration: equal texts under an equal name."""
        classes = dict.fromkeys(self._uses, 0)
        for _ in range(_ROUNDS):
            shown = {name: f"_{number}" for name, number in classes.items()}
            numbers: dict[Any, int] = {}
            refined = {}
            for name in self._uses:
                schema = self._documents[name[0]].at(name[1])
                about = "\n".join(comment(schema))
                text = self._type(name, shown).text
                root = None if name[1] else name
                refined[name] = numbers.setdefault(
                    (root, name[1][-1:], about, text, classes[name]), len(numbers)
                )
            if len(numbers) == len(set(classes.values())):
                return refined
            classes = refined
        return {name: number for number, name in enumerate(self._uses)}

    def _named(self, classes: Mapping[Name, int]) -> dict[Name, str]:
        taken = {*_GLOBALS, *(NAMES if self.has_messages else ())}
        by_class: dict[int, str] = {}
        # States first: where a definition differs between a state and an input, the state's keeps its name.
        order = sorted(self._uses, key=lambda name: (bool(name[1]), self._documents[name[0]].part != "state"))
        for name in order:
            if classes[name] in by_class:
                continue
            document = self._documents[name[0]]
            graph, part = pascal(document.graph), document.part.title()
            own = pascal(name[1][-1]) if name[1] else f"{graph}{part}"
            for_inputs = [] if part == "State" else [f"{own}{part}"]
            candidates = [own, *for_inputs, f"{graph}{own}", f"{graph}{own}{part}"] if name[1] else [own]
            chosen = next((each for each in candidates if each not in taken), None)
            number = 2
            while chosen is None:
                chosen = f"{own}{number}" if f"{own}{number}" not in taken else None
                number += 1
            taken.add(chosen)
            by_class[classes[name]] = chosen
        return {name: by_class[number] for name, number in classes.items()}

    def _type(self, name: Name, names: Mapping[Name, str]) -> Type:
        def refer(reference: str, is_direct: bool) -> Type:
            target = (name[0], _path(reference))
            if target not in self._uses or (is_direct and target not in self._heights):
                return UNKNOWN
            return Type(names.get(target, "_"), 0, self._members.get(target, 1))

        return self._expressions(name, refer)

    def _expressions(self, name: Name, refer: Any) -> Type:
        document = self._documents[name[0]]
        expressions = Expressions(document.side, refer, lambda reference: document.at(_path(reference)))
        made = expressions.of(document.at(name[1]))
        self.has_messages = self.has_messages or bool(expressions.messages)
        return made


def _path(reference: str) -> tuple[str, ...]:
    if reference != "#" and not reference.startswith("#/"):  # of another document, or an anchor
        return (_ELSEWHERE, reference)
    steps = unquote(reference[1:]).split("/")[1:]
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _declaration(name: str, type: Type) -> str:
    if type.has_fields:
        return f"export interface {name} {type.text}"
    return f"{before(f'export type {name} =', type)};"


def pascal(text: str) -> str:
    """Return a text as the name of a type."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(f"{word[0].upper()}{word[1:]}" for word in words)
    return name if name[:1].isalpha() else f"Type{name}"
