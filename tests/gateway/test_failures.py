"""What clients learn about a graph's exception lets a person act on it.

About `gateway/graphwire_gateway/failures.py`.
"""

import asyncio
from typing import Any

import anyio
import graphwire_runtime
import langgraph.graph
import pytest
from graphwire_gateway.failures import Failures, RunLimit
from graphwire_gateway.scope import Scope
from typing_extensions import TypedDict

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
        (TimeoutError("x"), "graph_error"),
        (GraphRecursionError("x"), "recursion_limit"),
        (RunLimit("the run has more events than max_run_events"), "limit_exceeded"),
    ],
)
@pytest.mark.parametrize("expose", [True, False])
def test_the_code_says_what_happened_exposed_or_not(error: Exception, code: str, expose: bool) -> None:
    assert Failures(expose).of_run(error, "g", "r").code == code


@pytest.mark.parametrize("library", [graphwire_runtime, langgraph.graph])
async def test_a_library_s_step_timeout_is_a_timeout_and_what_a_node_waited_for_is_not(library: Any) -> None:
    class State(TypedDict, total=False):
        n: int

    async def too_slow(state: State) -> State:
        await asyncio.sleep(20)
        return {}

    async def waits_too_short(state: State) -> State:
        await asyncio.wait_for(asyncio.sleep(20), 0.01)
        return {}

    codes = []
    for node in (too_slow, waits_too_short):
        graph = library.StateGraph(State)
        graph.add_node("n", node)
        graph.add_edge(library.START, "n")
        compiled = graph.compile()
        compiled.step_timeout = 0.1
        with pytest.raises(asyncio.TimeoutError) as raised:
            await compiled.ainvoke({})
        codes.append(Failures(expose=True).of_run(raised.value, "g", "r").code)
    assert codes == ["timeout", "graph_error"]


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
    assert message_of(ValueError("\ud800")) == "\ufffd"


def _raises(self: Any, *_: Any) -> Any:
    raise RuntimeError("not to be asked")


def _exits(self: Any, *_: Any) -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize("base", [Exception, BaseException])
@pytest.mark.parametrize("code", [_raises, _exits])
@pytest.mark.parametrize("name", ["__str__", "__cause__", "__context__", "__traceback__", "__class__"])
def test_an_exception_whose_code_raises_or_exits_is_described_and_logged(
    name: str, code: Any, base: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    member = code if name == "__str__" else property(code, lambda self, value: None)
    error = type("Odd", (base,), {name: member})("odd indeed")
    expected = "Odd" if name == "__str__" else "odd indeed"
    failures = Failures(expose=True, new_id=lambda: "e1")
    assert failures.of_run(error, "g", "r").message == expected
    assert failures.of_run(error, "g", "r", SCOPE).code == "graph_error"
    assert failures.in_data(error) == {"error_id": "e1", "type": "Odd", "message": expected}
    assert failures.of_state(error, "g", SCOPE) == expected
    failures.internal(error, "testing")
    assert caplog.text.count("e1") >= 4
    outer = caused(ValueError("outer"), RuntimeError("x"))
    vars(BaseException)["__cause__"].__set__(outer, error)
    assert failures.of_run(outer, "g", "r").message.startswith("outer (caused by Odd")


@pytest.mark.parametrize(
    ("error", "type", "message"),
    [
        (GeneratorExit("why"), "GeneratorExit", "a node raised GeneratorExit: why"),
        (GeneratorExit(), "GeneratorExit", "a node raised GeneratorExit"),
        (
            RuntimeError("aclose(): asynchronous generator is already running"),
            "GeneratorExit",
            "a node raised GeneratorExit",
        ),
        (RuntimeError("coroutine ignored GeneratorExit"), "GeneratorExit", "a node raised GeneratorExit"),
        (SystemExit(3), "SystemExit", "a node raised SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "a node raised KeyboardInterrupt"),
        (RuntimeError("coroutine"), "RuntimeError", "coroutine"),
    ],
)
def test_an_exit_of_a_node_is_told_as_what_it_is(error, type, message):
    failure = Failures(expose=True).of_run(error, "g", "r")
    assert (failure.code, failure.type, failure.message) == ("graph_error", type, message)
