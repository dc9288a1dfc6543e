"""Only files that may change the server start it anew.

How it starts anew, in processes of its own, is in `tests/live/test_command.py`.
About `gateway/graphwire_gateway/serve/reload.py`.
"""

from pathlib import Path

import pytest
from graphwire_gateway.serve.reload import CodeFilter
from watchfiles import Change

CONFIGURATION = Path("/project/graphwire.toml")


@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("/project/graphs.py", True),
        ("/project/deep/er/agent.py", True),
        ("/project/graphwire.toml", True),
        ("/project/other/graphwire.toml", False),
        ("/project/README.md", False),
        ("/project/graphs.pyc", False),
        ("/project/.venv/lib/module.py", False),
        ("/project/__pycache__/graphs.py", False),
        ("/project/node_modules/gyp.py", False),
    ],
)
def test_python_and_configuration_matter(change: Change, path: str, matters: bool) -> None:
    assert CodeFilter(lambda: {CONFIGURATION})(change, path) is matters


def test_the_configuration_is_asked_for_each_time() -> None:
    files: set[Path] = set()
    looks = CodeFilter(lambda: set(files))
    assert not looks(Change.modified, str(CONFIGURATION))
    files.add(CONFIGURATION)
    assert looks(Change.modified, str(CONFIGURATION))
