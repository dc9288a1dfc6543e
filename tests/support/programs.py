"""Programs in processes of their own that cannot import LangGraph: their graph asks for a toll."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = """
    import asyncio, operator, sys
    from importlib.abc import MetaPathFinder
    from typing import Annotated, TypedDict

    class Absent(MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name in ("langgraph.graph", "langgraph.pregel", "langgraph.types", "langgraph.constants"):
                raise ModuleNotFoundError(name)

    sys.meta_path.insert(0, Absent())
    from graphwire_runtime import START, Command, Send, StateGraph, interrupt

    class Trip(TypedDict, total=False):
        log: Annotated[list, operator.add]

    def pay(item):
        return {"log": [f"{item}: {interrupt(item)}"]}

    graph = StateGraph(Trip).add_node("pay", pay).add_node("end", lambda s: {"log": ["end"]})
    graph.add_conditional_edges(START, lambda s: [Send("pay", "toll")], ["pay"])
    graph.add_edge("pay", "end")
    config = {"configurable": {"thread_id": "t"}}
"""


def run_program(text: str, *args: str) -> str:
    program = textwrap.dedent(PROGRAM) + textwrap.dedent(text)
    done = subprocess.run(
        [sys.executable, "-c", program, *args], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()
