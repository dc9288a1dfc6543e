"""What a store wrote to Redis in the last seconds, so that a server that was started again gets it again.

A server that crashes may lose what it has already answered: with ``appendfsync everysec`` about two seconds,
while its disk is slow, and behind Sentinels whatever had not reached the replica that takes over. What it
loses is the end of its history. So all that was written since is sent again in its order; each of these
commands changes nothing where it has taken effect already.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

KEPT_S = 10.0
_MOST_BYTES = 32 << 20

Command: TypeAlias = Sequence[Any]


class Recent:
    """The commands of ``KEPT_S`` seconds before the last one, the oldest first; of at most ``most_bytes``."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._commands: deque[tuple[float, int, Command]] = deque()

    def note(self, command: Command) -> None:
        """Keep a command that the server has carried out."""
        now = time.monotonic()
        size = sum(len(part) for part in command[2:] if isinstance(part, bytes | str))  # scripts are shared
        self._commands.append((now, size, command))
        self._size += size
        while self._commands[0][0] < now - KEPT_S or self._size > self._most_bytes:
            self._size -= self._commands.popleft()[1]
            if not self._commands:
                return

    def commands(self) -> list[Command]:
        """Return them in their order. While nothing new is written none is dropped."""
        return [command for _, _, command in self._commands]
