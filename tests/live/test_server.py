"""The server as an operator sees it: health, heartbeats, principals, and how it shuts down.

About `gateway/graphwire_gateway/gateway.py`, `gateway/graphwire_gateway/server.py`,
`gateway/graphwire_gateway/connections/listener.py`, `gateway/graphwire_gateway/limits.py` and
`gateway/graphwire_gateway/connections/http.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire_gateway import CannotServe, Gateway, Limits
from graphwire_gateway.log import commit
from graphwire_gateway.runs import runs

from tests.support.graphs import Gate, counter, gated
from tests.support.log import Log
from tests.support.peer import Frame, everything, spec
from tests.support.stores import FlakyStore
from tests.support.waiting import poll, until


async def http_get(server: Any, path: str, **headers: str) -> tuple[int, str]:
    head, body = await _ask(server, "GET", path, **headers)
    return int(head.split()[1]), body


async def _ask(server: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[str, str]:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    head, _, answer = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head.decode(), answer.decode()


async def test_health_and_readiness_are_told_over_http_and_the_rest_is_not_found(serve) -> None:
    server = await serve({"counter": counter()})
    assert await http_get(server, "/healthz") == (200, "ok\n")
    assert await http_get(server, "/readyz?x=1") == (200, "ready\n")
    status, body = await http_get(server, "/nothing")
    assert status == 404
    assert "/ws" in body
    assert (await http_get(server, "/ws"))[0] == 426


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_who_takes_it_for_an_http_api_is_told_what_it_is(serve, caplog, method: str) -> None:
    server = await serve({"counter": counter()})
    body = b"x" * 1_000_000 if method != "DELETE" else b""
    head, text = await _ask(server, method, "/threads", body, **{"Content-Length": str(len(body))})
    assert head.startswith("HTTP/1.1 405 ")
    assert "\r\nAllow: GET" in head
    assert "WebSocket at /ws, not LangGraph's HTTP API" in text
    assert "graphwire.connect(...)" in text
    await server.close()
    assert [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


async def test_a_peer_that_answers_no_ping_is_dropped_and_one_that_does_is_not(serve, connect) -> None:
    server = await serve(
        {"counter": counter()}, limits={"heartbeat_s": 0.1, "send_timeout_s": 0.2, "request_burst": 10**6}
    )
    silent, other = await connect(server), await connect(server)
    silent.wire.transport.pause_reading()
    loop = asyncio.get_running_loop()
    end = loop.time() + 10
    connections = server._listener.connections
    while len(connections) == 2:
        await other.settled()
        assert loop.time() < end
    assert len(connections) == 1
    await other.settled()


async def test_another_principal_s_runs_are_indistinguishable_from_none(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)}, tokens={"a": "ann", "b": "bob", "a2": "ann"})
    ann, bob, friend = [await connect(server, token=token) for token in ("a", "b", "a2")]
    await ann.run("gated", {"count": 1}, everything(1), run="r-1")
    none = {"code": "not_found", "details": {"kind": "run"}, "retry": "never"}
    for run in ("r-1", "nobody"):
        for command in (
            {"type": "subscribe", "run": run, **spec(1, "custom")},
            {"type": "cancel", "run": run},
            {"type": "result", "run": run},
        ):
            error = await bob.ask(**command)
            assert {**error, **none} == error
            assert error["message"].replace(run, "RUN") == "no run 'RUN'"
    assert (await bob.ask(type="list", what="runs"))["runs"] == []
    # The same id is free for others, and theirs is another run.
    started = await bob.run("gated", {"count": 1}, everything(2), run="r-1")
    assert started["created"] is True
    assert (await bob.ask(type="cancel", run="r-1"))["type"] == "ok"
    assert (await bob.closed(2))[-1]["status"] == "cancelled"
    assert (await friend.ask(type="result", run="r-1"))["status"] == "running"
    gate.open()
    assert (await ann.closed(1))[-1]["status"] == "completed"
    assert [row["run"] for row in (await friend.ask(type="list", what="runs"))["runs"]] == ["r-1"]


@pytest.mark.one_process
async def test_a_drain_announces_itself_lets_runs_end_and_delivers_every_last_event(serve, connect) -> None:
    gates = {"soon": Gate(), "never": Gate()}
    server = await serve({name: gated(gate, 3, 2000) for name, gate in gates.items()})
    peer, late = await connect(server), await connect(server)
    await peer.run("soon", {"count": 1}, everything(1), run="r1")
    await peer.run("never", {"count": 1}, everything(2), run="r2")
    await late.ask(type="subscribe", run="r1", **everything(3))
    for each in (peer, late):
        await each.until(lambda frame: frame.get("data") == {"i": 2})
    draining = asyncio.create_task(server.drain(60))
    goaway = await peer.until(lambda frame: frame["type"] == "goaway")
    assert (goaway["reason"], goaway["deadline_s"]) == ("draining", 60)
    assert goaway["after_ms"] > 0
    error = await peer.run("soon", {"count": 1}, run="r3")
    assert (error["code"], error["retry"]) == ("draining", "after")
    assert (await peer.run("soon", {"count": 1}, run="r1"))["created"] is False
    assert (await http_get(server, "/readyz"))[0] == 503
    assert (await http_get(server, "/healthz"))[0] == 200
    newcomer = await connect(server)
    await newcomer.until(lambda frame: frame["type"] == "goaway")
    gates["soon"].open()
    await peer.closed(1)
    await late.closed(3)
    await server.drain(0)  # which ends the waiting for the other one
    assert await peer.gone() == 1012
    assert await late.gone() == 1012
    await draining
    for each, sub, status, reason in (
        (peer, 1, "completed", None),
        (peer, 2, "cancelled", "shutdown"),
        (late, 3, "completed", None),
    ):
        log = Log(each.events(sub))
        assert log.events[-1]["data"]["status"] == status
        assert log.events[-1]["data"].get("reason") == reason
        closed = each.of(sub)[-1]
        assert (closed["type"], closed["status"], closed["seq"]) == ("closed", status, log.head)


@pytest.mark.one_process
async def test_a_drain_delivers_a_whole_backlog_before_it_closes(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate, 9000, 1)}, limits={"request_burst": 10**6})
    peers = [await connect(server) for _ in range(4)]
    for number, peer in enumerate(peers):
        await peer.run("gated", {"count": 1}, spec(1, "custom"), run=f"r{number}")
    watcher = await connect(server)

    def are_written(reply: Frame) -> bool:
        return all(row["head"] >= 9001 for row in reply["runs"])

    await watcher.poll(are_written, type="list", what="runs")
    codes = asyncio.gather(*(peer.gone() for peer in peers))
    await server.drain(0)
    assert await codes == [1012] * 4
    for peer in peers:
        assert peer.of(1)[-1]["type"] == "closed"
        assert [event["data"].get("i") for event in peer.events(1)][1:-1] == list(range(9000))


async def test_leaving_the_context_drains_and_frees_the_port(connect) -> None:
    gate = Gate()
    gateway = Gateway({"gated": gated(gate)})
    async with gateway.serve("127.0.0.1", 0) as server:
        peer = await connect(server)
        await peer.run("gated", {"count": 1}, spec(1, "lifecycle"))
        port = server.port
    assert await peer.gone() == 1012
    assert peer.events(1)[-1]["data"]["reason"] == "shutdown"
    async with Gateway({"counter": counter()}).serve("127.0.0.1", port) as server:
        assert (await http_get(server, "/readyz"))[0] == 200


async def test_a_server_whose_store_is_away_can_still_be_closed(connect, monkeypatch) -> None:
    monkeypatch.setattr(runs, "PATIENCE_S", 0.1)
    store = FlakyStore()
    limits = Limits(cancel_grace_s=0)
    async with Gateway({"gated": gated(Gate())}, store=store, limits=limits).serve("127.0.0.1", 0) as server:
        peer = await connect(server)
        await peer.run("gated", {"count": 1}, spec(1, "custom"))
        await peer.until(lambda frame: frame.get("data") == {"i": 2})
        store.is_away = True
    assert await peer.gone() in (1012, 1001)


async def test_no_client_should_come_while_the_store_takes_nothing(connect, monkeypatch) -> None:
    store, gate = FlakyStore(), Gate()
    async with Gateway({"gated": gated(gate)}, store=store).serve("127.0.0.1", 0) as server:
        peer = await connect(server)
        await peer.run("gated", {"count": 1}, spec(1, "custom"))
        await peer.until(lambda frame: frame.get("data") == {"i": 2})
        store.is_away = True
        gate.open()
        await until(lambda: store.refused > 1)
        assert await http_get(server, "/readyz") == (200, "ready\n"), "it may be back in a moment"
        monkeypatch.setattr(commit, "AWAY_S", 0.1)
        away = await poll(lambda: http_get(server, "/readyz"), lambda answer: answer[0] != 200)
        assert away[-1] == (503, "the store is away\n")
        assert await http_get(server, "/healthz") == (200, "ok\n")
        store.is_away = False
        await peer.closed(1)
        monkeypatch.setattr(commit, "AWAY_S", 1e-9)
        await poll(lambda: http_get(server, "/readyz"), lambda answer: answer == (200, "ready\n"))


@pytest.mark.one_process
async def test_a_port_in_use_is_said_in_a_sentence(serve) -> None:
    server = await serve({"counter": counter()})
    with pytest.raises(CannotServe, match=f"cannot listen on 127.0.0.1:{server.port}: .*--port"):
        async with Gateway({"counter": counter()}).serve("127.0.0.1", server.port):
            raise AssertionError


async def test_other_addresses_need_authentication_or_insecure(connect) -> None:
    with pytest.raises(CannotServe, match="--insecure"):
        async with Gateway({"counter": counter()}).serve("0.0.0.0", 0):
            raise AssertionError
    async with Gateway({"counter": counter()}, insecure=True).serve("0.0.0.0", 0) as server:
        peer = await connect(server.url.replace("0.0.0.0", "127.0.0.1"))
        await peer.settled()
    async with Gateway({"counter": counter()}, tokens={"t": "ann"}).serve("0.0.0.0", 0) as server:
        peer = await connect(server.url.replace("0.0.0.0", "127.0.0.1"), token="t")
        await peer.settled()


async def test_an_unknown_store_is_said_in_a_sentence() -> None:
    with pytest.raises(CannotServe, match="'mysql' is not known"):
        async with Gateway({"counter": counter()}, store="mysql://x").serve("127.0.0.1", 0):
            raise AssertionError


async def test_limits_may_be_given_as_a_mapping_and_a_limit_that_is_none_is_named(connect) -> None:
    async with Gateway({"counter": counter()}, limits={"max_connections": 7}).serve(port=0) as server:
        peer = await connect(server, hello=False)
        welcome = await peer.ask(type="hello")
        assert welcome["limits"]["max_connections"] == 7
    with pytest.raises(ValueError, match="max_conections"):
        Gateway({"counter": counter()}, limits={"max_conections": 7})
