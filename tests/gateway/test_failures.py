"""The report of a graph's exception lets a person act on it.

About `gateway/graphwire_gateway/failures.py`.
"""

import anyio
import pytest
from graphwire_gateway.failures import Failures


def told(error: BaseException) -> str:
    return Failures(expose=True, new_id=lambda: "e1").of_run(error, "g", "r").message


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_the_first_cause_stands_behind_what_an_exception_says_itself() -> None:
    inner = caused(OSError("no way to host"), ConnectionRefusedError("refused at 127.0.0.1:9"))
    error = caused(RuntimeError("Connection error."), inner)
    assert told(error) == "Connection error. (caused by ConnectionRefusedError: refused at 127.0.0.1:9)"


def test_a_cause_without_words_is_told_by_its_name_and_one_that_was_told_not_again() -> None:
    assert told(caused(RuntimeError("no answer"), KeyError())) == "no answer (caused by KeyError)"
    assert told(caused(RuntimeError("no answer: late"), TimeoutError("late"))) == "no answer: late"
    assert told(ValueError()) == "ValueError"


async def test_of_a_group_the_first_exception_is_told() -> None:
    async def fail() -> None:
        raise caused(LookupError("no such tool"), OSError("gone"))

    with pytest.raises(Exception, match="TaskGroup") as raised:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
    assert told(raised.value) == "unhandled errors in a TaskGroup (1 sub-exception) (caused by OSError: gone)"


def test_a_ring_of_causes_has_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert told(one) in ("one", "one (caused by RuntimeError: other)")


def test_what_is_not_exposed_tells_no_cause_either() -> None:
    error = caused(RuntimeError("Connection error."), OSError("refused at 127.0.0.1:9"))
    failure = Failures(expose=False, new_id=lambda: "e1").of_run(error, "g", "r")
    assert failure.message == "the graph raised an exception (error_id e1)"
    assert failure.type is None
