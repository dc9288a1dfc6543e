"""The server's log goes through the standard library's loggers, and to standard error for people or as JSON.

About `gateway/graphwire_gateway/telemetry.py`.
"""

import contextvars
import json
import logging
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from graphwire_gateway.failures import Failures
from graphwire_gateway.telemetry import RateLimitedLogger, bind_to_logs, logger, write_log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the loggers back as they were."""
    root, ours = logging.getLogger(), logging.getLogger("graphwire")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def test_an_application_gets_records_of_its_own_logging(caplog: pytest.LogCaptureFixture) -> None:
    logger("test").warning("a run failed", run="r")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("graphwire.test", "WARNING")
    assert record.getMessage() == "a run failed run=r"
    assert (vars(record)["event"], vars(record)["fields"]) == ("a run failed", {"run": "r"})
    assert (record.filename, record.exc_info) == ("test_telemetry.py", None)


def test_an_application_s_own_format_shows_message_fields_and_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logging.getLogger().addHandler(handler)
    Failures(expose=False, new_id=lambda: "e1").of_run(_raised(), "100%", "r s")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == (
        "ERROR:graphwire.failures:run failed graph=100% run='r s' error_id=e1 error='ValueError: no joke'"
    )
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: no joke"


def _raised() -> ValueError:
    try:
        raise ValueError("no joke")
    except ValueError as error:
        return error


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_graph_logs_names_its_run(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(form, "info")

    def graph() -> None:
        bind_to_logs(run="r", graph="g", thread=None)
        logging.getLogger("app").warning("low on %s", "jokes")

    contextvars.Context().run(graph)
    logging.getLogger("app").warning("elsewhere")
    line, other = capsys.readouterr().err.splitlines()
    if form == "json":
        entry = json.loads(line)
        assert (entry["event"], entry["run"], entry["graph"]) == ("low on jokes", "r", "g")
        assert (entry["logger"], entry["level"]) == ("app", "warning")
        assert not {"thread", "_record"} & set(entry)
        assert "run" not in json.loads(other)
    else:
        assert "low on jokes" in line
        assert "run=r" in line


def test_json_has_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        write_log("json", "info")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logger("test").warning("odd", what=object(), peer=("h", 1))
    entries = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [entry["logger"] for entry in entries] == ["py.warnings", "graphwire.test"]


def test_a_flood_of_warnings_is_thinned_out_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    log = RateLimitedLogger(logger("test"), burst=3, every_s=10)
    for _ in range(50):
        log.warning("refused")
    now[0] += 10
    log.warning("refused")
    log.warning("refused")
    assert [vars(record)["fields"] for record in caplog.records] == [{}, {}, {}, {"left_out": 47}]


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


def test_no_text_forges_a_line_or_a_color_on_a_console(capsys: pytest.CaptureFixture[str]) -> None:
    write_log("console", "info")
    forged = "x\n2026-01-01T00:00:00Z [info     ] run ended\r\x1b[31m\x9b5m\u2028\u202e"
    try:
        raise ValueError(forged)
    except ValueError as error:
        logger("test").error("run failed", exc_info=error, error=forged, run="r\nr")
    logging.getLogger("a.library").warning(forged)
    text = capsys.readouterr().err
    assert "ValueError: x" in text
    assert not set(text) & {"\r", "\x1b", "\x9b", "\u2028", "\u202e"}
    starts = [line for line in text.split("\n") if line.startswith("2026-01-01")]
    assert not starts
    assert len([line for line in text.split("\n") if line and not line.startswith("  ")]) == 2


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_huge_text_is_cut_before_it_is_written(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(form, "info")
    huge = "a" + "b" * 5_000_000 + "c"
    try:
        raise ValueError(huge)
    except ValueError as error:
        logger("test").error("run failed", exc_info=error, error=huge)
    text = capsys.readouterr().err
    assert len(text) < 100_000
    assert "characters left out" in text
    assert "ValueError: abbb" in text


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_huge_text_is_not_copied(wrapped: bool, caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("a" * 20_000_000)
    if wrapped:
        error.__cause__, error.__context__ = ValueError("b" * 20_000_000), error
    tracemalloc.start()
    try:
        logger("test").error("run failed", exc_info=error)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert "characters left out" in caplog.text


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


def test_what_a_record_says_can_be_written_by_any_handler(caplog) -> None:
    class Exits(BaseException):
        def __str__(self) -> str:
            raise SystemExit(3)

    log = logger("test")
    for error in (ValueError("half: \ud83d"), Exits()):
        log.error("failed", error=str(error) if isinstance(error, ValueError) else "", exc_info=error)
    first, second = caplog.records
    for record in (first, second):
        logging.Formatter().format(record).encode("utf-8")
    assert "\\ud83d" in first.getMessage()
    assert "half: \\ud83d" in logging.Formatter().format(first)
    assert "Exits" in logging.Formatter().format(second)


@pytest.mark.parametrize("name", ["graphwire.test", "another"])
@pytest.mark.parametrize("form", ["console", "json"])
def test_an_exception_that_takes_its_time_lets_other_threads_log(
    form: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(form, "info")
    waited: list[bool] = []

    class Slow(Exception):
        def __str__(self) -> str:
            other = threading.Thread(target=logging.getLogger("graphwire.test").info, args=("meanwhile",))
            other.start()
            other.join(5)
            waited.append(other.is_alive())
            return "slow at last"

    if name == "another":
        logging.getLogger(name).error("failed", exc_info=Slow())
    else:
        logger("test").error("failed", exc_info=Slow())
    assert waited == [False]  # its text was asked for once, while others could log
    assert "slow at last" in capsys.readouterr().err
