"""A subscription receives exactly those events of a run's log that its filter admits.

About `gateway/graphwire_gateway/connections/reader.py` and `protocol/graphwire_protocol/filters.py`.
"""

from typing import Any

import pytest

from tests.support.graphs import OURS, Library, talker
from tests.support.log import Log, check_exact
from tests.support.peer import everything

FILTERS: list[dict[str, Any]] = [
    {"modes": ["messages"]},
    {"modes": ["messages"], "tags": ["joke"], "namespaces": [["**"]]},
    {"modes": ["messages"], "tags": ["p*"]},
    {"modes": ["messages", "custom"], "namespaces": [["researcher"]]},
    {"modes": ["updates", "values"], "keys": ["joke"]},
    {"modes": ["updates", "messages"], "nodes": ["joke", "pl?n"]},
    {"modes": ["updates", "custom", "messages", "values"], "namespaces": [["*"]]},
    {
        "modes": ["messages", "updates"],
        "namespaces": [["**"]],
        "exclude": {"tags": ["funny"], "nodes": ["rate"]},
    },
    {
        "modes": ["custom", "updates", "values"],
        "namespaces": [["**"]],
        "exclude": {"namespaces": [["researcher"]]},
    },
    {"modes": ["values"], "keys": ["nothing"]},
    {"modes": ["tasks"], "nodes": ["poem"]},
    {"modes": ["debug"], "namespaces": [[], ["researcher", "**"]]},
    {"modes": ["lifecycle"]},
    {"modes": ["messages"], "nodes": []},
]


@pytest.mark.long
@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_fifty_runs_at_once_deliver_exactly_their_filters(
    serve, connect, lib: Library, runner: str
) -> None:
    server = await serve({"talker": talker(lib)}, runner=runner)
    peer = await connect(server)
    runs = 50
    wanted: dict[int, dict[str, Any]] = {}
    for number in range(runs):
        specs = [everything(number * 10)]
        for place in range(1, 4):
            sub = number * 10 + place
            wanted[sub] = FILTERS[(number * 3 + place) % len(FILTERS)]
            specs.append({"sub": sub, "filter": wanted[sub]})
        fields = {"id": number, "run": f"r{number}", "input": {"topic": "cats", "steps": []}}
        await peer.send({"type": "run", "graph": "talker", "subscribe": specs, **fields})
    for number in range(runs):
        started = await peer.answer(number)
        assert started["created"] is True
    for number in range(runs):
        for place in range(4):
            await peer.closed(number * 10 + place)
    await peer.settled()
    for number in range(runs):
        log = Log(peer.events(number * 10))
        assert log.head >= 150
        assert log.events[-1]["data"]["status"] == "completed"
        for place in range(1, 4):
            sub = number * 10 + place
            check_exact(peer.of(sub), log, wanted[sub])


@pytest.mark.parametrize("filter", FILTERS)
async def test_an_attachment_from_any_cursor_is_exact_and_tells_metadata_anew(
    serve, connect, filter: dict[str, Any]
) -> None:
    server = await serve({"talker": talker(OURS)})
    peer = await connect(server)
    started = await peer.run("talker", {"topic": "cats"}, everything(0), run="r")
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    for sub, after in enumerate(range(0, log.head, 7), 1):
        position = {"epoch": started["epoch"], "seq": after}
        reply = await peer.ask(type="subscribe", sub=sub, run="r", filter=filter, **{"from": position})
        assert (reply["recovery"], reply["after"]) == ("replayed", after)
        frames = await peer.closed(sub)
        synced = [frame for frame in frames if frame["type"] == "synced"]
        assert [frame["seq"] for frame in synced] == [log.head]
        assert frames.index(synced[0]) == len(frames) - 2
        check_exact(frames, log, filter, after)
