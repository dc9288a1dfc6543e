"""What a run asks, and the answers that it has so far."""

from collections.abc import Mapping
from typing import Any

from graphwire_protocol.errors import Refusal


class Questions:
    """The open questions of one run, by interrupt id; none while it does not wait."""

    def __init__(self) -> None:
        self.ids: tuple[str, ...] = ()
        self.schemas: Mapping[str, dict[str, Any]] = {}
        """The JSON Schemas of the answers, of questions that have one."""
        self.answers: dict[str, Any] = {}
        self.sent: dict[str, Any] = {}
        """The answers as the client sent them, for a store that outlives the process."""

    def ask(self, ids: tuple[str, ...], schemas: Mapping[str, dict[str, Any]]) -> None:
        """Wait for answers to these questions."""
        self.ids, self.schemas = ids, schemas

    def restore(self, answers: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        """Have the answers that an earlier process got."""
        self.answers, self.sent = dict(answers), dict(sent)

    def schema_of(self, interrupt: str) -> dict[str, Any] | None:
        """Return the JSON Schema of the answer to a question that has no answer; None if there is none."""
        return None if interrupt in self.answers else self.schemas.get(interrupt)

    def check(self, answers: Mapping[str, Any], run: str) -> None:
        """Check that each answer is to a question that has none. Raises ``Refusal``."""
        for id in answers:
            if id in self.answers:
                raise Refusal("conflict", f"interrupt {id!r} has its answer", details={"interrupt": id})
            if id not in self.ids:
                raise Refusal(
                    "not_found", f"run {run!r} does not wait for {id!r}", details={"kind": "interrupt"}
                )

    @property
    def are_answered(self) -> bool:
        """Whether all of them have an answer."""
        return len(self.answers) == len(self.ids)

    def take(self) -> dict[str, Any]:
        """Return the answers, and ask nothing any more."""
        answers, self.answers, self.sent, self.ids = self.answers, {}, {}, ()
        return answers
