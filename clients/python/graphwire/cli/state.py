"""``graphwire state``: a thread's state, now or at each of its checkpoints."""

from typing import Annotated, Any

import typer
from rich.table import Table

from graphwire.cli.listing import short_time
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import FINE, LISTS, talk
from graphwire.cli.show import piped, print_json, print_table, short, short_message
from graphwire.client import Client
from graphwire.messages import Message
from graphwire.state import StateSnapshot

_COLUMNS = ("checkpoint", "created", "by", "next", "values")

HELP = f"""Show a thread's state, or all its states.

Example: [bold]graphwire state chat mine --history[/bold]

With --history it lists the checkpoints, at which a run can start: --checkpoint of graphwire run.

{piped("name", "value")} With --history these are {", ".join(_COLUMNS)}.

{LISTS}
"""


def state(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="The graph's name.")],
    thread: Annotated[str, typer.Argument(metavar="THREAD", help="The thread; see: graphwire threads")],
    history: Annotated[
        bool, typer.Option("--history", help="All states of the thread, newest first.")
    ] = False,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="ID", help="The state at this checkpoint.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Only these keys of the state. Repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show N states at most.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show a thread's state. ``HELP`` is the text for users."""
    if history and checkpoint is not None:
        raise typer.BadParameter("--history shows every checkpoint; leave out --checkpoint")

    async def work(client: Client) -> int:
        if history:
            found = client.state_history(graph, thread, keys=key, limit=limit)
            states = [snapshot async for snapshot in found]
        else:
            states = [await client.state(graph, thread, checkpoint=checkpoint, keys=key)]
        if as_json:
            for snapshot in states:
                print_json(_document(snapshot))
        elif history:
            print_table(_history(states) if states else "no states")
        else:
            print_table(
                _state(states[0]) if states[0].created_at else "nothing has been written to this thread yet"
            )
        return FINE

    raise typer.Exit(talk(url, token, work))


def _document(state: StateSnapshot) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = []
    for task in state.tasks:
        inner = _document(task.state) if isinstance(task.state, StateSnapshot) else task.state
        tasks.append({**task._asdict(), "state": inner})
    return {**state._asdict(), "tasks": tasks}


def _state(state: StateSnapshot) -> Table:
    table = Table(box=None, show_header=False)
    values = state.values if isinstance(state.values, dict) else {"state": state.values}
    for name, value in values.items():
        for line in _lines(value):
            table.add_row(name, line)
    for one in state.interrupts:
        table.add_row("asks", f"{one.id}  {short(one.value)}")
    table.add_row("next", ", ".join(state.next) or "nothing")
    table.add_row("checkpoint", state.checkpoint)
    table.add_row("created", _time(state))
    return table


def _lines(value: Any) -> list[str]:
    """Return what a key of the state holds: a line for each message of a conversation, one for all else."""
    if isinstance(value, list) and value and all(isinstance(item, Message) for item in value):
        return [short_message(item) for item in value]
    return [short(value)]


def _history(states: list[StateSnapshot]) -> Table:
    table = Table(*_COLUMNS, box=None)
    for state in states:
        metadata = state.metadata or {}
        by = f"{metadata.get('source', '')} {metadata.get('step', '')}".strip()
        table.add_row(state.checkpoint or "", _time(state), by, ", ".join(state.next), short(state.values))
    return table


def _time(state: StateSnapshot) -> str:
    return short_time(state.created_at or "")
