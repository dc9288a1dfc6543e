"""The soak of a cluster, by hand: ``python -m tests.support.cluster_soak``.

``RUNS`` (1,000) runs, ``FAULTS`` (200) faults, ``SOAK_SEED`` (1) begins elsewhere, ``KINDS`` are the kinds of
faults, with commas between them.
"""

import asyncio
import os
import time

from tests.support.cluster_soak.faults import KINDS
from tests.support.cluster_soak.soak import Plan, soak


def main() -> None:
    """Soak, check, and say what happened."""
    kinds = os.environ.get("KINDS")
    plan = Plan(
        runs=int(os.environ.get("RUNS", "1000")),
        faults=int(os.environ.get("FAULTS", "200")),
        seed=int(os.environ.get("SOAK_SEED", "1")),
        kinds=tuple(kinds.split(",")) if kinds else tuple(KINDS),
        quiet_s=12,  # a lease is ten seconds
        says=True,
    )
    began = time.monotonic()
    clients, faults = asyncio.run(soak(plan))
    took = time.monotonic() - began
    print(
        f"{faults.made} faults, {len(clients.runs):,} runs, {clients.shown:,} events shown, "
        f"{clients.reconnects:,} reconnects, in {took:,.0f} s"
    )
    for name, count in sorted((clients.counts + faults.counts).items()):
        print(f"  {name}: {count}")


main()
