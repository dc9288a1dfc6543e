"""Measure what others notice of each attack: ``python -m tests.live.abuse [--rounds N] [NAME ...]``.

The server and its others run on one processor, the attacker on another one. Each attack meets a new server in
each round, the rounds are interleaved, and the table has the median of each figure. Linux only.
"""

import argparse
import asyncio
import os
import sys

from tests.support.attacks.all import ATTACKS
from tests.support.attacks.attack import Attack
from tests.support.attacks.figures import Figures, carried_out, median, part

BEFORE_S = 3.0
PING_RATIO, PING_S, RUN_RATIO = 5, 0.1, 2
"""What others may notice: pings take at most so many times as long or so many seconds, runs so many times."""

HEAD = (
    "attack",
    "p99 ping before, ms",
    "p99 ping, ms",
    "worst ping, ms",
    "p50 run, ms",
    "p99 run, ms",
    "p99 run ÷ before",
    "MiB a connection",
    "MiB grown",
    "cut after, s",
    "beyond",
)


def row(attack: Attack, rounds: list[Figures]) -> list[str]:
    """Return the row of an attack: the median of each figure."""
    if not rounds:
        return [attack.name, *[""] * (len(HEAD) - 2), "served nobody afterwards"]

    def ms(seconds: float) -> str:
        return f"{seconds * 1000:.0f}"

    before = median([part(each.before.pings, 0.99) for each in rounds])
    ping = median([part(each.during.pings, 0.99) for each in rounds])
    worst = median([max(each.during.pings, default=float("nan")) for each in rounds])
    runs_before = median([part(each.before.runs, 0.99) for each in rounds])
    runs = median([part(each.during.runs, 0.99) for each in rounds])
    half = [median([part(times.runs, 0.5) for times in both]) for both in _pairs(rounds)]
    each_mib = median([figures.mib_each or float("nan") for figures in rounds])
    grown = median([figures.peak_mib for figures in rounds])
    cut_s = median([figures.report.get("cut_s", float("nan")) for figures in rounds])
    beyond = [
        *(["ping"] if ping > max(PING_S, PING_RATIO * before) else []),
        *(["runs"] if runs > RUN_RATIO * runs_before else []),
        *(["memory"] if each_mib > attack.mib_each else []),
        *(["cut"] if attack.cut_within_s is not None and cut_s > attack.cut_within_s else []),
        *(["end"] if any(not figures.report.get("is_over", True) for figures in rounds) else []),
    ]
    return [
        attack.name,
        ms(before),
        ms(ping),
        ms(worst),
        f"{ms(half[0])} → {ms(half[1])}",
        f"{ms(runs_before)} → {ms(runs)}",
        f"{runs / runs_before:.1f}",
        "" if each_mib != each_mib else f"{each_mib:.2f}",
        f"{grown:.0f}",
        "" if cut_s != cut_s else f"{cut_s:.1f}",
        ", ".join(beyond),
    ]


def _pairs(rounds: list[Figures]) -> tuple[list, list]:
    return [each.before for each in rounds], [each.during for each in rounds]


async def measured(names: list[str], rounds: int, cores: tuple[int, int]) -> dict[str, list[Figures]]:
    """Carry each attack out ``rounds`` times."""
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            print(f"round {number + 1}: {name}", file=sys.stderr)
            try:
                found[name].append(await carried_out(ATTACKS[name], before_s=BEFORE_S, cores=cores))
            except (AssertionError, asyncio.TimeoutError) as error:
                print(f"  {type(error).__name__}: {error}", file=sys.stderr)
    return found


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.abuse", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks; all of them, if none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--list", action="store_true", help="list the attacks and end")
    options = parser.parse_args()
    names = options.names or list(ATTACKS)
    if unknown := [name for name in names if name not in ATTACKS]:
        parser.error(f"no attack {unknown[0]!r}; --list lists them")
    if options.list:
        for name in names:
            print(f"{name}: {ATTACKS[name].does}")
        return
    server, attacker = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    os.sched_setaffinity(0, {server})
    found = asyncio.run(measured(names, options.rounds, (server, attacker)))
    for cells in (HEAD, ["---", *["---:"] * (len(HEAD) - 2), "---"]):
        print(f"| {' | '.join(cells)} |")
    for name in names:
        print(f"| {' | '.join(row(ATTACKS[name], found[name]))} |")


if __name__ == "__main__":
    main()
