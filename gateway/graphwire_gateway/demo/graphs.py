"""The demo's graphs: two texts at once, research in subgraphs, a long job, a chat, and a form to fill in.

They are ordinary graphs, and run on LangGraph as well.
"""

import asyncio
import inspect
import operator
from collections.abc import Callable
from typing import Annotated, Any

from graphwire_runtime import END, START, MessagesState, Send, StateGraph, StreamWriter, interrupt
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from typing_extensions import NotRequired, TypedDict

from graphwire_gateway.demo.model import demo_model

ModelFactory = Callable[[list[str]], BaseChatModel]
"""Makes a chat model with these tags, by which clients can filter its tokens."""


class Topic(TypedDict):
    """What to write about."""

    topic: str


# ── two texts at once ───────────────────────────────────────────────────────────────────────


class JokeAndPoem(Topic):
    """A topic and what was written about it."""

    joke: str
    poem: str


def build_joke_and_poem(model: ModelFactory = demo_model) -> Any:
    """A joke and a poem about one topic, written at the same time by two models tagged joke and poem."""
    joke_model, poem_model = model(["joke"]), model(["poem"])

    async def write_joke(state: JokeAndPoem, config: RunnableConfig) -> dict[str, str]:
        reply = await joke_model.ainvoke(f"Write a joke about {state['topic']}", config)
        return {"joke": reply.text}

    async def write_poem(state: JokeAndPoem, config: RunnableConfig) -> dict[str, str]:
        reply = await poem_model.ainvoke(f"Write a short poem about {state['topic']}", config)
        return {"poem": reply.text}

    graph = StateGraph(JokeAndPoem, input_schema=Topic)
    graph.add_node("write_joke", write_joke)
    graph.add_node("write_poem", write_poem)
    graph.add_edge(START, "write_joke")
    graph.add_edge(START, "write_poem")
    graph.add_edge("write_joke", END)
    graph.add_edge("write_poem", END)
    return graph.compile()


# ── research in subgraphs ────────────────────────────────────────────────────────────────────────


class Findings(TypedDict):
    """What the researchers found, in the order of their questions."""

    findings: Annotated[list[str], operator.add]


class Research(Topic, Findings):
    """A topic, the questions it is divided into, and the summary of what was found."""

    questions: list[str]
    summary: str


class ResearchQuestion(Topic, Findings):
    """The state of one researcher, who has one question and a list of sources."""

    question: str
    sources: list[str]


SOURCES = ("the harbour records", "the blue notebook", "forty letters", "a map with a hole in it")


def build_research(model: ModelFactory = demo_model, reading_s: float = 0.4) -> Any:
    """Three questions about a topic, each researched by a subgraph of its own, and one summary."""
    planner, summarizer = model(["plan"]), model(["summary"])

    async def plan(state: Research, config: RunnableConfig) -> dict[str, list[str]]:
        reply = await planner.ainvoke(f"Write three questions, one a line, about {state['topic']}", config)
        lines = [line.strip(" -*.0123456789") for line in reply.text.splitlines()]
        return {"questions": [line for line in lines if line][:3]}

    def one_researcher_each(state: Research) -> list[Send]:
        return [
            Send("researcher", {"topic": state["topic"], "question": question})
            for question in state["questions"]
        ]

    async def summarize(state: Research, config: RunnableConfig) -> dict[str, str]:
        notes = "\n\n".join(state["findings"])
        reply = await summarizer.ainvoke(f"Write a summary about {state['topic']}\n\n{notes}", config)
        return {"summary": reply.text}

    graph = StateGraph(Research, input_schema=Topic)
    graph.add_node("plan", plan)
    graph.add_node("researcher", build_researcher(model, reading_s))
    graph.add_node("summarize", summarize)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", one_researcher_each, ["researcher"])
    graph.add_edge("researcher", "summarize")
    graph.add_edge("summarize", END)
    return graph.compile()


def build_researcher(model: ModelFactory = demo_model, reading_s: float = 0.4) -> Any:
    """One question: go through the sources in a subgraph of its own, and write an answer."""
    writer_model = model(["notes"])

    async def answer(state: ResearchQuestion, config: RunnableConfig) -> dict[str, list[str]]:
        prompt = f"Write a few notes about {state['topic']}\n\nThey answer: {state['question']}"
        reply = await writer_model.ainvoke(prompt, config)
        return {"findings": [f"{state['question']}\n{reply.text}"]}

    graph = StateGraph(ResearchQuestion, output_schema=Findings)
    graph.add_node("library", build_library(reading_s))
    graph.add_node("answer", answer)
    graph.add_edge(START, "library")
    graph.add_edge("library", "answer")
    graph.add_edge("answer", END)
    return graph.compile()


class Reading(TypedDict):
    """A question, and where to look for its answer."""

    question: str
    sources: list[str]


def build_library(reading_s: float = 0.4) -> Any:
    """A visit to the library: look up which sources there are, and note what turns up in each."""

    async def look_up(state: Reading) -> dict[str, list[str]]:
        return {"sources": list(SOURCES)}

    async def read(state: Reading, writer: StreamWriter) -> None:
        for source in state["sources"]:
            await asyncio.sleep(reading_s)
            pages = len(state["question"]) % len(source) + 1
            writer({"reading": source, "pages": pages})

    graph = StateGraph(Reading)
    graph.add_node("look_up", look_up)
    graph.add_node("read", read)
    graph.add_edge(START, "look_up")
    graph.add_edge("look_up", "read")
    graph.add_edge("read", END)
    return graph.compile()


# ── a long job ───────────────────────────────────────────────────────────────────────────────────


class Order(Topic):
    """What to make an index of, in how many steps of each phase and about how many seconds in all."""

    steps: NotRequired[int]
    seconds: NotRequired[float]


class IndexJob(Order):
    """An order and, in the end, a report."""

    report: str


PHASES = ("collecting", "sorting", "binding")


def build_longjob() -> Any:
    """A long job without any model: custom data tells its phase, how much is done, and how long it takes."""

    def phase_of(name: str) -> Callable[[IndexJob, StreamWriter], Any]:
        async def work(state: IndexJob, writer: StreamWriter) -> None:
            total, seconds = state.get("steps", 40), state.get("seconds", 9.0)
            pause = seconds / total / len(PHASES)
            phases_left = len(PHASES) - 1 - PHASES.index(name)
            for done in range(1, total + 1):
                await asyncio.sleep(pause)
                eta_s = round(pause * (total - done + total * phases_left), 1)
                writer({"phase": name, "done": done, "total": total, "eta_s": eta_s})

        return work

    async def report(state: IndexJob) -> dict[str, str]:
        return {"report": f"The index of {state['topic']} is bound and on its shelf."}

    graph = StateGraph(IndexJob, input_schema=Order)
    graph.add_node("report", report)
    previous = START
    for name in PHASES:
        graph.add_node(name, phase_of(name))
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, "report")
    graph.add_edge("report", END)
    return graph.compile()


# ── a chat ───────────────────────────────────────────────────────────────────────────────────────


def build_chat(model: ModelFactory = demo_model) -> Any:
    """A conversation that remembers, and that asks before it sends the mail that it was asked to write."""
    writer_model = model(["chat"])

    def wants_mail(state: MessagesState) -> str:
        return "propose" if "mail" in state["messages"][-1].text.lower() else "reply"

    async def propose(state: MessagesState) -> dict[str, Any]:
        request = state["messages"][-1]
        about = request.text.partition(" about ")[2].strip(" .!?") or "nothing in particular"
        call = {"name": "send_mail", "args": {"to": "everyone", "about": about}, "id": f"call-{request.id}"}
        return {"messages": [AIMessage("", tool_calls=[call])]}

    async def send_mail(state: MessagesState) -> dict[str, Any]:
        message = state["messages"][-1]
        assert isinstance(message, AIMessage)
        (call,) = message.tool_calls
        question = {"question": "Send this mail?", **call["args"]}
        is_allowed = interrupt(question, response_schema={"type": "boolean"})
        done = f"{'Sent a mail' if is_allowed else 'Sent no mail'} about {call['args']['about']}"
        return {"messages": [ToolMessage(done, tool_call_id=call["id"], name="send_mail")]}

    async def reply(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        return {"messages": [await writer_model.ainvoke(state["messages"], config)]}

    graph = StateGraph(MessagesState)
    graph.add_node("propose", propose)
    graph.add_node("send_mail", send_mail)
    graph.add_node("reply", reply)
    graph.add_conditional_edges(START, wants_mail, ["propose", "reply"])
    graph.add_edge("propose", "send_mail")
    graph.add_edge("send_mail", "reply")
    graph.add_edge("reply", END)
    return graph.compile()


# ── a form to fill in ────────────────────────────────────────────────────────────────────────────


class Destination(TypedDict):
    """Where to go."""

    place: str


class Journey(Destination):
    """A place, what is known of the way there, and the booking."""

    advice: str
    booking: dict[str, Any]
    ticket: str


BOOKING = {
    "title": "Booking",
    "type": "object",
    "properties": {
        "travellers": {"title": "Travellers", "type": "integer", "minimum": 1, "maximum": 9, "default": 2},
        "coach": {"title": "Class", "enum": ["second", "first"], "default": "second"},
        "and_back": {"title": "Return ticket", "type": "boolean", "default": True},
        "meals": {
            "title": "Meals on the way",
            "type": "array",
            "items": {"enum": ["breakfast", "lunch", "supper"]},
            "uniqueItems": True,
            "default": [],
        },
        "note": {
            "title": "Note for the conductor",
            "description": "Left out if there is none.",
            "anyOf": [{"type": "string", "maxLength": 200}, {"type": "null"}],
            "default": None,
        },
    },
    "required": ["travellers", "coach", "and_back"],
    "additionalProperties": False,
}
"""The JSON Schema of the answer that the journey asks for: a form in the console, checked by the server."""


def build_journey(model: ModelFactory = demo_model) -> Any:
    """A journey to a place: some advice about it, and a booking, for which it asks with a form."""
    guide = model(["advice"])

    async def advise(state: Journey, config: RunnableConfig) -> dict[str, str]:
        return {"advice": (await guide.ainvoke(f"Write notes about {state['place']}", config)).text}

    async def book(state: Journey) -> dict[str, Any]:
        question = {"question": f"Who travels to {state['place']}, and how?"}
        return {"booking": interrupt(question, response_schema=BOOKING)}

    async def write_ticket(state: Journey) -> dict[str, str]:
        booking = state["booking"]
        way = "there and back" if booking["and_back"] else "one way"
        meals = ", ".join(booking.get("meals") or ()) or "no meals"
        to = f"To {state['place']}, {way}: {booking['travellers']} in {booking['coach']} class, {meals}."
        return {"ticket": f"{to} {booking['note']}" if booking.get("note") else to}

    graph = StateGraph(Journey, input_schema=Destination)
    graph.add_node("advise", advise)
    graph.add_node("book", book)
    graph.add_node("write_ticket", write_ticket)
    graph.add_edge(START, "advise")
    graph.add_edge("advise", "book")
    graph.add_edge("book", "write_ticket")
    graph.add_edge("write_ticket", END)
    return graph.compile()


def _described(build: Callable[[], Any]) -> Any:
    """Build a graph; the builder's docstring is its description in a list of graphs."""
    graph = build()
    graph.description = inspect.getdoc(build)
    return graph


joke_and_poem = _described(build_joke_and_poem)
research = _described(build_research)
longjob = _described(build_longjob)
chat = _described(build_chat)
journey = _described(build_journey)
