"""An n-gram model of text with a ``{topic}`` in it: which word may follow which words."""

import functools
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from importlib import resources

TOPIC = "{topic}"
_ATTEMPTS = 200


class Ngrams:
    """Learns from ``lines`` with a memory of ``order`` - 1 words, and makes up more of them.

    Where only one word can follow, a shorter memory may know others: that is where new lines come from.
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
        return [""] * self._memory  # the empty word stands before a line and ends it

    def line(self, chance: random.Random, told: Sequence[str] = ()) -> str:
        """Make up a line that is not in ``told``; the first one names the topic.

        After many attempts, a line that is not quite right has to do.
        """
        line = ""
        for _ in range(_ATTEMPTS):
            line = self._attempt(chance)
            if self._is_right(line) and line not in told and (told or TOPIC in line):
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
            boldness = 0.3 if length == self._memory else 0.05
            if choices and (len(set(choices)) > 1 or chance.random() > boldness):
                break
        return choices


_PLURAL = {"is": "are", "was": "were", "has": "have", "does": "do", "goes": "go"}
_NO_SUBJECT = frozenset({"about", "after", "by", "for", "from", "in", "of", "on", "to", "with", "without"})
"""Words behind which the topic is not what the verb belongs to: the trouble with cats *is* …"""


def about(line: str, topic: str) -> str:
    """Put the topic in its place, with verbs that agree where it looks like a plural."""

    def verb_behind(found: "re.Match[str]") -> str:
        before, verb = found[1] or "", found[2]
        if before.strip().lower() not in _NO_SUBJECT and not verb.endswith("ss") and verb != "as":
            verb = _PLURAL.get(verb, verb[:-1])
        return f"{before}{TOPIC} {verb}"

    def verb_before(found: "re.Match[str]") -> str:
        verb = _PLURAL[found[1].lower()]
        return f"{verb.capitalize() if found[1].istitle() else verb} {TOPIC}"

    if topic.endswith("s") and not topic.endswith(("ss", "us", "is")):
        line = re.sub(r"(\w+ )?\{topic\} (\w+s)\b", verb_behind, line)
        if "?" in line:
            line = re.sub(r"\b(is|was|has|does) \{topic\}", verb_before, line, flags=re.IGNORECASE)
    line = line.replace(TOPIC, topic)
    return line[:1].upper() + line[1:]


@functools.cache
def ngrams_of(corpus: str, order: int) -> Ngrams:
    """Return the model of one of the texts that ship with the demo: jokes, poems, notes or questions."""
    text = (resources.files("graphwire_gateway.demo") / "corpus" / f"{corpus}.txt").read_text("utf-8")
    return Ngrams(text.splitlines(), order)
