"""What a fake provider is told to say, and what it was asked."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Call:
    """A call of a tool that the model asks for."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)

    def pieces(self) -> list[str]:
        """Return the arguments' JSON in the pieces in which it is streamed."""
        text = json.dumps(self.args)
        return [text[at : at + 5] for at in range(0, len(text), 5)]


@dataclass(frozen=True)
class Say:
    """One answer: its tokens, then its calls of tools, then how it ends.

    ``cut`` closes the connection in the middle of the answer, ``error`` sends the provider's error event,
    ``hang`` says nothing more until it is released. Another ``status`` than 200 is answered at once.
    """

    tokens: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    end: Literal["done", "cut", "error", "hang"] = "done"
    status: int = 200

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.tokens)


@dataclass(frozen=True)
class Asked:
    """One request to a model."""

    path: str
    body: dict[str, Any]

    @property
    def last(self) -> str:
        """The last message, as JSON: what the answer is chosen by."""
        return json.dumps(self.body["messages"][-1], ensure_ascii=False)

    @property
    def streams(self) -> bool:
        """Whether the answer is wanted piece by piece."""
        return bool(self.body.get("stream"))

    @property
    def id(self) -> str:
        """A name for the answer: the same for the same question."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()[:12]
