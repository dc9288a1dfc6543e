"""``graphwire serve --reload``: runs the server in a child process and restarts it when its code changes.

The child is asked which of the changed files it has imported; only those count. A child that has ended is
restarted for any Python file. The caller names the other files that count: those of the configuration.
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
"""Set in the child process that is about to be replaced by a new one."""

_POLL_MS = 200
"""How often the child process is checked while no file changes."""
_DRAIN_S = 0.3
"""How long a child that is replaced may drain before it has to stop at once."""
_ANSWER_S = 1.0
"""How long to wait for the child's answer to which files it has imported; without one, all count."""
_KILL_S = 10.0
"""How long a child may take to stop at once before it is killed."""


class CodeFilter(DefaultFilter):
    """Lets changes of Python and configuration files through, except in virtual environments and caches."""

    def __init__(self, configuration: Callable[[], set[Path]]) -> None:
        super().__init__()
        self._configuration = configuration

    def __call__(self, change: Change, path: str) -> bool:
        """Return whether the change of this file may matter."""
        return super().__call__(change, path) and (
            path.endswith(".py") or Path(path) in self._configuration()
        )


class Reloader:
    """Runs ``serve(*arguments)`` in a child process, and in a new one after each change that counts.

    ``serve`` is a module's function, so that it can be pickled, and returns the exit code. After a change of
    code alone it gets the arguments ``again``. ``folders`` are watched, with all below them.
    ``configuration`` returns the absolute paths of the configuration files. ``report`` prints a line for the
    user.
    """

    def __init__(
        self,
        serve: Callable[..., int],
        arguments: tuple[Any, ...],
        again: tuple[Any, ...],
        folders: Iterable[Path],
        configuration: Callable[[], set[Path]],
        report: Callable[[str], None],
    ) -> None:
        self._serve = serve
        self._arguments = arguments
        self._again = again
        self._folders = _topmost(folders)
        self._configuration = configuration
        self._report = report
        self._stopping = threading.Event()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def main(self) -> int:
        """Serve until SIGINT or SIGTERM; return the exit code of the last child."""
        before = [(number, signal.signal(number, self._stop)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            return self._main()
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _main(self) -> int:
        process = self._start(self._arguments)
        end_is_reported = False
        changes = watch(
            *self._folders,
            watch_filter=CodeFilter(self._configuration),
            rust_timeout=_POLL_MS,
            yield_on_timeout=True,
            stop_event=self._stopping,
        )
        for changed in changes:
            if self._stopping.is_set():
                break
            paths = sorted({path for _, path in changed})
            code = [path for path in paths if path.endswith(".py")]
            if process.exitcode is None and code:
                code = self._imported_by_child(code)
            configuration = [path for path in paths if Path(path) in self._configuration()]
            if code or configuration:
                is_running = process.exitcode is None
                self._report(f"{_names([*configuration, *code])} changed: restarting")
                self._announce_restart()
                self._end(process)
                is_known = is_running and not configuration
                process = self._start(self._again if is_known else self._arguments)
                end_is_reported = False
            elif process.exitcode is not None and not end_is_reported:
                if process.exitcode == 0:
                    return 0
                self._report(f"the server has ended (exit code {process.exitcode}); waiting for a change")
                end_is_reported = True
        process.join()
        return process.exitcode or 0

    def _imported_by_child(self, paths: list[str]) -> list[str]:
        """Return which of these files the child has imported; all of them if it does not answer."""
        return self._request(paths)

    def _announce_restart(self) -> None:
        """Set ``replaced`` in the child."""
        self._request(None)

    def _request(self, paths: list[str] | None) -> list[str]:
        """Send the child a request and return its answer; without an answer, ``paths``."""
        assert self._pipe is not None
        with contextlib.suppress(OSError, EOFError):
            self._pipe.send(paths)
            if self._pipe.poll(_ANSWER_S):
                answer: list[str] = self._pipe.recv()
                return answer
        return paths or []

    def _start(self, arguments: tuple[Any, ...]) -> BaseProcess:
        if self._pipe is not None:
            self._pipe.close()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(self._serve, arguments, theirs), name="graphwire-serve"
        )
        process.start()
        theirs.close()
        self._process = process
        if self._stopping.is_set():  # the signal came between two children
            process.terminate()
        return process

    def _end(self, process: BaseProcess) -> None:
        """End a child that runs old code: let it drain, then make it stop at once, then kill it."""
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
        # A terminal sends Ctrl-C to the child too; the child ignores it and waits for this signal.
        self._stopping.set()
        if self._process is not None and self._process.exitcode is None:
            self._process.terminate()


def _serve(serve: Callable[..., int], arguments: tuple[Any, ...], pipe: Connection) -> None:
    """The main function of the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_answer, args=(pipe,), name="graphwire-reload", daemon=True).start()
    raise SystemExit(serve(*arguments))


def _answer(pipe: Connection) -> None:
    """Answer each list of files with those that this process has imported; None announces a restart."""
    with contextlib.suppress(OSError, EOFError):
        while True:
            paths = pipe.recv()
            if paths is None:
                replaced.set()
            pipe.send(_imported(paths or []))


def _imported(paths: list[str]) -> list[str]:
    """Return the files that this process has imported."""
    names = {Path(path).name for path in paths}
    files = [
        vars(module).get("__file__") for module in list(sys.modules.values()) if hasattr(module, "__dict__")
    ]
    known = {
        os.path.realpath(file) for file in files if isinstance(file, str) and os.path.basename(file) in names
    }
    return [path for path in paths if path in known]


def _topmost(folders: Iterable[Path]) -> list[Path]:
    """Return the absolute folders that are in none of the others."""
    topmost: list[Path] = []
    for folder in sorted({folder.resolve() for folder in folders if folder.is_dir()}):
        if not any(folder.is_relative_to(other) for other in topmost):
            topmost.append(folder)
    return topmost


def _names(paths: list[str]) -> str:
    names = list(dict.fromkeys(_relative(Path(path)) for path in paths))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _relative(path: Path) -> str:
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
