"""What the server's log says about runs: their starts, their pauses and their ends."""

from datetime import datetime
from typing import Any

from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import TERMINAL

from graphwire_gateway.runs.run import Run
from graphwire_gateway.telemetry import logger

log = logger("runs")


def ids_of(run: Run) -> dict[str, Any]:
    """Return the fields that name a run."""
    ids = {"run": run.id, "graph": run.graph, "thread": run.thread, "principal": run.principal}
    return {name: value for name, value in ids.items() if value is not None}


def log_status(run: Run, row: RunRow) -> None:
    """Log a status that a run has got; ``row`` shows the run as it was then. Waiting is not logged."""
    fields = ids_of(run)
    if row.status == "running":
        if row.attempt > 1:  # an earlier process was at it
            fields["attempt"] = row.attempt
        log.info("run resumed" if run.is_resumed else "run started", **fields)
    elif row.status == "interrupted":
        log.info("run waits for answers", **fields, events=row.head)
    elif row.status in TERMINAL:
        if run.failure is not None:
            fields["code"] = run.failure.code
        if run.cancelled_by is not None and row.status == "cancelled":
            fields["reason"] = run.cancelled_by
        log.info("run ended", **fields, status=row.status, seconds=_seconds(row), events=row.head)


def _seconds(row: RunRow) -> float:
    if row.started_at is None or row.ended_at is None:
        return 0.0
    return round((_time(row.ended_at) - _time(row.started_at)).total_seconds(), 3)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
