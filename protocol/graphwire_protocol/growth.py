"""What may change within a major version: compares the documents of the last release with today's.

Additions are fine: optional fields, frames, modes, codes, closes, limits. ``breaks`` names every other change
in one sentence. A client's frame must not need more, nor allow less, than before: older clients go on sending
it. A server's frame must not lack anything, nor hold anything that an older client cannot read.
"""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from graphwire_protocol.schema import CLIENT, TABLES

Sent: TypeAlias = Literal["client", "server"]
_Schema: TypeAlias = dict[str, Any]

_LOWEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGHEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "uniqueItems")


def breaks(baseline: dict[str, Any], today: dict[str, Any]) -> list[str]:
    """Return a sentence for each breaking difference between two sets of documents, given by file name."""
    out: list[str] = []
    for file, old in baseline.items():
        new = today.get(file)
        if new is None:
            out.append(f"{file} is gone")
        elif file == TABLES:
            out.extend(_tables(old, new))
        else:
            sent: Sent = "client" if file == CLIENT else "server"
            out.extend(_Comparison(sent, old, new, baseline.get(TABLES, {})).faults())
    return out


def _tables(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for table, noun, column in (
        ("codes", "error code", "retry"),
        ("closes", "close code", "reconnect"),
        ("limits", "limit", "unit"),
    ):
        for name, row in old[table].items():
            if name not in new[table]:
                yield f"{noun} {name} is gone"
            elif row[column] != new[table][name][column]:
                yield f"{noun} {name}: its {column} was {row[column]!r} and is {new[table][name][column]!r}"
    for mode in old["modes"]:
        if mode not in new["modes"]:
            yield f"mode {mode} is gone"
    for dimension, modes in old["filter"].items():
        known = [mode for mode in new["filter"][dimension] if mode in old["modes"]]
        if known != modes:
            yield f"filter: {dimension} applied to {modes} and applies to {known}"
    for request, reply in old["replies"].items():
        if new["replies"].get(request) != reply:
            yield f"request {request}: its reply was {reply} and is {new['replies'].get(request)}"
    for type in new["unserved"]:
        if type in old["replies"]:
            yield f"request {type} was served and is not any more"
    for table in ("connection", "subscription"):
        for step, after in old[table].items():
            if new[table].get(step) != after:
                yield f"{table}, {step}: led to {after} and leads to {new[table].get(step)}"
    if old["run"] != new["run"]:
        steps = sorted(set(old["run"]) ^ set(new["run"]))
        yield f"run: the lifecycle differs at {', '.join(steps) or 'its order'}"
    if old["statuses"] != new["statuses"]:
        yield "run: the statuses differ, which every client counts on"
    if old["version"]["major"] != new["version"]["major"]:
        yield "version: the major differs; a new major begins with a baseline of its own"
    elif old["version"]["minor"] > new["version"]["minor"]:
        yield "version: the minor fell"


class _Comparison:
    """Compares two schemas of the frames that one side sends."""

    def __init__(self, sent: Sent, old: _Schema, new: _Schema, tables: dict[str, Any]) -> None:
        self._sent = sent
        self._old = old
        self._new = new
        self._modes = set(tables.get("modes", ()))
        self._within: set[tuple[str, str]] = set()

    def faults(self) -> Iterator[str]:
        old, new = _frames(self._old), _frames(self._new)
        if not old:
            yield from self._compare(self._old, self._new, self._old["title"].rpartition(": ")[2])
        for type, ref in old.items():
            if type not in new:
                yield f"{self._sent} frame {type} is gone"
            else:
                name = f"{self._sent} frame {type}"
                yield from self._compare({"$ref": ref}, {"$ref": new[type]}, name)

    def _compare(self, old: _Schema, new: _Schema, path: str) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in self._within:
                return
            self._within.add(pair)
        yield from self._resolved(_deref(self._old, old), _deref(self._new, new), path)
        self._within.discard(pair)

    def _resolved(self, old: _Schema, new: _Schema, path: str) -> Iterator[str]:
        if old.get("default") != new.get("default"):
            yield f"{path}: its default was {_default(old)} and is {_default(new)}"
        olds, news = _branches(old), _branches(new)
        if len(olds) > 1 or len(news) > 1:
            yield from self._union(olds, news, path)
            return
        yield from self._values(old, new, path)
        yield from self._bounds(old, new, path)
        yield from self._object(old, new, path)
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
            yield from self._compare(old["items"], new["items"], f"{path}[]")
        was, now = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(was, dict) and isinstance(now, dict):
            yield from self._compare(was, now, f"{path}.*")
        elif now is False and was is not False:
            yield f"{path}: unknown fields were taken and are refused"

    def _union(self, olds: list[_Schema], news: list[_Schema], path: str) -> Iterator[str]:
        # A client's frame must be accepted as before: each old branch fits into a new one. A server's frame
        # must be readable as before: each new branch fits into an old one.
        for branch in olds:
            if not any(self._fits(branch, other, path) for other in news):
                verb = "taken" if self._sent == "client" else "sent there"
                yield from self._named(branch, news, path) or (
                    f"{path}: {_kind(branch)} was {verb} and is not any more",
                )
        for branch in news if self._sent == "server" else ():
            if not any(self._fits(other, branch, path) for other in olds):
                yield f"{path}: {_kind(branch)} was never sent there and now is"

    def _named(self, branch: _Schema, news: list[_Schema], path: str) -> list[str]:
        """Return what changed in an object of a union, if the union still has one of that name."""
        same = [other for other in news if "$ref" in branch and other.get("$ref") == branch["$ref"]]
        return list(self._compare(branch, same[0], path)) if same else []

    def _fits(self, old: _Schema, new: _Schema, path: str) -> bool:
        return not list(self._compare(old, new, path))

    def _values(self, old: _Schema, new: _Schema, path: str) -> Iterator[str]:
        olds, news = _values(old), _values(new)
        if old.get("type") != new.get("type"):
            yield f"{path}: it was {_kind(old)} and is {_kind(new)}"
        elif olds is None and news is not None:
            yield f"{path}: any {_kind(old)} was legal, only {sorted(map(str, news))} is"
        elif olds is not None and news is None:
            if self._sent == "server":
                yield f"{path}: it was one of {sorted(map(str, olds))} and is any {_kind(new)}"
        elif olds is not None and news is not None:
            for value in sorted(map(str, olds - news)):
                yield f"{path}: the value {value!r} is gone"
            # Modes may grow: a client passes on an unknown one. A server's other sets of values may not.
            is_open = bool(self._modes) and olds <= self._modes
            if self._sent == "server" and not is_open:
                for value in sorted(map(str, news - olds)):
                    yield f"{path}: the value {value!r} is new, and older clients do not know it"

    def _bounds(self, old: _Schema, new: _Schema, path: str) -> Iterator[str]:
        for name in (*_LOWEST, *_HIGHEST):
            was, now = old.get(name), new.get(name)
            if was == now:
                continue
            sign = 1 if name in _LOWEST else -1
            narrower = now is not None and (was is None or sign * now > sign * was)
            if narrower or self._sent == "server":
                yield f"{path}: its {name} was {was} and is {now}"
        for name in _EXACT:
            if old.get(name) != new.get(name) and (name in new or self._sent == "server"):
                yield f"{path}: its {name} was {old.get(name)} and is {new.get(name)}"

    def _object(self, old: _Schema, new: _Schema, path: str) -> Iterator[str]:
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        news = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            where = f"{path}.{name}" if ": " in path else f"{path}: {name}"
            if name not in news:
                yield f"{where}: the field is gone"
                continue
            if name in needs - needed:
                yield f"{where}: the field was optional and is required"
            if name in needed - needs and self._sent == "server":
                yield f"{where}: the field was always there and is optional"
            yield from self._compare(schema, news[name], where)
        if self._sent == "client":
            for name in sorted(needs - set(old.get("properties", {}))):
                yield f"{path}: the new field {name} is required, which no older client sends"


def _frames(schema: _Schema) -> dict[str, str]:
    mapping: dict[str, str] = schema.get("discriminator", {}).get("mapping", {})
    return mapping


def _deref(document: _Schema, schema: _Schema) -> _Schema:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    return {**document["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}


def _branches(schema: _Schema) -> list[_Schema]:
    branches: list[_Schema] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return branches


def _values(schema: _Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _kind(schema: _Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    values = _values(schema)
    if values is not None:
        return " or ".join(sorted(map(str, values)))
    return str(schema.get("type", "anything"))


def _default(schema: _Schema) -> str:
    return repr(schema["default"]) if "default" in schema else "none"
