"""The answers that a resumed run was given, until the interrupts that they belong to take them.

`AnswerSchema` is what an interrupt says about its answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from graphwire_runtime.foreign.host import Host
from graphwire_runtime.plan.channels import MISSING

__all__ = ["NO_ANSWERS", "AnswerSchema", "ResumeAnswers", "TheirAnswers", "is_wrong_answer"]

_ID = re.compile("[0-9a-f]{32}")


class ResumeAnswers:
    """One answer for the first interrupt that asks, or answers by interrupt id.

    A graph inside a graph shares this object with the graph around it.

    Args:
        resume: `Command.resume`. A mapping whose keys are all interrupt ids holds an answer for each, and an
            empty one none; any other value but None is one answer.
    """

    __slots__ = ("_any", "_by_id")

    def __init__(self, resume: Any = None) -> None:
        self._any: list[Any] = []
        self._by_id: dict[str, Any] = {}
        if isinstance(resume, Mapping) and all(_is_id(key) for key in resume):
            self._by_id = dict(resume)
        elif resume is not None:
            self._any.append(resume)

    @property
    def named(self) -> Mapping[str, Any]:
        """The answers by interrupt id that nobody has taken."""
        return self._by_id

    def unnamed(self, *, consume: bool) -> Any:
        """The answer that names no interrupt, None if there is none; with `consume` nobody gets it again."""
        if not consume:
            return self._any[-1] if self._any else None
        try:
            return self._any.pop()
        except IndexError:
            return None

    @property
    def one_for_all(self) -> bool:
        """Whether there is an answer that names no interrupt."""
        return bool(self._any)

    def take(self, interrupt_id: str) -> Any:
        """Remove and return the answer to an interrupt; MISSING if there is none."""
        if interrupt_id in self._by_id:
            return self._by_id.pop(interrupt_id)
        try:
            return self._any.pop()  # atomic: of two threads that ask at once, one gets it
        except IndexError:
            return MISSING

    def expire(self) -> None:
        """Drop the answer that names no interrupt: it was meant for the superstep that was resumed."""
        self._any.clear()


class TheirAnswers(ResumeAnswers):
    """The answers of a run of LangGraph's that a graph of this package runs inside.

    Args:
        host: the task that it runs in.
    """

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    @property
    def named(self) -> Mapping[str, Any]:
        """The answers by interrupt id."""
        return self._host.named

    def unnamed(self, *, consume: bool) -> Any:
        """The answer that names no interrupt, None if there is none."""
        return self._host.unnamed(consume=consume)

    def take(self, interrupt_id: str) -> Any:
        """The answer to an interrupt; MISSING if there is none."""
        if interrupt_id in self.named:
            return self.named[interrupt_id]
        answer = self.unnamed(consume=True)
        return MISSING if answer is None else answer


NO_ANSWERS = ResumeAnswers()
"""What every run shares that was not given answers."""


def _is_id(key: Any) -> bool:
    return isinstance(key, str) and _ID.fullmatch(key) is not None


class AnswerSchema:
    """What an interrupt says about its answer.

    Args:
        given: `interrupt(response_schema=...)`: None, a JSON Schema, or a type that pydantic validates.
    """

    __slots__ = ("_adapter", "_given")

    def __init__(self, given: Any) -> None:
        self._given = given
        is_type = not (given is None or isinstance(given, Mapping))
        self._adapter: TypeAdapter[Any] | None = TypeAdapter(given) if is_type else None

    def shown(self) -> Any:
        """The JSON Schema that is shown with the question, None if there is none."""
        return self._given if self._adapter is None else self._adapter.json_schema()

    def checked(self, answer: Any) -> Any:
        """The answer, validated if there is a type. Raises pydantic.ValidationError."""
        if self._adapter is None:
            return answer
        try:
            return self._adapter.validate_python(answer)
        except ValidationError as error:
            # LangGraph's ToolNode asks for this mark: the call's arguments are right, the answer is wrong.
            error._langgraph_invalid_resume = True  # type: ignore[attr-defined]
            raise


def is_wrong_answer(error: BaseException) -> bool:
    """Whether an answer did not fit its schema: the question can be answered again."""
    return getattr(error, "_langgraph_invalid_resume", False) is True
