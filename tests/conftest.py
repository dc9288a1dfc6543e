"""What all suites share: the option that names the store of the live tests, how they take signals, and what
a busy machine may do to tests that draw their inputs: they are about meaning, not about time.
"""

import gc
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["memory", "delay", "sqlite", "redis", "cluster"],
        default="memory",
        help="the store of tests/live: delay waits 5 ms before each append, as a store over a network does; "
        "with memory, tests that are marked slow_store run on both; cluster is a worker and two gateways on "
        "redis",
    )


def pytest_configure() -> None:
    """Take Ctrl-C as at a terminal: what a shell starts in the background ignores it from the start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave the modules and the tests themselves out of every later collection, which would look at each.

    And collect less often: most of what tests make is no cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
