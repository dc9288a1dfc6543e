"""Judges a server, from outside: one case after the other over raw connections."""

import time
from collections.abc import Awaitable, Callable, Sequence

from graphwire_conformance.servers import (  # noqa: F401 (they add theirs)
    asking,
    faults,
    flows,
    optional,
    patience,
    resumption,
)
from graphwire_conformance.servers.cases import CASES, Case, Kit
from graphwire_conformance.servers.vectors import Vectors, data_cases
from graphwire_conformance.verdict import Verdict, judged, wanted

Told = Callable[[Verdict], None]


def _all(vectors: Vectors) -> list[tuple[str, str, Case]]:
    # What goes away with the server comes last.
    written = sorted(CASES, key=lambda entry: entry[0].startswith("drain/"))
    return [*data_cases(vectors), *written]


def names() -> list[tuple[str, str]]:
    """Return every case's name and rule."""
    return [(name, rule) for name, rule, _ in _all(Vectors(Kit("")))]


async def judge_server(
    url: str,
    *,
    token: str | None = None,
    only: Sequence[str] = (),
    drain: Callable[[], Awaitable[None]] | None = None,
    slow: bool = False,
    told: Told = lambda verdict: None,
) -> list[Verdict]:
    """Try the cases that are wanted against the server at ``url``.

    ``drain`` makes that server drain; without it the cases that need it are left out, and without ``slow``
    those that take seconds. ``told`` hears each verdict as it falls.
    """
    kit = Kit(url, token, drain, slow)
    vectors = Vectors(kit)
    verdicts: list[Verdict] = []

    def keep(verdict: Verdict) -> bool:
        verdicts.append(verdict)
        told(verdict)
        return verdict.outcome == "passed"

    try:
        opened = await judged("open", "1: a connection, the kit's graphs, one run", kit.open, time.monotonic)
        if opened.outcome != "passed":
            came = opened.came or "it did not"
            keep(Verdict("open", "failed", opened.rule, opened.seconds, opened.expected, came))
            return verdicts
        keep(opened)
        for name, rule, work in _all(vectors):
            if wanted(name, only):
                keep(await judged(name, rule, lambda work=work: work(kit), time.monotonic))  # type: ignore[misc]
                await kit.clean()
    finally:
        await vectors.close()
        await kit.clean()
    return verdicts
