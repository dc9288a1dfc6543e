"""The objects inside frames, the frames themselves, and what the errors say.

About `protocol/graphwire_protocol/payloads.py`, `protocol/graphwire_protocol/replies.py`,
`protocol/graphwire_protocol/frames.py` and `protocol/graphwire_protocol/errors.py`.
"""

from typing import Any

import pytest
from graphwire_protocol.base import Wire
from graphwire_protocol.codes import CODES
from graphwire_protocol.errors import Misuse, ProtocolError, Refusal, path_text
from graphwire_protocol.frames import Event, Synced
from graphwire_protocol.payloads import (
    AskedInterrupt,
    Failure,
    Interrupts,
    Lifecycle,
    MessageData,
    PendingInterrupt,
    SnapshotMessage,
)
from graphwire_protocol.replies import Ok, RunRow, ThreadState
from pydantic import ValidationError

AT = "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize(
    "part",
    [
        Failure(code="graph_error", message="no", error_id="5b1c"),
        Lifecycle(status="failed", attempt=1, at=AT, error=Failure(code="lost", message="no")),
        Interrupts(interrupts=(PendingInterrupt(id="i1", value="Send it?", ns=("a:1",)),)),
        AskedInterrupt(id="i1", value={"sure": "?"}),
        MessageData(id="m1", delta={"content": "Soft"}),
        SnapshotMessage(id="m1", message={"content": "Softly"}, meta={"tags": []}),
        Event(sub=1, n=1, seq=2, mode="updates", data={}, interrupts=()),
        ThreadState(values={}, next=(), tasks=(), interrupts=(), config={}),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_is_written_is_read_back(part: Wire) -> None:
    assert type(part).model_validate(part.to_wire()) == part


def test_an_unset_field_is_left_out_and_a_null_that_was_said_is_kept() -> None:
    assert PendingInterrupt(id="i1").to_wire() == {"id": "i1", "ns": []}
    assert PendingInterrupt(id="i1", value=None).to_wire() == {"id": "i1", "value": None, "ns": []}
    assert Ok(id=1).to_wire() == {"type": "ok", "id": 1}
    assert Ok(id=1, output=None).to_wire() == {"type": "ok", "id": 1, "output": None}
    assert Synced(sub=3).to_wire() == {"type": "synced", "sub": 3}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Lifecycle, {"status": "asleep", "attempt": 1, "at": AT}),
        (Lifecycle, {"status": "running", "attempt": -1, "at": AT}),
        (RunRow, {"run": "no spaces here"}),
        (Event, {"sub": 1, "n": 1, "seq": 2**53, "mode": "custom", "data": None}),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused(model: type[Wire], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(fields)


def test_a_path_is_text_and_repeats_little_of_the_peers_words() -> None:
    assert path_text(["subscribe", 0, "filter"]) == "subscribe[0].filter"
    assert path_text([1, "a"], "input") == "input[1].a"
    assert path_text(["x" * 1000]) == "x" * 64


def test_every_refusal_says_when_to_try_again() -> None:
    for name, code in CODES.items():
        refusal = Refusal(name, "no", id=3)
        assert (refusal.retry, str(refusal)) == (code.retry, f"{name}: no")
        assert isinstance(refusal, ProtocolError)
    assert issubclass(Misuse, ProtocolError)
