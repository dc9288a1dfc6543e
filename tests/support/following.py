"""A chat whose messages say how it goes, and pages that follow it and check every event as it comes."""

from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import graphwire
from graphwire_protocol.types import TERMINAL
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from tests.support.graphs import Gate, Hesitant, Library, Speaker
from tests.support.questions import words

Shown: TypeAlias = tuple[tuple[str, str | None, str], ...]
"""Messages as their types, ids and texts."""


class Chat(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]


class Gates(dict[str, Gate]):
    def __missing__(self, name: str) -> Gate:
        self[name] = Gate()
        return self[name]


def chat(lib: Library, gates: Gates, saver: Any) -> Any:
    """Two answers to each message, whose text says how the second one goes."""

    async def think(state: Chat) -> Chat:
        lib.get_stream_writer()({"thinking": True})
        return {"messages": [await Speaker(words=["well ", "now"]).ainvoke("?")]}

    async def answer(state: Chat) -> Chat:
        said = next(m.content for m in reversed(state["messages"]) if m.type == "human")
        reply = words(lib).interrupt("sure?") if said.startswith("ask") else "yes"
        if said.startswith("fail"):
            raise ValueError(said)
        gate = gates[said]
        if not said.startswith("hold"):
            gate.open()
        model = Hesitant(words=["I ", "say ", str(reply)], gate=gate, at=1)
        return {"messages": [await model.ainvoke("?")]}

    graph = lib.StateGraph(Chat).add_node(think).add_node(answer)
    graph.add_edge(lib.START, "think").add_edge("think", "answer").add_edge("answer", lib.END)
    return graph.compile(checkpointer=saver)


def shown(messages: Any) -> Shown:
    return tuple((m.type.removesuffix("MessageChunk").lower(), m.id, m.text) for m in messages)


@dataclass
class Page:
    """One page: it follows the thread and checks every event as it comes."""

    follower: graphwire.ThreadFollower
    ends: list[tuple[str, Shown]] = field(default_factory=list)
    bases: list[tuple[str, str, Shown]] = field(default_factory=list)
    logs: dict[str, list[int]] = field(default_factory=dict)
    holes: set[str] = field(default_factory=set)
    discards: int = 0
    number: int | None = None
    current: str | None = None
    checkpoint: str = ""
    has_ended: bool = True
    faults: list[str] = field(default_factory=list)

    async def read(self) -> None:
        async for event in self.follower:
            self.see(event)

    def see(self, event: Any) -> None:
        match event:
            case graphwire.FollowRun(run=run, number=number, checkpoint=checkpoint):
                self.checkpoint = checkpoint or ""
                self.check(self.number in (None, number - 1), f"{number} follows {self.number}")
                self.check(self.has_ended, f"{self.current} has no end")
                self.number, self.current, self.has_ended = number, run, False
                self.logs[run] = []
                self.holes.discard(run)
            case graphwire.FollowDiscard(reason=reason, run=run):
                self.discards += 1
                if reason == "lost":
                    self.check(run == self.current, "another run is lost than the one that is read")
                if self.current is not None and not self.has_ended:
                    self.holes.add(self.current)
                self.number, self.has_ended = None, True
            case graphwire.FollowMessages(because="end", run=run, messages=messages):
                self.check(run == self.current and self.has_ended, "an end without an end")
                self.ends.append((run or "", shown(messages)))
            case graphwire.FollowMessages(because="start", run=run, messages=messages):
                self.bases.append((run or "", self.checkpoint, shown(messages)))
            case graphwire.FollowMessages():
                pass
            case _:
                log = self.logs[event.run]
                self.check(event.run == self.current, "an event of another run")
                if isinstance(event, graphwire.GapEvent | graphwire.SnapshotEvent):
                    self.holes.add(event.run)
                else:
                    self.check(not log or event.seq > log[-1], f"{event.seq} follows {log[-3:]}")
                    log.append(event.seq)
                if isinstance(event, graphwire.LifecycleEvent):
                    self.has_ended = event.status in TERMINAL

    def check(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)


def as_message(message: Any) -> graphwire.Message:
    return graphwire.Message(message.type, message.content, id=message.id)
