"""What a Redis server loses when it crashes: the last seconds are written again, and the rest is named.

About `gateway/graphwire_gateway/log/redis_life.py` and `gateway/graphwire_gateway/log/redis_recent.py`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from graphwire_gateway.log import redis_owner, redis_recent
from graphwire_gateway.log.redis_life import Life
from graphwire_gateway.log.redis_recent import Recent
from graphwire_gateway.log.store import Page, StoreAway

from tests.gateway.test_store import batch, numbers
from tests.live.test_restart import history, row
from tests.support.graphs import OURS, Gate, counter, gated, talker
from tests.support.peer import Peer, everything, spec
from tests.support.redis import redis_server
from tests.support.redis_stores import asked, on_disk, opened
from tests.support.waiting import poll, settle


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


def written(peer: Peer, sub: int) -> list[int]:
    return [event["data"]["i"] for event in peer.events(sub) if event["mode"] == "custom"]
