"""A Postgres server of the tests' own: in a fresh folder, on a Unix socket, gone when they end.

Debian's package `postgresql` has it; `make postgres` installs that. Postgres refuses to run as root, so for
root it runs as `nobody`. Where there is none, tests that need it are skipped by name, but fail if the
environment variable CI is set.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_numbers = count()


def binaries() -> Path | None:
    """The folder of Postgres' programs, None if it is not installed."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "initdb").exists()), None)


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yields the folder of its socket. Skips or fails the test where Postgres is missing."""
    if importlib.util.find_spec("psycopg") is None:  # one of the development tools, which not all Pythons get
        pytest.skip("NO POSTGRES TRIED: psycopg and langgraph-checkpoint-postgres are not installed here")
    programs = binaries()
    if programs is None:
        missing = "NO POSTGRES TRIED: it is not installed; `make postgres` installs it for root on Debian"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="gw-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        _run(
            folder,
            programs / "initdb",
            "-D",
            "data",
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--no-sync",
        )
        control = (programs / "pg_ctl", "-D", "data", "-w")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        try:
            _run(folder, *control, "-l", "log", "-o", options, "start")
            yield str(folder)
        finally:
            _run(folder, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, *command: Any) -> None:
    # output goes to a file: the server inherits it, and a pipe would not end before the server does
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    words = [*(as_nobody if os.geteuid() == 0 else ()), *map(str, command)]
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=60,
            check=False,
        )
        output.seek(0)
        log = folder / "log"
        told = output.read().decode() + (log.read_text() if log.exists() else "")
    assert done.returncode == 0, told


def fresh_database(folder: str) -> str:
    """Make a database on the server; returns its address."""
    import psycopg

    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(f"host={folder} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    return f"host={folder} user=postgres dbname={name}"


@contextmanager
def fresh_saver(folder: str) -> Iterator[Any]:
    """A saver on a database of its own."""
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(fresh_database(folder)) as saver:
        saver.setup()
        yield saver
