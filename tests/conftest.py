"""What all suites share: which store the gateways of the live tests run on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["memory", "delay"],
        default="memory",
        help="the store of tests/live: delay awaits 5 ms before each append, as one over a network does",
    )
