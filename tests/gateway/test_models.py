"""Version v2 of a stream has instances of the classes of states, where they can be made.

About `gateway/graphwire_gateway/execution/models.py` and `gateway/graphwire_gateway/graphs/library.py`.
"""

from typing import Any

import pytest
from graphwire_gateway.execution.models import Models

from tests.support.graphs import Library, counter, library
from tests.support.state_graphs import Model, ModelOutput, Record, counting


@pytest.fixture(params=["graphwire_runtime", "langgraph"])
def lib(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


def test_values_are_the_output_and_checkpoints_the_state(lib: Library) -> None:
    models = Models(counting(lib, Model, ModelOutput))
    assert models.part((), "values", {"n": 1, "log": []}) == (ModelOutput(n=1), ())
    checkpoint = {"values": {"n": 1}, "next": ["one"]}
    made = {"values": Model(n=1), "next": ["one"]}
    assert models.part((), "checkpoints", checkpoint) == (made, ())
    event = {"type": "checkpoint", "payload": checkpoint}
    assert models.part((), "debug", event) == ({"type": "checkpoint", "payload": made}, ())
    assert models.output({"n": 1}) == ModelOutput(n=1)


def test_interrupts_stand_beside_the_values(lib: Library) -> None:
    models = Models(counting(lib, Record))
    assert models.part((), "values", {"n": 1, "__interrupt__": ["?"]}) == (Record(n=1), ["?"])
    assert models.output({"n": 1, "__interrupt__": ["?"]}) == Record(n=1)


@pytest.mark.parametrize(
    ("mode", "chunk"),
    [
        ("values", "one value"),
        ("updates", {"one": {"n": 1}}),
        ("custom", {"n": 1}),
        ("debug", {"type": "task", "payload": {"values": {"n": 1}}}),
        ("checkpoints", {"values": {"n": 1}, "next": ["__start__"]}),
        ("checkpoints", {"values": None, "next": []}),
    ],
)
def test_what_holds_no_state_stays_as_it_is(lib: Library, mode: str, chunk: Any) -> None:
    assert Models(counting(lib, Model)).part((), mode, chunk) == (chunk, ())


def test_a_class_that_refuses_a_state_raises_at_the_root_alone(lib: Library) -> None:
    models = Models(counting(lib, Record))
    foreign = {"other": 1}
    with pytest.raises(TypeError, match="other"):
        models.part((), "values", foreign)
    assert models.part(("inner:1",), "values", foreign) == (foreign, ())


def test_a_typed_dict_has_no_instances(lib: Library) -> None:
    models = Models(counter(lib))
    assert models.part((), "values", {"done": 1}) == ({"done": 1}, ())
    assert models.output({"done": 1}) == {"done": 1}
    assert models.output(None) is None
