"""The two streaming APIs that the fake provider speaks, as bytes: OpenAI's and Anthropic's."""

import json
from typing import Any, Protocol

from tests.support.providers.script import Asked, Say


class Dialect(Protocol):
    """How one provider writes an answer."""

    def streamed(self, asked: Asked, say: Say) -> tuple[list[bytes], list[bytes]]:
        """Return the server-sent events of what is said, and those that end an answer which is complete."""

    def whole(self, asked: Asked, say: Say) -> dict[str, Any]:
        """Return the answer that is not streamed."""

    def error_event(self) -> bytes:
        """Return the event that breaks a stream off."""

    def refusal(self, status: int) -> dict[str, Any]:
        """Return the body of an HTTP error."""


REFUSALS = {
    400: ("invalid_request_error", "the script of the fake provider has no answer to that"),
    429: ("rate_limit_error", "Rate limit reached for requests"),
    500: ("api_error", "The server had an error while processing your request"),
}
BROKEN_OFF = "The engine is currently overloaded"


class OpenAI:
    """``POST /v1/chat/completions``."""

    def streamed(self, asked: Asked, say: Say) -> tuple[list[bytes], list[bytes]]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": token} for token in say.tokens]
        for index, call in enumerate(say.calls):
            head = {"id": f"call_{asked.id}_{index}", "type": "function"}
            deltas.append(_tool({"index": index, **head, "function": {"name": call.name, "arguments": ""}}))
            for piece in call.pieces():
                deltas.append(_tool({"index": index, "function": {"arguments": piece}}))
        said = [self._chunk(asked, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
        ends = [self._chunk(asked, [{"index": 0, "delta": {}, "finish_reason": _finish(say)}])]
        if (asked.body.get("stream_options") or {}).get("include_usage"):
            ends.append(self._chunk(asked, [], usage=_openai_usage(say)))
        return said, [*ends, b"data: [DONE]\n\n"]

    def _chunk(self, asked: Asked, choices: list[Any], **more: Any) -> bytes:
        head = {"id": f"chatcmpl-{asked.id}", "object": "chat.completion.chunk", "created": 1_700_000_000}
        return _event({**head, "model": asked.body["model"], "choices": choices, **more})

    def whole(self, asked: Asked, say: Say) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": say.text or None}
        if say.calls:
            message["tool_calls"] = [
                {
                    "id": f"call_{asked.id}_{index}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.args)},
                }
                for index, call in enumerate(say.calls)
            ]
        return {
            "id": f"chatcmpl-{asked.id}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": asked.body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": _finish(say)}],
            "usage": _openai_usage(say),
        }

    def error_event(self) -> bytes:
        return _event({"error": {"message": BROKEN_OFF, "type": "server_error", "param": None, "code": None}})

    def refusal(self, status: int) -> dict[str, Any]:
        kind, message = REFUSALS[status]
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _tool(call: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [call]}


def _finish(say: Say) -> str:
    return "tool_calls" if say.calls else "stop"


def _openai_usage(say: Say) -> dict[str, int]:
    said = len(say.tokens) + len(say.calls)
    return {"prompt_tokens": 7, "completion_tokens": said, "total_tokens": 7 + said}


class Anthropic:
    """``POST /v1/messages``."""

    def streamed(self, asked: Asked, say: Say) -> tuple[list[bytes], list[bytes]]:
        head = {**self._head(asked), "content": [], "stop_reason": None, "stop_sequence": None}
        usage = {"input_tokens": 7, "output_tokens": 1}
        said = [_named("message_start", message={**head, "usage": usage}), _named("ping")]
        index = 0
        if say.tokens:
            said.append(
                _named("content_block_start", index=index, content_block={"type": "text", "text": ""})
            )
            deltas = [{"type": "text_delta", "text": token} for token in say.tokens]
            said += [_named("content_block_delta", index=index, delta=delta) for delta in deltas]
            index += 1
        blocks = [_named("content_block_stop", index=0)] if say.tokens else []
        for number, call in enumerate(say.calls):
            use = {"type": "tool_use", "id": f"toolu_{asked.id}_{number}", "name": call.name, "input": {}}
            blocks.append(_named("content_block_start", index=index, content_block=use))
            for piece in call.pieces():
                delta = {"type": "input_json_delta", "partial_json": piece}
                blocks.append(_named("content_block_delta", index=index, delta=delta))
            blocks.append(_named("content_block_stop", index=index))
            index += 1
        delta = {"stop_reason": _stop(say), "stop_sequence": None}
        end = _named("message_delta", delta=delta, usage={"output_tokens": len(say.tokens) + len(say.calls)})
        return said, [*blocks, end, _named("message_stop")]

    def _head(self, asked: Asked) -> dict[str, Any]:
        model = asked.body["model"]
        return {"id": f"msg_{asked.id}", "type": "message", "role": "assistant", "model": model}

    def whole(self, asked: Asked, say: Say) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": say.text}] if say.tokens else []
        for number, call in enumerate(say.calls):
            use = {"type": "tool_use", "id": f"toolu_{asked.id}_{number}", "name": call.name}
            content.append({**use, "input": call.args})
        usage = {"input_tokens": 7, "output_tokens": len(say.tokens) + len(say.calls)}
        end = {"stop_reason": _stop(say), "stop_sequence": None, "usage": usage}
        return {**self._head(asked), "content": content, **end}

    def error_event(self) -> bytes:
        return _named("error", error={"type": "overloaded_error", "message": BROKEN_OFF})

    def refusal(self, status: int) -> dict[str, Any]:
        kind, message = REFUSALS[status]
        return {"type": "error", "error": {"type": kind, "message": message}}


def _stop(say: Say) -> str:
    return "tool_use" if say.calls else "end_turn"


def _named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + _event({"type": kind, **fields})


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


DIALECTS: dict[str, Dialect] = {"/v1/chat/completions": OpenAI(), "/v1/messages": Anthropic()}
