"""A URL holds no token.

About `protocol/graphwire_protocol/url.py`.
"""

import pytest
from graphwire_protocol.url import TOKEN_IN_URL, holds_token


@pytest.mark.parametrize(
    "url",
    [
        "/ws?token=s3cret",
        "/ws?token",
        "/ws?a=1&access_token=s3cret",
        "/ws?a=1;jwt=s3cret",
        "/ws?ACCESS%5FTOKEN=s3cret",
        "/ws?api-key=s3cret",
        "/ws?key=s3cret",
        "/ws?authorization=Bearer+x",
        "wss://host/ws?password=x",
        "wss://ann:s3cret@host/ws",
        "wss://s3cret@host:8765/ws",
    ],
)
def test_a_token_in_a_url_is_found(url: str) -> None:
    assert holds_token(url)


@pytest.mark.parametrize(
    "url",
    ["/ws", "/ws?", "/ws?page=token", "/ws?monkey=1&x=@", "ws://127.0.0.1:8765/ws", "ws://h/ws?a=b@c", "//x"],
)
def test_other_urls_are_left_alone(url: str) -> None:
    assert not holds_token(url)


def test_the_answer_fits_into_a_close_frame() -> None:
    assert len(TOKEN_IN_URL.encode()) <= 123
