"""``graphwire version``: what is installed here."""

import platform
from importlib.metadata import PackageNotFoundError, version

from graphwire_protocol import MINOR, SUBPROTOCOL

from graphwire.cli.options import Json
from graphwire.cli.show import print_json

HELP = """Print the versions of this program, its protocol and Python.

Example: [bold]graphwire version --json[/bold]
"""


def show_version(as_json: Json = False) -> None:
    """Print versions; the help's text stands in ``HELP``."""
    try:
        installed = version("graphwire")
    except PackageNotFoundError:
        installed = "not installed (run from its source)"
    facts = {
        "graphwire": installed,
        "protocol": f"{SUBPROTOCOL}, minor {MINOR}",
        "python": platform.python_version(),
    }
    if as_json:
        print_json(facts)
        return
    for name, fact in facts.items():
        print(f"{name:<10} {fact}")
