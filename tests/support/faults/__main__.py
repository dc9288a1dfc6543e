"""The soak: storm after storm, each of its own seed, until there were enough faults and events.

``make soak``; ``SOAK_MINUTES`` bounds it, ``SOAK_SEED`` begins elsewhere, ``SOAK_JOBS`` storms at once. With
``SOAK_STORMS=1`` and a seed that was printed, that storm is had again.
"""

import asyncio
import logging
import os
import sys
import time
import warnings
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import structlog

from tests.support.faults.report import Report
from tests.support.faults.storm import Plan, storm

FAULTS = 20_000
EVENTS = 10_000_000
_TELL_S = 10.0


def plan(seed: int) -> Plan:
    """Return the storm of a seed: of three, one has logs that are too short for its slow readers."""
    log_events = 400 if seed % 3 == 0 else 100_000
    sizes = {"runs": 24, "readers": 16, "iterators": 3, "events": 600, "faults": 500, "reach": 50_000}
    return Plan(seed, log_events=log_events, **sizes)


def one(seed: int) -> Report:
    """Live through one storm, in a process of the pool."""
    warnings.simplefilter("error")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return asyncio.run(storm(plan(seed)))


def main() -> int:
    """Storm until there is enough, or the time is over; return the exit status."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    seed = int(os.environ.get("SOAK_SEED", "1"))
    jobs = int(os.environ.get("SOAK_JOBS", str(min(4, os.cpu_count() or 1))))
    storms = int(os.environ.get("SOAK_STORMS", "1000000"))
    begin = told = time.monotonic()
    whole = Report()
    pending: set[Future[Report]] = set()
    with ProcessPoolExecutor(jobs) as pool:
        while True:
            passed = time.monotonic() - begin
            is_enough = whole.faults.total() >= FAULTS and whole.events >= EVENTS
            is_over = is_enough or passed >= minutes * 60 or bool(whole.violations) or not storms
            while not is_over and len(pending) < jobs and storms:
                pending.add(pool.submit(one, seed))
                seed, storms = seed + 1, storms - 1
            if not pending:
                break
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                whole.add(future.result())
            if time.monotonic() - told >= _TELL_S:
                told = time.monotonic()
                figures = f"{whole.faults.total():,} faults, {whole.events:,} events"
                print(
                    f"{told - begin:6.0f} s  {figures}, {whole.violations.total()} broken promises",
                    flush=True,
                )
    print(whole)
    print(f"time        {time.monotonic() - begin:>12,.0f} s, {jobs} storms at once")
    return 1 if whole.violations else 0


if __name__ == "__main__":
    sys.exit(main())
