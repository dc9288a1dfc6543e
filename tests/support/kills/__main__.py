"""The soak of kills, by hand: ``python -m tests.support.kills`` kills a server ``KILLS`` times (100).

``KILLS_SEED`` begins elsewhere. ``KILLS_STORE`` names another store than a SQLite file, such as redis://host.
"""

import asyncio
import os
import tempfile

from tests.support.kills.killing import kill_again_and_again


def main() -> None:
    """Kill, check, and say what happened."""
    kills = int(os.environ.get("KILLS", "100"))
    seed = int(os.environ.get("KILLS_SEED", "1"))
    with tempfile.TemporaryDirectory() as folder:
        store = os.environ.get("KILLS_STORE", f"sqlite:///{folder}/runs.db")
        load = asyncio.run(kill_again_and_again(store, kills, seed))
    print(f"{kills} kills, {len(load.runs)} runs, {load.shown:,} events shown, {load.reconnects} reconnects")
    for name, count in sorted(load.counts.items()):
        print(f"  {name}: {count}")


main()
