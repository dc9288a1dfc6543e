"""An n-gram model of lines that contain ``{topic}``: which word may follow which words."""

import functools
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from importlib import resources

TOPIC = "{topic}"
_ATTEMPTS = 200
"""Lines to try before one that breaks the rules is accepted."""


class Ngrams:
    """Learns from ``lines`` which word follows the last ``order`` - 1 words, and writes new lines.

    Where only one word can follow, the choice may fall back on fewer words: that is how new lines arise.
    """

    def __init__(self, lines: Sequence[str], order: int) -> None:
        self._memory = order - 1
        self._lines = frozenset(lines)
        self._longest = max(map(len, lines))
        self._asking = {line.split()[0] for line in lines if "?" in line}
        self._next: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for line in lines:
            words = [*self._silence, *line.split(), ""]
            for at in range(self._memory, len(words)):
                for length in range(1, order):
                    self._next[tuple(words[at - length : at])].append(words[at])

    @property
    def _silence(self) -> list[str]:
        return [""] * self._memory  # the empty word comes before a line and ends it

    def line(self, chance: random.Random, earlier: Sequence[str] = ()) -> str:
        """Write a line that is not in ``earlier``; if that is empty, one that names the topic.

        After many attempts, return a line that does not quite meet the rules.
        """
        line = ""
        for _ in range(_ATTEMPTS):
            line = self._attempt(chance)
            if self._is_right(line) and line not in earlier and (earlier or TOPIC in line):
                break
        return line

    def _is_right(self, line: str) -> bool:
        words = line.split()
        return (
            line not in self._lines
            and len(words) > 3
            and len(line) <= self._longest
            and line.count(TOPIC) < 2
            and line.count("?") == (words[0] in self._asking)
        )

    def _attempt(self, chance: random.Random) -> str:
        words = self._silence
        while True:
            word = chance.choice(self._choices(words, chance))
            if not word or len(words) > self._longest:
                return " ".join(filter(None, words))
            words.append(word)

    def _choices(self, words: list[str], chance: random.Random) -> list[str]:
        choices: list[str] = []
        for length in range(self._memory, 0, -1):
            choices = self._next.get(tuple(words[-length:])) or choices
            fallback = 0.3 if length == self._memory else 0.05
            if choices and (len(set(choices)) > 1 or chance.random() > fallback):
                break
        return choices


_PLURAL = {"is": "are", "was": "were", "has": "have", "does": "do", "goes": "go"}
_NO_SUBJECT = frozenset({"about", "after", "by", "for", "from", "in", "of", "on", "to", "with", "without"})
"""Words after which the topic is not the subject of the verb: the trouble with cats *is* …"""


def about(line: str, topic: str) -> str:
    """Insert the topic; if it looks like a plural, make the verbs agree."""

    def verb_after(found: "re.Match[str]") -> str:
        before, verb = found[1] or "", found[2]
        if before.strip().lower() not in _NO_SUBJECT and not verb.endswith("ss") and verb != "as":
            verb = _PLURAL.get(verb, verb[:-1])
        return f"{before}{TOPIC} {verb}"

    def verb_before(found: "re.Match[str]") -> str:
        verb = _PLURAL[found[1].lower()]
        return f"{verb.capitalize() if found[1].istitle() else verb} {TOPIC}"

    if topic.endswith("s") and not topic.endswith(("ss", "us", "is")):
        line = re.sub(r"(\w+ )?\{topic\} (\w+s)\b", verb_after, line)
        if "?" in line:
            line = re.sub(r"\b(is|was|has|does) \{topic\}", verb_before, line, flags=re.IGNORECASE)
    line = line.replace(TOPIC, topic)
    return line[:1].upper() + line[1:]


@functools.cache
def ngrams_of(corpus: str, order: int) -> Ngrams:
    """Return the model of a text of the demo: ``jokes``, ``poems``, ``notes`` or ``questions``."""
    text = (resources.files("graphwire_gateway.demo") / "corpus" / f"{corpus}.txt").read_text("utf-8")
    return Ngrams(text.splitlines(), order)
