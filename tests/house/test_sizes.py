"""A file fits into a head: no more than 400 lines, unless its docstring says why it is longer.

About `tests/support/sources.py`.
"""

import re

from tests.support.sources import MODULES, ROOT, Module

LINES = 400
REASON = re.compile(r"^Long because \w.+", re.MULTILINE)
"""A line of the docstring of a longer file."""


TESTS = [Module(path.stem, path) for path in sorted((ROOT / "tests").rglob("*.py"))]


def test_a_long_file_says_why() -> None:
    for module in [*MODULES, *TESTS]:
        count = len(module.text.splitlines())
        has_reason = bool(REASON.search(module.docstring))
        assert count <= LINES or has_reason, f"{module}: split its {count} lines, or say: Long because .."
        assert count > LINES or not has_reason, f"{module}: it is short now: take the reason out"
