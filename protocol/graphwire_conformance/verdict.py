"""Verdicts: what a case found, and all of them as one JSON document."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

Outcome = Literal["passed", "failed", "skipped"]

SECTIONS = {
    "1": "connection",
    "2": "requests and replies",
    "3": "events",
    "4": "filters",
    "5": "position, resume, gaps",
    "6": "flow control",
    "7": "watching",
    "8": "order",
    "9": "errors and close codes",
    "10": "limits",
    "11": "growth",
}
"""The sections of the protocol by the numbers that rules begin with."""


class Violation(Exception):
    """A rule is broken: which rule, what it demands, and what came instead."""

    def __init__(self, rule: str, expected: str, came: Any) -> None:
        super().__init__(rule, expected, came)
        self.rule = rule
        self.expected = expected
        self.came = came if isinstance(came, str) else brief(came)


class Skipped(Exception):
    """A case that cannot be tried on this server; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one case."""

    case: str
    outcome: Outcome
    rule: str
    seconds: float = 0.0
    expected: str | None = None
    came: str | None = None


def brief(value: Any) -> str:
    """Return a value as text of at most 300 characters or so."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"


def section(rule: str) -> str:
    """Return the section of the protocol that a rule belongs to."""
    number = rule.partition(":")[0].partition(",")[0].partition(".")[0]
    return SECTIONS.get(number, "the kit's contract")


def wanted(name: str, only: Sequence[str]) -> bool:
    """Tell whether ``only`` names a case: by its name, by a glob, or by its group; empty, it names all."""
    return not only or any(fnmatchcase(name, glob) or name.startswith(f"{glob}/") for glob in only)


def check(condition: object, rule: str, expected: str, came: Any) -> None:
    """Raise ``Violation`` unless the condition holds."""
    if not condition:
        raise Violation(rule, expected, came)


async def judged(name: str, rule: str, work: Callable[[], Awaitable[None]], clock: Any) -> Verdict:
    """Try one case and return its verdict; ``clock`` returns seconds."""
    began = clock()
    try:
        await work()
    except Violation as fault:
        return Verdict(name, "failed", fault.rule, clock() - began, fault.expected, fault.came)
    except Skipped as reason:
        return Verdict(name, "skipped", rule, clock() - began, None, str(reason))
    except Exception as error:
        came = f"{type(error).__name__}: {error}"
        return Verdict(name, "failed", rule, clock() - began, "the case comes to its end", came)
    return Verdict(name, "passed", rule, clock() - began)


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the verdicts as one JSON document."""
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for verdict in verdicts:
        counts[verdict.outcome] += 1
    cases = [
        {
            **{name: value for name, value in asdict(verdict).items() if value is not None},
            "section": section(verdict.rule),
        }
        for verdict in verdicts
    ]
    return {"conforms": not counts["failed"], **counts, "cases": cases}
