"""The filter of a subscription: its model and its one meaning.

Server, client and tests share this matching: a subscription delivers exactly the events of the run's log that
``Matcher`` admits. A filter fails closed: one that is not understood completely is refused with the path of
the error, never widened and never repaired.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from graphwire_protocol.base import Many, Maybe, Wire
from graphwire_protocol.errors import Refusal
from graphwire_protocol.types import Mode, Namespace

UNCONSTRAINED: Final = frozenset({"lifecycle", "interrupt"})
"""The modes that reach every subscription, whatever its filter says."""

BY_NODE: Final = frozenset({"messages", "updates", "tasks"})
BY_TAG: Final = frozenset({"messages"})
BY_KEY: Final = frozenset({"values", "updates"})

_MANY: Final = "**"
_ONE: Final = "*"


class _Wild:
    """A wildcard among the segments of a compiled namespace pattern."""

    def __init__(self, many: bool) -> None:
        self.many = many


_ANY_RUN = _Wild(many=True)
_ANY_ONE = _Wild(many=False)
_Pattern: TypeAlias = tuple[str | _Wild, ...]

_MATCHED_CHARS = 256
"""Characters of a name that globs look at."""

_MATCHED_ENTRIES = 64
"""Tags of a call, and segments of a namespace, that patterns look at."""


class _Globs:
    """Globs as one automaton: ``*`` any characters, ``?`` one, ``\\`` takes the next one literally.

    Each bit of an integer is a position in one of the globs, and a character moves all of them at once. The
    cost is the length of the name times that of the globs over 64, and no glob can make it larger.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        self._starts = self._ends = self._stays = self._any = 0
        self._moves: dict[str, int] = {}  # by character: the positions that it leads to, without ``_any``
        position = 0
        for glob in globs:
            self._starts |= 1 << position
            for character, is_literal in _characters(glob):
                if character == "*" and not is_literal:
                    self._stays |= 1 << position
                    continue
                position += 1
                if character == "?" and not is_literal:
                    self._any |= 1 << position
                else:
                    self._moves[character] = self._moves.get(character, 0) | 1 << position
            self._ends |= 1 << position
            position += 1

    def accept(self, name: str) -> bool:
        """Tell whether a glob matches the whole ``name``, of which it looks at ``_MATCHED_CHARS``."""
        moves, stays, anything = self._moves, self._stays, self._any
        current = self._starts
        for character in name[:_MATCHED_CHARS]:
            current = current << 1 & (moves.get(character, 0) | anything) | current & stays
            if not current:
                return False
        return bool(current & self._ends)


def _characters(glob: str) -> Iterable[tuple[str, bool]]:
    """Yield each character and whether it was escaped. Raises ``PydanticCustomError``."""
    characters = iter(glob)
    for character in characters:
        if character != "\\":
            yield character, False
            continue
        literal = next(characters, None)
        if literal is None:
            raise PydanticCustomError("pattern", "a pattern may not end in a lone backslash")
        yield literal, True


def _check_glob(glob: str) -> str:
    deque(_characters(glob), maxlen=0)
    return glob


def _segment(text: str) -> str | _Wild:
    """Compile one namespace segment: ``*``, ``**``, a node's name, or a task's ``name:id``."""
    if text == _MANY:
        return _ANY_RUN
    if text == _ONE:
        return _ANY_ONE
    if not text:
        raise PydanticCustomError("pattern", "a namespace segment may not be empty")
    out: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "*":
            raise PydanticCustomError(
                "pattern", "'*' and '**' stand for whole segments only; write a literal star as '\\*'"
            )
        if character == "\\":
            character = next(characters, "")
            if not character:
                raise PydanticCustomError("pattern", "a pattern may not end in a lone backslash")
        out.append(character)
    return "".join(out)


def _check_segment(text: str) -> str:
    _segment(text)
    return text


Glob: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_check_glob)]
"""``*`` and ``?`` are wild, ``\\`` escapes; matches the whole name, case-sensitively."""

Segment: TypeAlias = Annotated[str, AfterValidator(_check_segment)]
"""``researcher`` any task of that node, ``researcher:6f…`` that one, ``*`` one segment, ``**`` any number."""

NamespacePattern: TypeAlias = Many[Segment]


def _not_empty(modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
    if not modes:
        raise PydanticCustomError("too_short", "a filter names at least one mode")
    return modes


class _Strict(Wire):
    model_config = ConfigDict(extra="forbid")


class Exclude(_Strict):
    """What a filter leaves out, whatever else it admits."""

    namespaces: Maybe[Many[NamespacePattern]] = None
    """Namespaces to leave out."""
    nodes: Maybe[Many[Glob]] = None
    """Nodes to leave out."""
    tags: Maybe[Many[Glob]] = None
    """Tags to leave out."""


class Filter(_Strict):
    """Which events of a run a subscription gets.

    Dimensions AND, the entries of a list OR, ``exclude`` wins. An absent list is no constraint, an empty one
    matches nothing; ``namespaces`` absent means the root only.
    """

    modes: Annotated[Many[Mode], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
    """The modes to deliver; at least one. ``lifecycle`` and ``interrupt`` come anyway."""
    namespaces: Maybe[Many[NamespacePattern]] = None
    """Namespace patterns. Left out: the root only."""
    nodes: Maybe[Many[Glob]] = None
    """Globs of node names."""
    tags: Maybe[Many[Glob]] = None
    """Globs of the tags of model calls."""
    keys: Maybe[Many[str]] = None
    """State keys to project ``values`` and ``updates`` to."""
    exclude: Maybe[Exclude] = None
    """What to leave out, whatever else is admitted."""

    def check_limits(self, max_entries: int, max_chars: int) -> None:
        """Raise ``Refusal(limit_exceeded)`` for a list or a namespace with more than ``max_entries`` entries,
        or an entry of more than ``max_chars`` characters (modes excepted). ``details.path`` names it in the
        filter.
        """
        for path, entries in self._lists():
            if len(entries) > max_entries:
                raise Refusal(
                    "limit_exceeded",
                    f"{path} has {len(entries)} entries; max_filter_entries is {max_entries}",
                    details={"path": path, "limit": "max_filter_entries"},
                )
            for index, entry in enumerate(entries):
                if path != "modes" and isinstance(entry, str) and len(entry) > max_chars:
                    raise Refusal(
                        "limit_exceeded",
                        f"{path}[{index}] has {len(entry)} characters; max_pattern_chars is {max_chars}",
                        details={"path": f"{path}[{index}]", "limit": "max_pattern_chars"},
                    )

    def _lists(self) -> Iterable[tuple[str, Sequence[Any]]]:
        yield "modes", self.modes
        for prefix, part in (("", self), ("exclude.", self.exclude)):
            if part is None:
                continue
            for name in ("namespaces", "nodes", "tags", "keys"):
                entries = getattr(part, name, None)
                if entries is not None:
                    yield prefix + name, entries
                    if name == "namespaces":
                        for index, pattern in enumerate(entries):
                            yield f"{prefix}{name}[{index}]", pattern

    @property
    def below_root(self) -> bool:
        """Whether an event of a subgraph could pass: then the graph must be streamed with subgraphs."""
        return any(self.namespaces or ())


class Address:
    """Where an event comes from: all that a filter looks at, apart from its keys.

    ``mode``, ``ns`` (``()`` for the root), ``node`` if LangGraph says it, ``tags`` of the model call. All
    events of a log that come from the same source share one object, so that a matcher decides once for all of
    them.
    """

    __slots__ = ("__weakref__", "mode", "node", "ns", "tags")

    def __init__(
        self, mode: str, ns: Namespace = (), node: str | None = None, tags: tuple[str, ...] = ()
    ) -> None:
        self.mode = mode
        self.ns = ns
        self.node = node
        self.tags = tags

    def __repr__(self) -> str:
        return f"Address(mode={self.mode!r}, ns={self.ns!r}, node={self.node!r}, tags={self.tags!r})"


class Matcher:
    """A compiled filter.

    ``admits(address)`` says whether events from there pass; ``project(mode, data)`` then reduces the data to
    ``keys``.
    """

    _CACHED = 4096  # decisions kept; beyond it all are forgotten and made again

    def __init__(self, filter: Filter) -> None:
        self.filter = filter
        self.keys = None if filter.keys is None else frozenset(filter.keys)
        exclude = filter.exclude or Exclude()
        self._modes = frozenset(filter.modes) | UNCONSTRAINED
        self._namespaces = _namespaces(((),) if filter.namespaces is None else filter.namespaces)
        self._nodes = _names(filter.nodes)
        self._tags = _names(filter.tags)
        self._not_namespaces = _namespaces(exclude.namespaces or ())
        self._not_nodes = _names(exclude.nodes or ())
        self._not_tags = _names(exclude.tags or ())
        self._decided: dict[Address, bool] = {}

    def admits(self, address: Address) -> bool:
        """Tell whether an event from ``address`` passes, apart from ``keys``."""
        decided = self._decided.get(address)
        if decided is None:
            if len(self._decided) >= self._CACHED:
                self._decided.clear()
            decided = self._decided[address] = self._decide(address)
        return decided

    def _decide(self, address: Address) -> bool:
        mode = address.mode
        if mode in UNCONSTRAINED:
            return True
        if mode not in self._modes or not self._namespaces(address.ns) or self._not_namespaces(address.ns):
            return False
        if mode in BY_NODE:
            nodes = () if address.node is None else (address.node,)
            if not _passes(self._nodes, self._not_nodes, nodes):
                return False
        return mode not in BY_TAG or _passes(self._tags, self._not_tags, address.tags)

    def project(self, mode: str, data: Any) -> Any:
        """Reduce ``data`` of a ``values`` or ``updates`` event to ``keys``; ``NOTHING`` if no key is left."""
        if self.keys is None or mode not in BY_KEY:
            return data
        if mode == "values":
            return self._cut(data)
        if not isinstance(data, dict):
            return NOTHING
        nodes: dict[str, Any] = {}
        for node, update in _unwrapped(data).items():
            # Several writes of one node come as a list of dicts.
            left = self._cut_each(update) if isinstance(update, list) else self._cut(update)
            if left is not NOTHING:
                nodes[node] = left
        return _wrapped_like(data, nodes) if nodes else NOTHING

    def _cut_each(self, updates: list[Any]) -> Any:
        return [cut for cut in map(self._cut, updates) if cut is not NOTHING] or NOTHING

    def _cut(self, state: Any) -> Any:
        if self.keys is None or not isinstance(state, dict):
            return NOTHING
        left = {key: value for key, value in _unwrapped(state).items() if key in self.keys}
        return _wrapped_like(state, left) if left else NOTHING


def _unwrapped(data: dict[str, Any]) -> dict[str, Any]:
    # A state that looks like a message, or has a key with a dollar, travels as {"$obj": state}.
    inner = data.get("$obj")
    return inner if len(data) == 1 and isinstance(inner, dict) else data


def _wrapped_like(data: dict[str, Any], left: dict[str, Any]) -> dict[str, Any]:
    return left if _unwrapped(data) is data else {"$obj": left}


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()
"""What ``Matcher.project`` returns for an event that is not sent because it has none of the keys."""


_Names: TypeAlias = Callable[[Iterable[str]], bool]


def _names(globs: tuple[str, ...] | None) -> _Names | None:
    if globs is None:
        return None
    accept = _Globs(globs).accept
    return lambda names: any(map(accept, itertools.islice(names, _MATCHED_ENTRIES)))


def _passes(include: _Names | None, exclude: _Names | None, names: Sequence[str]) -> bool:
    if exclude is not None and exclude(names):
        return False
    return include is None or include(names)


def _namespaces(patterns: tuple[NamespacePattern, ...]) -> Callable[[Namespace], bool]:
    compiled = [tuple(_segment(segment) for segment in pattern) for pattern in patterns]
    return lambda ns: any(_accepts(pattern, ns[:_MATCHED_ENTRIES]) for pattern in compiled)


def _is_task(pattern: str, segment: str) -> bool:
    return segment == pattern or (":" not in pattern and segment.partition(":")[0] == pattern)


def _is_counter(segment: str) -> bool:
    # LangGraph counts repeated calls of a subgraph in one task: ("node:6f…", "1"). The counter belongs to the
    # segment before it, so a pattern that has matched that segment may stay there.
    return ":" not in segment


def _accepts(pattern: _Pattern, ns: Namespace) -> bool:
    """Match a whole namespace, following all positions in the pattern at once.

    It takes time proportional to pattern times segments, whatever the pattern.
    """
    end = len(pattern)

    def reach(positions: Iterable[int]) -> set[int]:
        out: set[int] = set()
        for position in positions:
            # A position that has been reached before has reached all that follow from it, too.
            while position not in out:
                out.add(position)
                if position < end and pattern[position] is _ANY_RUN:
                    position += 1
        return out

    current = reach((0,))
    for segment in ns:
        is_counter = _is_counter(segment)
        following: list[int] = []
        for position in current:
            if position and is_counter:
                following.append(position)
            if position < end:
                want = pattern[position]
                if isinstance(want, _Wild):
                    if want.many:
                        following.append(position)
                    elif not is_counter:
                        following.append(position + 1)
                elif _is_task(want, segment):
                    following.append(position + 1)
        current = reach(following)
        if not current:
            return False
    return end in current
