"""Which events a filter admits, which filters are refused, and what matching costs.

About `protocol/graphwire_protocol/filters.py`.

Long because it is one list of filters and what each lets through.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from graphwire_protocol import filters
from graphwire_protocol.codec import decode_command, encode
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import NOTHING, Address, Exclude, Filter, Matcher
from graphwire_protocol.types import STREAM_MODES
from hypothesis import given
from hypothesis import strategies as st

from tests.support.steps import calls_of, lines_of

ALL = [*STREAM_MODES, "interrupt", "lifecycle"]


def admits(address: Address, **fields: Any) -> bool:
    return Matcher(Filter(**fields)).admits(address)


def refused(filter: object) -> Refusal:
    frame = {"type": "subscribe", "id": 7, "run": "r", "sub": 1, "filter": filter}
    with pytest.raises(Refusal) as caught:
        decode_command(json.dumps(frame))
    return caught.value


# ── the truth table of section 4 ─────────────────────────────────────────────────────────────────

CONSTRAINS = {
    "namespaces": {*STREAM_MODES},
    "nodes": {"messages", "updates", "tasks"},
    "tags": {"messages"},
}
# An include that does not fit the address, and an exclude that does.
ADDRESS = {"ns": ("sub:1",), "node": "writer", "tags": ("joke",)}
FITS = {"namespaces": [["sub"]], "nodes": ["writer"], "tags": ["joke"]}
MISSES = {"namespaces": [["other"]], "nodes": ["reader"], "tags": ["poem"]}


@pytest.mark.parametrize("dimension", CONSTRAINS)
@pytest.mark.parametrize("mode", ALL)
def test_each_dimension_constrains_its_modes_and_no_other(mode: str, dimension: str) -> None:
    address = Address(mode, **ADDRESS)
    wide = {"modes": ALL, "namespaces": [["**"]]}
    constrained = mode in CONSTRAINS[dimension]

    assert admits(address, **wide)
    assert admits(address, **{**wide, dimension: FITS[dimension]})
    assert admits(address, **{**wide, dimension: MISSES[dimension]}) is not constrained
    assert admits(address, **{**wide, dimension: []}) is not constrained
    assert admits(address, **wide, exclude={dimension: FITS[dimension]}) is not constrained
    assert admits(address, **wide, exclude={dimension: MISSES[dimension]})
    assert admits(address, **wide, exclude={dimension: []})


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("chosen", STREAM_MODES)
def test_a_mode_passes_if_it_is_chosen_and_lifecycle_and_interrupt_always_pass(
    mode: str, chosen: str
) -> None:
    assert admits(Address(mode), modes=[chosen]) is (mode in (chosen, "lifecycle", "interrupt"))


@pytest.mark.parametrize("mode", ALL)
def test_an_event_without_the_attribute_fails_an_include_and_passes_an_exclude(mode: str) -> None:
    bare = Address(mode)
    assert admits(bare, modes=ALL, nodes=["*"]) is (mode not in CONSTRAINS["nodes"])
    assert admits(bare, modes=ALL, tags=["*"]) is (mode not in CONSTRAINS["tags"])
    assert admits(bare, modes=ALL, exclude={"nodes": ["*"], "tags": ["*"]})


def test_dimensions_and_while_the_entries_of_a_list_or() -> None:
    address = Address("messages", node="writer", tags=("joke", "long"))
    assert admits(address, modes=["messages"], nodes=["reader", "writer"], tags=["poem", "joke"])
    assert not admits(address, modes=["messages"], nodes=["writer"], tags=["poem"])
    assert not admits(address, modes=["messages"], nodes=["reader"], tags=["joke"])


@pytest.mark.parametrize("dimension", CONSTRAINS)
def test_exclude_wins_over_an_include_of_the_same(dimension: str) -> None:
    address = Address("messages", **ADDRESS)
    both = {"modes": ["messages"], "namespaces": [["**"]], dimension: FITS[dimension]}
    assert admits(address, **both)
    assert not admits(address, **both, exclude={dimension: FITS[dimension]})


def test_one_excluded_tag_of_several_is_enough() -> None:
    address = Address("messages", tags=("joke", "draft"))
    assert not admits(address, modes=["messages"], tags=["joke"], exclude={"tags": ["draft"]})


def test_without_namespaces_only_the_root_passes() -> None:
    assert admits(Address("values"), modes=["values"])
    assert not admits(Address("values", ("sub:1",)), modes=["values"])
    assert admits(Address("values", ("sub:1",)), modes=["values"], namespaces=[["**"]])


# ── namespaces ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "ns", "fits"),
    [
        ([], [], True),
        ([], ["researcher:6f"], False),
        (["researcher"], ["researcher:6f"], True),
        (["researcher"], ["researcher:70"], True),
        (["researcher"], ["researcher2:6f"], False),
        (["researcher"], ["Researcher:6f"], False),
        (["researcher"], [], False),
        (["researcher"], ["researcher:6f", "tools:91"], False),
        (["researcher:6f"], ["researcher:6f"], True),
        (["researcher:6f"], ["researcher:6f0"], False),
        (["researcher:6f"], ["researcher:70"], False),
        (["*"], ["researcher:6f"], True),
        (["*"], [], False),
        (["*"], ["researcher:6f", "tools:91"], False),
        (["*", "*"], ["researcher:6f", "tools:91"], True),
        (["**"], [], True),
        (["**"], ["a:1", "b:2", "c:3"], True),
        (["**", "tools"], ["tools:1"], True),
        (["**", "tools"], ["a:1", "b:2", "tools:3"], True),
        (["**", "tools"], ["tools:3", "b:2"], False),
        (["researcher", "**"], ["researcher:6f"], True),
        (["researcher", "**"], ["researcher:6f", "tools:91", "x:1"], True),
        (["researcher", "**"], [], False),
        (["a", "**", "z"], ["a:1", "z:1"], True),
        (["a", "**", "z"], ["a:1", "m:1", "m:2", "z:1"], True),
        (["**", "**"], [], True),
        # LangGraph's counter of a repeated call belongs to the segment before it.
        (["researcher"], ["researcher:6f", "1"], True),
        (["researcher"], ["researcher:6f", "1", "2"], True),
        (["researcher:6f"], ["researcher:6f", "1"], True),
        (["researcher", "tools"], ["researcher:6f", "1", "tools:91"], True),
        (["researcher"], ["researcher:6f", "1", "tools:91"], False),
        (["*"], ["researcher:6f", "1"], True),
        (["researcher", "*"], ["researcher:6f", "1"], False),
        (["researcher", "1"], ["researcher:6f", "1"], True),
        (["researcher", "1"], ["researcher:6f", "2"], False),
        ([], ["1"], False),
        # A star in a node's own name is written with a backslash.
        (["\\*"], ["*:6f"], True),
        (["\\*"], ["researcher:6f"], False),
        (["a\\\\b"], ["a\\b:1"], True),
    ],
)
def test_a_namespace_pattern_fits_its_paths(pattern: list[str], ns: list[str], fits: bool) -> None:
    address = Address("values", tuple(ns))
    assert admits(address, modes=["values"], namespaces=[pattern]) is fits
    assert (
        admits(address, modes=["values"], namespaces=[["**"]], exclude={"namespaces": [pattern]}) is not fits
    )


# ── globs ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("writer", "writer", True),
        ("writer", "Writer", False),
        ("writer", "writers", False),
        ("write", "writer", False),
        ("w*", "writer", True),
        ("*er", "writer", True),
        ("*", "", True),
        ("*", "anything at all", True),
        ("w*t*r", "writer", True),
        ("w*x*r", "writer", False),
        ("writ?r", "writer", True),
        ("writ?r", "writr", False),
        ("?", "", False),
        ("?", "é", True),
        ("?", "🙂", True),
        ("??", "🙂", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("\\?", "?", True),
        ("\\?", "a", False),
        ("a\\\\", "a\\", True),
        ("\\w", "w", True),
        ("a*\nb", "a x\nb", True),
    ],
)
def test_a_glob_matches_the_whole_name(glob: str, name: str, fits: bool) -> None:
    assert admits(Address("updates", node=name), modes=["updates"], nodes=[glob]) is fits
    assert admits(Address("messages", tags=(name,)), modes=["messages"], tags=[glob]) is fits
    assert admits(Address("updates", node=name), modes=["updates"], exclude={"nodes": [glob]}) is not fits


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def projected(mode: str, data: Any, keys: Iterable[str]) -> Any:
    return Matcher(Filter(modes=ALL, keys=list(keys))).project(mode, data)


@pytest.mark.parametrize(
    ("mode", "data", "left"),
    [
        ("values", {"a": 1, "b": 2}, {"a": 1}),
        ("values", {"a": None}, {"a": None}),
        ("values", {"b": 2}, NOTHING),
        ("values", {}, NOTHING),
        ("values", "bare", NOTHING),
        ("values", None, NOTHING),
        ("updates", {"node": {"a": 1, "b": 2}}, {"node": {"a": 1}}),
        ("updates", {"node": {"a": 1}, "other": {"b": 2}}, {"node": {"a": 1}}),
        ("updates", {"node": {"b": 2}}, NOTHING),
        ("updates", {"node": None}, NOTHING),
        ("updates", {"a": {"b": 2}}, NOTHING),
        ("updates", {"node": [{"a": 1}, {"b": 2}, {"a": 3, "b": 4}]}, {"node": [{"a": 1}, {"a": 3}]}),
        ("updates", {"node": [{"b": 2}]}, NOTHING),
        ("updates", {"node": []}, NOTHING),
        ("updates", [1], NOTHING),
        ("messages", {"b": 1}, {"b": 1}),
        ("custom", {"b": 1}, {"b": 1}),
        ("tasks", {"b": 1}, {"b": 1}),
        ("debug", {"b": 1}, {"b": 1}),
        ("checkpoints", {"values": {"b": 1}}, {"values": {"b": 1}}),
        ("lifecycle", {"status": "running"}, {"status": "running"}),
        ("interrupt", {"interrupts": []}, {"interrupts": []}),
        # A state that looks like a message travels wrapped; the keys are its own all the same.
        ("values", {"$obj": {"a": 1, "content": "", "type": "ai"}}, {"$obj": {"a": 1}}),
        ("values", {"$obj": {"content": "", "type": "ai"}}, NOTHING),
        ("updates", {"node": {"$obj": {"a": 1, "$b": 2}}}, {"node": {"$obj": {"a": 1}}}),
        ("updates", {"$obj": {"$node": {"a": 1, "b": 1}}}, {"$obj": {"$node": {"a": 1}}}),
    ],
)
def test_keys_project_values_and_updates_and_nothing_else(mode: str, data: Any, left: Any) -> None:
    assert projected(mode, data, ["a"]) == left


def test_no_keys_cut_nothing_and_an_empty_list_of_keys_leaves_nothing() -> None:
    state = {"a": 1}
    assert Matcher(Filter(modes=["values"])).project("values", state) is state
    assert projected("values", state, []) is NOTHING


def test_projecting_leaves_the_data_itself_alone() -> None:
    data = {"node": [{"a": 1, "b": 2}], "other": {"b": 1}}
    projected("updates", data, ["a"])
    assert data == {"node": [{"a": 1, "b": 2}], "other": {"b": 1}}


# ── fail closed ──────────────────────────────────────────────────────────────────────────────────

MODES = {"modes": ["values"]}


@pytest.mark.parametrize(
    ("filter", "path"),
    [
        ({}, "filter.modes"),
        ({"modes": []}, "filter.modes"),
        ({"modes": None}, "filter.modes"),
        ({"modes": "values"}, "filter.modes"),
        ({"modes": ["value"]}, "filter.modes[0]"),
        ({"modes": ["values", "Values"]}, "filter.modes[1]"),
        ({"modes": ["values", 1]}, "filter.modes[1]"),
        ({**MODES, "mode": ["updates"]}, "filter.mode"),
        ({**MODES, "node]": 1}, "filter.node]"),
        ({**MODES, "namespaces": None}, "filter.namespaces"),
        ({**MODES, "namespaces": ["**"]}, "filter.namespaces[0]"),
        ({**MODES, "namespaces": [["a"], [1]]}, "filter.namespaces[1][0]"),
        ({**MODES, "namespaces": [["a", ""]]}, "filter.namespaces[0][1]"),
        ({**MODES, "namespaces": [["res*"]]}, "filter.namespaces[0][0]"),
        ({**MODES, "namespaces": [["***"]]}, "filter.namespaces[0][0]"),
        ({**MODES, "namespaces": [["a\\"]]}, "filter.namespaces[0][0]"),
        ({**MODES, "nodes": None}, "filter.nodes"),
        ({**MODES, "nodes": "writer"}, "filter.nodes"),
        ({**MODES, "nodes": [""]}, "filter.nodes[0]"),
        ({**MODES, "nodes": ["ok", "bad\\"]}, "filter.nodes[1]"),
        ({**MODES, "nodes": [True]}, "filter.nodes[0]"),
        ({**MODES, "tags": None}, "filter.tags"),
        ({**MODES, "tags": ["bad\\"]}, "filter.tags[0]"),
        ({**MODES, "tags": {"joke": True}}, "filter.tags"),
        ({**MODES, "keys": None}, "filter.keys"),
        ({**MODES, "keys": [1]}, "filter.keys[0]"),
        ({**MODES, "exclude": None}, "filter.exclude"),
        ({**MODES, "exclude": []}, "filter.exclude"),
        ({**MODES, "exclude": {"keys": ["a"]}}, "filter.exclude.keys"),
        ({**MODES, "exclude": {"modes": ["a"]}}, "filter.exclude.modes"),
        ({**MODES, "exclude": {"tags": None}}, "filter.exclude.tags"),
        ({**MODES, "exclude": {"nodes": ["a\\"]}}, "filter.exclude.nodes[0]"),
        ({**MODES, "exclude": {"namespaces": [["a*b"]]}}, "filter.exclude.namespaces[0][0]"),
        (None, "filter"),
        ([], "filter"),
        ("values", "filter"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_path_of_the_fault(filter: object, path: str) -> None:
    refusal = refused(filter)
    assert refusal.code == "invalid_filter"
    assert refusal.id == 7
    assert refusal.details is not None
    assert [fault["path"] for fault in refusal.details["errors"]] == [path]
    assert f"subscribe.{path}: " in refusal.message


def test_a_fault_of_a_runs_spec_is_named_with_its_place() -> None:
    with pytest.raises(Refusal) as caught:
        decode_command(
            b'{"type":"run","id":1,"graph":"g","subscribe":['
            b'{"sub":1,"filter":{"modes":["values"]}},{"sub":2,"filter":{"modes":["nope"]}}]}'
        )
    assert caught.value.code == "invalid_filter"
    assert caught.value.details is not None
    assert caught.value.details["errors"][0]["path"] == "subscribe[1].filter.modes[0]"


def test_a_faulty_filter_is_told_before_the_other_faults_of_its_frame() -> None:
    with pytest.raises(Refusal) as caught:
        decode_command(b'{"type":"subscribe","id":1,"run":"no spaces","sub":-1,"filter":{"modes":["x"]}}')
    assert caught.value.code == "invalid_filter"


def test_a_list_of_faults_costs_no_more_than_its_first() -> None:
    refusal = refused({"modes": [0] * 20_000, "nodes": [0] * 20_000, "namespaces": [[0] * 20_000] * 2})
    assert refusal.details is not None
    assert [fault["path"] for fault in refusal.details["errors"]] == [
        "filter.modes[0]",
        "filter.namespaces[0][0]",
        "filter.nodes[0]",
    ]


def test_many_unknown_fields_are_not_named_one_by_one() -> None:
    for fields in ({"modes": ["values"]}, {"modes": [], "exclude": {f"y{i}": 1 for i in range(20_000)}}):
        refusal = refused({**fields, **{f"x{i}": 1 for i in range(20_000)}})
        assert refusal.code == "invalid_filter"
        assert refusal.id is not None
        reason = "more than 16 fields that this server does not know"
        assert refusal.details == {"errors": [{"path": "filter", "reason": reason}]}
        assert refusal.message == f"subscribe.filter: {reason}"


def test_unknown_fields_cost_no_error_object_each() -> None:
    filter = {"modes": ["values"], **{f"x{i}": 1 for i in range(20_000)}}
    assert calls_of(lambda: refused(filter)) < 2_000


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"nodes": ["a"] * 4}, "nodes"),
        ({"tags": ["a"] * 4}, "tags"),
        ({"keys": ["a"] * 4}, "keys"),
        ({"modes": ["values"] * 4}, "modes"),
        ({"namespaces": [["a"]] * 4}, "namespaces"),
        ({"namespaces": [[], ["a"] * 4]}, "namespaces[1]"),
        ({"exclude": {"tags": ["a"] * 4}}, "exclude.tags"),
        ({"nodes": ["a", "b" * 11]}, "nodes[1]"),
        ({"keys": ["b" * 11]}, "keys[0]"),
        ({"namespaces": [["a", "b" * 11]]}, "namespaces[0][1]"),
        ({"exclude": {"namespaces": [["b" * 11]]}}, "exclude.namespaces[0][0]"),
    ],
)
def test_too_many_entries_or_characters_are_named(fields: dict[str, Any], path: str) -> None:
    filter = Filter(**{**MODES, **fields})
    with pytest.raises(Refusal) as caught:
        filter.check_limits(max_entries=3, max_chars=10)
    assert caught.value.code == "limit_exceeded"
    assert caught.value.details is not None
    assert caught.value.details["path"] == path


def test_what_just_fits_the_limits_is_taken() -> None:
    fields = {"nodes": ["b" * 10] * 3, "namespaces": [["b" * 10] * 3] * 3}
    Filter(**MODES, **fields, exclude=Exclude(tags=("a",) * 3)).check_limits(max_entries=3, max_chars=10)


# ── the rest of the face ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("namespaces", "below"),
    [(None, False), ([], False), ([[]], False), ([["**"]], True), ([[], ["a"]], True)],
)
def test_a_filter_knows_whether_it_reaches_below_the_root(namespaces: Any, below: bool) -> None:
    assert Filter(modes=["values"], namespaces=namespaces).below_root is below


def test_a_matcher_forgets_old_places_and_decides_them_again_the_same() -> None:
    matcher = Matcher(Filter(modes=["updates"], nodes=["even"]))
    places = [Address("updates", node="odd" if n % 2 else "even") for n in range(10_000)]
    first = [matcher.admits(place) for place in places]
    assert [matcher.admits(place) for place in places] == first == [n % 2 == 0 for n in range(10_000)]


# ── a slow and obvious matcher says the same ─────────────────────────────────────────────────────


def glob_to_regex(glob: str) -> str:
    return re.sub(
        r"\\(.)|(\*)|(\?)|(.)",
        lambda m: "(?s:.*)" if m[2] else "(?s:.)" if m[3] else re.escape(m[1] or m[4]),
        glob,
        flags=re.DOTALL,
    )


def obvious_names(globs: Any, names: Iterable[str]) -> bool:
    return any(re.fullmatch(glob_to_regex(glob), name) for glob in globs for name in names)


def obvious_path(pattern: list[str], ns: list[str]) -> bool:
    """Whether ``pattern`` takes all of ``ns``, tried in every way that there is."""
    if pattern and pattern[0] == "**":
        return obvious_path(pattern[1:], ns) or (bool(ns) and obvious_path(pattern, ns[1:]))
    if not pattern or not ns:
        return not pattern and not ns
    want, segment = pattern[0], ns[0]
    if want == "*":
        fits = ":" in segment
    elif ":" in want:
        fits = want == segment
    else:
        fits = want in (segment, segment.split(":")[0])
    # The counters behind a segment may be taken along, or be named by the pattern.
    rests = [ns[1:]]
    while rests[-1] and ":" not in rests[-1][0]:
        rests.append(rests[-1][1:])
    return fits and any(obvious_path(pattern[1:], rest) for rest in rests)


def obvious(filter: Filter, mode: str, ns: tuple[str, ...], node: str | None, tags: tuple[str, ...]) -> bool:
    if mode in ("lifecycle", "interrupt"):
        return True
    if mode not in filter.modes:
        return False
    exclude = filter.exclude or Exclude()
    included = [()] if filter.namespaces is None else filter.namespaces
    if not any(obvious_path(list(p), list(ns)) for p in included):
        return False
    if any(obvious_path(list(p), list(ns)) for p in exclude.namespaces or ()):
        return False
    if mode in ("messages", "updates", "tasks"):
        nodes = [] if node is None else [node]
        if filter.nodes is not None and not obvious_names(filter.nodes, nodes):
            return False
        if obvious_names(exclude.nodes or (), nodes):
            return False
    if mode == "messages":
        if filter.tags is not None and not obvious_names(filter.tags, tags):
            return False
        if obvious_names(exclude.tags or (), tags):
            return False
    return True


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(values, max_size=3)


names = st.text("ab*?\\é", max_size=4)
globs = st.text("ab*?é", min_size=1, max_size=5) | st.sampled_from(["\\*", "a\\?", "\\\\", "\\a*"])
segments = st.sampled_from(["*", "**", "a", "b", "a:1", "b:1", "1", "2"])
paths = st.lists(segments, max_size=4)
steps = st.tuples(st.sampled_from(["a:1", "a:2", "b:1"]), st.sampled_from([(), ("1",), ("1", "2")]))
namespaces = st.lists(steps, max_size=3).map(
    lambda parts: tuple(s for head, rest in parts for s in (head, *rest))
)
excludes = st.builds(Exclude, namespaces=optional(paths), nodes=optional(globs), tags=optional(globs))
some_filters = st.builds(
    Filter,
    modes=st.lists(st.sampled_from(ALL), min_size=1, max_size=4),
    namespaces=optional(paths),
    nodes=optional(globs),
    tags=optional(globs),
    keys=optional(names),
    exclude=st.none() | excludes,
)


@given(some_filters, st.sampled_from(ALL), namespaces, st.none() | names, st.lists(names, max_size=3))
def test_the_matcher_says_what_the_obvious_one_says(
    filter: Filter, mode: str, ns: tuple[str, ...], node: str | None, tags: list[str]
) -> None:
    address = Address(mode, ns, node, tuple(tags))
    assert Matcher(filter).admits(address) is obvious(filter, mode, ns, node, tuple(tags))


@given(some_filters)
def test_a_filter_travels_unchanged(filter: Filter) -> None:
    wire = encode(filter)
    assert Filter.model_validate_json(wire, strict=True) == filter


# ── nobody can buy much work with a small pattern ────────────────────────────────────────────────


def steps_of(fields: dict[str, Any], address: Address) -> int:
    """Count the lines that the matching runs through."""
    matcher = Matcher(Filter(modes=(address.mode,), **fields))
    return lines_of(lambda: matcher.admits(address), filters.__file__)


def test_a_pathological_glob_costs_pattern_times_name() -> None:
    def work(stars: int, length: int) -> int:
        address = Address("updates", node="a" * length)
        return steps_of({"nodes": ["*a" * stars + "*b"]}, address)

    small = work(stars=8, length=100)
    assert work(stars=8, length=400) < 5 * small
    assert work(stars=32, length=100) < 5 * small


def test_many_globs_and_long_names_cost_no_more_than_the_first_part_of_a_name() -> None:
    globs = ["*a" * 60 + "*b"] * 64

    def work(tags: int, length: int) -> int:
        return steps_of({"tags": globs}, Address("messages", tags=("a" * length,) * tags))

    longest = work(1, 256)
    assert work(1, 100_000) == longest
    assert work(1, 256) < 5 * work(1, 64)
    assert work(10_000, 256) == work(64, 256) < 70 * longest


def test_globs_look_at_the_first_256_characters_and_64_tags() -> None:
    def has(tags: tuple[str, ...], glob: str) -> bool:
        return admits(Address("messages", tags=tags), modes=("messages",), tags=(glob,))

    assert has(("a" * 300,), "a" * 256)
    assert not has(("a" * 256 + "b",), "*b")
    assert has(("a",) * 63 + ("b",), "b")
    assert not has(("a",) * 64 + ("b",), "b")


def test_a_namespace_is_matched_by_its_first_64_segments() -> None:
    def has(ns: tuple[str, ...], *pattern: str) -> bool:
        return admits(Address("values", ns), modes=("values",), namespaces=(pattern,))

    assert has(("a:1",) * 63 + ("b:1",), "**", "b")
    assert not has(("a:1",) * 64 + ("b:1",), "**", "b")


def test_a_pathological_namespace_costs_pattern_times_path() -> None:
    def work(pattern: list[str], length: int) -> int:
        address = Address("values", ("a:1",) * length)
        return steps_of({"namespaces": [pattern]}, address)

    for unit in (["**", "a"], ["**"], ["**", "*"]):
        small = work([*unit * 8, "b"], 20)
        assert work([*unit * 8, "b"], 80) < 5 * small
        assert work([*unit * 32, "b"], 20) < 5 * small
