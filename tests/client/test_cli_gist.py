"""What a person who answers is told of a question's JSON Schema, and what ``respond`` needs.

About `clients/python/graphwire/cli/gist.py` and `clients/python/graphwire/cli/respond.py`.
"""

import pytest
from graphwire.cli.app import run
from graphwire.cli.gist import gist

FORM = {"properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


@pytest.mark.parametrize("line", ["respond", "respond --thread t", "respond mine --graph joke"])
def test_an_answer_needs_a_run_or_a_thread(line):
    assert run(line.split()) == 2


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (FORM, '{"ok": boolean}'),
        ({"type": ["string", "null"]}, "string or null"),
        ({"anyOf": [{"const": "a"}, {"enum": [1, None]}, {}]}, '"a" or 1 or null or anything'),
        ({"type": "array", "items": {"type": "integer"}}, "[integer, …]"),
        ({"type": "array"}, "[…]"),
        ({"$ref": "#/$defs/f", "$defs": {"f": FORM | {"required": []}}}, '{"ok"?: boolean}'),
        ({"$ref": "#/$defs/f", "$defs": {"f": {"properties": {"f": {"$ref": "#/$defs/f"}}}}}, None),
        ({"$ref": "#/nowhere", "type": "object"}, "object"),
        ({"properties": 5, "type": 7, "enum": "x", "items": 3}, "anything"),
    ],
)
def test_a_schema_is_told_in_a_line(schema, text):
    assert gist(schema) == (text or '{"f"?: {"f"?: …}}')
