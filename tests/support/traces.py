"""Traces of a process's system calls, by `strace`, and what they say of writes, syncs and sends.

Debian's package `strace` has the program; `make strace` installs that. Where there is none, tests that need
it are skipped by name, but fail if the environment variable CI is set. Where there is one that may not trace,
as in a container without that right, they are skipped by name: nothing of ours could change it.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_CALLS = "pwrite64,pwritev,write,writev,sendto,sendmsg,fdatasync,fsync"
_TEXT = 1 << 20  # bytes that are shown of what a call writes

_CALL = re.compile(r"(\d+) +(\w+)\((\d+)<(.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")


def tracing(output: Path) -> list[str]:
    """Return what is put before a command to trace it and its threads into ``output``.

    The process that is started is the command itself; the trace ends a moment after it.
    """
    program = shutil.which("strace")
    missing = "no strace here, so nothing shows what is synced before it is sent; install it ('make strace')"
    if program is not None:
        tried = subprocess.run([program, "-f", "-o", os.devnull, "true"], capture_output=True, text=True)
        missing = f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""
    if program is None or missing:
        if program is None and os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return [
        program,
        "-D",
        "-f",
        "-y",
        "-s",
        str(_TEXT),
        "-e",
        f"trace={_CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(output),
    ]


@dataclass(frozen=True)
class Call:
    """A system call: which, on what (a path, or ``socket:[…]``), what it was given, and whether it failed."""

    name: str
    target: str
    text: str
    has_failed: bool

    @property
    def is_sync(self) -> bool:
        return self.name in ("fdatasync", "fsync") and not self.has_failed

    @property
    def is_send(self) -> bool:
        return self.target.startswith(("socket:", "TCP", "UNIX")) and not self.is_sync


def is_whole(output: Path) -> bool:
    """Tell whether a trace has the end of its process."""
    end = output.read_bytes()[-100:].splitlines(keepends=True)
    return bool(end) and b" +++ exited with" in end[-1] and end[-1].endswith(b" +++\n")


def calls(output: Path) -> Iterator[Call]:
    """Read a trace, in order: of a call that wrote or sent when it began, of a sync when it had ended."""
    syncing: dict[str, str] = {}  # by the thread: on what
    for line in output.read_text(errors="replace").splitlines():
        resumed = _RESUMED.match(line)
        if resumed is not None:
            thread, name, rest = resumed.groups()
            if thread in syncing:
                yield Call(name, syncing.pop(thread), "", "= 0" not in rest)
            continue
        found = _CALL.match(line)
        if found is None:
            continue
        thread, name, _, rest = found.groups()
        target, _, text = rest.partition(">")
        if name in ("fdatasync", "fsync"):
            if text.endswith(_UNFINISHED):
                syncing[thread] = target
            else:
                yield Call(name, target, "", "= 0" not in text)
        else:
            yield Call(name, target, text, "= -1 " in text)


def sent_before_synced(trace: Sequence[Call], log: str, marks: Sequence[str]) -> list[str]:
    """Return which of ``marks`` were sent before a sync of the file ``log`` followed their write to it.

    Each mark is text that is in the file and in a message. Raises ``AssertionError`` if one is not.
    """
    early = []
    for mark in marks:
        written = next(at for at, call in enumerate(trace) if call.target.endswith(log) and mark in call.text)
        sent = next(at for at, call in enumerate(trace) if call.is_send and mark in call.text)
        between = trace[written:sent]
        if not any(call.is_sync and call.target.endswith(log) for call in between):
            early.append(mark)
    return early
