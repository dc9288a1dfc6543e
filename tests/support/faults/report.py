"""What a storm has found, in figures."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


class Violation(Exception):
    """The server or the client broke its promise: ``kind`` is one word, the rest says how."""

    def __init__(self, kind: str, told: str, recent: Any = ()) -> None:
        super().__init__(f"{kind}: {told}")
        self.kind = kind
        self.recent = list(recent)


@dataclass
class Report:
    """Counts of one storm, or of many that were added up."""

    seeds: list[int] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def events(self) -> int:
        return self.figures["events"]

    def note(self, violation: Violation, seed: int) -> None:
        """Count a violation and keep what it says."""
        self.violations[violation.kind] += 1
        recent = "\n    ".join(str(frame)[:300] for frame in violation.recent)
        self.words.append(f"seed {seed}: {violation}\n    {recent}")

    def add(self, other: "Report") -> None:
        """Add another storm's figures."""
        self.seeds += other.seeds
        self.faults += other.faults
        self.figures += other.figures
        self.violations += other.violations
        self.words += other.words
        self.seconds += other.seconds

    def __str__(self) -> str:
        kinds = ("lost", "repeated", "reordered")
        rest = {kind: count for kind, count in self.violations.items() if kind not in kinds}
        seeds = f"{min(self.seeds)} to {max(self.seeds)}" if self.seeds else "none"
        lines = [
            f"faults                        {self.faults.total():>9,}",
            *(f"  {kind:<28}{count:>9,}" for kind, count in sorted(self.faults.items())),
            *(f"{name:<30}{count:>9,}" for name, count in sorted(self.figures.items())),
            *(f"{kind:<30}{self.violations[kind]:>9,}" for kind in kinds),
            f"other broken promises {rest or 'none'}",
            f"seeds       {seeds}",
            *self.words[:3],
        ]
        return "\n".join(lines)
