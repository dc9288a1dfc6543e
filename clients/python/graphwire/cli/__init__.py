"""The command line ``graphwire``: one file a command, ``app`` puts them together.

Needs the extra ``cli``; without it, only this file is imported; it prints what to install.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print("graphwire: the command line is not installed: pip install 'graphwire[cli]'", file=sys.stderr)
        sys.exit(2)
    from graphwire.cli.app import run

    sys.exit(run(sys.argv[1:]))
