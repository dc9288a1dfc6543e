"""Answers are checked against the JSON Schema that the graph gave with its question.

The schema is written by the graph's author and trusted as code is; the answer may be hostile. The check runs
on the connections' loop, so its cost is bounded:

- An answer costs at most ``MAX_STEPS``, of which each keyword takes one, and more for a large value. A schema
  that refers to itself in two branches would otherwise cost twice as much with each level of the answer.
- Nor do the answers of one frame take more than ``MAX_S`` of CPU: some keywords cost more than their value
  says, as a ``$ref`` to an ``$anchor`` does, which looks through the whole schema.
- No value is written as text. ``jsonschema`` does so in each of its messages, also in those of branches of an
  ``anyOf`` that another branch makes good.
- A ``pattern`` is matched by the engine of pydantic, whose time is linear. Python's own could be kept busy
  for years by thirty characters. What that engine does not know, such as a lookaround, is not checked.
- ``uniqueItems`` compares texts, not each item with each other.
- A ``$ref`` reaches only into the schema itself and the published drafts; nothing is read from elsewhere.

A schema that is broken does no harm: answers to it are not checked, and the log has a warning.
``runs/start.py`` says which answers belong to which questions.
"""

import contextlib
import contextvars
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, TypeAlias

import orjson
from graphwire_protocol.errors import path_text
from graphwire_protocol.projection import TagError, restore
from pydantic import StringConstraints, TypeAdapter, ValidationError

from graphwire_gateway.telemetry import RateLimitedLogger, logger

log = RateLimitedLogger(logger("answers"))

MAX_STEPS = 10_000
"""The most keywords of a schema that one answer is compared with: less than a tenth of a second."""

MAX_S = 0.25
"""The most CPU time that the check of one frame's answers takes, in seconds."""

MAX_ERRORS = 8
"""The most errors of one answer that are named."""

_TEXT_CHARS = 120  # of a keyword's value in a reason

Check: TypeAlias = Callable[[Any, Any, Any, Any], Any]
"""How ``jsonschema`` checks one keyword: of the validator, the keyword's value, the answer and the schema."""


def check_answers(answers: Iterable[tuple[Mapping[str, Any] | None, Any, str]]) -> list[tuple[str, str]]:
    """Return what is wrong with the answers of one frame: ``(path, reason)`` for the first errors.

    Each answer is its schema, its value and its path, as ``check_answer`` takes them. All of them together
    take no more time than one may.
    """
    wrong: list[tuple[str, str]] = []
    ends_at = time.thread_time() + MAX_S
    for schema, value, where in answers:
        if schema is None:
            continue
        left = ends_at - time.thread_time()
        if left <= 0:
            wrong.append((where, "the answers before it took too long to be checked; send fewer at once"))
            break
        wrong += check_answer(schema, value, where, left)
        if len(wrong) >= 2 * MAX_ERRORS:
            break
    return wrong


def check_answer(
    schema: Mapping[str, Any] | None, value: Any, where: str, seconds: float = MAX_S
) -> list[tuple[str, str]]:
    """Return what is wrong with an answer: ``(path, reason)`` for each error; no reason repeats the answer.

    ``value`` is the answer's JSON, and ``where`` its path in the frame. Without a ``schema`` all answers fit.
    ``seconds`` is the most CPU time that the check may take.
    """
    if schema is None:
        return []
    validator = _validator(orjson.dumps(schema))
    if validator is None:
        return []
    try:
        answer = restore(value, lambda fields: fields, inbound=True)
    except TagError:
        return []  # refused elsewhere, by its path
    try:
        with _counting(seconds):
            found = list(islice(validator.iter_errors(answer), MAX_ERRORS))
            return [(path_text(error.absolute_path, where), _reason(error)) for error in found]
    except (_TooCostly, RecursionError):
        return [(where, "it is too large to be checked against the response_schema of its question")]
    except Exception as error:  # a $ref that leads nowhere, and what else shows only now
        log.warning("a response_schema is broken; its answers are not checked", error=_shortened(str(error)))
        return []


# ── the validator ────────────────────────────────────────────────────────────────────────────────


class _TooCostly(Exception):
    """The check has taken ``MAX_STEPS``."""


_left: contextvars.ContextVar[int] = contextvars.ContextVar("graphwire_check_steps_left")
_ends_at: contextvars.ContextVar[float] = contextvars.ContextVar("graphwire_check_ends_at", default=math.inf)


@contextlib.contextmanager
def _counting(seconds: float = math.inf) -> Iterator[None]:
    left, ends_at = _left.set(MAX_STEPS), _ends_at.set(time.thread_time() + seconds)
    try:
        yield
    finally:
        _left.reset(left)
        _ends_at.reset(ends_at)


def _spend(steps: int = 1) -> None:
    left = _left.get() - steps
    if left < 0 or time.thread_time() > _ends_at.get():
        raise _TooCostly
    _left.set(left)


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    """Return the validator of a schema; None if the schema is broken, which is logged once."""
    try:
        return _made(schema)
    except Exception as error:
        log.warning("a response_schema is broken; its answers are not checked", error=_shortened(str(error)))
        return None


def _made(schema: bytes) -> Any:
    """Make the validator of a schema. Raises an exception of any kind if the schema is broken."""
    # Imported here, since it takes a tenth of a second; the server does so when it starts.
    from jsonschema_specifications import REGISTRY

    plain = orjson.loads(schema)
    cls = _drafts().get(str(plain.get("$schema", "")).rstrip("#")) or _drafts()[_NEWEST]
    with _counting():
        for error in cls(cls.META_SCHEMA, registry=REGISTRY).iter_errors(plain):
            raise ValueError(f"{path_text(error.absolute_path)}: {error.message}")
    validator = cls(plain, registry=REGISTRY)
    with _counting():
        for probe in ("null", "{}"):  # a schema that refers to itself in a ring ends for no answer
            list(validator.iter_errors(orjson.loads(probe)))
    return validator


_NEWEST = "https://json-schema.org/draft/2020-12/schema"


@lru_cache(maxsize=1)
def _drafts() -> dict[str, Any]:
    """Return the validator classes by the ``$schema`` that names them; their cost is bounded."""
    from jsonschema import validators

    classes = (
        validators.Draft4Validator,
        validators.Draft6Validator,
        validators.Draft7Validator,
        validators.Draft201909Validator,
        validators.Draft202012Validator,
    )
    own: dict[str, Check] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    drafts = {}
    for cls in classes:
        checks = {name: _counted(name, own.get(name, check)) for name, check in cls.VALIDATORS.items()}
        id = cls.META_SCHEMA.get("$id") or cls.META_SCHEMA["id"]
        # What it finds depends on patternProperties, which jsonschema matches by Python's own engine.
        checks.pop("unevaluatedProperties", None)
        drafts[id.rstrip("#")] = validators.extend(cls, checks, type_checker=_with_tagged(cls.TYPE_CHECKER))
    return drafts


def _with_tagged(checker: Any) -> Any:
    """Let what JSON has only as a tag count as what it stands for: a set as an array, bytes as a string."""
    return checker.redefine_many(
        {
            "array": lambda _, value: isinstance(value, list | tuple | set | frozenset),
            "string": lambda _, value: isinstance(value, str | bytes),
        }
    )


_EACH = frozenset({"items", "additionalItems", "additionalProperties", "propertyNames", "unevaluatedItems"})
"""The keywords that say something of each item or key."""


def _counted(name: str, check: Check) -> Check:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if name in _EACH and _allows_all(validator, value):
            return iter(())
        _spend(_steps(name, instance))
        mute = _MUTE.get(type(instance))
        return check(validator, value, instance if mute is None else mute(instance), schema) or iter(())

    return checked


def _allows_all(validator: Any, schema: Any) -> bool:
    return schema is True or (isinstance(schema, dict) and not schema.keys() & validator.VALIDATORS.keys())


def _steps(name: str, instance: Any) -> int:
    """Return what one keyword costs: more than one step for what it copies or looks at one by one."""
    if isinstance(instance, str | bytes):
        return 1 + len(instance) // 10_000
    if not isinstance(instance, list | tuple | dict | set | frozenset):
        return 1
    size = len(instance)
    steps = 1 + size // 1000
    if name in _EACH or name == "contains":
        steps += size
    if name == "unevaluatedItems":  # looks for each of them in a list of those that were
        steps += size * size // 1000
    return steps


def _mute(cls: type) -> type:
    return type(f"_Mute{cls.__name__.title()}", (cls,), {"__repr__": lambda self: "…", "__slots__": ()})


_MUTE: dict[type, type] = {cls: _mute(cls) for cls in (list, tuple, dict, set, frozenset, str, bytes)}
"""What stands for a value while a keyword is checked: the same one, but for its text."""


# ── keywords that jsonschema checks at a cost that an answer decides ─────────────────────────────


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError as Wrong

    if isinstance(instance, str) and not _matches(pattern, instance):
        yield Wrong("does not match")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError as Wrong

    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in named or any(_matches(pattern, key) for pattern in patterns):
            continue
        if allowed is False:
            yield Wrong("has more")
            return
        if isinstance(allowed, dict):
            yield from validator.descend(value, allowed, path=key)


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError as Wrong

    if not unique or not validator.is_type(instance, "array"):
        return
    seen = set()
    for item in instance:
        text = orjson.dumps(item, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        _spend(1 + len(text) // 1000)
        if text in seen:
            yield Wrong("has an item twice")
            return
        seen.add(text)


def _matches(pattern: str, text: str) -> bool:
    _spend(1 + len(text) // 1000)
    engine = _engine(pattern)
    if engine is None:
        return True
    try:
        engine.validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _engine(pattern: str) -> "TypeAdapter[str] | None":
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except Exception as error:
        log.warning("a pattern of a response_schema is not checked", error=_shortened(str(error)))
        return None


# ── what is said of an error ─────────────────────────────────────────────────────────────────────


def _reason(error: Any) -> str:
    """Say what was expected, in words of the schema: never the answer, which may be secret or large."""
    keyword, value = error.validator, error.validator_value
    match keyword:
        case "type":
            return f"expected {' or '.join([value] if isinstance(value, str) else value)}"
        case "required":
            missing = [name for name in value if name not in error.instance]
            return f"lacks {', '.join(_shortened(name) for name in missing[:MAX_ERRORS])}"
        case "additionalProperties" if value is False:
            named = ", ".join(error.schema.get("properties", ())) or "none"
            return f"has a key that is not expected; expected are {_shortened(named)}"
        case "pattern" if isinstance(meant := error.schema.get("description"), str):
            return f"does not fit its description: {_shortened(meant)}"
        case "anyOf" | "oneOf" if error.context:
            # Of each branch the first error; most branches are a type each.
            reasons = list(dict.fromkeys(_reason(inner) for inner in error.context if not inner.path))
            types = [reason.removeprefix("expected ") for reason in reasons if reason.startswith("expected ")]
            if reasons and len(types) == len(reasons):
                return f"expected {' or '.join(types[:MAX_ERRORS])}"
            return " or ".join(reasons[:MAX_ERRORS]) or f"fits none of {keyword}"
    if keyword is None:
        return "is not allowed"
    return f"does not fit {keyword} {_shortened(orjson.dumps(value, default=repr).decode())}"


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT_CHARS else f"{text[:_TEXT_CHARS]}…"
