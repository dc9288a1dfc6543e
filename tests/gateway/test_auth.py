"""Who is let in, and from where."""

import hmac

import pytest
from graphwire_gateway.auth import ANONYMOUS, Origins, Tokens, is_loopback
from graphwire_protocol.errors import Refusal


def test_without_tokens_everybody_is_anonymous_whatever_they_bring() -> None:
    tokens = Tokens()
    assert not tokens
    assert tokens.principal(None) == tokens.principal("x") == ANONYMOUS


def test_a_token_stands_for_its_principal_and_nothing_near_it_does() -> None:
    tokens = Tokens({"s3cret": "ann", "ünïcode": "bob"})
    assert tokens
    assert tokens.principal("s3cret") == "ann"
    assert tokens.principal("ünïcode") == "bob"
    for wrong in (None, "", "s3cre", "s3cret ", "S3CRET", "ann", "s3cretünïcode"):
        with pytest.raises(Refusal) as caught:
            tokens.principal(wrong)
        assert (caught.value.code, caught.value.close) == ("unauthenticated", 4401)
        assert not wrong or wrong not in caught.value.message


def test_every_token_is_compared_so_that_time_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    tokens = Tokens({"a": "ann", "b": "bob", "c": "cid"})
    assert tokens.principal("a") == "ann"
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


def test_a_server_on_the_open_net_allows_no_origin_that_it_was_not_told() -> None:
    closed = Origins(None, loopback=False)
    assert not closed.admits("http://localhost")
    assert not closed.admits("https://app.example")
    told = Origins(["https://app.example/"], loopback=False)
    assert told.admits("https://app.example")
    assert not told.admits("http://app.example")
    assert not told.admits("https://app.example:8443")
