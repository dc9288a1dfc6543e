"""About `protocol/graphwire_protocol/titles.py`."""

from typing import Any

import pytest
from graphwire_protocol.titles import has_title


@pytest.mark.parametrize(
    ("metadata", "search", "expected"),
    [
        ({}, None, True),
        ({}, "x", False),
        ({"title": "Über Katzen"}, "über", True),
        ({"title": "Über Katzen"}, "KATZEN", True),
        ({"title": "Über Katzen"}, "dogs", False),
        ({"title": ["katzen"]}, "katzen", False),
        ({"title": "-" * 1_020 + "ends here"}, "ends", True),
        ({"title": "-" * 1_020 + "ends here"}, "here", False),
    ],
)
def test_a_title_has_a_text_whatever_its_case_in_its_first_characters(
    metadata: dict[str, Any], search: str | None, expected: bool
) -> None:
    assert has_title(metadata, search) is expected
