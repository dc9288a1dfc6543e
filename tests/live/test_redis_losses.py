"""What a Redis server loses when it crashes: the last seconds are written again, and the rest is named.

About `gateway/graphwire_gateway/log/redis_life.py` and `gateway/graphwire_gateway/log/redis_recent.py`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from graphwire_gateway import CannotServe, Gateway
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log import redis_owner, redis_recent
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.redis_life import Life
from graphwire_gateway.log.redis_recent import Recent
from graphwire_gateway.log.redis_scripts import FOLD, Script
from graphwire_gateway.log.store import Page, StoreAway

from tests.gateway.test_store import batch, numbers
from tests.live.test_restart import history, row
from tests.support.graphs import OURS, Gate, counter, gated, talker
from tests.support.peer import Peer, everything, spec
from tests.support.questions import asker
from tests.support.redis import RedisProcess, Relay, redis_server
from tests.support.redis_stores import asked, on_disk, opened, seen, taken
from tests.support.waiting import poll, settle, until


async def test_a_server_that_lost_its_last_seconds_gets_them_again() -> None:
    with redis_server() as own:
        async with opened(own.url) as store:
            for run in ("idle", "written", "folded", "deleted"):
                await store.create(run, "e")
            await store.append([batch("written", 1, 5), batch("folded", 1, 5), batch("deleted", 1)])
            await store.keep_thread("kept", b"before")
            async with asked(own) as client:
                await client.save()
            await store.append([batch("idle", 1, 3), batch("written", 6, 3)])
            await store.append([replace(batch("written", 9, 2), standing=b"last")])
            await store.create("new", "e", b"start")
            await store.append([batch("new", 1, 4)])
            await store.delete("deleted")
            await store.create("deleted", "e2")
            await store.keep_thread("kept", b"after")
            await store.keep_thread("gone", b"x")
            await store.keep_thread("gone", None)
            own.kill()
            own.start()
            heads = {"idle": 3, "written": 10, "folded": 5, "new": 4, "deleted": 0}
            for run, head in heads.items():
                page = await read_when_it_is_there(store.read, run)
                assert (page.head, numbers(page)) == (head, list(range(1, head + 1))), run
                assert page.epoch == ("e2" if run == "deleted" else "e")
            assert await store.threads() == {"kept": b"after"}
            assert await store.append([batch("written", 11), batch("new", 5)]) == [11, 5]
        async with opened(own.url) as after:
            found = {kept.run: (kept.head, kept.start, kept.standing) for kept in await after.open()}
            assert found["new"] == (5, b"start", None)
            assert found["written"] == (11, b"", b"last")


async def test_a_first_question_on_a_new_connection_finds_what_was_there() -> None:
    with redis_server() as own:
        async with opened(own.url) as store:
            await store.keep_thread("kept", b"x")
            own.kill()
            own.start()
            await settle()  # the ends of old connections are noticed, so nothing fails
            assert await store.threads() == {"kept": b"x"}


class Reaching:
    """A connection that reaches a server whose life has an id."""

    def __init__(self, id: bytes) -> None:
        self.id = id

    async def on_connect(self) -> None: ...

    async def send_command(self, *_: str) -> None: ...

    async def read_response(self) -> bytes:
        return b"run_id:" + self.id


async def test_nothing_is_asked_while_what_was_lost_is_being_written_again() -> None:
    restoring = Gate()
    life = Life()
    life.restore = restoring.wait
    for id in (b"one", b"two"):
        await life.connected(Reaching(id))
    asking = [asyncio.ensure_future(life.current()) for _ in range(2)]
    await settle()
    assert not any(asked.done() for asked in asking), "its answer would count, and something is missing"
    restoring.open()
    assert await asyncio.gather(*asking) == [1, 1]


async def test_an_absence_of_any_length_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server() as own:
        async with opened(own.url, is_alone=True) as store:
            await store.create("r", "e")
            await store.append([batch("r", 1, 5)])
            own.kill()
            monkeypatch.setattr(redis_recent, "KEPT_S", -1.0)  # all of it was written longer ago
            monkeypatch.setattr(redis_owner, "LEASE_S", 0.001)
            own.start()
            page = await read_when_it_is_there(store.read, "r")
            assert (page.head, page.epoch) == (5, "e")


async def test_what_is_kept_of_a_thread_first_behind_a_crash_stays() -> None:
    with redis_server() as own:
        async with opened(own.url, is_alone=True) as store:
            await store.keep_thread("t", b"before")
            own.kill()
            own.start()
            await settle()  # the ends of old connections are noticed, so nothing fails

            async def kept() -> bool:
                with contextlib.suppress(StoreAway):
                    await store.keep_thread("t", b"after")
                    return True
                return False

            assert (await poll(kept, bool))[-1]
            assert await store.threads() == {"t": b"after"}


async def test_what_another_store_has_taken_over_is_not_written_again() -> None:
    with redis_server(appendonly="yes") as own:
        async with opened(own.url) as store, opened(own.url) as other:
            await store.create("r", "e")
            await store.append([batch("r", 1, 3)])
            await other.claim("r", "e", "e2")
            await other.append([batch("r", 4, epoch="e2")])
            await store.create("s", "e")
            await other.delete("s")
            await other.create("s", "e3")
            await on_disk(own)
            own.kill()
            own.start()
            page = await read_when_it_is_there(store.read, "r")
            assert (page.epoch, page.head) == ("e2", 4)
            assert (await store.read("s", 0, 100)).epoch == "e3"


async def read_when_it_is_there(read: Callable[[str, int, int], Awaitable[Page]], run: str) -> Page:
    """Read a log whole, as soon as the store is not away any more."""

    async def page() -> Page | None:
        with contextlib.suppress(StoreAway):
            return await read(run, 0, 1000)
        return None

    found = (await poll(page, lambda page: page is not None))[-1]
    assert found is not None
    return found


def test_only_the_newest_commands_are_kept_and_they_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = Recent(most_bytes=1000)
    for number in range(100):
        recent.note(("SET", "k", b"%03d" % number + bytes(97)))
    assert [command[2][:3] for command in recent.commands()] == [
        b"%03d" % number for number in range(90, 100)
    ]
    recent.note(("SET", "k", bytes(2000)))
    assert recent.commands() == []
    recent.note(("SET", "k", b"1"))
    assert recent.commands() == [("SET", "k", b"1")]
    monkeypatch.setattr(redis_recent, "KEPT_S", -1.0)
    assert recent.commands() != [], "while nothing new is written, it stays"
    recent.note(("SET", "k", b"2"))
    assert recent.commands() == []
    monkeypatch.setattr(redis_recent, "KEPT_S", 10.0)
    recent.note(("EVAL", "-" * 2000, b"3"))
    assert len(recent.commands()) == 1, "a script is no copy"


async def test_readers_and_runs_wait_for_a_server_that_is_away(serve, connect) -> None:
    with redis_server(appendonly="yes") as redis:
        gate = Gate()
        graphs = {"gated": gated(gate, before=200, after=200)}
        peer = await connect(await serve(graphs, store=redis.url))
        await peer.run("gated", {"done": 0}, spec(1, "custom"), run="r")
        await peer.until(lambda frame: frame.get("data") == {"i": 199})
        redis.kill()
        gate.open()
        refused = await peer.ask(type="subscribe", run="r", **spec(2, "custom"))
        assert (refused["type"], refused["code"]) == ("error", "unavailable")
        redis.start()
        await peer.closed(1)
        assert written(peer, 1) == list(range(400))
        await history(peer, 3, "r", "custom")
        assert written(peer, 3) == list(range(400))


async def test_what_a_client_was_shown_is_there_though_the_server_lost_it(serve, connect) -> None:
    with redis_server() as redis:
        gate = Gate()
        graphs = {"gated": gated(gate, before=200, after=200), "talker": talker(OURS)}
        peer = await connect(await serve(graphs, store=redis.url))
        async with asked(redis) as client:
            await client.save()
        await peer.run("talker", {"count": 1}, everything(1), run="ended", thread="t")
        await peer.closed(1)
        shown = await row(peer, "ended")
        await peer.run("gated", {"done": 0}, spec(2, "custom"), run="r")
        await peer.until(lambda frame: frame.get("data") == {"i": 199})
        redis.kill()
        redis.start()
        gate.open()
        await peer.closed(2)
        assert written(peer, 2) == list(range(400))
        _, again = await history(peer, 3, "ended")
        assert [{**event, "sub": 1} for event in again] == peer.events(1)
        assert await row(peer, "ended") == shown


async def test_an_ended_run_that_lost_its_end_for_good_is_not_shown_as_whole(
    serve, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_recent, "KEPT_S", -1.0)
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.1)
    with redis_server(appendonly="yes") as redis:
        peer = await connect(await serve({"counter": counter()}, store=redis.url))
        await peer.run("counter", {"count": 3}, everything(1), run="r")
        await peer.closed(1)
        async with asked(redis) as client:
            (log,) = await client.keys("graphwire:{run:*}:log")
            await client.hset(log, mapping={"head": 2, "first": 2})
            await on_disk(redis)
        redis.kill()  # so that heads are looked at again
        redis.start()

        async def refused() -> str:
            reply = await peer.ask(type="subscribe", run="r", **spec(2, "custom", from_="now"))
            await peer.ask(type="unsubscribe", sub=2)
            return reply.get("code", "")

        assert (await poll(refused, lambda code: code == "not_found"))[-1]


async def test_a_run_whose_log_lost_its_end_for_good_fails_and_its_readers_hear_of_it(serve, connect) -> None:
    with redis_server() as redis:
        gate = Gate()
        graphs = {"gated": gated(gate, before=20, after=20), "counter": counter()}
        peer = await connect(await serve(graphs, store=redis.url))
        await peer.run("gated", {"done": 0}, spec(1, "custom"), run="r")
        await peer.until(lambda frame: frame.get("data") == {"i": 19})
        async with asked(redis) as client:
            (log,) = await client.keys("graphwire:{run:*}:log")
            await client.hset(log, mapping={"head": 2, "first": 2})
        gate.open()
        *_, closed = await peer.closed(1)
        assert closed["reason"] == "deleted"
        assert written(peer, 1) == list(range(20))
        await peer.run("counter", {"count": 1}, everything(2), run="next")
        *_, closed = await peer.closed(2)
        assert closed["status"] == "completed"


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


def written(peer: Peer, sub: int) -> list[int]:
    return [event["data"]["i"] for event in peer.events(sub) if event["mode"] == "custom"]
