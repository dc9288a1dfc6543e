"""A subscription with patches receives a whole state first, then differences that lead to the same states.

About `gateway/graphwire_gateway/connections/patching.py`.
"""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections.patching import Patches
from graphwire_gateway.connections.sharing import Sharing
from graphwire_gateway.log.store import Record
from graphwire_protocol.filters import Address, Filter, Matcher
from graphwire_protocol.patches import apply

LONG = "a text that is long enough for a difference to be shorter than the state"


def values(state: Any, *ns: str) -> Record:
    data = orjson.dumps(state)
    head = b'"mode":"values","data":'
    return Record(Address("values", ns), head + data + b',"x":1', len(head), len(head) + len(data))


def custom() -> Record:
    head = b'"mode":"custom","data":'
    return Record(Address("custom"), head + b"1", len(head), len(head) + 1)


class Log:
    """A log and its store, which has all of its records or none of them any more."""

    def __init__(self, records: list[Record]) -> None:
        self.key = "r"
        self.records = records
        self.reads = 0

    async def read(self, run: str, after: int, limit: int) -> Any:
        self.reads += 1
        return SimpleNamespace(records=self.records[after : after + limit])


def matcher(**fields: Any) -> Matcher:
    return Matcher(Filter(modes=["values"], namespaces=[["**"]], **fields))


class Reader:
    """Reads a log page by page, sends all that was prepared, and applies the patches."""

    def __init__(self, log: Log, sharing: Sharing | None = None, **fields: Any) -> None:
        self.patches = Patches()
        self._sharing = sharing or Sharing()
        self.states: dict[tuple[str, ...], Any] = {}
        self._log = log
        self._matcher = matcher(**fields)
        self._after = 0

    async def page(self, limit: int) -> list[tuple[int, int | None]]:
        """Take so many records; return the seq and the base of each values event that was sent."""
        records = self._log.records[self._after : self._after + limit]
        log: Any = self._log
        sent = []
        bodies = {
            seq: await self.patches.body(self._sharing, log, log, self._matcher, seq, record)
            for seq, record in enumerate(records, self._after + 1)
            if record.address.mode == "values"
        }
        for seq, body in bodies.items():
            record = log.records[seq - 1]
            if body is None:
                continue
            event = orjson.loads(b"{%s}" % body)
            assert event["x"] == 1, "what stands behind the data stays"
            ns, base = record.address.ns, event.get("base")
            whole = event["data"] if base is None else apply(self.states[ns], event["data"])
            self.states[ns] = whole
            self.patches.sent(seq, ns)
            sent.append((seq, base))
        self.patches.release()
        self._after += len(records)
        return sent


STATES = [{"text": LONG, "n": 0}, {"text": LONG, "n": 1}, {"text": LONG, "n": 1, "more": [1, 2]}]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_each_difference_names_the_event_that_it_starts_from(limit: int) -> None:
    reader = Reader(Log([values(state) for state in STATES]))
    sent = []
    for expected in range(limit, 4, limit):
        sent += await reader.page(limit)
        assert reader.states[()] == STATES[expected - 1]
    sent += await reader.page(limit)
    assert sent == [(1, None), (2, 1), (3, 2)]
    assert reader.states[()] == STATES[-1]


async def test_each_namespace_has_differences_of_its_own() -> None:
    log = Log([values(STATES[0]), values(STATES[0], "sub"), custom(), values(STATES[1], "sub")])
    log.records.append(values(STATES[2]))
    reader = Reader(log)
    assert await reader.page(9) == [(1, None), (2, None), (4, 2), (5, 1)]
    assert reader.states == {("sub",): STATES[1], (): STATES[2]}


async def test_a_state_that_is_shorter_than_its_difference_is_sent_whole() -> None:
    reader = Reader(Log([values({"a": LONG}), values({"b": 1})]))
    assert await reader.page(9) == [(1, None), (2, None)]
    assert reader.states[()] == {"b": 1}


async def test_after_a_reset_a_whole_state_comes_first() -> None:
    reader = Reader(Log([values(state) for state in STATES]))
    await reader.page(2)
    reader.patches.reset()
    assert await reader.page(1) == [(3, None)]


async def test_a_base_that_was_evicted_is_replaced_by_a_whole_state() -> None:
    log = Log([values(state) for state in STATES])
    reader = Reader(log)
    await reader.page(1)
    kept, log.read = log.read, Log([]).read  # type: ignore[method-assign]
    assert await reader.page(1) == [(2, None)]
    log.read = kept  # type: ignore[method-assign]


async def test_readers_of_a_run_share_a_difference_if_they_chose_the_same_keys() -> None:
    log, sharing = Log([values(state) for state in STATES]), Sharing()
    texts = {"keys": ["n", "text"]}
    for reads, fields in ((2, {}), (2, {}), (4, texts), (4, texts), (6, {"keys": ["text"]})):
        reader = Reader(log, sharing, **fields)
        for _ in STATES:
            await reader.page(1)
        assert log.reads == reads


async def test_keys_make_a_state_of_their_own_and_what_they_leave_empty_is_not_sent() -> None:
    log = Log([values({"n": 1, "text": LONG}), values({"text": LONG}), values({"n": 2, "text": LONG})])
    reader = Reader(log, keys=["n"])
    sent = await reader.page(9)
    assert [seq for seq, _ in sent] == [1, 3]
    assert reader.states[()] == {"n": 2}


async def test_what_was_prepared_and_not_sent_is_no_base() -> None:
    log: Any = Log([values(state) for state in STATES])
    patches, sharing = Patches(), Sharing()
    await patches.body(sharing, log, log, matcher(), 1, log.records[0])
    patches.release()
    body = await patches.body(sharing, log, log, matcher(), 2, log.records[1])
    assert body is not None
    assert b'"base"' not in body


async def test_it_remembers_a_bounded_number_of_namespaces() -> None:
    names = [f"sub {number}" for number in range(300)]
    reader = Reader(Log([values(STATES[0], name) for name in names] * 2))
    sent = [each for _ in range(600) for each in await reader.page(1)]
    assert len(sent) == 600
    assert all(base is None for _, base in sent), "each namespace was forgotten before its turn came again"
    names = [*names[:257], names[1]]
    reader = Reader(Log([*(values(STATES[0], name) for name in names[:-1]), values(STATES[1], names[-1])]))
    sent = [each for _ in range(258) for each in await reader.page(1)]
    assert sent[-1] == (258, 2), "the oldest alone is forgotten"
