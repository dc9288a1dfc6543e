"""Talk to the travel desk on a thread: python client.py ann "I want to go to Oslo"

Without a text it goes on where the thread stands: after a crash of the server, or of this program.
"""

import asyncio
import os
import sys
from typing import Any

import graphwire


async def main(thread: str, text: str | None = None) -> None:
    """Say something, or go on; print what the agents say, and ask the person who is in front."""
    url = os.environ.get("GRAPHWIRE_URL", "ws://127.0.0.1:8765/ws")
    async with graphwire.connect(url) as client:
        said = None if text is None else {"messages": [{"role": "user", "content": text}]}
        command = None
        if said is None:
            state = await client.state("trip", thread)
            if not state.next:
                print("Nothing is left to do.")
                return
            if state.interrupts:
                command = {"resume": decisions(state.interrupts[0].value)}
        while True:
            run = await client.run(
                "trip",
                said,
                command=command,
                thread=thread,
                modes=["messages", "custom"],
                namespaces=[["**"]],  # of the agents in it, too
                nodes=["model", "tools"],
            )
            async for event in run:
                show(event)
            try:
                await run.result()
                return
            except graphwire.RunInterrupted as asks:
                said, command = None, {"resume": decisions(asks.interrupts[0].value)}


def show(event: graphwire.Event) -> None:
    """Print the words of the agents, and what their tools report."""
    match event:
        case graphwire.MessagesEvent(node="model", message=message) if message.text:
            print(message.text, end="" if message.text.endswith(" ") else "\n", flush=True)
        case graphwire.CustomEvent(data=data):
            print(data)


def decisions(question: dict[str, Any]) -> dict[str, Any]:
    """Ask about each action that the middleware holds back."""
    answers: list[dict[str, str]] = []
    for action in question["action_requests"]:
        answer = input(f"{action['name']} {action['args']}? Type yes, or why not: ")
        answers.append({"type": "approve"} if answer == "yes" else {"type": "reject", "message": answer})
    return {"decisions": answers}


asyncio.run(main(*sys.argv[1:]))
