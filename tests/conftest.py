"""What all suites share: the option that names the store of the live tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["memory", "delay"],
        default="memory",
        help="the store of tests/live: delay waits 5 ms before each append, as a store over a network does; "
        "with memory, tests that are marked slow_store run on both",
    )
