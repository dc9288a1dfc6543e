"""The fault suite can fail: it catches each bug that is planted here, and finds nothing without one.

A mutant patches a named function for the time of one storm; none of it is in the packages.

About `tests/support/faults/storm.py`, `tests/support/faults/truth.py` and `tests/support/faults/oracle.py`.
"""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections import delivery as deliveries
from graphwire_gateway.connections.delivery import Delivery
from graphwire_gateway.connections.reader import Reader
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.log import Log
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.runs.run import Run
from graphwire_protocol.client import Subscription as ClientSubscription
from graphwire_protocol.commands import Position
from graphwire_protocol.credit import Allowance, Window
from graphwire_protocol.filters import Address, Matcher
from graphwire_protocol.frames import Event
from graphwire_protocol.types import TERMINAL

from tests.support.faults.storm import Plan, storm

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]

SHORT = {"runs": 6, "readers": 5, "faults": 120, "events": 250, "reach": 12_000, "patience_s": 2.0}
TIGHT = {**SHORT, "log_events": 40}
"""Logs so short that readers live on gaps and snapshots."""

SLOW = {**SHORT, "pauses_ms": (40,), "faults": 40}
"""Runs that pause, so that marks come."""

WORDY = {**SHORT, "words": (40,), "reach": 6_000}
"""Messages so long that connections are cut inside of them."""

SEEDS = (1, 2, 3, 4)
"""One after the other, until one catches the mutant; without a mutant all of them are tried."""

MUTANTS: list[Any] = []


def mutant(*kinds: str, plan: dict[str, Any] = SHORT) -> Callable[[Plant], Plant]:
    """Enlist a mutant: ``kinds`` are the words of the violations that it may be caught by."""

    def enlist(plant: Plant) -> Plant:
        MUTANTS.append(pytest.param(plant, kinds, plan, id=plant.__name__.replace("_", " ")))
        return plant

    return enlist


@mutant("lost")
def an_event_is_dropped_when_a_subscription_is_replaced(patch: Patch) -> None:
    left: set[tuple[int, str]] = set()
    detach, begin = Delivery.detach, Reader._begin

    def detached(self: Delivery, sub: int) -> None:
        if sub in self._readers:
            left.add((sub, self._readers[sub].log.run))
        detach(self, sub)

    def begun(self: Reader, page: Any, start: Any) -> Any:
        answer = begin(self, page, start)
        if (self.sub, self.log.run) in left and self.cursor < self.log.head - 1:
            self.cursor += 1
        return answer

    patch.setattr(Delivery, "detach", detached)
    patch.setattr(Reader, "_begin", begun)


@mutant("lost")
def a_client_s_cursor_is_one_too_far(patch: Patch) -> None:
    right: Any = ClientSubscription.position

    def position(self: ClientSubscription) -> Any:
        there = right.fget(self)
        return there.model_copy(update={"seq": there.seq + 1}) if isinstance(there, Position) else there

    patch.setattr(ClientSubscription, "position", property(position))


@mutant("cursor", "repeated", "n")
def a_server_s_cursor_is_one_too_short(patch: Patch) -> None:
    begin = Reader._begin

    def begun(self: Reader, page: Any, start: Any) -> Any:
        answer = begin(self, page, start)
        self._jump(max(0, self.cursor - 1))
        return answer

    patch.setattr(Reader, "_begin", begun)


@mutant("repeated")
def events_are_repeated_after_a_reconnect(patch: Patch) -> None:
    right: Any = ClientSubscription.position
    seen = ClientSubscription.receive

    def position(self: ClientSubscription) -> Any:
        there = right.fget(self)
        return there.model_copy(update={"seq": there.seq // 2}) if isinstance(there, Position) else there

    def receive(self: ClientSubscription, frame: Any) -> Any:
        if isinstance(frame, Event):
            self.seq = None  # it remembers nothing, and shows everything
        return seen(self, frame)

    patch.setattr(ClientSubscription, "position", property(position))
    patch.setattr(ClientSubscription, "receive", receive)


@mutant("reordered")
def two_events_change_places_inside_a_batch(patch: Patch) -> None:
    right = deliveries.batches

    def batches(frames: list[bytes]) -> list[bytes]:
        frames = list(frames)
        for at in range(len(frames) - 1):
            if frames[at].startswith(b'{"type":"event"') and frames[at + 1].startswith(b'{"type":"event"'):
                frames[at], frames[at + 1] = frames[at + 1], frames[at]
                break
        return right(frames)

    patch.setattr(deliveries, "batches", batches)


@mutant("wrong", "lost", "widened", "snapshot")
def the_log_itself_is_out_of_order(patch: Patch) -> None:
    right = Log.batch

    def batch(self: Log) -> Any:
        pending = self._pending
        if len(pending) > 3:
            pending[1], pending[2] = pending[2], pending[1]
        return right(self)

    patch.setattr(Log, "batch", batch)


@mutant("terminal", "synced")
def the_terminal_event_is_lost(patch: Patch) -> None:
    right = Reader._take

    def take(self: Reader, records: Any, bodies: Any, out: list[bytes], room: int) -> int:
        last = records[-1] if records else None
        if last and last.address.mode == "lifecycle" and orjson.loads(last.data)["status"] in TERMINAL:
            size = right(self, records[:-1], bodies, out, room)
            if self.cursor == self.log.head - 1:
                self.cursor += 1
            return size
        return right(self, records, bodies, out, room)

    patch.setattr(Reader, "_take", take)


@mutant("terminal")
def a_run_ends_twice(patch: Patch) -> None:
    right = Run._enter

    def enter(self: Run, status: Any, reason: Any = None, error: Any = None) -> None:
        right(self, status, reason, error)
        if status in TERMINAL:
            self.log.append(self.log._pending[-1:])

    patch.setattr(Run, "_enter", enter)


@mutant("epoch")
def a_log_is_replayed_to_a_cursor_of_another_epoch(patch: Patch) -> None:
    right = Reader._begin

    def begin(self: Reader, page: Any, start: Any) -> Any:
        if isinstance(start, Position):
            start = start.model_copy(update={"epoch": page.epoch})
        return right(self, page, start)

    patch.setattr(Reader, "_begin", begin)


@mutant("mark", "repeated", plan=SLOW)
def a_mark_overtakes_an_event(patch: Patch) -> None:
    right = Reader.mark

    def mark(self: Reader) -> bytes | None:
        frame = right(self)
        if frame is None:
            return None
        return frame.replace(b'"seq":%d' % self.shown, b'"seq":%d' % (self.shown + 3))

    patch.setattr(Reader, "mark", mark)


@mutant("credit")
def credit_leaks_to_the_server(patch: Patch) -> None:
    right = Allowance.spend
    spent: dict[int, int] = {}

    def spend(self: Allowance, mode: str) -> None:
        spent[id(self)] = spent.get(id(self), 0) + 1
        if spent[id(self)] % 20:
            right(self, mode)

    patch.setattr(Allowance, "spend", spend)


@mutant("stuck")
def credit_leaks_away_from_the_client(patch: Patch) -> None:
    right = Window.take
    patch.setattr(Window, "take", lambda self, mode: right(self, mode) // 2)


@mutant("widened", "snapshot")
def a_filter_widens_to_every_tag(patch: Patch) -> None:
    right: Any = Matcher.admits

    def admits(self: Any, address: Any) -> bool:
        tags = ("soft",) if address.tags else ()
        return right(self, Address(address.mode, address.ns, address.node, tags))

    patch.setattr(Matcher, "admits", admits)


@mutant("widened", "snapshot")
def a_filter_widens_to_subgraphs(patch: Patch) -> None:
    right: Any = Matcher.admits

    def admits(self: Any, address: Any) -> bool:
        at_root = Address(address.mode, (), address.node, address.tags)
        return right(self, address) or right(self, at_root)

    patch.setattr(Matcher, "admits", admits)


@mutant("snapshot", "gap", plan=TIGHT)
def a_snapshot_is_ahead_of_its_seq(patch: Patch) -> None:
    right = MemoryStore.base

    async def base(self: MemoryStore, run: str) -> Any:
        fold = await right(self, run)
        upto = fold.upto
        for record in self._log(run).records[:20]:
            if record.address.mode != "lifecycle":
                fold.add(record)
        fold.upto = upto
        return fold

    patch.setattr(MemoryStore, "base", base)


@mutant("snapshot", "lost", "gap", plan=TIGHT)
def a_snapshot_stands_one_event_too_far(patch: Patch) -> None:
    right = MemoryStore.base

    async def base(self: MemoryStore, run: str) -> Any:
        fold = await right(self, run)
        if fold.upto:
            fold.upto += 1
        return fold

    patch.setattr(MemoryStore, "base", base)


@mutant("meta", plan=WORDY)
def metadata_is_missing_after_a_reattachment(patch: Patch) -> None:
    begin = Reader._begin

    def begun(self: Reader, page: Any, start: Any) -> Any:
        answer = begin(self, page, start)
        self._origin = 0
        return answer

    patch.setattr(Reader, "_begin", begun)


@mutant("lost")
def a_hole_in_n_is_not_noticed(patch: Patch) -> None:
    take, receive = Reader._take, ClientSubscription.receive

    def taken(self: Reader, records: Any, bodies: Any, out: list[bytes], room: int) -> int:
        before = len(out)
        size = take(self, records, bodies, out, room)
        if len(out) - before > 4 and self.sub % 2:
            del out[before + 2]
        return size

    def received(self: ClientSubscription, frame: Any) -> bool:
        if isinstance(frame, Event):
            frame = frame.model_copy(update={"n": self._n + 1})
        return receive(self, frame)

    patch.setattr(Reader, "_take", taken)
    patch.setattr(ClientSubscription, "receive", received)


@mutant("gap", plan=TIGHT)
def a_gap_hides_what_was_lost(patch: Patch) -> None:
    patch.setattr(Fold, "lost", lambda self, matcher, after: [])


@pytest.mark.parametrize(("plant", "kinds", "plan"), MUTANTS)
async def test_the_fault_suite_catches(
    monkeypatch: Patch, plant: Plant, kinds: tuple[str, ...], plan: dict[str, Any]
) -> None:
    plant(monkeypatch)
    told: list[str] = []
    for seed in SEEDS:
        report = await storm(Plan(seed, **plan))
        told += report.words
        if set(report.violations) & set(kinds):
            return
    raise AssertionError(told or "nothing was noticed")


@pytest.mark.parametrize("plan", [SHORT, TIGHT])
async def test_without_a_mutant_there_is_nothing_to_catch(plan: dict[str, Any]) -> None:
    reports = [await storm(Plan(seed, **plan)) for seed in SEEDS]
    assert [word for report in reports for word in report.words] == []
