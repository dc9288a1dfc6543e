"""The console's files are answered as browsers want them, and no path leads out of them.

About `gateway/graphwire_gateway/connections/console_files.py` and
`gateway/graphwire_gateway/connections/http.py`.
"""

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from graphwire_gateway.connections import http
from graphwire_gateway.connections.auth import Origins
from graphwire_gateway.connections.console_files import (
    NOT_BUILT,
    POLICY,
    ConsoleFiles,
    console_files,
    read_files,
)
from graphwire_gateway.connections.http import PATH, Handshake
from graphwire_gateway.telemetry import RateLimitedLogger, logger
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

PAGE = b"<!doctype html><title>graphwire</title>"
SCRIPT = b"console.log('hello');\n" * 200
FILES = {
    "/index.html": PAGE,
    "/icon.svg": b"<svg/>",
    "/assets/index-1a2b.js": SCRIPT,
    "/assets/index-3c4d.css": b"p{color:red}" * 200,
    "/assets/font-5e6f.woff2": b"w" * 5000,
}
CONSOLE = ConsoleFiles(FILES)


def ask(
    path: str, *headers: tuple[str, str], console: ConsoleFiles | None = CONSOLE, method: str = "GET"
) -> Response:
    """Return the response to a request; what the handshake says by itself has only its status and text."""
    connection: Any = SimpleNamespace(
        respond=lambda status, text: Response(status.value, status.phrase, Headers(), text.encode()),
        remote_address=("h", 1),
        transport=SimpleNamespace(get_extra_info=lambda _: None),
    )
    handshake = Handshake(Origins(None, loopback=True), lambda: "", (), console)
    request = Request(path, Headers([("Host", "127.0.0.1:8765"), *headers]))
    request.method = method
    response = handshake(connection, request)
    assert response is not None
    return response


def text(response: Response) -> str:
    return bytes(response.body).decode()


@pytest.mark.parametrize("path", ["/", "/?x=1", "/index.html"])
def test_the_page_is_served_and_asked_for_each_time_it_is_shown(path: str) -> None:
    response = ask(path)
    assert (response.status_code, bytes(response.body)) == (200, PAGE)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(PAGE))
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("/assets/index-1a2b.js", "text/javascript; charset=utf-8"),
        ("/assets/index-3c4d.css", "text/css; charset=utf-8"),
        ("/assets/font-5e6f.woff2", "font/woff2"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
def test_each_file_has_its_type_and_one_with_a_hash_in_its_name_is_kept(path: str, type: str) -> None:
    response = ask(path)
    assert (response.status_code, bytes(response.body)) == (200, FILES[path])
    assert response.headers["Content-Type"] == type
    assert ("immutable" in response.headers["Cache-Control"]) == path.startswith("/assets/")


@pytest.mark.parametrize("path", ["/", "/icon.svg", "/assets/index-1a2b.js"])
@pytest.mark.parametrize("known", [False, True])
def test_every_response_with_a_file_protects_its_page(path: str, known: bool) -> None:
    headers = [("If-None-Match", "*")] if known else []
    response = ask(path, *headers)
    assert response.status_code == (304 if known else 200)
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Connection"] == "close"


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    rules = {
        name: sources.split() for name, _, sources in (rule.partition(" ") for rule in POLICY.split("; "))
    }
    allowed = {source for sources in rules.values() for source in sources}
    assert allowed == {"'none'", "'self'", "data:"}
    assert [name for name, sources in rules.items() if "data:" in sources] == ["img-src"]
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == ["'none'"]


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        (["gzip"], True),
        (["gzip, deflate, br, zstd"], True),
        (["br", "GZIP;q=0.5"], True),
        (["*"], True),
        (["gzip;q=0"], False),
        (["gzip;q=0, *"], False),
        (["gzip;q=x"], False),
        (["identity"], False),
        (["*;q=0.0"], False),
        ([""], False),
        ([], False),
    ],
)
def test_a_file_is_compressed_for_those_who_accept_it(accepted: list[str], compressed: bool) -> None:
    response = ask("/assets/index-1a2b.js", *(("Accept-Encoding", value) for value in accepted))
    assert (response.headers.get("Content-Encoding") == "gzip") is compressed
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["Content-Length"] == str(len(response.body))
    body = bytes(response.body)
    assert (gzip.decompress(body) if compressed else body) == SCRIPT


@pytest.mark.parametrize("path", ["/", "/assets/font-5e6f.woff2"])
def test_what_gets_no_smaller_is_sent_as_it_is(path: str) -> None:
    response = ask(path, ("Accept-Encoding", "gzip"))
    assert "Content-Encoding" not in response.headers


def test_a_file_is_compressed_once_and_not_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip, "compress", None)
    bodies = [ask("/assets/index-1a2b.js", ("Accept-Encoding", "gzip")).body for _ in range(2)]
    assert bodies[0] is bodies[1]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_the_browser_has_is_not_sent_again(encoding: str) -> None:
    accept = ("Accept-Encoding", encoding)
    tag = ask("/assets/index-1a2b.js", accept).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        response = ask("/assets/index-1a2b.js", accept, ("If-None-Match", known))
        assert (response.status_code, bytes(response.body)) == (304, b""), known
        assert response.headers["ETag"] == tag
        assert "Content-Length" not in response.headers
    for other in ('"x"', tag.strip('"')[:-1], "", ask("/").headers["ETag"]):
        response = ask("/assets/index-1a2b.js", accept, ("If-None-Match", other))
        assert response.status_code == 200, other


def test_the_two_encodings_of_a_file_have_different_tags() -> None:
    plain, packed = ask("/assets/index-1a2b.js"), ask("/assets/index-1a2b.js", ("Accept-Encoding", "gzip"))
    assert plain.headers["ETag"] != packed.headers["ETag"]
    changed = ConsoleFiles({"/index.html": PAGE + b" "})
    assert ask("/", console=changed).headers["ETag"] != ask("/").headers["ETag"]


def test_who_asks_for_the_head_gets_no_body() -> None:
    head, whole = ask("/", method="HEAD"), ask("/")
    assert (head.status_code, bytes(head.body)) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/assets/../index.html",
        "/assets/..%2findex.html",
        "/%2e%2e/secret",
        "//index.html",
        "/assets",
        "/assets/",
        "/assets/index-1a2b.js/",
        "/assets/index-1a2b.js%00",
        "/assets\\index-1a2b.js",
        "/INDEX.HTML",
        "/runs",
        "http://127.0.0.1:8765/",
        "*",
        "",
    ],
)
def test_no_path_but_that_of_a_file_is_served(path: str) -> None:
    response = ask(path)
    assert response.status_code == 404
    assert "the console is at /" in text(response)
    assert PATH in text(response)


def test_a_websocket_that_forgets_its_path_learns_it_and_gets_no_page() -> None:
    response = ask("/", ("Upgrade", "websocket"))
    assert response.status_code == 404
    assert PATH in text(response)


def test_a_server_without_console_says_what_it_always_said() -> None:
    response = ask("/", console=None)
    assert response.status_code == 404
    assert text(response) == f"there is nothing here; clients connect by WebSocket to {PATH}\n"


def test_a_console_that_was_never_built_says_how_to_build_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        missing = read_files(folder)
        assert not missing
        response = ask("/", console=missing)
        assert response.status_code == 404
        assert NOT_BUILT in text(response)
        assert "make console" in text(response)
        assert PATH in text(response)


def test_the_files_of_a_folder_are_found_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "assets" / "a-1.js").write_bytes(b"1")
    (tmp_path / ".hidden").write_bytes(b"2")
    found = read_files(tmp_path)
    assert found
    assert bytes(ask("/assets/a-1.js", console=found).body) == b"1"
    assert ask("/.hidden", console=found).status_code == 404


def test_a_process_reads_its_files_once() -> None:
    assert console_files() is console_files()


@pytest.mark.parametrize("path", ["/?token=s3cret", "/index.html?a=1&access_token=s3cret"])
def test_a_token_in_the_page_s_url_is_refused_aloud_and_never_logged(
    path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests of servers in this process may have refused more than are logged.
    monkeypatch.setattr(http, "refusals", RateLimitedLogger(logger("connection")))
    response = ask(path)
    assert response.status_code == 400
    assert "the console asks for the token" in text(response)
    (record,) = caplog.records
    assert vars(record)["event"] == "refused a token in a URL"
    assert "s3cret" not in caplog.text + text(response)


def test_few_descriptors_are_left_for_those_who_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "is_short", lambda _: True)
    assert ask("/").status_code == 503
    assert ask("/healthz").status_code == 200
