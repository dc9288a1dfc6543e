"""The documents are true: their frames are legal, every name is explained, every link leads somewhere.

About `proto-docs/`, `protocol/graphwire_protocol/reference.py`, `protocol/graphwire_protocol/schema.py`,
`protocol/graphwire_protocol/examples.py`, `protocol/graphwire_protocol/limits.py` and
`protocol/graphwire_protocol/codes.py`.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from graphwire.cli.app import GROUP, build
from graphwire_gateway.limits import Limits
from graphwire_gateway.serve.config import Config
from graphwire_protocol.codec import Unknown, decode_command, decode_frames
from graphwire_protocol.codes import CLOSES, CODES
from graphwire_protocol.commands import UNSERVED, Command, RunConfig
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Filter
from graphwire_protocol.frames import ServerFrame
from graphwire_protocol.limits import DEFAULTS, LIMITS
from graphwire_protocol.reference import documents, machine_readable
from graphwire_protocol.schema import DATA
from graphwire_protocol.state import REPLY
from graphwire_protocol.types import Mode
from graphwire_protocol.version import MAJOR, MINOR
from pydantic import BaseModel

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "proto-docs"
HOUSE = [
    ROOT / name
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "runtime/README.md")
]
PAGES = sorted(DOCS.rglob("*.md"))
BY_HAND = [page for page in PAGES if page.name == "README.md" or page.parent == DOCS]
LINKED = [
    *PAGES,
    *HOUSE,
    *sorted((ROOT / "gateway/deploy").glob("*.md")),
    *(page for page in sorted((ROOT / "clients").rglob("README.md")) if "node_modules" not in page.parts),
]


@cache
def written() -> dict[str, str]:
    """What `make schema` writes."""
    return documents()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fenced(page: Path, language: str) -> Iterator[str]:
    """Return the code blocks of a page in a language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def wire(block: str) -> list[tuple[str, dict[str, Any]]]:
    """Return who sends and what, for each line of a walk that is no comment."""
    out = []
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        arrow, space, frame = line.partition(" ")
        assert arrow in "→←", f"a line of a walk begins with an arrow or #: {line}"
        assert space
        out.append(("client" if arrow == "→" else "server", json.loads(frame)))
    return out


WALKS = [
    pytest.param(wire(block), id=f"{page.stem}-{index}")
    for page in BY_HAND
    for index, block in enumerate(fenced(page, "wire"))
]


# ── frames in prose ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("walk", WALKS)
def test_every_frame_of_a_walk_is_legal_and_has_only_known_fields(
    walk: list[tuple[str, dict[str, Any]]],
) -> None:
    assert walk
    for by, frame in walk:
        if by == "client" and is_refused(frame, walk):
            with pytest.raises(Refusal):
                decode_command(json.dumps(frame))
            continue
        read = decode_command(json.dumps(frame)) if by == "client" else decode_frames(json.dumps(frame))[0]
        assert not isinstance(read, Unknown), frame
        assert set(frame) - set(read.to_wire()) == set(), frame
        if frame["type"] == "event":
            assert frame["mode"] in get_args(Mode)
            if frame["mode"] in DATA:
                DATA[frame["mode"]].model_validate_json(json.dumps(frame["data"]))
        if frame["type"] == "error":
            assert CODES[frame["code"]].retry == frame["retry"], frame


def is_refused(frame: dict[str, Any], walk: list[tuple[str, dict[str, Any]]]) -> bool:
    """Tell whether the walk shows this frame as one that cannot be read: its answer says so."""
    return any(
        by == "server" and answer.get("id") == frame.get("id") and answer.get("code") == "invalid_filter"
        for by, answer in walk
    )


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_keeps_the_order_that_it_teaches(walk: list[tuple[str, dict[str, Any]]]) -> None:
    counted: dict[int, tuple[int, int]] = {}
    asked: dict[int, str] = {}
    for by, frame in walk:
        kind, sub = frame["type"], frame.get("sub")
        if by == "client":
            asked[frame.get("id", -1)] = kind
            continue
        reply = {"welcome", "started", "subscribed", "ok", "error"} & {kind}
        if reply and kind != "error" and frame["id"] in asked:
            assert kind in (REPLY[asked[frame["id"]]], "subscribed"), frame
        if kind == "subscribed":
            counted[sub] = (0, frame.get("after", -1))
        elif kind == "event" and sub in counted:
            n, seq = counted[sub]
            if n or frame["n"] == 1:  # else it is one of the attachment before
                assert frame["n"] == n + 1, frame
                assert frame["seq"] > seq, frame
                counted[sub] = (frame["n"], frame["seq"])
        elif kind == "snapshot" and sub in counted:
            counted[sub] = (counted[sub][0], frame["seq"])


@pytest.mark.parametrize("page", BY_HAND, ids=named)
def test_nothing_is_elided_in_json(page: Path) -> None:
    for block in [*fenced(page, "json"), *fenced(page, "wire"), *fenced(page, "jsonc")]:
        assert "…" not in block
        assert "..." not in block


def test_the_filters_in_the_table_of_wishes_are_filters() -> None:
    text = (DOCS / "filters.md").read_text("utf-8")
    wishes = re.findall(r"^\| .+ \| `(\{.+\})` \|$", text, re.MULTILINE)
    assert len(wishes) >= 5
    for wish in [*wishes, *fenced(DOCS / "filters.md", "json")]:
        Filter.model_validate_json(wish, strict=True)


# ── everything is told ───────────────────────────────────────────────────────────────────────────


def test_what_is_generated_is_what_is_committed() -> None:
    assert {name for name, text in written().items() if (DOCS / name).read_text("utf-8") != text} == set()


def test_no_page_of_the_reference_is_left_over() -> None:
    kept = {
        str(path.relative_to(DOCS))
        for folder in ("reference", "schema")
        for path in (DOCS / folder).iterdir()
    }
    assert kept - set(written()) == {"reference/README.md"}


def test_the_baseline_has_every_document_of_its_release() -> None:
    assert {path.name for path in (DOCS / "baseline").iterdir()} <= set(machine_readable())
    assert (DOCS / "baseline" / "tables.json").is_file()


def prose() -> str:
    return "\n".join(page.read_text("utf-8") for page in BY_HAND)


FRAMES = [
    model.model_fields["type"].default
    for union in (Command, ServerFrame)
    for model in get_args(get_args(union)[0])
]


@pytest.mark.parametrize("frame", [*FRAMES, *UNSERVED])
def test_every_frame_is_told_of_by_hand(frame: str) -> None:
    assert re.search(rf"[`\"]{frame}\b", prose()), f"no page of proto-docs/ by hand tells of {frame!r}"


@pytest.mark.parametrize("frame", FRAMES)
def test_every_frame_has_its_place_in_the_reference(frame: str) -> None:
    pages = [written()[f"reference/{side}-frames.md"] for side in ("client", "server")]
    assert any(f"\n## {frame}\n" in page for page in pages)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_every_mode_is_told_of_with_its_data(mode: str) -> None:
    assert f"`{mode}`" in (DOCS / "events.md").read_text("utf-8")
    assert f"| `{mode}` |" in written()["reference/filters.md"]


def test_every_code_close_and_limit_is_in_its_table() -> None:
    codes, limits = written()["reference/codes.md"], written()["reference/limits.md"]
    assert [code for code in CODES if f"| `{code}` |" not in codes] == []
    assert [close for close in CLOSES if f"| {close} |" not in codes] == []
    assert [limit for limit in LIMITS if f"| `{limit}` |" not in limits] == []


def test_the_gateway_has_the_limits_of_the_table_and_their_defaults() -> None:
    assert Limits().model_dump() == DEFAULTS.model_dump()
    assert list(Limits.model_fields) == list(LIMITS)


def test_the_versions_end_with_this_one() -> None:
    rows = re.findall(r"^\| (\d+\.\d+) \|", (DOCS / "versions.md").read_text("utf-8"), re.MULTILINE)
    assert rows[-1] == f"{MAJOR}.{MINOR}"


def test_limits_that_the_prose_names_exist() -> None:
    limits = set(re.findall(r"`((?:max|log|store|requests?)_[a-z_]+)`", prose()))
    assert limits - set(LIMITS) - set(RunConfig.model_fields) == set()


# ── settings and options ─────────────────────────────────────────────────────────────────────────


def settings(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for part in (field.annotation, *get_args(field.annotation)):
            for inner in (part, *get_args(part)):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    yield from settings(inner)


def test_every_setting_of_a_server_is_documented() -> None:
    told = "\n".join(page.read_text("utf-8") for page in [*HOUSE, *PAGES])
    told += command_lines()
    untold = {
        name
        for name in settings(Config)
        if not re.search(
            rf"`\[?{name}\b[^`]*`|^\[?{name}\]?( =|$|\.)|--{name.replace('_', '-')}\b", told, re.MULTILINE
        )
    }
    assert untold == set(), "say in the README, or in the help of the option, what it does"


def test_every_option_of_the_command_line_says_what_it_does() -> None:
    root = typer.main.get_command(app())
    silent = [
        f"{name} {parameter.name}"
        for name, command in root.commands.items()  # type: ignore[attr-defined]
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert silent == []


def command_lines() -> str:
    root = typer.main.get_command(app())
    return "\n".join(
        " ".join([*parameter.opts, getattr(parameter, "help", None) or ""])
        for command in root.commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
    )


def app() -> typer.Typer:
    return build([], entry_points(group=GROUP))


# ── links ────────────────────────────────────────────────────────────────────────────────────────


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=named)
def test_every_internal_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in BY_HAND if page != DOCS / "README.md"], ids=named)
def test_every_page_can_be_found_from_the_index(page: Path) -> None:
    assert page.relative_to(DOCS).as_posix() in (DOCS / "README.md").read_text("utf-8")
