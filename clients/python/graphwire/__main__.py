"""``python -m graphwire`` is the command ``graphwire``."""

from graphwire.cli import main

if __name__ == "__main__":
    main()
