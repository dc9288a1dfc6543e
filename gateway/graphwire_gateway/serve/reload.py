"""``graphwire serve --reload``: the server in a process of its own, started anew when its code changes.

Its code is what its process has imported, which it is asked for; a process that has ended is started anew
for any file of Python. What else makes a server, the configuration, is the caller's to name.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from watchfiles import Change, DefaultFilter, watch

replaced = threading.Event()
"""Set in a server's process whose successor is about to start."""

_LOOK_MS = 200
"""How often the server's process is looked at while no file changes."""
_DRAIN_S = 0.3
"""How long a server that is started anew may go on before it is told to stop at once."""
_ANSWER_S = 1.0
"""How long a server is asked what it has imported; one that does not answer is started anew."""
_KILL_S = 10.0


class CodeFilter(DefaultFilter):
    """Lets through Python's files and the configuration's, outside of virtual environments and caches."""

    def __init__(self, configuration: Callable[[], set[Path]]) -> None:
        super().__init__()
        self._configuration = configuration

    def __call__(self, change: Change, path: str) -> bool:
        """Tell whether the change of this file may matter."""
        return super().__call__(change, path) and (
            path.endswith(".py") or Path(path) in self._configuration()
        )


class Reloader:
    """Runs ``serve(*arguments)`` in a new process, and again after each change below ``roots`` of a file that
    it has imported or that is of the ``configuration``.

    ``serve`` is a function of a module and returns the exit code; it gets the arguments ``again`` where
    nothing but code has changed since it served. ``say`` tells the person what happens.
    """

    def __init__(
        self,
        serve: Callable[..., int],
        arguments: tuple[Any, ...],
        again: tuple[Any, ...],
        roots: Iterable[Path],
        configuration: Callable[[], set[Path]],
        say: Callable[[str], None],
    ) -> None:
        self._serve = serve
        self._arguments = arguments
        self._again = again
        self._roots = _topmost(roots)
        self._configuration = configuration
        self._say = say
        self._ends = threading.Event()
        self._process: BaseProcess | None = None
        self._questions: Connection | None = None

    def main(self) -> int:
        """Serve until SIGINT or SIGTERM; return the exit code of the last server."""
        before = [(number, signal.signal(number, self._stop)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            return self._main()
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _main(self) -> int:
        process = self._start(self._arguments)
        is_told = False
        changes = watch(
            *self._roots,
            watch_filter=CodeFilter(self._configuration),
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._ends,
        )
        for changed in changes:
            if self._ends.is_set():
                break
            paths = sorted({path for _, path in changed})
            code = [path for path in paths if path.endswith(".py")]
            if process.exitcode is None and code:
                code = self._ask(code)
            configuration = [path for path in paths if Path(path) in self._configuration()]
            if code or configuration:
                has_served = process.exitcode is None
                self._say(f"{_names([*configuration, *code])} changed: starting anew")
                self._ask(None)
                self._end(process)
                is_known = has_served and not configuration
                process, is_told = self._start(self._again if is_known else self._arguments), False
            elif process.exitcode is not None and not is_told:
                if process.exitcode == 0:
                    return 0
                self._say(f"the server has ended (exit code {process.exitcode}); waiting for a change")
                is_told = True
        process.join()
        return process.exitcode or 0

    def _ask(self, paths: list[str] | None) -> list[str]:
        """Ask the server which of these files it has imported; None tells it that it is replaced."""
        assert self._questions is not None
        with contextlib.suppress(OSError, EOFError):
            self._questions.send(paths)
            if self._questions.poll(_ANSWER_S):
                answer: list[str] = self._questions.recv()
                return answer
        return paths or []

    def _start(self, arguments: tuple[Any, ...]) -> BaseProcess:
        if self._questions is not None:
            self._questions.close()
        context = multiprocessing.get_context("spawn")
        self._questions, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(self._serve, arguments, theirs), name="graphwire-serve"
        )
        process.start()
        theirs.close()
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


def _serve(serve: Callable[..., int], arguments: tuple[Any, ...], questions: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_answer, args=(questions,), name="graphwire-reload", daemon=True).start()
    raise SystemExit(serve(*arguments))


def _answer(questions: Connection) -> None:
    with contextlib.suppress(OSError, EOFError):
        while True:
            paths = questions.recv()
            if paths is None:
                replaced.set()
            questions.send(_imported(paths or []))


def _imported(paths: list[str]) -> list[str]:
    """Return those of the files that this process has imported."""
    names = {Path(path).name for path in paths}
    files = [
        vars(module).get("__file__") for module in list(sys.modules.values()) if hasattr(module, "__dict__")
    ]
    known = {
        os.path.realpath(file) for file in files if isinstance(file, str) and os.path.basename(file) in names
    }
    return [path for path in paths if path in known]


def _topmost(roots: Iterable[Path]) -> list[Path]:
    known: list[Path] = []
    for root in sorted({root.resolve() for root in roots if root.is_dir()}):
        if not any(root.is_relative_to(other) for other in known):
            known.append(root)
    return known


def _names(paths: list[str]) -> str:
    names = list(dict.fromkeys(_relative(Path(path)) for path in paths))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _relative(path: Path) -> str:
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
