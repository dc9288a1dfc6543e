"""This package as a client for `graphwire conformance client` to judge.

Try it with: graphwire conformance client -- python clients/python/examples/conformance_client.py
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import graphwire
from graphwire.backoff import Backoff


async def follow(environment: Mapping[str, str], show: Callable[[dict[str, Any]], None]) -> None:
    """Run the task in ``GRAPHWIRE_TASK`` against ``GRAPHWIRE_URL``; call ``show`` with every event."""
    task = json.loads(environment["GRAPHWIRE_TASK"])
    backoff = Backoff(first_s=0.02, longest_s=0.1)
    try:
        async with graphwire.connect(environment["GRAPHWIRE_URL"], backoff=backoff) as client:
            run = await client.run(
                task["graph"], task["input"], run=task["run"], window=task["window"], **task["filter"]
            )
            while True:
                async for event in run:
                    show({"seq": event.seq, "mode": event.mode, "data": shown(event)})
                if run.status != "interrupted" or "answer" not in task:
                    break
                try:
                    await run.respond({asked.id: task["answer"] for asked in run.interrupts})
                except graphwire.Refused as refused:
                    if refused.code != "conflict":  # the question was answered by another client
                        raise
            show({"end": run.status})
    except graphwire.GraphwireError as error:
        show({"end": "error", "why": str(error)})


def shown(event: graphwire.Event) -> Any:
    """Return an event's data in the form that the conformance kit compares."""
    match event:
        case graphwire.MessagesEvent(message=message, metadata=metadata):
            return {"id": message.id, "content": message.content, "node": metadata.get("langgraph_node")}
        case graphwire.LifecycleEvent(status=status):
            return {"status": status}
        case graphwire.InterruptEvent(interrupts=interrupts):
            return {"interrupts": [{"id": asked.id, "value": asked.value} for asked in interrupts]}
        case graphwire.GapEvent(after_seq=after, upto_seq=upto, reason=reason, lost=lost):
            return {"after_seq": after, "upto_seq": upto, "reason": reason, "lost": list(lost)}
        case graphwire.SnapshotEvent(status=status, values=values, messages=messages):
            contents = [{"id": item.message.id, "content": item.message.content} for item in messages]
            root = {} if values is None else {"values": values}
            return {"status": status, "messages": contents, **root}
    return event.data


if __name__ == "__main__":
    asyncio.run(follow(os.environ, lambda line: print(json.dumps(line), flush=True)))
