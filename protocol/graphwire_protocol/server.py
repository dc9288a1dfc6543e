"""The server's side of a connection, without I/O: which frame is legal now, and which reply is owed.

Time is an argument. ``receive`` turns a message into a command or raises ``Refusal``; ``reply`` and
``refuse`` turn answers into bytes. The gateway does what the commands ask for, and waits ``pause`` before it
reads the next message.
"""

import math
from typing import TypeAlias

from graphwire_protocol import codes
from graphwire_protocol.codec import decode_command, encode
from graphwire_protocol.commands import Command, Credit, Hello, Ping, Run, Spec, Subscribe, Unsubscribe, Watch
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.limits import DEFAULTS, ENVELOPE_BYTES, AnnouncedLimits
from graphwire_protocol.replies import Error, Goaway, Ok, Pong, Started, Subscribed, Welcome
from graphwire_protocol.state import CONNECTION, REPLY, ConnectionState, advance
from graphwire_protocol.types import Retry

BAD_FRAMES_A_MINUTE = 10

MAX_HELLO_BYTES = 16 << 10
"""Size of a connection's first message."""

_CREDITS = 10
"""How many ``credit`` frames may come where one request may."""
_MESSAGE_CHARS = 4096  # of an error that would not fit otherwise

_ROUNDING = 1e-6
_ROUNDING_MS = 1e-3
"""Float tolerance: a client that waited exactly ``after_ms`` is admitted."""

Answer: TypeAlias = Welcome | Started | Subscribed | Ok


class _Bucket:
    """A budget of ``burst`` frames, refilled by ``rate`` a second."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at: float | None = None

    def take(self, now: float, *, is_owed: bool = False) -> float:
        """Take one frame out and return 0, or return the seconds until there is one.

        A frame that ``is_owed`` is taken out in any case: the next one waits longer.
        """
        since = 0.0 if self._at is None else max(0.0, now - self._at)
        self._left = min(self._burst, self._left + since * self._rate)
        self._at = now
        missing = 1 - self._left
        is_missing = missing > _ROUNDING
        if is_owed or not is_missing:
            self._left -= 1
        return missing / self._rate if is_missing else 0.0


class ServerSession:
    """One connection as its server keeps it; it enforces ``limits`` on what the client sends."""

    def __init__(self, limits: AnnouncedLimits = DEFAULTS) -> None:
        self.state: ConnectionState = "opening"
        self._limits = limits
        self._greeted = False
        self._owed: dict[int, list[str]] = {}  # open request → its replies, the next last
        self._subs: dict[int, int] = {}  # number of each subscription → the request that took it
        self._bad_frames: list[float] = []
        self._requests = _Bucket(limits.requests_per_s, limits.request_burst)
        self._credits = _Bucket(limits.requests_per_s * _CREDITS, limits.request_burst * _CREDITS)
        self.pause = 0.0
        """Seconds to wait before the next message is read: a peer over its rate is not read any faster than
        it may send.
        """

    def receive(self, data: str | bytes, now: float) -> Command:
        """Read one message that arrived at ``now``, in seconds of any monotonic clock.

        Frames may arrive behind a ``hello`` that is not answered yet; handle them after it. Raises
        ``Refusal``; if it has a ``close``, the connection ends with that code after the error.
        """
        if self.state == "closed":
            raise Misuse("a closed session receives nothing")
        self.pause = 0.0
        if not self._greeted and len(data) > MAX_HELLO_BYTES:
            raise Refusal(
                "bad_frame",
                f"the first frame is 'hello', of at most {MAX_HELLO_BYTES} bytes",
                close=codes.MISUSE,
            )
        if isinstance(data, bytes):
            raise Refusal("bad_frame", "frames are text messages, not binary ones", close=codes.MISUSE)
        try:
            command = decode_command(data)
        except Refusal as refusal:
            if not self._greeted or (refusal.code == "bad_frame" and self._is_bad_too_often(now)):
                refusal.close = codes.MISUSE
            elif refusal.code != "bad_frame":
                self._check_rate(now, refusal.id)  # refused requests count against the rate, too
            raise
        if not self._greeted and not isinstance(command, Hello):
            raise Refusal(
                "bad_frame",
                f"the first frame is 'hello', not {command.type!r}",
                id=getattr(command, "id", None),
                close=codes.MISUSE,
            )
        if isinstance(command, Credit):
            self.pause = self._credits.take(now, is_owed=True)
            return command
        self._check_rate(now, getattr(command, "id", None))
        if isinstance(command, Ping):
            return command
        if isinstance(command, Hello):
            if self._greeted:
                raise Refusal("invalid_argument", "this connection has said hello already", id=command.id)
            self._greeted = True
        self._open(command)
        return command

    def _is_bad_too_often(self, now: float) -> bool:
        times = self._bad_frames
        times.append(now)
        while now - times[0] > 60:
            times.pop(0)
        return len(times) > BAD_FRAMES_A_MINUTE

    def _check_rate(self, now: float, id: int | None) -> None:
        self.pause = self._requests.take(now)
        if self.pause:
            limits = self._limits
            raise Refusal(
                "rate_limited",
                f"more than {limits.requests_per_s:g} requests a second (request_burst is "
                f"{limits.request_burst})",
                id=id,
                after_ms=math.ceil(self.pause * 1000 - _ROUNDING_MS),
            )

    def _open(self, command: Command) -> None:
        assert not isinstance(command, Credit | Ping)
        if command.id in self._owed:
            raise Refusal("conflict", "this request's id is in use by an open request", id=command.id)
        if len(self._owed) >= self._limits.max_open_requests:
            raise Refusal(
                "limit_exceeded", f"more than {self._limits.max_open_requests} open requests", id=command.id
            )
        if isinstance(command, Run):
            self._check_specs(command)
        elif isinstance(command, Subscribe):
            self._check_sub(command.sub, len(self._subs), command.id)
            self._check_filter(command, "filter", command.id)
        elif isinstance(command, Watch):
            self._check_sub(command.sub, len(self._subs), command.id)
        elif isinstance(command, Unsubscribe) and command.sub not in self._subs:
            raise Refusal(
                "not_found",
                f"no subscription {command.sub} on this connection",
                id=command.id,
                sub=command.sub,
                details={"kind": "sub"},
            )
        self._subs.update(dict.fromkeys(_taken_by(command), command.id))
        specs = len(command.subscribe) if isinstance(command, Run) else 0
        self._owed[command.id] = ["subscribed"] * specs + [REPLY[command.type]]

    def _check_specs(self, run: Run) -> None:
        seen: set[int] = set()
        for index, spec in enumerate(run.subscribe):
            if spec.sub in seen:
                raise Refusal(
                    "conflict", f"run.subscribe[{index}].sub stands there twice", id=run.id, sub=spec.sub
                )
            self._check_sub(spec.sub, len(self._subs) + len(seen), run.id)
            seen.add(spec.sub)
            self._check_filter(spec, f"subscribe[{index}].filter", run.id)

    def _check_sub(self, sub: int, in_use: int, id: int) -> None:
        if sub in self._subs:
            raise Refusal("conflict", f"subscription {sub} is in use; unsubscribe it first", id=id, sub=sub)
        if in_use >= self._limits.max_subscriptions:
            raise Refusal(
                "limit_exceeded", f"max_subscriptions is {self._limits.max_subscriptions}", id=id, sub=sub
            )

    def _check_filter(self, spec: Spec, path: str, id: int) -> None:
        try:
            spec.filter.check_limits(self._limits.max_filter_entries, self._limits.max_pattern_chars)
        except Refusal as refusal:
            refusal.id = id
            details = refusal.details or {}
            refusal.details = {**details, "path": f"{path}.{details['path']}"}
            raise

    def reply(self, frame: Answer) -> bytes:
        """Return the next reply to request ``frame.id`` as bytes.

        Raises ``Misuse`` if it is not due, and ``Refusal(too_large)``, to be sent instead, if it is larger
        than a message may be.
        """
        owed = self._owed.get(frame.id)
        if owed is None:
            raise Misuse(f"request {frame.id} is not open")
        if frame.type != owed[-1]:
            raise Misuse(f"request {frame.id} is owed {owed[-1]!r}, not {frame.type!r}")
        encoded = self._checked(encode(frame))
        if isinstance(frame, Welcome):
            self._step("welcome")
        owed.pop()
        if not owed:
            del self._owed[frame.id]
        return encoded

    def pong(self, frame: Pong) -> bytes:
        """Return the reply to a ``ping`` as bytes. Raises ``Refusal(too_large)``."""
        return self._checked(encode(frame))

    def _checked(self, encoded: bytes) -> bytes:
        most = self._limits.largest_message
        if len(encoded) > most:
            raise Refusal(
                "too_large",
                f"the reply takes {len(encoded):,} bytes, and a message of this server at most {most:,}; "
                "ask for less",
                details={"bytes": len(encoded)},
            )
        return encoded

    def _step(self, happening: str) -> None:
        self.state = advance(CONNECTION, self.state, happening)

    def refuse(self, refusal: Refusal, command: Command | None = None) -> bytes:
        """Return the ``error`` frame for a refusal.

        ``command`` is the request if ``receive`` had accepted it: it is no longer open then, and the numbers
        of its subscriptions are free again. Raises ``Misuse`` if it has been answered already.
        """
        if command is not None and not isinstance(command, Credit | Ping):
            self.refused(command)
            refusal.id = command.id
        retry: Retry = codes.CODES[refusal.code].retry
        error = Error(
            id=refusal.id,
            sub=refusal.sub,
            code=refusal.code,
            message=refusal.message,
            retry=retry,
            after_ms=refusal.after_ms if retry == "after" else None,
            details=refusal.details,
        )
        encoded = encode(error)
        if len(encoded) > ENVELOPE_BYTES:
            message = refusal.message[:_MESSAGE_CHARS]
            encoded = encode(error.model_copy(update={"message": message, "details": None}))
        return encoded

    def refused(self, command: Command) -> None:
        """Note that a request has got an ``error``, which another process has made; see ``refuse``.

        Numbers of its subscriptions that later requests have taken stay in use.
        """
        assert not isinstance(command, Credit | Ping)
        if self._owed.pop(command.id, None) is None:
            raise Misuse(f"request {command.id} is not open")
        for sub in _taken_by(command):
            if self._subs.get(sub) == command.id:
                del self._subs[sub]

    def replied(self, id: int, type: str) -> bool:
        """Note that a request has got a reply of this type, which another process has made.

        Returns whether nothing more is owed to it. Raises ``Misuse`` if the reply is not due.
        """
        owed = self._owed.get(id)
        if owed is None or owed[-1] != type:
            raise Misuse(f"request {id} is owed {owed and owed[-1]!r}, not {type!r}")
        owed.pop()
        if not owed:
            del self._owed[id]
        return not owed

    def release(self, sub: int) -> None:
        """Free the number ``sub``: the subscription has been closed or unsubscribed."""
        self._subs.pop(sub, None)

    def goaway(self, frame: Goaway) -> bytes:
        """Return the announcement that the server will close this connection, as bytes."""
        self._step("goaway")
        return encode(frame)

    def close(self) -> None:
        """Note that the connection is gone."""
        if self.state != "closed":
            self._step("close")


def _taken_by(command: Command) -> tuple[int, ...]:
    """Return the numbers of the subscriptions that a request makes."""
    if isinstance(command, Run):
        return tuple(spec.sub for spec in command.subscribe)
    return (command.sub,) if isinstance(command, Subscribe | Watch) else ()
