"""No module needs itself to be imported, however late: imports point down, in types and functions too.

About `tests/support/sources.py`.
"""

import ast
from collections.abc import Collection, Iterable, Mapping

from tests.support.sources import MODULES, PACKAGES

Imports = Mapping[str, Collection[str]]
"""Each module with the modules that it imports."""


def imported(nodes: Iterable[ast.AST], modules: Collection[str]) -> set[str]:
    """Return those of ``modules`` that a file imports anywhere: for types alone, and inside functions too.

    ``from a import b`` imports ``a.b`` if that is a module, else ``a``. Python imports ``a`` before ``a.b``.
    That does not count: otherwise every ``__init__.py`` that exports a name would be part of a circle.
    """
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in inner}
    return found & set(modules)


def circle(imports: Imports) -> list[str]:
    """Return a shortest circle of modules, first and last alike; an empty list if there is none."""
    left = {name: set(targets) for name, targets in imports.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:  # what imports nothing that is left is part of no circle
            del left[name]
    circles = [path for start in left if (path := _way_back(left, start))]
    return min(circles, key=len, default=[])


def _way_back(imports: Imports, start: str) -> list[str]:
    came_from: dict[str, str] = {}
    queue = [start]
    for name in queue:
        for target in sorted(imports.get(name, ())):
            if target == start:
                path = [start, name]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if target not in came_from:
                came_from[target] = name
                queue.append(target)
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = {module.name for module in MODULES}
    found = circle({module.name: imported(module.nodes, names) for module in MODULES})
    assert not found, " → ".join(found)


def test_imports_for_types_and_inside_functions_count() -> None:
    files = {
        "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import c",
        "b": "",
        "b.c": "def late():\n    import b.d",
        "b.d": "from a import name",
    }
    imports = {name: imported(ast.walk(ast.parse(text)), files) for name, text in files.items()}
    assert imports == {"a": {"b.c"}, "b": set(), "b.c": {"b.d"}, "b.d": {"a"}}
    assert circle(imports) == ["a", "b.c", "b.d", "a"]
    assert circle({**imports, "b.d": ()}) == []
    assert circle({"a": {"a"}}) == ["a", "a"]


def test_every_package_is_looked_at() -> None:
    assert {module.package for module in MODULES} == set(PACKAGES)
    names = {module.name for module in MODULES}
    by_name = {module.name: imported(module.nodes, names) for module in MODULES}
    assert by_name["graphwire_gateway.server"] & by_name.keys(), "the walk sees imports"
