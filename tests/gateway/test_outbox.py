"""What leaves on a client's connection to a gateway. About `gateway/graphwire_gateway/cluster/outbox.py`."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from graphwire_gateway.cluster import outbox as outboxes
from graphwire_gateway.cluster.outbox import Outbox

from tests.support.waiting import settle


class Client:
    """Takes messages while it is ``open``."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.turns = 0

    async def send(self, message: bytes) -> None:
        await self.open.wait()
        self.messages.append(message)

    async def turn(self) -> None:
        self.turns += 1

    @property
    def frames(self) -> list[object]:
        found = [orjson.loads(message) for message in self.messages]
        return [frame for each in found for frame in (each if isinstance(each, list) else [each])]


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def outbox(client: Client) -> AsyncIterator[Outbox]:
    outbox = Outbox(client.send, client.turn, lambda: None)
    task = asyncio.ensure_future(outbox.main())
    yield outbox
    outbox.close()
    await asyncio.wait_for(task, 5)


async def test_frames_and_messages_leave_in_their_order_as_few_messages(
    client: Client, outbox: Outbox
) -> None:
    outbox.reply(b'{"n":1}')
    await outbox.pass_on(b'[{"n":2},{"n":3}]')
    outbox.reply(b'{"n":4}')
    await outbox.flushed()
    assert client.messages == [b'[{"n":1},{"n":2},{"n":3},{"n":4}]']
    assert client.turns == 1


@pytest.mark.parametrize("message", [b'{"n":1}', b'[{"n":1},{"n":2}]'])
async def test_a_message_alone_leaves_as_it_came(client: Client, outbox: Outbox, message: bytes) -> None:
    await outbox.pass_on(message)
    await outbox.flushed()
    assert client.messages == [message]


async def test_large_messages_are_not_joined(client: Client, outbox: Outbox) -> None:
    large = orjson.dumps({"n": "x" * 200_000})
    client.open.clear()
    for _ in range(3):
        outbox.reply(large)
    client.open.set()
    await outbox.flushed()
    assert client.messages == [large] * 3


async def test_while_a_client_takes_nothing_homes_wait(client: Client, outbox: Outbox) -> None:
    client.open.clear()
    outbox.reply(b'{"n":0}')
    await settle()  # it is being sent
    outbox.reply(orjson.dumps({"n": "x" * outboxes._WAITING_BYTES}))
    passing = asyncio.ensure_future(outbox.pass_on(b'{"n":2}'))
    room = asyncio.ensure_future(outbox.room())
    await settle()
    assert not passing.done()
    assert not room.done()
    client.open.set()
    await asyncio.wait_for(asyncio.gather(passing, room), 5)
    await outbox.flushed()
    assert client.frames[-1] == {"n": 2}


async def test_who_is_refused_gets_replies_alone(client: Client, outbox: Outbox) -> None:
    outbox.drop()
    await outbox.pass_on(b'{"event":1}')
    outbox.reply(b'{"error":1}')
    await outbox.flushed()
    assert client.frames == [{"error": 1}]


async def test_a_connection_that_is_gone_keeps_nobody_waiting(client: Client, outbox: Outbox) -> None:
    client.open.clear()
    outbox.reply(b'{"n":0}')
    await settle()
    outbox.reply(orjson.dumps({"n": "x" * outboxes._WAITING_BYTES}))
    waiting = [
        asyncio.ensure_future(work) for work in (outbox.pass_on(b"{}"), outbox.room(), outbox.flushed())
    ]
    await settle()
    outbox.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    outbox.reply(b'{"n":1}')
    client.open.set()
    await settle()
    assert client.frames == [{"n": 0}]
