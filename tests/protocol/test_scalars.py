"""Scalars of numpy and pandas become what they are; arrays become lists as long as they are small.

About `protocol/graphwire_protocol/scalars.py`.
"""

import datetime
import importlib
from typing import Any

import numpy as np
import orjson
import pytest
from graphwire_protocol.projection import Opaque, Projector, restore


def wire(value: Any) -> Any:
    return orjson.loads(Projector().dumps(value))


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.bool_(False), False),
        (np.bool_(True), True),
        (np.int8(-1), -1),
        (np.int64(3), 3),
        (np.uint64(2**63), {"$int": str(2**63)}),
        (np.float16(0.5), 0.5),
        (np.float32(1.5), 1.5),
        (np.float64(1.5), 1.5),
        (np.longdouble(1.5), 1.5),
        (np.float32("nan"), {"$float": "nan"}),
        (np.float64("-inf"), {"$float": "-inf"}),
        (np.str_("a"), "a"),
        (np.bytes_(b"ab"), {"$bytes": "YWI="}),
        (np.datetime64("2026"), "2026-01-01"),
        (np.datetime64("2026-05"), "2026-05-01"),
        (np.datetime64("2026-05-02"), "2026-05-02"),
        (np.datetime64("2026-05-02T03"), "2026-05-02T03:00:00"),
        (np.datetime64("2026-05-02T03:04:05"), "2026-05-02T03:04:05"),
        (np.datetime64("2026-05-02T03:04:05.000000006"), "2026-05-02T03:04:05.000000006"),
        (np.datetime64("NaT"), None),
        (np.timedelta64(3, "s"), 3.0),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.timedelta64(2, "D"), 172800.0),
        (np.timedelta64("NaT"), None),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.5, float("nan")]]), [[1.5, {"$float": "nan"}]]),
        (np.array([True, False]), [True, False]),
        (np.array(["2026-01-01", "NaT"], "M8[ns]"), ["2026-01-01T00:00:00.000000000", None]),
        (np.array([[1500]], "m8[ms]"), [[1.5]]),
        (np.array("2026-01-01", "M8[D]"), "2026-01-01"),
        (np.array(5), 5),
        (np.array([None, {"a": {1}}], dtype=object), [None, {"a": {"$set": [1]}}]),
    ],
    ids=repr,
)
def test_a_scalar_of_numpy_is_what_it_says(value: Any, sent: Any) -> None:
    says(value, sent)


def says(value: Any, sent: Any) -> None:
    assert wire(value) == sent
    assert wire({"rows": [value, "neighbour", {1}]}) == {"rows": [sent, "neighbour", {"$set": [1]}]}
    assert type(wire(value)) is type(sent)


@pytest.fixture(scope="module")
def pd() -> Any:
    """Imported by its tests alone, since that takes as long as the rest of this file."""
    return importlib.import_module("pandas")


def test_a_scalar_of_pandas_is_what_it_says(pd: Any) -> None:
    says(pd.Timestamp("2026-05-02T03:04:05"), "2026-05-02T03:04:05")
    says(pd.Timestamp("2026-05-02", tz="Europe/Berlin"), "2026-05-02T00:00:00+02:00")
    says(pd.Timedelta(milliseconds=1500), 1.5)
    says(pd.NaT, None)
    says(pd.NA, None)


def test_rows_of_a_table_with_a_missing_date_are_sent(pd: Any) -> None:
    table = pd.DataFrame({"due": pd.to_datetime(["2026-05-01", None]), "done": [True, False]})
    assert wire(table.to_dict("records")) == [
        {"due": "2026-05-01T00:00:00", "done": True},
        {"due": None, "done": False},
    ]


def test_what_has_no_json_form_is_shown_as_text_and_spoils_no_neighbour(pd: Any) -> None:
    of_numpy = [np.timedelta64(1, "M"), np.complex64(1j), np.zeros(5000)]
    for value in (*of_numpy, pd.Series([1]), pd.DataFrame({"a": [1]})):
        shown, plain = restore(wire([value, 1]))
        assert isinstance(shown, Opaque)
        assert shown.type == type(value).__name__
        assert plain == 1


def test_an_array_that_holds_itself_is_cut() -> None:
    loop = np.array([None, 1], dtype=object)
    loop[0] = loop
    assert wire(loop) == [{"$cut": {"reason": "cycle"}}, 1]


def test_a_class_of_another_package_with_such_a_name_is_not_taken_for_it() -> None:
    class NaTType:
        def __repr__(self) -> str:
            return "mine"

    assert wire(NaTType())["$repr"] == "mine"


def test_a_time_of_pandas_comes_back_as_the_same_instant(pd: Any) -> None:
    moment = pd.Timestamp("2026-05-02T03:04:05.000006", tz="UTC")
    assert datetime.datetime.fromisoformat(wire(moment)) == moment.to_pydatetime()
