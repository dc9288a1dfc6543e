"""Which clients are accepted, and which web pages.

About `gateway/graphwire_gateway/connections/auth.py` and
`gateway/graphwire_gateway/connections/langgraph_auth.py`.
"""

import asyncio
import hmac
import threading
from typing import Any

import pytest
from graphwire_gateway import CannotServe, Gateway
from graphwire_gateway.connections import langgraph_auth
from graphwire_gateway.connections.auth import ANONYMOUS, Origins, Tokens, is_loopback, own_page
from graphwire_gateway.connections.langgraph_auth import Authenticated
from graphwire_protocol.errors import Refusal
from langgraph_sdk import Auth


async def test_without_tokens_every_client_is_anonymous_whatever_it_presents() -> None:
    tokens = Tokens()
    assert not tokens
    assert await tokens.principal(None) == await tokens.principal("x") == ANONYMOUS


async def test_a_token_stands_for_its_principal_and_nothing_near_it_does() -> None:
    tokens = Tokens({"s3cret": "ann", "ünïcode": "bob"})
    assert tokens
    assert await tokens.principal("s3cret") == "ann"
    assert await tokens.principal("ünïcode") == "bob"
    for wrong in (None, "", "s3cre", "s3cret ", "S3CRET", "ann", "s3cretünïcode"):
        with pytest.raises(Refusal) as caught:
            await tokens.principal(wrong)
        assert (caught.value.code, caught.value.close) == ("unauthenticated", 4401)
        assert not wrong or wrong not in caught.value.message


async def test_every_token_is_compared_so_that_the_time_taken_reveals_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[bytes] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    tokens = Tokens({"a": "ann", "b": "bob", "c": "cid"})
    assert await tokens.principal("a") == "ann"
    assert compared == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_is_this_machine_alone(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_server_on_the_open_net_allows_no_origin_that_is_not_listed() -> None:
    closed = Origins(None, loopback=False)
    assert not closed.admits("http://localhost")
    assert not closed.admits("https://app.example")
    origins = Origins(["https://app.example/"], loopback=False)
    assert origins.admits("https://app.example")
    assert not origins.admits("http://app.example")
    assert not origins.admits("https://app.example:8443")


@pytest.mark.parametrize("given", [{"allowed": ["https://app.example"]}, {"pattern": "https://app.example"}])
def test_a_loopback_server_admits_its_own_machine_whatever_else_it_admits(given: dict[str, Any]) -> None:
    origins = Origins(given.get("allowed"), loopback=True, pattern=given.get("pattern"))
    for origin in ("https://app.example", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:5173"):
        assert origins.admits(origin), origin
    for origin in ("https://evil.example", "http://localhost.evil.example", "null", "http://[::"):
        assert not origins.admits(origin), origin


def test_an_empty_list_admits_no_page_at_all() -> None:
    assert not Origins([], loopback=True).admits("http://localhost")


HOST = "graphs.example:8765"


@pytest.mark.parametrize(
    ("origin", "host", "any", "proven"),
    [
        ("http://graphs.example:8765", HOST, True, False),
        ("http://graphs.example:8765", HOST.upper(), True, False),
        ("https://graphs.example", "graphs.example", True, True),
        ("https://graphs.example", "graphs.example:443", True, True),
        ("http://graphs.example", "graphs.example:80", True, False),
        ("http://192.168.1.5:8765", "192.168.1.5:8765", True, True),
        ("http://[fe80::1]:8765", "[fe80::1]:8765", True, True),
        ("http://localhost:8765", "localhost:8765", True, True),
        ("http://graphs.example:3000", HOST, False, False),
        ("http://graphs.example", HOST, False, False),
        ("https://graphs.example", "graphs.example:80", False, False),
        ("https://evil.example", "graphs.example", False, False),
        ("https://evil.example", "evil.example.graphs.example", False, False),
        ("https://graphs.example@evil.example", "graphs.example@evil.example", False, False),
        ("http://graphs.example:8765", None, False, False),
        ("null", "null", False, False),
        ("http://", "", False, False),
    ],
)
def test_the_page_of_the_server_s_own_address_is_the_one_whose_origin_is_the_host(
    origin: str, host: str | None, any: bool, proven: bool
) -> None:
    assert Origins(None, loopback=False, own="any").admits(origin, host) is any
    assert Origins(None, loopback=False, own="proven").admits(origin, host) is proven
    for closed in (Origins(None, loopback=False), Origins([], loopback=False, own="any")):
        assert not closed.admits(origin, host)


def test_a_name_is_trusted_only_where_a_stranger_s_page_could_do_nothing_with_it() -> None:
    auth = Auth()

    @auth.authenticate
    async def accept(authorization: str | None) -> str:  # also a client without a token
        return "anybody"

    function = Authenticated(auth, "test")
    tokens = Tokens({"a-long-token-of-ann": "ann"})
    assert own_page(Tokens(), is_loopback=True) is None
    assert own_page(Tokens(), is_loopback=False) == "proven"
    assert own_page(tokens, is_loopback=True) == own_page(tokens, is_loopback=False) == "any"
    assert own_page(function, is_loopback=True) == "proven"
    assert own_page(function, is_loopback=False) == "any"


def test_a_pattern_admits_the_origins_that_it_matches_whole() -> None:
    origins = Origins(["https://other.example"], loopback=True, pattern=r"https://.*\.app\.example")
    assert origins.admits("https://other.example")
    assert origins.admits("https://a.app.example")
    assert not origins.admits("https://a.app.example.evil.org")
    alone = Origins(None, loopback=False, pattern="https://a")
    assert alone.admits("https://a")
    assert not alone.admits("http://localhost")
    with pytest.raises(CannotServe, match=r"allowed_origin_regex '\(' is not a regular expression"):
        Origins(None, loopback=True, pattern="(")


def test_what_only_resembles_an_origin_is_admitted_by_no_pattern_and_as_no_loopback() -> None:
    origins = Origins(None, loopback=True, pattern=r"https://.*\.app\.example")
    for origin in (
        "https://evil.com/.app.example",
        "https://evil.com?.app.example",
        "https://evil.com#.app.example",
        "https://evil.com\\.app.example",
        "https://user@a.app.example",
        "https://a.app.example\n",
        "http://evil.com\\@localhost",
        "//localhost",
        "localhost",
        "http://localhost:port",
        "http://localhost/",
        "",
    ):
        assert not origins.admits(origin), origin


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_an_empty_token_stops_the_start(token: str) -> None:
    with pytest.raises(CannotServe, match="the token of 'ann' is empty"):
        Tokens({"s3cret": "bob", token: "ann"})


# ── LangGraph's custom authentication ────────────────────────────────────────────────────────────


def asking(function: Any, **options: Any) -> Authenticated:
    auth = Auth()
    auth.authenticate(function)
    return Authenticated(auth, "auth.py:auth", **options)


async def test_the_function_is_given_what_it_asks_for_by_name() -> None:
    seen: dict[str, Any] = {}

    async def everything(
        authorization: str | None,
        headers: dict[bytes, bytes],
        method: str,
        path: str,
        path_params: dict[str, str],
        query_params: dict[str, str],
        other: int = 3,
    ) -> str:
        seen.update(authorization=authorization, headers=headers, method=method, path=path)
        return "ann"

    tokens = asking(everything)
    assert tokens
    assert await tokens.principal("s3cret") == "ann"
    assert seen == {
        "authorization": "Bearer s3cret",
        "headers": {b"authorization": b"Bearer s3cret"},
        "method": "GET",
        "path": "/ws",
    }
    await tokens.principal(None)
    assert (seen["authorization"], seen["headers"]) == (None, {})


class Person:
    identity = "cid"


@pytest.mark.parametrize(
    ("answer", "principal"),
    [("ann", "ann"), ({"identity": "bob", "permissions": []}, "bob"), (Person(), "cid")],
)
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_user_may_be_a_text_a_mapping_or_an_object(answer: Any, principal: str, kind: str) -> None:
    async def later(authorization: str) -> Any:
        return answer

    def plain(authorization: str) -> Any:
        return answer

    assert await asking(later if kind == "async" else plain).principal("t") == principal


def _raises(error: BaseException) -> Any:
    async def authenticate(authorization: str) -> str:
        raise error

    return authenticate


def _answers(answer: Any) -> Any:
    async def authenticate(authorization: str) -> Any:
        return answer

    return authenticate


@pytest.mark.parametrize(
    "function",
    [
        _raises(Auth.exceptions.HTTPException(status_code=401, detail="hush hush")),
        _raises(Auth.exceptions.HTTPException(status_code=500, detail="hush hush")),
        _raises(ConnectionError("hush hush: the database is away")),
        _answers(None),
        _answers(""),
        _answers({}),
        _answers({"identity": 7}),
        _answers({"identity": "ann", "is_authenticated": False}),
        _answers(object()),
    ],
)
async def test_a_client_that_is_not_identified_is_refused_and_learns_nothing(function: Any) -> None:
    with pytest.raises(Refusal) as caught:
        await asking(function).principal("t0ken")
    assert (caught.value.code, caught.value.close) == ("unauthenticated", 4401)
    assert caught.value.message == "the token is not accepted"


async def test_a_function_that_never_answers_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def authenticate() -> str:
        await asyncio.Event().wait()
        return "ann"

    monkeypatch.setattr(langgraph_auth, "ANSWER_S", 0.01)
    with pytest.raises(Refusal, match="this server needs a token"):
        await asyncio.wait_for(asking(authenticate).principal(None), 10)


class Unanswerable(Exception):
    """Exits when it is asked whether it refuses."""

    @property
    def status_code(self) -> int:
        raise SystemExit(3)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        GeneratorExit(),
        StopIteration(),
        BaseException("own"),
        Unanswerable(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_function_that_raises_to_end_more_than_itself_refuses(
    error: BaseException, is_async: bool
) -> None:
    def plain() -> str:
        raise error

    tokens = asking(_raises(error) if is_async else plain)
    with pytest.raises(Refusal, match="the token is not accepted"):
        await asyncio.wait_for(tokens.principal("t"), 10)


async def test_functions_that_hang_in_threads_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def authenticate(authorization: str) -> str:
        if authorization == "Bearer slow":
            release.wait(20)
        return "ann"

    tokens = asking(authenticate)
    hanging = [asyncio.ensure_future(tokens.principal("slow")) for _ in range(40)]
    try:
        await asyncio.sleep(0)
        assert await asyncio.wait_for(tokens.principal("quick"), 5) == "ann"
    finally:
        release.set()
    assert await asyncio.gather(*hanging) == ["ann"] * 40


async def test_a_client_that_leaves_while_it_is_asked_for_is_asked_for_no_longer() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def authenticate() -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "ann"

    task = asyncio.ensure_future(asking(authenticate).principal("t"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 5)


def test_an_auth_that_cannot_identify_clients_is_refused_at_the_start() -> None:
    with pytest.raises(CannotServe, match=r"auth: here has no @auth\.authenticate function"):
        Authenticated(Auth(), "here")
    with pytest.raises(CannotServe, match=r"auth: here is not a langgraph_sdk\.Auth"):
        Authenticated({}, "here")

    async def wants(request: Any) -> str:
        return "ann"

    with pytest.raises(CannotServe, match=r"takes 'request', which a WebSocket's hello does not have"):
        asking(wants)
    with pytest.raises(CannotServe, match="only one of them"):
        Gateway({}, tokens={"a": "b"}, auth=Auth())


async def test_authorization_that_is_not_honoured_is_not_passed_over_in_silence() -> None:
    auth = Auth()
    auth.authenticate(_answers("ann"))

    @auth.on.threads.create
    async def mine(ctx: Any, value: Any) -> bool:
        return False

    with pytest.raises(CannotServe, match=r"@auth\.on: threads\.create\).*ignore_authorization = true"):
        Authenticated(auth, "here")

    @auth.on
    async def nobody(ctx: Any, value: Any) -> bool:
        return False

    with pytest.raises(CannotServe, match=r"@auth\.on: everything, threads\.create\)"):
        Authenticated(auth, "here")
    assert await Authenticated(auth, "here", ignore_authorization=True).principal("t") == "ann"
