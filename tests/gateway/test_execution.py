"""About `gateway/graphwire_gateway/execution/execution.py`, `gateway/graphwire_gateway/execution/request.py`
and `gateway/graphwire_gateway/execution/inputs.py`.

Graphs on an inline runner, and an owner that notes what it receives.

Long because it follows one execution from its request to each of its ends.
"""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import orjson
import pytest
from graphwire_gateway.execution import execution as module
from graphwire_gateway.execution.execution import Execution, Executor, Made, Outcome
from graphwire_gateway.execution.inputs import message_of
from graphwire_gateway.execution.request import RunRequest, run_request, run_sizes, run_values
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog, GraphSpec
from graphwire_gateway.scope import Scope, private_scope
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_runtime import END, START, StateGraph, interrupt
from langchain_core import messages
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.executions import data_of
from tests.support.waiting import settle, until

Script = Callable[[], AsyncIterator[Any]]


class Scripted:
    """A graph whose stream is a script of the test: it yields ``(mode, chunk)``.

    ``asked`` has the arguments of each ``astream``; ``closed`` counts the streams that were closed.
    """

    name = "scripted"
    output_channels: Any = ("said",)
    nodes: dict[str, Any] = {}

    def __init__(self, script: Script, checkpointer: Any = None) -> None:
        self.checkpointer = checkpointer
        self.script = script
        self.asked: list[dict[str, Any]] = []
        self.closed: list[int] = []

    async def astream(self, input: Any, config: Any, **options: Any) -> AsyncIterator[Any]:
        self.asked.append({"input": input, "config": config, **options})
        try:
            async for item in self.script():
                yield item
        finally:
            self.closed.append(1)

    def get_graph(self, config: Any = None, *, xray: Any = False) -> Any: ...

    def get_input_jsonschema(self, config: Any = None) -> Any: ...

    def get_output_jsonschema(self, config: Any = None) -> Any: ...

    def get_context_jsonschema(self) -> Any: ...


class Owner:
    """Notes what executions make. It reports everything as stored, unless ``holds``."""

    def __init__(self) -> None:
        self.made: list[Made] = []
        self.over: list[Execution] = []
        self.holds = False

    def receive(self, execution: Execution, made: Made) -> None:
        self.made.append(made)
        if not self.holds:
            execution.stored(len(made.records), sum(record.size for record in made.records))

    def stopped(self, execution: Execution) -> None:
        assert execution.is_over
        self.over.append(execution)

    @property
    def data(self) -> list[Any]:
        return [data_of(record) for made in self.made for record in made.records]

    @property
    def outcomes(self) -> list[Outcome]:
        return [made.outcome for made in self.made if made.outcome is not None]

    async def outcome(self) -> Outcome:
        """Return the outcome of the execution, when its code has stopped."""
        await until(lambda: self.over)
        assert len(self.outcomes) == 1
        assert self.made[-1].outcome is not None  # nothing follows it
        return self.outcomes[0]


class Bench:
    def __init__(
        self,
        catalog: Catalog,
        *,
        expose: bool = True,
        max_event_bytes: int = 1 << 20,
        delete_s: float = 30,
        outlives: bool = False,
    ) -> None:
        self.catalog = catalog
        self.owner = Owner()
        self.executor = Executor(
            catalog, Failures(expose), max_event_bytes, delete_s=delete_s, outlives=outlives
        )

    def start(self, **fields: Any) -> Execution:
        request = RunRequest(**{**REQUEST, **fields})
        return self.executor.start(request, self.owner)

    @property
    def graph(self) -> Any:
        return self.catalog.get("g").graph


REQUEST: dict[str, Any] = {
    "run": "r",
    "graph": "g",
    "input": {},
    "config": {"configurable": {}},
    "modes": frozenset({"custom"}),
}


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Coroutine[Any, Any, Bench]]]:
    """``await serve(graph)`` returns a bench; a script is made a graph."""
    opened: list[Catalog] = []

    async def serve(graph: Any, **options: Any) -> Bench:
        served = graph if hasattr(graph, "astream") else Scripted(graph)
        opened.append(Catalog({"g": GraphSpec(served, "inline")}))
        await opened[-1].open()
        return Bench(opened[-1], **options)

    yield serve
    for catalog in opened:
        await catalog.close(5)


def script(*items: Any) -> Script:
    """Return a script that yields items; numbers are custom events, an exception is raised."""

    async def run() -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield ("custom", item) if isinstance(item, int) else item
            await asyncio.sleep(0)

    return run


class State(TypedDict, total=False):
    said: str
    secret: int


class Output(TypedDict):
    said: str


def asker(checkpointer: Any = None) -> Any:
    building = StateGraph(State, output_schema=Output)
    building.add_node("ask", lambda state: {"said": interrupt("how?"), "secret": 1})
    building.add_edge(START, "ask")
    building.add_edge("ask", END)
    return building.compile(checkpointer=checkpointer)


# ── what it hands over ───────────────────────────────────────────────────────────────────────────


async def test_everything_is_handed_over_once_in_order_and_the_outcome_last(serve) -> None:
    bench = await serve(script(*range(100), ("values", {"said": "x", "secret": 1})))
    bench.start()
    outcome = await bench.owner.outcome()
    assert bench.owner.data == list(range(100))
    assert outcome == Outcome("completed", b'{"said":"x"}')


async def test_what_is_made_in_one_tick_is_handed_over_together(serve) -> None:
    async def run() -> AsyncIterator[Any]:
        for tick in range(3):
            for number in range(5):
                yield "custom", tick * 5 + number
            await settle()

    bench = await serve(run)
    bench.start()
    await bench.owner.outcome()
    assert [len(made.records) for made in bench.owner.made] == [5, 5, 5, 0]


async def test_only_recorded_modes_are_handed_over_but_the_output_needs_no_recording(serve) -> None:
    bench = await serve(script(1, ("values", {"said": "x"}), ("updates", {"n": {}})))
    bench.start(modes=frozenset({"updates"}))
    outcome = await bench.owner.outcome()
    assert (bench.owner.data, outcome.output) == ([{"n": {}}], b'{"said":"x"}')
    assert bench.graph.asked[0]["stream_mode"] == ["updates", "values"]


async def test_events_of_subgraphs_have_their_namespace(serve) -> None:
    bench = await serve(script((("sub:1",), "custom", 1), ((), "values", {"said": "x"})))
    bench.start(subgraphs=True)
    outcome = await bench.owner.outcome()
    assert bench.owner.made[0].records[0].address.ns == ("sub:1",)
    assert (bench.graph.asked[0]["subgraphs"], outcome.output) == (True, b'{"said":"x"}')


async def test_a_subgraph_s_values_are_not_the_output(serve) -> None:
    items = (((), "values", {"said": "root"}), (("sub:1",), "values", {"said": "sub"}))
    bench = await serve(script(*items))
    bench.start(subgraphs=True)
    assert (await bench.owner.outcome()).output == b'{"said":"root"}'


async def test_the_graph_gets_input_config_context_and_options(serve) -> None:
    bench = await serve(script())
    config = {"configurable": {"thread_id": "t"}}
    bench.start(input={"said": "x"}, config=config, context={"c": 1}, options={"output_keys": ["said"]})
    await bench.owner.outcome()
    (asked,) = bench.graph.asked
    assert (asked["input"], asked["config"], asked["context"]) == ({"said": "x"}, config, {"c": 1})
    assert asked["output_keys"] == ["said"]


@pytest.mark.parametrize(
    ("options", "channels", "values", "output"),
    [
        ({}, ("said",), {"said": 1, "secret": 2}, b'{"said":1}'),
        ({}, ("other",), {"said": 1}, b"null"),
        ({}, "said", {"said": 1, "secret": 2}, b'{"said":1,"secret":2}'),
        ({}, "said", 7, b"7"),
        ({"output_keys": ["secret"]}, ("said",), {"secret": 2}, b'{"secret":2}'),
        ({}, ("said",), None, b"null"),
    ],
)
async def test_the_output_is_what_invoke_would_return(serve, options, channels, values, output) -> None:
    bench = await serve(script(*([("values", {"said": 0}), ("values", values)] if values else [])))
    bench.graph.output_channels = channels
    bench.start(options=options)
    assert (await bench.owner.outcome()).output == output


@pytest.mark.parametrize("breaks", [{"options": {"interrupt_before": ["n"]}}, {}])
async def test_a_breakpoint_shows_in_updates_so_they_are_asked_for(serve, breaks) -> None:
    bench = await serve(script(("updates", {"__interrupt__": ()})))
    if not breaks:
        bench.graph.interrupt_after_nodes = ["n"]
    bench.start(scope=Scope("s", "t"), **breaks)
    outcome = await bench.owner.outcome()
    assert (outcome.kind, outcome.interrupts, bench.owner.data) == ("interrupted", (), [])
    assert bench.graph.asked[0]["stream_mode"] == ["custom", "updates", "values"]


# ── the bound on what is handed over ─────────────────────────────────────────────────────────────


async def test_a_graph_is_not_pulled_while_too_many_events_are_not_stored(serve) -> None:
    pulled: list[int] = []

    async def run() -> AsyncIterator[Any]:
        for number in range(3 * module.HAND_OVER_EVENTS):
            pulled.append(number)
            yield "custom", number

    bench = await serve(run)
    bench.owner.holds = True
    execution = bench.start()
    await until(lambda: len(bench.owner.data) == module.HAND_OVER_EVENTS)
    await settle()
    assert len(pulled) == module.HAND_OVER_EVENTS
    execution.stored(10, 0)
    await until(lambda: len(bench.owner.data) == module.HAND_OVER_EVENTS + 10)
    await settle()
    assert len(pulled) == module.HAND_OVER_EVENTS + 10
    bench.owner.holds = False
    execution.stored(module.HAND_OVER_EVENTS, 1 << 30)
    assert (await bench.owner.outcome()).kind == "completed"
    assert bench.owner.data == list(range(3 * module.HAND_OVER_EVENTS))


async def test_a_graph_is_not_pulled_while_too_many_bytes_are_not_stored(serve) -> None:
    large = "x" * (module.HAND_OVER_BYTES // 4)
    bench = await serve(script(*[("custom", large)] * 10))
    bench.owner.holds = True
    execution = bench.start()
    await until(lambda: len(bench.owner.data) == 4)
    await settle()
    assert len(bench.owner.data) == 4
    execution.stored(0, len(large))
    await until(lambda: len(bench.owner.data) == 5)
    bench.owner.holds = False
    execution.stored(0, 1 << 30)
    assert (await bench.owner.outcome()).kind == "completed"
    assert len(bench.owner.data) == 10


@pytest.mark.parametrize("how", ["dropped", "cancelled"])
async def test_an_execution_that_is_held_back_ends_when_it_is(serve, how) -> None:
    bench = await serve(script(*range(3 * module.HAND_OVER_EVENTS)))
    bench.owner.holds = True
    execution = bench.start()
    await until(lambda: len(bench.owner.data) == module.HAND_OVER_EVENTS)
    if how == "dropped":
        execution.drop()
    else:
        execution.cancel(60)
    await until(lambda: bench.owner.over)
    assert len(bench.owner.data) == module.HAND_OVER_EVENTS
    assert bench.graph.closed == [1]


async def test_what_is_dropped_is_pulled_no_further_and_closed(serve) -> None:
    continues = asyncio.Event()

    async def run() -> AsyncIterator[Any]:
        yield "custom", 1
        await continues.wait()
        for number in range(2, 100):
            yield "custom", number

    bench = await serve(run)
    execution = bench.start()
    await until(lambda: bench.owner.data)
    execution.drop()
    continues.set()
    await until(lambda: bench.owner.over)
    assert (bench.owner.data, bench.graph.closed) == ([1], [1])


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────


async def test_a_failure_comes_behind_what_was_made_before_it(serve) -> None:
    bench = await serve(script(1, 2, ValueError("no good")))
    bench.start()
    outcome = await bench.owner.outcome()
    assert bench.owner.data == [1, 2]
    assert (outcome.kind, outcome.failure.code, outcome.failure.type) == (
        "failed",
        "graph_error",
        "ValueError",
    )
    assert outcome.failure.message == "no good"


async def test_a_failure_says_nothing_of_itself_where_errors_are_not_exposed(serve) -> None:
    bench = await serve(script(ValueError("no good")), expose=False)
    bench.start()
    failure = (await bench.owner.outcome()).failure
    assert ("no good" in failure.message, failure.type, failure.error_id is None) == (False, None, False)


class Unspeakable(Exception):
    """Somebody's exception whose text cannot be had."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def __str__(self) -> str:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("no text"), SystemExit(3), KeyboardInterrupt()])
async def test_an_exception_that_cannot_be_described_is_a_failure_all_the_same(serve, error) -> None:
    bench = await serve(script(1, Unspeakable(error)))
    bench.start()
    outcome = await bench.owner.outcome()
    assert (outcome.kind, outcome.failure.code) == ("failed", "graph_error")
    assert bench.owner.data == [1]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_a_graph_that_tries_to_end_more_than_itself_fails(serve, error) -> None:
    bench = await serve(script(error))
    bench.start()
    assert (await bench.owner.outcome()).kind == "failed"


async def test_what_a_cancelled_graph_raises_is_no_failure(serve) -> None:
    begun = asyncio.Event()

    async def run() -> AsyncIterator[Any]:
        yield "custom", 1
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("I was at work") from None

    bench = await serve(run)
    execution = bench.start()
    await begun.wait()
    execution.cancel(60)
    assert await bench.owner.outcome() == Outcome("cancelled")
    assert bench.graph.closed == [1]


async def test_a_cancel_that_is_lost_comes_again(serve) -> None:
    lost: list[int] = []

    async def run() -> AsyncIterator[Any]:
        yield "custom", 1
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.append(1)
                if len(lost) == 2:
                    raise

    bench = await serve(run)
    execution = bench.start()
    await until(lambda: bench.owner.data)
    execution.cancel(0.01)
    assert (await bench.owner.outcome()).kind == "cancelled"
    assert len(lost) == 2


async def test_an_execution_that_is_cancelled_before_it_begins_ends_as_cancelled(serve) -> None:
    async def run() -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield "custom", 1

    bench = await serve(run)
    execution = bench.start()
    execution.cancel(60)
    assert await bench.owner.outcome() == Outcome("cancelled")


async def test_an_event_limit_fails_the_run_that_goes_over_it(serve) -> None:
    bench = await serve(script(*range(10)))
    bench.start(max_events=3)
    outcome = await bench.owner.outcome()
    assert (outcome.failure.code, "max_run_events" in outcome.failure.message) == ("limit_exceeded", True)
    assert bench.owner.data == [0, 1, 2, 3]


async def test_the_event_limit_counts_all_executions_of_a_run(serve) -> None:
    items = [1, 2, ("updates", {"__interrupt__": ()})]
    bench = await serve(script(*items))
    bench.graph.interrupt_before_nodes = ["n"]
    execution = bench.start(max_events=3, scope=Scope("s", "t"))
    assert (await bench.owner.outcome()).kind == "interrupted"
    bench.owner.made.clear()
    bench.owner.over.clear()
    execution.resume({})
    assert (await bench.owner.outcome()).failure.code == "limit_exceeded"
    assert bench.owner.data == [1, 2]


async def test_an_event_that_is_too_large_is_cut(serve) -> None:
    bench = await serve(script(("custom", "x" * 5000), 2), max_event_bytes=1000)
    bench.start()
    await bench.owner.outcome()
    assert bench.owner.data == [{"$cut": {"reason": "size", "bytes": 5002}}, 2]


# ── questions, threads and their deletion ────────────────────────────────────────────────────────


async def test_a_graph_that_asks_is_interrupted_and_an_answer_continues_it(serve) -> None:
    bench = await serve(asker(InMemorySaver()))
    scope = Scope("g/p/t", "t")
    execution = bench.start(scope=scope, config={"configurable": {"thread_id": scope.saved}})
    outcome = await bench.owner.outcome()
    (asked,) = outcome.interrupts
    assert (outcome.kind, asked.value, asked.ns) == ("interrupted", "how?", ())
    bench.owner.made.clear()
    bench.owner.over.clear()
    following = execution.resume({asked.id: "so"})
    assert await bench.owner.outcome() == Outcome("completed", b'{"said":"so"}')
    assert bench.owner.over == [following]


async def test_the_deepest_namespace_that_asks_is_the_one_named(serve) -> None:
    class Asked:
        id, value = "a", "?"

    items = [(ns, "values", {"__interrupt__": (Asked(),)}) for ns in ((), ("s:1",), ("s:1", "t:2"), ("s:1",))]
    bench = await serve(script(*items))
    bench.start(subgraphs=True, scope=Scope("s", "t"))
    (asked,) = (await bench.owner.outcome()).interrupts
    assert asked.ns == ("s:1", "t:2")


class Saver(InMemorySaver):
    """Notes which threads are deleted; ``error`` is raised instead."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []
        self.error: BaseException | None = None
        self.answers: asyncio.Event | None = None

    async def adelete_thread(self, thread_id: str) -> None:
        self.deleted.append(thread_id)
        if self.answers is not None:
            await self.answers.wait()
        if self.error is not None:
            raise self.error
        await super().adelete_thread(thread_id)


PRIVATE = private_scope("p", "r")
ASKS = ("values", {"__interrupt__": ()})


def with_saver(*items: Any) -> Scripted:
    return Scripted(script(*items), Saver())


@pytest.mark.parametrize("item", [1, ValueError("no")])
async def test_a_private_thread_is_deleted_before_the_code_has_stopped(serve, item) -> None:
    bench = await serve(with_saver(item))
    seen: list[list[str]] = []
    stopped = bench.owner.stopped

    def note(execution: Execution) -> None:
        seen.append(list(bench.graph.checkpointer.deleted))
        stopped(execution)

    bench.owner.stopped = note
    bench.start(scope=PRIVATE)
    await bench.owner.outcome()
    assert seen == [[PRIVATE.saved]]


@pytest.mark.parametrize("item", [1, ValueError("no")])
async def test_a_saver_that_never_deletes_delays_no_outcome_and_is_given_up(serve, item, caplog) -> None:
    bench = await serve(with_saver(item), delete_s=0.05)
    bench.graph.checkpointer.answers = asyncio.Event()
    bench.start(scope=PRIVATE)
    await until(lambda: bench.owner.outcomes)
    assert not bench.owner.over
    await bench.owner.outcome()
    assert "a run's private thread was not deleted" in caplog.text


async def test_so_is_one_that_never_deletes_what_an_interrupted_run_has_kept(serve, caplog) -> None:
    bench = await serve(with_saver(ASKS), delete_s=0.05)
    bench.graph.checkpointer.answers = asyncio.Event()
    execution = bench.start(scope=PRIVATE)
    await bench.owner.outcome()
    execution.delete_private_thread()
    await until(lambda: "a run's private thread was not deleted" in caplog.text)


async def test_a_private_thread_is_not_deleted_twice(serve) -> None:
    bench = await serve(with_saver(1))
    execution = bench.start(scope=PRIVATE)
    await bench.owner.outcome()
    execution.delete_private_thread()
    await settle()
    assert bench.graph.checkpointer.deleted == [PRIVATE.saved]


async def test_a_private_thread_that_waits_for_answers_is_deleted_when_its_owner_says_so(serve) -> None:
    bench = await serve(with_saver(ASKS))
    execution = bench.start(scope=PRIVATE)
    assert (await bench.owner.outcome()).kind == "interrupted"
    assert bench.graph.checkpointer.deleted == []
    execution.delete_private_thread()
    await until(lambda: bench.graph.checkpointer.deleted == [PRIVATE.saved])


async def test_a_caller_s_thread_is_never_deleted(serve) -> None:
    bench = await serve(with_saver(1))
    execution = bench.start(scope=Scope("g/p/t", "t"))
    await bench.owner.outcome()
    execution.delete_private_thread()
    await settle()
    assert bench.graph.checkpointer.deleted == []


@pytest.mark.parametrize("error", [NotImplementedError, SystemExit, asyncio.CancelledError, GeneratorExit])
async def test_a_saver_that_cannot_delete_changes_no_outcome(serve, error) -> None:
    for item, kind in ((1, "completed"), (ValueError("no"), "failed"), (ASKS, "interrupted")):
        bench = await serve(with_saver(item))
        logged: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))  # noqa: B023
        bench.graph.checkpointer.error = error()
        execution = bench.start(scope=PRIVATE)
        assert (await bench.owner.outcome()).kind == kind
        execution.delete_private_thread()
        await until(lambda: bench.graph.checkpointer.deleted == [PRIVATE.saved])  # noqa: B023
        await settle()
        gc.collect()
        assert logged == []


async def test_the_thread_s_id_in_its_saver_is_in_no_event_and_no_failure(serve) -> None:
    scope = Scope("g/p/t", "t")
    bench = await serve(script(("custom", {"thread": scope.saved}), ValueError(f"at {scope.saved}!")))
    bench.start(scope=scope)
    outcome = await bench.owner.outcome()
    assert bench.owner.data == [{"thread": "t"}]
    assert outcome.failure.message == "at t!"


class Big(dict[str, Any]):
    """An input that can be watched."""


@pytest.mark.parametrize("asks", [False, True])
async def test_what_it_began_with_and_its_last_state_are_let_go_at_its_end(serve, asks) -> None:
    state = Big(said="x")

    async def states() -> AsyncIterator[Any]:
        yield "values", Big(said="y")
        if asks:
            yield "updates", {"__interrupt__": ()}

    run = await serve(states)
    gone = weakref.ref(state)
    execution = run.start(input=state, context={"c": 1})
    del state
    await run.owner.outcome()
    run.graph.asked.clear()
    run.owner.made.clear()
    gc.collect()
    assert gone() is None
    assert [one for one in gc.get_objects() if type(one) is Big] == []
    assert execution.is_over


# ── from a frame to a request ────────────────────────────────────────────────────────────────────


@pytest.fixture
async def entry(serve) -> Any:
    return (await serve(script())).catalog.get("g")


def requested(entry: Any, scope: Scope | None = None, **fields: Any) -> RunRequest:
    command = commands.Run.model_validate({"id": 1, "graph": "g", **fields})
    values = run_values(command, run_sizes(command))
    return run_request(command, values, entry, run="r", principal="p", scope=scope, max_events=9)


async def test_a_request_has_the_server_s_keys_and_the_caller_s(entry) -> None:
    config = {
        "configurable": {"k": 1},
        "metadata": {"m": 2},
        "tags": ["x"],
        "recursion_limit": 5,
        "max_concurrency": 2,
        "run_name": "name",
    }
    fields = {"thread": "t", "checkpoint": "c", "config": config, "context": {"c": 1}, "input": {"said": "x"}}
    request = requested(entry, Scope("g/p/t", "t"), **fields)
    expected = {
        "k": 1,
        "thread_id": "g/p/t",
        "checkpoint_id": "c",
        "graphwire_principal": "p",
    }
    assert request.config == {**config, "configurable": expected}
    assert (request.input, request.context, request.max_events) == ({"said": "x"}, {"c": 1}, 9)
    assert (request.run, request.graph, request.scope.thread) == ("r", "g", "t")


@pytest.mark.parametrize("key", ["thread_id", "checkpoint_id", "checkpoint_ns", "graphwire_x", "__pregel"])
async def test_a_key_of_the_server_s_is_refused_with_its_path(entry, key) -> None:
    with pytest.raises(Refusal) as refused:
        requested(entry, config={"configurable": {key: 1}})
    assert refused.value.code == "invalid_argument"
    assert refused.value.details["errors"][0]["path"] == f"config.configurable.{key}"


async def test_what_is_recorded_is_what_client_operator_and_subscriptions_ask_for(entry) -> None:
    subscribe = [{"sub": 1, "filter": {"modes": ["values", "lifecycle"]}}]
    request = requested(entry, record={"modes": ["updates"]}, subscribe=subscribe)
    assert (request.modes, request.subgraphs) == (frozenset({"updates", "values"}), False)
    operated = replace(entry, record=frozenset({"debug"}), record_subgraphs=True)
    request = requested(operated, subscribe=subscribe)
    assert (request.modes, request.subgraphs) == (frozenset({"debug", "values"}), True)
    below = [{"sub": 1, "filter": {"modes": ["custom"], "namespaces": [["**"]]}}]
    assert requested(entry, subscribe=below).subgraphs
    assert requested(entry, record={"subgraphs": True}).subgraphs


async def test_options_are_what_astream_takes_and_durability_needs_a_thread(entry) -> None:
    options = {"interrupt_before": ["n"], "interrupt_after": "*", "durability": "exit"}
    assert requested(entry, options=options).options == {"interrupt_before": ["n"], "interrupt_after": "*"}
    assert requested(entry, Scope("s", "t"), options=options).options == options
    assert requested(entry).options == {}


@pytest.mark.parametrize(
    "goto",
    [
        "n",
        {"node": "n", "arg": 1},
        {"node": "n"},
        {"node": "n", "timeout": 0.5},
        {"node": "n", "timeout": None},
        {"node": "n", "timeout": {"idle_timeout": 1, "refresh_on": "heartbeat"}},
        ["n", {"node": "m"}],
        [],
    ],
)
async def test_a_command_goes_to_nodes(entry, goto) -> None:
    assert requested(entry, command={"goto": goto, "update": {"a": 1}}).command == {
        "goto": goto,
        "update": {"a": 1},
    }


async def test_of_the_nodes_that_there_are_not_a_graph_gets_only_the_first_few_to_log(entry) -> None:
    served = replace(entry, shape=replace(entry.shape, nodes=("n", "m")))
    unknown: list[Any] = [f"x{number}" for number in range(3)]
    few = ["n", *unknown, {"node": "n", "arg": 1}, "__end__"]
    assert requested(served, command={"goto": few}).command == {"goto": few}
    many = [*few, *(f"y{number}" for number in range(1000)), {"node": "z", "arg": 1}, "m"]
    assert requested(served, command={"goto": many}).command == {"goto": [*few, "m"]}


@pytest.mark.parametrize(
    "goto",
    [
        1,
        {"arg": 1},
        {"node": "n", "x": 1},
        [["n"]],
        {"node": 3},
        *(
            {"node": "n", "timeout": wrong}
            for wrong in (
                0,
                -1,
                True,
                "1",
                2**32,
                {"$int": "1" + "0" * 400},
                {},
                {"run_timeout": None},
                {"run_timeout": 0},
                {"other": 1},
                {"refresh_on": "auto"},
                {"run_timeout": 1, "refresh_on": ["auto"]},
            )
        ),
    ],
)
async def test_a_command_that_goes_elsewhere_is_refused(entry, goto) -> None:
    with pytest.raises(Refusal) as refused:
        requested(entry, command={"goto": goto})
    assert refused.value.details["errors"][0]["path"] == "command.goto"


async def test_a_request_is_resumed_from_the_newest_checkpoint(entry) -> None:
    request = requested(entry, Scope("s", "t"), thread="t", checkpoint="c", input={"said": "x"})
    resumed = request.resumed({"a": 1})
    assert (resumed.input, resumed.command) == (None, {"resume": {"a": 1}})
    assert "checkpoint_id" not in resumed.config["configurable"]
    assert resumed.config["configurable"]["thread_id"] == "s"
    assert request.config["configurable"]["checkpoint_id"] == "c"
    assert (request.resumed({}).input, request.resumed({}).command) == (None, None)


async def test_messages_in_an_input_are_langchain_s(entry) -> None:
    message = {"type": "human", "content": "hi", "id": "1"}
    request = requested(entry, input={"messages": [message]})
    assert request.input == {"messages": [messages.HumanMessage("hi", id="1")]}


@pytest.mark.parametrize("frame", ["input", "context", "command.update", "config.configurable"])
async def test_a_message_that_is_none_is_refused_with_its_path(entry, frame) -> None:
    value: Any = {"x": {"type": "human", "content": "secret", "id": {}}}
    name, _, field = frame.partition(".")
    with pytest.raises(Refusal) as refused:
        requested(entry, **{name: {field: value} if field else value})
    assert refused.value.details["errors"][0]["path"].startswith(f"{frame}.x")
    assert "secret" not in refused.value.message


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        messages.HumanMessage("x"),
        messages.AIMessage("x", tool_calls=[{"name": "t", "args": {}, "id": "1"}]),
        messages.SystemMessage("x"),
        messages.ToolMessage("x", tool_call_id="1"),
        messages.ChatMessage("x", role="r"),
        messages.FunctionMessage("x", name="f"),
        messages.AIMessageChunk("x"),
        messages.HumanMessageChunk("x"),
        messages.RemoveMessage(id="1"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_comes_back_from_its_fields(message) -> None:
    fields = orjson.loads(message.model_dump_json())
    assert message_of(fields) == message


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "nobody"}, "no message of that type"),
        ({"type": "tool", "content": "x"}, "not a valid ToolMessage"),
        ({"type": "human", "content": 7}, "not a valid HumanMessage"),
        ({"type": "human"}, "not a valid HumanMessage"),
    ],
)
def test_fields_that_make_no_message_say_why_and_repeat_no_value(fields, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        message_of(fields)


# ── where it begins ──────────────────────────────────────────────────────────────────────────────


async def noting() -> AsyncIterator[Any]:
    yield "custom", 1


def begins(bench: Bench) -> list[str | None]:
    """Return the checkpoints that were handed over; none comes behind a record."""
    made = bench.owner.made
    first = next(index for index, one in enumerate(made) if one.records)
    assert all(one.checkpoint is None for one in made[first + 1 :])
    return [one.checkpoint for one in made if one.checkpoint is not None]


async def test_the_checkpoint_that_a_graph_begins_from_is_handed_over_before_all_else(serve) -> None:
    saver = InMemorySaver()
    bench = await serve(Scripted(noting, saver))
    bench.start(scope=Scope("s", "t"))
    await bench.owner.outcome()
    assert begins(bench) == [""]
    config: Any = {"configurable": {"thread_id": "s", "checkpoint_ns": ""}}
    for id in ("c1", "c2"):
        await saver.aput(config, {**empty_checkpoint(), "id": id}, {}, {})
    bench.owner.made.clear()
    bench.owner.over.clear()
    bench.start(scope=Scope("s", "t"))
    await bench.owner.outcome()
    assert begins(bench) == ["c2"]


async def test_a_checkpoint_is_read_only_where_a_thread_goes_on_at_its_latest(serve) -> None:
    class Unread(InMemorySaver):
        async def aget_tuple(self, config: Any) -> Any:
            raise AssertionError("read")

    bench = await serve(Scripted(noting, Unread()))
    asked = {"configurable": {"thread_id": "s", "checkpoint_id": "c1"}}
    for fields in ({}, {"scope": PRIVATE}, {"scope": Scope("s", "t"), "config": asked}):
        bench.owner.made.clear()
        bench.owner.over.clear()
        bench.start(**fields)
        assert (await bench.owner.outcome()).kind == "completed"
        assert begins(bench) == []
    bench.owner.made.clear()
    bench.owner.over.clear()
    scope = Scope("s", "t")
    request = RunRequest(**{**REQUEST, "scope": scope, "config": asked})
    execution = bench.executor.start(request, bench.owner)  # what resumes it goes on at the latest checkpoint
    await until(lambda: bench.owner.over)
    bench.owner.made.clear()
    bench.owner.over.clear()
    execution.resume({})
    await until(lambda: bench.owner.over)
    assert begins(bench) == []


# ── for a process that goes on with the run ──────────────────────────────────────────────────────


def reached(id: str) -> Any:
    return ("checkpoints", {"config": {"configurable": {"checkpoint_id": id}}})


def said_again(id: str) -> Any:
    return ("debug", {"type": "checkpoint", "payload": {"config": {"configurable": {"checkpoint_id": id}}}})


def marks(bench: Bench) -> list[tuple[int, str]]:
    """Return the checkpoints, each with the number of events before it."""
    out: list[tuple[int, str]] = []
    events = 0
    for made in bench.owner.made:
        out += [(events + count, id) for count, id in made.marks]
        events += len(made.records)
    return out


@pytest.mark.parametrize("recorded", [("custom",), ("custom", "checkpoints")])
async def test_it_tells_which_events_came_before_each_checkpoint(serve, recorded: tuple[str, ...]) -> None:
    async def run() -> AsyncIterator[Any]:
        for item in (
            reached("c1"),
            ("custom", 1),
            ("custom", 2),
            reached("c2"),
            ("custom", 3),
            reached("c3"),
        ):
            yield item

    bench = await serve(Scripted(run, InMemorySaver()), outlives=True)
    bench.start(scope=Scope("s", "t"), modes=frozenset(recorded))
    await bench.owner.outcome()
    own = len(recorded) - 1  # an event of its own for each
    assert marks(bench) == [(own, "c1"), (2 + 2 * own, "c2"), (3 + 3 * own, "c3")]
    assert [data for data in bench.owner.data if isinstance(data, int)] == [1, 2, 3]


async def test_what_debug_says_of_a_checkpoint_comes_before_it(serve) -> None:
    async def run() -> AsyncIterator[Any]:
        for item in (1, reached("c1"), said_again("c1"), ("debug", {"type": "task"}), 2):
            yield item if isinstance(item, tuple) else ("custom", item)

    bench = await serve(Scripted(run, InMemorySaver()), outlives=True)
    bench.start(scope=Scope("s", "t"), modes=frozenset({"custom", "checkpoints", "debug"}))
    await bench.owner.outcome()
    assert marks(bench) == [(3, "c1")]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"options": {"durability": "exit"}},
        {"options": {"interrupt_before": ["n"]}},
        {"scope": Scope("s", "r", True, True)},
        {"scope": None},
    ],
)
async def test_it_tells_nothing_where_nobody_could_go_on(serve, fields: Any) -> None:
    bench = await serve(Scripted(script(reached("c1"), 1), InMemorySaver()), outlives=bool(fields))
    bench.start(**{"scope": Scope("s", "t"), **fields})
    await bench.owner.outcome()
    assert marks(bench) == []


async def test_the_checkpoint_from_which_it_goes_on_is_none_of_its_own(serve) -> None:
    items = (reached("fork"), 1, reached("fork"), reached("c2"), 2)
    bench = await serve(Scripted(script(*items), InMemorySaver()), outlives=True)
    request = RunRequest(**{**REQUEST, "scope": Scope("s", "t")}).repeated("c1")
    assert (request.checkpoint, request.input) == ("c1", None)
    bench.executor.again(request, bench.owner, 7)
    await bench.owner.outcome()
    assert marks(bench) == [(1, "c2")]


@pytest.mark.parametrize("item", [1, ValueError("no")])
async def test_a_private_thread_stays_until_its_owner_has_stored_the_end(serve, item) -> None:
    bench = await serve(with_saver(item), outlives=True)
    execution = bench.start(scope=PRIVATE)
    await bench.owner.outcome()
    await settle()
    assert bench.graph.checkpointer.deleted == []
    execution.delete_private_thread()
    await until(lambda: bench.graph.checkpointer.deleted == [PRIVATE.saved])
