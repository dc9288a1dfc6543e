"""Names, comments and docstrings of the packages use plain words rather than words of our own.

About `tests/support/sources.py`.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable

from tests.support.sources import MODULES, Module

NAMES = {
    "told": "sent, described, reported or known",
    "wish": "choice, request or position",
    "hasty": "interrupting",
    "bold": "superseding",
    "NOBODY": "what it is, such as COMMAND_TASK_PREFIX",
    "house": "what is shared, such as services",
    "keeping": "savers",
    "presence": "connection counts",
    "goes_on": "resumes, or continues",
}
"""Words that no identifier contains, each with the words to use instead."""

PROSE = {
    "told(?! apart)": "sent, described, reported or known",
    "wish(es)?": "choice, request or option",
    "gone? on with": "resumed, or continued",
    "(is|are|be) let in": "admitted",
    "(go|goes|is|are) home": "returns to the main loop",
}
"""Expressions that no comment and no docstring contains, each with the words to use instead."""


def identifiers(nodes: Iterable[ast.AST]) -> set[str]:
    """Return every name that a file defines, uses, passes or reads."""
    found: set[str] = set()
    for node in nodes:
        for name in ("id", "attr", "arg", "name", "asname"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                found |= set(value.split("."))
    return found


def words(identifier: str) -> str:
    """Return the words of an identifier, in lower case with underscores around each."""
    return f"_{re.sub(r'(?<=[a-z])(?=[A-Z])', '_', identifier).lower()}_"


def prose(module: Module) -> str:
    """Return the comments and docstrings of a file: all of its text that is meant for people alone."""
    found = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in module.nodes:
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                found.append(text)
    return "\n".join(" ".join(text.split()) for text in found)


def test_names_use_plain_words() -> None:
    found = [
        f"{module}: {identifier}: write {better}"
        for module in MODULES
        for identifier in sorted(identifiers(module.nodes))
        for word, better in NAMES.items()
        if word == identifier or f"_{word}_" in words(identifier)
    ]
    assert not found, "\n".join(found)


def test_comments_and_docstrings_use_plain_words() -> None:
    found = [
        f"{module}: …{text[max(0, hit.start() - 30) : hit.end() + 30]}…: write {better}"
        for module in MODULES
        for text in [prose(module)]
        for expression, better in PROSE.items()
        for hit in re.finditer(rf"\b({expression})\b", text, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_words_are_found_inside_names() -> None:
    source = "import a.told\ndef f(is_told, *, as_told=1): x.was_told(told_by=toldest)\nclass _ToldOf: pass"
    found = {name for name in identifiers(ast.walk(ast.parse(source))) if "_told_" in words(name)}
    assert found == {"told", "is_told", "as_told", "was_told", "told_by", "_ToldOf"}
