"""The demo's chat model: n-grams of a small text, streamed at the pace of a real model.

It needs no key, no download and no network. ``demo_model`` returns a real model instead, if the environment
names one.
"""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from graphwire_gateway.demo.ngrams import about, ngrams_of

VARIABLE = "GRAPHWIRE_DEMO_MODEL"
"""The environment variable that names a real model, as ``provider:model``."""


class Genre(NamedTuple):
    """What to write if ``word`` is in the prompt: ``length`` lines of ``corpus``, joined by ``between``."""

    word: str
    corpus: str
    length: int
    between: tuple[str, ...]  # used in turn


GENRES = (
    Genre("joke", "jokes", 3, ("\n\n",)),
    Genre("poem", "poems", 8, ("\n", "\n", "\n", "\n\n")),
    Genre("question", "questions", 3, ("\n",)),
    Genre("", "notes", 4, (" ",)),
)


class NgramChatModel(BaseChatModel):
    """A toy that writes jokes, poems, questions or notes about the topic of the prompt.

    With a ``seed``, equal prompts get equal replies. ``tokens_per_second`` is the pace; 0 means no pauses.
    ``order`` is the length of the n-grams in words.
    """

    seed: int | None = None
    tokens_per_second: float = Field(default=30.0, ge=0)
    order: int = Field(default=4, ge=2)

    @property
    def _llm_type(self) -> str:
        return "graphwire-ngram"

    def _tokens(self, messages: list[BaseMessage], stop: list[str] | None) -> Iterator[str]:
        prompt = str(messages[-1].text)
        request = prompt.partition("\n")[0]
        asked = request.lower().partition(" about ")[0]
        genre = next(genre for genre in GENRES if genre.word in asked)
        chance = random.Random(None if self.seed is None else f"{self.seed} {prompt}")
        ngrams, lines = ngrams_of(genre.corpus, self.order), list[str]()
        text = ""
        for number in range(genre.length):
            lines.append(ngrams.line(chance, lines))
            text += genre.between[(number - 1) % len(genre.between)] if number else ""
            text += about(lines[-1], _topic(request))
        for end in stop or ():
            text = text.partition(end)[0]
        yield from re.findall(r"\s*(?:[\w'’-]+|[^\w\s])", text)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for token in self._tokens(messages, stop):
            if self.tokens_per_second:
                time.sleep(1 / self.tokens_per_second)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=token))
            if run_manager:
                run_manager.on_llm_new_token(token, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for token in self._tokens(messages, stop):
            await asyncio.sleep(1 / self.tokens_per_second if self.tokens_per_second else 0)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=token))
            if run_manager:
                await run_manager.on_llm_new_token(token, chunk=chunk)
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))


def _topic(request: str) -> str:
    found = re.search(r"\babout\s+(.+?)[\s.:!?]*$", request)
    return (found[1] if found else request.strip(" .:!?") or "nothing")[:60]


def demo_model(tags: Sequence[str] | None = None, **options: Any) -> BaseChatModel:
    """Return the toy model, or the one that GRAPHWIRE_DEMO_MODEL names as ``provider:model``.

    ``options`` are for the toy. Raises ``RuntimeError`` for a model that is unknown or not installed.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return NgramChatModel(tags=list(tags or ()), **options)
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise RuntimeError(f"{VARIABLE}={name} needs LangChain: pip install langchain") from None
    try:
        return init_chat_model(name, tags=list(tags or ()))
    except ImportError as error:
        raise RuntimeError(f"{VARIABLE}={name} needs the package of its provider: {error}") from None
    except ValueError as error:
        raise RuntimeError(f"{VARIABLE}={name} is not a known 'provider:model': {error}") from None
