"""The commands put together: this client's own, and those that other packages add.

An entry point of the group ``graphwire.commands`` names a plain function that typer can take, or a
``typer.Typer`` with commands of its own. It is loaded only when its command is called, or when all commands
are listed. An entry point that cannot be loaded becomes a command that says why.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.exceptions import TyperException

from graphwire.cli import (
    attach,
    cancel,
    delete,
    demo,
    graphs,
    respond,
    runs,
    schema,
    state,
    thread,
    threads,
    types,
    version,
    watch,
)
from graphwire.cli import run as run_command
from graphwire.cli.outcome import CUT_OFF, FAILED, FINE, INTERRUPTED, STREAMS, TRACEBACK, USAGE, say

GROUP = "graphwire.commands"

_OWN: tuple[tuple[str, Callable[..., Any], str], ...] = (
    ("run", run_command.run, run_command.HELP),
    ("respond", respond.respond, respond.HELP),
    ("attach", attach.attach, attach.HELP),
    ("cancel", cancel.cancel, cancel.HELP),
    ("runs", runs.runs, runs.HELP),
    ("watch", watch.watch, watch.HELP),
    ("threads", threads.threads, threads.HELP),
    ("thread", thread.thread, thread.HELP),
    ("state", state.state, state.HELP),
    ("delete", delete.delete, delete.HELP),
    ("graphs", graphs.graphs, graphs.HELP),
    ("types", types.types, types.HELP),
    ("demo", demo.demo, demo.HELP),
    ("schema", schema.schema, schema.HELP),
    ("version", version.show_version, version.HELP),
)


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; no traceback reaches a user."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough; nothing more may be written, not even at the exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return CUT_OFF
    except Exception as fault:
        if os.environ.get(TRACEBACK):
            raise
        say(
            f"a fault of this program: {type(fault).__name__}: {fault}; "
            f"{TRACEBACK}=1 in the environment shows where"
        )
        return FAILED
    return code


def _run(arguments: list[str]) -> int:
    try:
        app = build(arguments, entry_points(group=GROUP))
        return app(arguments, prog_name="graphwire", standalone_mode=False) or FINE
    except TyperException as wrong:
        return explain(wrong)
    except typer.Abort as aborted:  # a question that was not confirmed
        say("aborted")
        return INTERRUPTED if isinstance(aborted.__context__, KeyboardInterrupt) else FAILED
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer has caught it
            return CUT_OFF
        return end.code if isinstance(end.code, int) else FAILED


def explain(wrong: Any) -> int:
    """Say what is wrong with the arguments in the style of every other sentence; return the exit code."""
    message = wrong.format_message().removeprefix("Invalid value: ").removeprefix("Invalid value for ")
    if not message:  # no arguments: the help is on the screen
        return USAGE
    message = re.sub(r"^'(-[^']+)'", r"\1", message)
    message = re.sub(r" \(Possible options: (.*)\)$", r"; did you mean \1?", message.rstrip("."))
    message = message.replace(". Did you mean", "; did you mean")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    context = getattr(wrong, "ctx", None)
    say(message if context is None else f"{message} (see: {context.command_path} --help)")
    return USAGE


def build(arguments: list[str], plugins: Iterable[EntryPoint]) -> typer.Typer:
    """Return the application for these arguments."""
    app = typer.Typer(
        name="graphwire",
        cls=_Group,
        help="Stream graph runs over one WebSocket: nothing lost, nothing repeated.",
        epilog=STREAMS,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    own = {name for name, _, _ in _OWN}
    for name, command, help in _OWN:
        app.command(name, cls=_Command, help=_paragraphs(help))(command)
    added = {plugin.name: plugin for plugin in plugins if plugin.name not in own}
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    # A server takes its time to import, and ``graphwire runs`` need not wait for it. All are listed in the
    # help and after a mistyped command.
    is_known = wanted in own or wanted in added
    for name, plugin in added.items():
        if name == wanted or not is_known:
            _add(app, plugin)
    return app


class _Command(TyperCommand):
    """A command whose help names no types of Python: ``KEY=VALUE`` rather than ``<list[str]>``."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options and arguments."""
        return _without_types(super().get_params(ctx))


class _Group(TyperGroup):
    """A group of commands whose own help names no types either."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options."""
        return _without_types(super().get_params(ctx))


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperArgument) or param.metavar is None:
            param.display_type_rich = lambda ctx: ""
    return params


def _paragraphs(text: str) -> str:
    """Return a text whose paragraphs are one line each, for a terminal of any width to break."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def _print_version(is_asked: bool) -> None:
    if is_asked:
        version.show_version()
        raise typer.Exit


def _root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print versions and exit."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _add(app: typer.Typer, plugin: EntryPoint) -> None:
    try:
        command = plugin.load()
    except Exception as error:
        reason = str(error)

        def command() -> None:
            say(
                f"the command {plugin.name!r} cannot be loaded: {reason}; "
                "if something is not installed: pip install 'graphwire[server]'"
            )
            raise typer.Exit(USAGE)

        context = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(plugin.name, help="Not available here.", context_settings=context)(command)
        return
    if isinstance(command, typer.Typer):
        for info in command.registered_commands:
            info.cls = _Command
            info.help = _paragraphs(info.help or "")
        app.add_typer(command, cls=_Group, name=plugin.name)
    else:
        app.command(plugin.name, cls=_Command, help=_paragraphs(command.__doc__ or ""))(command)
