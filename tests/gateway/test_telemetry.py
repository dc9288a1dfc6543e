"""The server's log goes through the standard library's loggers, and to standard error for people or as JSON.

About `gateway/graphwire_gateway/telemetry.py`.
"""

import json
import logging
from collections.abc import Iterator

import pytest
from graphwire_gateway.telemetry import logger, write_log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the loggers back as they were."""
    root, ours = logging.getLogger(), logging.getLogger("graphwire")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_an_application_gets_records_of_its_own_logging(caplog: pytest.LogCaptureFixture) -> None:
    logger("test").warning("a run failed", run="r")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("graphwire.test", "WARNING")


def test_json_has_a_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    write_log("json", "info")
    logger("test").info("run started", run="r", n=1)
    try:
        raise ValueError("no joke today")
    except ValueError:
        logger("test").error("run failed", exc_info=True)
    started, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert (started["event"], started["level"], started["run"], started["n"]) == (
        "run started",
        "info",
        "r",
        1,
    )
    assert started["timestamp"].endswith("Z")
    assert "no joke today" in failed["exception"]


def test_a_person_reads_the_event_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    write_log("console", "info")
    logger("test").info("run started", run="r")
    line = capsys.readouterr().err
    assert "run started" in line
    assert "run=r" in line
    assert "\x1b" not in line.replace("\x1b[0m", ""), "no colors where no terminal is"


def test_the_last_choice_of_a_form_counts(capsys: pytest.CaptureFixture[str]) -> None:
    write_log("console", "info")
    write_log("json", "info")
    logger("test").info("run started")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "run started"


def test_the_level_is_ours_alone(capsys: pytest.CaptureFixture[str]) -> None:
    write_log("json", "warning")
    logger("test").info("hidden")
    logger("test").warning("shown")
    logging.getLogger("other.library").info("hidden")
    logging.getLogger("other.library").warning("shown too")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["shown", "shown too"]
