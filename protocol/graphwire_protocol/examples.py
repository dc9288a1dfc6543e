"""One complete frame of each type as it looks on the wire, and the data of each of the protocol's own modes.

The reference shows them. A test validates each against its model, and fails for a frame type without an
example.
"""

from typing import Any, Final

_RUN: Final = "r-7c1e"
_EPOCH: Final = "e1"
_AT: Final = "2026-03-01T12:00:00.000Z"
_ROW: Final[dict[str, Any]] = {
    "run": _RUN,
    "graph": "joke",
    "metadata": {"tenant": "red"},
    "status": "running",
    "attempt": 1,
    "epoch": _EPOCH,
    "head": 31,
    "created_at": _AT,
    "started_at": _AT,
    "modes": ["messages", "updates"],
}
_THREAD: Final[dict[str, Any]] = {
    "graph": "joke",
    "thread": "t-1",
    "status": "running",
    "updated_at": _AT,
    "created_at": _AT,
    "run": _RUN,
    "metadata": {"title": "Cats"},
}

CLIENT: Final[tuple[dict[str, Any], ...]] = (
    {"type": "hello", "id": 1, "token": "s3cret", "client": {"name": "panel", "version": "2.1"}},
    {
        "type": "run",
        "id": 2,
        "run": _RUN,
        "graph": "joke",
        "input": {"topic": "cats"},
        "subscribe": [
            {"sub": 1, "filter": {"modes": ["messages"], "tags": ["poem"]}, "credit": 256},
            {"sub": 2, "filter": {"modes": ["updates"]}},
        ],
    },
    {
        "type": "subscribe",
        "id": 3,
        "sub": 1,
        "run": _RUN,
        "filter": {"modes": ["messages", "updates"], "namespaces": [["**"]]},
        "from": {"epoch": _EPOCH, "seq": 31},
        "credit": 256,
    },
    {"type": "watch", "id": 4, "sub": 3, "graphs": ["joke"], "metadata": {"tenant": "red"}},
    {"type": "unsubscribe", "id": 5, "sub": 1},
    {"type": "credit", "sub": 1, "events": 128},
    {"type": "cancel", "id": 6, "run": _RUN, "reason": "the user left"},
    {"type": "result", "id": 7, "run": _RUN},
    {"type": "list", "id": 8, "what": "runs", "status": ["running"], "limit": 20},
    {"type": "respond", "id": 9, "run": _RUN, "responses": [{"interrupt": "i1", "value": True}]},
    {"type": "state", "id": 10, "graph": "joke", "thread": "t-1", "keys": ["joke"]},
    {"type": "state_history", "id": 11, "graph": "joke", "thread": "t-1", "limit": 10},
    {
        "type": "state_update",
        "id": 12,
        "graph": "joke",
        "thread": "t-1",
        "checkpoint": "1f0e-01",
        "values": {"topic": "dogs"},
        "as_node": "refine",
    },
    {
        "type": "thread_update",
        "id": 14,
        "graph": "joke",
        "thread": "t-1",
        "metadata": {"title": "Cats", "draft": None},
    },
    {"type": "delete", "id": 13, "graph": "joke", "thread": "t-1"},
    {"type": "ping", "t": 1772366400000},
)
"""Frames of clients."""

SERVER: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "welcome",
        "id": 1,
        "server": {"name": "graphwire", "version": "0.1.0"},
        "minor": 0,
        "features": ["patch", "state", "watch"],
        "limits": {"max_frame_bytes": 1048576, "max_subscriptions": 1024, "max_run_s": None},
        "principal": "alice",
        "durability": "none",
    },
    {"type": "started", "id": 2, "run": _RUN, "epoch": _EPOCH, "created": True, "status": "running"},
    {
        "type": "subscribed",
        "id": 2,
        "sub": 1,
        "run": _RUN,
        "epoch": _EPOCH,
        "head": 0,
        "after": 0,
        "recovery": "live",
        "filter": {"modes": ["messages"], "tags": ["poem"]},
        "credit": 256,
    },
    {"type": "ok", "id": 7, "status": "completed", "output": {"topic": "cats", "joke": "A cat walks in."}},
    {"type": "ok", "id": 8, "runs": [_ROW]},
    {"type": "ok", "id": 14, "thread": _THREAD},
    {
        "type": "error",
        "id": 3,
        "code": "invalid_filter",
        "message": "subscribe.filter.tag: not a field that this server knows",
        "retry": "never",
        "details": {"errors": [{"path": "filter.tag", "reason": "not a field that this server knows"}]},
    },
    {
        "type": "error",
        "id": 9,
        "code": "rate_limited",
        "message": "more than 200 requests a second (request_burst is 1000)",
        "retry": "after",
        "after_ms": 5,
    },
    {"type": "pong", "t": 1772366400000},
    {"type": "notice", "code": "deprecated", "message": "this token ends soon", "expires_at": _AT},
    {"type": "goaway", "reason": "draining", "deadline_s": 30, "after_ms": 1000},
    {
        "type": "event",
        "sub": 1,
        "n": 2,
        "seq": 5,
        "mode": "messages",
        "node": "write_poem",
        "data": {"id": "m1", "delta": {"type": "AIMessageChunk", "content": "Soft"}},
        "meta": {"langgraph_node": "write_poem", "tags": ["poem"]},
    },
    {
        "type": "event",
        "sub": 2,
        "n": 3,
        "seq": 12,
        "mode": "updates",
        "ns": ["researcher:6f0a"],
        "node": "answer",
        "data": {"answer": {"findings": ["a blue notebook"]}},
    },
    {"type": "gap", "sub": 1, "after_seq": 31, "upto_seq": 408, "reason": "evicted", "lost": ["custom"]},
    {
        "type": "snapshot",
        "sub": 1,
        "seq": 408,
        "status": "running",
        "values": {"topic": "cats"},
        "messages": [
            {
                "id": "m1",
                "ns": [],
                "node": "write_poem",
                "message": {"type": "AIMessageChunk", "content": "Softly they"},
                "meta": {"tags": ["poem"]},
            }
        ],
        "interrupts": [],
    },
    {"type": "synced", "sub": 1, "seq": 408},
    {"type": "mark", "sub": 2, "seq": 977, "n": 41},
    {"type": "run_info", "sub": 3, **_ROW},
    {"type": "run_gone", "sub": 3, "run": _RUN, "reason": "deleted"},
    {"type": "thread_info", "sub": 4, **_THREAD},
    {"type": "thread_gone", "sub": 4, "graph": "joke", "thread": "t-1", "reason": "deleted"},
    {
        "type": "closed",
        "sub": 1,
        "reason": "end",
        "seq": 980,
        "status": "completed",
        "delivered": 212,
        "skipped": 768,
    },
)
"""Frames of servers."""

DATA: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "lifecycle": (
        {"status": "running", "attempt": 1, "at": _AT},
        {
            "status": "failed",
            "attempt": 1,
            "at": _AT,
            "error": {
                "code": "graph_error",
                "message": "the graph raised an error (error_id 5b1c)",
                "error_id": "5b1c",
            },
        },
    ),
    "interrupt": (
        {"interrupts": [{"id": "i1", "value": "Send it?", "ns": [], "response_schema": {"type": "boolean"}}]},
    ),
    "messages": (
        {"id": "m1", "delta": {"type": "AIMessageChunk", "content": "Soft"}},
        {"id": "m2", "message": {"type": "human", "content": "A poem, please.", "id": "m2"}},
    ),
}
"""The data of the modes that are this protocol's own."""
