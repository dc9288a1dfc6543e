"""``graphwire serve --reload``: the server in a process of its own, started anew when its code changes."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from watchfiles import Change, DefaultFilter, watch

_SUFFIXES = (".py", ".json", ".toml", ".env")
_LOOK_MS = 200
"""How often the server's process is looked at while no file changes."""
_DRAIN_S = 0.3
"""How long a server that is started anew may go on before it is told to stop at once."""
_KILL_S = 10.0


class CodeFilter(DefaultFilter):
    """Lets through what a server is made of, outside of virtual environments and caches."""

    def __call__(self, change: Change, path: str) -> bool:
        """Tell whether the change of this file matters."""
        name = Path(path).name
        return (path.endswith(_SUFFIXES) or name.startswith(".env.")) and super().__call__(change, path)


class Reloader:
    """Runs ``serve(*arguments)`` in a new process, and again after each change below ``roots``.

    ``serve`` is a function of a module and returns the exit code; ``say`` tells the person what happens.
    """

    def __init__(
        self,
        serve: Callable[..., int],
        arguments: tuple[Any, ...],
        roots: Iterable[Path],
        say: Callable[[str], None],
    ) -> None:
        self._serve = serve
        self._arguments = arguments
        self._roots = _topmost(roots)
        self._say = say
        self._ends = threading.Event()
        self._process: BaseProcess | None = None

    def main(self) -> int:
        """Serve until SIGINT or SIGTERM; return the exit code of the last server."""
        before = [(number, signal.signal(number, self._stop)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            return self._main()
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _main(self) -> int:
        process = self._start()
        is_told = False
        changes = watch(
            *self._roots,
            watch_filter=CodeFilter(),
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._ends,
        )
        for changed in changes:
            if self._ends.is_set():
                break
            if changed:
                self._say(f"{_names(changed)} changed: starting anew")
                self._end(process)
                process, is_told = self._start(), False
            elif process.exitcode is not None and not is_told:
                if process.exitcode == 0:
                    return 0
                self._say(f"the server has ended (exit code {process.exitcode}); waiting for a change")
                is_told = True
        process.join()
        return process.exitcode or 0

    def _start(self) -> BaseProcess:
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(self._serve, self._arguments), name="graphwire-serve"
        )
        process.start()
        self._process = process
        if self._ends.is_set():  # asked for between two processes
            process.terminate()
        return process

    def _end(self, process: BaseProcess) -> None:
        """End a server whose runs are of old code: once politely, once at once, then by force."""
        for end, seconds in (
            (process.terminate, _DRAIN_S),
            (process.terminate, _KILL_S),
            (process.kill, None),
        ):
            if process.exitcode is not None:
                break
            end()
            process.join(seconds)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # A terminal's Ctrl-C reaches the server's process too, which leaves it to this one.
        self._ends.set()
        if self._process is not None and self._process.exitcode is None:
            self._process.terminate()


def _serve(serve: Callable[..., int], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(serve(*arguments))


def _topmost(roots: Iterable[Path]) -> list[Path]:
    known: list[Path] = []
    for root in sorted({root.resolve() for root in roots if root.is_dir()}):
        if not any(root.is_relative_to(other) for other in known):
            known.append(root)
    return known


def _names(changed: set[tuple[Change, str]]) -> str:
    names = sorted({_relative(Path(path)) for _, path in changed})
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _relative(path: Path) -> str:
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
