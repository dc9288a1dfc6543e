"""A configuration that lets strangers in does not start, or is named in the log.

About `gateway/graphwire_gateway/connections/openings.py`.
"""

import pytest
from graphwire_gateway import CannotServe
from graphwire_gateway.connections.openings import (
    check_origins,
    check_start,
    check_tokens,
    open_behind_a_proxy,
)

LONG = "x" * 16


def start(host: str, **given: bool) -> None:
    check_start(host, **{"is_loopback": False, "has_authentication": False, "insecure": False, **given})


def test_an_open_address_needs_authentication_or_insecure_which_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start("127.0.0.1", is_loopback=True)
    start("0.0.0.0", has_authentication=True)
    with pytest.raises(CannotServe, match=r"0\.0\.0\.0 is not a loopback address .*--insecure"):
        start("0.0.0.0")
    assert not caplog.text
    start("0.0.0.0", insecure=True)
    assert "anybody who reaches this server can run its graphs" in caplog.text


@pytest.mark.parametrize(
    "token", ["${TOKEN}", "$TOKEN", " ${TOKEN}\n", "$(cat token)", "%TOKEN%", "{{ token }}"]
)
def test_a_variable_that_nothing_replaces_is_no_token(token: str) -> None:
    with pytest.raises(CannotServe, match=r"the token of 'ann' is the text .* in which nothing is replaced"):
        check_tokens({LONG: "bob", token: "ann"})


def test_short_tokens_are_named_by_their_principals(caplog: pytest.LogCaptureFixture) -> None:
    check_tokens({LONG: "bob"})
    assert not caplog.text
    check_tokens({LONG: "bob", "hunter2": "ann"})
    assert "tokens of fewer than 16 characters can be guessed" in caplog.text
    assert "principals=ann" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "pattern",
    [
        *(".*", r"https?://.*", r"https://.*", r"https://[^/]+"),
        r"https://.*app\.example",
        r"https://.*\.app.example",
        r"https://(app\.example|other\.example).*",
        r"https://app\.example[^/]*",
    ],
)
def test_a_pattern_that_admits_strangers_is_named(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    check_origins(None, pattern, has_authentication=True)
    assert "admits pages of strangers" in caplog.text
    assert pattern in caplog.text


@pytest.mark.parametrize(
    "pattern",
    [
        r"https://.*\.app\.example",
        r"https://(.*\.)?app\.example(:\d+)?",
        r"https://preview-[a-z0-9]+\.vercel\.app",
        r"http://localhost:\d+",
    ],
)
def test_a_pattern_with_a_domain_is_not_named(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    check_origins(["https://app.example"], pattern, has_authentication=False)
    assert not caplog.text


def test_all_origins_without_tokens_and_pages_without_origin_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_origins(["*"], None, has_authentication=True)
    assert not caplog.text
    check_origins(["*"], None, has_authentication=False)
    assert "any page that somebody visits on this machine can run these graphs" in caplog.text
    check_origins(["null"], None, has_authentication=True)
    assert "admits 'null'" in caplog.text


def test_what_a_proxy_opens_is_listed_with_the_settings_that_close_it() -> None:
    assert open_behind_a_proxy(has_authentication=True, exposes_errors=False) == []
    both = open_behind_a_proxy(has_authentication=False, exposes_errors=True)
    assert [line for line in both if "(set [" in line] == both
    assert len(both) == 2


def test_a_console_that_no_page_may_connect_from_is_named(caplog: pytest.LogCaptureFixture) -> None:
    for allowed, has_console in ((None, True), (["https://app.example"], True), ([], False)):
        check_origins(allowed, None, has_authentication=True, has_console=has_console)
    assert not caplog.text
    check_origins([], None, has_authentication=True, has_console=True)
    assert "the console is served and cannot connect: allowed_origins is empty" in caplog.text
