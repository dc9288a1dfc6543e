"""One raw connection to the server under test: it sends frames, and checks each frame that arrives."""

import asyncio
import json
from collections.abc import Callable, Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from graphwire_conformance.protocol import REPLIES, SUBPROTOCOL, Frame
from graphwire_conformance.servers.attachment import Attachment
from graphwire_conformance.verdict import Violation, check

PATIENCE_S = 10.0
"""How long a case waits for a frame."""

BATCH_BYTES = 256 << 10
_OF_SUBS = ("event", "gap", "snapshot", "synced", "mark", "closed")


class RawConnection:
    """A connection. ``attachments`` has the attachments by ``sub``, ``frames`` every frame that arrived.

    ``strict`` checks that each reply belongs to a request; a case that sends nonsense turns it off.
    ``patience_s`` is how long it waits for a frame.
    """

    def __init__(self, socket: ClientConnection, strict: bool = True, patience_s: float = PATIENCE_S) -> None:
        self.socket = socket
        self.strict = strict
        self.patience_s = patience_s
        self.frames: list[Frame] = []
        self.attachments: dict[int, Attachment] = {}
        self.welcome: Frame = {}
        self.sent = 0
        self._id = 100
        self._owed: dict[int, list[str]] = {}
        self._credits: dict[int, int | None] = {}
        self._unsubscribed: set[int] = set()
        self._unread: list[Frame] = []

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────

    def with_id(self, frame: Frame) -> Frame:
        """Return the frame with a new id, if it needs one and has none."""
        if "id" in frame or frame.get("type") in ("credit", "ping"):
            return frame
        self._id += 1
        return {**frame, "id": self._id}

    async def send(self, *frames: Frame) -> list[int]:
        """Send frames, one message each, without waiting between them; return their ids."""
        with_id = [self.with_id(frame) for frame in frames]
        for frame in with_id:
            self._owe(frame)
            await self.text(json.dumps(frame))
        return [frame.get("id", -1) for frame in with_id]

    def _owe(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind == "credit":
            attachment = self.attachments.get(frame["sub"])
            if attachment is not None and attachment.left is not None:
                attachment.left += frame["events"]
            elif (credit := self._credits.get(frame["sub"])) is not None:
                self._credits[frame["sub"]] = credit + frame["events"]
            return
        if kind == "ping":
            return
        specs = frame.get("subscribe", []) if kind == "run" else [frame] if kind == "subscribe" else []
        for spec in specs:
            self._credits[spec["sub"]] = spec.get("credit")
        first = {"hello": "welcome", "run": "started", "subscribe": "subscribed", "watch": "subscribed"}.get(
            kind, "ok"
        )
        more = ["subscribed"] * len(specs) if kind == "run" else []
        leaves = [f"leaves {frame['sub']}"] if kind == "unsubscribe" else []
        self._owed[frame["id"]] = [first, *more, *leaves]

    async def text(self, message: str | bytes) -> None:
        """Send a raw message."""
        self.sent += 1
        await self.socket.send(message)

    # ── receiving ───────────────────────────────────────────────────────────────────────────────────────

    async def next(self, patience_s: float | None = None) -> Frame:
        """Return the next frame. Raises ``Violation`` if none comes, ``ConnectionClosed`` at the end."""
        patience_s = self.patience_s if patience_s is None else patience_s
        if not self._unread:
            try:
                message = await asyncio.wait_for(self.socket.recv(), patience_s)
            except (TimeoutError, asyncio.TimeoutError):
                raise Violation("2", f"a frame within {patience_s:g} s", "nothing") from None
            self._unread = self._parse(message)
        frame = self._unread.pop(0)
        self.frames.append(frame)
        self._judge(frame)
        return frame

    @staticmethod
    def _parse(message: str | bytes) -> list[Frame]:
        check(isinstance(message, str), "1: text messages", "a text message", "a binary one")
        parsed = json.loads(message)
        if isinstance(parsed, list):
            size = len(message.encode()) if isinstance(message, str) else 0
            check(parsed, "1: batches", "a batch with frames in it", "an empty array")
            fits = size <= BATCH_BYTES or len(parsed) == 1
            check(fits, "1: batches", f"at most {BATCH_BYTES} bytes", f"{size} bytes, {len(parsed)} frames")
        frames = parsed if isinstance(parsed, list) else [parsed]
        for frame in frames:
            is_frame = isinstance(frame, dict) and isinstance(frame.get("type"), str)
            check(is_frame, "1: a frame is an object with a string type", "a frame", frame)
        return frames

    def _judge(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind in REPLIES and frame.get("id") is not None:
            self._reply(frame)
        if kind == "subscribed":
            self.attachments[frame["sub"]] = Attachment(frame, self._credits.get(frame["sub"]))
            self._unsubscribed.discard(frame["sub"])
        elif kind in _OF_SUBS:
            sub = frame["sub"]
            check(
                sub not in self._unsubscribed, "2: unsubscribe", f"no frame of sub {sub} behind its ok", frame
            )
            attachment = self.attachments.get(sub)
            if attachment is None:
                raise Violation("2: subscribed precedes the first event", f"subscribed of sub {sub}", frame)
            attachment.take(frame)

    def _reply(self, frame: Frame) -> None:
        owed = self._owed.get(frame["id"])
        if not self.strict:
            return
        if not owed:
            raise Violation("2: exactly one reply", f"no reply to request {frame['id']}", frame)
        if frame["type"] == "error":
            owed.clear()
            return
        due = owed.pop(0)
        check(frame["type"] == due, "2: replies", due, frame)
        if owed and owed[0].startswith("leaves "):
            self._unsubscribed.add(int(owed.pop(0)[7:]))

    async def until(self, wanted: Callable[[Frame], object], patience_s: float | None = None) -> Frame:
        """Read until ``wanted`` holds for a frame; return it."""
        patience_s = self.patience_s if patience_s is None else patience_s
        end = asyncio.get_running_loop().time() + patience_s
        while True:
            frame = await self.next(max(0.01, end - asyncio.get_running_loop().time()))
            if wanted(frame):
                return frame

    async def reply(self, id: int) -> Frame:
        """Read until the first reply to a request."""
        for frame in self.frames:
            if frame["type"] in REPLIES and frame.get("id") == id:
                return frame
        return await self.until(lambda frame: frame["type"] in REPLIES and frame.get("id") == id)

    async def ask(self, frame: Frame) -> Frame:
        """Send a request and return its first reply."""
        (id,) = await self.send(frame)
        return await self.reply(id)

    async def closed(self, *subs: int) -> Attachment:
        """Read until subscriptions are closed; return the first one's attachment."""
        while any(sub not in self.attachments or self.attachments[sub].closed is None for sub in subs):
            await self.next()
        return self.attachments[subs[0]]

    async def wait_answered(self) -> None:
        """Read until the server has handled everything that was sent."""
        self._id += 1
        token = f"settled-{self._id}"
        await self.send({"type": "ping", "t": token})
        await self.until(lambda frame: frame["type"] == "pong" and frame.get("t") == token)

    async def wait_closed(self) -> int:
        """Read until the connection is closed; return the code, 1006 without one."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    async def cut(self) -> None:
        """Drop the connection without a close frame."""
        self.socket.transport.abort()
        await self.socket.wait_closed()


async def open_connection(
    url: str,
    *,
    protocols: tuple[str, ...] = (SUBPROTOCOL,),
    strict: bool = True,
    headers: Mapping[str, str] | None = None,
    max_queue: int = 16,
    patience_s: float = PATIENCE_S,
) -> RawConnection | int:
    """Shake hands; return the connection, or the HTTP status of a refusal."""
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(protocol) for protocol in protocols] or None,
            additional_headers=headers,
            compression=None,
            max_size=None,
            max_queue=max_queue,
            ping_interval=None,
            close_timeout=1,
            proxy=None,
        )
    except InvalidStatus as refused:
        return refused.response.status_code
    return RawConnection(socket, strict, patience_s)
