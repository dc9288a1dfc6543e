"""What a type checker makes of a run's events in ``match``: each case has its fields, and none is missing."""

from typing import Any

import graphwire
from typing_extensions import assert_never, assert_type


async def use(run: graphwire.Run) -> str:
    async for event in run:
        assert_type(event.seq, int)
        assert_type(event.namespace, tuple[str, ...])
        match event:
            case graphwire.MessagesEvent(message=message, metadata=metadata):
                assert_type(message, graphwire.Message)
                assert_type(metadata, dict[str, Any])
                assert_type(message.text, str)
            case graphwire.ValuesEvent(interrupts=marks) | graphwire.UpdatesEvent(interrupts=marks):
                assert_type(marks, tuple[graphwire.Interrupt, ...] | None)
            case graphwire.InterruptEvent(interrupts=asks):
                assert_type(asks, tuple[graphwire.Interrupt, ...])
            case graphwire.LifecycleEvent(error=error):
                assert_type(error, graphwire.Failure | None)
            case graphwire.GapEvent(lost=lost):
                assert_type(lost, tuple[str, ...])
            case graphwire.SnapshotEvent(messages=messages):
                assert_type(messages, tuple[graphwire.SnapshotMessage, ...])
            case graphwire.CustomEvent() | graphwire.TasksEvent() | graphwire.CheckpointsEvent():
                pass
            case graphwire.DebugEvent() | graphwire.UnknownEvent():
                pass
            case _:
                assert_never(event)
    first = graphwire.MessageChunk("AIMessageChunk", "Hel")
    return (first + graphwire.MessageChunk("AIMessageChunk", "lo")).text
