"""Messages that nodes push while they are at work, and OpenAI's format, beside the same of LangGraph's.

About `runtime/graphwire_runtime/step/push.py`, `runtime/graphwire_runtime/step/ui.py` and
`runtime/graphwire_runtime/stream/messages.py`.
"""

from types import SimpleNamespace
from typing import Annotated, Any

import graphwire_runtime
import langgraph.graph.message
import langgraph.graph.ui
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks"]
WORDS = {
    "ours": graphwire_runtime,
    "theirs": SimpleNamespace(**{**vars(langgraph.graph.message), **vars(langgraph.graph.ui)}),
}
"""The functions that push, of either library."""


def schema_of(words: Any) -> Any:
    class Talk(TypedDict, total=False):
        messages: Annotated[list[Any], words.add_messages]
        ui: Annotated[list[Any], words.ui_message_reducer]

    return Talk


def line(lib: Any, words: Any, *nodes: Any, saver: Any = None) -> Any:
    graph = lib.StateGraph(schema_of(words))
    graph.add_sequence(nodes).add_edge("__start__", nodes[0][0])
    return graph.compile(saver)


def says(words: Any) -> Any:
    def say(state: Any) -> Any:
        words.push_message(AIMessage("first", id="p"))
        words.push_message(AIMessage("aside", id="q"), state_key=None)
        return {"messages": [AIMessage("last", id="r"), AIMessage("first again", id="p")]}

    return say


def without_id(words: Any) -> Any:
    return lambda state: words.push_message(("ai", "no id")) and None


def nested(lib: Any, words: Any) -> Any:
    inner = line(lib, words, ("speaks", says(words)))
    return line(lib, words, ("inner", inner))


def from_a_tool(words: Any) -> Any:
    @tool
    def speak(text: str) -> str:
        """Speak."""
        words.push_message(AIMessage(text, id="t"))
        words.push_ui_message("toast", {"text": text}, id="u")
        return text

    return lambda state: {"messages": [ToolMessage(speak.invoke({"text": "hi"}), tool_call_id="1", id="x")]}


def draws(words: Any) -> Any:
    def draw(state: Any) -> Any:
        words.push_ui_message("chart", {"n": 1, "x": 2}, id="u", message=AIMessage("m", id="m"))
        words.push_ui_message("chart", {"n": 2}, id="u", metadata={"by": "me"}, merge=True)
        words.push_ui_message("note", {}, id="v", message={"id": "d"}, state_key=None)
        words.push_ui_message("list", {}, id="w")

    return draw


def wipes(words: Any) -> Any:
    return lambda state: words.delete_ui_message("u") and None


def wipes_nothing(words: Any) -> Any:
    return lambda state: words.delete_ui_message("nobody") and None


def fails(words: Any) -> Any:
    def fail(state: Any) -> Any:
        words.push_message(AIMessage("lost", id="p"))
        raise LookupError

    return fail


INSIDE = "messages of a graph inside"
CASES: dict[str, tuple[Any, Any]] = {
    "messages": (lambda lib, w: line(lib, w, ("one", says(w)), ("two", lambda state: state)), {"ui": []}),
    "a message without an id": (lambda lib, w: line(lib, w, ("one", without_id(w))), {"ui": []}),
    INSIDE: (nested, {"ui": []}),
    "in a tool": (lambda lib, w: line(lib, w, ("one", from_a_tool(w))), {"messages": ["hi"]}),
    "components": (lambda lib, w: line(lib, w, ("one", draws(w)), ("two", wipes(w))), {"ui": []}),
    "the removal of nothing": (lambda lib, w: line(lib, w, ("one", wipes_nothing(w))), {"ui": []}),
    "before a failure": (lambda lib, w: line(lib, w, ("one", fails(w)), saver=InMemorySaver()), {"ui": []}),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("name", "subgraphs"), [*((name, True) for name in CASES), (INSIDE, False)])
async def test_pushed_messages_are_streamed_and_kept_as_in_langgraph(
    name: str, subgraphs: bool, how: str
) -> None:
    build, value = CASES[name]
    told: dict[str, Any] = {}
    for lib, words in ((OURS, "ours"), (OURS, "theirs"), (THEIRS, "ours"), (THEIRS, "theirs")):
        config = {"configurable": {"thread_id": "1"}, "tags": ["tag"], "run_name": "run"}
        graph = build(lib, WORDS[words])
        told[f"{lib is OURS} {words}"] = await recorded(
            graph, value, how, config=config, stream_mode=MODES, subgraphs=subgraphs
        )
    expected = told["False theirs"]
    assert expected[0], "the run shows something"
    for chunks in told.values():
        assert chunks == expected


def test_nothing_is_pushed_where_no_node_runs() -> None:
    for push in (
        lambda: graphwire_runtime.push_message(AIMessage("m", id="m")),
        lambda: graphwire_runtime.push_ui_message("chart", {}),
        lambda: graphwire_runtime.delete_ui_message("u"),
    ):
        with pytest.raises(RuntimeError, match="no node is running"):
            push()


@pytest.mark.parametrize("words", WORDS)
def test_a_key_that_the_state_does_not_have_is_refused(words: str) -> None:
    """LangGraph logs a warning, and the message is lost."""
    push = WORDS[words].push_message
    graph = line(
        OURS, graphwire_runtime, ("one", lambda state: push(AIMessage("", id="1"), state_key="mesages"))
    )
    with pytest.raises(graphwire_runtime.InvalidUpdateError, match="'mesages', which is no key"):
        graph.invoke({"ui": []})


async def test_a_pushed_message_without_a_key_of_its_own_is_not_kept() -> None:
    graph = line(OURS, graphwire_runtime, ("one", says(graphwire_runtime)))
    assert [message.id for message in (await graph.ainvoke({"ui": []}))["messages"]] == ["p", "r"]


BLOCKS = [
    {"type": "text", "text": "Look:", "cache_control": {"type": "ephemeral"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "1234"}},
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("how", HOWS)
async def test_messages_have_openais_format_as_in_langgraph(words: str, how: str) -> None:
    def build(lib: Any) -> Any:
        class Talk(TypedDict):
            messages: Annotated[list[Any], WORDS[words].add_messages(format="langchain-openai")]

        answer = {"messages": [{"role": "user", "content": BLOCKS}, HumanMessage("plain", id="2")]}
        graph = lib.StateGraph(Talk).add_node("one", lambda state: answer)
        return graph.add_edge("__start__", "one").compile()

    def content(chunks: Any) -> Any:
        return [message[:2] for message in chunks[0][-1]["messages"]]

    ours, theirs = [
        await recorded(build(lib), {"messages": [("ai", "hi")]}, how, stream_mode="values")
        for lib in (OURS, THEIRS)
    ]
    assert content(ours) == content(theirs)
    assert content(ours)[1][1][1]["type"] == "image_url"


def test_a_formatted_list_keeps_the_ids() -> None:
    merge = graphwire_runtime.add_messages(format="langchain-openai")
    (message,) = merge([HumanMessage(BLOCKS, id="1")], [HumanMessage(BLOCKS[:1], id="1")])
    assert (message.id, message.content) == ("1", "Look:")


@pytest.mark.parametrize(
    "call",
    [
        lambda words: words.add_messages([("ai", "x")]),
        lambda words: words.add_messages(None, [("ai", "x")]),
        lambda words: words.add_messages([], [], format="openai"),
    ],
)
def test_add_messages_refuses_what_langgraph_refuses(call: Any) -> None:
    for words in WORDS.values():
        with pytest.raises(ValueError):  # noqa: PT011
            call(words)


UI = {"type": "ui", "name": "chart", "props": {"n": 1}, "metadata": {}}
REMOVAL = {"type": "remove-ui", "id": "1"}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([], {**UI, "id": "1"}),
        ({**UI, "id": "1"}, {**UI, "id": "2"}),
        ([{**UI, "id": "1"}], [{**UI, "id": "1", "props": {"m": 2}}]),
        ([{**UI, "id": "1"}], [{**UI, "id": "1", "props": {"m": 2}, "metadata": {"merge": True}}]),
        ([{**UI, "id": "1"}, {**UI, "id": "2"}], [REMOVAL]),
        ([{**UI, "id": "1"}], [REMOVAL, {**UI, "id": "1", "name": "back"}]),
        ([{**UI, "id": "1"}], [{**UI, "id": "1", "name": "gone"}, REMOVAL]),
    ],
)
def test_components_are_merged_as_in_langgraph(left: Any, right: Any) -> None:
    before = View()([left, right])
    ours, theirs = (words.ui_message_reducer(left, right) for words in WORDS.values())
    assert ours == theirs
    assert View()([left, right]) == before, "the arguments stay as they are"
