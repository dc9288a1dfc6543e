"""Workers of different graphs on one Redis: each group has its shards, and gateways are of all.

About `gateway/graphwire_gateway/cluster/groups.py`, `gateway/graphwire_gateway/cluster/relay.py` and
`gateway/graphwire_gateway/cluster/directory.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphwire_gateway import CannotServe
from graphwire_gateway.cluster import directory, link
from graphwire_gateway.cluster.gateway_server import GatewayServer
from graphwire_gateway.cluster.groups import shards_of
from graphwire_gateway.cluster.worker import Worker

from tests.live.test_cluster import SHARDS, look_often, relaying, working
from tests.live.test_server import http_get
from tests.support.graphs import OURS, Gate, counter, gated, talker
from tests.support.peer import Frame, Peer, everything
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked
from tests.support.waiting import poll, until

__all__ = ["look_often"]  # a fixture of all tests here


@pytest.fixture
async def workers(redis: RedisProcess) -> AsyncIterator[list[Worker]]:
    """One of each group."""
    cheap, gpu = {"counter": counter()}, {"gated": gated(Gate()), "talker": talker(OURS)}
    async with working(redis, cheap) as one, working(redis, gpu, group="gpu") as other:
        yield [one, other]


@pytest.fixture
async def front(workers: list[Worker], redis: RedisProcess) -> AsyncIterator[GatewayServer]:
    async with relaying(redis) as front:
        await asyncio.wait_for(front.ready(), 10)
        yield front


@pytest.fixture
async def peer(front: GatewayServer, connect) -> Peer:
    peer: Peer = await connect(front)
    return peer


async def graphs_of(peer: Peer) -> list[str]:
    return [row["name"] for row in (await peer.ask(type="list", what="graphs"))["graphs"]]


def is_notice(frame: Frame) -> bool:
    return frame["type"] == "notice"


def noticed(peer: Peer) -> list[tuple[str, str]]:
    return [(frame["code"], frame["message"]) for frame in peer.frames if is_notice(frame)]


# ── one server ───────────────────────────────────────────────────────────────────────────────────


async def test_each_graph_runs_at_its_workers_and_clients_see_one_server(
    peer: Peer, workers: list[Worker]
) -> None:
    one, gpu = workers
    assert set(one.homes) == set(shards_of("", SHARDS))
    assert set(gpu.homes) == set(shards_of("gpu", SHARDS))
    assert await graphs_of(peer) == ["counter", "gated", "talker"]
    assert (await peer.ask(type="list", what="graphs", graph="talker"))["graphs"][0]["name"] == "talker"
    for number in range(6):
        await peer.run("counter", {"count": 2}, everything(number), run=f"c{number}")
        await peer.run("talker", {"count": 1}, everything(10 + number), run=f"t{number}", thread=f"t{number}")
    for number in range(6):
        for sub, run in ((number, f"c{number}"), (10 + number, f"t{number}")):
            *_, closed = await peer.closed(sub)
            assert closed["status"] == "completed"
            result = await peer.ask(type="result", run=run)
            assert result["status"] == "completed"
    state = await peer.ask(type="state", graph="talker", thread="t1")
    assert state["type"] == "ok"
    rows, cursor = [], None
    while True:
        page = {} if cursor is None else {"cursor": cursor}
        ok = await peer.ask(type="list", what="runs", limit=5, **page)
        rows += [row["run"] for row in ok["runs"]]
        cursor = ok.get("cursor")
        if cursor is None:
            break
    assert sorted(rows) == sorted([f"c{n}" for n in range(6)] + [f"t{n}" for n in range(6)])
    of_one = await peer.ask(type="list", what="runs", graph="talker")
    assert {row["graph"] for row in of_one["runs"]} == {"talker"}
    assert len(of_one["runs"]) == 6
    threads = await peer.ask(type="list", what="threads")
    assert sorted(row["thread"] for row in threads["threads"]) == [f"t{n}" for n in range(6)]


async def test_a_watch_is_of_all_groups_or_of_those_of_its_graphs(peer: Peer) -> None:
    await peer.ask(type="watch", sub=1)
    await peer.ask(type="watch", sub=2, graphs=["gated"])
    await peer.ask(type="watch", sub=3, graphs=["counter", "talker"])
    for sub in (1, 2, 3):
        await peer.until(lambda frame, sub=sub: frame["type"] == "synced" and frame["sub"] == sub)
    for graph, input in (("counter", {"count": 1}), ("gated", {"done": 0}), ("talker", {"count": 1})):
        await peer.run(graph, input, run=graph)

    def seen(sub: int) -> set[str]:
        return {f["run"] for f in peer.frames if f["type"] == "run_info" and f["sub"] == sub}

    await peer.until(lambda _: len(seen(1)) == 3 and len(seen(3)) == 2 and seen(2))
    assert seen(1) == {"counter", "gated", "talker"}
    assert seen(2) == {"gated"}
    assert seen(3) == {"counter", "talker"}
    assert not noticed(peer), "all graphs are served"


async def test_a_graph_that_nobody_has_is_refused_with_those_that_all_have(peer: Peer) -> None:
    for request in (
        {"type": "run", "graph": "talkers"},
        {"type": "state", "graph": "talkers", "thread": "t"},
        {"type": "run", "graph": "talkers", "run": "r", "thread": "t"},
    ):
        refused = await peer.ask(**request)
        assert refused["code"] == "not_found"
        assert refused["details"] == {"kind": "graph"}
        assert refused["message"] == (
            "no graph 'talkers'; did you mean 'talker'? This server has: counter, gated, talker"
        )
    assert (await peer.ask(type="list", what="runs", graph="talkers"))["runs"] == []
    await peer.until(is_notice)
    assert noticed(peer) == [("ignored", "list.graph: no graph 'talkers' is served; did you mean 'talker'?")]
    assert (await peer.ask(type="result", run="nobody"))["code"] == "not_found"


async def test_active_runs_are_counted_in_all_groups(redis: RedisProcess, connect) -> None:
    limits = {"max_active_runs": 2}
    async with (
        working(redis, {"one": gated(Gate())}, limits=limits),
        working(redis, {"two": gated(Gate())}, group="gpu", limits=limits),
        relaying(redis) as front,
    ):
        await asyncio.wait_for(front.ready("gpu"), 10)
        peer = await connect(front)
        assert (await peer.run("one", {"done": 0}))["type"] == "started"
        assert (await peer.run("two", {"done": 0}))["type"] == "started"
        for graph in ("one", "two"):
            refused = await peer.run(graph, {"done": 0})
            assert refused["message"] == "2 runs are active (max_active_runs)"


# ── one run ──────────────────────────────────────────────────────────────────────────────────────


async def test_one_id_that_is_started_in_several_places_at_once_is_one_run(
    front: GatewayServer, redis: RedisProcess, connect
) -> None:
    async with relaying(redis) as other:
        peers = [await connect(front), await connect(other)]
        for number in range(10):
            asks = [
                {
                    "type": "run",
                    "id": 5000 + number,
                    "graph": graph,
                    "input": input,
                    "run": f"r{number}",
                    **named,
                }
                for graph, input, named in (
                    ("counter", {"count": 0}, {}),
                    ("talker", {"count": 1}, {"thread": f"a{number}"}),
                    ("talker", {"count": 1}, {"thread": f"b{number}"}),
                )
            ]
            one, two, three = asks
            await asyncio.gather(peers[0].send(one, {**three, "id": 6000 + number}), peers[1].send(two))
            replies = [
                await peers[0].answer(5000 + number),
                await peers[1].answer(5000 + number),
                await peers[0].answer(6000 + number),
            ]
            started = [reply for reply in replies if reply["type"] == "started" and reply["created"]]
            assert len(started) == 1, replies
            assert {reply["code"] for reply in replies if reply["type"] == "error"} <= {
                "conflict",
                "unavailable",
            }
            again = await peers[1].ask(**{**asks[replies.index(started[0])], "id": 7000 + number})
            assert (again["type"], again["created"]) == ("started", False)
            taken = {"graph": "gated", "run": f"r{number}", "input": {"done": 0}}
            assert (await peers[1].ask(type="run", **taken))["code"] == "conflict"
        rows = (await peers[0].ask(type="list", what="runs"))["runs"]
        assert sorted(row["run"] for row in rows) == sorted(f"r{number}" for number in range(10))


async def test_an_id_whose_start_was_refused_may_be_started_elsewhere(
    peer: Peer, redis: RedisProcess
) -> None:
    refused = await peer.ask(type="run", graph="talker", run="r", thread="a", input=1)
    assert refused["type"] == "error"

    async def is_noted() -> Any:
        async with asked(redis) as client:
            return await client.exists("graphwire:starting:anonymous/r")

    await poll(is_noted, lambda found: not found)
    assert (await peer.run("counter", {"count": 0}, run="r"))["created"]
    await poll(is_noted, lambda found: not found)


# ── who comes and goes ───────────────────────────────────────────────────────────────────────────


async def test_a_graph_belongs_to_one_group(workers: list[Worker], redis: RedisProcess) -> None:
    for group, graphs, words in (
        ("", "counter fine talker", "graph 'talker' belongs to group 'gpu'; leave it out here, or once no"),
        ("third", "fine counter", "graph 'counter' belongs to the group without a name"),
        ("", "fine", "the group without a name has counter, too, and each of its workers may have to go on"),
        ("a b", "fine", "'a b' is no name of a group"),
    ):
        serving = working(redis, {graph: counter() for graph in graphs.split()}, group=group)
        with pytest.raises(CannotServe, match=words):
            await serving.__aenter__()
    async with asked(redis) as client:
        assert not await client.hexists("graphwire:cluster", "graph:fine"), "who is refused takes nothing"


async def test_who_is_alone_in_a_group_lets_go_what_nobody_serves(redis: RedisProcess, connect) -> None:
    async with working(redis, {"counter": counter(), "gated": gated(Gate())}, group="gpu"):
        pass
    async with (
        working(redis, {"counter": counter()}, group="gpu"),
        working(redis, {"gated": gated(Gate())}),
        relaying(redis) as front,
    ):
        await asyncio.wait_for(front.ready("gpu"), 10)
        peer = await connect(front)
        rows = (await peer.ask(type="list", what="graphs"))["graphs"]
        assert sorted(row["name"] for row in rows) == ["counter", "gated"]


async def test_a_worker_whose_graph_another_group_has_by_now_ends(
    workers: list[Worker], redis: RedisProcess
) -> None:
    async with asked(redis) as client:
        await client.hset("graphwire:cluster", "graph:talker", "third")
    await asyncio.wait_for(workers[1].taken.wait(), 10)
    assert not workers[0].taken.is_set()


async def test_what_redis_has_forgotten_is_written_again_before_it_is_missed(
    peer: Peer, workers: list[Worker], front: GatewayServer, redis: RedisProcess, monkeypatch: Any
) -> None:
    async with asked(redis) as client:

        async def kept() -> dict[bytes, bytes]:
            found = await client.hgetall("graphwire:cluster")
            return {name: found[name] for name in found if name not in (b"life", b"version")}

        before = await kept()
        await workers[1].drain(0)  # which writes nothing any more
        await client.delete("graphwire:cluster")
        await poll(kept, lambda found: found == before)
        names = []
        while b"gpu" not in await client.hvals("graphwire:cluster") or len(names) < 50:
            names.append(front._directory.groups.names)
            await asyncio.sleep(0)
        assert all(each == ["", "gpu"] for each in names)


async def test_an_offer_that_cannot_be_read_blinds_nobody(
    peer: Peer, front: GatewayServer, redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with asked(redis) as client:
        for offer in (b"{", b'{"limits":{"log_events":0},"durability":"crash"}', b"[]", b'{"limits":{}}'):
            await client.hset("graphwire:cluster", mapping={"offer:other": offer, "number:7": "other"})
            await until(lambda: "other" in front._directory.groups.names)
            await peer.run("counter", {"count": 1}, everything(1))
            await peer.closed(1)
            await client.hdel("graphwire:cluster", "offer:other", "number:7")
            await until(lambda: "other" not in front._directory.groups.names)
    assert "what a group offers cannot be read" in caplog.text


async def test_a_group_that_is_away_is_named_and_the_others_serve_on(
    redis: RedisProcess, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "AWAY_S", 0.2)
    monkeypatch.setattr(link, "PATIENCE_S", 5)
    gpu = {"talker": talker(OURS)}
    async with working(redis, {"counter": counter()}), relaying(redis) as front:
        await asyncio.wait_for(front.ready(), 10)
        before = await connect(front)
        await before.ask(type="watch", sub=1)
        async with working(redis, gpu, group="gpu"):
            assert await before.gone() == 1012, "a watch of all misses the new group"
            peer = await connect(front)
            await peer.run("talker", {"count": 1}, everything(1), run="t")
            await peer.closed(1)
        await until(lambda: front._directory.groups_away == {"gpu"})
        status, _ = await http_get(front, "/readyz")
        assert status == 200
        peer = await connect(front)
        refused = await peer.run("talker", {"count": 1})
        assert (refused["code"], refused["message"]) == ("unavailable", "group 'gpu' has no worker now")
        refused = await peer.ask(type="list", what="runs", graph="talker")
        assert refused["message"] == "group 'gpu' has no worker now"
        await peer.run("counter", {"count": 1}, run="c")
        left_out = "left out is what group 'gpu' has: no worker of it is there now"
        for number, request in enumerate(
            [{"what": "runs"}, {"what": "threads"}, {"what": "graphs"}, {"type": "watch", "sub": 5}], 1
        ):
            reply = await peer.ask(**{"type": "list", **request})
            assert reply["type"] in ("ok", "subscribed"), reply
            assert "t" not in [row["run"] for row in reply.get("runs", ())]
            await peer.until(lambda _, n=number: len(noticed(peer)) == n)
            assert noticed(peer)[-1] == ("partial", left_out)
        async with working(redis, gpu, group="gpu"):
            assert await peer.gone() == 1012, "the watch misses what is there again"
            peer = await connect(front)
            rows = (await peer.ask(type="list", what="runs"))["runs"]
            assert sorted(row["run"] for row in rows) == ["c", "t"]


async def test_a_group_that_dies_holds_up_what_asks_all_for_seconds_only(
    redis: RedisProcess, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "SILENT_S", 0.2)  # and the others as they are
    async with working(redis, {"counter": counter()}), relaying(redis) as front:
        async with working(redis, {"talker": talker(OURS)}, group="gpu"):
            await asyncio.wait_for(front.ready("gpu"), 10)
            peer = await connect(front)
            await peer.ask(type="watch", sub=1)
        assert await peer.gone() == 1012
        peer = await connect(front)
        began = asyncio.get_running_loop().time()
        await peer.send(
            {"type": "watch", "id": 11, "sub": 1},
            {"type": "list", "id": 12, "what": "runs"},
            {"type": "list", "id": 13, "what": "graphs"},
        )
        replies = [(await peer.answer(id))["type"] for id in (11, 12, 13)]
        assert replies == ["subscribed", "ok", "ok"]
        await peer.until(lambda frame: frame["type"] == "synced")
        assert asyncio.get_running_loop().time() < began + 5
        assert {code for code, _ in noticed(peer)} == {"partial"}
        async with working(redis, {"talker": talker(OURS)}, group="gpu"):
            assert await peer.gone() == 1012
            peer = await connect(front)
            assert await graphs_of(peer) == ["counter", "talker"]


async def test_a_gateway_that_has_not_heard_of_a_group_starts_none_of_its_runs_again(
    redis: RedisProcess, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(redis, {"counter": counter()}), relaying(redis) as frozen, relaying(redis) as front:
        await asyncio.wait_for(frozen.ready(), 10)
        late = await connect(frozen)

        async def sleep() -> None:
            await asyncio.sleep(0)

        monkeypatch.setattr(frozen, "_look", sleep)
        async with working(redis, {"talker": talker(OURS)}, group="gpu"):
            await asyncio.wait_for(front.ready("gpu"), 10)
            peer = await connect(front)
            await peer.run("talker", {"count": 1}, everything(1), run="r")
            await peer.closed(1)
            assert frozen._directory.groups.names == [""]
            assert (await late.run("counter", {"count": 1}, run="r"))["code"] == "conflict"
