"""A graph behind a server answers every method as the same graph does in process.

About `clients/python/graphwire/graph.py`, `clients/python/graphwire/langgraph_arguments.py`,
`clients/python/graphwire/langgraph_shapes.py`, `clients/python/graphwire/state_update.py` and
`clients/python/graphwire/unavailable.py`.

Long because each method of a graph is compared with the local one in one place.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import graphwire
import pytest
from graphwire_gateway import GraphSpec
from langgraph.checkpoint.memory import InMemorySaver

from tests.support import story_graphs as graphs
from tests.support.chunks import unordered
from tests.support.graphs import OURS, Gate, Library, gated
from tests.support.questions import DECISION, Decision, decider
from tests.support.story import Story, Teller, comparable

MODES = ["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"]


@pytest.fixture(params=["inline", "thread"])
def runner(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def both(serve: Any, lib: Library, runner: str) -> Any:
    """``await both(build, story)`` returns the story as it was locally and as it was remotely."""

    async def tell(build: graphs.Build, story: Story, **args: Any) -> tuple[list[str], list[str]]:
        local = Teller(build(lib), lib)
        await story(local)
        server = await serve({"g": GraphSpec(build(lib), runner)}, expose_errors=True, **args)
        async with graphwire.connect(server.url) as client:
            remote = Teller(client.graph("g"), lib)
            await story(remote)
        return comparable(local.heard), comparable(remote.heard)

    return tell


# ── every shape of a stream ──────────────────────────────────────────────────────────────────────

WAYS: list[dict[str, Any]] = [
    {},
    *({"stream_mode": mode} for mode in MODES),
    *({"stream_mode": mode, "subgraphs": True} for mode in MODES),
    {"stream_mode": MODES},
    {"stream_mode": MODES, "subgraphs": True},
    {"stream_mode": ["updates"]},
    {"stream_mode": ("updates", "custom")},
    {"stream_mode": ("values", "custom"), "subgraphs": True},
    {"stream_mode": MODES, "version": "v2"},
    {"stream_mode": MODES, "subgraphs": True, "version": "v2"},
    {"stream_mode": "values", "version": "v2"},
    {"stream_mode": ["values", "updates"], "output_keys": ["n", "answer"]},
    {"stream_mode": ["values", "updates"], "output_keys": "n"},
    {"stream_mode": ["values", "checkpoints"], "durability": "exit"},
    {"stream_mode": ["values", "checkpoints"], "durability": "sync"},
]


def in_every_way(input: Any, keys: list[str]) -> Story:
    """Stream ``input`` in all ways; ``keys`` are the graph's, where a way names output keys."""

    async def story(teller: Teller) -> None:
        for number, asked in enumerate(WAYS):
            way = dict(asked)
            if "output_keys" in way and keys != ["n", "answer"]:
                way["output_keys"] = keys if isinstance(way["output_keys"], list) else keys[0]
            config = {
                "configurable": {"thread_id": f"t{number}"},
                "tags": ["mine"],
                "metadata": {"who": "me"},
            }
            await teller.stream(input, config, **way)

    return story


async def test_nested_subgraphs_stream_alike_in_every_way(both: Any) -> None:
    local, remote = await both(graphs.everything, in_every_way({"n": 1}, ["n", "answer"]))
    assert len(local) > 200
    assert remote == local


async def test_tokens_whole_messages_and_tools_stream_alike_in_every_way(both: Any) -> None:
    local, remote = await both(graphs.chat, in_every_way(graphs.hello(), ["messages"]))
    assert len(local) > 200
    assert remote == local


async def test_sent_tasks_stream_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({"n": 0}, stream_mode=MODES, subgraphs=True)
        await teller.invoke({"n": 0}, {"configurable": {"thread_id": "other"}})

    local, remote = await both(graphs.fan_out, story)
    assert unordered(remote) == unordered(local)
    assert remote[-1] == local[-1]


async def test_no_mode_at_all_yields_nothing_and_runs(both: Any) -> None:
    async def story(teller: Teller) -> None:
        assert await teller.stream({"n": 1}, stream_mode=[]) == []
        await teller.state()

    local, remote = await both(graphs.everything, story)
    assert remote == local


async def test_invoking_returns_what_it_returns_locally(both: Any) -> None:
    async def story(teller: Teller) -> None:
        for number, more in enumerate(
            [
                {},
                {"output_keys": "n"},
                {"output_keys": ["n", "log"]},
                {"version": "v2"},
                {"stream_mode": "updates"},
                {"stream_mode": ["values", "custom"]},
                {"stream_mode": "values", "durability": "exit"},
            ]
        ):
            await teller.invoke({"n": 1}, {"configurable": {"thread_id": f"t{number}"}}, **more)

    local, remote = await both(graphs.everything, story)
    assert remote == local


async def test_a_model_as_input_or_update_leaves_unset_fields_alone(both: Any) -> None:
    async def story(teller: Teller) -> None:
        config = {"configurable": {"thread_id": "t"}}
        await teller.invoke(graphs.Profile(q="hello", user="ann", seen=["a"]), config)
        await teller.invoke(graphs.Profile(q="again"), config)
        await teller.invoke(graphs.Profile(q="nobody", user=None, limit=None), config)
        await teller.update(graphs.Profile(q="edited"), config)
        await teller.state(config)

    local, remote = await both(graphs.profile, story)
    assert remote == local


@pytest.mark.parametrize("lib", ["langgraph"], indirect=True)
@pytest.mark.parametrize(("build", "value"), [(graphs.doubled, 2), (graphs.root_state, {"q": 1})])
async def test_a_graph_with_one_channel_returns_its_value(both: Any, build: graphs.Build, value: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.invoke(value)
        await teller.invoke(value, version="v2")
        await teller.stream(value)
        await teller.stream(value, stream_mode=["values", "updates"])

    local, remote = await both(build, story)
    assert remote == local


# ── interrupts ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_questions_are_asked_and_answered_alike(both: Any, subgraphs: bool, version: str) -> None:
    async def story(teller: Teller) -> None:
        way = {"stream_mode": MODES, "subgraphs": subgraphs, "version": version}
        await teller.stream({"n": 1}, **way)
        await teller.state()
        await teller.stream(teller.words.Command(resume="Ada"), **way)
        state = await teller.state()
        (asked,) = state.interrupts
        await teller.stream(teller.words.Command(resume={asked.id: 36}), **way)
        await teller.state()
        await teller.history()

    local, remote = await both(graphs.asking, story)
    assert remote == local


async def test_invocations_are_asked_and_answered_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.invoke({"n": 1})
        await teller.invoke(teller.words.Command(resume="Ada"), version="v2")
        await teller.invoke(teller.words.Command(resume=36))

    local, remote = await both(graphs.asking, story)
    assert remote == local


@pytest.mark.parametrize("schema", [Decision, DECISION, None], ids=["model", "JSON Schema", "none"])
async def test_the_schema_of_a_question_s_answer_is_seen_and_met_alike(both: Any, schema: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({}, stream_mode=MODES, subgraphs=True)
        state = await teller.state(subgraphs=True)
        await teller.history()
        await teller.stream(teller.words.Command(resume={state.interrupts[0].id: {"ok": True}}))
        await teller.state()
        for version in ("v1", "v2"):
            other = {"configurable": {"thread_id": version}}
            await teller.invoke({"topic": "x"}, other, version=version)
            await teller.invoke(teller.words.Command(resume={"ok": False}), other, version=version)

    local, remote = await both(lambda lib: decider(lib, schema, InMemorySaver()), story)
    assert remote == local
    assert (json.dumps(DECISION)[1:] in str(local)) == (schema is not None)


async def test_several_questions_at_once_are_answered_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({"n": 1}, stream_mode=["updates", "values"])
        state = await teller.state()
        ids = {ask.value: ask.id for ask in state.interrupts}
        await teller.stream(teller.words.Command(resume={ids["left?"]: "L"}), stream_mode="values")
        await teller.state()
        await teller.invoke(teller.words.Command(resume={ids["right?"]: "R"}))
        await teller.state()

    local, remote = await both(graphs.asking_together, story)
    assert unordered(remote) == unordered(local)


@pytest.mark.parametrize("subgraphs", [False, True])
async def test_a_question_of_a_subgraph_is_answered_alike(both: Any, subgraphs: bool) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({"n": 1}, stream_mode=MODES, subgraphs=subgraphs)
        state = await teller.state()
        await teller.state(subgraphs=True)
        await teller.state(state.tasks[0].state)
        await teller.history(state.tasks[0].state)
        await teller.stream(teller.words.Command(resume="yes"), stream_mode=MODES, subgraphs=subgraphs)
        await teller.state(subgraphs=True)

    local, remote = await both(graphs.asking_below, story)
    assert remote == local


async def test_lists_and_tuples_are_what_they_are_locally(both: Any) -> None:
    heard = []

    async def story(teller: Teller) -> None:
        found = await teller.stream({"n": 1}, stream_mode=MODES, subgraphs=True)
        answer = teller.words.Command(resume="yes")
        state = await teller.state(subgraphs=True)
        found += [state, *await teller.stream(answer, stream_mode=MODES, subgraphs=True)]
        heard.append(set(classes_of(found)))

    await both(graphs.asking_below, story)
    local, remote = heard
    assert ("[][checkpoints].tasks[].interrupts", "tuple") in local
    assert remote == local


def classes_of(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from classes_of(item, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        yield place, type(value).__name__
        mode = value[1] if len(value) == 3 and value[1] in MODES else ""
        for item in value:
            yield from classes_of(item, f"{place}[{mode}]")


async def test_static_breakpoints_stop_and_go_on_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({"n": 1}, stream_mode=["updates", "values"])
        await teller.state()
        await teller.stream(None, stream_mode=["updates", "values", "debug"])
        await teller.state()
        other = {"configurable": {"thread_id": "other"}}
        await teller.invoke({"n": 1}, other, interrupt_before=["three"], interrupt_after=["one"])
        await teller.state(other)
        await teller.invoke(None, other, interrupt_before=["three"])
        await teller.invoke(None, other)
        every = {"configurable": {"thread_id": "every"}}
        for input in ({"n": 1}, None, None, None):
            await teller.stream(input, every, interrupt_after="*")

    local, remote = await both(graphs.broken_before_two, story)
    assert remote == local


async def test_an_interrupted_invocation_shows_no_more_than_the_output(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.invoke({"n": 1})
        await teller.invoke(teller.words.Command(resume="42"))
        other = {"configurable": {"thread_id": "other"}}
        await teller.invoke({"n": 1}, other, output_keys=["n", "answer"])
        await teller.stream(teller.words.Command(resume="42"), other, stream_mode=["values", "updates"])

    local, remote = await both(graphs.narrow, story)
    assert remote == local


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("build", [graphs.failing, graphs.endless, graphs.wrongly])
async def test_what_a_graph_raises_is_raised_behind_the_same_stream(both: Any, build: graphs.Build) -> None:
    async def story(teller: Teller) -> None:
        config = {**teller.thread, "recursion_limit": 5}
        await teller.stream({"n": 1}, config, stream_mode=MODES)
        await teller.state()
        await teller.invoke({"n": 1}, {"configurable": {"thread_id": "other"}, "recursion_limit": 5})

    local, remote = await both(build, story)
    assert any("raised" in item for item in local)
    assert remote == local


# ── threads ──────────────────────────────────────────────────────────────────────────────────────


async def test_states_histories_and_updates_are_alike_at_each_stage(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.state({"configurable": {"thread_id": "conversation", "checkpoint_ns": ""}})
        await teller.history()
        await teller.stream({"n": 1}, stream_mode="updates", interrupt_before=["two"])
        await teller.state()
        await teller.update({"log": ["written"]})
        await teller.update({"log": ["as one"]}, as_node="one")
        await teller.update({"nothing": 1}, as_node="nobody")
        await teller.state()
        await teller.stream(None, stream_mode=MODES)
        await teller.history()
        await teller.history(limit=2)
        await teller.history(filter={"source": "update"})
        states = await teller.history()
        await teller.history(before=states[1].config)
        await teller.history(states[2].config)

    local, remote = await both(graphs.steps, story)
    assert remote == local


async def test_travelling_in_time_branches_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({"n": 1}, stream_mode="values")
        states = await teller.history()
        (before_two,) = [state for state in states if state.next == ("two",)]
        await teller.stream(None, before_two.config, stream_mode=MODES)
        await teller.state(before_two.config)
        branch = await teller.update({"n": 100}, before_two.config, as_node="one")
        await teller.stream(None, branch, stream_mode=["values", "checkpoints"])
        await teller.history()

    local, remote = await both(graphs.steps, story)
    assert remote == local


async def test_the_config_of_a_subgraph_s_state_reads_and_edits_it_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.stream({"n": 1})
        outer = await teller.state(subgraphs=True)
        inner = outer.tasks[0].state.config
        await teller.state(inner)
        await teller.history(inner)
        edited = await teller.update({"log": ["edited"]}, inner)
        await teller.state(edited)
        await teller.state(outer.config, subgraphs=True)
        await teller.invoke(teller.words.Command(resume="yes"))

    local, remote = await both(graphs.asking_below, story)
    assert any("edited" in item for item in local)
    assert remote == local


async def test_commands_update_and_go_where_they_say(both: Any) -> None:
    async def story(teller: Teller) -> None:
        command, send = teller.words.Command, teller.words.Send
        await teller.stream({"n": 1}, stream_mode="values")
        await teller.stream(command(update={"n": 5}, goto="three"), stream_mode=["values", "updates"])
        await teller.stream(command(goto=send("two", {"n": 7})), stream_mode=["values", "updates"])
        await teller.stream(command(goto=["three", send("one", {"n": 8})]), stream_mode="values")
        await teller.stream(command(update=[("n", 9)], goto="three"), stream_mode="values")
        await teller.state()

    local, remote = await both(graphs.steps, story)
    assert unordered(remote) == unordered(local)


@pytest.mark.parametrize("limit", ["seconds", "run_timeout", "idle_timeout"])
async def test_a_send_limits_its_node_alike(both: Any, limit: str) -> None:
    async def story(teller: Teller) -> None:
        command, send, policy = teller.words.Command, teller.words.Send, teller.words.TimeoutPolicy
        timeout = 0.02 if limit == "seconds" else policy(**{limit: 0.02})
        await teller.invoke({"n": 0})
        await teller.invoke(command(goto=send("wait", {"n": 1}, timeout=timeout)))

    local, remote = await both(graphs.waiting, story)
    error, kind, message = json.loads(remote[-1])
    assert (error, kind) == ("raised", "NodeTimeoutError")
    assert "0.02" in message
    *first, last = remote  # whose end says how long it took
    assert (first, last[:40]) == (local[:-1], local[-1][:40])


async def test_a_conversation_goes_on_alike(both: Any) -> None:
    async def story(teller: Teller) -> None:
        await teller.invoke(graphs.hello())
        await teller.invoke({"messages": [{"role": "user", "content": "and then?", "id": "second"}]})
        await teller.state()

    local, remote = await both(graphs.chat, story)
    assert remote == local


# ── without an event loop ────────────────────────────────────────────────────────────────────────


def told_in_a_thread(graph: Any, command: Any) -> list[Any]:
    """A story in blocking calls."""
    thread = {"configurable": {"thread_id": "conversation"}}
    heard: list[Any] = list(graph.stream({"n": 1}, thread, stream_mode=MODES, subgraphs=True))
    state = graph.get_state(thread)
    heard += [state, *graph.get_state_history(thread)]
    heard.append(graph.invoke(command(resume={state.interrupts[0].id: "Ada"}), thread))
    heard.append(graph.invoke(command(resume=36), thread))
    heard.append(graph.update_state(thread, {"n": 9}, as_node="after"))
    heard.append(graph.get_state(thread))
    return heard


async def test_the_same_story_is_told_in_blocking_calls(serve: Any, lib: Library, runner: str) -> None:
    command = graphs.words(lib).Command
    local = await asyncio.to_thread(told_in_a_thread, graphs.asking(lib), command)
    server = await serve({"g": GraphSpec(graphs.asking(lib), runner)})

    def tell() -> list[Any]:
        with graphwire.connect(server.url) as client:
            return told_in_a_thread(client.graph("g"), command)

    assert comparable(await asyncio.to_thread(tell)) == comparable(local)


async def test_leaving_a_blocking_stream_cancels_its_run(serve: Any) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)})

    def leave() -> None:
        with graphwire.connect(server.url) as client:
            chunks = client.graph("gated").stream({}, stream_mode="custom")
            assert next(chunks) == {"i": 0}
            chunks.close()

    await asyncio.to_thread(leave)
    async with graphwire.connect(server.url) as client:
        async for row in client.watch(status=["cancelled"]):
            assert row.graph == "gated"
            break


# ── and the run's own words for it ───────────────────────────────────────────────────────────────


async def test_a_run_is_answered_in_its_loop_and_goes_on_in_the_same_log(serve: Any, lib: Library) -> None:
    server = await serve({"g": graphs.asking(lib)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"n": 1}, modes=["updates"], thread="t")
        seqs: list[int] = []
        async for event in run:
            seqs.append(event.seq)
            if isinstance(event, graphwire.InterruptEvent):
                answer = "Ada" if "name?" in event.interrupts[0].value.values() else 36
                await run.respond({event.interrupts[0].id: answer})
        assert seqs == sorted(set(seqs))
        assert (await run.result())["answer"] == "Ada is 36"
        state = await client.state("g", "t", keys=["answer"])
        assert state.values == {"answer": "Ada is 36"}
        assert [row.thread async for row in client.threads(graph="g")] == ["t"]
        await client.delete(graph="g", thread="t")
        assert [row async for row in client.threads()] == []
        with pytest.raises(graphwire.Refused, match="not_found"):
            await run.result()


async def test_waiting_for_the_result_asks_and_goes_on(serve: Any) -> None:
    server = await serve({"g": graphs.asking(OURS)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"n": 1})  # on a private thread
        for answer in ("Ada", 36):
            with pytest.raises(graphwire.RunInterrupted) as asked:
                await run.result()
            assert len(asked.value.interrupts) == 1
            assert await run.answer(answer) == "running"
        assert (await run.result())["answer"] == "Ada is 36"
        await run.delete()


async def test_of_two_viewers_that_answer_one_wins(serve: Any) -> None:
    server = await serve({"g": graphs.asking(OURS)})
    async with graphwire.connect(server.url) as client, graphwire.connect(server.url) as other:
        run = await client.run("g", {"n": 1})
        same = await other.attach(run.id)
        for viewer in (run, same):
            async for _ in viewer:
                pass
        (ask,) = run.interrupts
        assert same.interrupts == (ask,)
        outcomes = await asyncio.gather(
            run.respond({ask.id: "Ada"}), same.respond({ask.id: "Bob"}), return_exceptions=True
        )
        (refused,) = [outcome for outcome in outcomes if isinstance(outcome, graphwire.Refused)]
        assert refused.code in ("conflict", "not_found")
        winner = run if "running" in outcomes[:1] else same
        with pytest.raises(graphwire.RunInterrupted) as again:
            await winner.result()
        assert "age" in again.value.interrupts[0].value["question"]


async def test_a_static_breakpoint_is_passed_by_an_empty_answer(serve: Any, lib: Library) -> None:
    server = await serve({"g": graphs.steps(lib)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"n": 1}, modes=["updates"], options={"interrupt_after": "*"})
        pauses = 0
        async for event in run:
            if isinstance(event, graphwire.LifecycleEvent) and event.status == "interrupted":
                pauses += 1
                assert await run.respond() == "running"
        assert pauses >= 2
        assert (await run.result())["answer"] == "2"
