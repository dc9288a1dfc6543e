"""A client's arguments and lists.

About `clients/python/graphwire/client.py`, `clients/python/graphwire/arguments.py` and
`clients/python/graphwire/requests.py`.
"""

import datetime

import graphwire
import pytest
from graphwire_protocol.commands import Cancel, List
from graphwire_protocol.commands import Run as RunCommand


async def test_input_and_config_may_hold_what_json_has_not(client, server):
    when = datetime.date(2026, 3, 1)
    message = graphwire.Message("human", "hi", id="h1", extras={"tone": "kind"})
    await client.run(
        "joke",
        {"when": when, "messages": [message]},
        config={"configurable": {"raw": b"hi"}},
        context={"n": 2**60},
    )
    (command,) = server.of(RunCommand)
    flat = {"type": "human", "content": "hi", "id": "h1", "tone": "kind"}
    assert command.input == {"when": "2026-03-01", "messages": [flat]}
    assert command.config.configurable == {"raw": {"$bytes": "aGk="}}
    assert command.context == {"n": {"$int": str(2**60)}}


async def test_what_cannot_travel_is_named_before_anything_is_sent(client, server):
    with pytest.raises(TypeError, match=r"input\.callback"):
        await client.run("joke", {"callback": print})
    assert not server.of(RunCommand)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"modes": "messages"}, r"modes=\['messages'\]"),
        ({"modes": ["dreams"]}, r"^modes\[0\]: 'dreams' is none of values, .*, lifecycle$"),
        ({"modes": ["values", "mesages"]}, r"^modes\[1\]: 'mesages' is .*; did you mean 'messages'\?$"),
        ({"record": {"modes": ["mesages"]}}, r"^record\.modes\[0\]: .*; did you mean 'messages'\?$"),
        ({"options": {"interrupt_before": "a"}}, "^options.interrupt_before: a list is expected here$"),
        ({"exclude": {"node": ["a"]}}, r"^exclude\['node'\] has no effect; did you mean 'nodes'\?$"),
        ({"window": -1}, "^window: "),
        ({"values": "ful"}, "^values: 'ful' is none of full, patch; did you mean 'full'"),
        ({"modes": []}, "modes"),
        ({"namespaces": ["**"]}, r"\['\*\*'\]"),
        ({"exclude": {"keys": ["a"]}}, "exclude"),
        ({"run": "no spaces please"}, "run"),
        ({"start": "yesterday"}, "start"),
        ({"options": {"durability": "soon"}}, "options.durability"),
        ({"on_disconnect": "explode"}, "on_disconnect"),
    ],
)
async def test_a_malformed_argument_is_a_value_error_that_names_it(client, server, arguments, named):
    with pytest.raises(ValueError, match=named):
        await client.run("joke", **arguments)
    assert not server.of(RunCommand)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"config": {"thread_id": "ann"}}, r"config\['thread_id'\] has no effect; did you mean thread=\?"),
        ({"config": {"checkpoint_id": "c1"}}, "did you mean checkpoint="),
        ({"config": {"run_id": "r"}}, "did you mean run="),
        ({"config": {"callbacks": []}}, "callbacks run in the process"),
        ({"config": {"recursion_limt": 3}}, "did you mean 'recursion_limit'"),
        ({"config": {"colour": 3}}, "it takes configurable, max_concurrency"),
        ({"config": {"configurable": {"thread_id": "ann"}}}, r"\['configurable'\]\['thread_id'\].* thread="),
        ({"config": {"configurable": {"checkpoint_ns": "a"}}}, "a run starts at the root"),
        ({"options": {"interrupt_befor": ["a"]}}, r"options\['interrupt_befor'\].* 'interrupt_before'"),
        ({"record": {"mode": ["values"]}}, r"record\['mode'\].* did you mean 'modes'"),
    ],
)
async def test_a_key_that_would_have_no_effect_is_refused_before_anything_is_sent(
    client, server, arguments, named
):
    with pytest.raises(ValueError, match=named):
        await client.run("joke", **arguments)
    assert not server.of(RunCommand)


async def test_keys_of_the_graph_s_own_are_taken(client, server):
    await client.run("joke", config={"configurable": {"model": "toy"}, "run_name": "r"})
    (command,) = server.of(RunCommand)
    assert (command.config.configurable, command.config.run_name) == ({"model": "toy"}, "r")


def test_a_window_without_room_is_refused():
    with pytest.raises(ValueError, match="window"):
        graphwire.connect(window=0)


async def test_every_start_has_an_id_of_its_own(client, server):
    first, second = await client.run("joke"), await client.run("joke")
    assert first.id != second.id


async def test_starting_a_run_that_exists_attaches_to_it(client, server):
    first = await client.run("joke", run="mine", modes=["custom"])
    server.runs["mine"].emit("custom", 1)
    second = await client.run("joke", run="mine", modes=["custom"])
    server.runs["mine"].complete()
    assert (first.created, second.created) == (True, False)
    assert [event.data async for event in second if event.mode == "custom"] == [1]


async def test_runs_come_page_by_page_newest_first(client, server):
    for number in range(5):
        server.run(f"r{number}")
    assert [row.run async for row in client.runs()] == ["r4", "r3", "r2", "r1", "r0"]
    assert len(server.of(List)) == 3
    assert [row.run async for row in client.runs(limit=3)] == ["r4", "r3", "r2"]


async def test_graphs_are_rows_with_names(client):
    (row,) = await client.graphs()
    assert (row.name, row.description) == ("joke", "Tells one")


async def test_attaching_to_nothing_is_refused(client):
    with pytest.raises(graphwire.Refused, match="no run 'ghost'") as raised:
        await client.attach("ghost")
    assert raised.value.details == {"kind": "run"}


async def test_cancelling_tells_the_reason(client, server):
    run = await client.run("joke")
    await run.cancel("enough")
    assert server.of(Cancel)[0].reason == "enough"


@pytest.mark.parametrize(
    "url",
    ["ws://h/ws?token=s3cret", "wss://h/ws?access_token=s3cret", "ws://ann:s3cret@h/ws", "ws://s3cret@h/ws"],
)
def test_a_token_in_the_url_is_refused_before_anything_connects(url: str) -> None:
    with pytest.raises(ValueError, match=r"the URL holds a token.*option token of connect\(\)") as caught:
        graphwire.connect(url)
    assert "s3cret" not in str(caught.value)
