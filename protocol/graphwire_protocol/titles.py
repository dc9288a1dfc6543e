"""The search in titles of threads, which a server and its clients have to agree on."""

from collections.abc import Mapping
from typing import Any

_SEARCHED_CHARS = 1024  # a server looks through thousands of titles at once


def has_title(metadata: Mapping[str, Any], search: str | None) -> bool:
    """Tell whether a thread's title, ``metadata["title"]``, has a text, whatever its case; None is any."""
    if search is None:
        return True
    title = metadata.get("title")
    return isinstance(title, str) and search.casefold() in title[:_SEARCHED_CHARS].casefold()
