"""The reference: its examples are legal frames, and everything on the wire is explained in it.

About `protocol/graphwire_protocol/reference.py`, `protocol/graphwire_protocol/schema.py`,
`protocol/graphwire_protocol/examples.py`, `protocol/graphwire_protocol/limits.py` and
`protocol/graphwire_protocol/version.py`.
"""

import json
from typing import Any, get_args

import pytest
from graphwire_protocol import examples
from graphwire_protocol.base import Wire
from graphwire_protocol.codec import decode_command, decode_frames, encode
from graphwire_protocol.commands import Command, Hello, Result
from graphwire_protocol.errors import Refusal
from graphwire_protocol.frames import ServerFrame
from graphwire_protocol.limits import DEFAULTS, LIMITS, AnnouncedLimits
from graphwire_protocol.reference import documents
from graphwire_protocol.schema import CLIENT, DATA, SERVER, field_docs, schemas, summary, tables
from graphwire_protocol.server import ServerSession
from graphwire_protocol.version import MAJOR, MINOR

CLIENT_MODELS = get_args(get_args(Command)[0])
SERVER_MODELS = get_args(get_args(ServerFrame)[0])
FRAMES = {model.model_fields["type"].default: model for model in (*CLIENT_MODELS, *SERVER_MODELS)}


def parts(model: Any) -> set[type[Wire]]:
    """Return the objects that a frame is made of, itself among them."""
    found: set[type[Wire]] = set()
    pending = [model]
    while pending:
        item = pending.pop()
        if isinstance(item, type) and issubclass(item, Wire):
            if item not in found:
                found.add(item)
                pending.extend(field.annotation for field in item.model_fields.values())
        else:
            pending.extend(get_args(item))
    return found


OBJECTS = sorted(set.union(*map(parts, [*FRAMES.values(), *DATA.values()])), key=lambda model: str(model))


def holds(whole: Any, part: Any) -> bool:
    """Tell whether everything in ``part`` is in ``whole``."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            value is None or (name in whole and holds(whole[name], value)) for name, value in part.items()
        )
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def read(frame: dict[str, Any], by: str) -> Wire:
    data = json.dumps(frame)
    return decode_command(data) if by == "client" else decode_frames(data)[0]


SHOWN = [("client", frame) for frame in examples.CLIENT] + [("server", frame) for frame in examples.SERVER]


@pytest.mark.parametrize(("by", "frame"), SHOWN, ids=[f"{by}-{frame['type']}" for by, frame in SHOWN])
def test_an_example_is_a_legal_frame_in_which_every_field_is_known(by: str, frame: dict[str, Any]) -> None:
    assert holds(json.loads(json.dumps(read(frame, by).to_wire())), frame)


@pytest.mark.parametrize("mode", DATA)
def test_an_example_of_a_modes_data_is_legal(mode: str) -> None:
    assert examples.DATA[mode]
    for data in examples.DATA[mode]:
        assert holds(DATA[mode].model_validate_json(json.dumps(data)).to_wire(), data)


def test_every_frame_type_has_an_example() -> None:
    assert {model.model_fields["type"].default for model in CLIENT_MODELS} == {
        frame["type"] for frame in examples.CLIENT
    }
    assert {model.model_fields["type"].default for model in SERVER_MODELS} == {
        frame["type"] for frame in examples.SERVER
    }


@pytest.mark.parametrize("model", OBJECTS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model: type[Wire]) -> None:
    assert set(model.model_fields) - set(field_docs(model)) - {"type"} == set()


@pytest.mark.parametrize("type", FRAMES)
def test_every_frame_says_what_each_side_owes(type: str) -> None:
    paragraphs = summary(FRAMES[type]).split("\n\n")
    owed = {paragraph.partition(": ")[0] for paragraph in paragraphs}
    assert {"Client", "Server"} <= owed
    assert paragraphs[0].endswith(".")


def test_the_schemas_carry_the_meanings_and_ask_for_the_type() -> None:
    made = schemas()
    for file in (CLIENT, SERVER):
        for ref in made[file]["discriminator"]["mapping"].values():
            frame = made[file]["$defs"][ref.rpartition("/")[2]]
            assert "type" in frame["required"]
            assert "default" not in frame["properties"]["type"]
            assert all(
                "description" in field for name, field in frame["properties"].items() if name != "type"
            )


def test_every_frame_and_every_field_stands_in_its_page() -> None:
    pages = documents()
    for page, models in (("client", CLIENT_MODELS), ("server", SERVER_MODELS)):
        text = pages[f"reference/{page}-frames.md"]
        sections = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
        for model in models:
            section = sections[model.model_fields["type"].default]
            names = {field.alias or name for name, field in model.model_fields.items()}
            assert {name for name in names if f"| `{name}` |" not in section} == set()


def test_the_version_in_the_schemas_is_this_one() -> None:
    assert f"version {MAJOR}.{MINOR}" in schemas()[CLIENT]["title"]


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_is_announced_with_its_default_and_has_a_meaning(name: str) -> None:
    row = tables()["limits"][name]
    assert row["default"] == getattr(AnnouncedLimits(), name)
    assert row["meaning"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_subscriptions", 0), ("requests_per_s", 0), ("heartbeat_s", float("inf")), ("drain_s", -1)],
)
def test_a_limit_outside_its_bounds_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        AnnouncedLimits(**{name: value})  # type: ignore[arg-type]


def test_a_session_without_other_settings_keeps_the_announced_defaults() -> None:
    session = ServerSession()
    hello = encode(Hello(id=0)).decode()
    session.receive(hello, 0)
    open_requests = DEFAULTS.max_open_requests - 1  # one is hello
    for id in range(1, open_requests + 1):
        session.receive(encode(Result(id=id, run="r")).decode(), float(id))
    with pytest.raises(Refusal, match=str(DEFAULTS.max_open_requests)):
        session.receive(encode(Result(id=open_requests + 1, run="r")).decode(), float(open_requests + 1))
