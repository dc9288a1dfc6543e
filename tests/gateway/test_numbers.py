"""About `gateway/graphwire_gateway/runs/numbers.py`."""

import gc

from graphwire_gateway.runs.numbers import Numberings


def test_runs_of_a_thread_are_counted_from_1_and_threads_apart() -> None:
    numberings = Numberings()
    one, other = numberings.of("a"), numberings.of("b")
    assert [one.next(), one.next(), other.next(), one.next()] == [1, 2, 1, 3]
    assert numberings.of("a") is one
    assert one.epoch != other.epoch


def test_a_numbering_is_found_once_a_run_has_begun() -> None:
    numberings = Numberings()
    assert numberings.find("a") is None
    held = numberings.of("a")
    assert numberings.find("a") is None
    held.next()
    found = numberings.find("a")
    assert found is held
    assert found.last == 1


def test_a_numbering_ends_with_its_last_run_and_another_begins_from_1() -> None:
    numberings = Numberings()
    runs = [numberings.of("a"), numberings.of("a")]
    epoch = runs[0].epoch
    runs[0].next()
    del runs[0]
    gc.collect()
    assert numberings.of("a").next() == 2
    runs.clear()
    gc.collect()
    assert numberings.find("a") is None
    later = numberings.of("a")
    assert (later.next(), later.epoch == epoch) == (1, False)
