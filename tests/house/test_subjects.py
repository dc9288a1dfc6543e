"""Each test file says what it is about, and each module has a test that one finds by its path.

About `tests/support/sources.py`.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.sources import MODULES, ROOT, docstring_of

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:\.py|\.md|\.mjs|/))`")
"""A path from the root, in backticks: of a file, or of a folder if it ends with a slash."""


@cache
def subjects(path: Path) -> list[str]:
    """Return the paths that the docstring of a test file names."""
    return PATH.findall(docstring_of(path.read_text("utf-8")))


def exists(path: str) -> bool:
    return (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()


def test_a_test_file_says_which_modules_it_is_about() -> None:
    for path in TESTS:
        found = subjects(path)
        assert found, f"{path}: say in its docstring: About `gateway/graphwire_gateway/server.py`."
        assert [each for each in found if not exists(each)] == [], f"{path}: no such file"


def test_every_module_is_what_some_test_is_about() -> None:
    found = {subject for path in TESTS for subject in subjects(path)}
    unnamed = [str(module) for module in MODULES if module.has_code and str(module) not in found]
    assert not unnamed, "no test file names these:\n" + "\n".join(unnamed)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("About `a/b.py` and `c/d/`,\n`README.md`.", ["a/b.py", "c/d/", "README.md"]),
        ("About ``a/b.py``.", ["a/b.py"]),
        ("`await`, `/ws`, `graphwire.v1.json` and a/b.py are no paths", []),
    ],
)
def test_a_path_is_what_stands_in_backticks(text: str, found: list[str]) -> None:
    assert PATH.findall(text) == found
