"""How the deltas of one message add up: LangChain's meaning of ``chunk + chunk``, on plain JSON objects.

Gateway and client share this, so that a merged message in a snapshot equals what a client has that saw every
delta. LangChain raises when it adds two values of different types; here the later one wins, so that a stream
never stops for it.

Adding is not associative (equal counts stay as they are, others are summed), so deltas are added strictly in
their order. To add many to one message, ``MessageSum`` changes in place what it has copied once.
"""

from collections import deque
from collections.abc import Hashable
from typing import Any

_REPLACED = frozenset({"type", "name", "role", "tool_call_id", "status", "chunk_position"})
"""Fields of a message that are replaced by the later value."""

_SAME = frozenset({"id", "output_version", "model_provider"})
"""Keys inside a message's fields that every delta repeats: equal texts are not joined."""

_LATEST = frozenset({"index", "created", "timestamp"})
"""Keys whose numbers are no counts: the later value stands, they are not summed."""

_SCALARS = (str, int, float)
_PIECES = 256  # of text that are joined at once, since each takes 60 bytes beside its text


def preferred_id(first: str, second: str) -> str:
    """Return which of two ids of one message LangChain keeps.

    A provider's id comes before the id of LangChain's run, and that before other ids of LangChain; of two
    alike, the first one is kept.
    """
    return second if _rank(second) > _rank(first) else first


def _rank(id: str) -> int:
    if not id:
        return -1
    if not id.startswith("lc_"):
        return 2
    return 1 if id.startswith("lc_run-") else 0


def add_delta(message: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return ``message`` with ``delta`` added; both are flat objects, and neither is changed.

    A message that was cut for its size stays as it is: what comes later is not all of it.
    """
    total = MessageSum(message)
    total.add(delta)
    return total.read()


class MessageSum:
    """A message that grows by deltas: adding one costs what the delta is large, not what the message is.

    What was given and what was read is never changed: the first delta after that copies the objects and lists
    on its way, and the texts stay in pieces until they are read.
    """

    __slots__ = ("_fields",)

    def __init__(self, message: dict[str, Any]) -> None:
        self._fields = message

    def add(self, delta: dict[str, Any]) -> None:
        """Add ``delta``, as ``add_delta`` does."""
        out = self._fields
        if "$cut" in out:
            return
        if not isinstance(out, _Object):
            out = self._fields = _Object(out)
        for name, value in delta.items():
            if value is None:
                continue
            left = out.get(name)
            if left is None or name in _REPLACED:
                out[name] = value
            elif name == "id":
                out[name] = preferred_id(left, value)
            elif name == "content":
                out[name] = _add_content(left, value)
            elif name == "usage_metadata":
                out[name] = _add_usage(left, value)
            else:
                out[name] = _add(name, left, value)

    def add_text(self, text: str) -> None:
        """Add a delta that has only this content, which most have."""
        content = self._fields.get("content")
        if isinstance(content, _Text) and "$cut" not in self._fields:
            content.add(text)
        else:
            self.add({"content": text})

    def read(self) -> dict[str, Any]:
        """Return the message so far."""
        fields: dict[str, Any] = _plain(self._fields)
        self._fields = fields
        return fields


class _Text:
    """A text that grows."""

    __slots__ = ("_loose", "_pieces", "size")

    def __init__(self, text: str) -> None:
        self._pieces = [text]
        self._loose = 0  # pieces that came since some were joined
        self.size = len(text)

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self.size += len(text)
        self._loose += 1
        if self._loose == _PIECES:
            self._pieces[-_PIECES:] = ["".join(self._pieces[-_PIECES:])]
            self._loose = 0

    @property
    def start(self) -> str:
        """Its first characters: no piece is empty."""
        return "".join([piece[:3] for piece in self._pieces[:3]])

    def read(self) -> str:
        return "".join(self._pieces)


_TEXTS = (_Text, str)


class _Object(dict[str, Any]):
    """An object that belongs to one sum, which may change it."""

    __slots__ = ()


class _List(list[Any]):
    """A list that belongs to one sum, which may change it. It knows where its blocks are."""

    __slots__ = ("_blocks",)

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self._blocks: dict[Any, _Blocks] | None = None

    def put(self, item: Any) -> None:
        """Append ``item``, or add it to the block that it continues: same index, no other id."""
        blocks = self._blocks_like(item) if _can_continue(item) else None
        position = None if blocks is None else blocks.find(_id_of(item))
        if blocks is None or position is None:
            self.append(item)
            self._note(item, len(self) - 1)
            return
        before = _id_of(self[position])
        # Every delta of a block repeats its type.
        block = _add_objects(self[position], {key: value for key, value in item.items() if key != "type"})
        self[position] = block
        if _id_of(block) != before:
            blocks.rename(before, _id_of(block))

    def _blocks_like(self, item: dict[str, Any]) -> "_Blocks | None":
        if self._blocks is None:
            self._blocks = {}
            for position, other in enumerate(self):
                self._note(other, position)
        return self._blocks.get(item["index"])

    def _note(self, item: Any, position: int) -> None:
        if self._blocks is None or not isinstance(item, dict) or not _is_scalar(item.get("index")):
            return
        blocks = self._blocks.setdefault(item["index"], _Blocks(position))
        blocks.by_id.setdefault(_id_of(item), deque()).append(position)


class _Blocks:
    """Where the blocks of one index are."""

    __slots__ = ("by_id", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self.by_id: dict[Hashable, deque[int]] = {}  # ascending; under None those without an id

    def find(self, id: Hashable) -> int | None:
        """Return the position of the first block that has this id, or none; of any if ``id`` is None."""
        if id is None:
            return self.first
        found = [positions[0] for key in (None, id) if (positions := self.by_id.get(key))]
        return min(found, default=None)

    def rename(self, old: Hashable, new: Hashable) -> None:
        """Note that the first block with the id ``old`` has ``new`` now, and is the first one with that."""
        self.by_id.setdefault(new, deque()).appendleft(self.by_id[old].popleft())


def _can_continue(item: Any) -> bool:
    """Tell whether an item of a list has an index by which it may continue another."""
    index = item.get("index") if isinstance(item, dict) else None
    return type(index) is int or (isinstance(index, str) and index.startswith("lc_"))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _SCALARS) and not isinstance(value, bool)  # True would count as 1


def _id_of(block: dict[str, Any]) -> Hashable:
    id = block.get("id")
    if not id:
        return None
    return id if _is_scalar(id) else (repr(id),)


def _own_object(value: dict[str, Any]) -> _Object:
    return value if isinstance(value, _Object) else _Object(value)


def _own_list(value: list[Any]) -> _List:
    return value if isinstance(value, _List) else _List(value)


def _plain(value: Any) -> Any:
    """Return what a sum holds as JSON that it does not change any more."""
    if isinstance(value, _Text):
        return value.read()
    if isinstance(value, _Object):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, _List):
        return [_plain(item) for item in value]
    return value


def _add_content(left: Any, right: Any) -> Any:
    if isinstance(left, _TEXTS):
        if isinstance(right, str):
            return _add_texts(left, right)
        return _List([left, *right]) if isinstance(right, list) else right
    if not isinstance(left, list) or not isinstance(right, str | list):
        return right
    if isinstance(right, list):
        return _add_lists(left, right)
    if not right:
        return left
    out = _own_list(left)
    if out and isinstance(out[-1], _TEXTS):
        out[-1] = _add_texts(out[-1], right)
    else:
        out.append(right)
    return out


def _add_usage(left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        out = _own_object(left)
        for key, count in right.items():
            out[key] = _add_usage(out[key], count) if key in out else count
        return out
    return left + right if type(left) is int and type(right) is int else right


def _add(name: str, left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        return _add_objects(left, right)
    if isinstance(left, list) and isinstance(right, list):
        return _add_lists(left, right)
    if isinstance(left, _TEXTS) and isinstance(right, str):
        return left if _stays(name, left, right) else _add_texts(left, right)
    if type(left) is int and type(right) is int and name not in _LATEST and left != right:
        return left + right
    return right


def _stays(name: str, left: str | _Text, right: str) -> bool:
    """Tell whether ``right`` only repeats ``left``."""
    if name in _SAME:
        size = left.size if isinstance(left, _Text) else len(left)
        return size == len(right) and _plain(left) == right
    return name == "index" and (left.start if isinstance(left, _Text) else left).startswith("lc_")


def _add_texts(left: str | _Text, right: str) -> str | _Text:
    if not right:
        return left
    if not left:
        return right
    text = left if isinstance(left, _Text) else _Text(left)
    text.add(right)
    return text


def _add_objects(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    out = _own_object(left)
    for name, value in right.items():
        if value is None and name in out:
            continue
        out[name] = value if out.get(name) is None else _add(name, out[name], value)
    return out


def _add_lists(left: list[Any], right: list[Any]) -> list[Any]:
    out = _own_list(left)
    for item in right:
        out.put(item)
    return out
