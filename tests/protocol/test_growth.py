"""The gate on the protocol's growth: additions pass, any other change is named in one sentence.

About `protocol/graphwire_protocol/growth.py`.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from graphwire_protocol.growth import breaks
from graphwire_protocol.reference import machine_readable

Plant = Callable[[dict[str, Any]], None]
TODAY = machine_readable()
CLIENT, SERVER, TABLES = "client-frames.json", "server-frames.json", "tables.json"
SCHEMAS = {file: document for file, document in TODAY.items() if file != TABLES}


def after(plant: Plant) -> list[str]:
    """Return what breaks when today's documents get a difference."""
    changed = copy.deepcopy(TODAY)
    plant(changed)
    assert changed != TODAY, "the plant changes something"
    return breaks(TODAY, changed)


def model(documents: dict[str, Any], file: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = documents[file]["$defs"][name]
    return found


def field(file: str, frame: str, name: str, **changes: Any) -> Plant:
    """Plant changes in a field; a value of None takes the keyword away."""

    def plant(documents: dict[str, Any]) -> None:
        described = model(documents, file, frame)["properties"].setdefault(name, {})
        for key, value in changes.items():
            described[key] = value
            if value is None:
                del described[key]

    return plant


def without(file: str, frame: str, name: str) -> Plant:
    return lambda documents: model(documents, file, frame)["properties"].pop(name)


def required(file: str, frame: str, name: str) -> Plant:
    def plant(documents: dict[str, Any]) -> None:
        owner = model(documents, file, frame)
        owner["properties"].setdefault(name, {"type": "string"})
        owner.setdefault("required", []).append(name)

    return plant


def optional(file: str, frame: str, name: str) -> Plant:
    return lambda documents: model(documents, file, frame)["required"].remove(name)


def frame_gone(file: str, type: str) -> Plant:
    return lambda documents: documents[file]["discriminator"]["mapping"].pop(type)


def table(name: str, change: Callable[[Any], Any]) -> Plant:
    def plant(documents: dict[str, Any]) -> None:
        change(documents[TABLES][name])

    return plant


def modes_of_a_filter(change: Callable[[list[str]], None], file: str = CLIENT) -> Plant:
    return lambda documents: change(model(documents, file, "Filter")["properties"]["modes"]["items"]["enum"])


BREAKING: dict[str, tuple[Plant, str]] = {
    "a client frame is gone": (frame_gone(CLIENT, "result"), "client frame result is gone"),
    "a server frame is gone": (frame_gone(SERVER, "mark"), "server frame mark is gone"),
    "a document is gone": (lambda documents: documents.pop("interrupt.json"), "interrupt.json is gone"),
    "a field of a client is gone": (
        without(CLIENT, "Run", "metadata"),
        "client frame run: metadata: the field is gone",
    ),
    "a field deep in a frame is gone": (
        without(CLIENT, "Exclude", "tags"),
        "client frame run: subscribe[].filter.exclude.tags: the field is gone",
    ),
    "a field of a server is gone": (
        without(SERVER, "Closed", "skipped"),
        "server frame closed: skipped: the field is gone",
    ),
    "a field of a mode's data is gone": (
        lambda documents: documents["lifecycle.json"]["properties"].pop("attempt"),
        "data of mode lifecycle: attempt: the field is gone",
    ),
    "a client must send a new field": (
        required(CLIENT, "Cancel", "why"),
        "client frame cancel: the new field why is required",
    ),
    "a client must send an optional field": (
        required(CLIENT, "Cancel", "reason"),
        "client frame cancel: reason: the field was optional and is required",
    ),
    "a server may leave out what it always sent": (
        optional(SERVER, "Started", "epoch"),
        "server frame started: epoch: the field was always there and is optional",
    ),
    "a type is another": (
        field(CLIENT, "Cancel", "reason", type="integer"),
        "client frame cancel: reason: it was string and is integer",
    ),
    "any value becomes a typed one": (
        field(CLIENT, "Ping", "t", type="integer"),
        "client frame ping: t: it was anything and is integer",
    ),
    "a bound is lower": (
        field(CLIENT, "Cancel", "reason", maxLength=10),
        "client frame cancel: reason: its maxLength was 1024 and is 10",
    ),
    "a bound is new": (
        field(CLIENT, "Credit", "events", minimum=1),
        "client frame credit: events: its minimum was 0 and is 1",
    ),
    "a pattern is another": (
        field(CLIENT, "Cancel", "run", pattern="^r"),
        "client frame cancel: run: its pattern was",
    ),
    "a list's entries are another": (
        field(CLIENT, "Watch", "graphs", items={"type": "integer"}),
        "client frame watch: graphs[]: it was string and is integer",
    ),
    "a value is gone": (
        field(CLIENT, "Run", "if_busy", enum=["reject"]),
        "client frame run: if_busy: the value 'enqueue' is gone",
    ),
    "any text becomes one of a few": (
        field(CLIENT, "List", "graph", enum=["joke"]),
        "client frame list: graph: any string was legal, only ['joke'] is",
    ),
    "a member of a union is gone": (
        lambda documents: model(documents, CLIENT, "Subscribe")["properties"]["from"]["anyOf"].pop(),
        "client frame subscribe: from: Position was taken and is not any more",
    ),
    "a server sends a new member of a union": (
        field(SERVER, "Pong", "t", anyOf=[{"type": "string"}, {"type": "integer"}]),
        "server frame pong: t: string was never sent there and now is",
    ),
    "a server sends a new value of a closed set": (
        field(SERVER, "Gap", "reason", enum=["evicted", "epoch_changed", "ahead", "moved"]),
        "server frame gap: reason: the value 'moved' is new",
    ),
    "a default is another": (
        field(CLIENT, "Run", "on_disconnect", default="cancel"),
        "client frame run: on_disconnect: its default was 'continue' and is 'cancel'",
    ),
    "a default is gone": (
        field(CLIENT, "List", "limit", default=None),
        "client frame list: limit: its default was 100 and is none",
    ),
    "unknown fields are refused": (
        lambda documents: model(documents, CLIENT, "Cancel").update(additionalProperties=False),
        "client frame cancel: unknown fields were taken and are refused",
    ),
    "a filter knows a mode no more": (
        modes_of_a_filter(lambda modes: modes.remove("debug")),
        "client frame run: subscribe[].filter.modes[]: the value 'debug' is gone",
    ),
    "a code is gone": (table("codes", lambda codes: codes.pop("busy")), "error code busy is gone"),
    "a code is retried otherwise": (
        table("codes", lambda codes: codes["busy"].update(retry="never")),
        "error code busy: its retry was 'after' and is 'never'",
    ),
    "a close is gone": (table("closes", lambda closes: closes.pop("4408")), "close code 4408 is gone"),
    "a close no longer lets reconnect": (
        table("closes", lambda closes: closes["4408"].update(reconnect=False)),
        "close code 4408: its reconnect was True and is False",
    ),
    "a limit is gone": (table("limits", lambda limits: limits.pop("drain_s")), "limit drain_s is gone"),
    "a limit is counted otherwise": (
        table("limits", lambda limits: limits["log_bytes"].update(unit="events")),
        "limit log_bytes: its unit was 'bytes' and is 'events'",
    ),
    "a mode is gone": (table("modes", lambda modes: modes.remove("debug")), "mode debug is gone"),
    "a part of a filter constrains another known mode": (
        table("filter", lambda filter: filter["nodes"].insert(0, "custom")),
        "filter: nodes applied to",
    ),
    "a request has another reply": (
        table("replies", lambda replies: replies.update(cancel="started")),
        "request cancel: its reply was ok and is started",
    ),
    "a request is not served any more": (
        table("unserved", lambda unserved: unserved.append("result")),
        "request result was served and is not any more",
    ),
    "a step of a subscription is illegal": (
        table("subscription", lambda steps: steps.pop("live: gap")),
        "subscription, live: gap: led to live_gapped and leads to None",
    ),
    "a run moves otherwise": (
        table("run", lambda steps: steps.append("completed: running")),
        "run: the lifecycle differs at completed: running",
    ),
    "a run has another status": (
        table("statuses", lambda statuses: statuses["all"].append("asleep")),
        "run: the statuses differ",
    ),
    "the minor falls": (table("version", lambda version: version.update(minor=-1)), "the minor fell"),
    "the major is another": (table("version", lambda version: version.update(major=2)), "the major differs"),
}


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_a_client_is_named(name: str) -> None:
    plant, sentence = BREAKING[name]
    assert any(sentence in fault for fault in after(plant)), after(plant)


def new_frame(documents: dict[str, Any]) -> None:
    documents[CLIENT]["$defs"]["Wave"] = {
        "type": "object",
        "properties": {"type": {"const": "wave"}, "id": {}},
        "required": ["type", "id"],
    }
    documents[CLIENT]["discriminator"]["mapping"]["wave"] = "#/$defs/Wave"


ADDITIONS: dict[str, Plant] = {
    "a frame": new_frame,
    "a document": lambda documents: documents.update({"new.json": {}}),
    "an optional field of a client": field(CLIENT, "Cancel", "why", type="string"),
    "a field that a server always sends": required(SERVER, "Started", "place"),
    "a wider bound": field(CLIENT, "Cancel", "reason", maxLength=2048),
    "a bound less": field(CLIENT, "Cancel", "reason", maxLength=None),
    "a client's value more": field(
        CLIENT, "Run", "if_busy", enum=["reject", "enqueue", "interrupt", "replace"]
    ),
    "a required field that may be left out": optional(CLIENT, "Ping", "t"),
    "a mode of filters": modes_of_a_filter(lambda modes: modes.append("audio")),
    "a mode of filters, echoed": modes_of_a_filter(lambda modes: modes.append("audio"), SERVER),
    "a mode": table("modes", lambda modes: modes.append("audio")),
    "what a filter's part does to a new mode": lambda documents: (
        documents[TABLES]["modes"].append("audio"),
        documents[TABLES]["filter"]["nodes"].insert(0, "audio"),
    )[0],
    "a code": table("codes", lambda codes: codes.update(tired={"meaning": "", "retry": "after"})),
    "a close": table("closes", lambda closes: closes.update({"4499": {"meaning": "", "reconnect": True}})),
    "a limit": table("limits", lambda limits: limits.update(max_x={"unit": ""})),
    "a limit's default": table("limits", lambda limits: limits["drain_s"].update(default=60)),
    "a step of a new frame": table("subscription", lambda steps: steps.update({"live: wave": "live"})),
    "a minor": table("version", lambda version: version.update(minor=7)),
    "another wording": field(CLIENT, "Cancel", "reason", description="Otherwise."),
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_passes(name: str) -> None:
    assert after(ADDITIONS[name]) == []


def test_nothing_breaks_where_nothing_differs() -> None:
    assert breaks(TODAY, copy.deepcopy(TODAY)) == []
    assert breaks({}, TODAY) == []


def test_no_field_of_any_object_can_go_without_a_word() -> None:
    for file, document in SCHEMAS.items():
        for name, owner in {**document.get("$defs", {}), "": document}.items():
            for gone in owner.get("properties", {}):
                kept = {key: each for key, each in owner["properties"].items() if key != gone}
                changed = {**owner, "properties": kept}
                if name:
                    changed = {**document, "$defs": {**document["$defs"], name: changed}}
                faults = breaks({file: document}, {file: changed})
                assert any("the field is gone" in fault and gone in fault for fault in faults), (
                    f"{file}: {name}.{gone}"
                )


def test_no_value_of_a_clients_field_can_go_without_a_word() -> None:
    for name, owner in TODAY[CLIENT]["$defs"].items():
        for property, described in owner.get("properties", {}).items():
            for value in described.get("enum", ()):
                changed = copy.deepcopy(TODAY)
                model(changed, CLIENT, name)["properties"][property]["enum"].remove(value)
                assert any(repr(value) in fault for fault in breaks(TODAY, changed)), f"{name}.{property}"
