"""``graphwire version``: what is installed here."""

import platform

from graphwire_protocol import MINOR, SUBPROTOCOL

from graphwire.cli.options import Json
from graphwire.cli.outcome import CUT_OFF, FINE, USAGE, exit_codes
from graphwire.cli.show import print_json
from graphwire.client import installed_version

HELP = f"""Print the versions of this program, its protocol and Python.

Example: [bold]graphwire version --json[/bold]

{exit_codes(FINE, USAGE, CUT_OFF)}
"""


def show_version(as_json: Json = False) -> None:
    """Print versions. ``HELP`` is the text for users."""
    facts = {
        "graphwire": installed_version() or "not installed (run from its source)",
        "protocol": f"{SUBPROTOCOL}, minor {MINOR}",
        "python": platform.python_version(),
    }
    if as_json:
        print_json(facts)
        return
    for name, fact in facts.items():
        print(f"{name:<10} {fact}")
