"""ARCHITECTURE.md names files that exist, fits on one page, and gives each word one meaning.

About `ARCHITECTURE.md`.
"""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def test_every_file_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w/.-]+\.py)`", PAGE)
    assert len(named) > 20, "the walk names its files"
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_each_step_of_the_walk_names_the_file_where_it_happens() -> None:
    walk = PAGE.partition("## The walk of a run")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d+\. .+$", walk, re.MULTILINE)
    assert len(steps) == 6
    assert [step for step in steps if not re.search(r"`[\w/.-]+\.py`", step)] == []


def test_the_page_stays_one_page() -> None:
    assert len(PAGE.splitlines()) < 100


def test_every_room_of_gateway_and_protocol_has_a_door_sign() -> None:
    rooms = [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "protocol").rglob("*.py")]
    assert [path.name for path in rooms if not path.read_text("utf-8").startswith('"""')] == []


def test_the_page_gives_each_word_one_meaning() -> None:
    table = re.search(r"^\| word \| meaning \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE)
    assert table, "the page has a table of words: | word | meaning |"
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[1].splitlines()]
    assert [row for row in rows if len(row) != 2 or not all(row)] == []
    listed = [word.strip("` ") for row in rows for word in row[0].split(",")]
    assert len(listed) > 15
    assert [word for word, count in Counter(listed).items() if count > 1] == [], "one meaning a word"
