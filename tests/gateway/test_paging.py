"""Pages of rows are complete and do not overlap, even if rows come and go between two pages.

About `gateway/graphwire_gateway/runs/paging.py`.
"""

import orjson
import pytest
from graphwire_gateway.runs.paging import made_page, page
from graphwire_protocol.errors import Refusal
from hypothesis import given
from hypothesis import strategies as st

Row = tuple[str, ...]


def rows(count: int) -> list[Row]:
    """Rows of (time, name), newest first; three rows share each time."""
    return [(f"2026-01-{28 - number // 3:02}", f"row {number}") for number in range(count)]


def key(row: Row) -> Row:
    return row


def pages(given: list[Row], limit: int, cursor: str | None = None) -> list[list[Row]]:
    found, cursor = page(given, key, limit, cursor)
    out = [found]
    while cursor is not None:
        found, cursor = page(given, key, limit, cursor)
        out.append(found)
        assert len(out) <= len(given), "a cursor leads to the page that it came from"
    return out


@given(count=st.integers(0, 30), limit=st.integers(1, 12))
def test_the_pages_together_are_the_rows(count: int, limit: int) -> None:
    found = pages(rows(count), limit)
    assert [row for each in found for row in each] == rows(count)
    assert all(len(each) == limit for each in found[:-1])
    assert len(found[-1]) <= limit


def test_a_last_page_has_no_cursor_even_if_it_is_full() -> None:
    assert page(rows(3), key, 3, None) == (rows(3), None)
    assert page([], key, 3, None) == ([], None)


@given(count=st.integers(1, 30), most_bytes=st.integers(1, 200))
def test_a_page_that_would_be_too_large_ends_early_and_leads_on(count: int, most_bytes: int) -> None:
    found, cursor = page(rows(count), key, 12, None, most_bytes)
    each = [found]
    while cursor is not None:
        found, cursor = page(rows(count), key, 12, cursor, most_bytes)
        each.append(found)
    assert [row for found in each for row in found] == rows(count)
    sizes = [len(orjson.dumps(found)) for found in each]
    assert all(len(found) == 1 or size <= most_bytes + 1 for found, size in zip(each, sizes, strict=True))
    assert all(
        len(found) == 12 or size + len(orjson.dumps(following[0])) > most_bytes
        for found, size, following in zip(each, sizes, each[1:], strict=False)
    ), "a page ends before it has to"


@given(count=st.integers(0, 60), limit=st.integers(1, 12), most_bytes=st.integers(1, 400))
def test_no_rows_are_made_but_those_of_the_page(count: int, limit: int, most_bytes: int) -> None:
    made: list[Row] = []

    def make(row: Row) -> Row:
        made.append(row)
        return row

    cursor: str | None = None
    out: list[Row] = []
    while True:
        made.clear()
        found, cursor = made_page(rows(count), key, make, limit, cursor, most_bytes)
        assert len(made) <= min(limit, len(found) + 1), "one more may show that the page is full"
        out += found
        if cursor is None:
            break
    assert out == rows(count)


def test_a_row_that_is_new_moves_no_page() -> None:
    _, cursor = page(rows(6), key, 2, None)
    found, _ = page([("2026-02-01", "newer"), *rows(6)], key, 2, cursor)
    assert found == rows(6)[2:4]


def test_a_cursor_whose_row_is_gone_continues_at_its_time() -> None:
    given = [("3", "a"), ("2", "b"), ("2", "c"), ("1", "d")]
    _, cursor = page(given, key, 2, None)
    found, _ = page([given[0], *given[2:]], key, 2, cursor)
    assert found == [("2", "c"), ("1", "d")]


def test_rows_of_the_millisecond_of_a_row_that_is_gone_are_not_lost() -> None:
    given = [("1", f"row {number}") for number in range(10)]
    _, cursor = page(given, key, 3, None)
    del given[2]
    assert set(given[2:]) <= {row for each in pages(given, 3, cursor) for row in each}


def test_rows_are_ordered_by_time_after_a_clock_that_was_set_back() -> None:
    given = [("6", "newest"), ("5", "set back"), ("9", "c"), ("8", "b"), ("7", "a")]
    found, cursor = page(given, key, 2, None)
    assert found == [("9", "c"), ("8", "b")]
    given.remove(("8", "b"))
    assert page(given, key, 5, cursor)[0] == [("7", "a"), ("6", "newest"), ("5", "set back")]


def test_a_row_that_is_older_than_when_a_cursor_was_given_takes_no_others_along() -> None:
    given = [("3", "a"), ("2", "b"), ("1", "c")]
    _, cursor = page(given, key, 1, None)
    assert page([("2", "b"), ("1", "c"), ("0", "a")], key, 2, cursor)[0] == [("2", "b"), ("1", "c")]


@given(
    times=st.lists(st.integers(0, 3), max_size=20),
    limit=st.integers(1, 5),
    gone=st.lists(st.integers(0, 19), max_size=8),
    later=st.lists(st.integers(0, 3), max_size=8),
)
def test_no_row_that_stays_is_lost_whatever_comes_and_goes_between_pages(
    times: list[int], limit: int, gone: list[int], later: list[int]
) -> None:
    given = [(str(time), f"row {number}") for number, time in enumerate(times)]
    staying = {row for number, row in enumerate(given) if number not in gone}
    found, cursor = page(given, key, limit, None)
    seen = set(found)
    while cursor is not None:
        going = [row for row in given if row not in staying]
        if going:
            given.remove(found[-1] if found[-1] in going else going[0])
        if later:
            given.insert(0, (str(later.pop()), f"later {len(later)}"))
        found, cursor = page(given, key, limit, cursor)
        seen |= set(found)
    assert staying <= seen


def test_rows_of_one_time_are_told_apart_by_their_names() -> None:
    given = [("1", "a", "x"), ("1", "a", "y"), ("1", "b", "x")]
    assert pages(given, 1) == [[row] for row in given]


@pytest.mark.parametrize("cursor", ["", "not base64", "bnVsbA==", "e30=", "W10=", "MQ==", "ä"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(Refusal) as refused:
        page(rows(3), key, 2, cursor)
    assert refused.value.code == "invalid_argument"
    assert "list.cursor" in refused.value.message
