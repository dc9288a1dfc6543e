"""Variables of a file are set where the process has none of that name.

About `gateway/graphwire_gateway/serve/environment.py`.
"""

import os
from pathlib import Path

import pytest
from graphwire_gateway import CannotServe
from graphwire_gateway.serve.config import sections
from graphwire_gateway.serve.environment import provide, unknown, values_of


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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GRAPHWIRE_PROT", "GRAPHWIRE_PORT"),
        ("GRAPHWIRE_TOKENS", "GRAPHWIRE_TOKEN"),
        ("GRAPHWIRE_LIMIT__DRAIN_S", "GRAPHWIRE_LIMITS__DRAIN_S"),
        ("GRAPHWIRE_DRAIN_S", "GRAPHWIRE_LIMITS__DRAIN_S"),
    ],
)
def test_a_variable_that_nothing_reads_is_named_with_what_is_meant(name: str, meant: str) -> None:
    (sentence,) = unknown([name, "HOME"], sections())
    assert sentence == (
        f"the environment variable {name} is not known and has no effect; did you mean {meant}?"
    )


def test_variables_that_are_read_are_known() -> None:
    assert unknown(["GRAPHWIRE_QQ"], sections()) == [
        "the environment variable GRAPHWIRE_QQ is not known and has no effect"
    ]
    for name in (
        "PORT",
        "CONSOLE",
        "URL",
        "LIMITS",
        "LIMITS__DRAIN_S",
        "SERVER__HOST",
        "GRAPHS__JOKE",
        "AUTH__TOKENS",
    ):
        assert unknown([f"GRAPHWIRE_{name}"], sections()) == [], name
