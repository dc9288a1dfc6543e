"""The ids of tasks and interrupts: the same as LangGraph's, so that either library can continue a thread."""

from __future__ import annotations

from typing import Any

from xxhash import xxh3_128_hexdigest

__all__ = ["id_of_interrupt", "id_of_task", "text_of_path"]


def id_of_task(seed: bytes, *parts: str) -> str:
    """The id of a task, shaped like a UUID and the same for the same parts, in any process."""
    digest = xxh3_128_hexdigest(seed + "".join(parts).encode())
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def id_of_interrupt(checkpoint_ns: str, index: int) -> str:
    """The id of an interrupt: 32 hexadecimal digits.

    Args:
        checkpoint_ns: of its task.
        index: how many interrupts of the task come before it.
    """
    return xxh3_128_hexdigest((f"{checkpoint_ns}|{index}" if index else checkpoint_ns).encode())


def text_of_path(path: Any) -> str:
    """The path of a task, or a part of it, as a string that sorts as the tasks do."""
    if isinstance(path, tuple):
        return f"~{', '.join(map(text_of_path, path))}"
    return f"{path:010}" if isinstance(path, int) else str(path)
