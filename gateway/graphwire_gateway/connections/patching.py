"""Values as patches: the state that a subscription got last in each namespace, and what differs from it."""

from graphwire_protocol.filters import Matcher
from graphwire_protocol.types import Namespace, Seq

from graphwire_gateway.connections.sharing import Sharing
from graphwire_gateway.log.log import Log
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import Store

_NAMESPACES = 256  # whose last state is remembered; another one gets a whole state next


class Patches:
    """The values events of one attachment, prepared some at a time and then sent."""

    __slots__ = ("_prepared", "_sent")

    def __init__(self) -> None:
        self._sent: dict[Namespace, Seq] = {}
        self._prepared: dict[Namespace, Seq] = {}

    def reset(self) -> None:
        """Send a whole state next for each namespace."""
        self._sent.clear()
        self._prepared.clear()

    def sent(self, seq: Seq, ns: Namespace) -> None:
        """The values event ``seq`` is being sent."""
        self._sent.pop(ns, None)
        self._sent[ns] = seq
        if len(self._sent) > _NAMESPACES:
            del self._sent[next(iter(self._sent))]

    def release(self) -> None:
        """Forget what was prepared: it was sent, or is prepared again."""
        self._prepared.clear()

    async def body(
        self, sharing: Sharing, store: Store, log: Log, matcher: Matcher, seq: Seq, record: Record
    ) -> bytes | None:
        """Prepare the body of the values event ``seq``, ``record``; None if ``keys`` leave nothing of it.

        Those that were prepared before, since ``release``, are sent before it.
        """
        data = await sharing.projected(log, seq, record, matcher)
        if data is None:
            return None
        ns = record.address.ns
        base = self._prepared.get(ns, self._sent.get(ns))
        self._prepared[ns] = seq
        if base is not None:
            patch = await sharing.patch(store, log, base, seq, data, matcher)
            if patch:
                return b'%s,"base":%d' % (record.body_with(patch), base)
        return record.body_with(data)
