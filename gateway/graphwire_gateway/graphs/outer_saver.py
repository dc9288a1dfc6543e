"""A saver that stands in front of another one."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from typing_extensions import Self


class OuterSaver(BaseCheckpointSaver[Any]):
    """Reads and writes values as ``inner`` does, and counts versions as that does."""

    def __init__(self, inner: BaseCheckpointSaver[Any]) -> None:
        super().__init__(serde=inner.serde)
        self._inner = inner

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Self:
        """Return this saver for a graph whose classes may be read; both hold the same threads."""
        clone = copy.copy(self)
        clone._inner = self._inner.with_allowlist(extra_allowlist)
        clone.serde = clone._inner.serde
        return clone

    @property
    def config_specs(self) -> list[Any]:
        """What configs may hold for the inner saver."""
        return self._inner.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return the next version of a channel, as the inner saver counts."""
        return self._inner.get_next_version(current, channel)
