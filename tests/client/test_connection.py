"""The connection: opened, lost, made again, closed for good.

About `clients/python/graphwire/reconnector.py`, `clients/python/graphwire/exchange.py` and
`clients/python/graphwire/backoff.py`.

Long because each way in which a connection can be lost, refused or made again is tried in one place.
"""

import asyncio
import ssl
from typing import Any

import graphwire
import pytest
from graphwire import exchange
from graphwire.transport import NotOpened
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Hello, Subscribe
from graphwire_protocol.commands import Run as RunCommand

from tests.support.model_server import ModelServer, impatient, settle


def connect(server: ModelServer, **more: Any) -> graphwire.Client:
    more.setdefault("backoff", impatient())
    return graphwire.connect("ws://model/ws", open=server.open, **more)


async def test_a_first_connection_that_fails_says_where_and_why(server):
    server.unreachable = NotOpened("connection refused; is the server running?")
    with pytest.raises(graphwire.CannotConnect, match="ws://model/ws: connection refused"):
        async with connect(server):
            pass


async def test_the_states_of_a_connection_are_told(server):
    states: list[str] = []
    async with connect(server, on_state=states.append) as client:
        assert client.connection_state == "connected"
        server.cut()
        await settle()
        assert client.connection_state == "connected"
    assert states == ["connecting", "connected", "waiting", "connecting", "connected", "closed"]


async def test_a_token_travels_in_the_first_frame(server):
    server.tokens = {"secret"}
    async with connect(server, token="secret") as client:
        assert client.server is not None
        assert client.server.principal == "me"
    assert server.of(Hello)[0].token == "secret"


async def test_a_wrong_token_is_unauthenticated_and_not_tried_again(server, caplog):
    server.tokens = {"secret"}
    with pytest.raises(graphwire.Unauthenticated, match="not known"):
        async with connect(server, token="guess"):
            pass
    assert len(server.connections) == 1
    assert not caplog.records, "the exception says it"


async def test_a_callable_is_asked_for_a_fresh_token_once_when_one_is_refused(server):
    server.tokens = {"fresh"}
    tokens = iter(["stale", "fresh"])

    async def token() -> str:
        return next(tokens)

    async with connect(server, token=token) as client:
        assert client.connection_state == "connected"
    assert [hello.token for hello in server.of(Hello)] == ["stale", "fresh"]


async def test_two_refused_tokens_in_a_row_are_enough(server):
    server.tokens = set()
    with pytest.raises(graphwire.Unauthenticated):
        async with connect(server, token=lambda: "stale"):
            pass
    assert len(server.connections) == 2


async def test_an_expired_token_surfaces_at_every_loop_and_every_wait(server):
    async with connect(server, token="old") as client:
        run = await client.run("joke")
        server.mute = {"list"}
        asking = asyncio.ensure_future(client.graphs())
        await settle()
        server.connection.end(4401, "the token expired")
        with pytest.raises(graphwire.Unauthenticated, match="expired"):
            await asking
        with pytest.raises(graphwire.Unauthenticated, match="expired"):
            async for _ in run:
                pass
        with pytest.raises(graphwire.Unauthenticated):
            await client.run("joke")
        assert client.connection_state == "closed"


@pytest.mark.parametrize("code", [1000, 4400, 4403])
async def test_some_closes_are_for_good(server, code):
    async with connect(server) as client:
        run = await client.run("joke")
        server.connection.end(code, "enough")
        with pytest.raises(graphwire.ConnectionClosed, match="enough") as raised:
            async for _ in run:
                pass
        assert raised.value.code == code
        assert len(server.connections) == 1


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 4408, 4429])
async def test_other_closes_are_followed_by_a_new_connection(server, code):
    async with connect(server) as client:
        server.connection.end(code)
        assert await client.graphs()
        assert len(server.connections) == 2


async def test_attempts_go_on_until_the_server_is_back(server):
    async with connect(server) as client:
        server.unreachable = NotOpened("connection refused")
        server.cut()
        for _ in range(5):
            await settle()
        asking = asyncio.ensure_future(client.graphs())
        await settle()
        assert not asking.done()
        server.unreachable = None
        assert [row.name for row in await asking] == ["joke"]


async def test_the_waits_grow_and_heed_goaway(server):
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            server.unreachable = None
        await asyncio.sleep(0)

    backoff = graphwire.Backoff(first_s=1, factor=2, longest_s=100, random=lambda: 0.5, sleep=sleep)
    async with connect(server, backoff=backoff) as client:
        server.say({"type": "goaway", "reason": "restart", "deadline_s": 1, "after_ms": 7000})
        await settle()
        server.unreachable = NotOpened("connection refused")
        server.connection.end(1012)
        await client.graphs()
    assert waits == [7.5, 1.0, 2.0]


def test_a_wait_never_exceeds_the_longest_however_many_attempts_fail():
    backoff = graphwire.Backoff(random=lambda: 1.0)
    assert backoff.delay(10_000) == backoff.longest_s
    assert backoff.delay(0) == backoff.first_s


async def test_everything_unanswered_goes_out_again_in_the_first_flight(server):
    async with connect(server) as client:
        run = await client.run("joke", modes=["custom"])
        server.mute = {"run"}
        starting = asyncio.ensure_future(client.run("poem", run="p1"))
        await settle()
        server.received.clear()
        server.mute = set()
        server.cut()
        await starting
        kinds = [command.type for command in server.received[:3]]
        assert kinds[0] == "hello"
        assert sorted(kinds[1:]) == ["run", "subscribe"]
        assert server.of(Subscribe)[0].run == run.id


async def test_a_failing_send_means_a_new_connection(server):
    async with connect(server) as client:
        server.sends_fail = True
        asking = asyncio.ensure_future(client.graphs())
        await settle()
        assert not asking.done()
        server.sends_fail = False
        assert await asking


async def test_a_frame_that_is_too_large_is_refused_before_it_is_sent(server):
    server.limits = {"max_frame_bytes": 1000}
    async with connect(server) as client:
        with pytest.raises(graphwire.Refused, match="max_frame_bytes") as raised:
            await client.run("joke", "x" * 2000)
        assert raised.value.code == "limit_exceeded"
        assert not server.of(RunCommand)


async def test_after_1009_only_the_large_request_fails(server):
    async with connect(server) as client:
        run = await client.run("joke", modes=["custom"])
        server.mute = {"run", "list"}
        large = asyncio.ensure_future(client.run("joke", "x" * 2000))
        small = asyncio.ensure_future(client.graphs())
        await settle()
        server.mute = set()
        server.connection.end(1009)
        with pytest.raises(graphwire.Refused, match="more than it takes"):
            await large
        assert await small
        server.runs[run.id].complete()
        assert [event.mode async for event in run] == ["lifecycle", "lifecycle"]


async def test_a_refusal_carries_what_the_server_told(server):
    server.refusals = [("run", Refusal("busy", "the thread has a run", after_ms=1500, details={"run": "r0"}))]
    async with connect(server) as client:
        with pytest.raises(graphwire.Refused) as raised:
            await client.run("joke")
    refused = raised.value
    assert (refused.code, refused.retry, refused.after_s, refused.details) == (
        "busy",
        "after",
        1.5,
        {"run": "r0"},
    )


async def test_a_start_whose_waiting_is_cancelled_is_not_repeated(server):
    async with connect(server) as client:
        server.mute = {"run"}
        starting = asyncio.ensure_future(client.run("joke"))
        await settle()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        server.mute = set()
        server.cut()
        await settle()
        assert len(server.of(RunCommand)) == 1
        assert not server.connection.attachments


async def test_a_server_that_talks_nonsense_is_left(server):
    async with connect(server) as client:
        run = await client.run("joke")
        server.connection.put(b'{"type": "event", "sub": "x"}')
        with pytest.raises(graphwire.ConnectionClosed, match="does not allow"):
            async for _ in run:
                pass


async def test_a_server_that_never_says_welcome_is_none(server):
    server.mute = {"hello"}
    with pytest.raises(graphwire.CannotConnect, match="no welcome"):
        async with connect(server, open_timeout=0.01):
            pass


async def test_closing_ends_every_wait_and_every_task(server):
    before = asyncio.all_tasks()
    async with connect(server) as client:
        server.mute = {"list"}
        asking = asyncio.ensure_future(client.graphs())
        run = await client.run("joke")
        events = run.__aiter__()
        await events.__anext__()
        waiting = asyncio.ensure_future(events.__anext__())
        await settle()
    for task in (asking, waiting):
        with pytest.raises(graphwire.ConnectionClosed, match="closed"):
            await task
    assert asyncio.all_tasks() == before


async def test_a_client_that_was_not_opened_says_so():
    with pytest.raises(RuntimeError, match="async with"):
        await graphwire.connect().graphs()


def raise_when(state: str, error: BaseException) -> Any:
    def page_gone(new: str) -> None:
        if new == state:
            raise error

    return page_gone


@pytest.mark.parametrize("state", ["connecting", "connected", "waiting", "closed"])
@pytest.mark.parametrize("error", [RuntimeError("the page is gone"), asyncio.CancelledError()])
async def test_what_on_state_raises_is_logged_by_its_name_and_ends_nothing(server, caplog, state, error):
    async with connect(server, on_state=raise_when(state, error)) as client:
        run = await client.run("joke")
        server.cut()
        await settle()
        server.runs[run.id].complete({"joke": "Why"})
        assert await run.result() == {"joke": "Why"}
    (first, *_) = caplog.records
    assert f"page_gone raised at {state!r}" in first.message
    assert first.exc_info is not None


class Tokens:
    """Returns a token once, then does what a test says."""

    def __init__(self, failure: Any) -> None:
        self.failure = failure
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.failure() if self.calls == 2 else "t"


async def cancelled() -> str:
    raise asyncio.CancelledError


def raised() -> str:
    raise OSError("no key ring")


@pytest.mark.parametrize(
    ("failure", "logged"),
    [
        (raised, "the callback token=Tokens raised"),
        (cancelled, "the callback token=Tokens raised"),
        (lambda: 7, "the token callable Tokens returned int, not a string"),
    ],
)
async def test_a_token_callable_that_fails_between_connections_is_asked_again(
    server, caplog, failure, logged
):
    tokens = Tokens(failure)
    async with connect(server, token=tokens) as client:
        run = await client.run("joke")
        server.cut()
        await settle()
        assert (client.connection_state, tokens.calls) == ("connected", 3)
        server.runs[run.id].complete({"joke": "Why"})
        assert await run.result() == {"joke": "Why"}
    assert logged in caplog.text


async def test_closing_while_a_token_is_awaited_ends_at_once(server):
    waiting, left = asyncio.Event(), asyncio.Event()

    async def never() -> str:
        waiting.set()
        try:
            await asyncio.sleep(3600)
        finally:
            left.set()
        return "t"

    client = connect(server, token=never)
    opening = asyncio.ensure_future(client.open())
    await waiting.wait()
    opening.cancel()
    await asyncio.wait({opening}, timeout=1)
    assert opening.cancelled()
    await asyncio.wait_for(left.wait(), 1)


async def test_a_token_callable_that_raises_is_named(server):
    def token() -> str:
        raise OSError("no key ring")

    with pytest.raises(graphwire.CannotConnect, match=r"token callable .* raised OSError: no key ring"):
        async with connect(server, token=token):
            pass


async def test_a_subscription_whose_caller_is_cancelled_as_its_reply_comes_is_given_up(server, monkeypatch):
    run = server.run("r")
    async with connect(server) as client:
        ask = client._exchange._ask

        async def asked(*args: Any) -> Any:
            await ask(*args)
            raise asyncio.CancelledError

        monkeypatch.setattr(client._exchange, "_ask", asked)
        with pytest.raises(asyncio.CancelledError):
            await client.attach(run.id)
        await settle()
        assert [type(frame).__name__ for frame in server.received][-1] == "Unsubscribe"


# ── a server that is not up yet ──────────────────────────────────────────────────────────────────


async def test_a_client_waits_for_a_server_that_is_not_up_yet(server):
    server.unreachable = NotOpened("connection refused")
    opening = asyncio.ensure_future(connect(server, wait=60).__aenter__())
    await settle()
    assert not opening.done()
    server.unreachable = None
    client = await asyncio.wait_for(opening, 5)
    assert client.connection_state == "connected"
    await client.close()


async def test_a_server_that_turns_away_before_its_welcome_is_tried_again(server):
    server.mute = {"hello"}
    opening = asyncio.ensure_future(connect(server, wait=60).__aenter__())
    await settle()
    server.mute = set()
    server.connection.end(1013, "not now")
    client = await asyncio.wait_for(opening, 5)
    assert (client.connection_state, len(server.connections)) == ("connected", 2)
    await client.close()


async def test_waiting_for_a_server_ends(server):
    server.unreachable = NotOpened("connection refused")
    began = asyncio.get_running_loop().time()
    with pytest.raises(graphwire.CannotConnect, match="connection refused"):
        await asyncio.wait_for(connect(server, wait=0.05).open(), 5)
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_a_wait_between_two_attempts_is_no_longer_than_what_is_left(server):
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(seconds)

    server.unreachable = NotOpened("connection refused")
    patient = graphwire.Backoff(first_s=30, longest_s=30, random=lambda: 1.0, sleep=sleep)
    with pytest.raises(graphwire.CannotConnect):
        await asyncio.wait_for(connect(server, wait=0.05, backoff=patient).open(), 5)
    assert 0 < waits[0] <= 0.05


async def test_what_waiting_cannot_mend_is_raised_at_once(server):
    server.unreachable = NotOpened("not a WebSocket address", is_final=True)
    with pytest.raises(graphwire.CannotConnect):
        await asyncio.wait_for(connect(server, wait=60).open(), 5)
    server.unreachable = None
    server.tokens = {"secret"}
    with pytest.raises(graphwire.Unauthenticated):
        await asyncio.wait_for(connect(server, wait=60, token="guess").open(), 5)


@pytest.mark.parametrize(
    ("arguments", "named"), [({"wait": -1}, "wait"), ({"ssl": ssl.create_default_context()}, "wss://")]
)
def test_an_argument_that_cannot_work_is_refused(server, arguments, named):
    with pytest.raises(ValueError, match=named):
        connect(server, **arguments)


# ── too many requests ────────────────────────────────────────────────────────────────────────────


def slow_down(kind: str, times: int, after_ms: int = 1) -> list[tuple[str, Refusal]]:
    return [(kind, Refusal("rate_limited", "slowly", after_ms=after_ms)) for _ in range(times)]


async def test_a_request_that_came_too_soon_is_sent_again(server):
    async with connect(server) as client:
        server.refusals = [*slow_down("list", 3), *slow_down("run", 2), *slow_down("cancel", 1)]
        assert [row.name for row in await client.graphs()] == ["joke"]
        run = await client.run("joke", modes=["custom"])
        server.runs[run.id].emit("custom", 1)
        await run.cancel()
        assert [event.data async for event in run if event.mode == "custom"] == [1]
    assert not server.refusals
    assert len(server.of(RunCommand)) == 3


async def test_a_request_is_not_sent_again_for_ever(server, monkeypatch):
    async with connect(server) as client:
        server.refusals = slow_down("list", 1, after_ms=60_000)
        with pytest.raises(graphwire.Refused, match="slowly") as raised:
            await client.graphs()
        assert raised.value.after_s == 60
        monkeypatch.setattr(exchange, "_PATIENCE_S", 0.05)
        server.refusals = slow_down("list", 100, after_ms=20)
        with pytest.raises(graphwire.Refused, match="slowly"):
            await client.graphs()
        assert 96 <= len(server.refusals) <= 98


async def test_another_refusal_is_raised_at_once(server):
    async with connect(server) as client:
        server.refusals = [("list", Refusal("limit_exceeded", "full", after_ms=1))]
        with pytest.raises(graphwire.Refused, match="full"):
            await client.graphs()
