"""Variables of a file are set where the process has none of that name.

About `gateway/graphwire_gateway/serve/environment.py`.
"""

import os
from pathlib import Path

import pytest
from graphwire_gateway import CannotServe
from graphwire_gateway.serve.environment import provide, values_of


def test_a_file_is_read_as_dotenv_reads_it(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nexport A=1\nB='two words' # why\nC=\nNO_VALUE\nD=ä\n", "utf-8")
    assert values_of(file) == {"A": "1", "B": "two words", "C": "", "D": "ä"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"A=\xff\n")
    with pytest.raises(CannotServe, match=str(file)):
        values_of(file)


def test_what_the_process_has_stays_and_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHWIRE_TEST_HAS", "the process's")
    monkeypatch.setenv("GRAPHWIRE_TEST_NEW", "")
    monkeypatch.delenv("GRAPHWIRE_TEST_NEW")
    assert provide({"GRAPHWIRE_TEST_HAS": "a", "GRAPHWIRE_TEST_NEW": "b"}) == ["GRAPHWIRE_TEST_HAS"]
    assert os.environ["GRAPHWIRE_TEST_HAS"] == "the process's"
    assert os.environ["GRAPHWIRE_TEST_NEW"] == "b"
