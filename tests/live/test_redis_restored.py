"""A Redis server that has gone back to what it had: what it lacks is found, and made good where it can be.

About `gateway/graphwire_gateway/log/redis_opening.py`, `gateway/graphwire_gateway/log/redis_scripts.py` and
`gateway/graphwire_gateway/log/redis_server.py`.
"""

import asyncio
import contextlib
from typing import Any

import pytest
from graphwire_gateway import CannotServe, Gateway
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log import redis_owner, redis_recent
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.redis_scripts import FOLD, Script
from graphwire_gateway.log.store import Fenced, StoreAway

from tests.gateway.test_store import batch
from tests.live.test_redis_losses import read_when_it_is_there
from tests.live.test_restart import row
from tests.support.graphs import OURS, Gate, gated
from tests.support.peer import everything, spec
from tests.support.questions import asker
from tests.support.redis import RedisProcess, Relay, redis_server
from tests.support.redis_stores import asked, on_disk, opened, seen, taken
from tests.support.waiting import poll, until


async def lossy_restart(own: RedisProcess, caplog: pytest.LogCaptureFixture) -> None:
    """Let Redis go back to what it saved last, and wait until its server has looked what that lacks."""
    before = len(caplog.records)
    own.kill()
    own.start()
    said = ("all logs are whole", "logs lack what they had")
    await until(lambda: any(record.getMessage().startswith(said) for record in caplog.records[before:]))


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """All was written longer ago than is sent again, and a restart is noticed at once."""
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.1)
    monkeypatch.setattr(redis_recent, "KEPT_S", -1.0)
    caplog.set_level("INFO", "graphwire.store")


async def test_a_run_whose_deletion_was_lost_is_deleted_again(forgetful: None, connect, caplog) -> None:
    with redis_server() as own:
        gate = Gate()
        graphs = {"gated": gated(gate, before=2, after=2)}
        async with Gateway(graphs, store=own.url).serve("127.0.0.1", 0) as first:
            peer = await connect(first)
            await peer.run("gated", {"done": 0}, spec(1, "custom"), run="r", thread="t")
            await peer.until(lambda frame: frame.get("data") == {"i": 1})
            async with asked(own) as client:
                await client.save()
            gate.open()
            await peer.closed(1)
            assert (await peer.ask(type="delete", run="r"))["type"] == "ok"
            await lossy_restart(own, caplog)
        async with Gateway(graphs, store=own.url).serve("127.0.0.1", 0) as second:
            peer = await connect(second)
            assert (await peer.ask(type="list", what="runs"))["runs"] == []
        assert gate.reached == 1


async def test_logs_whose_claims_were_lost_are_claimed_again(forgetful: None, serve, connect, caplog) -> None:
    with redis_server() as own:
        graphs = {"asker": asker(OURS)}
        async with Gateway(graphs, store=own.url).serve("127.0.0.1", 0) as first:
            peer = await connect(first)
            await peer.run("asker", {}, everything(1), run="r", thread="t")
            await peer.until(lambda frame: frame.get("mode") == "interrupt")
            question = (await row(peer))["interrupts"][0]
        async with asked(own) as client:
            await client.save()
        peer = await connect(await serve(graphs, store=own.url))
        await lossy_restart(own, caplog)
        await peer.ask(type="subscribe", run="r", **everything(1))
        answer = {"interrupt": question, "value": "yes"}
        assert (await peer.ask(type="respond", run="r", responses=[answer]))["type"] == "ok"
        *_, closed = await peer.closed(1)
        assert closed["status"] == "completed"


def is_lost(frame: dict[str, Any]) -> bool:
    return frame["type"] == "run_info" and frame.get("error", {}).get("code") == "lost"


@pytest.mark.parametrize("is_quiet", [False, True])
async def test_a_run_whose_log_is_gone_or_short_fails_and_its_row_says_so(
    forgetful: None, serve, connect, caplog, is_quiet: bool
) -> None:
    with redis_server() as own:
        gate = Gate()
        peer = await connect(await serve({"gated": gated(gate, before=20, after=20)}, store=own.url))
        await peer.ask(type="watch", sub=9)
        async with asked(own) as client:
            if not is_quiet:
                await client.save()
            await peer.run("gated", {"done": 0}, spec(1, "custom"), run="r")
            await peer.until(lambda frame: frame.get("data") == {"i": 19})
            if is_quiet:
                (log,) = await client.keys("graphwire:{run:*}:log")
                await client.hset(log, mapping={"head": 2, "first": 2})
                await client.save()
        await lossy_restart(own, caplog)
        if not is_quiet:
            gate.open()
        *_, closed = await peer.closed(1)
        assert closed["reason"] == "deleted"
        if is_quiet and not any(map(is_lost, peer.frames)):  # else it may have ended meanwhile
            await peer.until(is_lost)
        gate.open()


async def test_an_answer_about_a_fold_that_comes_late_takes_no_event_back(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = LogLimits(events=8, min_age_s=0)
    async with opened(redis.url, limits, is_alone=True) as store:
        await store.create("ann/r", "e")
        real, may_answer, has_folded = store._server.call, asyncio.Event(), asyncio.Event()

        async def call(script: Script, run: str, *args: Any) -> Any:
            answer = await real(script, run, *args)
            if script is FOLD and not has_folded.is_set():
                has_folded.set()
                await may_answer.wait()
            return answer

        monkeypatch.setattr(store._server, "call", call)
        first = asyncio.ensure_future(store.append([batch("ann/r", 1, 20)]))
        await has_folded.wait()
        assert await store.append([batch("ann/r", 21)]) == [21]
        may_answer.set()
        assert await first == [20]
        assert (await store.read("ann/r", 20, 9)).head == 21


async def test_a_log_that_was_given_up_and_begins_late_takes_no_other_s_place(redis: RedisProcess) -> None:
    async with opened(redis.url, is_alone=True) as store:
        sent: list[tuple[Script, str, tuple[Any, ...]]] = []
        real = store._server.call

        async def lost(script: Script, run: str, *args: Any) -> Any:
            sent.append((script, run, args))
            raise StoreAway("the packet is late")

        store._server.call = lost  # type: ignore[method-assign]
        with pytest.raises(StoreAway):
            await store.create("r", "e1")
        store._server.call = real  # type: ignore[method-assign]
        await store.create("r", "e2")
        await store.append([batch("r", 1, 3, epoch="e2")])
        ((script, run, args),) = sent
        await store._server.call(script, run, *args)
        assert await seen(store, "r") == [1, 2, 3]
        assert await store.append([batch("r", 4, epoch="e2")]) == [4]


async def test_a_late_batch_of_a_log_that_was_deleted_costs_its_namesake_nothing(redis: RedisProcess) -> None:
    async with opened(redis.url, is_alone=True) as store:
        await store.create("r", "e1")
        await store.delete("r")
        await store.create("r", "e2")
        (answer,) = await store.append([batch("r", 1, epoch="e1")])
        assert isinstance(answer, Fenced)
        await store.append([batch("r", 1, 3, epoch="e2")])
        await store.delete("another")
        assert await seen(store, "r") == [1, 2, 3]


async def test_who_lost_its_place_while_it_opened_claims_nothing(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(redis.url, is_alone=True) as first:
        await first.create("r", "e")
        await first.append([batch("r", 1, 5)])
    frozen, third = (RedisStore(redis.url, is_alone=True) for _ in range(2))
    real = frozen._server.call_all

    async def call_all(calls: Any) -> Any:
        await taken(redis)
        await third.open()
        return await real(calls)

    monkeypatch.setattr(frozen._server, "call_all", call_all)
    with pytest.raises(CannotServe, match="another graphwire server has taken"):
        await frozen.open()
    assert await third.append([batch("r", 6)]) == [6]
    await frozen.aclose()
    await third.aclose()


async def test_logs_get_new_epochs_if_redis_ends_while_they_are_claimed(
    forgetful: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_server() as own:
        async with opened(own.url, is_alone=True) as first:
            await first.create("r", "e")
            await first.append([batch("r", 1, 5)])
            async with asked(own) as client:
                await client.save()
            await first.append([batch("r", 6, 5)])
        second = RedisStore(own.url, is_alone=True)
        real = second._server.fields

        async def fields(runs: Any, *names: str) -> Any:
            if len(names) > 1:  # what there is, behind the claims
                monkeypatch.setattr(second._server, "fields", real)
                own.kill()
                own.start()
                await second._server.client.connection_pool.disconnect()
            return await real(runs, *names)

        monkeypatch.setattr(second._server, "fields", fields)
        (kept,) = await second.open()
        assert (kept.head, kept.epoch != "e") == (5, True)
        await second.aclose()


@pytest.mark.long
async def test_a_full_redis_lets_runs_go_and_is_read_again_behind_a_restart(serve, connect) -> None:
    with redis_server(appendonly="yes") as own:
        gate = Gate()
        gate.open()
        limits = {"result_ttl_s": 1, "log_ttl_s": 1}
        server = await serve({"gated": gated(gate, before=3000, after=1)}, store=own.url, limits=limits)
        peer = await connect(server)
        async with asked(own) as client:
            await peer.run("gated", {"done": 0}, everything(1), run="r")
            await peer.closed(1)
            used = (await client.info("memory"))["used_memory"]
            await client.config_set("maxmemory", used - 100_000)
            await poll(lambda: client.keys("graphwire:{run:*}:log"), lambda keys: not keys)
            assert (await peer.ask(type="list", what="runs"))["runs"] == []
            await client.config_set("maxmemory", 0)
    with redis_server(appendonly="yes") as own:
        async with opened(own.url, is_alone=True) as store:
            await store.create("ann/r", "e")
            await store.append([batch("ann/r", 1, 5)])
            await store.keep_thread("t", b"x")
            await on_disk(own)
            own.kill()
            own._config["maxmemory"] = "1mb"
            own.start()
            store._tails.forget("ann/r")
            await read_when_it_is_there(store.read, "ann/r")
            assert await store.threads() == {"t": b"x"}


async def test_an_address_that_leads_to_another_master_is_followed(forgetful: None) -> None:
    with redis_server(appendonly="yes") as first, redis_server(appendonly="yes") as second:
        async with asked(first) as old, asked(second) as new:
            await new.replicaof("127.0.0.1", first.port)
            await poll(lambda: new.info("replication"), lambda info: info["master_link_status"] == "up")
            async with Relay(first.port) as relay, opened(relay.url, is_alone=True) as store:
                await store.create("r", "e")
                await store.append([batch("r", 1)])
                await poll(lambda: new.exists("graphwire:{run:r}:log"), bool)
                await new.replicaof("NO", "ONE")
                await old.replicaof("127.0.0.1", second.port)
                relay.target = second.port

                async def head() -> Any:
                    with contextlib.suppress(StoreAway):
                        return await store.append([batch("r", 2)])

                await poll(head, lambda found: found == [2])
