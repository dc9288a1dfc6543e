"""The files of the console, the page that the gateway serves at ``/``, as HTTP responses.

They are read and compressed once, when the server starts, and found by their whole path in a mapping, so that
no path leads out of it. ``clients/console`` has their source, and ``make console`` builds them.
"""

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

INDEX = "/index.html"
"""The page itself; it is also what ``/`` answers with."""

HASHED = "/assets/"
"""Where the files are whose names change with their content."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: nothing from elsewhere, nothing inline, in no frame."""

SECURITY = (
    ("Content-Security-Policy", POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
"""What every response with a file says to the browser, about this page and others."""

NOT_BUILT = (
    "the console is not built. In the clone of graphwire, `make console` builds it; it takes Node 20.19 or "
    "newer, with npm. Then start the server again. `graphwire serve --no-console` does without it"
)
"""What a source tree without the built files says."""

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
_COMPRESSED = frozenset(("ico", "png", "woff2"))  # what gzip makes no smaller
_MIN_GZIP_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Body:
    content: bytes
    headers: tuple[tuple[str, str], ...]  # those that a 304 repeats
    of_content: tuple[tuple[str, str], ...]
    etag: str


class ConsoleFiles:
    """The files of a folder by their paths, ``{"/assets/index-1a2b.js": b"..."}``.

    Without ``INDEX`` the console is not built, the object is false, and ``/`` says how to build it.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._plain = {path: _body(path, content, None) for path, content in files.items()}
        self._gzipped = {
            path: _body(path, smaller, "gzip")
            for path, content in files.items()
            if (smaller := _smaller(path, content)) is not None
        }

    def __bool__(self) -> bool:
        return INDEX in self._plain

    def has(self, path: str) -> bool:
        """Tell whether there is a file with this path, which has no query."""
        return _of(path) in self._plain

    def respond(self, path: str, request: Request) -> Response:
        """Return the file that there is at ``path``, or that it has not changed."""
        name = _of(path)
        body = self._plain[name]
        if name in self._gzipped and _accepts_gzip(request.headers.get_all("Accept-Encoding")):
            body = self._gzipped[name]
        base = (("Date", formatdate(usegmt=True)), ("Connection", "close"), *body.headers)
        if _is_known(body.etag, request.headers.get_all("If-None-Match")):
            return _response(HTTPStatus.NOT_MODIFIED, base, b"")
        content = b"" if getattr(request, "method", "GET") == "HEAD" else body.content
        return _response(HTTPStatus.OK, (*base, *body.of_content), content)


@cache
def console_files() -> ConsoleFiles:
    """Return the files of the package's folder ``console``; a process reads them once."""
    return read_files(Path(__file__).parents[1] / "console")


def read_files(folder: Path) -> ConsoleFiles:
    """Return the files in ``folder`` and below, without hidden ones; none if it does not exist."""
    return ConsoleFiles(
        {
            f"/{file.relative_to(folder).as_posix()}": file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file() and not file.name.startswith(".")
        }
    )


def _of(path: str) -> str:
    return INDEX if path == "/" else path


def _suffix(path: str) -> str:
    return path.rpartition(".")[2]


def _smaller(path: str, content: bytes) -> bytes | None:
    if len(content) < _MIN_GZIP_BYTES or _suffix(path) in _COMPRESSED:
        return None
    compressed = gzip.compress(content, 9, mtime=0)
    return compressed if len(compressed) < len(content) else None


def _body(path: str, content: bytes, encoding: str | None) -> _Body:
    etag = f'"{sha256(content).hexdigest()[:32]}"'  # the two encodings of a file have different ones
    keep = "public, max-age=31536000, immutable" if path.startswith(HASHED) else "no-cache"
    of_content = [
        ("Content-Length", str(len(content))),
        ("Content-Type", _TYPES.get(_suffix(path), "application/octet-stream")),
    ]
    if encoding is not None:
        of_content.append(("Content-Encoding", encoding))
    headers = (("ETag", etag), ("Cache-Control", keep), ("Vary", "Accept-Encoding"), *SECURITY)
    return _Body(content, headers, tuple(of_content), etag)


def _response(status: HTTPStatus, headers: Iterable[tuple[str, str]], content: bytes) -> Response:
    return Response(status.value, status.phrase, Headers(headers), content)


def _accepts_gzip(values: Iterable[str]) -> bool:
    """Tell whether the values of ``Accept-Encoding`` accept gzip, which a weight of 0 refuses."""
    weights: dict[str, float] = {}
    for part in ",".join(values).lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name] = min((_weight(each) for each in parameters), default=1.0)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def _is_known(etag: str, values: Iterable[str]) -> bool:
    """Tell whether the values of ``If-None-Match`` have the tag, which a proxy may have made weak."""
    known = {tag.strip().removeprefix("W/") for tag in ",".join(values).split(",")}
    return etag in known or "*" in known
