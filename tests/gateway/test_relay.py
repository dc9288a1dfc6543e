"""A gateway's books of one client, with homes that the test plays.

About `gateway/graphwire_gateway/cluster/relay.py`, `gateway/graphwire_gateway/cluster/open_requests.py`,
`gateway/graphwire_gateway/cluster/second_looks.py`, `gateway/graphwire_gateway/cluster/starts.py`,
`gateway/graphwire_gateway/cluster/pings.py` and `gateway/graphwire_gateway/cluster/routes.py`.

Long because one client and its homes are played here for whatever the books have to bear.
"""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from graphwire_gateway.cluster import relay as relays
from graphwire_gateway.cluster.groups import Groups, Offer, shards_of
from graphwire_gateway.cluster.outbox import Outbox
from graphwire_gateway.cluster.relay import CommandRelay
from graphwire_gateway.cluster.shards import index_of
from graphwire_gateway.connections.auth import Tokens
from graphwire_gateway.connections.services import ConnectionServices
from graphwire_gateway.failures import Failures
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.scope import run_key
from graphwire_protocol.codes import TOO_BIG
from graphwire_protocol.commands import Product
from graphwire_protocol.errors import Refusal
from graphwire_protocol.server import ServerSession

from tests.support.waiting import settle, until

SHARDS = 2
A, B = (
    next(f"r{n}" for n in range(99) if index_of(run_key("anonymous", f"r{n}"), SHARDS) == shard)
    for shard in (0, 1)
)
"""Runs of each shard."""

EVENT = {"type": "event", "sub": 5, "seq": 1, "mode": "custom", "data": 1}
ROW = {"type": "run_info", "sub": 5, "run": "x", "created_at": "1", "status": "running"}
SYNCED = {"type": "synced", "sub": 5}


class Directory:
    """Knows no run but those that it is given."""

    shares_threads = False
    offer = Offer(Limits(), "crash", ("graph",))
    groups = Groups(SHARDS, {"": offer}, {"graph": ""})

    def __init__(self) -> None:
        self.homes = {shard: f"ws://{shard}" for shard in range(SHARDS)}
        self.groups_away: frozenset[str] = frozenset()
        self.groups_silent: frozenset[str] = frozenset()
        self.known = {A: 0, B: 1}
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_noting = False
        self.left: list[str] = []
        self.runs = self

    async def shard_of(self, principal: str, run: str, *, may_remember: bool) -> int | None:
        await asyncio.sleep(0)
        await self.answers.wait()
        return self.known.get(run)

    async def note_start(self, principal: str, run: str, shard: int) -> tuple[int, bool]:
        await asyncio.sleep(0)
        return self.known.get(run, shard), self.is_noting

    def let_go(self, principal: str, run: str, shard: int) -> None:
        self.left.append("at once")

    def let_go_later(self, principal: str, run: str, shard: int) -> None:
        self.left.append("later")

    def remember(self, principal: str, run: str, shard: int) -> None:
        pass

    def forget(self, principal: str, run: str) -> None:
        pass


class Home:
    """In place of a ``Link``: what was sent to a home, and what it sends."""

    def __init__(
        self, shard: int, principal: str, directory: Any, received: Any, ended: Any, failed: Any
    ) -> None:
        self.shard = shard
        self.url = f"ws://{shard}"
        self.waiting_bytes = 0
        self.is_repeating = self.is_passing = False
        self.alone_since = None
        self.frames: list[dict[str, Any]] = []
        self._received, self._ended = received, ended

    def send(self, data: str | bytes) -> None:
        self.frames.append(orjson.loads(data))

    async def says(self, *frames: dict[str, Any]) -> None:
        await self._received(self, orjson.dumps(list(frames)))

    def ends(self) -> None:
        self._ended(self, "it has gone")

    def close(self) -> None:
        pass

    async def closed(self) -> None:
        pass


class Client:
    """A client's connection to a gateway."""

    peer = ("client", 1)

    def __init__(self) -> None:
        limits = Limits()
        self.messages: list[bytes] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.has_left = False
        self.session = ServerSession(limits)
        self.directory = Directory()
        self.turns = asyncio.Event()
        self.turns.set()
        self.services = ConnectionServices(
            server=Product(name="graphwire", version="0"),
            limits=limits,
            durability="crash",
            tokens=Tokens(),
            failures=Failures(expose=True),
        )
        self.outbox = Outbox(self._send, _nothing, lambda: None)
        connection: Any = self
        directory: Any = self.directory
        self.relay = CommandRelay(self.services, directory, self.session, self.outbox, connection)
        self.writer = asyncio.ensure_future(self.outbox.main())

    async def _send(self, message: bytes) -> None:
        await self.takes.wait()
        self.messages.append(message)

    async def leave(self) -> None:
        self.has_left = True

    async def turn(self) -> None:
        await self.turns.wait()

    def may_take(self, size: int) -> None:
        """Homes take frames of so many bytes at most."""
        self.services.limits = self.services.limits.model_copy(update={"max_frame_bytes": size})

    async def ends(self) -> None:
        self.takes.set()
        self.outbox.close()
        await asyncio.wait_for(self.writer, 5)
        await asyncio.wait_for(self.relay.close(), 5)

    def silent_s(self) -> float:
        return 0

    @property
    def frames(self) -> list[dict[str, Any]]:
        found = [orjson.loads(message) for message in self.messages]
        return [frame for each in found for frame in (each if isinstance(each, list) else [each])]

    async def sends(self, **frame: Any) -> None:
        data = orjson.dumps(frame).decode()
        try:
            command = self.session.receive(data, 0.0)
        except Refusal as refusal:
            self.relay.refuse(self.session.refuse(refusal), refusal)
            return
        await self.relay.handle(command, data)

    def home(self, shard: int) -> Home:
        link: Any = self.relay._links[shard]
        assert isinstance(link, Home)
        return link

    async def got(self, count: int) -> list[dict[str, Any]]:
        await until(lambda: len(self.frames) >= count)
        return self.frames


async def _nothing() -> None:
    pass


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(relays, "Link", Home)
    client = Client()
    await client.sends(type="hello", id=0)
    await client.got(1)
    client.messages.clear()
    yield client
    if not client.writer.done():
        await client.ends()


def subscribe(id: int, sub: int, run: str) -> dict[str, Any]:
    return {"type": "subscribe", "id": id, "sub": sub, "run": run, "filter": {"modes": ["custom"]}}


def subscribed(id: int, sub: int) -> dict[str, Any]:
    return {"type": "subscribed", "id": id, "sub": sub}


def not_found(id: int) -> dict[str, Any]:
    return {"type": "error", "id": id, "code": "not_found", "message": "no", "retry": "never"}


async def test_what_a_home_sends_passes_as_it_came(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    home = client.home(0)
    assert home.frames[-1] == subscribe(1, 5, A)
    message = b'[{"type":"event", "sub":5, "data":{"n":1.50}}]'
    await home._received(home, message)
    await client.got(1)
    assert client.messages == [message]


async def test_a_subscription_that_was_left_before_its_refusal_keeps_no_later_one_from_its_number(
    client: Client,
) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="unsubscribe", id=2, sub=5)
    await client.sends(**subscribe(3, 5, A))
    home = client.home(0)
    await home.says(not_found(1))
    await until(lambda: any(frame.get("id") == 1 for frame in client.frames))
    await home.says(not_found(2), subscribed(3, 5))
    await client.got(3)
    await client.sends(type="credit", sub=5, events=7)
    assert home.frames[-1] == {"type": "credit", "sub": 5, "events": 7}
    await client.sends(**subscribe(4, 5, A))
    assert (await client.got(4))[-1]["code"] == "conflict"
    await client.sends(type="unsubscribe", id=6, sub=5)
    await home.says({"type": "ok", "id": 6})
    assert (await client.got(5))[-1] == {"type": "ok", "id": 6}


async def test_a_refusal_frees_no_number_that_a_waiting_request_has_taken(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="unsubscribe", id=2, sub=5)
    taking = asyncio.ensure_future(client.sends(**subscribe(3, 5, B)))
    await settle()
    await client.home(0).says(not_found(1))
    await client.got(1)
    await client.home(0).says(not_found(2))
    await asyncio.wait_for(taking, 5)
    await client.home(1).says(subscribed(3, 5))
    await client.got(3)
    await client.sends(**subscribe(4, 5, A))
    assert (await client.got(4))[-1]["code"] == "conflict"
    await client.sends(type="unsubscribe", id=6, sub=5)
    assert client.home(1).frames[-1] == {"type": "unsubscribe", "id": 6, "sub": 5}


async def test_a_number_is_taken_in_another_shard_once_all_that_left_it_are_answered(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="unsubscribe", id=2, sub=5)
    await client.sends(**subscribe(3, 5, A))
    await client.sends(type="unsubscribe", id=4, sub=5)
    taking = asyncio.ensure_future(client.sends(**subscribe(5, 5, B)))
    await settle()
    assert not taking.done()
    home = client.home(0)
    await home.says(subscribed(1, 5), {"type": "ok", "id": 2})
    await settle()
    assert not taking.done(), "the other one is not answered yet"
    await home.says(subscribed(3, 5), {"type": "ok", "id": 4})
    await asyncio.wait_for(taking, 5)
    assert client.home(1).frames[-1]["id"] == 5


async def test_nobody_waits_for_a_number_whose_home_has_gone(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.home(0).says(subscribed(1, 5))
    await client.sends(type="unsubscribe", id=2, sub=5)
    taking = asyncio.ensure_future(client.sends(**subscribe(3, 5, B)))
    await settle()
    client.home(0).ends()
    await asyncio.wait_for(taking, 5)
    assert (await client.got(2))[-1]["code"] == "unavailable"
    assert client.has_left


async def test_a_client_that_lacks_a_message_is_sent_away_with_its_home(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    home = client.home(0)
    home.is_passing = True  # it waits for the client, who is slow
    await home.says({"type": "closed", "sub": 5, "reason": "ended"}, subscribed(1, 5))
    home.ends()
    await until(lambda: client.has_left)


async def test_nothing_newer_passes_a_list_that_is_being_sent(client: Client) -> None:
    await client.sends(type="watch", id=1, sub=5)
    one, other = client.home(0), client.home(1)
    rows = [
        {
            "type": "run_info",
            "sub": 5,
            "run": f"r{n}",
            "created_at": f"{n:03}",
            "status": "running",
            "x": "y" * 9000,
        }
        for n in range(100)
    ]
    await other.says(subscribed(1, 5), *rows, {"type": "synced", "sub": 5})
    client.takes.clear()
    listing = asyncio.ensure_future(one.says(subscribed(1, 5), {"type": "synced", "sub": 5}))
    await settle()
    newer = [{**row, "status": "completed"} for row in rows]
    changing = asyncio.ensure_future(other.says(*newer))
    await settle()
    client.takes.set()
    await asyncio.wait_for(asyncio.gather(listing, changing), 5)
    await client.got(2 + 200)
    last = {frame["run"]: frame["status"] for frame in client.frames if frame["type"] == "run_info"}
    assert set(last.values()) == {"completed"}
    assert [frame["type"] for frame in client.frames[:1]] == ["subscribed"]


async def test_a_watch_that_one_home_refuses_leaves_nothing_behind(client: Client) -> None:
    await client.sends(type="watch", id=1, sub=5)
    one, other = client.home(0), client.home(1)
    await one.says(subscribed(1, 5))
    await other.says({**not_found(1), "code": "unavailable"})
    assert [frame["type"] for frame in await client.got(1)] == ["error"]
    undone = one.frames[-1]
    assert (undone["type"], undone["sub"]) == ("unsubscribe", 5)
    await one.says({"type": "run_info", "sub": 5, "run": "r"}, {"type": "synced", "sub": 5})
    await one.says({"type": "ok", "id": undone["id"]})
    await client.sends(type="watch", id=1, sub=5)
    for home in (one, other):
        await home.says(subscribed(1, 5), {"type": "synced", "sub": 5})
    assert [frame["type"] for frame in await client.got(3)] == ["error", "subscribed", "synced"]


async def test_a_home_that_ends_before_it_has_left_a_refused_watch_silences_no_other(client: Client) -> None:
    await client.sends(type="watch", id=1, sub=5)
    one, other = client.home(0), client.home(1)
    await one.says(subscribed(1, 5))
    await other.says({**not_found(1), "code": "unavailable"})
    await client.got(1)
    one.ends()
    await client.sends(type="watch", id=1, sub=5)
    for home in (client.home(0), other):
        await home.says(subscribed(1, 5), {"type": "synced", "sub": 5})
    assert [frame["type"] for frame in await client.got(3)] == ["error", "subscribed", "synced"]


async def test_a_list_names_all_groups_that_it_leaves_out_whenever_they_went(client: Client) -> None:
    offers = dict.fromkeys(("", "a", "b"), Directory.offer)
    client.directory.groups = Groups(SHARDS, offers, {})
    client.directory.groups_silent = frozenset({"a"})
    await client.sends(type="list", id=1, what="runs")
    client.directory.groups_silent = frozenset({"a", "b"})
    client.relay.drop_stale()
    for shard in range(SHARDS):
        await client.home(shard).says({"type": "ok", "id": 1, "runs": []})
    *notices, ok = await client.got(3)
    assert ok == {"type": "ok", "id": 1, "runs": []}
    assert [notice["message"] for notice in notices] == [
        f"left out is what group '{name}' has: no worker of it is there now" for name in "ab"
    ]


async def test_a_notice_of_all_homes_comes_once(client: Client) -> None:
    await client.sends(type="watch", id=1, sub=5, graphs=["none"])
    notice = {"type": "notice", "code": "ignored", "message": "no graph 'none'"}
    for shard in range(SHARDS):
        await client.home(shard).says(subscribed(1, 5))
        await client.home(shard).says(notice)
    await client.home(0).says({"type": "synced", "sub": 5})
    await client.home(1).says({"type": "synced", "sub": 5})
    types = [frame["type"] for frame in await client.got(3)]
    assert sorted(types) == ["notice", "subscribed", "synced"]


async def test_a_worker_that_goes_away_is_unavailable_for_a_moment(client: Client) -> None:
    await client.sends(type="run", id=1, graph="g", run=A)
    await client.home(0).says({**not_found(1), "code": "draining", "message": "this server is going away"})
    assert (await client.got(1))[0]["code"] == "unavailable"
    await client.home(0).says({"type": "goaway", "reason": "draining"})
    await client.sends(type="ping", t=1)
    ping = client.home(0).frames[-1]
    await client.home(0).says({"type": "pong", "t": ping["t"]})
    assert (await client.got(2))[-1] == {"type": "pong", "t": 1}


async def test_a_run_that_began_anew_elsewhere_is_found(client: Client) -> None:
    await client.sends(type="result", id=1, run=A)
    client.directory.known[A] = 1
    await client.home(0).says(not_found(1))
    await until(lambda: 1 in client.relay._links)
    await client.home(1).says({"type": "ok", "id": 1, "status": "completed"})
    assert (await client.got(1))[0]["status"] == "completed"
    client.directory.known.clear()
    await client.sends(type="result", id=1, run=A)
    await client.home(0).says(not_found(1))
    assert (await client.got(2))[-1]["code"] == "not_found"


async def test_what_refers_to_nothing_is_answered_here(client: Client) -> None:
    for frame in (
        {"type": "unsubscribe", "id": 1, "sub": 5},
        {"type": "list", "id": 2, "what": "runs", "cursor": "x"},
    ):
        await client.sends(**frame)
    codes = [frame["code"] for frame in await client.got(2)]
    assert codes == ["not_found", "invalid_argument"]
    await client.sends(type="ping", t=2)
    assert (await client.got(3))[-1] == {"type": "pong", "t": 2}


# ── numbers that are used again ──────────────────────────────────────────────────────────────────


async def test_what_was_left_passes_before_a_watch_of_its_number_and_is_no_part_of_it(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="unsubscribe", id=2, sub=5)
    await client.sends(type="watch", id=3, sub=5)
    one, other = client.home(0), client.home(1)
    await one.says(subscribed(1, 5), EVENT, {**SYNCED, "seq": 3})
    await other.says(subscribed(3, 5), SYNCED)
    await one.says({"type": "ok", "id": 2}, subscribed(3, 5), ROW, SYNCED)
    frames = await client.got(7)
    types = [frame["type"] for frame in frames]
    assert types == ["subscribed", "event", "synced", "ok", "subscribed", "run_info", "synced"]
    assert frames[2]["seq"] == 3


async def test_the_end_of_what_was_left_ends_no_watch_of_its_number(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="unsubscribe", id=2, sub=5)
    await client.sends(type="watch", id=3, sub=5)
    await client.home(0).says(subscribed(1, 5), {"type": "closed", "sub": 5, "reason": "ended"})
    await client.home(0).says(not_found(2), subscribed(3, 5), SYNCED)
    await client.home(1).says(subscribed(3, 5), SYNCED)
    await client.got(5)
    await client.sends(**subscribe(4, 5, A))
    assert (await client.got(6))[-1]["code"] == "conflict"


async def test_rows_of_a_watch_that_was_left_do_not_come_before_its_reply(client: Client) -> None:
    await client.sends(type="watch", id=1, sub=5)
    await client.sends(type="unsubscribe", id=2, sub=5)
    one, other = client.home(0), client.home(1)
    await one.says(subscribed(1, 5))
    await one.says(ROW)
    await other.says(subscribed(1, 5), SYNCED, {"type": "ok", "id": 2})
    await one.says(SYNCED, {"type": "ok", "id": 2})
    assert [frame["type"] for frame in await client.got(2)] == ["subscribed", "ok"]


async def test_a_refused_watch_that_was_left_ends_no_later_one_of_its_number(client: Client) -> None:
    await client.sends(type="watch", id=1, sub=5)
    await client.sends(type="unsubscribe", id=2, sub=5)
    await client.sends(type="watch", id=3, sub=5)
    one, other = client.home(0), client.home(1)
    await one.says(subscribed(1, 5), {"type": "ok", "id": 2}, subscribed(3, 5))
    await other.says({**not_found(1), "code": "unavailable"}, not_found(2), subscribed(3, 5))
    await client.got(3)
    assert [frame["type"] for frame in one.frames] == ["watch", "unsubscribe", "watch"]


async def test_what_was_left_passes_to_a_slow_client_before_what_took_its_number(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    home = client.home(0)
    await home.says(subscribed(1, 5))
    await client.got(1)
    client.takes.clear()
    filler = orjson.dumps({"type": "filler", "pad": "y" * 100_000})
    client.outbox.reply(filler)
    await settle()
    client.outbox.reply(filler)  # no room now
    await client.sends(type="unsubscribe", id=2, sub=5)
    old = asyncio.ensure_future(home.says({**EVENT, "data": "old"}, {"type": "ok", "id": 2}))
    await settle()
    await client.sends(**subscribe(3, 5, B))
    client.takes.set()
    new = asyncio.ensure_future(client.home(1).says(subscribed(3, 5), {**EVENT, "data": "new"}))
    await asyncio.wait_for(asyncio.gather(old, new), 5)
    await client.got(7)
    assert [frame["data"] for frame in client.frames if frame["type"] == "event"] == ["old", "new"]


def divide_in_groups(client: Client) -> range:
    """Have a second group; return its shards."""
    offers = dict.fromkeys(("", "a"), Directory.offer)
    client.directory.groups = Groups(SHARDS, offers, {})
    return shards_of("a", SHARDS)


async def test_a_watch_without_a_group_that_was_away_leaves_its_number_free_there(client: Client) -> None:
    away = divide_in_groups(client)
    await client.sends(type="watch", id=1, sub=5)
    client.directory.groups_silent = frozenset({"a"})
    client.relay.drop_stale()
    for shard in range(SHARDS):
        await client.home(shard).says(subscribed(1, 5), SYNCED)
    await client.got(3)
    await client.sends(type="unsubscribe", id=2, sub=5)
    for shard in range(SHARDS):
        await client.home(shard).says({"type": "ok", "id": 2})
    client.directory.known["ra"] = away[0]
    await client.sends(**subscribe(3, 5, "ra"))
    back = client.home(away[0])
    assert [frame["type"] for frame in back.frames] == ["watch", "unsubscribe", "subscribe"]
    undone = {"type": "ok", "id": back.frames[1]["id"]}
    await back.says(subscribed(1, 5), ROW, SYNCED, undone, subscribed(3, 5), EVENT)
    types = [frame["type"] for frame in await client.got(6)]
    assert types == ["notice", "subscribed", "synced", "ok", "subscribed", "event"]


async def test_a_watch_is_left_although_a_group_is_away(client: Client) -> None:
    away = divide_in_groups(client)
    client.directory.known["ra"] = away[0]
    everywhere = [*range(SHARDS), *away]
    await client.sends(type="watch", id=1, sub=5)
    for shard in everywhere:
        await client.home(shard).says(subscribed(1, 5), SYNCED)
    await client.sends(type="unsubscribe", id=2, sub=5)
    for shard in range(SHARDS):
        await client.home(shard).says({"type": "ok", "id": 2})
    client.directory.groups_silent = frozenset({"a"})
    client.relay.drop_stale()
    assert [frame["type"] for frame in await client.got(3)] == ["subscribed", "synced", "ok"]
    await client.sends(**subscribe(3, 5, "ra"))
    await client.home(away[0]).says(ROW, {"type": "ok", "id": 2}, subscribed(3, 5))
    assert (await client.got(4))[3:] == [subscribed(3, 5)]


async def test_requests_about_one_subscription_are_answered_in_order(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="unsubscribe", id=2, sub=5)
    await client.sends(**subscribe(3, 5, A))
    await client.sends(**subscribe(4, 5, A))
    await client.home(0).says(subscribed(1, 5), {"type": "ok", "id": 2}, subscribed(3, 5))
    assert [frame["id"] for frame in await client.got(4)] == [1, 2, 3, 4]


# ── second looks ─────────────────────────────────────────────────────────────────────────────────


async def test_credit_goes_where_a_run_is_found(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="credit", sub=5, events=7)
    await client.sends(type="credit", sub=5, events=2)
    client.directory.known[A] = 1
    await client.home(0).says(not_found(1))
    await client.sends(type="credit", sub=5, events=4)
    frames = client.home(1).frames
    assert frames[0] == subscribe(1, 5, A)
    assert sum(frame["events"] for frame in frames[1:]) == 13
    assert all(frame["events"] < 13 for frame in client.home(0).frames[1:])


async def test_requests_about_a_run_that_is_looked_for_keep_their_order(client: Client) -> None:
    await client.sends(type="cancel", id=1, run=A)
    await client.sends(type="result", id=2, run=A)
    client.directory.known[A] = 1
    await client.home(0).says(not_found(1))
    await client.home(0).says(not_found(2))
    await client.sends(type="delete", id=3, run=A)
    assert [frame["id"] for frame in client.home(1).frames] == [1, 2, 3]


async def test_a_subscription_is_left_where_its_run_is_found(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    client.directory.known[A] = 1
    await client.home(0).says(not_found(1))
    await client.sends(type="unsubscribe", id=2, sub=5)
    assert [frame["type"] for frame in client.home(1).frames] == ["subscribe", "unsubscribe"]


async def test_a_run_that_cannot_be_looked_for_is_unavailable(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.sends(**subscribe(1, 5, A))

    async def fail(*args: Any, **options: Any) -> None:
        raise StoreAway

    monkeypatch.setattr(client.directory, "shard_of", fail)
    await client.home(0).says(not_found(1))
    (error,) = await client.got(1)
    assert (error["id"], error["code"]) == (1, "unavailable")
    await client.sends(type="watch", id=2, sub=5)
    assert client.home(0).frames[-1]["type"] == "watch", "the number is free"


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_kept_of_open_requests_is_bounded(client: Client) -> None:
    client.may_take(1000)
    for id in range(20):
        await client.sends(type="cancel", id=id, run=A, reason="x" * 100)
    sent = len(client.home(0).frames)
    assert 2 < sent < 10
    refusals = await client.got(20 - sent)
    assert {frame["code"] for frame in refusals} == {"rate_limited"}
    for id in range(sent):
        await client.home(0).says({"type": "ok", "id": id})
    await client.sends(type="cancel", id=1, run=A, reason="x" * 100)
    assert len(client.home(0).frames) == sent + 1


async def test_a_start_is_not_kept_with_its_input(client: Client) -> None:
    client.may_take(1000)
    for id in range(20):
        await client.sends(type="run", id=id, graph="g", run=A, input={"text": "x" * 100})
    assert len(client.home(0).frames) == 20


async def test_refusals_behind_an_open_request_are_bounded(client: Client) -> None:
    client.may_take(2000)
    await client.sends(**subscribe(1, 5, A))
    for id in range(2, 22):
        await client.sends(**subscribe(id, 5, A))
    at_once = [frame["id"] for frame in await client.got(1)]
    assert len(at_once) < 19, "only those beyond the bound"
    await client.home(0).says(subscribed(1, 5))
    ids = [frame["id"] for frame in await client.got(21)]
    assert sorted(ids) == list(range(1, 22))
    assert ids[len(at_once)] == 1


async def test_a_frame_that_is_too_large_for_homes_ends_the_connection_as_a_large_one_does(
    client: Client,
) -> None:
    client.may_take(200)
    with pytest.raises(Refusal) as caught:
        await client.sends(type="run", id=1, graph="graph", run=A, input="é" * 100)
    assert caught.value.close == TOO_BIG
    await settle()
    assert not client.frames, "a client learns by the code that its request was too large"
    assert not client.relay._links


async def test_what_is_read_for_the_books_waits_for_its_turn(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    client.turns.clear()
    saying = asyncio.ensure_future(client.home(0).says(subscribed(1, 5)))
    await settle()
    assert not client.messages
    client.turns.set()
    await asyncio.wait_for(saying, 5)
    await client.got(1)


async def test_an_idle_watch_costs_nothing_while_no_group_comes_or_goes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = divide_in_groups(client)
    client.directory.groups_silent = frozenset({"a"})
    await client.sends(type="watch", id=1, sub=5)
    asked: list[Any] = []
    groups_of_rows = client.relay._routes.groups_of_rows

    def counted(graphs: Any) -> Any:
        asked.append(graphs)
        return groups_of_rows(graphs)

    monkeypatch.setattr(client.relay._routes, "groups_of_rows", counted)
    for _ in range(5):
        divide_in_groups(client)  # what is read anew is equal
        client.relay.drop_stale()
    assert len(asked) == 1
    client.directory.homes.update(dict.fromkeys(away, "ws://a"))
    client.directory.groups_silent = frozenset()
    client.relay.drop_stale()
    await until(lambda: client.has_left)


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_relay_that_is_closed_goes_at_once(client: Client) -> None:
    await client.sends(**subscribe(1, 5, A))
    await client.sends(type="ping", t=1)
    await client.sends(type="result", id=2, run=A)
    await client.home(0).says(not_found(2))
    await client.ends()
    gone = weakref.ref(client.relay)
    gc.collect()
    gc.disable()
    try:
        del client.relay
        await settle()
        assert gone() is None
    finally:
        gc.enable()


async def test_a_relay_that_is_closed_opens_no_link_for_what_it_looked_for(client: Client) -> None:
    await client.sends(type="result", id=1, run=A)
    client.directory.answers.clear()
    client.directory.known[A] = 1
    home = client.home(0)
    await home.says(not_found(1))
    await settle()

    async def closed() -> None:
        client.directory.answers.set()
        await settle()

    home.closed = closed  # type: ignore[method-assign]
    await client.ends()
    assert not client.relay._links


async def test_a_relay_that_is_closed_opens_no_link_when_a_group_goes(client: Client) -> None:
    divide_in_groups(client)
    await client.sends(type="watch", id=1, sub=5)
    await client.home(0).says(subscribed(1, 5))
    await client.home(1).says({**not_found(1), "code": "unavailable"})
    await client.ends()
    client.directory.groups_silent = frozenset({"a"})
    client.relay.drop_stale()
    assert not client.relay._links


@pytest.mark.parametrize(("was_reached", "left"), [(True, "later"), (False, "at once")])
async def test_a_start_that_a_home_may_have_stays_noted_for_a_while(
    client: Client, was_reached: bool, left: str
) -> None:
    client.directory.is_noting = True
    await client.sends(type="run", id=1, graph="g", run=A)
    if was_reached:
        client.home(0).ends()
        await until(lambda: client.has_left)
    else:
        client.home(0).url = ""
    await client.ends()
    assert client.directory.left == [left]


async def test_a_start_that_was_refused_binds_nobody_to_its_home(client: Client) -> None:
    await client.sends(type="run", id=1, graph="g", run=A, on_disconnect="cancel")
    await client.home(0).says({**not_found(1), "code": "busy"})
    await client.got(1)
    client.home(0).ends()
    await settle()
    assert not client.has_left
    await client.sends(type="run", id=1, graph="g", run=A, on_disconnect="cancel")
    await client.home(0).says({"type": "started", "id": 1, "run": A})
    await client.got(2)
    client.home(0).ends()
    await until(lambda: client.has_left)
