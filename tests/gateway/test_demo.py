"""The demo's model and the text that it learns from.

About `gateway/graphwire_gateway/demo/model.py` and `gateway/graphwire_gateway/demo/ngrams.py`.
"""

import asyncio
import functools
import sys
import time
from importlib import resources
from typing import Any

import pytest
from graphwire_gateway.demo.model import GENRES, VARIABLE, NgramChatModel, demo_model
from graphwire_gateway.demo.ngrams import TOPIC, about
from langchain_core.messages import HumanMessage, SystemMessage

unpaced = functools.partial(demo_model, tokens_per_second=0, seed=1)
CORPUS = resources.files("graphwire_gateway.demo") / "corpus"


def lines_of(corpus: str) -> list[str]:
    return (CORPUS / f"{corpus}.txt").read_text("utf-8").splitlines()


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


# ── the text ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("corpus", "least"), [("jokes", 200), ("poems", 200), ("notes", 200), ("questions", 60)]
)
def test_the_text_is_made_of_short_lines_of_its_own(corpus: str, least: int) -> None:
    lines = lines_of(corpus)
    assert len(lines) >= least
    assert len(set(lines)) == len(lines)
    assert all(line == " ".join(line.split()) and len(line) < 125 for line in lines)
    assert all(line.count("{") == line.count("}") == line.count(TOPIC) for line in lines)
    assert sum(TOPIC in line for line in lines) > len(lines) / 3


@pytest.mark.parametrize(
    ("line", "topic", "said"),
    [
        ("{topic} was late", "tea", "Tea was late"),
        ("{topic} was late", "cats", "Cats were late"),
        ("{topic} was late", "chess", "Chess was late"),
        ("the trouble with {topic} is soup", "cats", "The trouble with cats is soup"),
        ("in theory {topic} follows the moon", "cats", "In theory cats follow the moon"),
        ("How was {topic} found?", "cats", "How were cats found?"),
        ("Does {topic} sleep?", "cats", "Do cats sleep?"),
        ("Why did {topic} cross the road?", "cats", "Why did cats cross the road?"),
        ("I saw {topic} as a boat", "cats", "I saw cats as a boat"),
        ("the world is {topic}", "cats", "The world is cats"),
        ("{topic}", "a \\1 {topic}", "A \\1 {topic}"),
    ],
)
def test_a_line_is_about_its_topic_in_its_number(line: str, topic: str, said: str) -> None:
    assert about(line, topic) == said


# ── the model ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("prompt", "corpus", "lines"),
    [
        ("Write a joke about ice cream", "jokes", 3),
        ("Write a short Poem about ice cream.", "poems", 9),
        ("Write three questions about ice cream", "questions", 3),
        ("Write research notes about ice cream", "notes", 1),
        ("Write a summary about ice cream\n\nThis joke is a note.", "notes", 1),
        ("Tell me what you know about ice cream!", "notes", 1),
    ],
)
def test_the_model_writes_what_the_prompt_asks_for(prompt: str, corpus: str, lines: int) -> None:
    reply = unpaced().invoke(prompt).text
    assert "ice cream" in reply.lower()
    assert TOPIC not in reply
    written = reply.split("\n\n" if corpus == "jokes" else "\n")
    assert len(written) == lines
    known = {word.strip(".,?").lower() for line in lines_of(corpus) for word in line.split()} | {
        "ice",
        "cream",
    }
    assert {word.strip(".,?").lower() for word in reply.split()} <= known


@pytest.mark.parametrize("topic", ["jokes", "poems and questions"])
def test_a_topic_that_sounds_like_another_request_is_only_a_topic(topic: str) -> None:
    reply = unpaced().invoke(f"Write notes about {topic}").text
    assert topic in reply.lower()
    assert "\n" not in reply


def test_equal_prompts_get_equal_replies_under_a_seed_and_other_prompts_other_ones() -> None:
    prompt = "Write a poem about cats"
    assert unpaced().invoke(prompt).text == unpaced().invoke(prompt).text
    replies = {unpaced(seed=seed).invoke(prompt).text for seed in range(5)}
    assert len(replies) == 5
    free = demo_model(tokens_per_second=0)
    assert len({free.invoke(prompt).text for _ in range(5)}) > 1


def test_most_lines_are_new_and_none_stands_twice_in_a_reply() -> None:
    known = {about(line, "tea") for line in lines_of("poems")}
    for seed in range(20):
        lines = [line for line in unpaced(seed=seed).invoke("A poem about tea").text.split("\n") if line]
        assert len(set(lines)) == len(lines) == 8
        assert sum(line in known for line in lines) <= 2


def test_the_prompt_is_the_last_message_and_may_be_anything() -> None:
    model = unpaced()
    messages = [SystemMessage("You write poems about dogs."), HumanMessage("A joke about tea")]
    assert model.invoke(messages).text == model.invoke("A joke about tea").text
    for odd in ("", "?!", "about", "\n\n", "a" * 10_000):
        assert model.invoke(odd).text


def test_a_reply_ends_before_a_stop_word() -> None:
    reply = unpaced().invoke("Write a joke about tea").text
    assert unpaced().invoke("Write a joke about tea", stop=["\n\n"]).text == reply.partition("\n\n")[0]


async def test_the_tokens_of_every_way_to_ask_are_the_same_reply() -> None:
    model, prompt = unpaced(), "Write a poem about the sea"
    whole = model.invoke(prompt).text
    assert "".join(chunk.text for chunk in model.stream(prompt)) == whole
    tokens = [chunk.text async for chunk in model.astream(prompt)]
    assert "".join(tokens) == whole
    assert (await model.ainvoke(prompt)).text == whole
    assert len(tokens) > 40


async def test_tokens_come_at_their_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", asleep)
    monkeypatch.setattr(time, "sleep", slept.append)
    assert demo_model().tokens_per_second == 30  # type: ignore[attr-defined]
    tokens = [
        chunk.text for chunk in demo_model(tokens_per_second=20).stream("A joke about tea") if chunk.text
    ]
    assert slept == [1 / 20] * len(tokens)
    slept.clear()
    tokens = [chunk.text async for chunk in demo_model().astream("A joke about tea") if chunk.text]
    assert slept == [1 / 30] * len(tokens)


@pytest.mark.parametrize(
    "model",
    [
        demo_model(["joke"], tokens_per_second=0),
        NgramChatModel(tokens_per_second=0).with_config(tags=["joke"]),
    ],
)
def test_tags_are_reported_with_every_call_however_they_were_given(model: Any) -> None:
    from langchain_core.callbacks import BaseCallbackHandler

    reported: list[list[str]] = []

    class Ear(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, tags: list[str], **kwargs: Any) -> None:
            reported.append(tags)

    model.invoke("A joke about tea", {"callbacks": [Ear()]})
    assert reported == [["joke"]]


# ── a real model instead ───────────────────────────────────────────────────────────────────────


def test_without_the_variable_the_model_is_the_toy() -> None:
    assert isinstance(demo_model(["joke"]), NgramChatModel)
    assert demo_model(["joke"]).tags == ["joke"]


def test_the_variable_puts_a_real_model_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    chat_models = pytest.importorskip("langchain.chat_models")
    asked: list[Any] = []
    monkeypatch.setattr(chat_models, "init_chat_model", lambda *args, **kw: asked.append((args, kw)))
    monkeypatch.setenv(VARIABLE, "openai:gpt-4o-mini")
    demo_model(["joke"], tokens_per_second=5)
    assert asked == [(("openai:gpt-4o-mini",), {"tags": ["joke"]})]


def test_a_missing_langchain_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    monkeypatch.setenv(VARIABLE, "openai:gpt-4o-mini")
    with pytest.raises(RuntimeError, match=r"openai:gpt-4o-mini needs .*pip install langchain"):
        demo_model()


def test_a_missing_provider_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain.chat_models")
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    monkeypatch.setenv(VARIABLE, "openai:gpt-4o-mini")
    with pytest.raises(RuntimeError, match=r"pip install .*langchain-openai"):
        demo_model()


def test_a_name_that_is_no_model_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain.chat_models")
    monkeypatch.setenv(VARIABLE, "nobody:nothing")
    with pytest.raises(RuntimeError, match=r"GRAPHWIRE_DEMO_MODEL=nobody:nothing"):
        demo_model()


def test_every_genre_has_its_text() -> None:
    assert {genre.corpus for genre in GENRES} == {path.name[:-4] for path in CORPUS.iterdir()}
