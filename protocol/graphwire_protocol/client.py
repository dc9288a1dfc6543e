"""The client's side of the protocol, without I/O: open requests, cursors, and what to send again.

How the session works. One session outlives its connections. The caller owns the socket and the clock; the
session owns everything that has to survive a lost connection. ``connect`` and ``disconnected`` say that a
socket was opened or lost, ``request`` sends a request, ``receive`` takes a message and returns happenings.
After each of them the caller sends what ``outgoing`` returns.

*Requests.* A request is open until its whole answer has arrived: one reply, and for ``run`` one
``subscribed`` for each spec. Every request but one is idempotent (the client chooses a run's id), so
``connect`` sends each open one again. The exception is ``state_update``, which might be written twice:
``disconnected`` answers it with an error. After a close with 1009 (message too big), ``disconnected`` answers
the largest open request with an error as well; sent again, it would break every further connection.

*Subscriptions.* Each has a cursor (``cursor.Subscription``), which decides what is shown. ``connect``
attaches every subscription again from its cursor, in the same flight as ``hello``. If a frame is illegal,
such as an event behind a hole in ``n``, the session unsubscribes and subscribes again from the cursor.

*Two kinds of requests* share one table. Those of the application have their answers reported. Those by which
the session attaches again carry the number of the subscription in ``resumes``, and are reported only if they
are refused for good. Until the reply to an ``unsubscribe``, old frames may arrive; ``_leaving`` says to drop
them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from graphwire_protocol.codec import Unknown, decode_frames, encode
from graphwire_protocol.codes import TOO_BIG
from graphwire_protocol.commands import (
    Credit,
    Hello,
    Product,
    Request,
    Run,
    Spec,
    StateUpdate,
    Subscribe,
    Unsubscribe,
    Watch,
)
from graphwire_protocol.credit import Window
from graphwire_protocol.cursor import OutOfStep, Subscription
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.frames import Closed, Event, Gap, Mark, Snapshot, SubFrame, Synced, WatchFrame
from graphwire_protocol.happenings import Announced, Answered, Deferred, Delivered, Happening
from graphwire_protocol.limits import DEFAULTS
from graphwire_protocol.replies import Error, Goaway, Notice, Pong, Reply, Subscribed, Welcome
from graphwire_protocol.state import CONNECTION, REPLY, ConnectionState, advance

_TEMPORARY = frozenset({"rate_limited", "draining", "unavailable"})
"""The codes by which an attachment is refused only for a while."""


@dataclass(slots=True)
class _Open:
    """A request that has not been answered completely."""

    command: Request
    size: int
    resumes: int | None = None  # the subscription or watch that the session attaches again by itself
    is_forgotten: bool = False  # the application does not wait for the answer any more
    reply: Reply | None = None
    subscribed: list[Subscribed] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        specs = len(self.command.subscribe) if isinstance(self.command, Run) else 0
        return self.reply is not None and len(self.subscribed) == specs


class ClientSession:
    """One client, from its first connection to its last."""

    def __init__(self, client: Product | None = None, features: tuple[str, ...] = ()) -> None:
        self.state: ConnectionState = "closed"
        self.welcome: Welcome | None = None
        self.subscriptions: dict[int, Subscription] = {}
        self._client = client
        self._features = features
        self._watches: dict[int, Watch] = {}
        self._open: dict[int, _Open] = {}
        self._leaving: set[int] = set()
        self._late: list[Happening] = []  # answers that no frame will bring, reported with the next message
        self._outgoing: list[bytes] = []
        self._next_id = 1
        self._next_sub = 1

    # ── connections ──────────────────────────────────────────────────────────────────────────────

    def connect(self, token: str | None = None) -> None:
        """Begin a connection: put ``hello`` and all that has to be sent again into ``outgoing``.

        Raises ``Misuse`` if the connection before has not been reported as ``disconnected``.
        """
        if self.state != "closed":
            raise Misuse("connect() while the connection before is not closed: call disconnected() first")
        self.state = "opening"  # every connection begins in the first state of its table
        waiting = [item for item in self._open.values() if item.resumes is None and not item.is_forgotten]
        self._open.clear()
        self._outgoing.clear()
        hello = Hello(id=self._id(), token=token, client=self._client, features=self._features or None)
        self._send(hello)
        starting = {
            spec.sub for item in waiting if isinstance(item.command, Run) for spec in item.command.subscribe
        } | {item.command.sub for item in waiting if isinstance(item.command, Subscribe | Watch)}
        for sub in [*self._leaving]:
            self._forget(sub)
            starting.discard(sub)
        for sub, subscription in self.subscriptions.items():
            if sub not in starting:
                self._attach(subscription)
        for watch in self._watches.values():
            if watch.sub not in starting:
                self._send(watch.model_copy(update={"id": self._id()}), resumes=watch.sub)
        for item in waiting:
            if self._is_unwanted(item.command):
                message = "the subscription was left before it began"
                error = Error(id=item.command.id, code="not_found", message=message, retry="never")
                self._late.append(Answered(item.command.id, error))
            elif not isinstance(item.command, Hello | Unsubscribe):
                self._send(self._current(item.command))

    def disconnected(self, code: int | None = None) -> list[Answered]:
        """Note that the connection is gone; ``code`` is its close code. Returns the requests that end with
        it.

        After 1009 the largest open request is answered with an error: it would break the next connection,
        too. A ``state_update`` is answered with an error, because it may have been written already. An
        ``unsubscribe`` is dropped: the subscription has ended with its connection.
        """
        if self.state != "closed":
            self._step("close")
        self._outgoing.clear()
        answered: list[Answered] = []
        for id, item in list(self._open.items()):
            if isinstance(item.command, Unsubscribe):
                del self._open[id]
            elif isinstance(item.command, StateUpdate):
                del self._open[id]
                message = "the connection was lost before the answer: look whether the state has the update"
                error = Error(id=id, code="unavailable", message=message, retry="never")
                answered.append(Answered(id, error))
        asked = {
            id: item
            for id, item in self._open.items()
            if item.resumes is None and not isinstance(item.command, Hello)
        }
        if code == TOO_BIG and asked:
            id, item = max(asked.items(), key=lambda entry: entry[1].size)
            del self._open[id]
            self._drop_subs(item.command)
            message = f"the server refused this request: {item.size} bytes are more than it takes"
            error = Error(id=id, code="limit_exceeded", message=message, retry="never")
            answered.append(Answered(id, error))
        return answered

    def outgoing(self) -> list[bytes]:
        """Return what is to be sent, one message each, and forget it."""
        out, self._outgoing = self._outgoing, []
        return out

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    def request(self, make: Callable[[int], Request], window: int | None = None) -> int:
        """Send the request that ``make(id)`` returns; return its id.

        Each subscription that it opens gets a queue of ``window`` events, bounded by credit; None is no
        bound. Raises ``Refusal(limit_exceeded)`` for a frame that is too large for the server.
        """
        command = make(self._id())
        size = len(encode(command))
        limit = self.max_frame_bytes
        if size > limit:
            raise Refusal(
                "limit_exceeded",
                f"the {command.type!r} frame has {size} bytes; this server takes {limit} (max_frame_bytes)",
                id=command.id,
            )
        if isinstance(command, Run):
            for spec in command.subscribe:
                self._add(command.run or "", spec, window)
        elif isinstance(command, Subscribe):
            self._add(command.run, command, window)
        elif isinstance(command, Watch):
            self._watches[command.sub] = command
        elif isinstance(command, Unsubscribe):
            self._leaving.add(command.sub)
        self._send(self._current(command))
        return command.id

    @property
    def max_frame_bytes(self) -> int:
        """The size that a frame of this client may have, in bytes."""
        limit = self.welcome.limits.get("max_frame_bytes") if self.welcome else None
        return DEFAULTS.max_frame_bytes if limit is None else int(limit)

    def is_attached(self, sub: int) -> bool:
        """Tell whether ``sub`` is a subscription or a watch that has not ended."""
        return sub in self.subscriptions or sub in self._watches

    def next_sub(self) -> int:
        """Return a number for a new subscription or watch."""
        self._next_sub += 1
        return self._next_sub - 1

    def forget(self, id: int) -> None:
        """Stop waiting for the answer to request ``id``: never resend it, and unsubscribe what it opens."""
        item = self._open.get(id)
        if item is None:
            return
        if self.state == "closed":
            del self._open[id]
            self._drop_subs(item.command)
            return
        item.is_forgotten = True
        for sub in _subs(item.command):
            self.request(lambda id, sub=sub: Unsubscribe(id=id, sub=sub))  # type: ignore[misc]

    def resend(self, id: int) -> None:
        """Send the deferred request ``id`` again; nothing happens if it is not open."""
        item = self._open.pop(id, None)
        if item is not None and self.state != "closed":
            self._send(self._current(item.command), resumes=item.resumes)

    def consumed(self, sub: int, mode: str) -> None:
        """Note that the application took an event of ``sub``; give credit back, half a window at once."""
        subscription = self.subscriptions.get(sub)
        if subscription is None or subscription.window is None:
            return
        events = subscription.window.take(mode)
        # If the subscription is being attached again, this is sent behind its ``subscribe``.
        if events and self.state != "closed":
            self._outgoing.append(encode(Credit(sub=sub, events=events)))

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: str | bytes) -> list[Happening]:
        """Read one message; return what happened. Raises ``ValueError`` for what no version allows."""
        happenings, self._late = self._late, []
        for frame in decode_frames(data):
            match frame:
                case _ if isinstance(frame, WatchFrame) or (
                    isinstance(frame, Synced) and frame.sub in self._watches
                ):
                    if frame.sub in self._watches and frame.sub not in self._leaving:
                        happenings.append(Delivered(frame.sub, frame))
                case Event() | Gap() | Snapshot() | Synced() | Mark() | Closed():
                    happenings.extend(self._sub_frame(frame))
                case Notice() | Pong() | Unknown():
                    happenings.append(Announced(frame))
                case Goaway():
                    if self.state != "draining":  # a server may repeat it
                        self._step("goaway")
                    happenings.append(Announced(frame))
                case _:
                    happenings.extend(self._reply(frame))
        return happenings

    def _sub_frame(self, frame: SubFrame) -> Iterable[Happening]:
        subscription = self.subscriptions.get(frame.sub)
        if subscription is None or frame.sub in self._leaving:
            return ()
        if subscription.state == "requested":
            return ()  # it belongs to the old attachment, whose ``unsubscribe`` is on its way
        try:
            shown = subscription.receive(frame)
        except OutOfStep:
            self._resync(subscription)
            return ()
        if isinstance(frame, Event) and shown is None and subscription.window is not None:
            subscription.window.put(frame.mode)  # it cost credit, and the application does not see it
            self.consumed(frame.sub, frame.mode)
        if isinstance(frame, Closed):
            del self.subscriptions[frame.sub]
        if shown is None or isinstance(shown, Mark):
            return ()
        return (Delivered(frame.sub, shown, subscription.attached_epoch),)

    def _resync(self, subscription: Subscription) -> None:
        self._send(Unsubscribe(id=self._id(), sub=subscription.sub), resumes=subscription.sub)
        self._attach(subscription)

    def _reply(self, frame: Reply) -> Iterable[Happening]:
        item = self._open.get(frame.id) if frame.id is not None else None
        if item is None:
            if isinstance(frame, Error):
                return (Announced(frame),)
            return ()
        if isinstance(frame, Error):
            return self._refused(item, frame)
        if isinstance(frame, Subscribed):
            subscription = self.subscriptions.get(frame.sub)
            if subscription is not None:
                subscription.subscribed(frame)
            item.subscribed.append(frame)
            if isinstance(item.command, Subscribe | Watch):
                item.reply = frame
                item.subscribed.clear()
        elif frame.type != REPLY[item.command.type]:
            raise ValueError(f"{frame.type!r} is no reply to {item.command.type!r}")
        else:
            item.reply = frame
        if not item.is_whole:
            return ()
        return self._whole(item)

    def _whole(self, item: _Open) -> Iterable[Happening]:
        command, reply = item.command, item.reply
        assert reply is not None
        del self._open[command.id]
        if isinstance(reply, Welcome):
            self.welcome = reply
            self._step("welcome")
            return (Announced(reply),)
        if isinstance(command, Unsubscribe):
            self._forget(command.sub)
        if item.resumes is not None:
            return ()
        return (Answered(command.id, reply, tuple(item.subscribed)),)

    def _refused(self, item: _Open, error: Error) -> Iterable[Happening]:
        command = item.command
        if item.resumes is not None and error.retry == "after" and error.code in _TEMPORARY:
            return (Deferred(command.id, (error.after_ms or 1000) / 1000),)
        del self._open[command.id]
        if isinstance(command, Hello):
            return (Announced(error),)
        if isinstance(command, Unsubscribe):
            # The subscription ended by itself meanwhile; it is gone, as requested.
            self._forget(command.sub)
            return () if item.resumes is not None else (Answered(command.id, error),)
        for sub in _subs(command):
            subscription = self.subscriptions.get(sub)
            if subscription is not None and subscription.state == "requested":
                subscription.refused()
        self._drop_subs(command)
        if item.resumes is not None:
            return (Delivered(item.resumes, error),)
        return (Answered(command.id, error),)

    # ── attaching, sending ───────────────────────────────────────────────────────────────────────

    def _add(self, run: str, spec: Spec, window: int | None) -> None:
        if spec.sub in self.subscriptions:
            raise Misuse(f"subscription {spec.sub} is in use")
        self.subscriptions[spec.sub] = Subscription(run, spec, None if window is None else Window(window))

    def _attach(self, subscription: Subscription) -> None:
        frame = Subscribe(id=self._id(), run=subscription.run, **subscription.spec())
        self._send(frame, resumes=subscription.sub)

    def _current(self, command: Request) -> Request:
        """Return ``command`` as it is to be sent now: its subscriptions from their cursors."""
        if isinstance(command, Run):
            specs = [
                Spec(**self.subscriptions[spec.sub].spec())
                for spec in command.subscribe
                if spec.sub in self.subscriptions  # otherwise it has been left
            ]
            return command.model_copy(update={"subscribe": tuple(specs)})
        if isinstance(command, Subscribe) and command.sub in self.subscriptions:
            return Subscribe(id=command.id, run=command.run, **self.subscriptions[command.sub].spec())
        return command

    def _send(self, command: Request, resumes: int | None = None) -> None:
        data = encode(command)
        self._open[command.id] = _Open(command, len(data), resumes)
        if self.state != "closed":
            self._outgoing.append(data)

    def _drop_subs(self, command: Request) -> None:
        for sub in _subs(command):
            self.subscriptions.pop(sub, None)
            self._watches.pop(sub, None)

    def _is_unwanted(self, command: Request) -> bool:
        """Tell whether what ``command`` attaches has been left meanwhile."""
        if isinstance(command, Subscribe):
            return command.sub not in self.subscriptions
        return isinstance(command, Watch) and command.sub not in self._watches

    def _forget(self, sub: int) -> None:
        if sub in self._leaving:
            self._leaving.discard(sub)
            self.subscriptions.pop(sub, None)
            self._watches.pop(sub, None)

    def _step(self, happening: str) -> None:
        self.state = advance(CONNECTION, self.state, happening)

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id - 1


def _subs(command: Request) -> list[int]:
    """Return the subscriptions that a request opens."""
    if isinstance(command, Run):
        return [spec.sub for spec in command.subscribe]
    return [command.sub] if isinstance(command, Subscribe | Watch) else []
