"""What clients learn about a graph's exception lets a person act on it.

About `gateway/graphwire_gateway/failures.py`.
"""

import anyio
import pytest
from graphwire_gateway.failures import Failures, RunLimit
from graphwire_gateway.scope import Scope

SCOPE = Scope(saved="g/ann/t", thread="t")


def message_of(error: BaseException) -> str:
    return Failures(expose=True, new_id=lambda: "e1").of_run(error, "g", "r").message


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_the_first_cause_stands_behind_what_an_exception_says_itself() -> None:
    inner = caused(OSError("no way to host"), ConnectionRefusedError("refused at 127.0.0.1:9"))
    error = caused(RuntimeError("Connection error."), inner)
    assert message_of(error) == "Connection error. (caused by ConnectionRefusedError: refused at 127.0.0.1:9)"


def test_a_cause_without_text_appears_by_its_name_and_one_already_in_the_text_not_again() -> None:
    assert message_of(caused(RuntimeError("no answer"), KeyError())) == "no answer (caused by KeyError)"
    assert message_of(caused(RuntimeError("no answer: late"), TimeoutError("late"))) == "no answer: late"
    assert message_of(ValueError()) == "ValueError"


async def test_of_a_group_the_first_exception_appears() -> None:
    async def fail() -> None:
        raise caused(LookupError("no such tool"), OSError("gone"))

    with pytest.raises(Exception, match="TaskGroup") as raised:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
    assert (
        message_of(raised.value)
        == "unhandled errors in a TaskGroup (1 sub-exception) (caused by OSError: gone)"
    )


def test_a_ring_of_causes_has_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert message_of(one) in ("one", "one (caused by RuntimeError: other)")


def test_what_is_not_exposed_has_no_cause_either() -> None:
    error = caused(RuntimeError("Connection error."), OSError("refused at 127.0.0.1:9"))
    failure = Failures(expose=False, new_id=lambda: "e1").of_run(error, "g", "r")
    assert failure.message == "the graph raised an exception (error_id e1)"
    assert failure.type is None


class GraphRecursionError(Exception):
    """Known by its name, which two libraries have."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x"), "graph_error"),
        (TimeoutError("x"), "timeout"),
        (GraphRecursionError("x"), "recursion_limit"),
        (RunLimit("the run has more events than max_run_events"), "limit_exceeded"),
    ],
)
@pytest.mark.parametrize("expose", [True, False])
def test_the_code_says_what_happened_exposed_or_not(error: Exception, code: str, expose: bool) -> None:
    assert Failures(expose).of_run(error, "g", "r").code == code


def test_a_limit_is_no_secret_and_needs_no_id() -> None:
    failure = Failures(expose=False).of_run(RunLimit("more than max_run_events"), "g", "r")
    assert (failure.message, failure.error_id) == ("more than max_run_events", None)


def test_the_log_has_the_whole_error_under_its_id(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures(expose=False, new_id=iter(["e1", "e2"]).__next__)
    assert failures.in_data(ValueError("secret")) == {"error_id": "e1"}
    assert failures.internal(ValueError("secret too"), "replying") == "e2"
    for words in ("e1", "ValueError: secret", "e2", "ValueError: secret too", "replying"):
        assert words in caplog.text


@pytest.mark.parametrize("expose", [True, False])
def test_a_thread_is_called_as_its_caller_calls_it(expose: bool) -> None:
    failures = Failures(expose, new_id=lambda: "e1")
    error = ValueError("no checkpoint of g/ann/t")
    texts = [
        failures.of_run(error, "g", "r", SCOPE).message,
        failures.of_state(error, "g", SCOPE),
        str(failures.kept(str(error), SCOPE)),
    ]
    assert [text for text in texts if "g/ann/t" in text] == []
    assert all(("no checkpoint of t" in text) == expose for text in texts)
    assert all(("e1" in text) != expose for text in texts)


def test_a_text_is_short_and_can_be_encoded() -> None:
    text = message_of(ValueError("x" * 5000))
    assert len(text) == 4096
    assert text.endswith("…")
    assert message_of(ValueError("\ud800")) == "?"


def test_an_exception_that_cannot_say_itself_is_called_by_its_type() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert message_of(Broken()) == "Broken"
