"""What a run's row says beside its status is small, whatever the graph asks or raises.

About `gateway/graphwire_gateway/runs/details.py`.
"""

import orjson
from graphwire_gateway.runs.details import MESSAGE_CHARS, QUESTIONS_BYTES, details_of
from graphwire_protocol.payloads import Failure, PendingInterrupt


def question(number: int, size: int) -> PendingInterrupt:
    return PendingInterrupt(id=f"i{number}", value="x" * size, ns=("node:1",))


def size_of(*questions: PendingInterrupt) -> int:
    return len(orjson.dumps([item.to_wire() for item in questions]))


def test_a_small_question_is_shown_as_it_is_asked() -> None:
    asked = (question(1, 10), PendingInterrupt(id="i2", value={"pick": [1, None]}))
    details = details_of("interrupted", asked=asked)
    assert (details.questions, details.interrupts) == (asked, ("i1", "i2"))


def test_a_large_question_is_cut_and_keeps_its_id_and_its_path_and_those_behind_it_are_shown() -> None:
    asked = (question(1, 10), question(2, 10**6), question(3, 10))
    questions = details_of("interrupted", asked=asked).questions
    assert questions is not None
    cut = PendingInterrupt(id="i2", value={"$cut": {"reason": "size", "bytes": 10**6 + 2}}, ns=("node:1",))
    assert questions == (asked[0], cut, asked[2])


def test_many_questions_fill_the_row_up_to_its_bound_and_their_ids_are_all_there() -> None:
    for size in (10, 700, 5000):
        asked = tuple(question(number, size) for number in range(500))
        details = details_of("interrupted", asked=asked)
        assert details.questions is not None
        assert QUESTIONS_BYTES // 2 < size_of(*details.questions) <= QUESTIONS_BYTES + 1
        assert details.interrupts == tuple(item.id for item in asked)


def test_who_asks_nothing_has_no_questions() -> None:
    details = details_of("interrupted")
    assert (details.questions, details.interrupts) == (None, None)


def test_the_message_of_a_failure_is_shortened_and_the_rest_of_it_kept() -> None:
    short = Failure(code="graph_error", message="m" * MESSAGE_CHARS, error_id="1", type="ValueError")
    assert details_of("failed", failure=short).error == short
    error = details_of("failed", failure=short.model_copy(update={"message": "m" * 9000})).error
    assert error == short.model_copy(update={"message": "m" * (MESSAGE_CHARS - 1) + "…"})
