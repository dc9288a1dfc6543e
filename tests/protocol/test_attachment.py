"""The kit's judge of one attachment: each broken rule is named by the frame that breaks it.

About `protocol/graphwire_conformance/servers/attachment.py`, `protocol/graphwire_conformance/verdict.py` and
`protocol/graphwire_conformance/protocol.py`.
"""

from typing import get_args

import pytest
from graphwire_conformance import protocol
from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.attachment import Attachment
from graphwire_conformance.verdict import Violation, brief
from graphwire_protocol import SUBPROTOCOL
from graphwire_protocol.filters import UNCONSTRAINED
from graphwire_protocol.types import TERMINAL, Mode

SUBSCRIBED: Frame = {"type": "subscribed", "sub": 1, "epoch": "e1", "after": 0, "recovery": "replayed"}


def event(n: int, seq: int, mode: str = "custom", **data: object) -> Frame:
    return {"type": "event", "sub": 1, "n": n, "seq": seq, "mode": mode, "data": data}


def closed(delivered: int, status: str = "completed") -> Frame:
    return {"type": "closed", "sub": 1, "reason": "end", "status": status, "delivered": delivered}


END = event(2, 2, "lifecycle", status="completed")


def test_a_legal_attachment_breaks_no_rule() -> None:
    attachment = Attachment(SUBSCRIBED, credit=1)
    for frame in (event(1, 1), END, {"type": "synced", "seq": 2}, closed(2)):
        attachment.take(frame)
    assert attachment.terminal == END
    assert attachment.closed is not None


@pytest.mark.parametrize(
    ("frames", "rule"),
    [
        pytest.param([event(2, 1)], "n is dense", id="a hole in n"),
        pytest.param([event(1, 5), event(2, 5)], "seq rises", id="a seq twice"),
        pytest.param([event(1, 1), event(2, 2)], "credit", id="beyond the credit"),
        pytest.param([event(1, 1), END, event(3, 3)], "terminal", id="behind the end"),
        pytest.param([closed(0), event(1, 1)], "closed", id="behind closed"),
        pytest.param([event(1, 1), END, closed(3)], "delivered", id="a wrong count"),
        pytest.param([event(1, 1), END, closed(2, "failed")], "closed", id="another status"),
        pytest.param([{"type": "gap", "upto_seq": 9}, event(1, 10)], "gap, then snapshot", id="a gap alone"),
        pytest.param([event(1, 1), {"type": "mark", "seq": 5, "n": 2}], "mark.n", id="a mark behind a loss"),
        pytest.param([event(1, 1, "messages", id="m")], "meta once", id="a message without metadata"),
    ],
)
def test_a_broken_rule_is_named(frames: list[Frame], rule: str) -> None:
    attachment = Attachment(SUBSCRIBED, credit=1)
    for frame in frames[:-1]:
        attachment.take(frame)
    with pytest.raises(Violation) as broken:
        attachment.take(frames[-1])
    assert rule in broken.value.rule
    assert broken.value.expected


def test_what_the_kit_wrote_down_anew_is_what_the_protocol_says() -> None:
    assert protocol.SUBPROTOCOL == SUBPROTOCOL
    assert get_args(Mode) == protocol.LOG_MODES
    assert set(protocol.FREE_MODES) == UNCONSTRAINED
    assert set(protocol.TERMINAL) == TERMINAL


def test_a_long_value_is_shown_in_part() -> None:
    assert brief("x" * 1000).endswith("(1002 characters)")
