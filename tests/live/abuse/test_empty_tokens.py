"""A server whose token is empty, as from a variable that is not set, does not start.

About `gateway/graphwire_gateway/connections/auth.py`.
"""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.processes import started

pytestmark = pytest.mark.abuse


@pytest.mark.parametrize("token", ["", " "])
async def test_an_empty_token_admits_nobody(tmp_path: Path, token: str) -> None:
    (tmp_path / "graphwire.toml").write_text(
        f'[server]\nport = 0\n[graphs]\ng = "./g.py:g"\n[auth.tokens]\n"{token}" = "ann"\n'
    )
    (tmp_path / "g.py").write_text(
        "from typing import TypedDict\nfrom graphwire_runtime import START, StateGraph\n"
        "State = TypedDict('State', {'x': int})\n"
        "g = StateGraph(State).add_node('n', lambda s: {}).add_edge(START, 'n').compile()\n"
    )
    async with started(
        *(sys.executable, "-c", "from graphwire.cli import main; main()", "serve"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    ) as process:
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert "the token of 'ann' is empty" in " ".join(said.decode().split())
