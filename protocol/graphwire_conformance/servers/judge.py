"""Judges a server from outside: one case after the other, over raw connections."""

import time
from collections.abc import Awaitable, Callable, Sequence

from graphwire_conformance.servers import (
    flow,
    interrupts,
    patching,
    resumption,
    runs,
    thread_objects,
    threads,
    watching,
)
from graphwire_conformance.servers import slow as slow_cases
from graphwire_conformance.servers.cases import Case
from graphwire_conformance.servers.connection import PATIENCE_S
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.servers.vectors import Vectors, data_cases
from graphwire_conformance.verdict import Verdict, judged, wanted

_WRITTEN = (interrupts, threads, resumption, runs, flow, watching, thread_objects, patching, slow_cases)


def _all(vectors: Vectors) -> list[tuple[str, str, Case]]:
    written = [entry for module in _WRITTEN for entry in module.CASES]
    # The cases that make the server drain come last: it is gone behind them.
    return [*data_cases(vectors), *sorted(written, key=lambda entry: entry[0].startswith("drain/"))]


def names() -> list[tuple[str, str]]:
    """Return every case's name and rule."""
    return [(name, rule) for name, rule, _ in _all(Vectors(ServerUnderTest("")))]


async def judge_server(
    url: str,
    *,
    token: str | None = None,
    only: Sequence[str] = (),
    drain: Callable[[], Awaitable[None]] | None = None,
    slow: bool = False,
    on_verdict: Callable[[Verdict], None] = lambda verdict: None,
    patience_s: float = PATIENCE_S,
) -> list[Verdict]:
    """Try the cases that ``only`` names against the server at ``url``.

    ``only`` holds names, globs or groups; empty, it names all. ``drain`` makes that server drain; without it
    the cases that need it are skipped. Without ``slow`` those that take seconds are skipped. ``on_verdict``
    is called with each verdict at once. A case fails when the server sends nothing for ``patience_s``.
    """
    server = ServerUnderTest(url, token, drain, slow, patience_s)
    vectors = Vectors(server)
    verdicts: list[Verdict] = []

    def keep(verdict: Verdict) -> bool:
        verdicts.append(verdict)
        on_verdict(verdict)
        return verdict.outcome == "passed"

    try:
        opened = await judged(
            "open", "1: a connection, the kit's graphs, one run", server.open, time.monotonic
        )
        if opened.outcome != "passed":
            came = opened.came or "it did not"
            keep(Verdict("open", "failed", opened.rule, opened.seconds, opened.expected, came))
            return verdicts
        keep(opened)
        for name, rule, work in _all(vectors):
            if wanted(name, only):
                keep(await judged(name, rule, lambda work=work: work(server), time.monotonic))  # type: ignore[misc]
                await server.clean()
    finally:
        await vectors.close()
        await server.clean()
    return verdicts
