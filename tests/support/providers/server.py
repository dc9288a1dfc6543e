"""A fake provider: an HTTP server on a free port of loopback that answers as its script says."""

import asyncio
import json
from collections.abc import Mapping

from tests.support.providers.dialects import DIALECTS, Dialect
from tests.support.providers.script import Asked, Say

_UNKNOWN = Say(status=400)


class Provider:
    """Answers a request with what ``script`` has under the first key that its last message contains.

    ``hanging`` is set once an answer hangs, ``left`` once the client has closed a connection on which one
    hung; ``release`` lets them go on to their end. With ``keeps_alive`` a connection takes several requests.
    """

    def __init__(self, script: Mapping[str, Say], *, keeps_alive: bool = False) -> None:
        self.script = dict(script)
        self.asked: list[Asked] = []
        self.url = ""
        self.connections = 0
        self.hanging = asyncio.Event()
        self.left = asyncio.Event()
        self.release = asyncio.Event()
        self._keeps_alive = keeps_alive
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Provider":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer) and self._keeps_alive:
                pass
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request and answer it; tell whether the connection may take another."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
        asked = Asked(first.split(" ")[1].partition("?")[0], body)
        self.asked.append(asked)
        say = next((say for key, say in self.script.items() if key in asked.last), _UNKNOWN)
        return await self._answer(asked, DIALECTS[asked.path], say, reader, writer)

    async def _answer(
        self,
        asked: Asked,
        dialect: Dialect,
        say: Say,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if say.status != 200:
            said, ends = [], [json.dumps(dialect.refusal(say.status)).encode()]
        elif asked.streams:
            said, ends = dialect.streamed(asked, say)
        elif say.end == "error":
            return await self._answer(asked, dialect, Say(status=500), reader, writer)
        else:
            said, ends = [], [json.dumps(dialect.whole(asked, say)).encode()]
        kind = "text/event-stream" if asked.streams and say.status == 200 else "application/json"
        keep = "keep-alive" if self._keeps_alive else "close"
        writer.write(
            f"HTTP/1.1 {say.status} Answer\r\nContent-Type: {kind}\r\n"
            f"Transfer-Encoding: chunked\r\nConnection: {keep}\r\n\r\n".encode()
        )
        for piece in said:
            await _write(writer, piece)
        if say.end == "cut":
            return False
        if say.end == "error":
            ends = [dialect.error_event()]
        if say.end == "hang" and not await self._released(reader):
            return False
        for piece in ends:
            await _write(writer, piece)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _released(self, reader: asyncio.StreamReader) -> bool:
        """Wait for the release, or for the client to go."""
        self.hanging.set()
        waits = [asyncio.ensure_future(self.release.wait()), asyncio.ensure_future(reader.read(1))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if not self.release.is_set():
            self.left.set()
        return self.release.is_set()


async def _write(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    await writer.drain()
