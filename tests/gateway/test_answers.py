"""An answer is compared with the JSON Schema of its question, at a bounded cost.

About `gateway/graphwire_gateway/runs/answers.py` and `gateway/graphwire_gateway/execution/schemas.py`.
"""

import datetime
import time
from typing import Any, Literal

import pytest
from graphwire_gateway.execution.schemas import MAX_SCHEMA_BYTES, response_schema_of
from graphwire_gateway.runs import answers
from graphwire_gateway.runs.answers import check_answer
from graphwire_runtime import Interrupt
from pydantic import BaseModel, Field


class Inner(BaseModel):
    ok: bool


class Form(BaseModel):
    ok: bool
    count: int | None = Field(None, ge=1)
    kind: Literal["a", "b"] = "a"
    code: str = Field("x1", pattern="^[a-z][0-9]$")
    colour: str = Field("#fff", pattern="^#[0-9a-f]{3}$", description="A colour such as #f80")
    when: datetime.datetime | None = None
    inner: list[Inner] = []


FORM = Form.model_json_schema()


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": True},
        {"ok": False, "count": None, "kind": "b", "code": "z9", "inner": [{"ok": True}], "more": 1},
        {"ok": True, "count": {"$int": "123456789012345678901234567890"}},
        {"$obj": {"ok": True}},
        {"ok": True, "when": "2026-03-01T12:00:00Z"},
    ],
)
def test_an_answer_that_fits_has_no_errors(answer):
    assert check_answer(FORM, answer, "v") == []


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        ("yes", [("v", "expected object")]),
        ({}, [("v", "lacks ok")]),
        ({"ok": "yes"}, [("v.ok", "expected boolean")]),
        ({"ok": True, "count": "1"}, [("v.count", "expected integer or null")]),
        ({"ok": True, "count": 0}, [("v.count", "does not fit minimum 1 or expected null")]),
        ({"ok": True, "kind": "secret"}, [("v.kind", 'does not fit enum ["a","b"]')]),
        ({"ok": True, "code": "secret"}, [("v.code", 'does not fit pattern "^[a-z][0-9]$"')]),
        (
            {"ok": True, "colour": "secret"},
            [("v.colour", "does not fit its description: A colour such as #f80")],
        ),
        (
            {"ok": 1, "inner": [{"ok": True}, {"ok": 2}]},
            [("v.ok", "expected boolean"), ("v.inner[1].ok", "expected boolean")],
        ),
    ],
)
def test_an_error_has_its_path_and_says_what_was_expected(answer, errors):
    found = check_answer(FORM, answer, "v")
    assert found == errors
    assert "secret" not in str(found), "an answer is not repeated"


@pytest.mark.parametrize(
    ("schema", "fits", "fails"),
    [
        ({"type": "array", "uniqueItems": True}, [1, {"a": 1}, {"a": 2}], [{"a": 1}, {"a": 1}]),
        ({"type": "array", "uniqueItems": True}, {"$set": [1, 2]}, {"a": 1}),
        ({"type": "string", "minLength": 2}, {"$bytes": "aGk="}, "h"),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1}, {"a": 1, "b": 2}),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "1"}),
        (
            {"patternProperties": {"^n_": {"type": "integer"}}, "additionalProperties": False},
            {"n_a": 1},
            {"n_a": "1"},
        ),
        ({"patternProperties": {"^n_": {}}, "additionalProperties": False}, {"n_a": 1}, {"m_a": 1}),
        ({"oneOf": [{"type": "string"}, {"const": 5}]}, 5, 6),
        ({"not": {"type": "string"}}, 5, "five"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}, ["a"], [1]),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True},
            2,
            3,
        ),
        ({"$schema": "urn:of nobody", "type": "string"}, "a", 1),
    ],
)
def test_keywords_mean_what_the_schema_s_draft_says(schema, fits, fails):
    assert check_answer(schema, fits, "v") == []
    assert check_answer(schema, fails, "v") != []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"properties": 5},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#"},
        {"type": "object", "allOf": [{"$ref": "#"}]},
        {"pattern": "("},
        {"pattern": "(?=lookahead)"},
    ],
)
def test_a_broken_schema_lets_every_answer_pass(schema):
    assert check_answer(schema, {"any": "thing"}, "v") == []
    assert check_answer(schema, "text", "v") == []


@pytest.mark.filterwarnings("default")
def test_a_reference_out_of_the_schema_reads_nothing(tmp_path):
    (tmp_path / "text.json").write_text('{"type": "string"}')
    elsewhere = (tmp_path / "text.json").as_uri()
    assert check_answer({"$ref": elsewhere}, 5, "v") == []


def test_a_broken_schema_is_warned_of(caplog):
    check_answer({"type": "no such type, as nobody was warned of it before"}, 1, "v")
    assert "a response_schema is broken" in caplog.text


TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["a"]},
                {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["b"]},
            ]
        }
    },
    "$ref": "#/$defs/node",
}


def nested(depth: int) -> Any:
    answer: Any = {}
    for _ in range(depth):
        answer = {"next": answer}
    return answer


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (TREE, nested(50)),
        ({"items": {"type": "object", "required": ["a"]}}, [{"a": 1}] * 50_000),
        ({"uniqueItems": True}, [{"a": number} for number in range(50_000)]),
        ({"items": {"pattern": "^(a+)+$"}}, ["a" * 1000] * 50_000),
    ],
    ids=["branches", "items", "unique", "patterns"],
)
def test_an_answer_that_costs_too_much_is_refused(schema, answer):
    reason = "it is too large to be checked against the response_schema of its question"
    assert check_answer(schema, answer, "v") == [("v", reason)]


def test_no_text_keeps_a_pattern_busy():
    began = time.process_time()
    assert check_answer({"pattern": "^(a+)+$"}, "a" * 100_000 + "!", "v") != []
    assert time.process_time() - began < 5, "it would take years"


def in_lists(levels: int, value: Any) -> Any:
    for _ in range(levels):
        value = [value]
    return value


LISTS = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}
ANCHORED = {
    "$defs": {f"d{number}": {"$anchor": f"a{number}", "type": "integer"} for number in range(1000)},
    "items": {"$ref": "#a999"},
}


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"items": {}}, lambda: [0] * 300_000),
        ({"items": {"title": "Anything"}}, lambda: [0] * 300_000),
        ({"additionalProperties": {}}, lambda: {str(number): 0 for number in range(300_000)}),
        ({"propertyNames": {}}, lambda: {str(number): 0 for number in range(300_000)}),
        ({"items": {}, "unevaluatedItems": False}, lambda: [0] * 30_000),
        (LISTS, lambda: in_lists(60, [{"": [0] * 300_000}])),
        (LISTS, lambda: in_lists(60, [{"": "x" * 3_000_000}])),
        (ANCHORED, lambda: [0] * 3000),
    ],
)
def test_no_answer_takes_long(schema, made):
    check_answer(schema, [], "v")  # what is made once for each schema does not count
    answer = made()
    began = time.process_time()
    check_answer(schema, answer, "v")
    assert time.process_time() - began < 1, "seconds to a minute without the bounds"


def test_the_answers_of_one_frame_take_no_more_time_than_one_may(monkeypatch):
    checked = []

    def check(schema, value, where, seconds):
        checked.append(seconds)
        now[0] += answers.MAX_S / 4
        return []

    now = [0.0]
    monkeypatch.setattr(answers.time, "thread_time", lambda: now[0])
    monkeypatch.setattr(answers, "check_answer", check)
    ((path, reason),) = answers.check_answers(({}, number, f"v{number}") for number in range(100))
    assert (path, len(checked)) == ("v4", 4)
    assert "send fewer at once" in reason
    assert checked == [answers.MAX_S * left / 4 for left in (4, 3, 2, 1)]


def test_the_errors_of_one_frame_are_few():
    many = (({"type": "string"}, 1, f"v{number}") for number in range(10_000))
    assert len(answers.check_answers(many)) == 2 * answers.MAX_ERRORS
    assert answers.check_answers([(None, 1, "v"), ({"type": "integer"}, 1, "w")]) == []


def test_a_list_of_anything_may_be_long():
    assert check_answer({"type": "array", "items": {}}, [0] * 100_000, "v") == []


def test_a_broken_schema_is_looked_at_once(monkeypatch):
    made = []
    monkeypatch.setattr(answers, "_made", lambda schema: made.append(schema) or 1 / 0)
    for _ in range(3):
        assert check_answer({"title": "broken in a way of its own"}, 1, "v") == []
    assert len(made) == 1


def test_the_errors_of_one_answer_are_few():
    assert len(check_answer({"items": {"type": "string"}}, [1] * 100, "v")) == answers.MAX_ERRORS


# ── the schema as it is sent ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("schema", [FORM, {"$ref": "#/$defs/a", "$defs": {"a": {}}}, {}])
def test_a_schema_is_sent_as_it_is(schema):
    assert response_schema_of(Interrupt("?", "i", response_schema=schema)) == schema


@pytest.mark.parametrize(
    "schema", [True, "text", Form, {"default": object()}, {"title": "x" * MAX_SCHEMA_BYTES}, {"a": "\ud83d"}]
)
def test_what_is_no_schema_is_left_out_and_warned_of(schema, caplog):
    assert response_schema_of(Interrupt("?", "i", response_schema=schema)) is None
    assert "a response_schema was left out" in caplog.text


def test_a_question_may_have_none(caplog):
    assert response_schema_of(Interrupt("?", "i")) is None
    assert not caplog.text


@pytest.mark.parametrize("items", [500, 2000])
def test_contains_costs_a_step_for_each_item_that_it_looks_at(items, monkeypatch):
    monkeypatch.setattr(answers, "MAX_STEPS", 1000)
    ((_, reason),) = check_answer({"contains": False}, [0] * items, "v")
    assert ("too large to be checked" in reason) == (items > 1000)
