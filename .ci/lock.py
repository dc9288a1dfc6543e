"""Write constraints.txt: the versions of every package with which the tests last passed.

`make lock` calls it with the Pythons of both virtual environments, the older one last. `.ci/run` installs
these versions, so that a run that has passed can be had again. Whoever installs graphwire gets what is
newest.
"""

import subprocess
import sys
from pathlib import Path


def _installed(python: str) -> dict[str, str]:
    command = [python, "-m", "pip", "freeze", "--exclude-editable"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def _lines(newer: dict[str, str], older: dict[str, str]) -> list[str]:
    lines = []
    for name in sorted({*newer, *older}, key=str.lower):
        new, old = newer.get(name), older.get(name)
        if new is None or old is None or new == old:
            lines.append(f"{name}=={new or old}")
        else:
            lines.append(f"{name}=={new}; python_version >= '3.11'")
            lines.append(f"{name}=={old}; python_version < '3.11'")
    return lines


newer, older = map(_installed, sys.argv[1:])
Path(__file__).with_name("constraints.txt").write_text("\n".join(_lines(newer, older)) + "\n")
