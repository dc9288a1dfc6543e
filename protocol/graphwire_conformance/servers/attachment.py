"""Judges one attachment: every frame of a subscription is checked against the rules as it arrives.

It keeps the plainest cursor that can be: the last ``seq``, the last ``n``, and which messages it has seen.
"""

from graphwire_conformance.protocol import FREE_MODES, TERMINAL, Frame, call_of
from graphwire_conformance.verdict import Violation, check


class Attachment:
    """One attachment of a subscription, from ``subscribed`` to ``closed``."""

    def __init__(self, subscribed: Frame, credit: int | None) -> None:
        self.sub: int = subscribed["sub"]
        self.subscribed = subscribed
        self.epoch: str | None = subscribed.get("epoch")
        self.events: list[Frame] = []
        self.frames: list[Frame] = []
        self.seq: int = subscribed.get("after", 0)
        self.terminal: Frame | None = None
        self.closed: Frame | None = None
        self.synced: Frame | None = None
        self.gaps: list[Frame] = []
        self.snapshots: list[Frame] = []
        self.left = credit
        self._n = 0
        self._seen_calls: set[str] = set()
        self._awaits_snapshot = False
        recovery = subscribed.get("recovery")
        check(
            recovery in (None, "live", "replayed", "snapshot", "gap"),
            "5",
            "recovery live, replayed, snapshot or gap",
            subscribed,
        )
        if recovery in ("gap", "snapshot"):
            check("after" not in subscribed, "2", "no 'after' where a gap or a snapshot says it", subscribed)

    def take(self, frame: Frame) -> None:
        """Check and store one frame. Raises ``Violation``."""
        self.frames.append(frame)
        check(self.closed is None, "8: subscribed, events, closed", "nothing behind closed", frame)
        kind = frame["type"]
        if self._awaits_snapshot:
            check(
                kind in ("snapshot", "closed"), "5: gap, then snapshot", "the snapshot behind its gap", frame
            )
        match kind:
            case "event":
                self._event(frame)
            case "gap":
                self._spendable(frame)
                self.gaps.append(frame)
                self._awaits_snapshot = True
            case "snapshot":
                self._snapshot(frame)
            case "synced":
                check(self.synced is None, "5", "one synced for each attachment", frame)
                recovery = self.subscribed.get("recovery")
                check(recovery != "live", "5", "no synced where nothing was sent first", frame)
                self.synced = frame
            case "mark":
                check(frame["seq"] >= self.seq, "5", f"a mark at or behind seq {self.seq}", frame)
                sent = frame.get("n", self._n)
                check(sent == self._n, "5: mark.n is the last event's n", f"n {self._n}", frame)
                self.seq = frame["seq"]
            case "closed":
                self._closed(frame)

    def _event(self, event: Frame) -> None:
        self._n += 1
        check(event.get("n") == self._n, "3: n is dense from 1 per attachment", f"n {self._n}", event)
        seq = event.get("seq")
        rises = isinstance(seq, int) and seq > self.seq
        check(rises, "8: seq rises strictly", f"a seq above {self.seq}", event)
        check(self.terminal is None, "3: one terminal event, the last", "nothing behind the end", event)
        assert isinstance(seq, int)
        self.seq = seq
        self.events.append(event)
        check("data" in event and "mode" in event, "3", "an event with mode and data", event)
        if event["mode"] == "lifecycle":
            if event["data"]["status"] in TERMINAL:
                self.terminal = event
        elif event["mode"] == "messages":
            self._message(event)
        if event["mode"] not in FREE_MODES and self.left is not None:
            self.left -= 1
            check(self.left >= 0, "6: credit", "no event beyond the credit", event)

    def _message(self, event: Frame) -> None:
        data = event["data"]
        check(isinstance(data.get("id"), str), "3: messages", "data with an id", event)
        call = call_of(data)
        if call not in self._seen_calls:
            check("meta" in event, "3: meta once", "meta with the first event of a message", event)
        elif "message" not in data:  # a whole message may come again, from elsewhere
            check("meta" not in event, "3: meta once", "meta with the first event of a message only", event)
        self._seen_calls.add(call)

    def _snapshot(self, frame: Frame) -> None:
        self._spendable(frame)
        if self._awaits_snapshot:
            gap = self.gaps[-1]
            check(
                frame["seq"] == gap["upto_seq"],
                "5: the snapshot describes upto_seq",
                str(gap["upto_seq"]),
                frame,
            )
        self._awaits_snapshot = False
        self.snapshots.append(frame)
        self.seq = frame["seq"]
        self._seen_calls.clear()
        for message in frame["messages"]:
            if "meta" not in message:
                raise Violation("5: snapshot", "messages with their metadata", message)

    def _spendable(self, frame: Frame) -> None:
        check(self.left != 0, "6: gap and snapshot wait for credit", "nothing without credit", frame)

    def _closed(self, frame: Frame) -> None:
        self.closed = frame
        if frame["reason"] != "end":
            return
        ended_before = not self.events and self.terminal is None
        check(
            self.terminal is not None or ended_before,
            "3: a terminal event, then closed",
            "the terminal event before closed",
            frame,
        )
        if self.terminal is not None and "status" in frame:
            status = self.terminal["data"]["status"]
            check(frame["status"] == status, "2: closed", f"status {status}", frame)
        check(frame["delivered"] == self._n, "2: closed.delivered", f"delivered {self._n}", frame)
