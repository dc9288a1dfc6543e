"""HTTP requests beside the socket are answered; a handshake goes through if origin and subprotocol fit.

About `gateway/graphwire_gateway/connections/http.py`.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from graphwire_gateway.connections.auth import Origins
from graphwire_gateway.connections.http import PATH, Handshake, not_allowed
from graphwire_protocol.version import SUBPROTOCOLS
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

OURS = SUBPROTOCOLS[0]


def answer(path: str, *headers: tuple[str, str], hindrance: str = "") -> tuple[int, str] | None:
    """Return status and text of the answer to a request, None for a handshake that goes through."""
    connection: Any = SimpleNamespace(
        respond=lambda status, text: (status.value, text),
        remote_address=("h", 1),
        transport=SimpleNamespace(get_extra_info=lambda _: None),
    )
    handshake = Handshake(Origins(["https://app.example"], loopback=True), lambda: hindrance)
    response: Any = handshake(connection, Request(path, Headers(headers)))
    return response


def upgrade(*headers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Upgrade", "websocket"), *headers)


def test_health_does_not_depend_on_readiness() -> None:
    assert answer("/healthz", hindrance="draining") == (200, "ok\n")
    assert answer("/readyz") == (200, "ready\n")
    assert answer("/readyz?verbose=1", hindrance="draining") == (503, "draining\n")


def test_another_path_is_not_found_and_says_where_to_connect() -> None:
    for path in ("/", "/wss", "/ws/", "/threads"):
        found = answer(path)
        assert found is not None
        assert found[0] == 404
        assert PATH in found[1]


@pytest.mark.parametrize(
    "offered", [[OURS], [f"chat, {OURS}"], ["chat", OURS], [f"  {OURS} ,chat"]], ids=", ".join
)
def test_a_handshake_that_offers_our_subprotocol_goes_through(offered: list[str]) -> None:
    headers = upgrade(*(("Sec-WebSocket-Protocol", value) for value in offered))
    assert answer(PATH, *headers) is None
    assert answer(f"{PATH}?page=1", ("Origin", "https://app.example"), *headers) is None


@pytest.mark.parametrize("offered", [[], ["chat"], [OURS.upper()], [OURS + "x"]])
def test_a_handshake_without_it_learns_its_name(offered: list[str]) -> None:
    found = answer(PATH, *upgrade(*(("Sec-WebSocket-Protocol", value) for value in offered)))
    assert found is not None
    assert found[0] == 400
    assert OURS in found[1]


def test_each_origin_of_a_handshake_has_to_be_admitted() -> None:
    good, bad = ("Origin", "https://app.example"), ("Origin", "https://evil.example")
    protocol = ("Sec-WebSocket-Protocol", OURS)
    for origins in ((bad,), (good, bad), (bad, good)):
        found = answer(PATH, *origins)
        assert found is not None
        assert found[0] == 403
        assert "allowed_origins" in found[1]
        handshake = Handshake(Origins(["https://app.example"], loopback=True), lambda: "")
        assert handshake.forbids(Request(PATH, Headers((*origins, *upgrade(protocol)))))
        assert answer(PATH, *origins, *upgrade(protocol)) is None, "it is closed with a code that a page sees"
    assert not handshake.forbids(Request(PATH, Headers((good, *upgrade(protocol)))))


def test_another_method_is_answered_with_what_this_server_is() -> None:
    response = not_allowed(ServerProtocol())
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET"
    assert b"graphwire.connect" in bytes(response.body)


@pytest.mark.parametrize("query", ["token=s3cret", "a=1&access_token=s3cret"])
def test_a_token_in_the_url_is_refused_aloud_and_never_logged(
    query: str, caplog: pytest.LogCaptureFixture
) -> None:
    protocol = ("Sec-WebSocket-Protocol", OURS)
    found = answer(f"{PATH}?{query}", *upgrade(protocol))
    assert found is not None
    assert found[0] == 400
    assert "option token of connect()" in found[1]
    page = (*upgrade(protocol), ("Origin", "http://localhost:3000"))
    assert answer(f"{PATH}?{query}", *page) is None, "a page sees a close code, and not an HTTP status"
    handshake = Handshake(Origins(None, loopback=True), lambda: "")
    code, reason = handshake.refusal(Request(f"{PATH}?{query}", Headers(page))) or (0, "")
    assert code == 4401
    assert "option token of connect()" in reason
    assert len(caplog.records) == 2
    assert "s3cret" not in caplog.text + found[1] + reason


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "x-forwarded-proto", "Via", "X-Real-IP"])
def test_the_first_request_through_a_proxy_names_what_is_open(
    header: str, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = Handshake(Origins(None, loopback=True), lambda: "", ["this is open (set [x] y)"])
    connection: Any = SimpleNamespace(
        respond=lambda *_: None,
        remote_address=("h", 1),
        transport=SimpleNamespace(get_extra_info=lambda _: None),
    )
    handshake(connection, Request("/healthz", Headers([("Host", "x")])))
    assert not caplog.text
    for _ in range(2):
        handshake(connection, Request(PATH, Headers([(header, "s3cret")])))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "this is open (set [x] y)" in record.getMessage()
    assert vars(record)["fields"] == {"headers": header.lower()}


def test_a_refused_origin_is_logged_with_its_peer(caplog: pytest.LogCaptureFixture) -> None:
    assert answer("/ws", ("Origin", "https://evil.example")) is not None
    (record,) = caplog.records
    assert (record.levelname, vars(record)["event"]) == ("WARNING", "refused an origin")
    assert vars(record)["fields"]["peer"] == ("h", 1)
    assert vars(record)["fields"]["origin"] == "https://evil.example"
