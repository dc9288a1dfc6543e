"""What is checked before a run starts or resumes: that its checkpoint exists, and that its answers fit.

``runs/answers.py`` compares answers with the JSON Schemas of their questions.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal

from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.runs.answers import check_answers
from graphwire_gateway.runs.asking import has_checkpoint, schemas_of_thread
from graphwire_gateway.runs.run import Run
from graphwire_gateway.scope import Scope


def asks_saver(command: commands.Run) -> bool:
    """Tell whether the graph's saver may be asked before the run starts."""
    return command.thread is not None and (command.checkpoint is not None or _resumes(command))


async def check_start(
    command: commands.Run,
    entry: Entry,
    failures: Failures,
    scope: Scope,
    principal: str,
    waiting: Run | None,
) -> None:
    """Check the checkpoint and the answers that a run of ``principal`` begins with. Raises ``Refusal``.

    ``waiting`` is the run that waits for answers on the thread, if the server knows one.
    """
    if command.checkpoint is not None and not await has_checkpoint(
        entry, failures, scope, principal, command.checkpoint, "run.checkpoint"
    ):
        raise Refusal(
            "not_found",
            f"run.checkpoint: thread {command.thread!r} has no such checkpoint",
            details={"kind": "checkpoint"},
        )
    if not _resumes(command):
        return
    assert command.command is not None
    if waiting is not None and command.checkpoint is None:
        schemas = waiting.open_schemas
    else:
        schemas = await schemas_of_thread(
            entry, failures, scope, principal, command.checkpoint, "run.command.resume"
        )
    _refuse("run", _wrong_in_resume(schemas, command.command.resume))


def check_responses(run: Run, command: commands.Respond) -> None:
    """Check the answers of ``respond``. Raises ``Refusal(invalid_argument)``; the questions wait on."""
    answers = (
        (run.schema_of(response.interrupt), response.value, f"responses[{index}].value")
        for index, response in enumerate(command.responses)
    )
    _refuse("respond", check_answers(answers))


def _resumes(command: commands.Run) -> bool:
    return command.command is not None and "resume" in command.command.model_fields_set


_ID = re.compile("[0-9a-f]{32}")
"""What both libraries' interrupt ids look like."""


def _wrong_in_resume(schemas: Mapping[str, Mapping[str, Any] | None], resume: Any) -> list[tuple[str, str]]:
    # As both libraries read it: an object with an answer for each interrupt, or the answer to the only one.
    if isinstance(resume, dict) and resume and all(_ID.fullmatch(key) for key in resume):
        return check_answers(
            (schemas.get(key), value, f"command.resume.{key}") for key, value in resume.items()
        )
    if len(schemas) != 1:
        return []
    return check_answers([(next(iter(schemas.values())), resume, "command.resume")])


def _refuse(frame: str, wrong: Iterable[tuple[str, str]]) -> None:
    errors = [{"path": path, "reason": reason} for path, reason in wrong]
    if errors:
        message = "; ".join(f"{frame}.{error['path']}: {error['reason']}" for error in errors)
        raise Refusal("invalid_argument", message, details={"errors": errors})
