"""A principal has so many connections, and loses a silent one rather than a newcomer.

About `gateway/graphwire_gateway/connections/open_connections.py`.
"""

import pytest
from graphwire_gateway.connections.open_connections import SILENT_S, OpenConnections
from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal


class Connection:
    def __init__(self, silent_s: float = 0.0) -> None:
        self.silence = silent_s
        self.probes = 0
        self.aborted: list[str] = []

    def silent_s(self) -> float:
        return self.silence

    def probe(self) -> None:
        self.probes += 1

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)


def test_connections_are_counted_by_principal() -> None:
    connections = OpenConnections(2)
    first, second = Connection(), Connection()
    for connection in (first, second):
        connections.add("a", connection)
    connections.add("b", Connection())
    with pytest.raises(Refusal) as caught:
        connections.add("a", Connection())
    assert (caught.value.code, caught.value.close) == ("limit_exceeded", codes.TOO_MANY)
    assert caught.value.after_ms == SILENT_S * 1000
    connections.remove("a", first)
    connections.add("a", Connection())
    with pytest.raises(Refusal):
        connections.add("a", Connection())


def test_the_connection_that_has_been_silent_longest_makes_room() -> None:
    connections = OpenConnections(3)
    crowd = [Connection(SILENT_S), Connection(5 * SILENT_S), Connection()]
    for connection in crowd:
        connections.add("a", connection)
    connections.add("a", Connection())
    assert [len(connection.aborted) for connection in crowd] == [0, 1, 0]
    connections.remove("a", crowd[1])  # as it does when it has ended; it is counted out already
    connections.add("a", Connection())
    assert [len(connection.aborted) for connection in crowd] == [1, 1, 0]
    with pytest.raises(Refusal):
        connections.add("a", Connection())


def test_whoever_does_not_answer_is_found_out_by_the_time_the_newcomer_comes_again() -> None:
    connections = OpenConnections(2)
    lively, vanished = Connection(), Connection()
    connections.add("a", lively)
    connections.add("a", vanished)
    with pytest.raises(Refusal):
        connections.add("a", Connection())
    assert (lively.probes, vanished.probes) == (1, 1)
    vanished.silence = SILENT_S
    connections.add("a", Connection())
    assert vanished.aborted
    assert not lively.aborted
