"""Starts of runs as a gateway passes them on, and as it keeps them until they are answered."""

from graphwire_protocol import commands


def without_input(command: commands.Run, id: str) -> commands.Run:
    """Return what the books need of a start."""
    return commands.Run.model_construct(
        id=command.id,
        graph=command.graph,
        run=id,
        subscribe=command.subscribe,
        on_disconnect=command.on_disconnect,
    )


def with_run(data: str | bytes, id: str) -> str:
    """Return the frame of a start, which names no run, with the id of one."""
    text = data if isinstance(data, str) else data.decode()
    return f'{{"run":"{id}",{text.lstrip()[1:]}'
