"""What of a namespace is the same in every run.

About `runtime/graphwire_runtime/namespace.py`.
"""

import pytest
from graphwire_runtime.namespace import nodes_in, without_task_ids

TASK = "1f0c9a52-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("namespace", "without", "nodes"),
    [
        ((), (), ()),
        ((f"plan:{TASK}",), ("plan",), ("plan",)),
        ((f"plan:{TASK}", "1", f"2nd:{TASK}"), ("plan", "1", "2nd"), ("plan", "2nd")),
        (("kept", "2"), ("kept", "2"), ("kept",)),
    ],
)
def test_names_are_told_from_task_ids_and_numbers(
    namespace: tuple[str, ...], without: tuple[str, ...], nodes: tuple[str, ...]
) -> None:
    assert without_task_ids(namespace) == without
    assert nodes_in(namespace) == nodes
