"""The source of the five packages as data: where each module is, its text and its syntax tree."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "graphwire_protocol": ROOT / "protocol",
    "graphwire_conformance": ROOT / "protocol",
    "graphwire_runtime": ROOT / "runtime",
    "graphwire_gateway": ROOT / "gateway",
    "graphwire": ROOT / "clients" / "python",
}
"""Each package, and the folder that it is in."""


@dataclass(frozen=True)
class Module:
    """One file of a package."""

    name: str
    """As it is imported: ``graphwire_gateway.log.store``; an ``__init__.py`` is ``graphwire_gateway.log``."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree, for the many tests that look at each."""
        return list(ast.walk(self.tree))

    @cached_property
    def docstring(self) -> str:
        return docstring_of(self.text)

    @property
    def has_code(self) -> bool:
        """False for an ``__init__.py`` that holds a docstring and nothing else."""
        return len(self.tree.body) > bool(self.docstring)


def docstring_of(text: str) -> str:
    """Return the docstring of a file; an empty string if it has none.

    What is behind the first statement is not parsed, which would take nearly all of the time.
    """
    lines = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        lines.append(token)
        if token.type == tokenize.NEWLINE:
            break
    head = "\n".join(text.splitlines()[: lines[-1].end[0]]) if lines else ""
    return ast.get_docstring(ast.parse(head)) or ""


def _modules() -> Iterator[Module]:
    for package, folder in PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


MODULES = list(_modules())
