"""The attacker, a process: ``python -m tests.support.attacks NAME PORT``. It prints a ``Report``."""

import asyncio
import sys

import orjson

from tests.support.attacks.all import ATTACKS
from tests.support.attacks.attack import Attacker

if __name__ == "__main__":
    name, port = sys.argv[1:]
    report = asyncio.run(ATTACKS[name].act(Attacker(int(port))))  # type: ignore[arg-type]
    print(orjson.dumps(report or {}).decode(), flush=True)
    sys.stdin.readline()  # its connections stay until it is told to go
